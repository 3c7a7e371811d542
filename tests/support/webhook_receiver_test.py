"""The webhook receiver tells good calls from bad ones and misbehaves as its script says."""

import base64
import hashlib
import hmac
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

SECRET = "whsec_" + base64.b64encode(b"a key that only this test uses").decode()
BODY = json.dumps({"type": "io.tocsin.incident.opened.v1",
                   "data": {"incident": {"number": 7, "title": "Shop is down"}}}).encode()


class Receiver(unittest.TestCase):
    def start(self, script="accept"):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "secret").write_text(SECRET + "\n", encoding="ascii")
        program = pathlib.Path(__file__).with_name("webhook_receiver.py")
        self.process = subprocess.Popen(
            [sys.executable, program, "--secret-file", self.folder / "secret", "--script", script,
             "--log", self.folder / "log"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1].rstrip("/\n"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.assertEqual(self.process.wait(timeout=20), 0)
        self.process.stdout.close()

    def post(self, body=BODY, at=None, key=SECRET, signed=None):
        timestamp = str(int(time.time() if at is None else at))
        text = f"msg_1.{timestamp}.".encode() + (body if signed is None else signed)
        mac = hmac.new(base64.b64decode(key.removeprefix("whsec_")), text, hashlib.sha256).digest()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request("POST", "/", body, {
            "webhook-id": "msg_1", "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(mac).decode()})
        return connection.getresponse()

    def log(self):
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def test_a_good_call_is_one_line_and_one_record(self):
        self.start()
        self.assertEqual(self.post().status, 204)
        line = self.process.stdout.readline()
        self.assertIn("ok  INC-7 opened: Shop is down", line)
        self.assertEqual([(c["verdict"], c["id"]) for c in self.log()], [("ok", "msg_1")])

    def test_bad_calls_are_named(self):
        self.start()
        self.post(signed=b"other")
        self.post(at=time.time() - 400)
        self.post(key="whsec_" + base64.b64encode(b"somebody else").decode())
        self.assertEqual([c["verdict"] for c in self.log()],
                         ["no signature matches", "webhook-timestamp is more than 5 minutes off",
                          "no signature matches"])

    def test_lines_are_short_and_plain_whatever_comes(self):
        self.start()
        self.post(json.dumps({"type": "a.b.c", "data": {"incident": {
            "number": 1, "title": "\x1b[31m" + "x" * 500}}}).encode())
        line = self.process.stdout.readline().rstrip("\n")
        self.assertLessEqual(len(line), 80)
        self.assertNotIn("\x1b", line)

    def test_the_script_is_followed_and_its_last_word_stays(self):
        self.start("500,retry-after:7,reset,410,accept")
        self.assertEqual(self.post().status, 500)
        answer = self.post()
        self.assertEqual((answer.status, answer.getheader("Retry-After")), (503, "7"))
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.post()
        self.assertEqual([self.post().status for _ in range(3)], [410, 204, 204])


if __name__ == "__main__":
    unittest.main()
