"""One asyncio loop in a thread of its own, for the servers that tests run beside the daemons.

Test code is plain and blocking; what it asks of a server runs on the loop and is waited for.
"""

import asyncio
import random
import socket
import threading

# Below the kernel's range of ephemeral ports, so that a port that is given up for a while (a target that
# is "down", a daemon between two lives) is not taken by an outgoing connection meanwhile.
PORTS = range(20000, 32000)


def free_port() -> int:
    for port in random.SystemRandom().sample(PORTS, 200):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


class Background:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, coroutine, timeout=10):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self):
        async def cancel_rest():
            rest = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        if self._thread.is_alive():
            self.call(cancel_rest())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5)
            self.loop.close()


async def close_server(server):
    """Stops listening. Connections are the owner's to end (3.12 would wait for them)."""
    if server is not None:
        server.close()
        await asyncio.sleep(0)


def abort(writer):
    """Ends a connection with a reset, as a machine that vanished does once it is back."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        except OSError:
            pass
    writer.transport.abort()
