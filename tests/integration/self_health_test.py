#!/usr/bin/env python3
"""An agent whose own network, resolver, descriptors, sockets or clock is broken says so and blames no target; beside each
of them, the target's fault that looks alike is still the target's. Every fault is a real one: servers that fall
silent, a stopped unbound, a lowered limit of descriptors, sockets that the kernel refuses, a clock that is set."""

import resource
import signal
import socket
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
import target as targets  # noqa: E402
from api_test import Client  # noqa: E402
from nameservers import free_dns_port, tcp_opens  # noqa: E402
from processes import Program, run, until  # noqa: E402
from tls_servers import Servers  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
REGION = "eu-west"
CALM_S = 10

UNBOUND = """server:
  interface: 127.0.0.1@{port}
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  logfile: ""
  num-threads: 1
  do-not-query-localhost: no
  module-config: "iterator"
  access-control: 127.0.0.1/32 allow
  local-zone: "." static
  local-data: ". 300 IN SOA ns.test. host.test. 1 1 1 1 1"
  local-data: ". 300 IN NS ns.test."
  local-data: "web.test. 0 IN A 127.0.0.1"
  local-data: "other.test. 0 IN A 127.0.0.1"
  local-zone: "silent.test." transparent
remote-control:
  control-enable: no
stub-zone:
  name: "silent.test"
  stub-addr: 127.0.0.1@{silent}
"""


class Watched(World):
    """One region with one agent, whose file has more lines."""

    def __init__(self, lines="", faults=False):
        super().__init__(ARGS.build, regions=[REGION], monitors=[], faults=faults)
        self.lines = lines

    def enrol(self, name: str, region: str):
        agent = super().enrol(name, region)
        agent.config.write_text(configs.agent_yaml(agent.port, str(agent.state), extra=self.lines))
        return agent

    def __enter__(self):
        super().__enter__()
        self.agent = self.agents["agent-1"]
        token = run([str(self.binary("tocsin-collector")), "admin-token", "--config",
                     str(self.collector_config)]).strip()
        self.api = Client(self.api_port, token)
        return self

    def restart_agent(self, extra: str):
        self.agent.program.stop()
        self.agent.config.write_text(configs.agent_yaml(self.agent.port, str(self.agent.state), extra=extra))
        self.agent.start()
        self.wait_live(1)

    def health(self) -> tuple[str, str | None]:
        agent = self.api("GET", "/agents")[1]["items"][0]
        return agent["health"], agent["self_fault"]

    def newest(self, key: str) -> tuple[str, str | None]:
        for result in self.api("GET", f"/monitors/{key}/results?limit=1")[1]["items"]:
            return result["outcome"], result["reason"]
        return "new", None

    def outcomes(self, key: str) -> set[tuple[str, str | None]]:
        """Of everything that was stored."""
        out, cursor = set(), ""
        while cursor is not None:
            page = self.api("GET", f"/monitors/{key}/results?limit=500" + (f"&cursor={cursor}" if cursor else ""))[1]
            out |= {(r["outcome"], r["reason"]) for r in page["items"]}
            cursor = page.get("next_cursor")
        return out

    def wait_health(self, *wanted, seconds=30):
        until(f"the agent is {wanted}", lambda: self.health() in wanted, seconds, 0.2)

    def wait_newest(self, key: str, *wanted, seconds=30):
        until(f"{key} is {wanted}", lambda: self.newest(key) in wanted, seconds, 0.2)

    def events(self) -> list[str]:
        return [r["text"] for r in self.truth().rows("SELECT text FROM events WHERE topic = 'agent' ORDER BY seq")]


