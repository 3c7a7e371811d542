#!/usr/bin/env python3
"""What `tocsin-agent check` says of real TLS servers: each way a certificate can be bad and a handshake can fail
has its reason, and the certificates are told either way; STARTTLS of mail servers and PostgreSQL."""

import json
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from api_test import Client  # noqa: E402
from processes import run, until  # noqa: E402
from tls_servers import NAME, Servers, has_ipv6  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
AGENT = str(ARGS.build / "bin" / "tocsin-agent")


class TlsProbe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="tocsin-tls-")
        cls.addClassCleanup(scratch.cleanup)
        cls.servers = Servers(Path(scratch.name))
        cls.addClassCleanup(cls.servers.stop)
        cls.servers.nginx()
        cls.servers.stapling(ARGS.build)
        cls.servers.odd_servers()
        cls.servers.exim()
        cls.servers.dovecot()
        cls.servers.postgres()

    def check(self, url: str, *words: str) -> dict:
        done = self.text(url, "--json", *words)
        self.assertIn(done.returncode, (0, 1, 2, 3), done.stderr)
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def text(self, url: str, *words: str):
        return subprocess.run([AGENT, "check", url, "--timeout", "10s", "--ca", self.servers.ca, *words],
                              capture_output=True, text=True, timeout=60)

    def tls(self, server: str, *words: str, scheme="tls") -> dict:
        return self.check(f"{scheme}://127.0.0.1:{self.servers.ports[server]}", "--server-name", NAME, *words)

    def test_a_good_certificate_is_told_with_its_chain_in_both_families(self):
        for host in ("127.0.0.1", "[::1]") if has_ipv6() else ("127.0.0.1",):
            seen = self.check(f"tls://{host}:{self.servers.ports['good']}", "--server-name", NAME,
                              "--assert", "certificate expires in > 14d")
            self.assertEqual((seen["outcome"], seen["reason"]), ("up", "none"), seen)
            tls = seen["tls"]
            self.assertEqual((tls["version"], tls["server_name"], tls["verified"]), ("TLSv1.3", NAME, True))
            self.assertEqual([c["subject"] for c in tls["chain"]], ["CN=good", "CN=middle"])
            self.assertEqual(tls["chain"][0]["names"], [NAME])
            self.assertEqual(tls["chain"][0]["key"], "EC P-256")
            self.assertTrue(tls["cipher"] and tls["group"])
            self.assertLess(tls["not_after"], tls["chain"][1]["not_after"])
            self.assertEqual(tls["chain_not_after"], tls["not_after"])
            self.assertGreater(seen["phases"]["tls_us"], 0)
            self.assertEqual(seen["address"], f"{host}:{self.servers.ports['good']}")

    def test_each_thing_that_is_wrong_with_a_certificate_has_its_reason_and_the_facts_are_there(self):
        for server, reason, part in (
                ("expired", "tls.verify.expired", "CN=expired ended on "),
                ("not_yet", "tls.verify.not_yet_valid", "CN=not_yet begins on "),
                ("name", "tls.verify.hostname", f"it is for other.test, *.other.test, not for {NAME}"),
                ("self_signed", "tls.verify.self_signed", "CN=self_signed is signed by itself"),
                ("unknown", "tls.verify.unknown_issuer", "CN=unknown is issued by CN=stranger"),
                ("no_chain", "tls.verify.unknown_issuer", "CN=no_chain is issued by CN=middle"),
                ("stale_issuer", "tls.verify.issuer_expired", "CN=stale ended on "),
                ("weak", "tls.verify.weak", "CN=weak: ")):
            with self.subTest(server):
                seen = self.tls(server, "--assert", "certificate expires in > 14d")
                self.assertEqual((seen["outcome"], seen["reason"]), ("down", reason), seen)
                self.assertIn(part, seen["detail"])
                tls = seen["tls"]
                self.assertFalse(tls["verified"])
                self.assertIn(reason, [p["reason"] for p in tls["problems"]])
                self.assertTrue(tls["chain"][0]["serial"] and tls["chain"][0]["sha256"])
                self.assertTrue(tls["cipher"] and tls["not_after"])
                if server == "expired":
                    self.assertIn("expected certificate expires in > 14d, got expired ", seen["detail"])
                unverified = self.tls(server, "--insecure")
                self.assertEqual(unverified["outcome"], "up", unverified)
                self.assertFalse(unverified["tls"]["verified"])

    def test_what_a_server_staples_is_verified_when_it_was_asked_for(self):
        for server, outcome, reason, status, part in (
                ("stapled", "up", "none", "good", ""),
                ("delegated", "up", "none", "good", ""),
                ("revoked", "down", "tls.verify.revoked", "revoked", f"CN=revoked was revoked on {self.servers.revoked_on}: keyCompromise"),
                ("outdated", "down", "tls.verify.staple", "unusable", ", not now"),
                ("foreign", "down", "tls.verify.staple", "unusable", "is not signed by CN=middle"),
                ("impostor_signed", "down", "tls.verify.staple", "unusable", "is not signed by CN=middle"),
                ("mixed_up", "down", "tls.verify.staple", "unusable", "is about other certificates")):
            for words in ((), ("--min-version", "1.3")):
                for mode in ("check", "require"):
                    with self.subTest(server=server, words=words, mode=mode):
                        seen = self.tls(server, "--ocsp", mode, *words)
                        self.assertEqual((seen["outcome"], seen["reason"]), (outcome, reason), seen)
                        tls = seen["tls"]
                        self.assertEqual(tls["ocsp"]["status"], status)
                        self.assertEqual(tls["verified"], outcome == "up")
                        self.assertEqual([p["reason"] for p in tls["problems"]], [reason] if part else [])
                        self.assertIn(part, seen.get("detail", ""))
                        if status in ("good", "revoked"):
                            self.assertLess(tls["ocsp"]["this_update"], tls["ocsp"]["next_update"])
            unasked = self.tls(server)
            self.assertEqual(unasked["outcome"], "up", unasked)
            self.assertNotIn("ocsp", unasked["tls"])

    def test_without_a_staple_only_require_fails(self):
        for server in ("unstapled", "tls12"):
            seen = self.tls(server, "--ocsp", "check")
            self.assertEqual((seen["outcome"], seen["tls"]["ocsp"]["status"]), ("up", "none"), seen)
            seen = self.tls(server, "--ocsp", "require")
            self.assertEqual((seen["outcome"], seen["reason"]), ("down", "tls.verify.staple"), seen)
            self.assertIn("the server stapled no OCSP answer for CN=good", seen["detail"])
        # What is wrong with the chain is the reason; nobody vouches for its staple.
        self.assertEqual(self.tls("expired", "--ocsp", "require")["reason"], "tls.verify.expired")

    def test_https_asks_at_its_own_origin_and_a_resumed_session_was_judged_before(self):
        def https(server, *words):
            return self.tls(server, *words, scheme="https")
        seen = https("stapled", "--ocsp", "require")
        self.assertEqual((seen["outcome"], seen["tls"]["ocsp"]["status"]), ("up", "good"), seen)
        seen = https("revoked", "--ocsp", "check")
        self.assertEqual((seen["outcome"], seen["reason"]), ("down", "tls.verify.revoked"), seen)
        self.assertNotIn("http", seen)  # Nothing was sent.
        seen = self.check(f"https://127.0.0.1:{self.servers.ports['stapled']}/away", "--ocsp", "require")
        self.assertEqual((seen["outcome"], seen["http"]["redirects"], seen["tls"]["subject"]), ("up", 1, "CN=revoked"))
        self.assertNotIn("ocsp", seen["tls"])
        for mode, status in (("resume", None), ("reuse", "good")):
            seen = https("stapled", "--ocsp", "require", "--connection", mode)
            self.assertEqual((seen["outcome"], seen["http"]["connection"]), ("up", mode + "d"), seen)
            self.assertEqual(seen["tls"].get("ocsp", {}).get("status"), status)
            seen = https("revoked", "--ocsp", "check", "--connection", mode)
            self.assertEqual((seen["outcome"], seen["reason"]), ("down", "tls.verify.revoked"), seen)

    def test_a_mail_server_staples_behind_starttls(self):
        for scheme in ("tls", "tcp"):
            seen = self.tls("smtp_stapled", "--starttls", "smtp", "--ocsp", "require", scheme=scheme)
            self.assertEqual((seen["outcome"], seen["tls"]["ocsp"]["status"]), ("up", "good"), seen)
            seen = self.tls("smtp", "--starttls", "smtp", "--ocsp", "require", scheme=scheme)
            self.assertEqual((seen["outcome"], seen["reason"]), ("down", "tls.verify.staple"), seen)

    def test_a_long_chain_is_verified_and_told(self):
        seen = self.tls("deep")
        self.assertEqual(seen["outcome"], "up", seen)
        self.assertEqual([c["subject"] for c in seen["tls"]["chain"]],
                         ["CN=deep", "CN=deep4", "CN=deep3", "CN=deep2", "CN=deep1", "CN=middle"])

    def test_handshakes_that_fail_name_the_layer_and_the_alert(self):
        for server, words, reason, alert in (
                ("tls11", (), "tls.version", None),
                ("tls12", ("--min-version", "1.3"), "tls.version", "protocol_version (70)"),
                ("alpn", ("--alpn", "imap"), "tls.alpn", "no_application_protocol (120)"),
                ("tls12", ("--alpn", "imap"), "tls.alpn", None),
                ("wants_client", (), "tls.client_certificate", None),
                ("picky_name", (), "tls.unrecognized_name", "unrecognized_name (112)"),
                ("plain", (), "tls.not_tls", None)):
            with self.subTest(server=server, words=words):
                seen = self.tls(server, *words)
                self.assertEqual((seen["outcome"], seen["reason"]), ("down", reason), seen)
                if alert:
                    self.assertEqual(seen["tls"]["alert_received"], alert)
                    self.assertIn(alert, seen["detail"])
        self.assertEqual(self.tls("alpn", "--alpn", "imap", "--alpn", "h2")["tls"]["alpn"], "h2")
        self.assertEqual(self.tls("tls12")["tls"]["version"], "TLSv1.2")

    def test_starttls_reaches_the_certificate_behind_each_protocol(self):
        for server, protocol, send, expect in (("smtp", "smtp", "EHLO x\\r\\n", "250 "),
                                               ("imap", "imap", "a CAPABILITY\\r\\n", "a OK"),
                                               ("pop3", "pop3", "CAPA\\r\\n", "+OK"),
                                               ("postgres", "postgres", None, None)):
            with self.subTest(server):
                seen = self.tls(server, "--starttls", protocol, "--assert", "certificate expires in > 14d")
                self.assertEqual(seen["outcome"], "up", seen)
                self.assertEqual(seen["tls"]["chain"][0]["subject"], "CN=good")
                words = ("--send", send, "--expect", expect) if send else ()
                seen = self.tls(server, "--starttls", protocol, *words, scheme="tcp")
                self.assertEqual(seen["outcome"], "up", seen)
                self.assertTrue(seen["tls"]["verified"])
                wrong = self.tls(server, "--starttls", protocol, "--server-name", "wrong.test")
                self.assertEqual(wrong["reason"], "tls.verify.hostname", wrong)

    def test_starttls_that_does_not_come_about_says_why(self):
        for server, protocol, reason in (("smtp_plain", "smtp", "starttls.not_offered"),
                                         ("postgres_plain", "postgres", "starttls.not_offered"),
                                         ("pop3", "imap", "starttls.protocol"),
                                         ("imap", "smtp", "starttls.protocol"),
                                         ("smtp", "pop3", "starttls.protocol")):
            with self.subTest(server=server, protocol=protocol):
                seen = self.tls(server, "--starttls", protocol)
                self.assertEqual((seen["outcome"], seen["reason"]), ("down", reason), seen)

    def test_a_person_reads_it_in_eighty_columns(self):
        for server, words in (("good", ()), ("expired", ()), ("deep", ()), ("smtp", ("--starttls", "smtp")),
                              ("stapled", ("--ocsp", "check")), ("outdated", ("--ocsp", "check")),
                              ("tls12", ("--min-version", "1.3"))):
            done = self.text(f"tls://127.0.0.1:{self.servers.ports[server]}", "--server-name", NAME, *words)
            self.assertTrue(all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout)
            self.assertIn("tls", done.stdout)


