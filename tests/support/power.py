"""A disk whose power can be cut: ext4 in a file on XFS with reflinks.

What ext4 has not yet written to the file lives in the page cache of this machine, so a copy of the file, taken
in one step by the outer file system, is what a disk holds at the moment the power goes. Needs root and loop
devices; `cannot()` says why it does not work here.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def cannot() -> str:
    if os.geteuid() != 0:
        return "not root"
    for tool in ("mkfs.xfs", "mkfs.ext4", "losetup"):
        if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            return f"no {tool}"
    done = subprocess.run(["losetup", "--find"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"no loop devices: {done.stderr.strip()}"


def _run(*command):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}"


class PowerDisk:
    """`mount` is where it is seen. Whoever has files open there dies between `freeze` and `restore`."""

    def __init__(self, mib: int = 512):
        self.home = Path(tempfile.mkdtemp(prefix="tocsin-power-"))
        self.outer, self.mount = self.home / "outer", self.home / "disk"
        self._image, self._cut = self.outer / "disk.img", self.outer / "cut.img"
        self._mounted = []
        self.outer.mkdir()
        self.mount.mkdir()
        outer_image = self.home / "outer.img"
        try:
            _run("truncate", "-s", f"{mib * 3}M", outer_image)
            _run("mkfs.xfs", "-q", "-m", "reflink=1", outer_image)
            self._attach(outer_image, self.outer)
            _run("truncate", "-s", f"{mib}M", self._image)
            _run("mkfs.ext4", "-q", "-F", self._image)
            self._attach(self._image, self.mount)
        except BaseException:
            self.close()
            raise

    def _attach(self, image: Path, where: Path):
        _run("mount", "-o", "loop", image, where)
        self._mounted.append(where)

    def _detach(self, where: Path):
        _run("umount", where)
        self._mounted.remove(where)

    def freeze(self):
        """The power goes: this is what the disk will hold."""
        _run("cp", "--reflink=always", self._image, self._cut)

    def restore(self):
        """The machine comes up with it; ext4 replays its journal."""
        self._detach(self.mount)
        self._cut.rename(self._image)
        self._attach(self._image, self.mount)

    def close(self):
        for where in reversed(list(self._mounted)):
            self._detach(where)
        shutil.rmtree(self.home, ignore_errors=True)
