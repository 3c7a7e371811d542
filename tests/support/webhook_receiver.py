#!/usr/bin/env python3
"""A receiver of webhooks to look at: verifies each call and prints one line about it.

    tests/support/webhook_receiver.py --port 7490 --secret-file F [--log calls.jsonl]
                                      [--script 500,stall,reset,accept]

The script says what becomes of the calls, one word each; the last word holds for all that follow:
accept (204), a number (that status), stall (no answer), reset (the connection is cut),
retry-after:N (503 with that header). Exits 0 on SIGTERM and Ctrl-C.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import signal
import socket
import struct
import sys
import threading
import time

TOLERANCE_S = 300
BODY_BYTES_MAX = 1 << 20
STALL_S = 60


def verify(secrets, headers, body, now):
    """'ok', or what is wrong. `headers` have lower-case names."""
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if name not in headers:
            return f"no {name}"
    timestamp = headers["webhook-timestamp"]
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_S:
        return "webhook-timestamp is more than 5 minutes off"
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(digest).decode()
        for piece in headers["webhook-signature"].split():
            if hmac.compare_digest(piece, expected):
                return "ok"
    return "no signature matches"


def describe(verdict, action, body):
    """One line of at most 80 columns, without anything that moves a terminal's cursor."""
    try:
        event = json.loads(body)
        kind = event["type"].split(".")[-2]
        incident = event["data"]["incident"]
        text = f"INC-{incident['number']} {kind}: {incident['title']}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        text = "a call that is not one of ours"
    line = f"{time.strftime('%H:%M:%S')} {'ok ' if verdict == 'ok' else 'BAD'} {text}"
    if verdict != "ok":
        line += f" ({verdict})"
    if action != "accept":
        line += f" [{action}]"
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= 80 else line[:77] + "..."


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, secrets, script, log):
        super().__init__(address, Handler)
        self.secrets = secrets
        self.script = script
        self.log = log
        self.lock = threading.Lock()

    def next_action(self):
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.send_error(411 if not length.isdigit() else 413)
            self.close_connection = True
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        now = time.time()
        verdict = verify(self.server.secrets, headers, body, now)
        with self.server.lock:
            action = self.server.next_action()
            print(describe(verdict, action, body), flush=True)
            if self.server.log:
                record = {"at": now, "id": headers.get("webhook-id"), "verdict": verdict,
                          "action": action, "body": body.decode("utf-8", "replace")}
                self.server.log.write(json.dumps(record) + "\n")
                self.server.log.flush()
        if action == "stall":
            time.sleep(STALL_S)
            self.close_connection = True
        elif action == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            word, _, value = action.partition(":")
            status = 503 if word == "retry-after" else 204 if word == "accept" else int(word)
            self.send_response(status)
            if word == "retry-after":
                self.send_header("Retry-After", value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *args):
        pass


def parse_script(text):
    words = text.split(",")
    for word in words:
        name, _, value = word.partition(":")
        fine = (word in ("accept", "stall", "reset")
                or (name == "retry-after" and value.isdigit())
                or (word.isdigit() and 200 <= int(word) <= 599))
        if not fine:
            raise argparse.ArgumentTypeError(f"{word!r}: expected accept, stall, reset, "
                                             "retry-after:N or a status")
    return words


def main():
    parser = argparse.ArgumentParser(description="Receives webhooks and prints them.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--log", help="JSON lines, one per call, are appended here")
    parser.add_argument("--script", type=parse_script, default=["accept"])
    args = parser.parse_args()
    with open(args.secret_file, encoding="ascii") as file:
        lines = [line.strip() for line in file]
    secrets = [line for line in lines if line.startswith("whsec_")]
    if not secrets:
        sys.exit(f"{args.secret_file}: no line begins with whsec_")
    log = open(args.log, "a", encoding="utf-8") if args.log else None
    server = Receiver(("127.0.0.1", args.port), secrets, args.script, log)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"webhooks are received on http://127.0.0.1:{server.server_address[1]}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
