"""Hosts to install packages on: Debian 12 roots made by debootstrap, booted with systemd as process 1 in
systemd-nspawn, each in a network namespace of its own on one bridge that leads nowhere else.

Only what was started here is ended, and only directories made here are removed.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

BASE_PACKAGES = ["systemd", "dbus"]
APT = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends"]


def cannot() -> str:
    """Why hosts cannot be made on this machine; empty when they can."""
    if os.geteuid() != 0:
        return "not root"
    for tool in ("debootstrap", "systemd-nspawn", "ip", "nsenter"):
        if shutil.which(tool) is None:
            return f"no {tool}"
    done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True)
    return "" if done.returncode == 0 else f"no namespaces: {done.stderr.decode().strip()}"


def run(command: list[str], what: str, **more) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{what}: exit {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def archive_of_this_host() -> str:
    """Where this machine takes Debian 12 from."""
    text = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
               "look for the archive")
    for line in text.splitlines():
        uri, release = line.rsplit(" ", 1)
        if release == "bookworm":
            return uri
    raise AssertionError("this machine has no archive of bookworm in its sources of apt")


def make_base(where: Path, packages: list[str]):
    """A root with this machine's sources of apt and `packages`. Kept between runs: it takes a minute."""
    ready = where.parent / f"{where.name}.ready"
    wanted = " ".join(BASE_PACKAGES + packages)
    if ready.exists() and ready.read_text() == wanted:
        return
    ready.unlink(missing_ok=True)
    shutil.rmtree(where, ignore_errors=True)
    where.parent.mkdir(parents=True, exist_ok=True)
    run(["debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", "bookworm", where,
         archive_of_this_host()], "debootstrap")
    (where / "etc/apt/sources.list").unlink(missing_ok=True)
    for name in ("sources.list", "sources.list.d", "apt.conf.d", "trusted.gpg.d", "preferences.d"):
        source = Path("/etc/apt") / name
        if source.is_dir():
            shutil.copytree(source, where / "etc/apt" / name, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy(source, where / "etc/apt" / name)
    shutil.copy("/etc/resolv.conf", where / "etc/resolv.conf")
    run(["chroot", where, *APT, "update"], "update the lists")
    if packages:
        run(["chroot", where, *APT, "install", *packages], "install")
    ready.write_text(wanted)


class Network:
    """Namespaces on one bridge, 10.88.0.1, 10.88.0.2 ... Removed by `close`."""

    def __init__(self, tag: str):
        self._tag = tag
        self._names = []
        self._hub = f"{tag}-hub"
        run(["ip", "netns", "add", self._hub], "make a namespace")
        run(["ip", "-n", self._hub, "link", "add", "br0", "type", "bridge"], "make the bridge")
        run(["ip", "-n", self._hub, "link", "set", "br0", "up"], "raise the bridge")

    def add(self, name: str) -> tuple[str, str]:
        """(namespace, address)"""
        space, number = f"{self._tag}-{name}", len(self._names) + 1
        address = f"10.88.0.{number}"
        run(["ip", "netns", "add", space], "make a namespace")
        self._names.append(space)
        # The far end is made in the hub already: no device of this machine's own namespace is touched.
        run(["ip", "-n", self._hub, "link", "add", f"p{number}", "type", "veth", "peer", "name", "host0",
             "netns", space], "make a cable")
        run(["ip", "-n", self._hub, "link", "set", f"p{number}", "master", "br0", "up"], "plug it in")
        run(["ip", "-n", space, "addr", "add", f"{address}/24", "dev", "host0"], "address")
        for device in ("lo", "host0"):
            run(["ip", "-n", space, "link", "set", device, "up"], f"raise {device}")
        return space, address

    def close(self):
        for space in [*self._names, self._hub]:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


class Host:
    """One root; `boot` starts its systemd."""

    def __init__(self, name: str, base: Path, where: Path, space: str, address: str):
        self.name, self.root, self.address = name, where, address
        self._space = space
        self._nspawn = None
        self._init = None
        shutil.rmtree(where, ignore_errors=True)
        run(["cp", "-a", "--reflink=auto", base, where], f"copy the root of {name}")
        (where / "etc/hostname").write_text(f"{name}\n")

    def chroot(self, *command: str) -> str:
        """Before it is booted, with this machine's network."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return run(["chroot", self.root, *command], self.name, env=env)

    def boot(self, log: Path):
        with open(log, "wb") as out:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--directory", self.root, "--register=no", "--keep-unit",
                 f"--network-namespace-path=/run/netns/{self._space}", "--resolv-conf=off",
                 "--hostname", self.name, "--boot"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + 60
        while self._init is None:
            if self._nspawn.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self.name} did not boot:\n{log.read_text(errors='replace')[-3000:]}")
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            self._init = next((int(c) for c in children
                               if Path(f"/proc/{c}/comm").read_text().strip() in ("systemd", "init")), None)
            time.sleep(0.1)
        # degraded: some unit of the base system cannot run in a container, which is not what is tested.
        self.until("the host is up", lambda: self.try_run("systemctl", "is-system-running").strip()
                   in ("running", "degraded"), 90)

    def _enter(self, command) -> list[str]:
        return ["nsenter", "--target", str(self._init), "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
                "--wd", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *command]

    def run(self, *command: str) -> str:
        """Inside, as root. Fails with the output when the command fails."""
        return run(self._enter(command), self.name, timeout=120)

    def try_run(self, *command: str) -> str:
        return subprocess.run(self._enter(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120).stdout

    def sh(self, script: str) -> str:
        return self.run("sh", "-euc", script)

    def until(self, what: str, probe, seconds: float = 60):
        end = time.monotonic() + seconds
        while True:
            seen = probe()
            if seen:
                return seen
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: not within {seconds:g} s: {what}\n" + self.journal())
            time.sleep(0.3)

    def journal(self) -> str:
        if self._init is None:
            return ""
        return self.try_run("journalctl", "--no-pager", "--lines", "60", "--unit", "tocsin*")

    def main_pid(self, unit: str) -> int:
        return int(self.run("systemctl", "show", "--property", "MainPID", "--value", unit))

    def files(self) -> set[str]:
        """Every path of the root but what runs or is cached."""
        out = set()
        for folder, folders, names in os.walk(self.root):
            at = "/" + str(Path(folder).relative_to(self.root)).removeprefix(".")
            at = at.replace("//", "/")
            if at in ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/cache", "/var/log", "/var/tmp"):
                folders.clear()
                continue
            out.update(f"{at.rstrip('/')}/{name}" for name in [*folders, *names])
        return out

    def close(self):
        """SIGTERM to the container's manager halts it; the second way is the hard one."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(40)
            except subprocess.TimeoutExpired:
                print(f"{self.name} had to be killed", file=sys.stderr)
                self._nspawn.kill()
                self._nspawn.wait()
        shutil.rmtree(self.root, ignore_errors=True)
