#!/usr/bin/env python3
"""A real Prometheus, Debian's, scrapes the collector and an agent of a small world, and promtool has nothing to say
about their metrics."""

import subprocess
import sys
import unittest
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from background import free_port  # noqa: E402
from processes import Program, get, get_json, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)


class Prometheus(unittest.TestCase):
    def setUp(self):
        self.world = World(ARGS.build)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.agent = self.world.agents["agent-1"]

    def query(self, expression: str) -> list[float]:
        answer = get_json(self.port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return [float(sample["value"][1]) for sample in answer["data"]["result"]]

    def test_a_prometheus_scrapes_both_daemons(self):
        self.port = free_port()
        config = self.world.dir / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            f"  - {{job_name: collector, static_configs: [{{targets: ['127.0.0.1:{self.world.api_port}']}}]}}\n"
            f"  - {{job_name: agent, static_configs: [{{targets: ['127.0.0.1:{self.agent.port}']}}]}}\n")
        program = Program("prometheus", [
            "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{self.port}",
            f"--storage.tsdb.path={self.world.dir / 'tsdb'}"], self.world.dir / "prometheus.log").start()
        self.addCleanup(program.kill)
        until("both targets are up", lambda: sorted(
            t["labels"]["job"] for t in get_json(self.port, "/api/v1/targets")["data"]["activeTargets"]
            if t["health"] == "up") == ["agent", "collector"], 60)
        for target in get_json(self.port, "/api/v1/targets")["data"]["activeTargets"]:
            self.assertEqual(target["lastError"], "")
        self.world.wait_first_results()
        until("what was measured arrives", lambda: self.query("tocsin_engine_results_total > 0"), 20)
        until("also from the agent", lambda: self.query("tocsin_agent_results_generated_total > 0"), 20)
        # DEC-8, as an operator would ask: an agent's account adds up to within what is under way.
        until("the account of each agent is there", lambda: len(self.query(
            "sum by (agent) (tocsin_collector_agent_results_total) <= on (agent) "
            "tocsin_collector_agent_generated + 10")) == 2, 20)

    def test_promtool_has_nothing_to_say(self):
        self.world.wait_first_results()
        self.world.target.set(targets.REFUSING)
        until("an incident was told", lambda: self.world.collector_metrics().get(
            'tocsin_outbox_messages_total{outcome="sent"}', 0) > 0, 30)
        for port in (self.world.api_port, self.agent.port):
            text = get(port, "/metrics")[1]
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))
            wrong = subprocess.run(["promtool", "check", "metrics"], input=text + b"tocsin_x_total{ 1\n",
                                   capture_output=True)
            self.assertNotEqual(wrong.returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