class Written:
    """A monitor as its YAML."""

    def __init__(self, key: str, text: str):
        self.key, self.text = key, text

    def yaml(self) -> str:
        return f"  - {{key: {self.key}, service: web, {self.text}}}\n"


class EverySecond:
    """A listener that turns every other connection away and greets the ones between."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        greet = False
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            with peer:
                if greet:
                    peer.sendall(b"hello\n")
                greet = not greet

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class TlsMonitors(unittest.TestCase):
    def test_evidence_reaches_the_api_and_recovery_is_told_and_counted(self):
        with tempfile.TemporaryDirectory(prefix="tocsin-tls-") as scratch:
            servers = Servers(Path(scratch))
            flapping = EverySecond()
            self.addCleanup(flapping.close)
            self.addCleanup(servers.stop)
            servers.nginx()
            servers.stapling(ARGS.build)
            ca = json.dumps(Path(servers.ca).read_text())
            tls = (f"type: tls, host: 127.0.0.1, server_name: {NAME}, interval: 1s, retries: 1, retry_delay: 50ms,"
                   f" timeout: 400ms, ca: {ca}")
            monitors = [
                Written("good", f"{tls}, port: {servers.ports['good']}"),
                Written("expired", f"{tls}, port: {servers.ports['expired']}, assert: certificate expires in > 14d"),
                Written("revoked", f"{tls}, port: {servers.ports['revoked']}, ocsp: check"),
                Written("flapping", f"type: tcp, host: 127.0.0.1, port: {flapping.port}, expect: 'hello\\n',"
                                    " interval: 1s, retries: 1, retry_delay: 50ms, timeout: 400ms"),
            ]
            with World(ARGS.build, monitors=monitors, regions=["eu-west"]) as world:
                token = run([str(world.binary("tocsin-collector")), "admin-token", "--config",
                             str(world.collector_config)]).strip()
                api = Client(world.api_port, token)

                def newest(key: str, wanted) -> dict:
                    def look():
                        items = api("GET", f"/monitors/{key}/results?limit=20")[1]["items"]
                        return next((r for r in items if wanted(r)), None)
                    return until(f"a result of {key}", look, 30)

                good = newest("good", lambda r: r["outcome"] == "up")
                self.assertNotIn("tls", good["attempts"][0])
                self.assertTrue(good["attempts"][0]["certificate_expires_at"])
                self.assertNotIn("recovered_on_attempt", good)

                expired = newest("expired", lambda r: len(r["attempts"]) == 2)
                first, second = expired["attempts"]
                self.assertEqual((expired["outcome"], expired["reason"]), ("down", "tls.verify.expired"))
                self.assertIn("expected certificate expires in > 14d, got expired ", first["detail"])
                self.assertEqual(first["tls"]["chain"][0]["subject"], "CN=expired")
                self.assertEqual([p["reason"] for p in first["tls"]["problems"]], ["tls.verify.expired"])
                self.assertNotIn("tls", second)  # The first failed attempt speaks for the others.
                self.assertEqual(second["reason"], "tls.verify.expired")
                self.assertGreater(first["phases_us"]["tls"], 0)

                revoked = newest("revoked", lambda r: r["outcome"] == "down")
                self.assertEqual(revoked["reason"], "tls.verify.revoked")
                self.assertIn("CN=revoked was revoked on ", revoked["attempts"][0]["detail"])
                ocsp = revoked["attempts"][0]["tls"]["ocsp"]
                self.assertEqual(ocsp["status"], "revoked")
                self.assertLess(ocsp["this_update"], ocsp["next_update"])

                recovered = newest("flapping", lambda r: "recovered_on_attempt" in r)
                self.assertEqual((recovered["outcome"], recovered["recovered_on_attempt"]), ("up", 2))
                self.assertEqual([a["outcome"] for a in recovered["attempts"]], ["down", "up"])
                self.assertEqual(recovered["attempts"][0]["reason"], "tcp.closed")
                agent = next(iter(world.agents.values()))
                self.assertGreaterEqual(agent.metrics()["tocsin_agent_recovered_total"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
