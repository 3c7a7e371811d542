#!/usr/bin/env python3
"""A person is paged by e-mail: by their own rules, again through the next contact method when mail does not
arrive, once, and no more after they have answered. The mail server is aiosmtpd with scripted answers."""

import re
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from api_test import Client  # noqa: E402
from mails import Mailbox  # noqa: E402
from processes import follow, run, until  # noqa: E402
from world import World, arguments, free_port  # noqa: E402

ARGS = arguments(__doc__)


class Person(unittest.TestCase):
    def setUp(self):
        self.world = World(ARGS.build)
        self.box = Mailbox(self.world.dir, free_port())
        self.world.extra = self.box.yaml()
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.addCleanup(self.box.stop)
        token = run([str(self.world.binary("tocsin-collector")), "admin-token", "--config",
                     str(self.world.collector_config)]).strip()
        self.api = Client(self.world.api_port, token)

    @staticmethod
    def link(mail: dict) -> str:
        return re.search(r"^http://\S+/ack/\S+", mail["parts"]["text/plain"], re.M)[0]

    def define(self, rules, steps, monitors=("ours",)):
        form = {
            "users": [{"key": "ann", "role": "responder", "contact_methods": [
                {"key": "mail", "type": "email", "to": "ann@example.com"},
                {"key": "hook", "type": "webhook", "url": self.world.receiver.url}],
                "notification_rules": rules}],
            "escalation-policies": [{"key": "people", "steps": steps}],
            "services": [{"key": "ours", "policy": "people"}],
            "monitors": [{"key": key, "type": "http", "url": self.world.target.url, "interval": "1s",
                          "retries": 0, "service": "ours"} for key in monitors]}
        status, answer, _ = self.api("POST", "/apply", form)
        self.assertEqual(status, 200, answer)
        until("they are up", lambda: all(
            self.api("GET", f"/monitors/{key}")[1]["status"] == "up" for key in monitors), 30)

    def incident(self) -> str:
        found = until("an incident", lambda: [
            i for i in self.api("GET", "/incidents?state=open&monitor=ours")[1]["items"]], 30)
        return found[0]["name"]

    def trail(self, name: str, channel: str) -> list[dict]:
        return [d for d in self.api("GET", f"/incidents/{name}/deliveries")[1]["items"]
                if d["channel"] == channel and d["kind"] == "trigger"]

    def test_a_page_by_mail_is_answered_and_the_next_step_does_not_come(self):
        self.box.start("accept")
        self.define([{"contact": "mail"}], [
            {"delay": "0s", "notify": [{"user": "ann"}]}, {"delay": "5s", "notify": [{"channel": "ops-hook"}]}])
        self.world.target.set(targets.REFUSING)
        mail = until("a mail", lambda: self.box.accepted(), 30)[0]
        self.assertEqual(mail["to"], ["ann@example.com"])
        name = self.incident()
        self.assertIn(name, mail["headers"]["Subject"])
        self.assertIn("connect.refused", mail["parts"]["text/plain"])
        link = self.link(mail)
        self.assertIn(link, mail["parts"]["text/html"])
        for method in ("GET", "HEAD", "GET"):  # As programs that look into mail do.
            status, page = follow(link, method)
            self.assertEqual(status, 200, page)
        self.assertIn("You will be recorded as <b>ann</b>", page)
        self.assertEqual(self.api("GET", f"/incidents/{name}")[1]["state"], "open")
        status, page = follow(link, "POST")
        self.assertEqual(status, 200, page)
        self.assertIn("ann acknowledged it at", page)
        incident = self.api("GET", f"/incidents/{name}")[1]
        self.assertEqual((incident["state"], incident["acknowledged_by"], incident["assignee"]),
                         ("acknowledged", "user:ann", "ann"))
        status, page = follow(link, "POST")
        self.assertEqual(status, 409, page)
        self.assertIn("ann acknowledged it at", page)
        self.assertEqual(follow(link[:-1] + ("A" if link[-1] != "A" else "B"), "POST")[0], 404)
        # The next step was due 5 s after the first one.
        opened = time.monotonic()
        until("its moment has passed", lambda: time.monotonic() - opened > 6, 10, 0.5)
        self.world.target.set(targets.UP)
        resolved = until("the resolve", lambda: len(self.box.accepted()) >= 2 and self.box.accepted(), 30)
        self.assertEqual(resolved[1]["headers"]["In-Reply-To"], mail["headers"].get(
            "References", mail["headers"].get("In-Reply-To")))
        self.assertEqual(self.trail(name, "ops-hook"), [])
        types = [t["type"] for t in self.api("GET", f"/incidents/{name}/timeline")[1]["items"]]
        self.assertEqual(types.count("step"), 1)

    def test_mail_that_fails_for_good_brings_the_next_contact_method_forward(self):
        self.box.start("550")
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
        self.box.start("accept")
        until("the mail", lambda: self.box.accepted(), 60)
        until("it is recorded", lambda: self.trail(name, "ann/mail")[0]["state"] == "sent", 20)
        self.assertEqual(len(self.box.accepted()), 1)

    def test_while_the_mail_server_is_down_the_page_comes_the_other_way_and_is_answered_there(self):
        self.define([{"contact": "mail"}, {"contact": "hook", "delay": "1h"}],
                    [{"delay": "0s", "notify": [{"user": "ann"}]}])
        self.world.target.set(targets.REFUSING)
        name = self.incident()
        # Three tries of the mail fail, after 5 s and 15 s: then ann's other way does not wait its hour.
        call = until("a page by webhook", lambda: [
            c for c in self.world.receiver.calls
            if c.json["type"] == "io.tocsin.incident.opened.v1"
            and c.json["data"]["notification"]["channel"] == "ann/hook"], 60)[0]
        self.assertEqual(follow(call.json["data"]["notification"]["acknowledge_url"], "POST")[0], 200)
        incident = self.api("GET", f"/incidents/{name}")[1]
        self.assertEqual((incident["state"], incident["assignee"]), ("acknowledged", "ann"))
        self.box.start("accept")
        until("the mail is called off", lambda: self.trail(name, "ann/mail")[0]["state"] == "cancelled", 60)
        self.assertEqual(len([d for d in self.trail(name, "ann/hook") if d["state"] == "sent"]), 1)
        self.world.target.set(targets.UP)
        # A mail that was tried may have arrived: its end is told there too, and nothing else is.
        until("the end by mail", lambda: self.box.accepted(), 60)
        subjects = [m["headers"]["Subject"] for m in self.box.accepted()]
        self.assertEqual([s.split("]")[0] for s in subjects], ["[resolved"], subjects)

    def test_a_storm_comes_as_one_mail_that_names_every_incident(self):
        keys = [f"storm-{n}" for n in range(12)]
        self.box.start("accept")
        self.define([{"contact": "mail"}], [{"delay": "0s", "notify": [{"user": "ann"}]}], keys)
        self.world.target.set(targets.REFUSING)
        found = until("all incidents", lambda: (lambda i: i if len(i) == 12 else None)(
            [i for i in self.api("GET", "/incidents?state=open&service=ours")[1]["items"]]), 30)
        names = sorted(i["name"] for i in found)
        until("every page is sent", lambda: all(
            self.trail(n, "ann/mail")[0]["state"] == "sent" for n in names), 90)
        mails = self.box.accepted()
        self.assertLess(len(mails), 12)
        digests = [m for m in mails if m["headers"]["Subject"].startswith("[digest]")]
        self.assertGreaterEqual(len(digests), 1, [m["headers"]["Subject"] for m in mails])
        named = [name for m in mails for name in re.findall(
            r"(?:^\[\w+\] |\[down\] )(INC-\d+) ", m["headers"]["Subject"] if m not in digests
            else m["parts"]["text/plain"], re.M)]
        self.assertEqual(sorted(named), names, "each once")
        # The trail of a message points to the digest it went with, and its own link answers it alone.
        ids = {m["headers"]["Message-ID"] for m in digests}
        trails = {n: self.trail(n, "ann/mail")[0]["deliveries"][-1]["digest"] for n in names}
        self.assertEqual({f"<digest-{d}@example.com>" for d in trails.values() if d}, ids)
        text = digests[0]["parts"]["text/plain"]
        name, link = re.search(r"(INC-\d+) .*?acknowledge: (\S+)", text, re.S).groups()
        self.assertEqual(follow(link, "POST")[0], 200)
        states = {i["name"]: i["state"]
                  for i in self.api("GET", "/incidents?state=open&service=ours")[1]["items"]}
        self.assertEqual([n for n, state in states.items() if state == "acknowledged"], [name])
        self.world.target.set(targets.UP)
        until("every end is told", lambda: all(any(
            d["kind"] == "resolve" and d["state"] == "sent"
            for d in self.api("GET", f"/incidents/{n}/deliveries")[1]["items"]) for n in names), 120)


if __name__ == "__main__":
    unittest.main(verbosity=2)
