"""The agent: what a check costs beside a floor and beside its peers, how many checks a core carries, and how late
they start."""

import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from installation import (ROOT, BenchMonitor, BenchWorld, FloorTarget, TlsTarget, Unusable, cpu_seconds,
                          debian_program, monitor_fields, monitors)
from report import Pairs, bounded, paired

sys.path.insert(0, str(ROOT / "tests" / "support"))
import hostile_targets as hostile  # noqa: E402
from background import free_port  # noqa: E402
from processes import get, run, until  # noqa: E402
from truth import fields  # noqa: E402

WARM_S = 5.0
WINDOW_S = 5.0
CONCURRENCY = 64  # Of the floor's closed loop.
PACED_S = 3  # Of the floor at the agent's pace.


@dataclass
class Kind:
    id: str
    name: str
    monitors: int  # Each once a second.
    floor_checks: int
    target: float  # Of the ratio to the floor.


# As many checks a second as the other core can also serve; a TLS handshake costs both sides the most.
KINDS = [Kind("PERF-1", "http", 3000, 15000, 1.25), Kind("PERF-3", "https", 600, 1500, 1.05),
         Kind("PERF-4", "tcp", 3000, 15000, 1.25), Kind("PERF-4", "dns", 3000, 15000, 1.4)]


def target_of(build: Path, kind: str):
    if kind == "https":
        return TlsTarget()
    return FloorTarget(build, "dns" if kind == "dns" else "http")


def wait_queued(world: BenchWorld, count: int):
    until("every series is queued",
          lambda: world.agent.metrics().get("tocsin_agent_queue_series", 0) >= count, 60)


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


# --- others that do the same check ---

def floor_cost(build: Path, kind: Kind, target, paced: bool = False) -> float:
    """In a closed loop, or as many checks a second as the agent makes."""
    count, load = (kind.monitors * PACED_S, f"{kind.monitors}/s") if paced else (kind.floor_checks, str(CONCURRENCY))
    command = [str(build / "bin" / "floor_check"), kind.name, str(target.port), str(count), load]
    if kind.name == "https":
        command.append(str(target.ca))
    said = json.loads(run(command))
    return said["cpu_s"] / said["done"] * 1e6


class BlackboxExporter:
    """Debian's, on one processor as Go counts them, asked by wrk with 16 connections."""

    MODULES = {"http": "http_2xx", "https": "https_2xx", "tcp": "tcp_connect", "dns": "dns_a"}

    def __init__(self, kind: str, target):
        self.port = free_port()
        self._dir = tempfile.TemporaryDirectory(prefix="tocsin-bench-blackbox-")
        config = Path(self._dir.name) / "blackbox.yml"
        ca = f", tls_config: {{ca_file: {target.ca}}}" if kind == "https" else ""
        config.write_text(
            "modules:\n"
            "  http_2xx: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}\n"
            f"  https_2xx: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4{ca}}}}}\n"
            "  tcp_connect: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4}}\n"
            "  dns_a: {prober: dns, timeout: 5s, dns: {query_name: bench.test, query_type: A,\n"
            "    preferred_ip_protocol: ip4}}\n")
        self._process = subprocess.Popen(
            [debian_program("prometheus-blackbox-exporter"), f"--config.file={config}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"],
            env={"GOMAXPROCS": "1", "PATH": "/usr/bin:/bin"})
        scheme = {"http": "http://", "https": "https://"}.get(kind, "")
        self._path = f"/probe?module={self.MODULES[kind]}&target={scheme}127.0.0.1:{target.port}"
        until("the exporter's probe succeeds", self._succeeds, 20)

    def _succeeds(self) -> bool:
        try:
            status, body = get(self.port, self._path)
        except OSError:
            return False
        return status == 200 and b"\nprobe_success 1\n" in body

    def cost(self) -> float:
        if not self._succeeds():
            raise Unusable("the exporter's probe fails")
        cpu = cpu_seconds(self._process.pid)
        text = run([debian_program("wrk"), "-t1", "-c16", "-d3", f"http://127.0.0.1:{self.port}{self._path}"])
        cpu = cpu_seconds(self._process.pid) - cpu
        words = next(line.split() for line in text.splitlines() if " requests in " in line)
        return cpu / int(words[0]) * 1e6

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._dir.cleanup()


def plugin_command(kind: str, target) -> list[str]:
    """Of monitoring-plugins, one process for each check."""
    port = str(target.port)
    if kind == "http":
        return [debian_program("check_http"), "-I", "127.0.0.1", "-p", port, "-u", "/"]
    if kind == "https":
        return [debian_program("check_http"), "-I", "127.0.0.1", "-p", port, "-S", "-u", "/"]
    return [debian_program("check_tcp"), "-H", "127.0.0.1", "-p", port]


