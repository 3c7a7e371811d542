#!/usr/bin/env python3
"""The public page of a real collector in all of its forms: states, reports by the API, feeds, the Statuspage
family, 304, ids that last; and its publication as a directory that is whole whatever is killed when."""

import json
import os
import random
import subprocess
import sys
import threading
import time
import unittest
import xml.etree.ElementTree as ElementTree
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from processes import Program, run, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__, seed=(int, 0))
ATOM = "{http://www.w3.org/2005/Atom}"
FAMILY = ["summary", "status", "components", "incidents", "incidents/unresolved", "scheduled-maintenances",
          "scheduled-maintenances/upcoming", "scheduled-maintenances/active"]
ROUTES = ["", ".json", "/feed.rss", "/feed.atom", "/badge.svg"] + [f"/api/v2/{f}.json" for f in FAMILY]
FILES = ["index.html", "status.json", "feed.rss", "feed.atom", "badge.svg"] + [f"api/v2/{f}.json" for f in FAMILY]
PAGE = {
    "slug": "shop", "title": "Shop", "description": "How the shop is.", "homepage": "https://shop.example/",
    "contact": "help@shop.example", "noindex": True,
    "groups": [{"name": "Site", "components": [{"monitor": "web"}, {"name": "Support desk"}]}],
}


