"""A crowd at a port of this machine, from many addresses of 127.0.0.0/8, in a process of its own.

    tests/support/crowd.py --port N --connections N --addresses A --first I [--kind idle|garbage|giant|half|request|events]
                          [--token T] [--hold SECONDS]

Connects as fast as it can, never more than what its own descriptors allow at once: a connection that is
refused or closed is replaced until all have been tried. Prints one line of JSON and exits when it is through
or after --seconds.

idle says nothing. garbage says a greeting that is none. giant says a ZMTP greeting without security and then
announces a frame of 2^62 bytes. half asks by HTTP and never ends its request. request asks for the page again and
again. events subscribes to them with --token and never reads. The last three stay --hold seconds.
"""

import argparse
import json
import random
import resource
import selectors
import socket
import time

GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31
GIANT = GREETING + b"\x02" + (1 << 62).to_bytes(8, "big")
PAGE = b"GET /status/demo.json HTTP/1.1\r\nHost: a\r\n\r\n"
WORDS = {"half": PAGE[:-2], "request": PAGE, "events": b"", "idle": b"", "garbage": b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 8, "giant": GIANT}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--addresses", type=int, default=50)
    parser.add_argument("--first", type=int, default=1, help="the first is 127.1.0.FIRST")
    parser.add_argument("--kind", choices=WORDS, default="idle")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--token", default="")
    parser.add_argument("--hold", type=float, default=5)
    given = parser.parse_args()
    WORDS["events"] = (b"GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n"
                       % given.token.encode())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    at_once = min(hard, 8192) - 64
    selector = selectors.DefaultSelector()
    tried = connected = refused = ended = 0
    open_now = 0
    end = time.monotonic() + given.seconds
    stay = given.hold if given.kind in ("half", "request", "events") else 0
    deaf, answered, leave = [], 0, None
    while time.monotonic() < end and (tried < given.connections or open_now):
        for _ in range(64):
            if tried >= given.connections or open_now >= at_once:
                break
            one = socket.socket()
            one.setblocking(False)
            last = given.first + tried % given.addresses
            try:
                one.bind((f"127.1.{last // 250}.{1 + last % 250}", 0))
                one.connect_ex(("127.0.0.1", given.port))
            except OSError:
                one.close()
                tried += 1
                refused += 1
                continue
            tried += 1
            open_now += 1
            selector.register(one, selectors.EVENT_WRITE, "connecting")
        for key, _ in selector.select(0.05):
            one = key.fileobj
            if key.data == "connecting":
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    refused += 1
                else:
                    connected += 1
                    try:
                        one.send(WORDS[given.kind])
                        if given.kind == "events":
                            selector.unregister(one)
                            deaf.append(one)
                        else:
                            selector.modify(one, selectors.EVENT_READ, "open")
                        continue
                    except OSError:
                        ended += 1
            else:
                try:
                    if one.recv(65536):
                        if given.kind == "request":
                            answered += 1
                            one.send(PAGE)
                        continue  # The other side's greeting, or an answer.
                except OSError:
                    pass
                ended += 1
            selector.unregister(one)
            one.close()
            open_now -= 1
        if stay and tried >= given.connections and leave is None:
            leave = time.monotonic() + stay
        if leave is not None and time.monotonic() > leave:
            break
        if tried >= given.connections and random.random() < 0.01 and not open_now:
            break
    print(json.dumps({"tried": tried, "connected": connected, "refused": refused, "ended": ended,
                      "open": open_now, "answered": answered}))


if __name__ == "__main__":
    main()