def plugin_cost(command: list[str], count: int = 100) -> float:
    def used() -> float:
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime

    before = used()
    for _ in range(count):
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            raise Unusable(f"{command[0]} failed")
    return (used() - before) / count * 1e6


PACED = "floor_check, same pace"


def measure_kind(build: Path, kind: Kind, rounds: int, peers: bool) -> list[dict]:
    target = target_of(build, kind.name)
    exporter = None
    ours: list[float] = []
    others: dict[str, list[float]] = {"floor_check": [], PACED: []}
    try:
        if peers:
            exporter = BlackboxExporter(kind.name, target)
            others["blackbox_exporter"] = []
            if kind.name != "dns":
                others["monitoring plugin"] = []
        with BenchWorld(build, monitors(kind.name, target, kind.monitors)) as world:
            wait_queued(world, kind.monitors)
            time.sleep(WARM_S)
            for _ in range(rounds):
                ours.append(agent_window(world.agent))
                others["floor_check"].append(floor_cost(build, kind, target))
                others[PACED].append(floor_cost(build, kind, target, paced=True))
                if exporter is not None:
                    others["blackbox_exporter"].append(exporter.cost())
                if "monitoring plugin" in others:
                    others["monitoring plugin"].append(plugin_cost(plugin_command(kind.name, target)))
                # What the others delayed is over before the next window.
                time.sleep(0.5)
    finally:
        if exporter is not None:
            exporter.close()
        target.close()
    print(f"  {kind.name}: {statistics.median(ours):.1f} us CPU per check; " +
          ", ".join(f"{name} {statistics.median(costs):.1f}" for name, costs in others.items()), flush=True)
    what = f"agent, CPU per {kind.name} check"
    out = [paired(kind.id, what, "us", "floor_check", Pairs(ours, others.pop("floor_check")), kind.target),
           paired(kind.id, what, "us", PACED, Pairs(ours, others.pop(PACED)))]
    wanted = {"blackbox_exporter": 9.0, "monitoring plugin": 36.0} if kind.name == "http" else {}
    for name, costs in others.items():
        out.append(paired("PERF-2", f"{kind.name}, times the CPU", "us", name, Pairs(ours, costs),
                          wanted.get(name), at_least=True))
    return out


def measure_resumed(build: Path, rounds: int) -> list[dict]:
    """A resumed session beside a full handshake: half of the monitors each, in turns."""
    kind = KINDS[1]
    target = TlsTarget()
    pairs = Pairs([], [])
    try:
        for _ in range(rounds):
            for more, costs in ((["connection: resume"], pairs.ours), ([], pairs.floor)):
                with BenchWorld(build, monitors("https", target, kind.monitors, more)) as world:
                    wait_queued(world, kind.monitors)
                    time.sleep(WARM_S)
                    costs.append(agent_window(world.agent))
    finally:
        target.close()
    return [paired("PERF-3", "https, resumed session", "us", "a full handshake", pairs, 0.62)]


# --- how many, and how late ---

def queue_us(world: BenchWorld, monitor_prefix: str, since_us: int) -> list[int]:
    """The lateness of each stored result of those monitors, from slot to start, in microseconds."""
    truth = world.truth()
    wanted = {s.id for s in truth.series() if s.monitor.startswith(monitor_prefix)}
    out = []
    for row in truth.rows("SELECT series, result FROM results"):
        if row["series"] not in wanted:
            continue
        f = fields(bytes(row["result"]))
        if f.get(7, [0])[0] >= since_us:
            out.append(f.get(8, [0])[0])
    return sorted(out)


def percentile(values: list[int], p: float) -> float:
    if not values:
        raise Unusable("no results")
    return values[min(len(values) - 1, int(len(values) * p))]


def missed(agent) -> float:
    return agent.metrics().get("tocsin_agent_queue_missed_total", 0)


CAPACITY = 13000
HANGING_SHARE = 0.05


