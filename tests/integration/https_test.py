#!/usr/bin/env python3
"""The HTTP server's settings on a real collector: TLS with a chain that curl verifies, certificates that are read
again while connections go on, and limits by address before and behind a proxy."""

import http.client
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
from processes import Program, parse_metrics, run, until  # noqa: E402
from world import arguments, free_port  # noqa: E402

ARGS = arguments(__doc__)


class Authority:
    """A root and an intermediate authority; certificates of 127.0.0.1 come from the latter."""

    def __init__(self, directory: Path):
        self.dir = directory
        self.serial = 100
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.pem")
        self._request("middle", "/CN=middle")
        (directory / "middle.ext").write_text("basicConstraints=critical,CA:TRUE\n")
        self._sign("middle", "root", "middle.ext")

    def _openssl(self, *words: str):
        run(["openssl", *words], cwd=self.dir)

    def _request(self, name: str, subject: str):
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")

    def _sign(self, name: str, by: str, extensions: str):
        self.serial += 1
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key",
                      "-set_serial", str(self.serial), "-days", "1", "-extfile", extensions, "-out", f"{name}.pem")

    def issue(self) -> int:
        """A new certificate with its chain in chain.pem and its key in server.key; answers its serial number."""
        (self.dir / "server.ext").write_text("subjectAltName=IP:127.0.0.1\n")
        self._request("server", "/CN=tocsin")
        self._sign("server", "middle", "server.ext")
        (self.dir / "chain.pem").write_text((self.dir / "server.pem").read_text()
                                            + (self.dir / "middle.pem").read_text())
        return self.serial


