#!/usr/bin/env python3
"""Kills the collector with -9 at the three points of a mail: before the claim is committed, after the
server took it and before that is written down, and after. Each page arrives, at most one extra each.

One incident pages many people, whose rules let their mails be due one after another; the collector is
started armed with a crash point before each, and dies by it."""

import collections
import concurrent.futures
import sqlite3
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import oracle  # noqa: E402
import target as targets  # noqa: E402
from api_test import Client  # noqa: E402
from mails import Mailbox  # noqa: E402
from processes import run, until  # noqa: E402
from world import World, arguments, free_port  # noqa: E402

ARGS = arguments(__doc__, kills=(int, 10), jobs=(int, 1))

# Of each point, in this order: what a claim leaves behind lapses after 30 s, so the point that leaves
# one comes last.
POINTS = ["outbox.claim.before", "outbox.record.after", "outbox.send.after"]
ROUND = 10  # Kills of each point in one world: their 30 s must not end before they do.
LEASE_S = 30


class MailKills(unittest.TestCase):
    def test_each_page_arrives_and_at_most_once_more(self):
        rounds = [min(ROUND, ARGS.kills - done) for done in range(0, ARGS.kills, ROUND)]
        with concurrent.futures.ThreadPoolExecutor(ARGS.jobs) as pool:
            for future in [pool.submit(self.round, kills) for kills in rounds]:
                with self.subTest():
                    future.result()

    def round(self, kills: int):
        world = World(ARGS.build)
        box = Mailbox(world.dir, free_port())
        world.extra = box.yaml()
        self.addCleanup(box.stop)
        with world:
            box.start("accept")
            token = run([str(world.binary("tocsin-collector")), "admin-token", "--config",
                         str(world.collector_config)]).strip()
            api = Client(world.api_port, token)
            begin = time.monotonic()
            world.collector.kill()
            world.start_collector()
            # A kill and a start fit between two mails, with as much again to spare.
            every = max(2, round(2 * (time.monotonic() - begin) + 0.5))
            boxes = self.page(world, api, kills, first=12, every=every)
            hits = {}
            for point in POINTS:
                hits[point] = self.kill_at(world, point, kills)
                if point == POINTS[0]:
                    # All of these were claimed again and again, and now go together.
                    world.start_collector()
                    until("they are sent", lambda: sum(
                        state == "sent" for _, state, _ in self.rows(world)) == kills, 60)
            world.start_collector()
            until("every mail is recorded", lambda: self.states(world) == {"sent"}, 4 * LEASE_S, 0.5)
            self.judge(world, box, boxes, hits)

    def page(self, world, api, kills, first, every) -> list[str]:
        """One incident that pages a person for each point by as many mailboxes as it has kills; answers
        the mailboxes. Those of the first point are due at once, the others one by one."""
        form = {"users": [], "services": [{"key": "ours", "policy": "people"}]}
        due, boxes = first, []
        for point in POINTS:
            key = point.replace(".", "-")
            methods, rules = [], []
            for n in range(kills):
                boxes.append(f"{key}-{n}@example.com")
                methods.append({"key": f"m{n}", "type": "email", "to": boxes[-1]})
                rules.append({"contact": f"m{n}", "delay": f"{due}s"})
                due += 0 if point == POINTS[0] else every
            due += (kills + 2) * every if point == POINTS[0] else 0
            form["users"].append({"key": key, "contact_methods": methods, "notification_rules": rules})
        form["escalation-policies"] = [{"key": "people", "steps": [
            {"delay": "0s", "notify": [{"user": user["key"]} for user in form["users"]]}]}]
        form["monitors"] = [{"key": "ours", "type": "http", "url": world.target.url, "interval": "1s",
                             "retries": 0, "service": "ours"}]
        status, answer, _ = api("POST", "/apply", form)
        self.assertEqual(status, 200, answer)
        until("it is up", lambda: api("GET", "/monitors/ours")[1]["status"] == "up", 60)
        world.target.set(targets.REFUSING)
        until("the pages are planned", lambda: len(self.rows(world)) == len(boxes), 30)
        return boxes

    def kill_at(self, world, point: str, kills: int) -> int:
        for number in range(kills):
            world.collector.kill()
            world.collector.start(TOCSIN_CRASH_AT=f"{point}:1")
            self.assertTrue(world.collector.wait_dead(60), f"{point} was not reached")
            self.assertEqual(world.collector.process.returncode, -9, world.collector.tail())
            print(f"  killed at {point}, {number + 1} of {kills}", flush=True)
        return kills

    @staticmethod
    def rows(world) -> list[tuple]:
        """(mailbox, state, claims) of each page."""
        with sqlite3.connect(f"file:{world.dir}/collector/collector.db?mode=ro", uri=True) as db:
            return db.execute("SELECT json_extract(destination, '$.to'), state, token FROM outbox "
                              "WHERE kind = 'trigger' AND user <> ''").fetchall()

    def states(self, world) -> set[str]:
        return {state for _, state, _ in self.rows(world)}

    def judge(self, world, box, boxes, hits):
        copies = collections.Counter(m["to"][0] for m in box.accepted())
        ids = collections.defaultdict(set)
        for mail in box.accepted():
            ids[mail["to"][0]].add(mail["headers"]["Message-ID"])
        claims = {to: token for to, _, token in self.rows(world)}
        never = [f"{to} has no mail" for to in boxes if not copies[to]]
        # One crash can send a message once more. A machine so slow that a message was claimed a third
        # time has seen two.
        extra = [f"{to}: {n} copies of {claims[to]} claims" for to, n in copies.items()
                 if n > max(2, claims[to]) or n > claims[to]]
        other = [f"{to}: {seen}" for to, seen in ids.items() if len(seen) != 1]
        kills = sum(hits.values())
        print(f"  {kills} kills, {len(boxes)} pages, {copies.total()} mails", flush=True)
        self.assertEqual(oracle.report(
            ("INV-12", "each page arrives", len(boxes), never),
            ("INV-13", "at most one extra of each", copies.total(), extra),
            ("INV-13", "the copies have one Message-ID", len(boxes), other)), [])
        # The kills struck where they should: what the server took before anybody wrote it down comes
        # again. (Of the other points there is no second copy, unless the machine was so slow that two
        # mails were under way at once.)
        by_point = collections.Counter()
        for to, n in copies.items():
            by_point[to.split("@")[0].rsplit("-", 1)[0].replace("-", ".")] += n - 1
        print(f"  second copies by point: {dict(by_point)}", flush=True)
        self.assertGreaterEqual(by_point["outbox.send.after"], hits["outbox.send.after"] // 2, by_point)
        self.assertLessEqual(by_point.total(), kills, by_point)


if __name__ == "__main__":
    unittest.main(verbosity=2)