class SelfHealth(unittest.TestCase):
    def nobody_was_blamed(self, world, *keys: str):
        for key in keys:
            self.assertNotIn("down", {outcome for outcome, _ in world.outcomes(key)}, key)
        self.assertEqual(world.truth().incidents(), [])
        self.assertEqual(world.receiver.calls, [])

    def test_a_lost_uplink_blinds_and_a_lost_target_does_not(self):
        world = Watched()
        sites = [world.target] + [world.add_target() for _ in range(2)]
        keys = ["one", "two", "three"]
        world.monitors = [configs.Monitor(k, url=t.url, timeout="500ms") for k, t in zip(keys, sites)]
        anchor = world.add_target()
        world.lines = f"anchors: [{{http: \"{anchor.url}\"}}]\nanchor_interval: 5s\n"
        with world:
            with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
                place = f"127.0.0.1:{listener.getsockname()[1]}"
                world.wait_health(("healthy", None))
                hits = len(anchor.hits)
                until("the anchor is looked at", lambda: len(anchor.hits) > hits, 20)

                # One target falls silent: the anchor answers, so it is the target.
                sites[0].set(targets.HANGING)
                world.wait_newest("one", ("down", "http.timeout"))
                incident = until("it opens", lambda: world.truth().open_incidents(), 20)[0]
                self.assertEqual(incident.monitor, "one")
                sites[0].set(targets.UP)
                until("it is resolved", lambda: not world.truth().open_incidents(), 20)
                self.assertEqual(world.health(), ("healthy", None))

                # Everything behind the way out falls silent; the collector, being near, still answers.
                for site in [anchor] + sites:
                    site.set(targets.HANGING)
                for key in keys:
                    world.wait_newest(key, ("no_data", "self.uplink"))
                world.wait_health(("blind", "self.uplink"))
                answers = f'tocsin_agent_anchor_answers{{anchor="{anchor.url}"}}'
                until("the anchor is silent too", lambda: world.agent.metrics()[answers] == 0, 10)
                metrics = world.agent.metrics()
                self.assertEqual(metrics['tocsin_agent_health{state="blind"}'], 1)
                self.assertEqual(metrics['tocsin_agent_self_fault{reason="self.uplink"}'], 1)
                self.assertGreater(metrics['tocsin_agent_no_data_total{reason="self.uplink"}'], 2)
                # A refusal proves nothing now.
                sites[0].set(targets.REFUSING)
                time.sleep(3)
                self.assertEqual(world.newest("one"), ("no_data", "self.uplink"))

                back = time.monotonic()
                for site in [anchor] + sites:
                    site.set(targets.UP)
                world.wait_newest("two", ("up", None))
                world.wait_health(("healthy", None))
                self.assertGreater(time.monotonic() - back, CALM_S)
                self.assertEqual(world.agent.metrics()['tocsin_agent_self_fault{reason="self.uplink"}'], 0)
                self.assertEqual([i.monitor for i in world.truth().incidents()], ["one"])
                self.assertEqual(world.outcomes("two"), {("up", None), ("no_data", "self.uplink")})
                self.assertEqual(len(world.receiver.calls), 2)
                told = " ".join(world.events())
                self.assertIn("-> blind (self.uplink)", told)
                self.assertIn("-> healthy (none)", told)
                self.assertIn("health_changed", world.agent.program.text())

                # Anchors of the other kinds go through the same probes.
                silent = free_dns_port()
                world.restart_agent(f"anchors: [{{tcp: \"{place}\"}}, {{dns: a.test, resolver: \"127.0.0.1:{silent}\"}}]\n"
                                    "anchor_interval: 5s\n")
                until("both were looked at twice", lambda: all(
                    world.agent.metrics().get(f'tocsin_agent_anchor_looks_total{{anchor="{name}"}}', 0) >= 2
                    for name in (place, f"A a.test @ 127.0.0.1:{silent}")), 30)
                metrics = world.agent.metrics()
                self.assertEqual(metrics[f'tocsin_agent_anchor_answers{{anchor="{place}"}}'], 1)
                self.assertEqual(metrics[f'tocsin_agent_anchor_answers{{anchor="A a.test @ 127.0.0.1:{silent}"}}'], 0)
                world.wait_health(("suspect", "self.anchors"))

    def test_a_dead_resolver_is_ours_and_a_dead_name_is_the_targets(self):
        world = Watched()
        site = f"{world.target.port}/"
        world.monitors = [configs.Monitor(name, url=f"http://{name}.test:{site}", timeout="900ms", interval="2s")
                          for name in ("web", "other", "gone")]
        world.monitors.append(configs.Monitor("silent", url=f"http://www.silent.test:{site}", timeout="900ms",
                                              interval="2s"))
        directory = world.dir / "unbound"
        directory.mkdir()
        port = free_dns_port()
        world.lines = f"resolvers: [\"127.0.0.1:{port}\"]\n"
        # Takes questions and never answers.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            (directory / "unbound.conf").write_text(
                UNBOUND.format(port=port, dir=directory, silent=silent.getsockname()[1]))
            unbound = Program("unbound", ["unbound", "-d", "-c", str(directory / "unbound.conf")],
                              directory / "log").start()
            self.addCleanup(unbound.kill)
            until("unbound listens", lambda: unbound.check() or tcp_opens(port), 30)
            with world:
                world.wait_newest("web", ("up", None))
                world.wait_newest("gone", ("down", "dns.nxdomain"))
                world.wait_newest("silent", ("down", "dns.timeout"), ("down", "dns.servfail"))
                until("both are told", lambda: {i.monitor for i in world.truth().open_incidents()} ==
                      {"gone", "silent"}, 30)
                self.assertEqual(world.outcomes("gone"), {("down", "dns.nxdomain")})
                calls = len(world.receiver.calls)

                unbound.signal(signal.SIGSTOP)
                for key in ("web", "other"):
                    world.wait_newest(key, ("no_data", "self.resolver"))
                world.wait_health(("blind", "self.resolver"))
                unbound.signal(signal.SIGCONT)
                world.wait_newest("web", ("up", None))
                world.wait_health(("healthy", None))

                unbound.kill()
                world.wait_newest("other", ("no_data", "self.resolver"))
                world.wait_health(("blind", "self.resolver"))
                unbound.start()
                world.wait_newest("other", ("up", None))
                world.wait_health(("healthy", None))
                for key in ("web", "other"):
                    self.assertNotIn("down", {outcome for outcome, _ in world.outcomes(key)}, key)
                self.assertEqual({i.monitor for i in world.truth().incidents()}, {"gone", "silent"})
                self.assertEqual(len(world.receiver.calls), calls)

    def test_without_descriptors_no_target_is_blamed(self):
        world = Watched()
        world.monitors = [configs.Monitor(f"m{n}", url=world.target.url) for n in range(4)]
        with world:
            world.wait_newest("m0", ("up", None))
            pid = world.agent.program.process.pid
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, before[1]))
            # Its spool gets no files either: what it finds comes when it has some again.
            world.wait_health(("blind", "self.descriptors"))
            time.sleep(3)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            world.wait_newest("m0", ("up", None))
            world.wait_health(("healthy", None))
            self.nobody_was_blamed(world, "m0", "m1", "m2", "m3")
            for n in range(4):
                self.assertIn(("no_data", "self.descriptors"), world.outcomes(f"m{n}"))

    def test_without_memory_for_sockets_no_target_is_blamed(self):
        world = Watched(faults=True)
        world.monitors = [configs.Monitor(f"m{n}", url=world.target.url) for n in range(3)]
        with world:
            world.wait_newest("m0", ("up", None))
            world.agent.faults.sockets_fail()
            world.wait_newest("m0", ("no_data", "self.memory"))
            world.wait_health(("blind", "self.memory"))
            self.assertGreaterEqual(world.agent.faults.sockets_failed(), 3)
            world.agent.faults.heal()
            world.wait_newest("m0", ("up", None))
            world.wait_health(("healthy", None))
            self.nobody_was_blamed(world, "m0", "m1", "m2")

    def test_a_wrong_clock_expires_no_certificate_and_a_right_one_does(self):
        world = Watched(faults=True)
        directory = world.dir / "tls"
        directory.mkdir()
        servers = Servers(directory)
        self.addCleanup(servers.stop)
        servers.nginx()
        ca = "\n".join("      " + line for line in Path(servers.ca).read_text().splitlines())

        class Secured(configs.Monitor):
            def yaml(self) -> str:
                host, port = self.address.rsplit(":", 1)
                return (f"  - key: {self.key}\n    name: {self.key}\n    type: tls\n    host: {host}\n    port: {port}\n"
                        f"    server_name: tls.test\n    interval: 1s\n    retries: 0\n    service: web\n"
                        f"    ca: |\n{ca}\n")

        world.monitors = [Secured(key, address=f"127.0.0.1:{servers.ports[key]}") for key in ("good", "expired")]
        with world:
            world.wait_newest("good", ("up", None))
            world.wait_newest("expired", ("down", "tls.verify.expired"))
            until("it is told", lambda: [i.monitor for i in world.truth().open_incidents()] == ["expired"], 20)
            world.agent.faults.step_clock(25 * 86_400)  # The good one ends in 20 days.
            world.wait_health(("blind", "self.clock"))
            # Its slots lie in the future, so that the collector refuses its results; it counts them itself.
            until("the good one has no data", lambda: world.agent.metrics().get(
                'tocsin_agent_no_data_total{reason="self.clock"}', 0) >= 3, 20)
            world.agent.faults.step_clock(0)
            world.wait_newest("good", ("up", None))
            world.wait_health(("healthy", None))
            self.assertNotIn("down", {outcome for outcome, _ in world.outcomes("good")})
            self.assertEqual([i.monitor for i in world.truth().incidents()], ["expired"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
