#!/usr/bin/env python3
"""What the built daemons cost, each beside a floor of the same run.

Agent: for http, https, tcp and dns the real tocsin-agent runs monitors at one check a second each,
under the real collector; its CPU from /proc and its results from /metrics give CPU per check. The
floor is bench/floor/floor_check against the same target, between the agent's windows.
Collector: bench/ingest_load offers results as fast as credit allows; the floor is the SQLite store's
own rate, from bench/store_bench.
HTTP server: bench/http_server_bench under wrk, beside nginx; and one event to 10,000 streams, beside
bench/floor/floor_streams.

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
import urllib.request
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


# --- the HTTP server ---

HTTP_CONNECTIONS = 64
HTTP_ROUND_S = 3
STREAMS = 10000
STREAM_EVENT_BYTES = 206  # Of http_server_bench, with its framing.
EVENTS_PER_ROUND = 5


class LineProgram:
    """A bench program that says lines and does something for each line it is given."""

    def __init__(self, command: list):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        said = self.process.stdout.readline()
        if not said:
            raise Unusable(f"{self.process.args[0]} ended early; what it said is above")
        return said

    def ask(self) -> dict:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.line())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class PlainNginx:
    """nginx with one worker that answers what http_server_bench answers, from its configuration."""

    def __init__(self, body: str):
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            raise SystemExit("nginx is not installed; run: tools/install-deps test")
        self.port = free_port()
        self.dir = Path(tempfile.mkdtemp(prefix="tocsin-bench-http-"))
        (self.dir / "tmp").mkdir()
        (self.dir / "nginx.conf").write_text(
            "daemon off; master_process off; pid nginx.pid; error_log error.log warn;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; client_body_temp_path tmp; proxy_temp_path tmp;\n"
            "  fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;\n"
            "  keepalive_requests 1000000000; default_type application/json;\n"
            f"  server {{ listen 127.0.0.1:{self.port} backlog=4096;\n"
            f"    location / {{ return 200 '{body}'; }} }} }}\n")
        self.process = subprocess.Popen(
            [program, "-p", self.dir, "-e", "error.log", "-c", "nginx.conf"])

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def wrk(pid: int, url: str) -> tuple[float, float]:
    """Requests per second, and CPU microseconds of that process for each."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed; run: tools/install-deps test")
    cpu = cpu_seconds(pid)
    text = run([program, "-t1", f"-c{HTTP_CONNECTIONS}", f"-d{HTTP_ROUND_S}", url])
    cpu = cpu_seconds(pid) - cpu
    if "Non-2xx" in text or "Socket errors" in text:
        raise Unusable(text)
    words = next(line.split() for line in text.splitlines() if " requests in " in line)
    done, seconds = int(words[0]), float(words[3].rstrip("s,"))
    return done / seconds, cpu / done * 1e6


def measure_requests(build: Path, rounds: int) -> list[dict]:
    ours, floors = [], []
    with LineProgram([build / "bin" / "http_server_bench", "rest"]) as server:
        url = f"http://127.0.0.1:{int(server.line())}/api/v1/monitors/shop"
        with urllib.request.urlopen(url, timeout=5) as answer:
            nginx = PlainNginx(answer.read().decode())
        try:
            floor_url = f"http://127.0.0.1:{nginx.port}/"
            until("nginx answers", lambda: urllib.request.urlopen(floor_url, timeout=1).status == 200,
                  10)
            for _ in range(rounds):
                ours.append(wrk(server.process.pid, url))
                floors.append(wrk(nginx.process.pid, floor_url))
                print(f"  requests: {ours[-1][0]:.0f}/s, {ours[-1][1]:.2f} us CPU each; nginx "
                      f"{floors[-1][0]:.0f}/s, {floors[-1][1]:.2f} us", flush=True)
        finally:
            nginx.close()
    # The machine's best round: the others had less of the machine.
    rate, floor_rate = max(r for r, _ in ours), max(r for r, _ in floors)
    cpu, floor_cpu = (statistics.median(c for _, c in side) for side in (ours, floors))
    return [entry("PERF-10", "requests, JSON, one thread", rate, "1/s", "nginx", floor_rate,
                  70000, rate >= 70000),
            entry("PERF-10", "requests, CPU for each", cpu, "us", "nginx", floor_cpu)]


def measure_streams(build: Path, rounds: int) -> list[dict]:
    streams_program = build / "bin" / "floor_streams"
    with LineProgram([build / "bin" / "http_server_bench", "streams", STREAMS]) as ours, \
            LineProgram([streams_program, "serve", STREAMS, STREAM_EVENT_BYTES]) as floor:
        with LineProgram([streams_program, "read", STREAMS, int(ours.line())]) as our_readers, \
                LineProgram([streams_program, "read", STREAMS, int(floor.line())]) as floor_readers:
            held = json.loads(ours.line())["rss_bytes_each"]
            floor.line()
            our_readers.line()
            floor_readers.line()
            sides = {"ours": (ours, []), "floor": (floor, [])}
            for _ in range(rounds * EVENTS_PER_ROUND):
                for program, costs in sides.values():
                    said = program.ask()
                    if said["behind"]:
                        raise Unusable(f"{said['behind']} readers were behind")
                    costs.append(said)
                    time.sleep(0.2)  # The readers take what they were sent.
    cpu, floor_cpu = (statistics.median(c["cpu_us"] for c in costs) / 1e3
                      for _, costs in sides.values())
    wall, floor_wall = (statistics.median(c["wall_us"] for c in costs) / 1e3
                        for _, costs in sides.values())
    print(f"  streams: {held:.0f} bytes each; one event to all {cpu:.1f} ms CPU, raw send "
          f"{floor_cpu:.1f}; {wall:.1f} ms and {floor_wall:.1f} by the clock", flush=True)
    return [entry("PERF-10", "10,000 streams, RSS of each", held, "bytes", "4 KiB", 4096, 4096,
                  held <= 4096),
            entry("PERF-10", "one event to 10,000 streams", cpu, "ms CPU", "send(2) alone",
                  floor_cpu, 1.25, cpu <= 1.25 * floor_cpu)]


# --- the report ---

def entry(ident: str, what: str, value: float, unit: str, against: str, floor: float,
          target: float | None = None, met: bool | None = None) -> dict:
    """A target is in the value's unit, or a ratio to the floor when it says so in the document."""
    return {"id": ident, "what": what, "value": round(value, 2), "unit": unit,
            "against": f"{against}: {floor:.4g} {unit}", "ratio": round(value / floor, 3),
            "target": target, "met": met}


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
    parser.add_argument("--only", help="http, https, tcp, dns, collector, requests or streams")
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
    if args.only in (None, "requests"):
        entries += measure_requests(build, args.rounds)
    if args.only in (None, "streams"):
        entries += measure_streams(build, args.rounds)
    print_table(entries)
    if args.out:
        args.out.write_text(json.dumps(entries, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as error:
        sys.exit(f"bench: {error}")
