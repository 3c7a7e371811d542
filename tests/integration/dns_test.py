#!/usr/bin/env python3
"""DNS checks against Debian's nsd and unbound: every type of record, UDP, TCP and TLS on every loopback address, and
what a failed lookup is called."""

import json
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from nameservers import ADDRESSES, Nsd, Unbound, endpoint, free_dns_port  # noqa: E402
from processes import until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)

RECORDS = {
    ("www.example.test", "A"): ["192.0.2.1", "192.0.2.2"],
    ("www.example.test", "AAAA"): ["2001:db8::1"],
    ("alias.example.test", "CNAME"): ["www.example.test."],
    ("example.test", "MX"): ["10 mail.example.test."],
    ("example.test", "NS"): ["ns1.example.test.", "ns2.example.test."],
    ("example.test", "TXT"): ['"v=spf1 -all" "second \\"text\\""'],
    ("example.test", "SOA"): ["ns1.example.test. hostmaster.example.test. 2026010101 3600 900 604800 60"],
    ("_sip._tcp.example.test", "SRV"): ["5 10 5060 mail.example.test."],
    ("example.test", "CAA"): ['0 issue "ca.example.net"'],
    ("svc.example.test", "HTTPS"): ['1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1'],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["www.example.test."],
    ("192.0.2.1", "PTR"): ["www.example.test."],
    ("2001:db8::1", "PTR"): ["www.example.test."],
}


class DnsMonitor:
    """One entry of the monitors file, as world.World wants it."""

    def __init__(self, key: str, **fields):
        self.key = key
        self.fields = {"type": "dns", "interval": "1s", "retries": 0, "service": "web"} | fields

    def yaml(self) -> str:
        return f"  - key: {self.key}\n" + "".join(f"    {k}: {json.dumps(v)}\n" for k, v in self.fields.items())


class DnsServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="tocsin-")
        cls.addClassCleanup(scratch.cleanup)
        cls.dir = Path(scratch.name)
        cls.nsd = Nsd(cls.dir)
        cls.addClassCleanup(cls.nsd.program.kill)
        cls.nsd.start()
        cls.unbound = Unbound(cls.dir, cls.nsd)
        cls.addClassCleanup(cls.unbound.program.kill)
        cls.unbound.start()

    def check(self, server: str, name: str, *words: str, **fields) -> dict:
        query = "&".join(f"{k}={v}" for k, v in fields.items())
        url = f"dns://{server}/{name}" + (f"?{query}" if query else "")
        done = subprocess.run([str(ARGS.build / "bin/tocsin-agent"), "check", url, "--json", *words],
                              capture_output=True, text=True, timeout=60)
        self.assertTrue(done.stdout, done.stderr)
        out = json.loads(done.stdout)
        self.assertEqual(done.returncode, {"up": 0, "degraded": 1, "down": 2, "no_data": 3}[out["outcome"]])
        return out

    def data(self, answer: dict, kind: str) -> list[str]:
        self.assertEqual((answer["outcome"], answer["detail"]), ("up", ""), answer)
        return sorted(r["data"] for r in answer["dns"]["answers"] if r["type"] == kind)

    def tls(self) -> dict:
        return {"transport": "tls", "ca": str(self.unbound.ca)}

    def servers(self):
        """Every way to ask that gives the same answers."""
        for address in ADDRESSES:
            for transport in ("udp", "tcp"):
                yield endpoint(address, self.nsd.port), {"transport": transport}
                yield endpoint(address, self.unbound.port), {"transport": transport}
            yield endpoint(address, self.unbound.tls_port), self.tls()
            yield (endpoint(address, self.unbound.tls_port), self.tls() | {"server_name": "dns.example.test"})

    def test_every_type_of_record_over_every_transport(self):
        for server, fields in self.servers():
            for (name, kind), expected in RECORDS.items():
                with self.subTest(server=server, name=name, kind=kind, **fields):
                    answer = self.check(server, name, type=kind, **fields)
                    self.assertEqual(self.data(answer, kind), expected)
                    self.assertEqual(answer["dns"]["transport"], fields["transport"])
                    self.assertEqual(answer["address"], server)
                    self.assertFalse(answer["dns"]["truncated_udp"])

    def test_an_alias_is_followed_and_counted_by_its_type(self):
        answer = self.check(endpoint("127.0.0.1", self.unbound.port), "alias.example.test", "--assert",
                            "dns count == 2", "--assert", "dns record == WWW.example.test")
        self.assertEqual(self.data(answer, "CNAME"), ["www.example.test."])

    def test_flags_and_ttl(self):
        nsd = endpoint("127.0.0.1", self.nsd.port)
        unbound = endpoint("127.0.0.1", self.unbound.port)
        self.data(self.check(nsd, "www.example.test", "--assert", "dns flags contains aa", "--assert",
                             "dns flags not contains ra", "--assert", "dns ttl <= 60s", recursion="false"), "A")
        self.data(self.check(unbound, "www.example.test", "--assert", "dns flags contains ra", "--assert",
                             "dns flags not contains aa", "--assert", "dns ttl <= 60s"), "A")
        lower = self.check(nsd, "www.example.test", "--assert", "dns ttl > 60s")
        self.assertEqual((lower["outcome"], lower["reason"]), ("down", "assert.dns"))
        self.assertEqual(lower["detail"], "expected dns ttl > 60s, got 1m 0s (assert[0])")

    def test_dnssec_is_asked_for_and_validated(self):
        unbound = endpoint("127.0.0.1", self.unbound.port)
        for fields in ({}, {"transport": "tcp"}):
            answer = self.check(unbound, "www.signed.test", "--assert", "dns flags contains ad", dnssec="true",
                                **fields)
            self.assertEqual(self.data(answer, "A"), ["192.0.2.80"])
            self.assertEqual(len(self.data(answer, "TYPE46")), 1)  # RRSIG
        self.data(self.check(unbound, "www.signed.test", "--assert", "dns flags not contains ad"), "A")
        unsigned = self.check(unbound, "www.example.test", "--assert", "dns flags contains ad", dnssec="true")
        self.assertEqual(unsigned["reason"], "assert.dns")
        bogus = self.check(unbound, "www.bogus.test")
        self.assertEqual((bogus["outcome"], bogus["reason"]), ("down", "dns.servfail"))

    def test_a_cut_answer_is_asked_for_again_over_tcp(self):
        for address in ADDRESSES:
            for server in (endpoint(address, self.nsd.port), endpoint(address, self.unbound.port)):
                answer = self.check(server, "large.example.test", "--assert", "dns count == 20", type="TXT")
                self.assertEqual(len(self.data(answer, "TXT")), 20)
                self.assertTrue(answer["dns"]["truncated_udp"])
                self.assertEqual(answer["dns"]["transport"], "tcp")
        answer = self.check(endpoint("127.0.0.1", self.unbound.tls_port), "large.example.test", type="TXT",
                            **self.tls())
        self.assertEqual(len(self.data(answer, "TXT")), 20)

    def test_more_answers_than_are_kept_are_counted(self):
        answer = self.check(endpoint("127.0.0.1", self.nsd.port), "many.example.test", "--assert",
                            "dns count == 100")
        self.assertEqual(len(self.data(answer, "A")), 64)
        self.assertEqual(answer["dns"]["count"], 100)

    def test_a_failed_lookup_has_its_own_reason_and_is_never_up(self):
        nsd, unbound = self.nsd.port, self.unbound.port
        cases = [
            (unbound, "gone.example.test", {}, "dns.nxdomain", "NXDOMAIN"),
            (nsd, "gone.example.test", {}, "dns.nxdomain", "NXDOMAIN"),
            (unbound, "www.example.test", {"type": "MX"}, "dns.nodata", "NOERROR"),
            (unbound, "alias.example.test", {"type": "MX"}, "dns.nodata", "NOERROR"),
            (unbound, "www.broken.test", {}, "dns.servfail", "SERVFAIL"),
            (nsd, "www.broken.test", {}, "dns.servfail", "SERVFAIL"),
            (nsd, "www.elsewhere.test", {}, "dns.not_allowed", "REFUSED"),
            (unbound, "www.private.test", {}, "dns.not_allowed", "REFUSED"),
        ]
        for address in ADDRESSES:
            for port, name, fields, reason, rcode in cases:
                for more in ({}, {"transport": "tcp"}):
                    for words in ([], ["--assert", "latency < 1m"],
                                  ["--assert", "dns record not contains 192.0.2.9"]):
                        with self.subTest(address=address, name=name, more=more, words=words):
                            answer = self.check(endpoint(address, port), name, *words, **fields, **more)
                            self.assertEqual((answer["outcome"], answer["reason"], answer["dns"]["rcode"]),
                                             ("down", reason, rcode), answer["detail"])
        self.assertEqual(self.check(endpoint("127.0.0.1", self.unbound.tls_port), "gone.example.test",
                                    **self.tls())["reason"], "dns.nxdomain")

    def test_an_absence_can_be_expected(self):
        unbound = endpoint("127.0.0.1", self.unbound.port)
        self.assertEqual(self.check(unbound, "gone.example.test", rcode="NXDOMAIN")["outcome"], "up")
        there = self.check(unbound, "www.example.test", rcode="NXDOMAIN")
        self.assertEqual((there["outcome"], there["reason"], there["detail"]),
                         ("down", "dns.rcode", "expected dns rcode == NXDOMAIN, got NOERROR"))
        self.assertEqual(self.check(unbound, "www.example.test", "--assert", "dns count == 0",
                                    type="MX")["outcome"], "up")

    def test_nobody_listening_and_silence_are_told_apart(self):
        dead = free_dns_port()
        for address in ADDRESSES:
            server = endpoint(address, dead)
            self.assertEqual(self.check(server, "a.test")["reason"], "dns.refused")
            self.assertEqual(self.check(server, "a.test", transport="tcp")["reason"], "dns.refused")
            self.assertEqual(self.check(server, "a.test", transport="tls")["reason"], "connect.refused")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            server = endpoint("127.0.0.1", silent.getsockname()[1])
            self.assertEqual(self.check(server, "a.test", "--timeout", "300ms")["reason"], "dns.timeout")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            server = endpoint("127.0.0.1", silent.getsockname()[1])
            for transport, reason in (("tcp", "dns.timeout"), ("tls", "tls.timeout")):
                self.assertEqual(self.check(server, "a.test", "--timeout", "300ms", transport=transport)["reason"],
                                 reason)

    def test_the_resolver_must_prove_who_it_is(self):
        server = endpoint("127.0.0.1", self.unbound.tls_port)
        wrong = self.check(server, "www.example.test", server_name="other.example.test", **self.tls())
        self.assertEqual((wrong["outcome"], wrong["reason"]), ("down", "tls.verify.hostname"))
        self.assertNotIn("dns", wrong)  # Nothing was asked.
        stranger = self.check(server, "www.example.test", transport="tls")
        self.assertEqual((stranger["outcome"], stranger["reason"]), ("down", "tls.verify.unknown_issuer"))
        self.assertEqual(self.check(server, "www.example.test", transport="tls", verify="false")["outcome"], "up")
        plain = self.check(endpoint("127.0.0.1", self.unbound.port), "www.example.test", "--timeout", "2s",
                           **self.tls())
        self.assertEqual(plain["outcome"], "down")
        self.assertTrue(plain["reason"].startswith("tls."), plain["reason"])

    def test_the_whole_way_from_the_monitors_file(self):
        unbound = endpoint("127.0.0.1", self.unbound.port)
        tls = {"resolver": endpoint("127.0.0.1", self.unbound.tls_port), "transport": "tls",
               "ca": self.unbound.ca.read_text()}
        monitors = [
            DnsMonitor("plain", host="www.example.test", resolver=unbound,
                       **{"assert": ["dns record == 192.0.2.1", {"or": ["dns count == 7", "dns count == 2"]}]}),
            DnsMonitor("private", host="www.signed.test", dnssec=True, server_name="dns.example.test",
                       **{"assert": "dns flags contains ad"}, **tls),
            DnsMonitor("absent", host="gone.example.test", resolver=unbound, rcode="NXDOMAIN"),
            DnsMonitor("gone", host="gone.example.test", resolver=unbound, **{"assert": "latency < 5s"}),
            DnsMonitor("wrong", host="www.example.test", resolver=unbound,
                       **{"assert": [{"not": {"or": ["dns count == 7", "dns count == 2"]}}]}),
        ]
        with World(ARGS.build, monitors, regions=["eu-west"]) as world:
            world.wait_first_results()

            def states() -> dict:
                groups = world.status()["groups"]
                return {c["name"]: c["state"] for g in groups for c in g["components"]}

            until("two of them are down", lambda: len(world.truth().open_incidents()) == 2, 30)
            details = {}
            for incident in world.truth().open_incidents():
                for evidence in world.truth().evidence(incident.id):
                    for attempt in evidence.attempts:
                        details[evidence.reason] = attempt.detail
            self.assertEqual(details, {
                "dns.nxdomain": "expected dns rcode == NOERROR, got NXDOMAIN",
                "assert.dns": "expected not dns count == 2, got 2 (assert[0].not.or[1])"})
            until("the three others are up", lambda: sorted(
                key for key, state in states().items() if state == "operational") == ["absent", "plain", "private"], 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
