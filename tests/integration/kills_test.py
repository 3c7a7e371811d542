#!/usr/bin/env python3
"""Kills with -9 over two agents and the collector under load: nothing lost, nothing counted twice, each
page at least once and at most one extra per kill.

The seed is printed; the same seed makes the same plan of kills (the moments within the programs differ
from run to run, the named crash points do not).
"""

import os
import random
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
import oracle  # noqa: E402
import target as targets  # noqa: E402
from processes import until  # noqa: E402
from world import World, arguments, crash_points, now_ms  # noqa: E402

ARGS = arguments(__doc__, seed=(int, 0), kills=(int, 50), monitors=(int, 12))

NAMED_MIN = 10
# What an agent may lose by dying: a check that ran or waited to be synced (the check itself, the frame
# delay of 100 ms and a sync), and once it has its assignment again, the slot that was just due: later
# than half an interval a slot is missed, and a slot before the start is nobody's.
LOSS_MARGIN_MS = 700
START_MARGIN_MS = 600
# The part of the due slots that must be stored, or the absences would explain everything.
STORED_MIN = 0.5


class Kills(unittest.TestCase):
    def test_nothing_is_lost_or_counted_twice(self):
        seed = ARGS.seed or int.from_bytes(os.urandom(4), "big")
        rng = random.Random(seed)
        print(f"seed {seed}, {ARGS.kills} kills", flush=True)
        world = World(ARGS.build)
        flapping = [world.add_target() for _ in range(3)]
        world.monitors = [
            configs.Monitor(f"m{n:02}", url=(flapping + [world.target])[n % 4].url, interval="1s")
            for n in range(ARGS.monitors)]
        with world:
            world.wait_first_results()
            begin = now_ms()
            named = self.kill_many(world, rng, flapping)
            for target in flapping:
                target.set(targets.UP)
            self.settle(world)
            self.judge(world, begin, ARGS.kills)
            self.assertGreaterEqual(named, min(NAMED_MIN, ARGS.kills // 5),
                                    "too few deaths at named crash points")

    def kill_many(self, world, rng, flapping) -> int:
        points = crash_points()
        unreached = {}
        agents = list(world.agents.values())
        named = 0
        for number in range(ARGS.kills):
            for target in flapping:
                if rng.random() < 0.4:
                    target.set(targets.UP if target.mode != targets.UP else
                               rng.choice([targets.REFUSING, targets.ERROR, targets.RESETTING]))
            victim = rng.choice([None] + agents)  # None: the collector.
            side = "collector" if victim is None else "agent"
            program = world.collector if victim is None else victim.program
            program.check()
            # Every third kill is armed: the program is started with a crash point and must die by it.
            point = rng.choice(points[side]) if points[side] and number % 3 == 0 else None
            pass_number = rng.randint(1, 4)
            time.sleep(rng.uniform(0.1, 1.0))
            program.kill()
            if point is not None:
                program.start(TOCSIN_CRASH_AT=f"{point}:{pass_number}")
                if self.dies(victim, program, 5):
                    self.assertEqual(program.process.returncode, -9, program.tail())
                    named += 1
                else:
                    print(f"  {point}:{pass_number} was not reached", flush=True)
                    program.kill()
                    unreached[point] = unreached.get(point, 0) + 1
                    if unreached[point] == 2:  # Migrations only run once.
                        points[side].remove(point)
            print(f"  kill {number + 1}: {program.name} {point or ''}", flush=True)
            if victim is None:
                world.start_collector()
            else:
                victim.start()
        return named

    def dies(self, victim, program, seconds) -> bool:
        """Waits for a death at a crash point, and notes when an agent came to work before it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if program.wait_dead(0.05):
                return True
            if victim is not None:
                victim.working()
        return False

    def settle(self, world):
        """Everything runs, every target answers: all that is under way must come to its end."""
        world.wait_ready()
        world.wait_live(len(world.agents), 60)
        until("every incident is resolved", lambda: not world.truth().open_incidents(), 120, 0.5)
        until("the outbox is empty",
              lambda: all(p.state in ("sent", "cancelled") for p in world.truth().pages()), 120, 0.5)

    def judge(self, world, begin, kills):
        end = now_ms() - 5_000
        for agent in world.agents.values():
            self.assertEqual(agent.program.stop(), 0, agent.program.tail())
        truth = world.truth()
        # Agents drain before they go: what they still held has been acknowledged, or is on their disk.
        for agent in world.agents.values():
            agent.start()
        world.wait_live(len(world.agents))
        world.wait_drained()
        truth = world.truth()
        series, stored = truth.series(), truth.stored()
        lost, due, held = {}, 0, 0
        for s in series:
            agent = next(a for a in world.agents.values() if a.region == s.region)
            absent = oracle.absences(agent.program.lives, now_ms(), START_MARGIN_MS, LOSS_MARGIN_MS)
            due += len(s.ticks(begin, end))
            held += len(s.ticks(begin, end)) - len(oracle.unexplained(s, stored, begin, end, []))
            if ticks := oracle.unexplained(s, stored, begin, end, absent):
                lost[f"{s.monitor}/{s.region}"] = [(t, s.slot_ms(t) - begin) for t in ticks[:5]]
        incidents = truth.incidents()
        calls = world.receiver.calls
        print(f"  {due} slots due, {held} stored, the rest while their agent was dead; "
              f"{len(incidents)} incidents, {len(calls)} messages", flush=True)
        self.assertGreater(held, due * STORED_MIN)
        self.assertGreater(len(incidents), 0, "the targets never caused an incident")
        pages = oracle.page_errors([i.id for i in incidents if i.kind == "monitor"], truth.pages(),
                                   [c.id for c in calls], kills)
        broken = oracle.report(
            ("INV-1", "no loss", due, [f"{k}: {v}" for k, v in lost.items()]
             + truth.accounting_errors()),
            ("INV-2", "no duplicate effect", len(stored), oracle.stored_twice(stored)),
            ("INV-27", "every row belongs to a series and a slot that came", len(stored),
             oracle.invented(series, stored, now_ms()) + truth.phase_errors()),
            ("INV-10", "at most one open incident a monitor", len(incidents), truth.open_twice()),
            ("INV-12/13", "each page at least once, at most one extra a kill", len(calls), pages
             + [c.verified for c in calls if c.verified != "ok"]))
        self.assertEqual(broken, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
