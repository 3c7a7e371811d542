"""The receiving end of the webhook channel: keeps each call and whether its signature verifies.

Standard Webhooks: webhook-signature holds "v1,BASE64" pieces, each the HMAC-SHA256 of
"ID.TIMESTAMP.BODY" under the secret (whsec_BASE64).
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field

from background import Background, close_server

TOLERANCE_S = 300


@dataclass
class Call:
    at: float
    id: str
    headers: dict
    body: bytes
    verified: str  # "ok" or what is wrong.
    answered: int
    json: dict = field(default_factory=dict)


def sign(secret: str, msg_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{msg_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def verify(secret: str, headers: dict, body: bytes, now: float) -> str:
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if name not in headers:
            return f"no {name}"
    if not headers["webhook-timestamp"].isdigit():
        return "webhook-timestamp is no number"
    if abs(now - int(headers["webhook-timestamp"])) > TOLERANCE_S:
        return "webhook-timestamp is more than 5 minutes off"
    expected = sign(secret, headers["webhook-id"], headers["webhook-timestamp"], body)
    for piece in headers["webhook-signature"].split():
        if hmac.compare_digest(piece, expected):
            return "ok"
    return "no signature matches"


class WebhookReceiver:
    """`status` is what it answers; `hold` seconds pass before it answers."""

    def __init__(self, background: Background, port: int, secret: str):
        self._background = background
        self.port = port
        self.secret = secret
        self.status = 204
        self.hold = 0.0
        self.calls: list[Call] = []
        self._server = None
        background.call(self._start())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def _start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {}
                for line in lines[1:]:
                    if ":" in line:
                        name, value = line.split(":", 1)
                        headers[name.strip().lower()] = value.strip()
                if headers.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                now = time.time()
                call = Call(now, headers.get("webhook-id", ""), headers, body,
                            verify(self.secret, headers, body, now), self.status)
                try:
                    call.json = json.loads(body)
                except ValueError:
                    call.verified = "the body is no JSON"
                self.calls.append(call)
                if self.hold:
                    await asyncio.sleep(self.hold)
                writer.write(f"HTTP/1.1 {self.status} Answer\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def close(self):
        self._background.call(close_server(self._server))
