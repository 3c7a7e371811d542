#!/usr/bin/env python3
"""Crowds at both ports of a collector with 1,024 descriptors. At the agents' one: 20,000 connections that say
nothing, from four processes and 200 addresses, then 500 that announce giant frames or talk nonsense. At the
people's one: requests that never end, requests without pause, and 1,000 readers of events who do not read. It
stays small and calm, agents that are connected do not notice, a newcomer gets in, and a person is answered.

    tests/integration/flood_test.py --build build/dev [--connections 20000]
"""

import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
import target as targets  # noqa: E402
from processes import get, run, until  # noqa: E402
from world import ROOT, World, arguments  # noqa: E402

ARGS = arguments(__doc__, connections=(int, 20_000))

FILES = 1024
RSS_MAX = 512 << 20
# Of one core, of a thread, in a second in which nobody is there any more.
IDLE_CPU_MAX = 0.5


class Flood(unittest.TestCase):
    waited = 0.0
    streams = 0

    def a_world(self) -> World:
        world = World(ARGS.build)
        world.monitors = [configs.Monitor(f"m{i}", url=world.target.url) for i in range(8)]
        world.collector.command = ["sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh", *world.collector.command]
        self.rss = 0
        return world

    def test_crowds_at_the_peoples_port(self):
        world = self.a_world()
        # Whoever reads events is sent many: a monitor that fails and recovers all the time.
        flapping = world.add_target()
        world.monitors += [configs.Monitor(f"f{i}", url=flapping.url) for i in range(8)]
        with world:
            world.wait_first_results()
            token = run([str(world.binary("tocsin-collector")), "admin-token", "--config",
                         str(world.collector_config)]).strip()
            before = world.collector_metrics()
            for kind, connections in (("half", 500), ("request", 100), ("events", 250)):
                if kind == "events":
                    flapping.set(targets.REFUSING)
                crowd = self.crowd(world, world.api_port, kind, connections, 4, 50, "--token", token,
                                   "--hold", "6")
                print(f"  {kind}: {crowd}", flush=True)
                self.assertGreater(crowd["connected"], 0)
                self.assertTrue(kind != "request" or crowd["answered"] > 1000, crowd)
                until("the crowd is gone", lambda: world.collector_metrics()["tocsin_http_connections"] < 20, 30)
                self.no_thread_spins(world)
            after = world.collector_metrics()
            # 2,000 requests that never end do not fit: those that waited longest made room.
            self.assertGreater(after["tocsin_http_displaced_total"], before["tocsin_http_displaced_total"])
            self.assertGreater(self.streams, FILES // 10)
            self.assertLess(self.rss, RSS_MAX)
            print(f"  {self.streams:.0f} streams, largest resident set {self.rss >> 20} MiB; a person waited at most {self.waited:.2f} s",
                  flush=True)
            flapping.set(targets.UP)
            until("every incident is resolved", lambda: not world.truth().open_incidents(), 60)
            self.nothing_lost(world)

    def test_crowds_at_the_agents_port(self):
        world = self.a_world()
        with world:
            world.wait_first_results()
            crowd = self.crowd(world, world.agents_port, "idle", ARGS.connections // 4, 4, 50)
            print(f"  idle: {crowd}", flush=True)
            self.assertGreater(crowd["tried"], ARGS.connections * 0.99)
            self.assertGreater(world.collector_metrics()["tocsin_ingest_strangers_cut_total"], 0)
            self.calm(world)
            for kind in ("giant", "garbage"):
                crowd = self.crowd(world, world.agents_port, kind, 125, 2, 10)
                print(f"  {kind}: {crowd}", flush=True)
                self.assertGreater(crowd["connected"], 0)
                self.calm(world)
            self.assertLess(self.rss, RSS_MAX)
            print(f"  largest resident set {self.rss >> 20} MiB", flush=True)
            self.no_loss(world)

    def crowd(self, world, port, kind, connections, processes, addresses, *more) -> dict:
        crowds = [subprocess.Popen(
            [sys.executable, "-B", ROOT / "tests/support/crowd.py", "--port", str(port), "--kind",
             kind, "--connections", str(connections), "--addresses", str(addresses), "--first",
             str(1 + i * addresses), "--seconds", "40", *more], stdout=subprocess.PIPE, text=True)
            for i in range(processes)]
        while any(c.poll() is None for c in crowds):
            self.rss = max(self.rss, self.resident(world))
            # People and pages are served meanwhile.
            asked = time.monotonic()
            self.assertEqual(get(world.api_port, "/status/demo.json", 10)[0], 200)
            self.waited = max(self.waited, time.monotonic() - asked)
            self.streams = max(self.streams, world.collector_metrics()["tocsin_http_streams"])
            time.sleep(0.2)
        total = {}
        for crowd in crowds:
            for key, value in json.loads(crowd.communicate()[0]).items():
                total[key] = total.get(key, 0) + value
        return total

    def pid(self, world) -> int:
        return world.collector.process.pid

    def resident(self, world) -> int:
        pages = int(Path(f"/proc/{self.pid(world)}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def thread_seconds(self, world) -> dict[str, float]:
        out = {}
        for task in Path(f"/proc/{self.pid(world)}/task").iterdir():
            name, _, rest = (task / "stat").read_text().rpartition(")")
            ticks = rest.split()
            out[f"{task.name} {name.partition('(')[2]}"] = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        return out

    def calm(self, world):
        """Nobody is there any more, and no thread spins."""
        until("the crowd is gone", lambda: world.collector_metrics()["tocsin_ingest_open_connections"]
              <= len(world.agents), 30)
        self.no_thread_spins(world)

    def no_thread_spins(self, world):
        before = self.thread_seconds(world)
        time.sleep(1)
        after = self.thread_seconds(world)
        spinning = {name: after[name] - before[name] for name in after
                    if name in before and after[name] - before[name] > IDLE_CPU_MAX}
        self.assertEqual(spinning, {})

    def nothing_lost(self, world):
        for agent in world.agents.values():
            agent.program.check()
        world.wait_live(len(world.agents))
        world.wait_drained()
        self.assertEqual(world.truth().holes(), [])
        self.assertEqual(world.truth().accounting_errors(), [])

    def no_loss(self, world):
        self.nothing_lost(world)
        self.assertEqual(world.truth().incidents(), [])
        # A newcomer gets in.
        late = world.enrol("late", world.regions[0])
        late.program.start()  # Of so few monitors its share may be none, so that it need not run any.
        world.wait_live(len(world.agents))


if __name__ == "__main__":
    unittest.main(verbosity=2)
