#!/usr/bin/env python3
"""What the built daemons cost, each beside a floor of the same run.

Agent: for http, https, tcp and dns the real tocsin-agent runs monitors at one check a second each,
under the real collector; its CPU from /proc and its results from /metrics give CPU per check. The
floor is bench/floor/floor_check against the same target, between the agent's windows.
Collector: bench/ingest_load offers results as fast as credit allows; the floor is the SQLite store's
own rate, from bench/store_bench.

Ratios count, not absolute figures: both sides share the machine, whatever else it is doing. Exits
non-zero when a check failed or a result was refused, because then the figure means nothing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from background import free_port  # noqa: E402
from processes import run, until  # noqa: E402
from world import World  # noqa: E402

WARM_S = 5.0
WINDOW_S = 6.0
CONCURRENCY = 64  # Of the floor's closed loop.
TARGET_ADDRESSES = 16  # bench/floor/addresses.h
LOAD_S = 5
LOAD_SERIES = 5000
STORE_S = 3


class Unusable(Exception):
    """The run measured something else than it should have."""


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
    """nginx with one worker, TLS 1.3 and a P-256 certificate of its own."""

    def __init__(self):
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            raise SystemExit("nginx is not installed; run: tools/install-deps test")
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
            [program, "-p", self.dir, "-e", "error.log", "-c", "nginx.conf"])

    def close(self):
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


# --- installations ---

@dataclass
class BenchMonitor:
    key: str
    fields: list[str]

    def yaml(self) -> str:
        lines = [f"  - key: {self.key}", f"    name: {self.key}", *(f"    {f}" for f in self.fields),
                 "    interval: 1s", "    retries: 0", "    service: web"]
        return "\n".join(lines) + "\n"


def monitors(kind: str, target, count: int) -> list[BenchMonitor]:
    return [BenchMonitor(f"m{i}", monitor_fields(kind, target, i % TARGET_ADDRESSES))
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

    def __init__(self, build: Path, wanted: list[BenchMonitor], start_agent: bool):
        super().__init__(build, wanted, regions=["eu-west"] if start_agent else [], log="warning")
        self.region = "eu-west"
        self.endpoint = f"tcp://127.0.0.1:{self.agents_port}"
        os.environ["TOCSIN_COLLECTOR_ENDPOINTS"] = f"[\"{self.endpoint}\"]"
        # All monitors have one target; the default spares targets, which is not what is measured.
        os.environ["TOCSIN_MAX_IN_FLIGHT_PER_TARGET"] = "1000"

    def write_monitors(self):
        regions, self.regions = self.regions, [self.region]
        super().write_monitors()
        self.regions = regions


def cpu_seconds(pid: int) -> float:
    """Of all threads, from the scheduler's own count in nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


# --- the agent ---

@dataclass
class Kind:
    id: str
    name: str
    monitors: int
    floor_checks: int


# As many checks a second as one core can also serve; a TLS handshake costs both sides the most.
KINDS = [Kind("PERF-1", "http", 800, 15000), Kind("PERF-3", "https", 300, 1500),
         Kind("PERF-4", "tcp", 800, 15000), Kind("PERF-4", "dns", 800, 15000)]


def agent_window(agent) -> float:
    """CPU microseconds per result over one window; every result must be `up`."""
    pid = agent.program.process.pid
    before, cpu = agent.metrics(), cpu_seconds(pid)
    time.sleep(WINDOW_S)
    cpu, after = cpu_seconds(pid) - cpu, agent.metrics()
    done = after["tocsin_agent_results_total"] - before["tocsin_agent_results_total"]
    good = [m['tocsin_agent_results_total{outcome="up"}'] for m in (before, after)]
    if done <= 0 or good[1] - good[0] != done:
        raise Unusable(f"{done:.0f} results, of which up: {good[1] - good[0]:.0f}")
    return cpu / done * 1e6


def floor_run(build: Path, kind: Kind, target) -> float:
    command = [str(build / "bin" / "floor_check"), kind.name, str(target.port),
               str(kind.floor_checks), str(CONCURRENCY)]
    if kind.name == "https":
        command.append(str(target.ca))
    said = json.loads(run(command))
    return said["cpu_s"] / said["done"] * 1e6


