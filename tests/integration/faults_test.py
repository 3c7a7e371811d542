#!/usr/bin/env python3
"""Faults of every kind, one after the other, over a running system under load: kills, stops, cuts, half-open
and torn connections, delay, full disks, disks that do not sync, clocks that are set. Readers ask the API and
the page all the time, targets come and go. After each fault the system must be whole again by itself; at the
end every slot is accounted for, no tick counts twice, every page came, and nobody was paged for the target
that was always up.

    tests/integration/faults_test.py --build build/dev [--minutes 3] [--seed N] [--monitors 40]

The seed is printed; the same seed makes the same plan of faults.
"""

import http.client
import os
import random
import signal
import sys
import threading
import time
import unittest
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
import kills_test  # noqa: E402
import oracle  # noqa: E402
import target as targets  # noqa: E402
from processes import get, until  # noqa: E402
from world import World, arguments, now_ms  # noqa: E402

ARGS = arguments(__doc__, seed=(int, 0), minutes=(float, 1.0), monitors=(int, 40))

# An agent whose clock was ahead waits until its next slot comes (clock() sets it by 40 s at most), and writes nothing.
USED_S = 60
RECOVERY_S = 60  # Then it has not recovered; how fast it did is printed.
KINDS = ("kill", "stop", "cut", "silence", "delay", "torn", "disk_full", "sync_error", "clock")
# What a slot may be wrong by around a clock that was set: the step is seen within 3 s (the agent's look at the
# machine), and results of the time between are refused as of the future or belong to other slots.
CLOCK_MARGIN_MS = 5_000


@dataclass
class Log:
    """What was done, and what it took to come back."""

    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    recoveries_s: list[float] = field(default_factory=list)
    ack: list[dict[float, float]] = field(default_factory=list)  # Buckets of lives that ended.
    commit: list[dict[float, float]] = field(default_factory=list)
    clocks: list[tuple[int, int]] = field(default_factory=list)  # Times that clocks were wrong in.
    bites: int = 0  # Writes and syncs that were failed.


def buckets(metrics: dict[str, float], name: str) -> dict[float, float]:
    """Upper end in seconds -> how many were at most that."""
    out = {}
    for key, value in metrics.items():
        if key.startswith(name + '_bucket{') and 'le="' in key:
            out[float(key.split('le="')[1].split('"')[0].replace("+Inf", "inf"))] = value
    return out


def quantile(many: list[dict[float, float]], q: float) -> tuple[float, int]:
    """(upper end of the bucket that holds it, how many there were)."""
    total = {}
    for one in many:
        for end, count in one.items():
            total[end] = total.get(end, 0) + count
    count = total.get(float("inf"), 0)
    return next((end for end in sorted(total) if total[end] >= q * count), float("inf")), int(count)


