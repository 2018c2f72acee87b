"""The port a server listens on: it can be closed, and every connection passes a gate."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias, cast

from fishlive.faults import Fault, Place
from fishlive.server.faults.plan import Plan, Visit
from fishlive.server.faults.tap import Tap

ProtocolFactory: TypeAlias = Callable[[], asyncio.Protocol]

_TLS_HANDSHAKE: Final = 0x16
"""The first byte of a TLS record that shakes hands (RFC 8446, 5.1); no HTTP method begins so."""

BACKLOG: Final = 128
"""Connections that may wait to be accepted, as many as aiohttp's own sites let."""

NO_PROTOCOL: Final = b"\xff\xfe\xfd\xfc no protocol begins like this\r\n\r\n"
"""As a WebSocket frame it has every reserved bit; it is no chunk, no TLS record and no HTTP."""


class Port:
    """Listens, and knows every connection.

    Args:
        protocol: Makes what serves a connection.
        plan: What goes wrong.
    """

    def __init__(self, protocol: ProtocolFactory, plan: Plan) -> None:
        self._protocol = protocol
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._servers: list[asyncio.Server] = []
        self._kept: list[socket.socket] = []
        self._opening: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.taps: set[Tap] = set()
        self.number: int = 0

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises OSError if the address cannot be."""
        server = await self._loop.create_server(self._gate, host, port, backlog=BACKLOG)
        self._servers.append(server)
        self.number = server.sockets[0].getsockname()[1]

    def refuse(self, seconds: float | None) -> None:
        """Let new connections be refused, for so long or until healed. Keeps the port its own."""
        for server in self._servers:
            names = [(each.family, each.getsockname()) for each in server.sockets]
            server.close()
            self._kept += [_bound(family, name) for family, name in names]
        self._servers.clear()
        self._unwind()
        if seconds is not None:
            self._opening = self._loop.call_later(seconds, self._reopen_soon)

    def restart(self, seconds: float) -> None:
        """Reset every connection, and refuse new ones for so long."""
        self.refuse(seconds)
        for tap in tuple(self.taps):
            tap.reset()

    def heal(self) -> None:
        """Listen again, and reset what a fault keeps open."""
        self._unwind()
        self.drop_held()
        if self._kept:
            self._reopen_soon()

    async def shut(self) -> None:
        """Listen no more, and drop what a fault keeps open. Idempotent."""
        self._unwind()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for server in self._servers:
            server.close()
        for kept in self._kept:
            kept.close()
        self._servers, self._kept = [], []
        self.drop_held()

    def drop_held(self) -> None:
        """Drop every connection that a fault keeps open."""
        for tap in tuple(self.taps):
            if tap.held:
                tap.abort()

    def _gate(self) -> Gate:
        return Gate(self, self._protocol, self._plan)

    def _unwind(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _reopen_soon(self) -> None:
        self._opening = None
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._reopen(), name="fishlive-reopen")

    async def _reopen(self) -> None:
        while self._kept:
            server = await self._loop.create_server(
                self._gate, sock=self._kept[-1], backlog=BACKLOG
            )
            self._kept.pop()
            self._servers.append(server)


def _bound(family: int, name: Any) -> socket.socket:
    """Return a socket that has an address and does not listen: connecting to it is refused."""
    kept = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would let others take the port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        kept.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    kept.bind(name)
    return kept


class Gate(asyncio.Protocol):
    """Hands one connection on to what serves it, unless a fault comes first."""

    def __init__(self, port: Port, protocol: ProtocolFactory, plan: Plan) -> None:
        self._port = port
        self._make = protocol
        self._visit = Visit(plan, None)
        self._inner: asyncio.Protocol | None = None
        self._tap: Tap | None = None
        self._first = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Meet what happens before anything is read."""
        self._tap = tap = Tap(cast("asyncio.Transport", transport))
        self._port.taps.add(tap)
        for fault in self._visit.meets(Place.CONNECT):
            _play(tap, fault)
        if not tap.deaf:
            self._inner = self._make()
            self._inner.connection_made(tap)

    def data_received(self, data: bytes) -> None:
        """Hand on what the client says, when and if it may be heard."""
        tap, inner = self._tap, self._inner
        if self._first:
            self._first = False
            self._meet_tls(data)
        if tap is None or inner is None or tap.deaf:
            return
        if tap.late is not None:
            tap.late.put(partial(self._hear, data))
        else:
            inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Let the connection end."""
        if self._inner is not None and self._tap is not None and not self._tap.deaf:
            return self._inner.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who has to know."""
        if self._tap is not None:
            self._port.taps.discard(self._tap)
            self._tap.closed()
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None

    def pause_writing(self) -> None:
        """Let writers wait."""
        if self._tap is not None:
            self._tap.flowing.clear()
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Let writers go on."""
        if self._tap is not None:
            self._tap.flowing.set()
        if self._inner is not None:
            self._inner.resume_writing()

    def _hear(self, data: bytes) -> None:
        if self._inner is not None and self._tap is not None and not self._tap.deaf:
            self._inner.data_received(data)

    def _meet_tls(self, data: bytes) -> None:
        if data[:1] == bytes((_TLS_HANDSHAKE,)) and self._tap is not None:
            for fault in self._visit.meets(Place.TLS):
                _play(self._tap, fault)


def _play(tap: Tap, fault: Fault) -> None:
    """Let a fault happen before there is a request."""
    match fault.kind:
        case "rst":
            tap.reset()
        case "fin":
            tap.end()
        case "hang":
            tap.silence()
        case "round-trip":
            tap.delay(float(fault.amount or 0) / 2)
        case "garbage":
            tap.write(NO_PROTOCOL)
            tap.silence()
        case _:  # `refuse`, which is the port's
            pass