class Https(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tocsin-")
        self.addCleanup(scratch.cleanup)
        self.dir = Path(scratch.name)
        self.binary = str(ARGS.build / "bin" / "tocsin-collector")
        self.port = free_port()

    def start(self, http_settings: str):
        self.config = self.dir / "collector.yaml"
        (self.dir / "secrets").mkdir()
        (self.dir / "monitors.yaml").write_text("regions: [{key: eu}]\n")
        self.config.write_text(configs.collector_yaml(
            self.port, free_port(), str(self.dir / "state"), str(self.dir / "secrets"),
            str(self.dir / "monitors.yaml"), extra=http_settings))
        run([self.binary, "init", "--config", str(self.config)])
        self.collector = Program("collector", [self.binary, "serve", "--config", str(self.config)],
                                 self.dir / "log").start()
        self.addCleanup(self.collector.kill)

    def curl(self, path: str, *words: str):
        return subprocess.run(["curl", "-sS", "--max-time", "10", "--cacert", str(self.dir / "root.pem"), *words,
                               f"https://127.0.0.1:{self.port}{path}"], capture_output=True, text=True)

    def connect(self) -> tuple[http.client.HTTPSConnection, int]:
        """A verified connection, and the serial number of the certificate it saw."""
        context = ssl.create_default_context(cafile=str(self.dir / "root.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        connection.connect()
        return connection, int(connection.sock.getpeercert()["serialNumber"], 16)

    def presented(self) -> int:
        """The serial number that a new connection sees."""
        connection, serial = self.connect()
        connection.close()
        return serial

    def ask(self, connection, path: str = "/healthz") -> int:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def test_a_certificate_is_read_again_and_old_connections_go_on(self):
        authority = Authority(self.dir)
        first = authority.issue()
        self.start("http: {tls: {certificate: chain.pem, key: server.key}}\n")
        until("the collector is ready", lambda: self.curl("/readyz").returncode == 0 and
              '"ready":true' in self.curl("/readyz").stdout, 20)
        answer = self.curl("/healthz", "-w", "%{ssl_verify_result} %{http_code}")
        self.assertEqual((answer.returncode, answer.stdout), (0, "ok\n0 200"), answer.stderr)
        unknown = subprocess.run(["curl", "-sS", f"https://127.0.0.1:{self.port}/healthz"], capture_output=True)
        self.assertEqual(unknown.returncode, 60, "nobody else knows this root")
        old = self.curl("/healthz", "--tls-max", "1.1")
        self.assertNotEqual(old.returncode, 0)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                self.assertNotIn(b"HTTP/1.1 200", plain.recv(4096))
            except ConnectionResetError:
                pass

        token = run([self.binary, "admin-token", "--config", str(self.config)]).strip()
        # Whoever logs in over TLS has a cookie that only goes over TLS.
        subprocess.run([self.binary, "set-password", "--config", str(self.config)], check=True,
                       input="grey tinted glasses\n", text=True, capture_output=True)
        login = self.curl("/api/v1/session", "-D", "-", "-H", "Content-Type: application/json", "-d",
                          '{"user": "admin", "password": "grey tinted glasses"}')
        self.assertRegex(login.stdout, r"(?i)set-cookie: __Host-tocsin=[^;]+; .*Secure")
        kept, serial = self.connect()
        self.addCleanup(kept.close)
        self.assertEqual((serial, self.ask(kept)), (first, 200))
        stream, _ = self.connect()
        self.addCleanup(stream.close)
        stream.request("GET", "/api/v1/events?topics=catalog", headers={"Authorization": f"Bearer {token}"})
        events = stream.getresponse()

        # A pair that does not belong together changes nothing.
        good = (self.dir / "server.key").read_text()
        (self.dir / "server.key").write_text((self.dir / "middle.key").read_text())
        self.collector.signal(signal.SIGHUP)
        until("the error is logged", lambda: "the old one stays" in self.collector.text(), 10)
        bad = subprocess.run([self.binary, "check-config", "--config", str(self.config)], capture_output=True,
                             text=True)
        self.assertEqual(bad.returncode, 78)
        self.assertIn("server.key", bad.stderr)
        (self.dir / "server.key").write_text(good)
        self.assertEqual(run([self.binary, "check-config", "--config", str(self.config)]).count("good"), 1)
        self.assertEqual(self.presented(), first)

        second = authority.issue()
        self.collector.signal(signal.SIGHUP)
        until("new connections see the new certificate", lambda: self.presented() == second, 10)
        self.assertEqual(self.ask(kept), 200)
        self.assertEqual(int(kept.sock.getpeercert()["serialNumber"], 16), first)
        body = '{"key": "us"}'
        fresh, _ = self.connect()
        fresh.request("POST", "/api/v1/regions", body=body,
                      headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        self.assertEqual(fresh.getresponse().status, 201)
        fresh.close()
        line = b""
        for _ in range(20):  # The beginning of the stream, then the event.
            line = events.readline()
            if line.startswith(b"data: "):
                break
        self.assertIn(b"catalog", line)
        numbers = parse_metrics(self.curl("/metrics").stdout)
        self.assertGreaterEqual(numbers["tocsin_http_tls_failed_total"], 2)
        self.assertEqual(numbers["tocsin_http_streams"], 1)
        self.assertGreater(numbers["tocsin_net_turns_total"], 0)
        self.assertEqual(self.collector.stop(), 0)

    def get(self, path: str, source: str, **headers) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))
        try:
            connection.request("GET", path, headers={n.replace("_", "-"): v for n, v in headers.items()})
            return connection.getresponse().status
        finally:
            connection.close()

    def test_limits_by_address_count_the_client_behind_a_trusted_proxy(self):
        self.start("http: {connections_per_address: 8, streams_max: 2, trusted_proxies: [127.0.0.9]}\n")
        until("the collector is ready", lambda: self.get("/readyz", "127.0.0.1") == 200, 20)

        def strangers(source: str, client: str, count: int) -> set[int]:
            return {self.get("/api/v1/monitors", source, X_Forwarded_For=client) for _ in range(count)}

        self.assertEqual(strangers("127.0.0.9", "198.51.100.1", 30), {401, 429})
        self.assertEqual(strangers("127.0.0.9", "198.51.100.2", 10), {401}, "another client of the same proxy")
        self.assertEqual(strangers("127.0.0.9", "198.51.100.2, 198.51.100.1", 3), {429}, "what it forged is left out")
        self.assertEqual(strangers("127.0.0.2", "198.51.100.3", 30), {401, 429})
        self.assertEqual(strangers("127.0.0.2", "198.51.100.4", 3), {429}, "no proxy of ours: the header is nothing")

        def hold(source: str, count: int) -> list[bytes]:
            """What each of so many connections hears that asks and stays."""
            heard = []
            for _ in range(count):
                one = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))
                self.addCleanup(one.close)
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                try:
                    heard.append(one.recv(4096)[:12])
                except ConnectionResetError:
                    heard.append(b"")
            return heard

        self.assertEqual(hold("127.0.0.3", 8), [b"HTTP/1.1 200"] * 8)
        self.assertIn(hold("127.0.0.3", 1)[0], (b"HTTP/1.1 429", b""))
        self.assertEqual(hold("127.0.0.9", 12), [b"HTTP/1.1 200"] * 12)

        token = run([self.binary, "admin-token", "--config", str(self.config)]).strip()
        streams = []  # Forgotten, they would be closed.
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10,
                                                    source_address=("127.0.0.4", 0))
            self.addCleanup(connection.close)
            connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {token}"})
            streams.append(connection.getresponse())
        self.assertEqual([stream.status for stream in streams], [200, 200, 503])
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        numbers = parse_metrics(connection.getresponse().read().decode())
        connection.close()
        self.assertEqual((numbers["tocsin_http_turned_away_total"], numbers["tocsin_http_streams"]), (1, 2))


if __name__ == "__main__":
    unittest.main(verbosity=2)
