#!/usr/bin/env python3
"""A person is paged by e-mail: by their own rules, again through the next contact method when mail does not
arrive, once, and no more after they have answered. The mail server is aiosmtpd with scripted answers."""

import http.client
import json
import re
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from api_test import Client  # noqa: E402
from processes import Program, run, until  # noqa: E402
from world import ROOT, World, arguments, free_port  # noqa: E402

ARGS = arguments(__doc__)


class Person(unittest.TestCase):
    def setUp(self):
        self.port = free_port()
        extra = f"smtp: {{host: 127.0.0.1, port: {self.port}, tls: \"off\", from: tocsin@example.com}}\n"
        self.world = World(ARGS.build, extra=extra)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.mails_file = self.world.dir / "mails.jsonl"
        token = run([str(self.world.binary("tocsin-collector")), "admin-token", "--config",
                     str(self.world.collector_config)]).strip()
        self.api = Client(self.world.api_port, token)

    def mail_server(self, script: str):
        # Debian's interpreter: the library is a Debian package.
        server = Program("smtp", ["/usr/bin/python3", "-B", str(ROOT / "tests/support/smtp_receiver.py"),
                                  "--port", str(self.port), "--log", str(self.mails_file), "--script",
                                  script], self.world.dir / "smtp.log")
        server.start()
        self.addCleanup(server.stop)
        return server

    def mails(self, action: str = "") -> list[dict]:
        if not self.mails_file.exists():
            return []
        all_of = [json.loads(line) for line in self.mails_file.read_text().splitlines()]
        return [m for m in all_of if not action or m["action"] == action]

    @staticmethod
    def link(mail: dict) -> str:
        return re.search(r"^http://\S+/ack/\S+", mail["parts"]["text/plain"], re.M)[0]

    def follow(self, link: str, method: str) -> tuple[int, str]:
        host, _, path = link.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request(method, "/" + path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def define(self, rules, steps):
        form = {
            "users": [{"key": "ann", "role": "responder", "contact_methods": [
                {"key": "mail", "type": "email", "to": "ann@example.com"},
                {"key": "hook", "type": "webhook", "url": self.world.receiver.url}],
                "notification_rules": rules}],
            "escalation-policies": [{"key": "people", "steps": steps}],
            "services": [{"key": "ours", "policy": "people"}],
            "monitors": [{"key": "ours", "type": "http", "url": self.world.target.url, "interval": "1s",
                          "retries": 0, "service": "ours"}]}
        status, answer, _ = self.api("POST", "/apply", form)
        self.assertEqual(status, 200, answer)
        until("it is up", lambda: self.api("GET", "/monitors/ours")[1]["status"] == "up", 30)

    def incident(self) -> str:
        found = until("an incident", lambda: [
            i for i in self.api("GET", "/incidents?state=open&monitor=ours")[1]["items"]], 30)
        return found[0]["name"]

    def trail(self, name: str, channel: str) -> list[dict]:
        return [d for d in self.api("GET", f"/incidents/{name}/deliveries")[1]["items"]
                if d["channel"] == channel and d["kind"] == "trigger"]

    def test_a_page_by_mail_is_answered_and_the_next_step_does_not_come(self):
        self.mail_server("accept")
        self.define([{"contact": "mail"}], [
            {"delay": "0s", "notify": [{"user": "ann"}]}, {"delay": "5s", "notify": [{"channel": "ops-hook"}]}])
        self.world.target.set(targets.REFUSING)
        mail = until("a mail", lambda: self.mails("accept"), 30)[0]
        self.assertEqual(mail["to"], ["ann@example.com"])
        name = self.incident()
        self.assertIn(name, mail["headers"]["Subject"])
        self.assertIn("connect.refused", mail["parts"]["text/plain"])
        link = self.link(mail)
        self.assertIn(link, mail["parts"]["text/html"])
        for method in ("GET", "HEAD", "GET"):  # As programs that look into mail do.
            status, page = self.follow(link, method)
            self.assertEqual(status, 200, page)
        self.assertIn("You will be recorded as <b>ann</b>", page)
        self.assertEqual(self.api("GET", f"/incidents/{name}")[1]["state"], "open")
        status, page = self.follow(link, "POST")
        self.assertEqual(status, 200, page)
        self.assertIn("ann acknowledged it at", page)
        incident = self.api("GET", f"/incidents/{name}")[1]
        self.assertEqual((incident["state"], incident["acknowledged_by"], incident["assignee"]),
                         ("acknowledged", "user:ann", "ann"))
        status, page = self.follow(link, "POST")
        self.assertEqual(status, 409, page)
        self.assertIn("ann acknowledged it at", page)
        self.assertEqual(self.follow(link[:-1] + ("A" if link[-1] != "A" else "B"), "POST")[0], 404)
        # The next step was due 5 s after the first one.
        opened = time.monotonic()
        until("its moment has passed", lambda: time.monotonic() - opened > 6, 10, 0.5)
        self.world.target.set(targets.UP)
        resolved = until("the resolve", lambda: len(self.mails("accept")) >= 2 and self.mails("accept"), 30)
        self.assertEqual(resolved[1]["headers"]["In-Reply-To"], mail["headers"].get(
            "References", mail["headers"].get("In-Reply-To")))
        self.assertEqual(self.trail(name, "ops-hook"), [])
        types = [t["type"] for t in self.api("GET", f"/incidents/{name}/timeline")[1]["items"]]
        self.assertEqual(types.count("step"), 1)

    def test_mail_that_fails_for_good_brings_the_next_contact_method_forward(self):
        self.mail_server("550")
        self.define([{"contact": "mail"}, {"contact": "hook", "delay": "1h"}],
                    [{"delay": "0s", "notify": [{"user": "ann"}]}])
        self.world.target.set(targets.REFUSING)
        name = self.incident()
        hook = until("the other way", lambda: [
            d for d in self.trail(name, "ann/hook") if d["state"] == "sent"], 30)
        self.assertEqual([t["outcome"] for t in hook[0]["deliveries"]], ["sent"])
        self.assertEqual([d["state"] for d in self.trail(name, "ann/mail")], ["dead"])
        lines = [t["text"] for t in self.api("GET", f"/incidents/{name}/timeline")[1]["items"]
                 if t["type"] == "delivery_failed"]
        self.assertEqual(len(lines), 1, lines)
        dead = until("an incident about the channel", lambda: [
            i for i in self.api("GET", "/incidents?state=open")[1]["items"] if i["kind"] == "dead_channel"],
            20)
        self.assertEqual(dead[0]["channel"], "ann/mail")

    def test_a_page_waits_for_a_mail_server_that_is_down_and_comes_once(self):
        self.define([{"contact": "mail"}], [{"delay": "0s", "notify": [{"user": "ann"}]}])
        self.world.target.set(targets.REFUSING)
        name = self.incident()
        until("a try", lambda: any(d["deliveries"] for d in self.trail(name, "ann/mail")), 30)
        self.world.collector.kill()
        self.world.start_collector()
        self.world.wait_ready()
        self.mail_server("accept")
        until("the mail", lambda: self.mails("accept"), 60)
        until("it is recorded", lambda: self.trail(name, "ann/mail")[0]["state"] == "sent", 20)
        self.assertEqual(len(self.mails("accept")), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
