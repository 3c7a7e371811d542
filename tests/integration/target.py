"""What the agents watch: an HTTP server and a TCP port that can be broken in several ways."""

import asyncio
import time

from background import Background, abort, close_server

UP = "up"
REFUSING = "refusing"  # Nothing listens: connect.refused.
ERROR = "error"  # Answers 500: assert.status.
HANGING = "hanging"  # Accepts and says nothing: http.timeout.
RESETTING = "resetting"  # Accepts and resets: http.reset or http.empty_reply.


class HttpTarget:
    """One port. `set(mode)` takes effect for the next request; `hits` are times of requests."""

    def __init__(self, background: Background, port: int, mode: str = UP):
        self._background = background
        self.port = port
        self.mode = mode
        self.hits = []
        self._server = None
        self._writers = set()
        self.set(mode)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def set(self, mode: str):
        self._background.call(self._set(mode))

    async def _set(self, mode):
        self.mode = mode
        if mode == REFUSING:
            await close_server(self._server)
            self._server = None
            for writer in list(self._writers):
                abort(writer)
        elif self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port,
                                                      backlog=1024)

    async def _accept(self, reader, writer):
        self._writers.add(writer)
        try:
            if self.mode == RESETTING:
                self.hits.append(time.time())
                return
            await reader.readuntil(b"\r\n\r\n")
            self.hits.append(time.time())
            if self.mode == HANGING:
                await reader.read()
                return
            status, body = (b"200 OK", b"ok\n") if self.mode == UP else (
                b"500 Internal Server Error", b"broken\n")
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\nContent-Length: "
                         + str(len(body)).encode() + b"\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
            writer.write_eof()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._writers.discard(writer)
            abort(writer) if self.mode == RESETTING else writer.close()

    def close(self):
        self.set(REFUSING)
