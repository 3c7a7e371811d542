"""Targets that want to hurt who watches them: each behaviour on addresses of its own in 127.0.0.0/8, in a process of
its own.

    tests/support/hostile_targets.py --port N --certificate PEM --key PEM [--each 1]

Behaviour number B of KINDS listens on 127.3.B.1 to 127.3.B.EACH (hundreds go on in 127.(3+n).B). Plain or TLS by its
kind. `rebinding` has a name server as well: UDP on the same address and port; the first answer for a name is the
address itself, every further one the metadata address of clouds. Prints "ready" and serves until its input ends.
"""

import argparse
import asyncio
import gzip
import itertools
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

KINDS = ("slow_headers", "trickle", "endless_body", "header_flood", "informational_storm", "bomb", "redirect_maze",
         "rebinding", "tls_garbage", "giant_chain", "stalled_handshake", "reset_at_accept", "reset_after_request",
         "reset_in_head", "reset_in_body", "reset_in_handshake")
TLS = ("tls_garbage", "giant_chain", "stalled_handshake", "reset_in_handshake")
PER_ADDRESS = 250


def address(kind: str, number: int = 0) -> str:
    return f"127.{3 + number // PER_ADDRESS}.{1 + KINDS.index(kind)}.{1 + number % PER_ADDRESS}"


def url(kind: str, port: int, number: int = 0) -> str:
    return f"{'https' if kind in TLS else 'http'}://{address(kind, number)}:{port}/"


def certificate_chain(directory: Path) -> tuple[Path, Path]:
    """A certificate with 150 others behind it: some 150 KiB."""
    key, one, chain = directory / "key.pem", directory / "one.pem", directory / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", one, "-days",
                    "30", "-subj", "/CN=hostile.test", "-addext", "subjectAltName=DNS:hostile.test"],
                   check=True, capture_output=True)
    chain.write_text(one.read_text() * 151)
    return chain, key


class Server:
    """This file as a process with `each` addresses for every behaviour, on one free port; a context manager."""

    def __init__(self, each: int = 1):
        self.each = each

    def __enter__(self) -> "Server":
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        with tempfile.TemporaryDirectory(prefix="tocsin-hostile-") as directory:
            chain, key = certificate_chain(Path(directory))
            self._process = subprocess.Popen(
                [sys.executable, "-B", __file__, "--port", str(self.port), "--certificate", chain, "--key", key,
                 "--each", str(self.each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if self._process.stdout.readline() != "ready\n":
                self.__exit__()
                raise RuntimeError("the hostile targets did not start; what they said is above")
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def reset(writer):
    """Closes with an RST instead of a FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# 256 MiB of zeros, packed twice would be a stone; once is 256 KiB.
BOMB = gzip.compress(bytes(256 << 20), 9)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


async def slow_headers(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.5)


async def trickle(reader, writer):
    writer.write(OK + b"Content-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"b")
        await writer.drain()
        await asyncio.sleep(9)


async def endless_body(reader, writer):
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(0.01)


async def header_flood(reader, writer):
    writer.write(OK)
    for number in itertools.count():
        writer.write(b"X-Flood-%d: %s\r\n" % (number, b"f" * 200))
        await writer.drain()


async def informational_storm(reader, writer):
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.002)


async def bomb(reader, writer):
    writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    await writer.drain()
    writer.close()


async def redirect_maze(reader, writer):
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /%s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                 % os.urandom(8).hex().encode())
    await writer.drain()
    writer.close()


async def rebinding(reader, writer):
    """Back to the same name, which has another address by now."""
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://again.rebinding.test:%d/\r\nContent-Length: 0\r\n"
                 b"Connection: close\r\n\r\n" % writer.get_extra_info("sockname")[1])
    await writer.drain()
    writer.close()


async def tls_garbage(reader, writer):
    writer.write(os.urandom(4096))
    await writer.drain()
    await asyncio.sleep(60)


async def stalled_handshake(reader, writer):
    await asyncio.sleep(60)


async def reset_at_accept(reader, writer):
    reset(writer)


async def reset_after_request(reader, writer):
    reset(writer)


async def reset_in_head(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-Half: ")
    await writer.drain()
    await asyncio.sleep(0.1)
    reset(writer)


async def reset_in_body(reader, writer):
    writer.write(OK + b"Content-Length: 1000\r\n\r\nhalf of it")
    await writer.drain()
    await asyncio.sleep(0.1)
    reset(writer)


async def reset_in_handshake(reader, writer):
    reset(writer)


async def giant_chain(reader, writer):
    writer.write(OK + b"Content-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


# Those that wait for what the client says first.
LISTENS = {"slow_headers", "trickle", "endless_body", "header_flood", "informational_storm", "bomb", "redirect_maze",
           "rebinding", "tls_garbage", "stalled_handshake", "reset_after_request", "reset_in_head", "reset_in_body",
           "reset_in_handshake"}


def serve(kind: str):
    behave = globals()[kind]

    async def accept(reader, writer):
        try:
            if kind in LISTENS:
                await reader.read(4096)
            await behave(reader, writer)
        except OSError:
            pass  # The other side has left, which is what it should do.
        finally:
            writer.close()

    return accept


class NameServer(asyncio.DatagramProtocol):
    """The first answer for each name is `own`, then the metadata address. TTL 0."""

    def __init__(self, own: str):
        self.own, self.asked = own, set()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        end = 12
        while data[end]:
            end += 1 + data[end]
        question, kind = data[12:end + 5], struct.unpack_from(">H", data, end + 1)[0]
        name = question[:-4]
        answers = b""
        if kind == 1:
            to = "169.254.169.254" if (name.startswith(b"\x05again") or name in self.asked) else self.own
            self.asked.add(name)
            answers = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(to)
        self.transport.sendto(data[:2] + b"\x85\x80" + struct.pack(">HHHH", 1, 1 if answers else 0, 0, 0)
                              + question + answers, peer)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True, help="a chain as long as giant_chain's shall be")
    parser.add_argument("--key", required=True)
    parser.add_argument("--each", type=int, default=1)
    given = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.certificate, given.key)
    loop = asyncio.get_running_loop()
    for kind in KINDS:
        for number in range(given.each):
            host = address(kind, number)
            await asyncio.start_server(serve(kind), host, given.port, backlog=64,
                                       ssl=context if kind == "giant_chain" else None)
            if kind == "rebinding":
                await loop.create_datagram_endpoint(lambda host=host: NameServer(host),
                                                    local_addr=(host, given.port))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