class StatusTest(unittest.TestCase):
    def setUp(self):
        self.world = World(ARGS.build)
        self.world.__enter__()
        self.addCleanup(self.leave)
        self.token = run([self.collector(), "admin-token", "--config", self.config()]).strip()
        self.api("POST", "/status-pages", PAGE)
        until("the web is up", lambda: self.page()["groups"][0]["components"][0]["state"] == "operational", 60)

    def leave(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", []) or [])
        failed = failed or not getattr(self._outcome, "success", True)
        self.world.__exit__(AssertionError if failed else None, None, None)

    def collector(self) -> str:
        return str(self.world.binary("tocsin-collector"))

    def config(self) -> str:
        return str(self.world.collector_config)

    def request(self, method, path, body=None, **headers):
        connection = HTTPConnection("127.0.0.1", self.world.api_port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def api(self, method, path, body=None):
        status, text, _ = self.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None,
                                       **{"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        self.assertLess(status, 300, text)
        return json.loads(text) if text else None

    def get(self, route="", **headers):
        return self.request("GET", "/status/shop" + route, **headers)

    def page(self):
        status, body, _ = self.get(".json")
        if status != 200:
            raise OSError(f"GET .json: {status}")
        return json.loads(body)

    def family(self, name):
        status, body, _ = self.get(f"/api/v2/{name}.json")
        self.assertEqual(status, 200)
        return json.loads(body)

    def post(self, title):
        return next((p for p in self.page()["posts"] if p["title"] == title), None)

    def entries(self):
        """Atom's entries by id; RSS has to agree."""
        atom = ElementTree.fromstring(self.get("/feed.atom")[1])
        out = {e.find(ATOM + "id").text: e for e in atom.findall(ATOM + "entry")}
        rss = ElementTree.fromstring(self.get("/feed.rss")[1])
        self.assertEqual([i.find("guid").text for i in rss.iter("item")], list(out))
        return out

    def entry(self, title):
        return next((e for e in self.entries().values() if e.find(ATOM + "title").text == title), None)


class Pages(StatusTest):
    def test_every_form_is_served_and_a_reader_who_has_it_hears_304(self):
        for route in ROUTES:
            for _ in range(20):  # A new view may come between the two.
                status, body, headers = self.get(route)
                self.assertEqual(status, 200, route)
                again, nothing, _ = self.get(route, **{"If-None-Match": headers["ETag"]})
                if again == 304:
                    break
            self.assertEqual((again, nothing), (304, b""), route)
            self.assertEqual(headers["X-Robots-Tag"], "noindex, nofollow")
            self.assertEqual(headers["Cache-Control"], "public, max-age=5")
            self.assertEqual(headers["Access-Control-Allow-Origin"], "*" if route else None)
        html = self.get()[1].decode()
        for text in ["How the shop is.", "https://shop.example/", "mailto:help@shop.example",
                     "All components are operational", "Support desk", "No incident is open."]:
            self.assertIn(text, html)
        self.assertNotIn("<script", html)
        self.assertNotIn(self.world.target.url, html)
        # A feed's tag lasts while nothing happens, though views come every few seconds.
        tag = self.get("/feed.atom")[2]["ETag"]
        made = self.page()["generated_at"]
        until("the page is made anew", lambda: self.page()["generated_at"] > made, 20)
        self.assertEqual(self.get("/feed.atom", **{"If-None-Match": tag})[0], 304)
        badge = ElementTree.fromstring(self.get("/badge.svg")[1])
        self.assertEqual((badge.get("role"), badge.get("aria-label")), ("img", "Shop: Operational"))

    def test_a_report_lives_through_all_forms(self):
        made = self.api("POST", "/status-pages/shop/reports", {
            "title": "Calls <b>drop</b>", "impact": "major", "components": ["support-desk"],
            "state": "investigating", "text": "We are looking into it."})
        page = self.page()
        desk = page["groups"][0]["components"][1]
        self.assertEqual((page["state"], desk["state"]), ("partial_outage", "partial_outage"))
        self.assertIn("Support desk has a partial outage", page["sentence"])
        post = self.post("Calls <b>drop</b>")
        self.assertEqual((post["phase"], post["kind"], post["id"]), ("current", "incident", desk["report"]))
        self.assertIn("Calls &lt;b&gt;drop&lt;/b&gt;", self.get()[1].decode())
        first = self.entry("Investigating: Calls <b>drop</b>")
        self.assertIsNotNone(first)
        unresolved = self.family("incidents/unresolved")["incidents"]
        self.assertEqual([(i["id"], i["status"], i["impact"]) for i in unresolved],
                         [(post["id"], "investigating", "major")])
        self.assertEqual(self.family("status")["status"]["indicator"], "major")

        path = f"/status-pages/shop/reports/{made['id']}/updates"
        self.api("POST", path, {"state": "identified", "text": "The exchange is broken.\n\nIt is being replaced."})
        self.api("POST", path, {"state": "resolved", "text": "Calls work."})
        post = self.post("Calls <b>drop</b>")
        self.assertEqual(post["phase"], "past")
        self.assertEqual([u["state"] for u in post["updates"]], ["resolved", "identified", "investigating"])
        self.assertEqual(self.page()["state"], "operational")
        self.assertEqual(self.family("incidents/unresolved")["incidents"], [])
        incident = self.family("incidents")["incidents"][0]
        self.assertEqual((incident["id"], incident["status"]), (post["id"], "resolved"))
        self.assertEqual(len({u["id"] for u in incident["incident_updates"]}), 3)
        last = self.entry("Resolved: Calls <b>drop</b>")
        self.assertEqual(last.find(ATOM + "id").text, first.find(ATOM + "id").text)
        self.assertGreater(last.find(ATOM + "updated").text, first.find(ATOM + "updated").text)
        self.assertIn("<p>The exchange is broken.</p>", last.find(ATOM + "content").text)

        now = datetime.now(timezone.utc)
        self.api("POST", "/status-pages/shop/reports", {
            "title": "New disk", "impact": "none", "components": ["web"], "state": "scheduled", "text": "Tonight.",
            "scheduled_from": (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "scheduled_to": (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")})
        self.assertEqual(self.page()["groups"][0]["components"][0]["state"], "maintenance")
        active = self.family("scheduled-maintenances/active")["scheduled_maintenances"]
        self.assertEqual([(m["name"], m["status"]) for m in active], [("New disk", "in_progress")])
        self.assertEqual(self.family("summary")["status"],
                         {"indicator": "maintenance", "description": "Service Under Maintenance"})

    def test_an_outage_is_told_while_it_lasts_and_afterwards_under_the_same_ids(self):
        self.world.target.set(targets.REFUSING)
        until("the page says so", lambda: self.page()["sentence"] == "web is down", 30)
        post = until("the incident is on it", lambda: self.post("web: outage"), 30)
        self.assertEqual((post["kind"], post["phase"]), ("measured", "current"))
        entry = self.entry("Investigating: web: outage").find(ATOM + "id").text
        ids = [c["id"] for c in self.family("components")["components"]]
        self.assertEqual([c["status"] for c in self.family("components")["components"]],
                         ["major_outage", "major_outage", "operational"])
        self.assertIn("Open incidents: 1", self.get()[1].decode())

        self.world.target.set(targets.UP)
        until("it is over", lambda: self.post("web: outage")["phase"] == "past", 60)
        until("the page says up", lambda: self.page()["state"] == "operational", 30)
        self.world.collector.kill()
        self.world.start_collector()
        over = until("a new life tells it too", lambda: self.post("web: outage"), 30)
        self.assertEqual((over["id"], over["phase"], over["number"]), (post["id"], "past", post["number"]))
        self.assertEqual(over["updates"][0]["state"], "resolved")
        self.assertEqual(self.entry("Resolved: web: outage").find(ATOM + "id").text, entry)
        self.assertEqual([c["id"] for c in self.family("components")["components"]], ids)
        html = self.get()[1].decode()
        self.assertIn("web: outage", html)
        uptime = until("the outage is in the uptime",
                       lambda: self.uptime_with_downtime(), 90)
        self.assertLess(float(uptime["percent"]), 100)
        self.assertLess(float(uptime["coverage_percent"]), 100, "most of this day nobody measured")

    def uptime_with_downtime(self):
        uptime = self.page()["groups"][0]["components"][0]["uptime"]
        return uptime if uptime and uptime["history"]["down_s"][-1] > 0 else None


class Exports(StatusTest):
    def export(self, *words, code=0):
        done = subprocess.run([self.collector(), "export-status", "--config", self.config(), *words],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def start_export(self, out: Path, name="export") -> Program:
        program = Program(name, [self.collector(), "export-status", "--config", self.config(), "--page", "shop",
                                 "--out", str(out), "--every", "1s", "--url", "https://status.example"],
                          self.world.dir / f"{name}.log")
        return program.start()

    def read(self, out: Path):
        """Every file of one generation: a reader that opened the directory once."""
        directory = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
        try:
            texts = {}
            for name in FILES:
                fd = os.open(name, os.O_RDONLY, dir_fd=directory)
                with os.fdopen(fd, "rb") as file:
                    texts[name] = file.read().decode()
            return texts
        finally:
            os.close(directory)

    def check_whole(self, texts):
        page = json.loads(texts["status.json"])
        for name, text in texts.items():
            if name.endswith(".json"):
                json.loads(text)
            elif name != "index.html":
                ElementTree.fromstring(text)
        self.assertTrue(texts["index.html"].endswith("</html>\n"))
        # All of one moment.
        self.assertIn(page["generated_at"][:19], texts["index.html"])
        self.assertIn(f'"slug":"{page["slug"]}"', texts["status.json"])
        return page

    def test_one_export_says_what_it_did_or_why_not(self):
        out = self.world.dir / "site"
        self.assertIn("published 13 files of page shop", self.export("--page", "shop", "--out", str(out)).stdout)
        page = self.check_whole(self.read(out))
        self.assertEqual(page["state"], "operational")
        self.assertEqual(sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()), sorted(FILES))
        self.assertIn("If it is later than", self.read(out)["index.html"])
        self.assertEqual((out / "index.html").stat().st_mode & 0o777, 0o644)

        self.assertIn("did you mean shop?", self.export("--page", "shp", "--out", str(out), code=1).stderr)
        taken = self.world.dir / "taken"
        taken.mkdir()
        (taken / "mine").write_text("precious")
        self.assertIn("would be lost", self.export("--page", "shop", "--out", str(taken), code=1).stderr)
        self.assertEqual((taken / "mine").read_text(), "precious")
        self.world.collector.stop()
        self.assertIn("no collector serves on", self.export("--page", "shop", "--out", str(out), code=75).stderr)
        self.check_whole(self.read(out))

    def test_the_published_directory_is_whole_whatever_is_killed_when(self):
        seed = ARGS.seed or random.SystemRandom().randrange(1, 1 << 30)
        print(f"seed {seed}", flush=True)
        rng = random.Random(seed)
        out = self.world.dir / "site"
        exporter = self.start_export(out)
        self.addCleanup(exporter.kill)
        until("it is published", out.exists, 30)

        faults, seen, stop = [], set(), threading.Event()

        def watch():
            while not stop.is_set():
                before = os.readlink(out)
                try:
                    seen.add(self.check_whole(self.read(out))["generated_at"])
                except FileNotFoundError as error:
                    # Slower than a whole interval: a web server would have looked the name up again.
                    if os.readlink(out) == before and not stop.is_set():
                        faults.append(error)
                except (AssertionError, ValueError, ElementTree.ParseError, OSError) as error:
                    faults.append(error)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for _ in range(8):
                self.world.collector.kill()
                time.sleep(rng.random() * 0.5)
                self.world.start_collector()
                until("it goes on", lambda count=len(seen): len(seen) > count, 30)
            for _ in range(25):
                time.sleep(rng.random() * 0.3)
                exporter.kill()
                self.assertTrue(out.is_symlink() and (out / "index.html").exists())
                exporter.start()
            until("it goes on", lambda count=len(seen): len(seen) > count, 30)
        finally:
            stop.set()
            watcher.join()
        self.assertEqual(faults, [])
        self.assertGreater(len(seen), 9)
        second = self.export("--page", "shop", "--out", str(out), code=75).stderr
        self.assertIn("site.lock", second)
        self.assertEqual(exporter.stop(), 0)

    def test_a_page_says_that_it_is_old_when_the_collector_is_silent(self):
        out = self.world.dir / "site"
        exporter = self.start_export(out)
        self.addCleanup(exporter.kill)
        until("it is published", out.exists, 30)
        until("it is all well", lambda: json.loads((out / "status.json").read_text())["state"] == "operational", 30)
        self.world.collector.kill()
        self.assertFalse(json.loads((out / "status.json").read_text())["stale"])
        until("it says so", lambda: json.loads((out / "status.json").read_text())["stale"], 90, 0.5)
        texts = self.read(out)
        page = self.check_whole(texts)
        self.assertEqual(page["state"], "no_data")
        self.assertGreater(datetime.now(timezone.utc),
                           datetime.fromisoformat(page["stale_after"].replace("Z", "+00:00")))
        self.assertIn("We cannot measure at the moment", texts["index.html"])
        self.assertIn("No new data since", texts["index.html"])
        self.assertIn("Shop: No data", texts["badge.svg"])
        self.assertTrue(json.loads(texts["api/v2/summary.json"])["status"]["x_stale"])
        self.world.start_collector()
        until("it is news again", lambda: json.loads((out / "status.json").read_text())["state"] == "operational", 90)


if __name__ == "__main__":
    unittest.main(verbosity=2)
