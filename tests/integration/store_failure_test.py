#!/usr/bin/env python3
"""A store that cannot be written: nothing is acknowledged or paged, agents keep their results, the
fallback channel is told once, and told once more when it works again; then nothing is missing."""

import sqlite3
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from processes import get, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
FAILING, WORKING = "io.tocsin.store.failing.v1", "io.tocsin.store.working.v1"


class StoreFailure(unittest.TestCase):
    def test_the_fallback_channel_hears_of_it_and_nothing_is_lost(self):
        with World(ARGS.build, fallback=True) as world:
            world.wait_first_results()
            self.outage(world)

    def outage(self, world):
        def types():
            return [c.json["type"] for c in world.receiver.calls]

        # Another process holds the right to write: every commit of the collector is refused.
        other = sqlite3.connect(world.dir / "collector" / "collector.db", timeout=30,
                                isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        before = len(world.truth().stored())
        world.target.set(targets.REFUSING)
        until("the fallback channel is told", lambda: FAILING in types(), 60)
        self.assertEqual([c.verified for c in world.receiver.calls], ["ok"])
        self.assertEqual(get(world.api_port, "/readyz")[0], 503)
        until("the agents keep their results", lambda: world.spooled() > 10, 30)
        self.assertEqual(len(world.truth().stored()), before)
        # It stays one message, over the engine's tries to start afresh.
        until("a commit was given up",
              lambda: world.collector_metrics()["tocsin_store_commits_failed_total"] >= 2, 60)
        self.assertEqual(types(), [FAILING])

        other.execute("ROLLBACK")
        other.close()
        until("the end is told", lambda: WORKING in types(), 60)
        world.wait_ready(30)
        world.wait_drained(60)
        until("the outage that is still there is paged",
              lambda: "io.tocsin.incident.opened.v1" in types(), 60)
        world.target.set(targets.UP)
        until("and resolved", lambda: "io.tocsin.incident.resolved.v1" in types(), 60)
        self.assertEqual((types().count(FAILING), types().count(WORKING)), (1, 1))
        self.assertEqual({c.verified for c in world.receiver.calls}, {"ok"})
        for agent in world.agents.values():
            agent.program.check()
        self.assertEqual(world.truth().holes(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