class Readers:
    """People who look all the time: the page, the lists, and events that nobody reads."""

    PATHS = ("/status/demo", "/status/demo.json", "/readyz", "/metrics")

    def __init__(self, port: int):
        self.port, self.answers, self.stop = port, 0, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(3)]
        for thread in self.threads:
            thread.start()

    def run(self, number: int):
        while not self.stop.wait(0.05):
            try:
                get(self.port, self.PATHS[number % len(self.PATHS)], 3)
                self.answers += 1
            except (OSError, http.client.HTTPException):
                pass  # It is being broken on purpose.
            number += 1

    def close(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Faults(unittest.TestCase):
    settle = kills_test.Kills.settle

    def test_the_system_is_whole_after_every_fault(self):
        seed = ARGS.seed or int.from_bytes(os.urandom(4), "big")
        rng = random.Random(seed)
        print(f"seed {seed}, {ARGS.minutes:g} minutes", flush=True)
        world = World(ARGS.build, faults=True)
        flapping = [world.add_target() for _ in range(3)]
        # Those of the target that is always up are called s.., with time for a busy machine.
        world.monitors = [
            configs.Monitor(f"m{n:02}", url=flapping[n % 3].url, interval="1s") if n % 2 else
            configs.Monitor(f"s{n:02}", url=world.target.url, interval="2s", timeout="1900ms")
            for n in range(ARGS.monitors)]
        log = Log()
        with world:
            world.wait_first_results()
            readers = Readers(world.api_port)
            begin = now_ms()
            try:
                self.break_things(world, rng, flapping, log)
            finally:
                readers.close()
            for target in flapping:
                target.set(targets.UP)
            self.settle(world)
            self.judge(world, begin, log, readers.answers)

    # --- the faults ---

    def break_things(self, world, rng, flapping, log):
        end = time.monotonic() + ARGS.minutes * 60
        plan = []
        while time.monotonic() < end or plan:
            if not plan:  # Every kind once a round, in another order each time.
                plan = rng.sample(KINDS, len(KINDS))
            kind = plan.pop()
            for target in flapping:
                if rng.random() < 0.3:
                    target.set(targets.UP if target.mode != targets.UP else
                               rng.choice([targets.REFUSING, targets.ERROR, targets.RESETTING]))
            victim = rng.choice([None] + list(world.agents.values()))  # None: the collector.
            if victim is None and kind in ("cut", "silence", "delay", "torn"):
                victim = rng.choice(list(world.agents.values()))
            name = "collector" if victim is None else victim.name
            print(f"  {kind} {name}", end="", flush=True)
            getattr(self, kind)(world, rng, victim, log)
            healed = time.monotonic()
            self.whole(world)
            took = time.monotonic() - healed
            log.faults[kind] += 1
            log.recoveries_s.append(took)
            print(f": whole after {took:.1f} s", flush=True)

    def whole(self, world):
        """Everything runs, no agent is behind, and every region's results of now are committed."""
        world.wait_ready(RECOVERY_S)
        world.wait_live(len(world.agents), RECOVERY_S)

        def fresh() -> bool:
            for agent in world.agents.values():
                m = agent.metrics()
                if m.get("tocsin_agent_spool_degraded") or m.get("tocsin_agent_spool_results", 1e9) > 200:
                    return False
            rows = world.truth().rows("SELECT region, max(tick * interval_ms + phase_ms) AS newest "
                                      "FROM results JOIN series USING (series) GROUP BY region")
            return len(rows) == len(world.agents) and min(r["newest"] for r in rows) > now_ms() - 3_000

        until("every region's results are of now", fresh, RECOVERY_S, 0.1)

    def keep_counts(self, world, victim, log):
        """What a life has measured, before it ends."""
        try:
            if victim is None:
                log.commit.append(buckets(world.collector_metrics(), "tocsin_store_commit_seconds"))
            else:
                log.ack.append(buckets(victim.metrics(), "tocsin_agent_ack_seconds"))
        except OSError:
            pass

    def kill(self, world, rng, victim, log):
        self.keep_counts(world, victim, log)
        program = world.collector if victim is None else victim.program
        program.check()
        program.kill()
        time.sleep(rng.uniform(0, 1.5))
        if victim is None:
            world.start_collector()
        else:
            victim.start()

    def stop(self, world, rng, victim, log):
        program = world.collector if victim is None else victim.program
        program.check()
        program.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(rng.uniform(0.5, 12))
        finally:
            program.process.send_signal(signal.SIGCONT)

    def cut(self, world, rng, victim, log):
        victim.proxy.cut()
        time.sleep(rng.uniform(0.5, 10))
        victim.proxy.heal()

    def silence(self, world, rng, victim, log):
        victim.proxy.silence(*rng.choice([(), ("to_server",), ("to_client",)]))
        time.sleep(rng.uniform(1, 12))
        victim.proxy.heal()

    def delay(self, world, rng, victim, log):
        victim.proxy.delay(rng.uniform(0.1, 1.5))
        time.sleep(rng.uniform(3, 8))
        victim.proxy.heal()

    def torn(self, world, rng, victim, log):
        for _ in range(3):
            victim.proxy.reset_after(rng.randint(1, 20_000))
            time.sleep(rng.uniform(0.3, 2))
        victim.proxy.heal()

    def broken_disk(self, world, rng, victim, log, fail, longest):
        faults = world.faults if victim is None else victim.faults
        before = faults.failed()
        fail(faults)
        try:
            until("the disk was used", lambda: faults.failed() > before, USED_S)
            time.sleep(rng.uniform(0.5, longest))
        finally:
            faults.heal()
        log.bites += faults.failed() - before

    def disk_full(self, world, rng, victim, log):
        self.broken_disk(world, rng, victim, log, lambda f: f.disk_full(), 12)

    def sync_error(self, world, rng, victim, log):
        self.broken_disk(world, rng, victim, log, lambda f: f.syncs_fail(), 6)

    def clock(self, world, rng, victim, log):
        faults = world.faults if victim is None else victim.faults
        by = rng.choice([-1, 1]) * rng.uniform(1, 40)
        print(f" by {by:+.1f} s", end="", flush=True)
        began = now_ms()
        faults.step_clock(by)
        try:
            time.sleep(rng.uniform(4, 10))
        finally:
            faults.step_clock(0)
        time.sleep(4)  # Until it has looked.
        around = int(abs(by) * 1000) + CLOCK_MARGIN_MS
        log.clocks.append((began - around, now_ms() + around))

    # --- the verdict ---

    def judge(self, world, begin, log, answers):
        for victim in [None] + list(world.agents.values()):
            self.keep_counts(world, victim, log)
        end = now_ms() - 5_000
        world.wait_drained()
        # Agents go in order; what they still held comes with their next life.
        for agent in world.agents.values():
            self.assertEqual(agent.program.stop(), 0, agent.program.tail())
        for agent in world.agents.values():
            agent.start()
        world.wait_live(len(world.agents))
        world.wait_drained()
        truth = world.truth()
        series, stored = truth.series(), truth.stored()
        lost, due, unsure = {}, 0, 0
        for s in series:
            agent = next(a for a in world.agents.values() if a.region == s.region)
            absent = oracle.absences(agent.program.lives, now_ms(), kills_test.START_MARGIN_MS,
                                     kills_test.LOSS_MARGIN_MS)
            due += len(s.ticks(begin, end))
            unsure += len(oracle.unexplained(s, stored, begin, end, []))
            if ticks := oracle.unexplained(s, stored, begin, end, absent + log.clocks):
                lost[f"{s.monitor}/{s.region}"] = [(t, s.slot_ms(t) - begin) for t in ticks[:5]]
        incidents, calls = truth.incidents(), world.receiver.calls
        faults = sum(log.faults.values())
        pages = oracle.page_errors([i.id for i in incidents if i.kind == "monitor"], truth.pages(),
                                   [c.id for c in calls], faults)
        ack_s, acks = quantile(log.ack, 0.99)
        commit_s, commits = quantile(log.commit, 0.99)
        print(f"  {faults} faults: " + ", ".join(f"{n} {k}" for k, n in log.faults.items())
              + f"; {log.bites} writes and syncs failed, {answers} answers to readers\n"
              f"  {due} slots due, {due - unsure} stored; {len(incidents)} incidents, {len(calls)} messages\n"
              f"  p99 commit: {commit_s:g} s of {commits} groups (target 2 s); "
              f"p99 acknowledgement: {ack_s:g} s of {acks} frames, the faults in between included\n"
              f"  recovery: {max(log.recoveries_s):.1f} s at worst (target 10 s)", flush=True)
        self.assertGreater(due - unsure, due * kills_test.STORED_MIN)
        self.assertGreater(log.bites, 0, "no disk was broken while it was used")
        self.assertGreater(answers, 0, "nobody was answered")
        self.assertGreater(len(incidents), 0, "the targets never caused an incident")
        broken = oracle.report(
            ("INV-1", "no loss", due, [f"{k}: {v}" for k, v in lost.items()]
             + truth.accounting_errors() + self.unaccounted(world)),
            ("INV-2", "no duplicate effect", len(stored), oracle.stored_twice(stored)),
            ("INV-27", "every row belongs to a series and a slot that came", len(stored),
             oracle.invented(series, stored, now_ms()) + truth.phase_errors()),
            ("INV-10", "at most one open incident a monitor", len(incidents), truth.open_twice()),
            ("INV-12/13", "each page at least once, at most one extra a fault", len(calls), pages
             + [c.verified for c in calls if c.verified != "ok"]),
            ("INV-31", "no page for a target that was up", len(incidents),
             [f"{i.number}: {i.title}" for i in incidents
              if i.kind == "monitor" and i.monitor.startswith("s")]))
        self.assertEqual(broken, [])

    def unaccounted(self, world) -> list[str]:
        """generated = stored + gaps + refused + in the spool, per agent, as both sides count."""
        def off() -> list[str]:
            out, truth = [], {a.region: a for a in world.truth().agents()}
            for agent in world.agents.values():
                m, row = agent.metrics(), truth[agent.region]
                have = row.stored + row.gapped + row.refused + m["tocsin_agent_spool_results"]
                if m["tocsin_agent_results_generated_total"] != have:
                    out.append(f"{agent.name}: {m['tocsin_agent_results_generated_total']:g} made, "
                               f"{row.stored} stored, {row.gapped} given up, {row.refused} refused, "
                               f"{m['tocsin_agent_spool_results']:g} in the spool")
            return out

        # The two are read one after the other while results go by: some look finds them at one moment.
        for _ in range(200):
            if not (errors := off()):
                return []
            time.sleep(0.05)
        return errors


if __name__ == "__main__":
    unittest.main(verbosity=2)