def measure_agent(build: Path, kind: Kind, rounds: int) -> tuple[float, float]:
    target = TlsTarget() if kind.name == "https" else FloorTarget(
        build, "dns" if kind.name == "dns" else "http")
    ours, floors = [], []
    try:
        with BenchWorld(build, monitors(kind.name, target, kind.monitors), True) as world:
            agent = world.agents["agent-1"]
            until("every series is queued", lambda: agent.metrics().get(
                "tocsin_agent_queue_series", 0) >= kind.monitors, 30)
            time.sleep(WARM_S)
            for _ in range(rounds):
                ours.append(agent_window(agent))
                floors.append(floor_run(build, kind, target))
                # What the floor delayed is over before the next window.
                time.sleep(0.5)
    finally:
        target.close()
    return statistics.median(ours), statistics.median(floors)


# --- the collector ---

def collector_round(build: Path) -> tuple[float, float]:
    """Results per second acknowledged, and the collector's CPU microseconds for each."""
    target = type("Nothing", (), {"port": free_port()})
    with BenchWorld(build, monitors("tcp", target, LOAD_SERIES), False) as world:
        agent = world.enrol("agent-1", world.region)
        load = subprocess.Popen(
            [build / "bin" / "ingest_load", agent.state / "identity.yaml", world.endpoint,
             str(LOAD_SERIES), str(LOAD_S)], stdout=subprocess.PIPE, text=True)
        try:
            if load.stdout.readline() != "started\n":
                raise Unusable("ingest_load did not start; what it said is above")
            pid = world.collector.process.pid
            cpu = cpu_seconds(pid)
            last = load.stdout.readline()
            cpu = cpu_seconds(pid) - cpu
        finally:
            load.kill()
            load.wait()
            load.stdout.close()
        if not last:
            raise Unusable("ingest_load failed; what it said is above")
        said = json.loads(last)
        # Its metrics are a snapshot that may be a moment older than the last acknowledgement.
        until("every acknowledged result is counted as stored",
              lambda: world.collector_metrics()["tocsin_engine_results_total"] == said["done"], 10)
    return said["done"] / said["seconds"], cpu / said["done"] * 1e6


def store_rates(build: Path) -> tuple[float, float]:
    """The best rate of the SQLite store by itself, and the CPU microseconds per result there."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-store-") as base:
        text = run([str(build / "bin" / "store_bench"), f"{base}/s", str(LOAD_SERIES), str(STORE_S)],
                   180)
    rows = [line.split() for line in text.splitlines()[2:]]
    best = max(rows, key=lambda row: float(row[1]))
    return float(best[1]), float(best[3])


# --- the report ---

def entry(ident: str, what: str, value: float, unit: str, against: str, floor: float) -> dict:
    return {"id": ident, "what": what, "value": round(value, 2), "unit": unit,
            "against": f"{against}: {floor:.4g} {unit}", "ratio": round(value / floor, 3),
            "target": None, "met": None}


def print_table(entries: list[dict]):
    print(f"{'id':<7} {'what':<31} {'value':>9} {'unit':<9} {'ratio':>6}  against")
    for e in entries:
        print(f"{e['id']:<7} {e['what']:<31} {e['value']:>9.1f} {e['unit']:<9} {e['ratio']:>6.2f}  "
              f"{e['against'].split(':')[0]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="http, https, tcp, dns or collector")
    args = parser.parse_args()
    build = args.build.resolve()
    entries = []
    for kind in KINDS:
        if args.only not in (None, kind.name):
            continue
        ours, floor = measure_agent(build, kind, args.rounds)
        print(f"  {kind.name}: {ours:.1f} us CPU per check, floor {floor:.1f}", flush=True)
        entries.append(entry(kind.id, f"agent, CPU per {kind.name} check", ours,
                             "us", "floor_check", floor))
    if args.only in (None, "collector"):
        rounds = []
        for _ in range(args.rounds):
            rounds.append(collector_round(build))
            print(f"  collector: {rounds[-1][0]:.0f} results/s, {rounds[-1][1]:.1f} us CPU each",
                  flush=True)
        rate = statistics.median(r[0] for r in rounds)
        cpu = statistics.median(r[1] for r in rounds)
        store_rate, store_cpu = store_rates(build)
        entries.append(entry("PERF-6", "collector, results stored", rate, "results/s",
                             "SQLite store alone", store_rate))
        entries.append(entry("PERF-6", "collector, CPU per result", cpu, "us",
                             "SQLite store alone", store_cpu))
    print_table(entries)
    if args.out:
        args.out.write_text(json.dumps(entries, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as error:
        sys.exit(f"bench: {error}")
