#!/usr/bin/env python3
"""The contract against a real collector: the document keeps the rules of OpenAPI 3.1, and every operation is called
with real content so that every kind of answer it describes is seen, and says what is described and nothing else."""

import http.client
import json
import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
import target as targets  # noqa: E402
from api_test import routes  # noqa: E402
from openapi_spec import Spec, SpecError  # noqa: E402
from processes import get, run, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
NO_ID = "019a0000-0000-7000-8000-000000000001"
HOOK = "http://127.0.0.1:9/"

# Answers that are described and not provoked here, and why.
NOT_PROVOKED = {
    ("getReadiness", "503"): "only while the collector starts, stops or cannot store",
    ("showStatusPage", "503"): "only while the collector starts",
    ("showStatusPageJson", "503"): "only while the collector starts",
    ("logIn", "503"): "only while too many passwords are checked",
    ("createToken", "409"): "only at the bound of 10,000",
    ("putSecret", "409"): "only at the bound of 1,000",
    ("createEnrolment", "409"): "only at the bound of 10,000",
}
# The same of every file of a status page, and of both methods of an acknowledge link.
for _operation in ("getRss", "getAtom", "getBadge", "getSummary", "getStatus", "getSpComponents", "getSpIncidents",
                   "getSpUnresolved", "getSpMaintenances", "getSpUpcoming", "getSpActive"):
    NOT_PROVOKED[_operation, "503"] = "only while the collector starts"
for _operation in ("showAcknowledgement", "acknowledgeByLink"):
    NOT_PROVOKED[_operation, "403"] = "only when the person it was sent to is gone: see ack_links_test.cc"
    NOT_PROVOKED[_operation, "410"] = "only weeks later, or after an ack_timeout: see ack_links_test.cc"
    NOT_PROVOKED[_operation, "503"] = "only while history cannot be read"
# Described for every operation: 429 is provoked on one of them, 503 by a collector that is busy.
EVERYWHERE = {"429", "503"}


class FiledWorld(World):
    """The monitors file also has a user."""

    def write_monitors(self):
        super().write_monitors()
        with open(self.dir / "tocsin.yaml", "a") as file:
            file.write("users:\n  - {key: filed, contact_methods: [{key: mail, type: email, to: f@example.com}], "
                       "notification_rules: [{contact: mail}]}\n")


