#!/usr/bin/env python3
"""The network between an agent and the collector fails in four ways. The agents go on checking, keep
what they saw and catch up; nothing pages from history; a region that is cut off is unknown, never down
and never up; and the loss of one of two agents opens "monitoring impaired"."""

import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import oracle  # noqa: E402
import target as targets  # noqa: E402
from processes import until  # noqa: E402
from world import World, arguments, now_ms  # noqa: E402

ARGS = arguments(__doc__, outage=(float, 20.0))

# A vote is good for interval + retry budget + 15 s (1 s checks without retries, 500 ms timeout).
FRESHNESS_S = 1.0 + 0.5 + 15.0
# A region that is cut off this long is blind for certain: 90 s after the collector's start, 9 s without a
# heartbeat, 30 s of blindness, and some.
IMPAIRED_S = 90 + 9 + 30 + 30


class Partition(unittest.TestCase):
    def test_an_outage_of_the_network_loses_nothing_and_pages_nothing(self):
        with World(ARGS.build) as world:
            cut_off, other = world.agents["agent-2"], world.agents["agent-1"]
            world.wait_first_results()
            begin = now_ms()
            generated = cut_off.metrics()["tocsin_agent_results_generated_total"]

            cut_off.proxy.cut()
            cut_at = now_ms()
            time.sleep(2)
            # Down for both regions while one is cut off, and up again before it is back: the collector
            # learns of the second vote only from history.
            world.target.set(targets.ERROR)
            time.sleep(4)
            world.target.set(targets.UP)
            time.sleep(max(0.0, ARGS.outage - (now_ms() - cut_at) / 1000))
            grown = cut_off.metrics()["tocsin_agent_results_generated_total"] - generated
            self.assertGreaterEqual(grown, ARGS.outage - 3, "it stopped checking while it was cut off")
            self.assertGreaterEqual(cut_off.metrics()["tocsin_agent_spool_results"], ARGS.outage - 3)
            healed_at = now_ms()
            cut_off.proxy.heal()
            world.wait_live(2, 40)
            until("what was kept has come", lambda: cut_off.metrics()["tocsin_agent_spool_results"] <= 2,
                  60)
            time.sleep(3)

            truth = world.truth()
            stored, series = truth.stored(), truth.series()
            end = now_ms() - 2_500
            self.assertEqual(oracle.stored_twice(stored), [])
            for s in series:
                self.assertEqual(oracle.unexplained(s, stored, begin, end, []), [],
                                 f"{s.region} lost ticks")
            failed = [r for r in stored if r.outcome == "down"]
            self.assertEqual({s.region for s in series for r in failed if r.series == s.id},
                             {other.region, cut_off.region}, "both regions saw the failure")
            self.assertEqual([i for i in truth.incidents() if i.kind == "monitor"], [])
            self.assertEqual([c.json for c in world.receiver.calls
                              if c.json["data"]["incident"]["kind"] == "monitor"], [],
                             "something paged from history")
            if ARGS.outage > IMPAIRED_S:
                # That a region went blind is news, not history.
                self.assertEqual([(i.kind, i.region, i.state) for i in truth.incidents()],
                                 [("impaired", cut_off.region, "resolved")])
                self.assertEqual([c.json["type"].split(".")[3] for c in world.receiver.calls],
                                 ["opened", "resolved"])
            # While it was cut off and its vote was no longer fresh, the region had no vote at all.
            silent_from = cut_at + int(FRESHNESS_S * 1000) + 2_000
            for verdict in truth.verdicts_written(silent_from, healed_at):
                self.assertNotIn(cut_off.region, verdict.regions, verdict)

    def test_half_open_delayed_and_torn_connections_lose_nothing(self):
        with World(ARGS.build) as world:
            agent = world.agents["agent-1"]
            world.wait_first_results()
            begin = now_ms()
            agent.proxy.silence()  # Half-open: no reset, no answer.
            time.sleep(12)  # Longer than the 9 s after which an agent counts as gone.
            agent.proxy.heal()
            world.wait_live(2, 40)
            agent.proxy.silence("to_client")  # What it sends arrives, no acknowledgement comes back.
            time.sleep(5)
            agent.proxy.heal()
            agent.proxy.delay(0.4)
            time.sleep(3)
            agent.proxy.delay(0)
            for n in (70, 300, 700, 1500):  # In the middle of a frame.
                agent.proxy.reset_after(n)
                until(f"a reset after {n} bytes", lambda: agent.proxy._reset_after is None, 20)
            self.assertEqual(agent.proxy.resets, 4)
            world.wait_live(2, 40)
            time.sleep(3)
            world.wait_drained()
            truth = world.truth()
            stored = truth.stored()
            self.assertEqual(oracle.stored_twice(stored), [])
            for s in truth.series():
                self.assertEqual(oracle.unexplained(s, stored, begin, now_ms() - 4_000, []), [],
                                 f"{s.region} lost ticks")
            self.assertEqual(truth.accounting_errors(), [])
            self.assertEqual([i for i in truth.incidents() if i.kind == "monitor"], [])

    def test_the_loss_of_one_of_two_agents_opens_monitoring_impaired(self):
        with World(ARGS.build) as world:
            world.wait_first_results()
            ready_at = time.monotonic()
            world.agents["agent-2"].program.kill()
            # After its start the collector judges nobody silent for 90 s; then 9 s without a heartbeat
            # and 30 s of blindness.
            incident = until("monitoring impaired opens",
                             lambda: [i for i in world.truth().incidents() if i.kind == "impaired"],
                             90 + 9 + 30 + 20, 0.5)[0]
            self.assertGreater(time.monotonic() - ready_at, 30)
            self.assertEqual((incident.region, incident.service), ("us-east", "system"))
            call = until("its page", lambda: world.receiver.calls, 15)[0]
            self.assertEqual(call.verified, "ok")
            world.agents["agent-2"].start()
            until("it is resolved", lambda: not world.truth().open_incidents(), 60, 0.5)
            until("its resolve", lambda: len(world.receiver.calls) == 2, 15)
            self.assertEqual([i for i in world.truth().incidents() if i.kind == "monitor"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
