#!/usr/bin/env python3
"""Power cuts under load: spools and database lie on a disk whose power goes, all at once; everything starts
again from what the disk held. What an agent had synced and what the collector had acknowledged is there: no
slot is lost but those in the air, no tick twice, every page at least once, no agent taken for a clone.

    tests/integration/power_test.py --build build/dev [--cuts 40] [--seed N]
"""

import os
import random
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import configs  # noqa: E402
import kills_test  # noqa: E402
import power  # noqa: E402
import target as targets  # noqa: E402
from world import World, arguments, now_ms  # noqa: E402

ARGS = arguments(__doc__, seed=(int, 0), cuts=(int, 40), monitors=(int, 12))


class PowerCuts(unittest.TestCase):
    settle = kills_test.Kills.settle
    judge = kills_test.Kills.judge

    def test_nothing_that_was_acknowledged_is_lost(self):
        if why := power.cannot():
            self.skipTest(why)
        seed = ARGS.seed or int.from_bytes(os.urandom(4), "big")
        rng = random.Random(seed)
        print(f"seed {seed}, {ARGS.cuts} cuts", flush=True)
        disk = power.PowerDisk()
        self.addCleanup(disk.close)
        tempfile.tempdir = str(disk.mount)
        self.addCleanup(setattr, tempfile, "tempdir", None)
        world = World(ARGS.build)
        flapping = [world.add_target() for _ in range(3)]
        world.monitors = [
            configs.Monitor(f"m{n:02}", url=(flapping + [world.target])[n % 4].url, interval="1s")
            for n in range(ARGS.monitors)]
        with world:
            world.wait_first_results()
            # Configurations, keys and the agents' identities are the test's to keep: it wrote them unsynced.
            os.sync()
            begin = now_ms()
            for number in range(ARGS.cuts):
                self.flap(rng, flapping)
                time.sleep(rng.uniform(0.3, 1.5))
                self.cut(world, disk)
                print(f"  cut {number + 1}", flush=True)
            for target in flapping:
                target.set(targets.UP)
            self.settle(world)
            self.judge(world, begin, ARGS.cuts)
            self.assertEqual([a for a in world.truth().agents() if a.forks or a.cloned], [])

    def flap(self, rng, flapping):
        for target in flapping:
            if rng.random() < 0.4:
                target.set(targets.UP if target.mode != targets.UP else targets.REFUSING)

    def cut(self, world, disk):
        programs = [world.collector] + [a.program for a in world.agents.values()]
        for program in programs:
            program.check()
            # All at one moment: between two programs nothing may be acknowledged that the other forgets.
            program.process.send_signal(signal.SIGSTOP)
        disk.freeze()
        for program in programs:
            program.kill()
        disk.restore()
        world.start_collector()
        for agent in world.agents.values():
            agent.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
