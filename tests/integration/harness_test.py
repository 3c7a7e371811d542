#!/usr/bin/env python3
"""The pieces of the harness do what the scenarios rely on. No daemon is needed."""

import json
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
import webhooks  # noqa: E402
from background import Background, free_port  # noqa: E402
from fault_proxy import TO_CLIENT, FaultProxy  # noqa: E402
from processes import Gone, Program, get, parse_metrics, until  # noqa: E402

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class EchoServer:
    """Counts bytes and sends them back."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port))
        self.received = b""
        self.ended = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn:
            try:
                while data := conn.recv(65536):
                    self.received += data
                    conn.sendall(data)
                self.ended.append("end")
            except OSError as error:
                self.ended.append(type(error).__name__)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # A blocked accept keeps the port otherwise.
        except OSError:
            pass
        self.socket.close()


class Proxy(unittest.TestCase):
    def setUp(self):
        self.background = Background()
        self.addCleanup(self.background.close)
        upstream = free_port()
        self.echo = EchoServer(upstream)
        self.addCleanup(self.echo.close)
        self.proxy = FaultProxy(self.background, free_port(), upstream)
        self.addCleanup(self.proxy.close)

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=5)
        self.addCleanup(s.close)
        return s

    def test_bytes_pass_both_ways(self):
        s = self.connect()
        s.sendall(b"x" * 100_000)
        got = b""
        while len(got) < 100_000:
            got += s.recv(65536)
        self.assertEqual(got, b"x" * 100_000)
        self.assertEqual(self.proxy.bytes[TO_CLIENT], 100_000)

    def test_a_cut_resets_connections_and_refuses_new_ones_until_healed(self):
        s = self.connect()
        s.sendall(b"a")
        self.assertEqual(s.recv(10), b"a")
        self.proxy.cut()
        with self.assertRaises(ConnectionResetError):
            s.recv(10)
        with self.assertRaises(ConnectionRefusedError):
            self.connect()
        self.proxy.heal()
        again = self.connect()
        again.sendall(b"b")
        self.assertEqual(again.recv(10), b"b")

    def test_a_half_open_connection_stays_but_nothing_passes(self):
        s = self.connect()
        s.sendall(b"a")
        self.assertEqual(s.recv(10), b"a")
        self.proxy.silence()
        s.sendall(b"held")
        s.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            s.recv(10)
        self.assertEqual(self.echo.received, b"a")
        self.proxy.heal()
        s.settimeout(5)
        self.assertEqual(s.recv(10), b"held")

    def test_one_direction_alone_can_be_silent(self):
        s = self.connect()
        self.proxy.silence(TO_CLIENT)
        s.sendall(b"lost answer")
        until("the server has it", lambda: self.echo.received == b"lost answer", 5)
        s.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            s.recv(10)

    def test_a_reset_comes_after_exactly_so_many_bytes(self):
        s = self.connect()
        self.proxy.reset_after(1000)
        s.sendall(b"y" * 5000)
        with self.assertRaises(ConnectionResetError):
            while s.recv(65536):
                pass
        until("the server saw the end", lambda: self.echo.ended, 5)
        self.assertLessEqual(len(self.echo.received), 1000)
        self.assertEqual(self.proxy.resets, 1)

    def test_delay_holds_pieces_back(self):
        s = self.connect()
        self.proxy.delay(0.2)
        before = time.monotonic()
        s.sendall(b"z")
        s.recv(10)
        self.assertGreaterEqual(time.monotonic() - before, 0.4)  # Once in each direction.

    def test_a_server_that_is_down_ends_the_connection(self):
        self.echo.close()
        try:
            self.assertEqual(self.connect().recv(10), b"")
        except ConnectionResetError:
            pass  # As good: an end is an end.


class Target(unittest.TestCase):
    def setUp(self):
        self.background = Background()
        self.addCleanup(self.background.close)
        self.target = targets.HttpTarget(self.background, free_port())
        self.addCleanup(self.target.close)

    def test_each_mode_looks_as_it_should_to_a_client(self):
        self.assertEqual(get(self.target.port, "/"), (200, b"ok\n"))
        self.target.set(targets.ERROR)
        self.assertEqual(get(self.target.port, "/")[0], 500)
        self.target.set(targets.HANGING)
        with self.assertRaises(TimeoutError):
            get(self.target.port, "/", 0.3)
        self.target.set(targets.RESETTING)
        with self.assertRaises((ConnectionResetError, ConnectionError)):
            get(self.target.port, "/")
        self.target.set(targets.REFUSING)
        with self.assertRaises(ConnectionRefusedError):
            get(self.target.port, "/")
        self.target.set(targets.UP)
        self.assertEqual(get(self.target.port, "/"), (200, b"ok\n"))
        self.assertGreaterEqual(len(self.target.hits), 4)


class Webhooks(unittest.TestCase):
    def setUp(self):
        self.background = Background()
        self.addCleanup(self.background.close)
        self.receiver = webhooks.WebhookReceiver(self.background, free_port(), SECRET)
        self.addCleanup(self.receiver.close)

    def post(self, body, headers):
        request = urllib.request.Request(self.receiver.url, data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status

    def test_a_signed_call_verifies_and_a_changed_one_does_not(self):
        now = str(int(time.time()))
        body = json.dumps({"type": "x"}).encode()
        headers = {"webhook-id": "msg_1", "webhook-timestamp": now,
                   "webhook-signature": webhooks.sign(SECRET, "msg_1", now, body)}
        self.assertEqual(self.post(body, headers), 204)
        self.assertEqual(self.post(body + b" ", headers), 204)
        self.assertEqual(self.post(body, headers | {"webhook-timestamp": "1"}), 204)
        self.assertEqual([c.verified for c in self.receiver.calls],
                         ["ok", "no signature matches", "webhook-timestamp is more than 5 minutes off"])
        self.assertEqual(self.receiver.calls[0].json, {"type": "x"})

    def test_the_vector_of_the_specification_verifies(self):
        # From the reference implementations of Standard Webhooks.
        body = b'{"test": 2432232314}'
        self.assertEqual(
            webhooks.sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")


class Processes(unittest.TestCase):
    def test_a_program_that_ends_is_reported_with_its_output(self):
        with tempfile.TemporaryDirectory() as name:
            program = Program("p", ["sh", "-c", "echo reason; exit 3"], Path(name) / "log").start()
            self.assertTrue(program.wait_dead(5))
            with self.assertRaisesRegex(Gone, "ended with 3(.|\n)*reason"):
                program.check()

    def test_stop_and_kill_are_by_pid_and_lives_are_kept(self):
        with tempfile.TemporaryDirectory() as name:
            program = Program("p", ["sleep", "60"], Path(name) / "log").start()
            self.assertEqual(program.stop(), -15)
            program.start()
            program.mark_working()
            program.kill()
            self.assertFalse(program.alive())
            self.assertEqual(len(program.lives), 2)
            self.assertIsNone(program.lives[0][0])
            self.assertLessEqual(program.lives[1][0], program.lives[1][1])

    def test_metrics_are_read_with_and_without_labels(self):
        text = '# HELP a x\n# TYPE a counter\na{b="1"} 2\na{b="2"} 3\nc 4.5\n'
        self.assertEqual(parse_metrics(text), {"a": 5.0, 'a{b="1"}': 2.0, 'a{b="2"}': 3.0, "c": 4.5})

    def test_until_fails_with_what_was_last_seen(self):
        with self.assertRaisesRegex(AssertionError, "a miracle; last seen: 0"):
            until("a miracle", lambda: 0, 0.1)


if __name__ == "__main__":
    unittest.main()
