"""A real server on loopback that is late by plan, at a known place and for a known time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import trustme

from fishlive.transport import names
from fishlive.wire.serving import Stop, Text, decode_client, encode_audio, encode_finish
from tests.bench.virtual import Delays, chunks
from tests.transport.peer import BINARY, CLOSE, Peer, frame


class DelayServer:
    """Speaks the live protocol, and is late in its TLS, its upgrade, its first audio, its chunks.

    What is late before that, resolving and TCP, no server can do: see :func:`late_network`.
    """

    def __init__(self, delays: Delays, tls: ssl.SSLContext | None = None) -> None:
        self._delays = delays
        self._tls = tls
        self._audio: Sequence[bytes] = chunks(delays)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.late_s: list[float] = []

    @property
    def url(self) -> str:
        """Where to measure; by a name only if resolving is to be late."""
        host = "localhost" if self._delays.dns_s else "127.0.0.1"
        return f"http{'s' if self._tls else ''}://{host}:{self.port}"

    async def late(self, seconds: float) -> None:
        """Wait, and note in ``late_s`` how long that really took: a loop wakes up a bit late."""
        if seconds:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            await asyncio.sleep(seconds)
            self.late_s.append(loop.time() - began_s)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[DelayServer]:
        """Serve until the block is left."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Entrance(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def connected(self, transport: asyncio.Transport) -> None:
        """Play a new connection."""
        task = asyncio.get_running_loop().create_task(self._play(transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 20)
        protocol = asyncio.StreamReaderProtocol(reader)
        upper: Any = transport
        if self._tls is not None:
            await self.late(self._delays.tls_s)
            upper = await loop.start_tls(transport, protocol, self._tls, server_side=True)
        else:
            transport.set_protocol(protocol)
            transport.resume_reading()
        protocol.connection_made(upper)
        writer = asyncio.StreamWriter(upper, protocol, reader, loop)
        try:
            await self._talk(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            upper.abort()

    async def _talk(self, peer: Peer) -> None:
        late = self._delays
        await peer.read_request()
        await self.late(late.upgrade_s)
        peer.write(peer.head())
        while await _said(peer, Text):
            await self.late(late.first_audio_s)
            for number, chunk in enumerate(self._audio):
                await self.late(late.gaps_s.get(number, 0.0))
                peer.write(frame(BINARY, encode_audio(chunk)))
            await _said(peer, Stop)
            peer.write(frame(BINARY, encode_finish()))


class _Entrance(asyncio.Protocol):
    """Takes nothing from a new connection until it is known what reads it."""

    def __init__(self, server: DelayServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # Before 3.11 reading begins behind this call, paused or not.
        asyncio.get_running_loop().call_soon(transport.pause_reading)
        self._server.connected(transport)


async def _said(peer: Peer, kind: type) -> bool:
    """Wait for an event of the client; return whether it is still there."""
    while True:
        got = await peer.read_frame()
        if got.opcode == CLOSE:
            peer.write(frame(CLOSE, got.payload))
            return False
        if got.opcode == BINARY and isinstance(decode_client(got.payload), kind):
            return True


@contextlib.contextmanager
def late_network(server: DelayServer, delays: Delays) -> Iterator[None]:
    """Make the running loop resolve and connect late, for everything in it."""
    loop: Any = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def late_resolve(_host: object, port: int, *_: object) -> Any:
        await server.late(delays.dns_s)
        return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    async def late_connect(*given: Any) -> None:
        await server.late(delays.tcp_s)
        await connect(*given)

    loop.sock_connect = late_connect
    try:
        with patch.object(names, "look_up", late_resolve):
            yield
    finally:
        del loop.sock_connect


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's and a client's context."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client
