#!/usr/bin/env python3
"""A Prometheus scrapes Debian's blackbox_exporter and the agent's /probe on the same targets, through the relabelling
that everybody uses, and both say the same: the same metrics with the same labels, the same verdicts, and the same
values where the target alone decides them."""

import http.client
import json
import re
import socket
import statistics
import subprocess
import sys
import unittest
import urllib.parse
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from background import free_port  # noqa: E402
from blackbox_targets import Targets, Talker, wait_for_close  # noqa: E402
from processes import Program, get, get_json, parse_metrics, run, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)

EXPORTER = "/usr/bin/prometheus-blackbox-exporter"

# What clocks and kernels decide; of these the names and labels are compared and no values.
MEASURED = {"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds",
            "probe_dns_duration_seconds"}
OURS = "tocsin_"


class Side:
    """One of the two that are asked."""

    def __init__(self, name: str, port: int):
        self.name = name
        self.port = port

    def ask(self, case, scrape_timeout: float = 0, debug: bool = False, deadline_s: float = 30):
        query = {"module": case.module, "target": case.target}
        if case.hostname:
            query["hostname"] = case.hostname
        if debug:
            query["debug"] = "true"
        headers = {"X-Prometheus-Scrape-Timeout-Seconds": str(scrape_timeout)} if scrape_timeout else {}
        return self.get("/probe?" + urllib.parse.urlencode(query), headers, deadline_s)

    def get(self, path: str, headers=None, deadline_s: float = 30, method: str = "GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=deadline_s)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def families(text: str) -> dict[str, tuple[str, str]]:
    """name -> (type, help)"""
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    return {name: (kind, helps[name]) for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
            if not name.startswith(OURS)}


class Blackbox(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: [clean() for clean in reversed(cls.cleanups)])
        cls.cleanups = []
        cls.world = World(ARGS.build, regions=["eu-west"])
        cls.world.__enter__()
        cls.cleanups.append(lambda: cls.world.__exit__(None, None, None))
        cls.dir = cls.world.dir
        cls.dir.chmod(0o755)  # The servers in it drop their rights.
        cls.targets = Targets(cls.dir / "targets", cls.cleanups)
        cls.agent = cls.world.agents["agent-1"]
        cls.ours = Side("ours", free_port())
        cls.theirs = Side("theirs", free_port())
        cls.configure(f"probe: {{listen: 127.0.0.1:{cls.ours.port}, modules_file: {cls.targets.modules}}}\n")
        exporter = Program("exporter", [EXPORTER, f"--config.file={cls.targets.modules}",
                                        f"--web.listen-address=127.0.0.1:{cls.theirs.port}"], cls.dir / "exporter.log")
        exporter.start()
        cls.cleanups.append(exporter.kill)
        for side in (cls.ours, cls.theirs):
            until(f"{side.name} answers", lambda: side.get("/-/healthy")[0] == 200)

    @classmethod
    def configure(cls, lines: str):
        """Starts the agent with these lines in its file."""
        text = cls.agent.config.read_text()
        cls.agent.config.write_text(re.sub(r"(?m)^probe:.*\n", "", text) + lines)
        cls.agent.program.kill()
        cls.agent.start()

    # --- the same answers ---

    def test_a_prometheus_sees_the_same_of_both(self):
        cases = self.targets.cases()
        self.assertGreaterEqual(len(cases), 40)
        port = free_port()
        jobs = []
        for number, case in enumerate(cases):
            for side in (self.ours, self.theirs):
                params = {"module": [case.module]} | ({"hostname": [case.hostname]} if case.hostname else {})
                jobs.append({
                    "job_name": f"{side.name}-{number}", "metrics_path": "/probe", "params": params,
                    "static_configs": [{"targets": [case.target]}],
                    "relabel_configs": [
                        {"source_labels": ["__address__"], "target_label": "__param_target"},
                        {"source_labels": ["__param_target"], "target_label": "instance"},
                        {"target_label": "__address__", "replacement": f"127.0.0.1:{side.port}"},
                        {"target_label": "side", "replacement": side.name},
                        {"target_label": "case", "replacement": str(number)}]})
        config = self.dir / "prometheus.json"  # JSON is YAML.
        config.write_text(json.dumps({"global": {"scrape_interval": "6s", "scrape_timeout": "5s"},
                                      "scrape_configs": jobs}))
        program = Program("prometheus", [
            "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={self.dir / 'tsdb'}"], self.dir / "prometheus.log").start()
        self.addCleanup(program.kill)

        def query(expression: str) -> list[dict]:
            return get_json(port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["data"]["result"]

        until("every target was scraped", lambda: len(query("up == 1")) == 2 * len(cases), 90, 0.5)
        seen = {side: defaultdict(dict) for side in ("ours", "theirs")}
        for sample in query('{__name__=~"probe_.*|tocsin_probe.*"}'):
            labels = dict(sample["metric"])
            name, side, number = labels.pop("__name__"), labels.pop("side"), int(labels.pop("case"))
            del labels["job"], labels["instance"]
            seen[side][number][(name, tuple(sorted(labels.items())))] = float(sample["value"][1])
        wrong = []
        for number, case in enumerate(cases):
            ours = {key: value for key, value in seen["ours"][number].items() if not key[0].startswith(OURS)}
            theirs = seen["theirs"][number]
            if theirs.get(("probe_success", ())) != case.success:
                wrong.append(f"{case.name}: the exporter's verdict is not {case.success}")
            if ours.keys() != theirs.keys():
                wrong.append(f"{case.name}: only ours {sorted(ours.keys() - theirs.keys())}, "
                             f"only theirs {sorted(theirs.keys() - ours.keys())}")
            for key in ours.keys() & theirs.keys():
                if key[0] not in MEASURED | set(case.differs) and ours[key] != theirs[key]:
                    wrong.append(f"{case.name}: {key} is {ours[key]}, theirs {theirs[key]}")
            reasons = [key for key in seen["ours"][number] if key[0] == "tocsin_probe_failure_reason"]
            if len(reasons) != (0 if case.success else 1):
                wrong.append(f"{case.name}: reasons {reasons}")
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_help_and_types_are_the_same_and_promtool_has_nothing_to_say(self):
        told = set()
        for case in self.targets.cases():
            if case.module in told:
                continue
            told.add(case.module)
            ours, theirs = (side.ask(case) for side in (self.ours, self.theirs))
            self.assertEqual((ours[0], theirs[0]), (200, 200), case.name)
            self.assertEqual(families(ours[1]), families(theirs[1]), case.name)
            done = subprocess.run(["promtool", "check", "metrics"], input=ours[1].encode(), capture_output=True,
                                  check=False)
            # As of theirs it says that a series is named by what it counts; nothing else.
            unlike = [line for line in (done.stdout + done.stderr).decode().splitlines() if "tocsin_" in line]
            self.assertEqual(unlike, [], case.name)

    def test_phases_are_counted_as_theirs_are(self):
        """Zero where theirs is zero, and they add up to no more than the whole."""
        for case in self.targets.cases():
            if not case.module.startswith(("http", "dns")):
                continue
            ours, theirs = (parse_metrics(side.ask(case)[1]) for side in (self.ours, self.theirs))
            kind = "http" if case.module.startswith("http") else "dns"
            names = [name for name in theirs if name.startswith(f"probe_{kind}_duration_seconds{{")]
            for name in names:
                # A connection over UDP is no system call worth a phase of ours; a lookup of a literal takes no time.
                if "resolve" in name or kind == "dns":
                    continue
                with self.subTest(case=case.name, phase=name):
                    self.assertEqual(ours[name] > 0, theirs[name] > 0, (ours[name], theirs[name]))
            self.assertLessEqual(sum(ours[name] for name in names), ours["probe_duration_seconds"] * 1.001 + 1e-5,
                                 case.name)

    def test_durations_are_theirs(self):
        cases = {case.name: case for case in self.targets.cases()}
        for name in (f"http_2xx 127.0.0.1:{self.targets.web}/ok", f"https https://127.0.0.1:{self.targets.tls}/ok",
                     f"http_2xx 127.0.0.1:{self.targets.talkers['answer_late']}/",
                     f"tcp_connect localhost:{self.targets.web}", f"dns_a 127.0.0.1:{self.targets.nsd.port}"):
            took = {side: [] for side in (self.ours, self.theirs)}
            for _ in range(30):
                for side, seconds in took.items():
                    seconds.append(parse_metrics(side.ask(cases[name])[1])["probe_duration_seconds"])
            ours, theirs = (statistics.median(seconds) for seconds in took.values())
            print(f"{name}: {ours * 1e3:.2f} ms, theirs {theirs * 1e3:.2f} ms")
            self.assertLessEqual(abs(ours - theirs), max(0.2 * theirs, 0.002), name)

    # --- the endpoint itself ---

    def test_what_cannot_be_asked_is_refused_in_the_same_words(self):
        for path in ("/probe", "/probe?module=http_2xx", "/probe?target=x&module=nix", "/probe?module=nix",
                     "/probe?target=127.0.0.1:1&module=http_host&hostname=other.test"):
            ours, theirs = (side.get(path) for side in (self.ours, self.theirs))
            self.assertEqual(ours, theirs, path)
        for path, method in (("/-/healthy", "GET"), ("/-/reload", "GET"), ("/-/reload", "POST")):
            ours, theirs = (side.get(path, method=method) for side in (self.ours, self.theirs))
            self.assertEqual((ours[0], ours[1].strip()), (theirs[0], theirs[1].strip()), path)
        header = {"X-Prometheus-Scrape-Timeout-Seconds": "soon"}
        for side in (self.ours, self.theirs):
            status, text = side.get("/probe?target=127.0.0.1:1", header)
            self.assertEqual((status, text.split(":")[0]), (500, "Failed to parse timeout from Prometheus header"))
        self.assertEqual(self.ours.get("/nothing")[0], 404)
        self.assertIn("/-/reload", self.ours.get("/nothing")[1])
        self.assertIn("config", self.ours.get("/")[1])

    def test_debug_tells_what_happened_and_no_secret(self):
        case = next(case for case in self.targets.cases() if case.module == "http_password")
        for side in (self.ours, self.theirs):
            status, text = side.ask(case, debug=True)
            self.assertEqual(status, 200)
            places = [text.index(part) for part in ("Logs for the probe:\n", "Beginning probe", "Probe succeeded",
                                                    "\nMetrics that would have been returned:\n", "probe_success 1\n",
                                                    "\nModule configuration:\n", "<secret>")]
            self.assertEqual(places, sorted(places), text)
            self.assertNotIn("correct horse", text)
            self.assertNotIn("correct horse", side.get("/config")[1])

    def test_the_scrape_timeout_less_half_a_second_bounds_a_probe(self):
        hole = next(case for case in self.targets.cases() if case.target.endswith(str(self.targets.talkers["hole"])))
        case = type(hole)("http_2xx", hole.target, False)
        for side in (self.ours, self.theirs):
            took = parse_metrics(side.ask(case, scrape_timeout=1.5)[1])["probe_duration_seconds"]
            self.assertGreaterEqual(took, 0.99, side.name)
            self.assertLess(took, 5, side.name)  # Not the 120 s without that header.

    def test_egress_is_the_agents_own_and_no_request_widens_it(self):
        for target in ("192.0.2.1:80", "10.0.0.1", "http://[2001:db8::1]/", "169.254.169.254"):
            for module in ("http_2xx", "tcp_connect", "dns_a"):
                place = target if module != "tcp_connect" or target.endswith(":80") else "10.0.0.1:80"
                place = place.removeprefix("http://").removesuffix("/") if module == "dns_a" else place
                text = self.ours.ask(type(self.targets.cases()[0])(module, place, False), scrape_timeout=3)[1]
                self.assertIn("\nprobe_success 0\n", text, place)
                self.assertIn('tocsin_probe_failure_reason{reason="policy.denied_address"} 1', text, place)

    def test_a_client_that_goes_away_cancels_its_probe(self):
        left = []

        def notice_close(sock):
            wait_for_close(sock)
            left.append(True)

        talker = Talker(notice_close)
        self.addCleanup(talker.close)
        with socket.create_connection(("127.0.0.1", self.ours.port), timeout=10) as client:
            client.sendall(f"GET /probe?module=http_2xx&target=127.0.0.1:{talker.port} HTTP/1.1\r\nHost: x\r\n\r\n"
                           .encode())
            until("the probe is under way", lambda: parse_metrics(self.ours.get("/metrics")[1])[
                "tocsin_probe_requests_under_way"] == 1)
        until("the target sees the probe end", lambda: left, 10)
        numbers = parse_metrics(self.ours.get("/metrics")[1])
        self.assertEqual(numbers["tocsin_probe_requests_under_way"], 0)
        self.assertGreaterEqual(numbers['tocsin_probe_requests_total{outcome="cancelled"}'], 1)

    def test_probes_under_way_have_a_bound(self):
        talker = Talker(wait_for_close)
        self.addCleanup(talker.close)
        clients = []
        self.addCleanup(lambda: [client.close() for client in clients])
        request = f"GET /probe?module=http_2xx&target=127.0.0.1:{talker.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for _ in range(256):
            clients.append(socket.create_connection(("127.0.0.1", self.ours.port), timeout=10))
            clients[-1].sendall(request)
        until("all are under way", lambda: parse_metrics(self.ours.get("/metrics")[1])[
            "tocsin_probe_requests_under_way"] == 256)
        status, text = self.ours.get(f"/probe?module=http_2xx&target=127.0.0.1:{talker.port}")
        self.assertEqual((status, text), (503, "256 probes are under way, which is the limit\n"))
        for client in clients:
            client.close()
        until("they have ended", lambda: parse_metrics(self.ours.get("/metrics")[1])[
            "tocsin_probe_requests_under_way"] == 0)

    def test_modules_are_read_again_when_asked_and_kept_when_they_are_wrong(self):
        before = self.targets.modules.read_text()
        case = type(self.targets.cases()[0])("new", f"127.0.0.1:{self.targets.web}/ok", True)
        self.assertEqual(self.ours.ask(case)[0], 400)
        try:
            self.targets.modules.write_text(before + "  new: {prober: http, http: {fail_if_bodyy: 1}}\n")
            status, text = self.ours.get("/-/reload", method="POST")
            self.assertEqual(status, 500)
            line = len(before.splitlines()) + 1
            self.assertRegex(text, rf"blackbox.yml:{line}:\d+: modules.new.http.fail_if_bodyy: unknown key")
            numbers = parse_metrics(self.ours.get("/metrics")[1])
            self.assertEqual(numbers["blackbox_exporter_config_last_reload_successful"], 0)
            self.assertEqual(self.ours.ask(self.targets.cases()[0])[0], 200)
            self.targets.modules.write_text(before + "  new: {prober: http}\n  ping: {prober: icmp}\n")
            self.assertEqual(self.ours.get("/-/reload", method="POST")[0], 200)
            self.assertIn("\nprobe_success 1\n", self.ours.ask(case)[1])
            status, text = self.ours.ask(type(case)("ping", "127.0.0.1", False))
            self.assertEqual(status, 400)
            self.assertRegex(text, rf"blackbox.yml:{line + 1}:\d+: modules.ping.prober: the prober icmp is not "
                                   "supported by tocsin-agent")
        finally:
            self.targets.modules.write_text(before)
            self.assertEqual(self.ours.get("/-/reload", method="POST")[0], 200)

    def test_check_config_reads_the_modules_too(self):
        config = self.dir / "checked.yaml"
        modules = self.dir / "checked.yml"
        config.write_text(self.agent.config.read_text().replace(str(self.targets.modules), "checked.yml"))
        command = [str(self.world.binary("tocsin-agent")), "check-config", "--config", str(config)]
        modules.write_text("modules:\n  a: {prober: icmp}\n  b: {prober: dns, dns: {query_name: x, query_type: A}}\n")
        self.assertIn(f"note: {modules}:2:15: modules.a.prober: the prober icmp is not supported by tocsin-agent",
                      run(command))
        modules.write_text("modules:\n  a: {prober: htp}\n  b: {prober: dns, dns: {query_type: B}}\n")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 78)
        self.assertEqual([line.split(": ")[0] for line in done.stderr.splitlines()],
                         [f"{modules}:2:15", f"{modules}:3:25", f"{modules}:3:38"], done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
