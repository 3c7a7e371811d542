#!/usr/bin/env python3
"""Targets that want to hurt (tests/support/hostile_targets.py): each of them alone ends at its deadline or before,
with the reason that names it and bounded memory; a thousand of them among four thousand honest ones cost no honest
check a slot or a second attempt.

    tests/integration/hostile_test.py --build build/dev [--monitors 5000]
"""

import json
import resource
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import configs  # noqa: E402
import hostile_targets as hostile  # noqa: E402
from processes import until  # noqa: E402
from truth import fields  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__, monitors=(int, 5000))
TIMEOUT_S = 3
RSS_ALONE_MAX = 64 << 20
RSS_MAX = 256 << 20
DESCRIPTORS_MAX = 4096

# What each is called, with the condition that makes the probe look where it hurts.
REASONS = {
    "slow_headers": "http.timeout",
    "trickle": "http.timeout",
    "endless_body": "http.timeout",
    "header_flood": "http.headers_too_large",
    "informational_storm": "http.too_many_interim",
    "bomb": "http.decoded_too_large",
    "redirect_maze": "http.too_many_redirects",
    "rebinding": "policy.denied_address",
    "tls_garbage": "tls.not_tls",
    "giant_chain": "tls.protocol",
    "stalled_handshake": "tls.timeout",
    # Whether the RST comes before the connection is seen to be open is up to the kernel.
    "reset_at_accept": ("connect.reset", "http.reset"),
    "reset_after_request": "http.reset",
    "reset_in_head": "http.reset",
    "reset_in_body": "http.reset",
    "reset_in_handshake": "tls.reset",
}


class Hostile(unittest.TestCase):
    def start(self, each: int) -> int:
        return self.enterContext(hostile.Server(each)).port

    def check(self, kind: str, port: int) -> dict:
        arguments_ = [hostile.url(kind, port), "--timeout", f"{TIMEOUT_S}s", "--json"]
        if kind == "bomb":
            arguments_ += ["--assert", "body contains needle"]
        if kind == "rebinding":
            arguments_[0] = f"http://first.rebinding.test:{port}/"
            arguments_ += ["--resolver", f"{hostile.address(kind)}:{port}"]
        done = subprocess.run([ARGS.build / "bin" / "tocsin-agent", "check", *arguments_], capture_output=True,
                              text=True, timeout=60)
        self.assertTrue(done.stdout, f"{kind}: {done.stderr}")
        return json.loads(done.stdout)

    def test_each_ends_in_time_with_its_reason(self):
        port = self.start(1)
        for kind in hostile.KINDS:
            with self.subTest(kind):
                seen = self.check(kind, port)
                print(f"  {kind}: {seen['reason']} after {seen['phases']['total_us'] / 1e6:.2f} s: "
                      f"{seen.get('detail', '')}", flush=True)
                want = REASONS[kind]
                self.assertIn(seen["reason"], want if isinstance(want, tuple) else (want,), seen)
                self.assertEqual(seen["outcome"], "no_data" if kind == "rebinding" else "down")
                # The attempt's own clock: the deadline, and one turn of a busy machine.
                self.assertLess(seen["phases"]["total_us"], (TIMEOUT_S + 2) * 1e6)
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
        print(f"  largest agent {largest >> 20} MiB", flush=True)
        self.assertLess(largest, RSS_ALONE_MAX)

    def test_honest_targets_do_not_notice_a_thousand_of_them(self):
        count = ARGS.monitors
        hostiles = count // 5
        each = -(-hostiles // len(hostile.KINDS))
        port = self.start(each)
        world = World(ARGS.build, regions=["eu-west"])
        world.monitors = [configs.Monitor(f"h{n:05}", url=world.target.url, interval="30s", retries=3, timeout="5s")
                          for n in range(count - hostiles)]
        for n in range(hostiles):
            kind = hostile.KINDS[n % len(hostile.KINDS)]
            world.monitors.append(configs.Monitor(f"x{n:05}", url=hostile.url(kind, port, n // len(hostile.KINDS)),
                                                  interval="30s", retries=3, timeout="5s"))
        with world:
            agent = world.agents["agent-1"]
            largest = descriptors = 0
            begin = time.monotonic()

            def looked() -> bool:
                nonlocal largest, descriptors
                pid = agent.program.process.pid
                largest = max(largest, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096)
                descriptors = max(descriptors, len(list(Path(f"/proc/{pid}/fd").iterdir())))
                return time.monotonic() - begin > 75

            until("two rounds have passed", looked, 120, 0.25)
            agent.program.check()
            m = agent.metrics()
            print(f"  {count - hostiles} honest and {hostiles} hostile: {largest >> 20} MiB, {descriptors} descriptors, "
                  f"{m['tocsin_agent_queue_started_total']:.0f} checks, {m['tocsin_agent_attempts_total']:.0f} attempts",
                  flush=True)
            self.judge(world, count - hostiles)
            self.judge_maze(world, f"x{hostile.KINDS.index('redirect_maze'):05}")
            self.assertLess(largest, RSS_MAX)
            self.assertLess(descriptors, DESCRIPTORS_MAX)

    def judge_maze(self, world, monitor):
        """What is stored of a chain of redirects names every request of it, with the first failed attempt."""
        truth = world.truth()
        series = next(s.id for s in truth.series() if s.monitor == monitor)
        row = truth.rows("SELECT result FROM results WHERE series = ? LIMIT 1", series)[0]
        attempts = [fields(one) for one in fields(bytes(row["result"]))[14]]
        self.assertEqual([len(attempt.get(13, [])) for attempt in attempts], [6, 0, 0, 0])
        # What the kernel knew of the connection, likewise.
        self.assertEqual([len(attempt.get(14, [])) for attempt in attempts], [1, 0, 0, 0])
        hops = [fields(hop) for hop in attempts[0][13]]
        self.assertTrue(all(hop[1][0].startswith(b"http://") and hop[2] and hop[3] == [302] for hop in hops), hops)

    def judge(self, world, honest):
        truth = world.truth()
        series = {s.id: s for s in truth.series()}
        seen, bad = set(), []
        for row in truth.rows("SELECT series, tick, outcome, result FROM results"):
            one = series[row["series"]]
            if not one.monitor.startswith("h"):
                continue
            seen.add(one.monitor)
            attempts = len(fields(bytes(row["result"])).get(14, []))
            if row["outcome"] != "up" or attempts > 1:
                bad.append((one.monitor, row["tick"], row["outcome"], attempts))
        bad += [(series[r["series"]].monitor, r["tick_first"], "missed", 0)
                for r in truth.rows("SELECT series, tick_first FROM missed_runs")
                if series[r["series"]].monitor.startswith("h")]
        self.assertEqual(bad[:5], [], f"{len(bad)} honest checks suffered")
        self.assertEqual(len(seen), honest, "some honest monitors were never checked")


if __name__ == "__main__":
    unittest.main(verbosity=2)
