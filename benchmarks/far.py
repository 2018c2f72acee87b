"""A service that answers at once and is far away: every byte takes its time in each direction.

Run as ``python -m benchmarks.far [core]``: says its port in a line of JSON, ends with its stdin.
The voice of ``start`` says how it behaves: ``closes`` or ``stays`` behind ``finish``, or speaks
``endless``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSMsgType, web

from benchmarks.affinity import pin
from fishlive.wire.serving import Start, Stop, decode_client, encode_audio, encode_finish

ONE_WAY_S: Final = 0.02
"""How long a byte takes, in seconds; a round trip is twice that."""

SPIN_S: Final = 0.0015
"""An event loop sleeps in whole milliseconds; the last one and a half are waited awake."""

CHUNK: Final = b"\x00\x40" * 960
"""40 ms of speech at 24 kHz."""

EVERY_S: Final = 0.04


class Way:
    """One direction of a connection: bytes go in, and come out later, in order."""

    def __init__(self, out: Callable[[], asyncio.Transport | None], extra_s: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._out = out
        self._extra_s = extra_s  # for the first bytes
        self._items: deque[tuple[float, bytes | None]] = deque()
        self._running = False

    def put(self, data: bytes | None) -> None:
        """Take bytes, or the end."""
        due = self._loop.time() + ONE_WAY_S + self._extra_s
        if self._items:
            due = max(due, self._items[-1][0])
        self._extra_s = 0.0
        self._items.append((due, data))
        if not self._running:
            self._running = True
            self._wait()

    def _wait(self) -> None:
        left_s = self._items[0][0] - self._loop.time()
        if left_s > SPIN_S:
            self._loop.call_later(left_s - SPIN_S, self._wait)
        elif left_s > 0 or self._out() is None:
            self._loop.call_soon(self._wait)
        else:
            self._deliver()

    def _deliver(self) -> None:
        _, data = self._items.popleft()
        out = self._out()
        if out is not None and not out.is_closing():
            if data is None:
                out.close()
            else:
                out.write(data)
        self._running = bool(self._items)
        if self._items:
            self._wait()


class End(asyncio.Protocol):
    """One end of the proxy: what comes in here goes out at the other one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.way: Way | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self.way is not None:
            self.way.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on."""
        if self.way is not None:
            self.way.put(None)


class Client(End):
    """The client's end. Its first bytes also wait for the round trip of the TCP handshake."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the service."""
        super().connection_made(transport)
        service = End()
        self.way = Way(lambda: service.transport, extra_s=2 * ONE_WAY_S)
        service.way = Way(lambda: self.transport)
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(
            loop.create_connection(lambda: service, "127.0.0.1", self._port)  # type: ignore[arg-type]
        )


async def speak(request: web.Request) -> web.WebSocketResponse:
    """Serve one connection."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    voice: object = None
    async for message in socket:
        if message.type is not WSMsgType.BINARY:
            continue
        event = decode_client(message.data)
        if isinstance(event, Start):
            voice = event.request.get("reference_id")
        elif isinstance(event, Stop):
            await answer(socket, str(voice))
            if voice == "closes":
                await socket.close()
    return socket


async def answer(socket: web.WebSocketResponse, voice: str) -> None:
    """Say something, at once."""
    await socket.send_bytes(encode_audio(CHUNK))
    if voice == "endless":
        with contextlib.suppress(ConnectionError):
            while not socket.closed:
                await asyncio.sleep(EVERY_S)
                await socket.send_bytes(encode_audio(CHUNK))
        return
    await socket.send_bytes(encode_audio(CHUNK))
    await socket.send_bytes(encode_finish("stop"))


async def main() -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    app = web.Application()
    app.router.add_get("/v1/tts/live", speak)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    proxy = await loop.create_server(lambda: Client(port), "127.0.0.1", 0)
    print(json.dumps({"port": proxy.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    proxy.close()
    await runner.cleanup()


if __name__ == "__main__":
    pin(sys.argv[1:])
    asyncio.run(main())
