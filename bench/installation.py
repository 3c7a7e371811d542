"""What benchmarks install and aim at: the real daemons, targets that answer at once, and where CPU time is read."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from background import free_port  # noqa: E402
from processes import run  # noqa: E402
from world import World  # noqa: E402

TARGET_ADDRESSES = 16  # bench/floor/addresses.h


class Unusable(Exception):
    """The run measured something else than it should have."""


def debian_program(name: str) -> str:
    """Its path; without it the end, with what installs it."""
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/lib/nagios/plugins")
    if path is None:
        raise SystemExit(f"{name} is not installed; run: tools/install-deps test bench")
    return path


def cpu_seconds(pid: int) -> float:
    """Of all threads, from the scheduler's own count in nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


# --- targets ---

class FloorTarget:
    """bench/floor/floor_target: answers at once."""

    def __init__(self, build: Path, kind: str):
        self._process = subprocess.Popen([build / "bin" / "floor_target", kind],
                                         stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class TlsTarget:
    """nginx with one worker, TLS 1.3 with tickets, and a P-256 certificate of its own."""

    def __init__(self):
        self.port = free_port()
        self.dir = Path(tempfile.mkdtemp(prefix="tocsin-bench-tls-"))
        (self.dir / "tmp").mkdir()
        self.ca = self.dir / "cert.pem"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", str(self.dir / "key.pem"), "-out", str(self.ca), "-days", "30",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        (self.dir / "nginx.conf").write_text(
            "daemon off; worker_processes 1; pid nginx.pid; error_log error.log warn;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; client_body_temp_path tmp; proxy_temp_path tmp;\n"
            "  fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;\n"
            f"  server {{ listen 127.0.0.1:{self.port} ssl backlog=4096;\n"
            "    ssl_certificate cert.pem; ssl_certificate_key key.pem;\n"
            "    location / { return 200 \"ok\"; } } }\n")
        self._process = subprocess.Popen(
            [debian_program("nginx"), "-p", self.dir, "-e", "error.log", "-c", "nginx.conf"])

    def close(self):
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


# --- installations ---

@dataclass
class BenchMonitor:
    key: str
    fields: list[str]
    interval: str = "1s"

    def yaml(self) -> str:
        lines = [f"  - key: {self.key}", f"    name: {self.key}", *(f"    {f}" for f in self.fields),
                 f"    interval: {self.interval}", "    retries: 0", "    service: web"]
        return "\n".join(lines) + "\n"


def monitors(kind: str, target, count: int, more=()) -> list[BenchMonitor]:
    return [BenchMonitor(f"m{i}", [*monitor_fields(kind, target, i % TARGET_ADDRESSES), *more])
            for i in range(count)]


def monitor_fields(kind: str, target, turn: int) -> list[str]:
    if kind == "tcp":
        return ["type: tcp", f"host: 127.0.0.{1 + turn}", f"port: {target.port}"]
    if kind == "dns":
        return ["type: dns", "host: bench.test", "record: A", f"resolver: 127.0.0.1:{target.port}"]
    if kind == "http":
        return ["type: http", f"url: http://127.0.0.{1 + turn}:{target.port}/"]
    return ["type: http", f"url: https://127.0.0.1:{target.port}/", "ca: |",
            *("  " + line for line in target.ca.read_text().splitlines())]


class BenchWorld(World):
    """One region and its agent, which speaks to the collector without a proxy between."""

    def __init__(self, build: Path, wanted: list, start_agent: bool = True):
        super().__init__(build, wanted, regions=["eu-west"] if start_agent else [], log="warning")
        self.region = "eu-west"
        self.endpoint = f"tcp://127.0.0.1:{self.agents_port}"
        os.environ["TOCSIN_COLLECTOR_ENDPOINTS"] = f"[\"{self.endpoint}\"]"
        # All monitors have one target; the default spares targets, which is not what is measured.
        os.environ["TOCSIN_MAX_IN_FLIGHT_PER_TARGET"] = "1000"

    @property
    def agent(self):
        return self.agents["agent-1"]

    def write_monitors(self):
        regions, self.regions = self.regions, [self.region]
        super().write_monitors()
        self.regions = regions
