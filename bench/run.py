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
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True

import prober  # noqa: E402
from installation import BenchWorld, ROOT, Unusable, cpu_seconds, debian_program, monitors  # noqa: E402
from report import entry, print_table  # noqa: E402

from background import free_port  # noqa: E402
from processes import run, until  # noqa: E402

LOAD_S = 5
LOAD_SERIES = 5000
STORE_S = 3


# --- the collector ---

def collector_round(build: Path) -> tuple[float, float]:
    """Results per second acknowledged, and the collector's CPU microseconds for each."""
    target = type("Nothing", (), {"port": free_port()})
    with BenchWorld(build, monitors("tcp", target, LOAD_SERIES), start_agent=False) as world:
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
        program = debian_program("nginx")
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
    cpu = cpu_seconds(pid)
    text = run([debian_program("wrk"), "-t1", f"-c{HTTP_CONNECTIONS}", f"-d{HTTP_ROUND_S}", url])
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="some of http, https, tcp, dns, resumed, capacity, hostile, memory, schedule, "
                                       "collector, requests, streams, with commas between")
    parser.add_argument("--no-peers", action="store_true", help="leave blackbox_exporter and the plugins out")
    args = parser.parse_args()
    build = args.build.resolve()
    entries = []
    def wanted(name: str) -> bool:
        return args.only is None or name in args.only.split(",")

    for kind in prober.KINDS:
        if wanted(kind.name):
            entries += prober.measure_kind(build, kind, args.rounds, not args.no_peers)
    if wanted("resumed"):
        entries += prober.measure_resumed(build, args.rounds)
    if wanted("capacity"):
        entries += prober.measure_capacity(build)
    if wanted("hostile"):
        entries += prober.measure_hostile(build)
    if wanted("memory"):
        entries += prober.measure_memory(build)
    if wanted("schedule"):
        entries += prober.measure_schedule(build)
    if wanted("collector"):
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
    if wanted("requests"):
        entries += measure_requests(build, args.rounds)
    if wanted("streams"):
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
