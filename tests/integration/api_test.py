#!/usr/bin/env python3
"""The admin API of a real collector: every route of docs/api.md with every role, changes that are durable and
seen at once, conflicts, apply, and an incident from its opening to its resolution."""

import http.client
import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from processes import Program, run, until  # noqa: E402
from world import ROOT, World, arguments  # noqa: E402

ARGS = arguments(__doc__)
ROLES = ["viewer", "responder", "editor", "admin"]
NO_ID = "019a0000-0000-7000-8000-000000000001"


class Client:
    def __init__(self, port: int, token: str = ""):
        self.port, self.token = port, token

    def __call__(self, method: str, path: str, body=None, **headers):
        """(status, parsed body, headers); header names with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
            body = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, "/api/v1" + path, body=body, headers=sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None, answer.headers
        finally:
            connection.close()


def routes():
    """(method, path, least role) of docs/api.md."""
    for line in (ROOT / "docs" / "api.md").read_text().splitlines():
        row = re.fullmatch(r"\| (GET|POST|PUT|PATCH|DELETE) \| (.+) \| (\w+) \|", line)
        if row:
            for path in re.findall(r"`(/[^`]+)`", row[2]):
                yield row[1], path, row[3]


def monitor(key: str, **more):
    return {"key": key, "type": "http", "url": "http://127.0.0.1:9/", "interval": "60s"} | more


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(ARGS.build)
        cls.world.__enter__()
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        token = run([str(cls.world.binary("tocsin-collector")), "admin-token", "--config",
                     str(cls.world.collector_config)]).strip()
        cls.admin = Client(cls.world.api_port, token)

    def make_token(self, role: str, scopes=(), **more) -> Client:
        status, made, _ = self.admin("POST", "/tokens", {"name": role, "role": role,
                                                         "scopes": list(scopes)} | more)
        self.assertEqual(status, 201, made)
        client = Client(self.world.api_port, made["secret"])
        client.id = made["id"]
        return client

    def test_every_route_is_open_to_its_role_and_to_no_lesser_one(self):
        clients = {role: self.make_token(role) for role in ROLES}
        stranger = Client(self.world.api_port)
        seen = list(routes())
        self.assertGreater(len(seen), 60)
        for method, path, least in seen:
            if path == "/events":
                continue  # A stream: it has a test of its own.
            path = path.replace("{key}", "no-such").replace("{id}", NO_ID).replace("{component}", "none")
            body = {} if method in ("POST", "PUT", "PATCH") else None
            for role in ROLES:
                status, answer, _ = clients[role](method, path, body)
                allowed = ROLES.index(role) >= ROLES.index(least)
                # What is allowed goes on to find that there is no such thing, or that the body lacks
                # what it needs; never that the route is unknown.
                what = f"{method} {path} as {role}: {status} {answer}"
                self.assertEqual(status != 403, allowed, what)
                self.assertNotIn(status, (401, 405, 500), what)
                if status == 404:
                    self.assertNotIn("there is nothing at", answer["detail"], what)
        for method, path, _ in seen[:10]:
            status, answer, headers = stranger(method, path.replace("{key}", "x"))
            self.assertEqual((status, headers["WWW-Authenticate"]), (401, "Bearer"))

    def test_a_person_logs_in_with_a_password_and_out(self):
        collector = [str(self.world.binary("tocsin-collector")), "set-password", "--config",
                     str(self.world.collector_config), "--user"]
        self.admin("POST", "/users", {"key": "pia", "role": "editor", "email": "pia@example.com"})
        weak = subprocess.run([*collector, "pia"], input="pia-pia-2026\n", text=True, capture_output=True)
        self.assertEqual((weak.returncode, "pia-pia" in weak.stderr), (1, False), weak.stderr)
        done = subprocess.run([*collector, "pia"], input="grey tinted glasses\n", text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        stranger = Client(self.world.api_port)
        login = {"user": "pia@example.com", "password": "grey tinted glasses"}
        self.assertEqual(stranger("POST", "/session", login | {"password": "x"})[0], 401)
        self.assertEqual(stranger("POST", "/session", {"user": "pia"})[0], 422)
        status, answer, headers = stranger("POST", "/session", login)
        self.assertEqual((status, answer["role"]), (200, "editor"), answer)
        cookie = headers["Set-Cookie"].partition(";")[0]
        self.assertIn("HttpOnly; SameSite=Lax", headers["Set-Cookie"])
        # What was answered survives a kill.
        self.world.collector.kill()
        self.world.start_collector()
        self.world.wait_ready()
        self.assertEqual(stranger("GET", "/session", Cookie=cookie)[1]["user"], "pia")
        ours = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{self.world.api_port}"}
        self.assertEqual(stranger("POST", "/services", {"key": "by-pia"}, Cookie=cookie)[0], 403)
        self.assertEqual(stranger("POST", "/services", {"key": "by-pia"}, **ours)[0], 201)
        self.assertEqual(stranger("POST", "/users", {"key": "x"}, **ours)[0], 403)
        change = {"password": "blue tinted glasses", "old_password": "grey tinted glasses"}
        self.assertEqual(stranger("PUT", "/users/pia/password", change, **ours)[0], 204)
        self.assertEqual(stranger("DELETE", "/session", **ours)[0], 204)
        self.assertEqual(stranger("GET", "/session", Cookie=cookie)[0], 401)
        actions = [a["action"] for a in self.admin("GET", "/audit?limit=500")[1]["items"]
                   if a["kind"] == "user" and a["key"] == "pia"]
        self.assertEqual(actions[::-1], ["create", "set-password", "login", "set-password", "logout"])
        database = b"".join(p.read_bytes() for p in (self.world.dir / "collector").glob("collector.db*"))
        for secret in (cookie.partition("=")[2], "tinted glasses"):
            self.assertNotIn(secret.encode(), database)
            self.assertNotIn(secret, self.world.collector.text())
        self.world.wait_live(2)

    def test_scopes_narrow_and_revocation_ends_a_token(self):
        client = self.make_token("editor", ["monitors:read", "regions:write"])
        self.assertEqual(client("GET", "/monitors")[0], 200)
        self.assertEqual(client("POST", "/monitors", monitor("x"))[0], 403)
        self.assertEqual(client("GET", "/services")[0], 403)
        self.assertEqual(client("GET", "/regions")[0], 200)
        self.assertEqual(self.admin("POST", "/tokens", {"name": "x", "scopes": ["monitor:read"]})[0],
                         422)
        self.assertEqual(self.admin("DELETE", f"/tokens/{client.id}")[0], 204)
        status, answer, _ = client("GET", "/monitors")
        self.assertEqual(status, 401)
        self.assertIn("revoked", answer["detail"])
        listed = self.admin("GET", "/tokens")[1]["items"]
        self.assertFalse([t for t in listed if "secret" in t or "digest" in t])
        until("its last use", lambda: [t for t in self.admin("GET", "/tokens")[1]["items"]
                                       if t["id"] == client.id and t["last_used_at"]], 10)

    def test_an_object_is_made_changed_and_deleted_with_its_revision(self):
        status, made, headers = self.admin("POST", "/monitors", monitor("one"))
        self.assertEqual(status, 201, made)
        self.assertEqual(headers["Location"], "/api/v1/monitors/one")
        first = headers["ETag"]
        self.assertEqual(self.admin("POST", "/monitors", monitor("one"))[0], 409)
        status, changed, headers = self.admin("PATCH", "/monitors/one", {"name": "One", "tags": {"a": "b"}},
                                              If_Match=first)
        self.assertEqual((status, changed["name"], changed["tags"]), (200, "One", {"a": "b"}))
        self.assertEqual(self.admin("PATCH", "/monitors/one", {"name": "Two"}, If_Match=first)[0], 412)
        self.assertEqual(self.admin("GET", "/monitors/one")[1]["name"], "One")
        self.assertEqual(self.admin("PATCH", "/monitors/one", {"key": "two"})[0], 422)
        status, answer, _ = self.admin("PATCH", "/monitors/one", {"interval": "0s", "qorum": 1})
        self.assertEqual(status, 422)
        self.assertEqual({e["path"] for e in answer["errors"]} >= {"interval", "qorum"}, True, answer)
        self.assertEqual(self.admin("DELETE", "/monitors/one", If_Match=first)[0], 412)
        self.assertEqual(self.admin("DELETE", "/monitors/one")[0], 204)
        self.assertEqual(self.admin("GET", "/monitors/one")[0], 404)

    def test_what_was_answered_survives_a_kill(self):
        self.assertEqual(self.admin("POST", "/monitors", monitor("durable"))[0], 201)
        self.world.collector.kill()
        self.world.start_collector()
        self.world.wait_ready()
        self.assertEqual(self.admin("GET", "/monitors/durable")[0], 200)
        audit = self.admin("GET", "/audit?limit=500")[1]["items"]
        lines = [a for a in audit if a["key"] == "durable"]
        self.assertEqual([(a["actor"], a["action"], a["kind"]) for a in lines],
                         [("user:admin", "create", "monitor")])
        self.world.wait_live(2)
        self.assertEqual(self.admin("DELETE", "/monitors/durable")[0], 204)

    def test_a_request_with_a_key_is_carried_out_once(self):
        user = {"key": "ida", "name": "Ida", "role": "viewer"}
        first = self.admin("POST", "/users", user, Idempotency_Key="k-1")
        again = self.admin("POST", "/users", user, Idempotency_Key="k-1")
        self.assertEqual((first[0], again[0]), (201, 201), again[1])
        self.assertEqual(first[1]["id"], again[1]["id"])
        self.assertEqual(self.admin("POST", "/users", user | {"key": "eve"}, Idempotency_Key="k-1")[0],
                         409)

    def test_lists_come_in_pages_without_a_gap(self):
        for n in range(7):
            self.assertEqual(self.admin("POST", "/services", {"key": f"s{n}"})[0], 201)
        keys, cursor = [], ""
        while True:
            page = self.admin("GET", f"/services?limit=3{cursor}")[1]
            self.assertLessEqual(len(page["items"]), 3)
            keys += [s["key"] for s in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        self.assertEqual(keys, sorted(set(keys)))
        self.assertTrue({f"s{n}" for n in range(7)} <= set(keys))
        self.assertEqual(self.admin("GET", "/services?limit=0")[0], 400)
        self.assertEqual(self.admin("GET", "/services?cursor=zz")[0], 400)
        self.assertEqual(self.admin("GET", "/services?page=2")[0], 400)

    def test_the_monitors_file_keeps_what_it_made(self):
        status, answer, _ = self.admin("PATCH", "/monitors/web", {"name": "Mine"})
        self.assertEqual(status, 409, answer)
        self.assertIn("monitors file", answer["detail"])
        self.assertEqual(self.admin("DELETE", "/channels/ops-hook")[0], 409)

    def test_apply_shows_changes_all_or_nothing_and_prunes_its_own(self):
        form = {"services": [{"key": "ours"}], "monitors": [monitor("a1", service="ours"), monitor("a2")]}
        self.admin("POST", "/monitors", monitor("by-hand"))
        status, shown, _ = self.admin("POST", "/apply?dry_run=true", form)
        self.assertEqual((status, len(shown["changes"])), (200, 3), shown)
        self.assertEqual(self.admin("GET", "/monitors/a1")[0], 404)
        status, done, _ = self.admin("POST", "/apply", form)
        self.assertEqual([c["change"] for c in done["changes"]], ["create"] * 3)
        bad = {"monitors": [monitor("a3"), monitor("a4", service="none")]}
        status, answer, _ = self.admin("POST", "/apply", bad)
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "monitors[a4].service"))
        self.assertEqual(self.admin("GET", "/monitors/a3")[0], 404)
        form["monitors"].pop()
        pruned = self.admin("POST", "/apply?prune=true", form)[1]["changes"]
        self.assertEqual([(c["change"], c["key"]) for c in pruned], [("delete", "a2")])
        self.assertEqual(self.admin("GET", "/monitors/by-hand")[0], 200)
        self.assertEqual(self.admin("GET", "/monitors/web")[0], 200)
        editor = self.make_token("editor")
        self.assertEqual(editor("POST", "/apply", {"users": []})[0], 403)

    def test_an_export_applied_again_changes_nothing(self):
        self.admin("POST", "/monitors", monitor("fixed", degraded="latency > 1s", quorum="all"))
        exported = self.admin("GET", "/export")[1]
        # What the monitors file made is named there and stays as it is.
        status, answer, _ = self.admin("POST", "/apply", exported)
        self.assertEqual(status, 409, answer)
        ours = {kind: [o for o in objects
                       if self.admin("GET", f"/{kind}/{o.get('key', o.get('slug'))}")[1]["origin"]
                       not in ("file", "built_in")]
                for kind, objects in exported.items()}
        status, answer, _ = self.admin("POST", "/apply", ours)
        self.assertEqual((status, answer["changes"]), (200, []), answer)

    def test_an_incident_is_answered_through_the_api(self):
        self.world.wait_first_results()
        responder = self.make_token("responder")
        self.world.target.set(targets.REFUSING)
        open_ones = until("an incident", lambda: [
            i for i in responder("GET", "/incidents?state=open&monitor=web")[1]["items"]], 30)
        name = open_ones[0]["name"]
        status, incident, _ = responder("POST", f"/incidents/{name}/acknowledge")
        self.assertEqual((status, incident["state"]), (200, "acknowledged"), incident)
        self.assertEqual({len(e["attempts"]) for e in incident["evidence"]} - {0}, {1})
        self.assertEqual(responder("POST", f"/incidents/{name}/notes", {"text": "looking"})[0], 200)
        self.assertEqual(responder("POST", f"/incidents/{name}/notes", {"text": ""})[0], 422)
        self.admin("POST", "/users", {"key": "ann", "role": "responder"})
        status, incident, _ = responder("POST", f"/incidents/{name}/reassign", {"user": "ann"})
        self.assertEqual((status, incident["assignee"]), (200, "ann"))
        types = [t["type"] for t in responder("GET", f"/incidents/{name}/timeline")[1]["items"]]
        self.assertEqual(types, ["opened", "step", "acknowledged", "note", "assigned"])
        trail = until("a delivery", lambda: [
            d for d in responder("GET", f"/incidents/{name}/deliveries")[1]["items"]
            if d["kind"] == "trigger" and d["state"] == "sent"], 20)
        self.assertEqual([t["outcome"] for t in trail[0]["deliveries"]], ["sent"])
        results = until("five results", lambda: (lambda r: r if len(r) == 5 else None)(
            responder("GET", "/monitors/web/results?limit=5")[1]["items"]), 20)
        self.assertEqual(results[0]["outcome"], "down")
        self.world.target.set(targets.UP)
        until("it is resolved", lambda: responder("GET", f"/incidents/{name}")[1]["state"] == "resolved",
              30)
        verdicts = responder("GET", "/monitors/web/verdicts")[1]["items"]
        self.assertEqual([v["status"] for v in verdicts[:2]], ["up", "down"])

    def test_where_the_time_of_checks_went(self):
        self.world.wait_first_results()

        def phases(query):
            status, answer, _ = self.admin("GET", f"/monitors/web/phases?{query}")
            self.assertEqual(status, 200, answer)
            return answer["items"]

        until("checks of both regions", lambda: len([i for i in phases("") if i["passed"] > 1]) == 2, 30)
        before = phases("step=hour")
        after = phases("step=all")
        for item in after:
            hours = [i for i in before if i["region"] == item["region"]]
            self.assertLessEqual(sum(i["passed"] for i in hours), item["passed"])
            self.assertLessEqual(item["passed"], item["checks"])
            total = item["phases"]["total"]
            self.assertGreater(total["p50_us"], 0)
            self.assertLessEqual(total["p50_us"], total["p95_us"])
            self.assertLessEqual(total["p95_us"], total["p99_us"])
            self.assertEqual(item["phases"]["tls"], {"p50_us": 0, "p95_us": 0, "p99_us": 0})
        self.assertEqual(phases("from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z&step=day"), [])
        for bad, name in (("step=week", "step"), ("from=yesterday", "from"), ("since=1h", "since"),
                          ("from=2001-01-02T00:00:00Z&to=2001-01-01T00:00:00Z", "to"),
                          ("from=2001-01-01T00:00:00Z", "92d"),
                          ("from=2001-01-01T00:00:00Z&to=2001-01-09T00:00:01Z&step=hour", "7d")):
            status, answer, _ = self.admin("GET", f"/monitors/web/phases?{bad}")
            self.assertEqual(status, 400, bad)
            self.assertIn(name, answer["detail"], bad)

    def test_readers_are_told_by_reports(self):
        path = "/status-pages/demo/reports"
        status, report, _ = self.admin("POST", path, {"title": "Slow", "state": "investigating",
                                                      "text": "We look.", "components": ["web"]})
        self.assertEqual(status, 201, report)
        status, report, _ = self.admin("POST", f"{path}/{report['id']}/updates",
                                       {"state": "resolved", "text": "Over."})
        self.assertEqual((status, report["state"], len(report["updates"])), (201, "resolved", 2))
        self.assertEqual(self.admin("POST", path, {"title": "x", "state": "resolved",
                                                   "components": ["none"]})[0], 422)
        self.assertEqual(self.admin("DELETE", f"{path}/{report['id']}")[0], 204)
        self.assertEqual(self.admin("GET", path)[1]["items"], [])

    def test_a_user_keeps_their_own_contact_methods_and_rules(self):
        self.admin("POST", "/users", {"key": "bob", "role": "viewer"})
        self.admin("POST", "/users", {"key": "cem", "role": "viewer"})
        bob = self.make_token("viewer", owner="bob")
        cem = self.make_token("viewer", owner="cem")
        nobody = self.make_token("viewer")
        status, mail, headers = bob("POST", "/contact-methods",
                                    {"key": "mail", "type": "email", "to": "bob@example.com"})
        self.assertEqual((status, mail["user"], mail["key"]), (201, "bob", "mail"), mail)
        self.assertEqual(headers["Location"], f"/api/v1/contact-methods/{mail['id']}")
        self.assertEqual(bob("POST", "/contact-methods",
                             {"key": "mail", "type": "email", "to": "x@example.com"})[0], 409)
        hook = {"user": "bob", "key": "hook", "type": "webhook", "url": "https://hooks.example.com/b",
                "secret": {"file": "s"}}
        status, answer, _ = bob("POST", "/contact-methods", hook)
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "secret"))
        status, made, _ = self.admin("POST", "/contact-methods", hook, Idempotency_Key="hook-1")
        again = self.admin("POST", "/contact-methods", hook, Idempotency_Key="hook-1")
        self.assertEqual((status, again[0], again[1]), (201, 201, made), again)
        status, rule, _ = bob("POST", "/notification-rules", {"contact": "mail", "delay": "5m"})
        self.assertEqual((status, rule["delay"]), (201, "5m"), rule)
        status, answer, _ = bob("POST", "/notification-rules", {"contact": "none"})
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "contact"), answer)

        # Another user, and a token of nobody, see nothing of it and change nothing.
        for path in (f"/contact-methods/{mail['id']}", f"/notification-rules/{rule['id']}"):
            self.assertEqual(cem("GET", path)[0], 404)
            self.assertEqual(cem("PATCH", path, {"delay": "1m"})[0], 404)
            self.assertEqual(cem("DELETE", path)[0], 404)
            self.assertEqual(nobody("GET", path)[0], 403)
        self.assertEqual(cem("GET", "/contact-methods")[1]["items"], [])
        self.assertEqual(cem("POST", "/contact-methods", {"user": "bob", "key": "c", "type": "email",
                                                          "to": "c@example.com"})[0], 403)
        self.assertEqual(self.make_token("editor")("PATCH", f"/contact-methods/{mail['id']}", {})[0], 403)

        listed = bob("GET", "/contact-methods")[1]["items"]
        self.assertEqual([c["key"] for c in listed], ["mail", "hook"])
        page = self.admin("GET", "/contact-methods?user=bob&limit=1")[1]
        rest = self.admin("GET", f"/contact-methods?user=bob&limit=1&cursor={page['next_cursor']}")[1]
        self.assertEqual([page["items"][0]["key"], rest["items"][0]["key"], rest["next_cursor"]],
                         ["mail", "hook", None])
        status, changed, headers = bob("PATCH", f"/contact-methods/{mail['id']}",
                                       {"to": "bob@example.org"})
        self.assertEqual((status, changed["to"], changed["id"]), (200, "bob@example.org", mail["id"]))
        self.assertEqual(headers["ETag"], f"\"{changed['rev']}\"")
        self.assertEqual(bob("PATCH", f"/contact-methods/{mail['id']}", {"to": "y@example.org"},
                             If_Match=f"\"{mail['rev']}\"")[0], 412)
        status, changed, _ = bob("PATCH", f"/notification-rules/{rule['id']}", {"delay": "10m"})
        self.assertEqual((status, changed["delay"], changed["id"]), (200, "10m", rule["id"]))
        self.assertEqual(bob("DELETE", f"/contact-methods/{mail['id']}")[0], 409)
        # The ids are those of the store.
        self.world.collector.kill()
        self.world.start_collector()
        self.world.wait_ready()
        self.assertEqual(bob("GET", f"/notification-rules/{rule['id']}")[1]["delay"], "10m")
        self.assertEqual(bob("DELETE", f"/notification-rules/{rule['id']}")[0], 204)
        self.assertEqual(bob("DELETE", f"/contact-methods/{mail['id']}")[0], 204)
        self.assertEqual([c["key"] for c in bob("GET", "/contact-methods")[1]["items"]], ["hook"])
        for n in range(19):
            self.assertEqual(bob("POST", "/contact-methods", {"key": f"m{n}", "type": "email",
                                                              "to": "b@example.com"})[0], 201)
        self.assertEqual(bob("POST", "/contact-methods", {"key": "m19", "type": "email",
                                                          "to": "b@example.com"})[0], 422)
        self.world.wait_live(2)

    def test_a_component_has_an_address_of_its_own(self):
        self.admin("POST", "/monitors", monitor("part"))
        self.admin("POST", "/status-pages", {"slug": "parts", "groups": [
            {"name": "Site", "components": [{"monitor": "part"}]}]})
        path = "/status-pages/parts/components"
        status, made, headers = self.admin("POST", path, {"name": "Help Desk", "group": "People"})
        self.assertEqual((status, made["key"], made["status"]), (201, "help-desk", None), made)
        self.assertEqual(self.admin("GET", headers["Location"].removeprefix("/api/v1"))[1], made)
        self.assertEqual(self.admin("POST", path, {"monitor": "part"})[0], 409)
        self.assertEqual(self.admin("POST", path, {"monitor": "none"})[1]["errors"][0]["path"], "monitor")
        listed = self.admin("GET", path)[1]["items"]
        self.assertEqual([(c["group"], c["key"], c["status"]) for c in listed],
                         [("Site", "part", "new"), ("People", "help-desk", None)])
        status, moved, _ = self.admin("PATCH", f"{path}/help-desk", {"group": "Site", "description": "9 to 5"})
        self.assertEqual((status, moved["group"], moved["description"]), (200, "Site", "9 to 5"), moved)
        self.assertEqual(self.admin("PATCH", f"{path}/help-desk", {"name": "Other"})[0], 422)
        groups = self.admin("GET", "/status-pages/parts")[1]["groups"]
        self.assertEqual([g["name"] for g in groups], ["Site"])
        self.assertEqual(self.admin("DELETE", f"{path}/help-desk")[0], 204)
        self.assertEqual(self.admin("DELETE", f"{path}/help-desk")[0], 404)

    def test_lists_answer_what_is_asked_for(self):
        self.admin("POST", "/services", {"key": "tills", "name": "Shop tills"})
        region = self.admin("GET", "/regions")[1]["items"][0]["key"]
        for key, more in (("f-one", {"tags": {"team": "pay", "env": "live"}, "service": "tills"}),
                          ("f-two", {"tags": {"team": "pay"}, "name": "Ünlike", "regions": [region]}),
                          ("f-three", {"paused": True})):
            self.assertEqual(self.admin("POST", "/monitors", monitor(key, **more))[0], 201)

        def keys(query: str, collection: str = "monitors"):
            status, answer, _ = self.admin("GET", f"/{collection}?{query}")
            self.assertEqual(status, 200, answer)
            return [m["key"] for m in answer["items"]]

        self.assertEqual(keys("tag=team:pay"), ["f-one", "f-two"])
        self.assertEqual(keys("tag=team&tag=env:live"), ["f-one"])
        self.assertEqual(keys("tag=team:pa"), [])
        self.assertEqual(keys("service=tills"), ["f-one"])
        self.assertEqual(keys("status=paused&type=http"), ["f-three"])
        self.assertEqual(keys("q=F-T"), ["f-three", "f-two"])
        self.assertEqual(keys("q=nlik"), ["f-two"])
        self.assertIn("f-two", keys(f"region={region}&q=f-"))
        self.assertEqual(keys("q=till", "services"), ["tills"])
        page = self.admin("GET", "/monitors?q=f-&limit=2")[1]
        rest = self.admin("GET", f"/monitors?q=f-&limit=2&cursor={page['next_cursor']}")[1]
        self.assertEqual(([m["key"] for m in rest["items"]], rest["next_cursor"]), (["f-two"], None))
        for bad in ("status=bad", "q=", "type=icmp", "tag=", "region=A&region=B", "role=admin",
                    "&".join(["tag=t"] * 11)):
            self.assertEqual(self.admin("GET", f"/monitors?{bad}")[0], 400, bad)
        self.assertEqual(self.admin("GET", "/monitors/web/results?to=2001-01-01T00:00:00Z")[1]["items"], [])
        self.assertEqual(self.admin("GET", "/monitors/web/results?from=yesterday")[0], 400)

    def test_an_agent_is_enrolled_through_the_api(self):
        region = self.admin("GET", "/agents")[1]["items"][0]["region"]
        status, made, _ = self.admin("POST", "/enrolments", {"region": region, "name": "rack 4",
                                                             "valid": "1h"})
        self.assertEqual(status, 201, made)
        self.assertEqual((made["name"], made["used_at"]), ("rack 4", None))
        self.assertEqual(self.admin("POST", "/enrolments", {"region": "mars"})[1]["errors"][0]["path"],
                         "region")
        self.assertEqual(self.admin("POST", "/enrolments", {"region": region, "valid": "8d"})[0], 422)
        listed = {e["id"]: e for e in self.admin("GET", "/enrolments")[1]["items"]}
        self.assertNotIn("bundle", listed[made["id"]])
        work = self.world.dir / "by-api"
        work.mkdir()
        bundle, config = work / "bundle", work / "agent.yaml"
        bundle.write_text(made["bundle"])
        bundle.chmod(0o600)
        config.write_text(f"listen: 127.0.0.1:0\nstate_dir: {work}/state\n")
        run([str(self.world.binary("tocsin-agent")), "enroll", str(bundle), "--config", str(config)])
        program = Program("by-api", [str(self.world.binary("tocsin-agent")), "run", "--config",
                                     str(config)], work / "log").start()
        self.addCleanup(program.kill)
        used = until("the enrolment is used", lambda: [
            e for e in self.admin("GET", "/enrolments")[1]["items"]
            if e["id"] == made["id"] and e["used_at"]], 20)[0]
        until("its agent is live", lambda: self.admin(
            "GET", f"/agents/{used['agent']}")[1]["state"] == "live", 20)
        program.stop()
        actions = [(a["action"], a["key"]) for a in self.admin("GET", "/audit")[1]["items"]]
        self.assertIn(("create", made["id"]), actions)
        until("its agent is gone", lambda: self.admin(
            "GET", f"/agents/{used['agent']}")[1]["state"] == "gone", 20)
        live = self.admin("GET", f"/agents?region={region}&state=live")[1]["items"]
        self.assertEqual([a["health"] for a in live], ["healthy"])
        self.assertNotIn(used["agent"], [a["id"] for a in live])
        self.assertEqual(live[0]["assignment"]["epoch"], live[0]["assignment"]["applied"])
        self.assertGreater(live[0]["spool"]["bytes_max"], 0)
        self.assertEqual(self.admin("GET", "/agents?state=dead")[0], 400)
        self.assertEqual(self.admin("POST", f"/agents/{used['agent']}/revoke")[0], 204)

    def follow(self, **headers):
        """curl -N on /events, as a running process."""
        words = ["curl", "-sN", "-H", f"Authorization: Bearer {self.admin.token}"]
        for name, value in headers.items():
            words += ["-H", f"{name.replace('_', '-')}: {value}"]
        url = f"http://127.0.0.1:{self.world.api_port}/api/v1/events?topics=catalog"
        process = subprocess.Popen([*words, url], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    @staticmethod
    def next_events(process, count: int) -> list[int]:
        """Numbers of the next events; their data must agree."""
        out = []
        while len(out) < count:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(f"the stream ended after {out}")
            if line.startswith("id: "):
                out.append(int(line[4:]))
            if line.startswith("data: "):
                assert json.loads(line[6:])["seq"] == out[-1]
        return out

    def test_a_reader_follows_events_across_a_restart_without_a_gap(self):
        reader = self.follow()
        self.assertIn("retry", reader.stdout.readline())
        self.admin("POST", "/services", {"key": "before-1"})
        self.admin("POST", "/services", {"key": "before-2"})
        seen = self.next_events(reader, 2)
        self.world.collector.kill()
        self.world.start_collector()
        self.world.wait_ready()
        self.admin("POST", "/services", {"key": "after-1"})
        self.admin("POST", "/services", {"key": "after-2"})
        again = self.follow(Last_Event_ID=seen[0])
        self.assertEqual(self.next_events(again, 3)[0], seen[1])
        far = self.follow(Last_Event_ID=10**9)
        self.assertIn("resync", far.communicate(timeout=10)[0])
        self.world.wait_live(2)

    def test_a_channel_is_tested_by_a_message(self):
        before = len(self.world.receiver.calls)
        status, answer, _ = self.admin("POST", "/channels/ops-hook/test")
        self.assertEqual(status, 202)
        until("the message", lambda: len(self.world.receiver.calls) > before, 20)
        until("its trail", lambda: self.admin(
            "GET", f"/deliveries/{answer['notification']}")[1]["state"] == "sent", 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
