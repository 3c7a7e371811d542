"""A machine's faults for one program: its wall clock is set, its disk is full, its disk does not sync, it gets no
sockets.

    faults = Faults(build, control_file, state_dir)
    program.env = faults.env
    faults.step_clock(+20); faults.disk_full(); faults.syncs_fail(); faults.heal()

The library (faults.c) is preloaded into the program. `failed()` says how often it has bitten: a scenario that
breaks a disk nobody wrote to has shown nothing.
"""

import errno
import mmap
import struct
from pathlib import Path

FORMAT = struct.Struct("=7q")


def library(build: Path) -> Path:
    return Path(build) / "lib" / "libtocsin_faults.so"


class Faults:
    def __init__(self, build: Path, control: Path, directory: Path):
        control.write_bytes(bytes(FORMAT.size))
        with open(control, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), FORMAT.size)
        self.env = {"LD_PRELOAD": str(library(build).resolve()), "TOCSIN_FAULTS": str(control),
                    "TOCSIN_FAULTS_DIR": str(directory)}

    def _set(self, field: int, value: int):
        struct.pack_into("=q", self._map, field * 8, value)

    def _get(self, field: int) -> int:
        return struct.unpack_from("=q", self._map, field * 8)[0]

    def step_clock(self, seconds: float):
        """From now on the program's wall clock is that far from the machine's."""
        self._set(0, int(seconds * 1e9))

    def syncs_fail(self, error: int = errno.EIO):
        self._set(1, error)

    def disk_full(self, error: int = errno.ENOSPC):
        self._set(2, error)

    def sockets_fail(self, error: int = errno.ENOBUFS):
        """New ones; those that are open go on."""
        self._set(5, error)

    def sockets_failed(self) -> int:
        return self._get(6)

    def failed(self) -> int:
        return self._get(3) + self._get(4)

    def heal(self):
        self._set(1, 0)
        self._set(2, 0)
        self._set(5, 0)
