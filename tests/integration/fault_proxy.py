"""A TCP proxy with faults, in the test's process: between an agent and the collector.

    cut()          every connection is reset and new ones are refused
    silence()      connections stay open but nothing passes, in one or both directions: half-open
    delay(s)       every piece is held back that long, in both directions
    reset_after(n) the next connection (or the present one) is reset after n more bytes to the server,
                   which may be in the middle of a frame
    heal()         all of this ends; what a silence held back flows on, as TCP would deliver it
"""

import asyncio

from background import Background, abort, close_server

TO_SERVER = "to_server"
TO_CLIENT = "to_client"
CHUNK = 16384


class FaultProxy:
    def __init__(self, background: Background, port: int, upstream_port: int):
        self._background = background
        self.port = port
        self._upstream_port = upstream_port
        self._server = None
        self._writers = set()
        self._tasks = set()
        self._delay = 0.0
        self._reset_after = None
        self._open = {}
        self.bytes = {TO_SERVER: 0, TO_CLIENT: 0}
        self.connections = 0
        self.resets = 0
        background.call(self._start())

    async def _start(self):
        if not self._open:
            self._open = {TO_SERVER: asyncio.Event(), TO_CLIENT: asyncio.Event()}
            for gate in self._open.values():
                gate.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        up = None
        try:
            up_reader, up = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            self._writers.add(up)
            pumps = [asyncio.ensure_future(self._pump(reader, up, writer, TO_SERVER)),
                     asyncio.ensure_future(self._pump(up_reader, writer, up, TO_CLIENT))]
            self._tasks.update(pumps)
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                self._tasks.difference_update(pumps)
        except OSError:
            pass  # The server is down: the client sees its connection end.
        finally:
            for w in (writer, up):
                if w is not None:
                    self._writers.discard(w)
                    abort(w)

    async def _pump(self, reader, writer, other, direction):
        try:
            while True:
                await self._open[direction].wait()
                data = await reader.read(CHUNK)
                if not data:
                    return
                await self._open[direction].wait()  # Silenced while it was on its way.
                if self._delay:
                    await asyncio.sleep(self._delay)
                if direction == TO_SERVER and self._reset_after is not None:
                    data, over = data[:self._reset_after], len(data) >= self._reset_after
                    self._reset_after -= len(data)
                    if over:
                        self._reset_after = None
                        self.resets += 1
                        self.bytes[direction] += len(data)
                        writer.write(data)
                        await writer.drain()
                        await asyncio.sleep(0.01)  # Let the piece out before the reset overtakes it.
                        abort(writer)
                        abort(other)
                        return
                self.bytes[direction] += len(data)
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return

    def cut(self):
        async def run():
            await close_server(self._server)
            self._server = None
            for writer in list(self._writers):
                abort(writer)

        self._background.call(run())

    def silence(self, *directions):
        async def run():
            for direction in directions or (TO_SERVER, TO_CLIENT):
                self._open[direction].clear()

        self._background.call(run())

    def delay(self, seconds: float):
        self._delay = seconds

    def reset_after(self, bytes_to_server: int):
        self._reset_after = bytes_to_server

    def heal(self):
        async def run():
            self._delay = 0.0
            self._reset_after = None
            for gate in self._open.values():
                gate.set()
            await self._start()

        self._background.call(run())

    def close(self):
        self.heal()
        self.cut()
