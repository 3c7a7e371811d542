#!/usr/bin/env python3
"""The story: an outage opens one incident by quorum of both regions with evidence, one webhook comes and
verifies, the page says down; recovery resolves it everywhere."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from processes import get, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)


class Story(unittest.TestCase):
    def test_an_outage_is_paged_once_with_evidence_and_resolved_everywhere(self):
        with World(ARGS.build) as world:
            self.outage(world)

    def outage(self, world):
        def component():
            return world.status()["groups"][0]["components"][0]

        until("the page says up", lambda: component()["status"] == "up", 30)
        self.assertEqual(world.receiver.calls, [])

        world.target.set(targets.REFUSING)
        call = until("a webhook", lambda: world.receiver.calls, 30)[0]
        self.assertEqual(call.verified, "ok")
        until("the page says down", lambda: component()["status"] == "down", 10)
        self.assertIn(b"down", get(world.api_port, "/status/demo")[1].lower())

        incidents = world.truth().incidents()
        self.assertEqual([(i.kind, i.monitor, i.state) for i in incidents],
                         [("monitor", "web", "open")])
        votes = world.truth().votes_at_opening(incidents[0].id)
        self.assertEqual({v.region: v.outcome for v in votes}, {"eu-west": "down", "us-east": "down"})
        evidence = world.truth().evidence(incidents[0].id)
        self.assertEqual({e.reason for e in evidence}, {"connect.refused"})
        self.assertTrue(all(e.attempts for e in evidence))

        world.target.set(targets.UP)
        until("the resolve", lambda: len(world.receiver.calls) >= 2, 30)
        until("the page says up again", lambda: component()["status"] == "up", 10)
        self.assertEqual([i.state for i in world.truth().incidents()], ["resolved"])
        self.assertEqual(len(world.receiver.calls), 2)
        self.assertEqual([c.verified for c in world.receiver.calls], ["ok", "ok"])
        self.assertEqual(len({c.id for c in world.receiver.calls}), 2)
        pages = world.truth().pages()
        self.assertEqual(sorted((p.kind, p.state) for p in pages),
                         [("resolve", "sent"), ("trigger", "sent")])

    def test_one_region_alone_does_not_open_an_incident(self):
        with World(ARGS.build) as world:
            world.wait_first_results()
            # The second region's agent is gone: its newest vote expires, and what the first one sees is
            # no quorum of two.
            world.agents["agent-2"].program.kill()
            world.target.set(targets.ERROR)
            until("the first region saw the failure",
                  lambda: any(r.outcome == "down" for r in world.truth().stored()), 20)
            # After its start the collector judges nobody silent for 90 s; then the vote has expired.
            until("the status is unknown",
                  lambda: world.status()["groups"][0]["components"][0]["status"] == "unknown", 90 + 40)
            self.assertEqual([i for i in world.truth().incidents() if i.kind == "monitor"], [])
            self.assertEqual([c for c in world.receiver.calls
                              if c.json["data"]["incident"]["kind"] == "monitor"], [])

    def test_a_second_start_of_everything_goes_on_where_it_was(self):
        with World(ARGS.build) as world:
            world.wait_first_results()
            for agent in world.agents.values():
                self.assertEqual(agent.program.stop(), 0)
            self.assertEqual(world.collector.stop(), 0)
            before = len(world.truth().stored())
            world.start_collector()
            for agent in world.agents.values():
                agent.program.start()
            world.wait_live(2)
            until("new results are stored", lambda: len(world.truth().stored()) > before, 20)
            world.target.set(targets.REFUSING)
            until("a webhook", lambda: world.receiver.calls, 30)
            self.assertEqual(world.receiver.calls[0].verified, "ok")


if __name__ == "__main__":
    unittest.main(verbosity=2)