class Caller:
    """Makes requests, holds each answer against the contract, and remembers which kinds of answer were seen."""

    def __init__(self, spec: Spec, port: int):
        self.spec, self.port = spec, port
        self.seen = set()
        self.tokens = [""]
        self._next = 0

    def raw(self, method: str, path: str, body: bytes | None, headers: dict, source="127.0.0.1"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body=None, token=None, kind="application/json", source="127.0.0.1",
                 **headers):
        """(status, parsed body, headers). `body` is a value, or text that is sent as it is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is None:
            # In turn, so that no one of them asks too often.
            self._next = (self._next + 1) % len(self.tokens)
            # An Idempotency-Key is one principal's.
            token = self.tokens[0 if "Idempotency_Key" in headers else self._next]
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            sent["Content-Type"] = kind
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        status, answer, got = self.raw(method, path, data, sent, source)
        operation = self.spec.find(method, path.split("?")[0])
        if operation is None:
            raise SpecError(f"{method} {path} is not described")
        if status < 400 and isinstance(body, dict):
            self.spec.expect(f"{method} {path}: the request", body, operation.body)
        return status, self.check(operation, status, answer, got, f"{method} {path}"), got

    def check(self, operation, status: int, answer: bytes, headers, what: str):
        response = operation.responses.get(str(status))
        if response is None:
            raise SpecError(f"{what}: {status} is not described: {answer[:300]!r}")
        self.seen.add((operation.id, str(status)))
        for name in response.get("headers", {}):
            if headers[name] is None:
                raise SpecError(f"{what}: {status} lacks the header {name}")
        content = response.get("content")
        if content is None:
            if answer:
                raise SpecError(f"{what}: {status} should have no body: {answer[:300]!r}")
            return None
        kind = headers["Content-Type"].split(";")[0]
        if kind not in content:
            raise SpecError(f"{what}: {status} comes as {kind}, described are {list(content)}")
        value = json.loads(answer) if kind.endswith("json") else answer.decode()
        self.spec.expect(f"{what}: {status}", value, content[kind]["schema"])
        return value


class Contract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = FiledWorld(ARGS.build)
        cls.world.monitors = [configs.Monitor(key, url=cls.world.target.url) for key in ("web", "web2")]
        cls.world.__enter__()
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        cls.port = cls.world.api_port
        cls.spec = Spec(json.loads(get(cls.port, "/openapi.json")[1]))
        cls.call = Caller(cls.spec, cls.port)
        first = run([str(cls.world.binary("tocsin-collector")), "admin-token", "--config",
                     str(cls.world.collector_config)]).strip()
        cls.call.tokens = [first]
        more = [cls.call("POST", "/api/v1/tokens", {"name": f"n{n}", "role": "admin"})[1] for n in range(8)]
        cls.call.tokens = [made["secret"] for made in more]

    # --- what is there to ask about ---

    def make(self, collection: str, body: dict, status=201):
        got, made, _ = self.call("POST", f"/api/v1/{collection}", body)
        self.assertEqual(got, status, made)
        return made

    def make_content(self):
        """Objects of our own, and what they are called in paths."""
        self.make("regions", {"key": "own"})
        self.make("channels", {"key": "own", "type": "webhook", "url": HOOK, "secret": {"file": "hook"}})
        self.make("channels", {"key": "own-mail", "type": "email", "to": "ops@example.com"})
        self.make("users", {"key": "own", "email": "o@example.com", "role": "responder", "disabled": False,
                            "time_zone": "Europe/Berlin",
                            "contact_methods": [{"key": "mail", "type": "email", "to": "o@example.com"}]})
        self.make("escalation-policies", {
            "key": "own", "repeat": 1, "ack_timeout": "1h", "fallback": {"channel": "own-mail"},
            "steps": [{"delay": "0s", "notify": [{"channel": "own"}, {"user": "own"}]}]})
        self.make("services", {"key": "own", "policy": "own", "description": "Ours", "urgency": "low"})
        self.make("monitors", {
            "key": "own", "type": "http", "url": HOOK, "interval": "60s", "service": "own", "tags": {"a": "b"},
            "regions": ["own"], "headers": {"X-A": "b"}, "body": "x", "method": "POST", "redirects": 1,
            "verify": False, "degraded": {"not": "latency <= 1s"}, "quorum": 1,
            "assert": ["status == 200", {"or": ["[STATUS] == any(200, 204)", {"and": ["body contains x"]}]}],
            "page_on": ["down", "degraded"], "paused": True, "family": "ipv4", "confirm": False})
        self.make("monitors", {
            "key": "own-https", "type": "http", "url": "https://shop.example.com/", "interval": "60s",
            "headers": {"X-A": "b", "X-Key": {"file": "key"}}, "body_base64": "AP8=", "body_max": 2048, "method": "PUT",
            "auth": {"basic": {"username": "ann", "password": {"file": "password"}}}, "http": "2",
            "client_certificate": {"file": "client.pem"}, "client_key": {"file": "client.key"},
            "server_name": "shop.internal", "resolver": "192.0.2.1:53", "proxy": "office", "connection": "reuse",
            "ocsp": "require",
            "allow_downgrade": True})
        self.make("monitors", {"key": "own-token", "type": "http", "url": "https://shop.example.com/",
                               "interval": "60s", "auth": {"bearer": {"file": "token"}}, "http": 1.1})
        self.make("monitors", {"key": "own-secret", "type": "http", "url": "https://shop.example.com/",
                               "interval": "60s", "auth": {"bearer": {"secret": "own"}},
                               "client_certificate": {"secret": "never-set"}})
        self.assertEqual(self.call("PUT", "/api/v1/secrets/own", {"value": "a secret\n"})[0], 201)
        self.make("monitors", {"key": "own-tcp", "type": "tcp", "host": "127.0.0.1", "port": 9, "send": "a",
                               "expect": "b", "interval": "60s", "depends_on": ["own"]})
        self.make("monitors", {"key": "own-mail", "type": "tcp", "host": "127.0.0.1", "port": 25, "interval": "60s",
                               "starttls": "smtp", "server_name": "a.example", "verify": False,
                               "send": {"base64": "AP8="}, "expect": "250\\r\\n"})
        self.make("monitors", {"key": "own-tls", "type": "tls", "host": "127.0.0.1", "port": 443, "interval": "60s",
                               "server_name": "a.example", "alpn": ["h2"], "min_version": "1.3",
                               "verify": True, "assert": "certificate expires in > 14d"})
        self.make("monitors", {"key": "own-dns", "type": "dns", "host": "example.com", "record": "A",
                               "resolver": "127.0.0.1:853", "transport": "tls", "server_name": "dns.example.com",
                               "verify": False, "recursion": False, "dnssec": True, "rcode": "NXDOMAIN",
                               "interval": "60s"})
        self.make("status-pages", {"slug": "own", "title": "Ours", "description": "x", "noindex": True,
                                   "homepage": "https://example.com/", "contact": "o@example.com",
                                   "groups": [{"name": "Site", "components": [{"monitor": "own"}]}]})
        self.contact = self.make("contact-methods", {"user": "own", "key": "hook", "type": "webhook", "url": HOOK})
        self.rule = self.make("notification-rules", {"user": "own", "contact": "mail", "delay": "1m",
                                                     "urgency": "high"})
        self.report = self.make("status-pages/own/reports", {
            "title": "Slow", "state": "investigating", "text": "We look.", "impact": "minor", "components": ["own"]})
        self.make("status-pages/own/reports", {
            "title": "Works", "state": "scheduled", "text": "Soon.", "scheduled_from": "2030-01-01T00:00:00Z",
            "scheduled_to": "2030-01-01T01:00:00Z"})
        self.make("status-pages/own/components", {"name": "Desk", "group": "People", "description": "9 to 5"})
        filed = self.call("GET", "/api/v1/contact-methods?user=filed")[1]["items"][0]
        filed_rule = self.call("GET", "/api/v1/notification-rules?user=filed")[1]["items"][0]
        self.enrolment = self.make("enrolments", {"region": "own", "name": "x", "valid": "1h",
                                                  "endpoints": ["tcp://a.example.com:7401"]})
        self.agent = self.call("GET", "/api/v1/agents")[1]["items"][0]["id"]
        # By collection: ours, and one of the monitors file.
        self.ours = {"monitors": "own", "regions": "own", "services": "own", "escalation-policies": "own",
                     "channels": "own", "status-pages": "own", "users": "own",
                     "contact-methods": self.contact["id"], "notification-rules": self.rule["id"],
                     "reports": self.report["id"], "components": "desk", "agents": self.agent,
                     "enrolments": self.enrolment["id"], "secrets": "own"}
        self.filed = {"monitors": "web", "regions": "eu-west", "services": "web", "escalation-policies": "page-ops",
                      "channels": "ops-hook", "status-pages": "demo", "users": "filed",
                      "contact-methods": filed["id"], "notification-rules": filed_rule["id"], "components": "web"}

    def make_incident(self):
        """One to answer through the API, and one to answer by its link."""
        self.world.wait_first_results()
        self.world.target.set(targets.REFUSING)
        found = until("an incident", lambda: self.call("GET", "/api/v1/incidents?state=open&monitor=web")[1]["items"],
                      30)
        self.ours["incidents"] = found[0]["name"]
        self.ours["deliveries"] = until("a delivery", lambda: [
            d for d in self.call("GET", f"/api/v1/incidents/{found[0]['name']}/deliveries")[1]["items"]
            if d["state"] == "sent"], 20)[0]["id"]
        link = until("a link", lambda: [
            c.json["data"]["notification"]["acknowledge_url"] for c in self.world.receiver.calls
            if c.json["data"]["monitor"]["key"] == "web2"], 20)[0]
        self.ack = "/ack/" + link.rpartition("/")[2]

    def path(self, operation, names=None) -> str:
        """With its parameters filled in: by default with what is there."""
        out = []
        for segment in operation.path.split("/"):
            if segment.startswith("{"):
                missing = NO_ID if segment == "{id}" else "no-such"
                stem = segment[segment.index("}") + 1:]
                if operation.path.startswith("/status/"):
                    segment = (names if names == "own" else "demo" if names is None else "no-such") + stem
                elif segment == "{token}":
                    segment = self.ack.rpartition("/")[2] if names is None else "no-such"
                else:
                    segment = missing if names == "none" else (names or self.ours).get(out[-1], missing)
            out.append(segment)
        return "/".join(out)

    def api_operations(self):
        return [o for o in self.spec.operations.values() if not o.public]

    # --- the document ---

    def test_the_routes_of_the_page_are_those_of_the_contract(self):
        page = {(method, "/api/v1" + path) for method, path, _ in routes()}

        def unnamed(path: str) -> str:
            return path.replace("{incident}", "{id}").replace("{slug}", "{key}")

        written = {(o.method, unnamed(o.path)) for o in self.api_operations()}
        self.assertEqual({(m, unnamed(p)) for m, p in page}, written)

    def test_the_document_is_cached_and_open_to_all(self):
        status, _, headers = self.call("GET", "/openapi.json", token="")
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, "*"))
        self.assertIn("max-age", headers["Cache-Control"])
        again = self.call("GET", "/openapi.json", token="", If_None_Match=headers["ETag"])
        self.assertEqual(again[:2], (304, None))

    def test_a_broken_document_is_refused(self):
        """The checks can fail."""
        def broken(change):
            document = json.loads(json.dumps(self.spec.document))
            change(document)
            with self.assertRaises(SpecError):
                Spec(document)

        broken(lambda d: d["paths"]["/healthz"]["get"].pop("responses"))
        broken(lambda d: d["paths"]["/healthz"]["get"].update(operationId="getReadiness"))
        broken(lambda d: d["paths"]["/api/v1/monitors/{key}"].pop("parameters"))
        broken(lambda d: d["components"]["schemas"].update(Unused={}))
        broken(lambda d: d["components"]["schemas"].pop("Key"))
        broken(lambda d: d["components"]["parameters"]["Limit"].update(example="many"))
        self.assertTrue(self.spec.errors({"key": "x", "name": "x", "more": 1},
                                         {"$ref": "#/components/schemas/RegionForm"}))

    # --- the answers ---

    def test_every_answer_is_what_is_described(self):
        call = self.call
        self.make_content()
        self.make_incident()
        self.read_everything()
        self.ask_wrongly()
        self.use_sessions()
        self.ask_for_what_is_public()
        self.change_everything()
        self.act_on_the_incident()
        self.ask_for_what_is_public()
        # Somebody who asks too often.
        hasty = self.make("tokens", {"name": "hasty", "role": "viewer"})["secret"]
        answers = (call("GET", "/api/v1/regions", token=hasty)[0] for _ in range(2000))
        self.assertIn(429, answers)
        described = {(o.id, code) for o in self.spec.operations.values() for code in o.responses
                     if o.public or code not in EVERYWHERE}
        unseen = described - call.seen - set(NOT_PROVOKED)
        self.assertEqual(unseen, set(), "described and never seen")
        self.assertEqual(set(NOT_PROVOKED) & call.seen, set(), "seen, so no exception is needed")
        self.assertEqual(set(NOT_PROVOKED) - described, set(), "an exception for what is not described")

    def read_everything(self):
        examples = {"limit": "2", "q": "o", "tag": "a:b", "status": "paused", "service": "own", "region": "own",
                    "type": None, "policy": "own", "role": "viewer", "user": "own", "state": None, "monitor": "web",
                    "channel": "own", "to": "2099-01-01T00:00:00Z",
                    "from": time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() - 7200))}
        for operation in self.api_operations():
            if operation.method != "GET" or operation.id == "followEvents":
                continue
            path = self.path(operation)
            status, answer, _ = self.call("GET", path)
            self.assertEqual(status, 200, f"{path}: {answer}")
            got = self.call.raw("HEAD", path, None, {"Authorization": f"Bearer {self.call.tokens[0]}"})
            self.assertEqual(got[:2], (200, b""), f"HEAD {path}")
            for name in operation.names("query"):
                schema = next(p for p in operation.parameters if p["name"] == name)["schema"]
                value = examples.get(name) or self.spec.resolve(schema).get("enum", [""])[0]
                if name != "cursor":
                    status, answer, _ = self.call("GET", f"{path}?{name}={value}")
                    self.assertEqual(status, 200, f"{path}?{name}={value}: {answer}")
            if "cursor" in operation.names("query"):
                cursor, pages = self.call("GET", f"{path}?limit=1")[1]["next_cursor"], 0
                while cursor and pages < 3:
                    status, answer, _ = self.call("GET", f"{path}?limit=1&cursor={cursor}")
                    self.assertEqual(status, 200, answer)
                    cursor, pages = answer["next_cursor"], pages + 1
        self.follow_events()

    def follow_events(self):
        """The stream begins as described; the rest is another test's."""
        operation = self.spec.operations["followEvents"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", operation.path + "?topics=catalog", headers={
                "Authorization": f"Bearer {self.call.tokens[0]}", "Last-Event-ID": "0"})
            answer = connection.getresponse()
            lines = [answer.readline() for _ in range(8)]
            self.assertIn(b"event: catalog\n", lines)
            self.call.check(operation, answer.status, b"", answer.headers, "events")
        finally:
            connection.close()

    def ask_wrongly(self):
        """The same mistakes everywhere."""
        scoped = {scope: self.make("tokens", {"name": scope, "role": "admin", "scopes": [scope]})["secret"]
                  for scope in ("events:read", "regions:read")}
        for number, operation in enumerate(self.api_operations()):
            ours, none = self.path(operation), self.path(operation, "none")
            what = f"{operation.method} {operation.path}"
            ok = {} if operation.body else None
            source = f"127.0.0.{2 + number // 10}"
            self.assertEqual(self.call(operation.method, ours, ok, token="", source=source)[0], 401, what)
            scope = "regions:read" if operation.id == "followEvents" else "events:read"
            self.assertEqual(self.call(operation.method, ours, ok, token=scoped[scope])[0], 403, what)
            if operation.body:
                self.assertEqual(self.call(operation.method, ours, "a=b", kind="text/plain")[0], 415, what)
                self.assertEqual(self.call(operation.method, ours, "{")[0], 400, what)
                if "422" in operation.responses:
                    self.assertEqual(self.call(operation.method, ours, {"nonsense": 1})[0], 422, what)
            if "404" in operation.responses and operation.names("path"):
                headers = {"If_Match": '"1"'} if operation.method == "PUT" else {}
                body = {"state": "resolved", "title": "x"} if operation.id.startswith("createReport") else ok
                body = {"state": "resolved"} if operation.id == "addReportUpdate" else body
                body = {"type": "http", "url": HOOK} if operation.id == "putMonitor" else body
                body = {"value": "long enough"} if operation.id == "putSecret" else body
                self.assertEqual(self.call(operation.method, none, body, **headers)[0], 404, what)
            if operation.method == "GET" and "400" in operation.responses:
                self.assertEqual(self.call("GET", f"{ours}?nonsense=1")[0], 400, what)
            if "If-Match" in operation.names("header"):
                self.assertEqual(self.call(operation.method, ours, ok, If_Match="17")[0], 400, what)

    def change_everything(self):
        call = self.call
        forms = {"monitors": {"type": "http", "url": HOOK, "interval": "60s"}, "regions": {}, "services": {},
                 "escalation-policies": {"steps": [{"notify": [{"channel": "own"}]}]},
                 "channels": {"type": "webhook", "url": HOOK}, "status-pages": {}, "users": {}}
        for collection, form in forms.items():
            key = "slug" if collection == "status-pages" else "key"
            ours, filed = (f"/api/v1/{collection}/{names[collection]}" for names in (self.ours, self.filed))
            made = call("POST", f"/api/v1/{collection}", form | {key: "extra"}, Idempotency_Key=f"c-{collection}")
            self.assertEqual(made[0], 201, made[1])
            self.assertEqual(call("POST", f"/api/v1/{collection}", form | {key: "extra"})[0], 409)
            self.assertEqual(call("POST", f"/api/v1/{collection}", form | {key: "other"},
                                  Idempotency_Key=f"c-{collection}")[0], 409)
            self.assertEqual(call("PUT", f"/api/v1/{collection}/put", form)[0], 201)
            self.assertEqual(call("PUT", f"/api/v1/{collection}/put", form)[0], 200)
            self.assertEqual(call("PUT", f"/api/v1/{collection}/put", form, If_Match='"1"')[0], 412)
            self.assertEqual(call("PUT", filed, form)[0], 409)
            self.assertEqual(call("PATCH", f"/api/v1/{collection}/put", {})[0], 200)
            self.assertEqual(call("PATCH", ours, {}, If_Match='"1"')[0], 412)
            field = {"channels": {"url": HOOK + "x"}, "escalation-policies": {"repeat": 2},
                     "status-pages": {"title": "x"}}
            self.assertEqual(call("PATCH", filed, field.get(collection, {"name": "x"}))[0], 409)
            self.assertEqual(call("DELETE", ours, If_Match='"1"')[0], 412)
            self.assertEqual(call("DELETE", filed)[0], 409)
            if collection != "status-pages":
                self.assertEqual(call("DELETE", ours)[0], 422, f"something refers to {ours}")
            _, got, headers = call("GET", f"/api/v1/{collection}/extra")
            self.assertEqual(call("DELETE", f"/api/v1/{collection}/extra", If_Match=headers["ETag"])[0], 204)
        self.change_parts()
        self.change_secrets()
        self.assertEqual(call("POST", "/api/v1/apply?dry_run=true&prune=false", {"services": [{"key": "a"}]})[0], 200)
        self.assertEqual(call("POST", "/api/v1/apply", {"services": [{"key": "a"}]}, Idempotency_Key="a")[0], 200)
        self.assertEqual(call("POST", "/api/v1/apply", {"services": [{"key": "b"}]}, Idempotency_Key="a")[0], 409)
        self.assertEqual(call("POST", "/api/v1/tokens", {"name": "x", "owner": "no-such"})[0], 404)
        token = self.make("tokens", {"name": "x", "owner": "own", "scopes": ["*:read"], "expires_in": "1h"})
        self.assertEqual(call("DELETE", f"/api/v1/tokens/{token['id']}")[0], 204)
        self.assertEqual(call("GET", "/api/v1/incidents?monitor=no-such")[0], 404)
        self.assertEqual(call("POST", "/api/v1/channels/own/test")[0], 202)
        self.assertEqual(call("DELETE", f"/api/v1/enrolments/{self.enrolment['id']}")[0], 204)

    def change_secrets(self):
        call, path = self.call, "/api/v1/secrets/own"
        listed = {s["key"]: s for s in call("GET", "/api/v1/secrets")[1]["items"]}
        self.assertEqual({key: (s["state"], s["monitors"]) for key, s in listed.items()},
                         {"own": ("set", ["own-secret"]), "never-set": ("missing", ["own-secret"])})
        self.assertEqual(call("PUT", path, {"value": "another"})[0], 200)
        self.assertEqual(call("PUT", path, {"value": "another"}, If_Match='"1"')[0], 412)
        for bad in ("abc", "x" * 65537, "a\0bcd"):
            self.assertEqual(call("PUT", path, {"value": bad})[0], 422)
        self.assertEqual(call("DELETE", path)[0], 422, "a monitor names it")
        self.assertEqual(call("PUT", "/api/v1/secrets/other", {"value": "long enough"})[0], 201)
        self.assertEqual(call("DELETE", "/api/v1/secrets/other", If_Match='"7"')[0], 412)
        self.assertEqual(call("DELETE", "/api/v1/secrets/other")[0], 204)

    def change_parts(self):
        call = self.call
        for collection, make, other, patch in (
                ("contact-methods", {"user": "own", "key": "p", "type": "email", "to": "p@example.com"},
                 {"user": "own", "key": "q", "type": "email", "to": "q@example.com"}, {"to": "r@example.com"}),
                ("notification-rules", {"user": "own", "contact": "mail", "delay": "2m"},
                 {"user": "own", "contact": "mail", "delay": "3m"}, {"delay": "4m"}),
                ("status-pages/own/components", {"name": "Part"}, {"name": "Other"}, {"description": "x"})):
            path = f"/api/v1/{collection}"
            status, part, _ = call("POST", path, make, Idempotency_Key=f"p-{collection}")
            self.assertEqual(status, 201, part)
            self.assertEqual(call("POST", path, other, Idempotency_Key=f"p-{collection}")[0], 409)
            self.assertEqual(call("POST", path, make)[0], 409)
            one = f"{path}/{part.get('id', part['key'] if 'key' in part else '')}"
            self.assertEqual(call("PATCH", one, patch)[0], 200)
            self.assertEqual(call("PATCH", one, patch, If_Match='"1"')[0], 412)
            self.assertEqual(call("DELETE", one, If_Match='"1"')[0], 412)
            self.assertEqual(call("DELETE", one)[0], 204)
            name = collection.split("/")[-1]
            filed = f"/api/v1/{collection.replace('own', 'demo')}/{self.filed[name]}"
            self.assertEqual(call("PATCH", filed, patch)[0], 409)
            self.assertEqual(call("DELETE", filed)[0], 409)
        path = "/api/v1/status-pages/own/reports"
        first = {"title": "x", "state": "resolved"}
        self.assertEqual(call("POST", path, first, Idempotency_Key="r")[0], 201)
        self.assertEqual(call("POST", path, first | {"title": "y"}, Idempotency_Key="r")[0], 409)
        update = {"state": "resolved", "text": "Over."}
        updates = f"{path}/{self.report['id']}/updates"
        self.assertEqual(call("POST", updates, update, Idempotency_Key="u")[0], 201)
        self.assertEqual(call("POST", updates, update | {"text": "z"}, Idempotency_Key="u")[0], 409)
        self.assertEqual(call("GET", path)[0], 200)
        self.assertEqual(call("DELETE", f"{path}/{self.report['id']}")[0], 204)

    def act_on_the_incident(self):
        call = self.call
        path = f"/api/v1/incidents/{self.ours['incidents']}"
        self.assertEqual(call("GET", self.ack, token="")[0], 200)
        self.assertEqual(call("POST", self.ack, token="")[0], 200)
        self.assertEqual(call("POST", self.ack, token="")[0], 409)
        self.assertEqual(call("POST", "/ack/no-such", token="")[0], 404)
        for method in ("GET", "POST"):
            self.assertIn(429, (call(method, "/ack/no-such", token="", source="127.0.0.90")[0] for _ in range(40)))
        self.assertEqual(call("POST", path + "/acknowledge")[0], 200)
        self.assertEqual(call("POST", path + "/acknowledge")[0], 409)
        self.assertEqual(call("POST", path + "/reassign", {"user": "own"})[0], 200)
        self.assertEqual(call("POST", path + "/watch", {"user": "own"})[0], 200)
        self.assertEqual(call("POST", path + "/unwatch", {"user": "own"})[0], 200)
        self.assertEqual(call("POST", path + "/notes", {"text": "n"}, Idempotency_Key="n")[0], 200)
        self.assertEqual(call("POST", path + "/notes", {"text": "m"}, Idempotency_Key="n")[0], 409)
        self.assertEqual(call("POST", "/api/v1/monitors/web/run")[0], 202)
        until("its results", lambda: [r for r in call("GET", "/api/v1/monitors/web/results?limit=100")[1]["items"]
                                      if r["kind"] == "run_now"], 20)
        self.assertEqual(call("POST", path + "/resolve", {"note": "done"})[0], 200)
        self.world.target.set(targets.UP)
        status, incident, _ = call("GET", path)
        self.assertEqual((status, incident["state"]), (200, "resolved"))
        for more in ("/timeline", "/deliveries"):
            self.assertEqual(call("GET", path + more)[0], 200)
        for list_path in ("incidents", "deliveries", "audit", "monitors/web/verdicts", "monitors/web/phases", "agents",
                          "monitors"):
            self.assertEqual(call("GET", f"/api/v1/{list_path}")[0], 200)
        self.assertEqual(call("POST", f"/api/v1/agents/{self.agent}/revoke")[0], 204)
        self.assertEqual(call("GET", f"/api/v1/agents/{self.agent}")[1]["state"], "revoked")

    def use_sessions(self):
        call, session = self.call, "/api/v1/session"
        self.assertEqual(call("PUT", "/api/v1/users/own/password", {"password": "a long one of four words"})[0], 204)
        login = {"user": "own", "password": "a long one of four words"}
        status, _, headers = call("POST", session, login, token="")
        self.assertEqual(status, 200)
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0], "Sec_Fetch_Site": "same-origin"}
        self.assertIsNotNone(call("GET", session, token="", **cookie)[1]["session"])
        self.assertIsNone(call("GET", session)[1]["session"])
        self.assertEqual(call("GET", "/api/v1/monitors", token="", **cookie)[0], 200)
        self.assertEqual(call("POST", "/api/v1/contact-methods", {"key": "s", "type": "email", "to": "s@example.com"},
                              token="", **cookie)[0], 201)
        foreign = cookie | {"Sec_Fetch_Site": "cross-site"}
        self.assertEqual(call("DELETE", session, token="", **foreign)[0], 403)
        self.assertEqual(call("POST", session, login, token="", Sec_Fetch_Site="cross-site")[0], 403)
        self.assertEqual(call("DELETE", session)[0], 404, "a token is no session")
        self.assertEqual(call("DELETE", session, token="", **cookie)[0], 204)
        self.assertEqual(call("GET", session, token="", **cookie)[0], 401)
        self.assertEqual(call("DELETE", "/api/v1/users/own/sessions")[0], 204)
        self.assertEqual(call("POST", session, login | {"password": "no"}, token="", source="127.0.0.91")[0], 401)
        self.assertEqual(call("POST", session, "a=b", token="", kind="text/plain", source="127.0.0.91")[0], 415)
        self.assertEqual(call("POST", session, "{", token="", source="127.0.0.91")[0], 400)
        tries = (call("POST", session, {}, token="", source="127.0.0.91")[0] for _ in range(40))
        self.assertLessEqual({422, 429}, set(tries))

    def ask_for_what_is_public(self):
        for operation in self.spec.operations.values():
            if not operation.public or operation.method != "GET" or "{token}" in operation.path:
                continue
            for names in (None, "own") if operation.path.startswith("/status/") else (None,):
                status, answer, headers = self.call("GET", self.path(operation, names), token="")
                self.assertEqual(status, 200, answer)
            if "304" in operation.responses:
                def again(path=self.path(operation, names)):
                    tag = self.call("GET", path, token="")[2]["ETag"]
                    return self.call("GET", path, token="", If_None_Match=tag)[0] == 304

                until("it is as it was, unless it was measured meanwhile", again, 10)
            if "404" in operation.responses:
                self.assertEqual(self.call("GET", self.path(operation, "none"), token="")[0], 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