def measure_capacity(build: Path) -> list[dict]:
    """13,000 checks a second; then 70 % of it with every twentieth target hanging."""
    target = FloorTarget(build, "http")
    silent = socket.create_server(("127.0.0.1", 0), backlog=4096)  # Nobody accepts.
    out = []
    try:
        with BenchWorld(build, monitors("http", target, CAPACITY)) as world:
            wait_queued(world, CAPACITY)
            time.sleep(WARM_S)
            before, gone, cpu = world.agent.metrics(), missed(world.agent), cpu_seconds(world.agent.program.process.pid)
            began = time.monotonic()
            time.sleep(2 * WINDOW_S)
            cpu = cpu_seconds(world.agent.program.process.pid) - cpu
            took = time.monotonic() - began
            gone = missed(world.agent) - gone
            done = world.agent.metrics()["tocsin_agent_results_total"] - before["tocsin_agent_results_total"]
            print(f"  capacity: {done / took:.0f} checks/s, {gone:.0f} missed, {cpu / took * 100:.0f} % of a core",
                  flush=True)
            rate = bounded("PERF-5", "http checks a second", done / took, "1/s", None)
            rate["target"], rate["met"] = CAPACITY, done / took >= 0.99 * CAPACITY and gone == 0
            out.append(rate)
        count = int(0.7 * CAPACITY)
        wanted = monitors("http", target, count)
        for i in range(0, count, int(1 / HANGING_SHARE)):
            wanted[i] = BenchMonitor(f"x{i}", ["type: http", f"url: http://127.0.0.1:{silent.getsockname()[1]}/",
                                               "timeout: 900ms"])
        with BenchWorld(build, wanted) as world:
            wait_queued(world, count)
            time.sleep(WARM_S)
            since = int(time.time() * 1e6)
            time.sleep(2 * WINDOW_S)
            late = queue_us(world, "m", since)
            print(f"  lateness at 70 %: {len(late)} checks, median {percentile(late, 0.5) / 1e3:.2f} ms, "
                  f"p99 {percentile(late, 0.99) / 1e3:.2f} ms", flush=True)
            out.append(bounded("PERF-5", "p99 start lateness, 70 % load", percentile(late, 0.99) / 1e3, "ms", 10))
    finally:
        silent.close()
        target.close()
    return out


def measure_hostile(build: Path) -> list[dict]:
    """4,000 honest monitors and 1,000 hostile ones, each every 30 s: when do the honest ones start?"""
    honest, hostiles = 4000, 1000
    with hostile.Server(each=-(-hostiles // len(hostile.KINDS))) as server:
        target = FloorTarget(build, "http")
        wanted = [BenchMonitor(f"h{i:05}", [*monitor_fields("http", target, i % 16), "timeout: 5s"], "30s")
                  for i in range(honest)]
        for i in range(hostiles):
            kind = hostile.KINDS[i % len(hostile.KINDS)]
            url = hostile.url(kind, server.port, i // len(hostile.KINDS))
            wanted.append(BenchMonitor(f"x{i:05}", ["type: http", f"url: {url}", "timeout: 5s"], "30s"))
        try:
            with BenchWorld(build, wanted) as world:
                wait_queued(world, honest + hostiles)
                since = int(time.time() * 1e6)
                time.sleep(65)
                gone = missed(world.agent)
                late = queue_us(world, "h", since)
        finally:
            target.close()
    print(f"  hostile: {len(late)} honest checks, median {percentile(late, 0.5) / 1e3:.2f} ms, "
          f"p99 {percentile(late, 0.99) / 1e3:.2f} ms, {gone:.0f} missed", flush=True)
    return [bounded("", "p99 start lateness beside hostile targets", percentile(late, 0.99) / 1e3, "ms", 250)]


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def measure_memory(build: Path) -> list[dict]:
    """What a monitor costs the agent, from two sizes; the strings of a monitor are taken off."""
    sizes, held, strings = (2000, 42000), [], 0
    target = FloorTarget(build, "http")
    try:
        for count in sizes:
            wanted = [BenchMonitor(f"m{i}", monitor_fields("http", target, i % 16), "24h") for i in range(count)]
            strings = len(f"http://127.0.0.1:{target.port}/")
            with BenchWorld(build, wanted) as world:
                wait_queued(world, count)
                time.sleep(WARM_S)
                held.append(rss(world.agent.program.process.pid))
    finally:
        target.close()
    each = (held[1] - held[0]) / (sizes[1] - sizes[0]) - strings
    print(f"  memory: {held[0] >> 20} MiB with {sizes[0]} monitors, {held[1] >> 20} MiB with {sizes[1]}", flush=True)
    return [bounded("PERF-8", "agent, memory of one monitor", each, "bytes", 512)]


def measure_schedule(build: Path) -> list[dict]:
    said = json.loads(run([str(build / "bin" / "schedule_bench")]))
    print(f"  schedule: {said['slot_ns']} ns per slot, {said['timer_ns']} ns to put a timer off, "
          f"{said['timer_move_ns']} ns when its old moment comes, of {said['count']}",
          flush=True)
    return [bounded("PERF-9", "scheduling one slot of a million", said["slot_ns"] / 1e3, "us", 0.5),
            bounded("PERF-9", "arming one of a million timers again", said["timer_ns"], "ns", 100),
            bounded("PERF-9", "the same, when its old moment comes", said["timer_move_ns"], "ns", None)]
