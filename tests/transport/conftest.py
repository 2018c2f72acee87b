"""The adapters under test, a receiver that remembers, and one way to play the service for all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import pytest
import trustme

from fishlive.errors import FishLiveError, StreamClosedError
from fishlive.transport.aiohttp import connect_aiohttp
from fishlive.transport.memory import MemoryPeer, MemoryServer
from fishlive.transport.picows import connect_picows
from fishlive.transport.socket import Connect, Receiver, Socket, Target
from tests.conftest import open_sockets
from tests.transport.peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    WAIT_S,
    Peer,
    PeerServer,
    close_frame,
    frame,
    serve,
)

T = TypeVar("T")
Script: TypeAlias = Callable[[Peer], Awaitable[None]]
NETWORK: dict[str, Connect] = {"picows": connect_picows, "aiohttp": connect_aiohttp}
CANARY = "canary-5f1d0c7e"


async def soon(awaitable: Awaitable[T]) -> T:
    """Wait for what must happen; fail instead of hanging."""
    return await asyncio.wait_for(awaitable, WAIT_S)


async def only_the_service_has_sockets(server: PeerServer, before: set[int]) -> None:
    """Fail unless the client's descriptors are closed after some turns of the loop."""
    for _ in range(200):
        if not (left := open_sockets() - before - server.descriptors()):
            return
        await asyncio.sleep(0)
    pytest.fail(f"left open: {left}")


class Recorder:
    """A receiver that remembers what it heard."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.errors: list[FishLiveError] = []
        self.writables = 0
        self.on_each: Callable[[bytes], object] | None = None
        self._changed = asyncio.Event()

    def on_message(self, message: bytes | memoryview) -> None:
        """Copy it: a view dies after the call."""
        self.messages.append(bytes(message))
        self._changed.set()
        if self.on_each:
            self.on_each(self.messages[-1])

    def on_closed(self, error: FishLiveError) -> None:
        """Remember how it ended."""
        self.errors.append(error)
        self._changed.set()

    def on_writable(self) -> None:
        """Count it."""
        self.writables += 1
        self._changed.set()

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so, looking after every report."""

        async def watch() -> None:
            while not happened():
                self._changed.clear()
                await self._changed.wait()

        await soon(watch())

    async def received(self, count: int) -> list[bytes]:
        """Return the messages once there are that many."""
        await self.until(lambda: len(self.messages) >= count)
        return self.messages

    async def ended(self) -> FishLiveError:
        """Return how it ended."""
        await self.until(lambda: self.errors)
        return self.errors[0]


class Link(Protocol):
    """The service's end of an open connection, whatever the adapter."""

    @property
    def headers(self) -> dict[str, str]:
        """Of the upgrade request, names in lower case."""

    def send(self, message: bytes | str) -> None:
        """Send a binary message, or a text message."""

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame and hold the connection open."""

    def drop(self) -> None:
        """End the connection without one."""

    async def receive(self) -> bytes | None:
        """Return the client's next message; None when it has closed or cut."""

    async def close_code(self) -> int | None:
        """Return the code the client closed with; None if it cut."""

    def answer_pings(self) -> None:
        """Go on reading, and answer pings."""


class WireLink:
    """A Link over a raw peer. It reads only when told to."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.reading: asyncio.Task[bytes | None] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """See Link."""
        return self.peer.headers

    def send(self, message: bytes | str) -> None:
        """See Link."""
        text = isinstance(message, str)
        payload = message.encode() if isinstance(message, str) else message
        self.peer.write(frame(TEXT if text else BINARY, payload))

    def close(self, code: int | None, reason: str = "") -> None:
        """See Link."""
        self.peer.write(close_frame(code, reason))

    def drop(self) -> None:
        """See Link."""
        self.peer.hang_up()

    async def receive(self) -> bytes | None:
        """See Link; answers pings on the way."""
        try:
            while True:
                got = await self.peer.read_frame()
                if got.opcode == PING:
                    self.peer.write(frame(PONG, got.payload))
                elif got.opcode == CLOSE:
                    self.code = int.from_bytes(got.payload[:2], "big")
                    return None
                elif got.opcode == BINARY:
                    return got.payload
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    code: int | None = None

    async def close_code(self) -> int | None:
        """See Link."""
        while await self.receive() is not None:
            pass
        return self.code

    def answer_pings(self) -> None:
        """See Link."""
        self.reading = asyncio.ensure_future(self.receive())


class MemoryLink:
    """A Link over an in-memory peer."""

    def __init__(self, peer: MemoryPeer) -> None:
        self.peer = peer
        peer.pause_reading()

    @property
    def headers(self) -> dict[str, str]:
        """See Link."""
        return {name.lower(): value for name, value in self.peer.target.headers.items()}

    def send(self, message: bytes | str) -> None:
        """See Link."""
        self.peer.send(message)

    def close(self, code: int | None, reason: str = "") -> None:
        """See Link."""
        self.peer.close(1005 if code is None else code, reason)

    def drop(self) -> None:
        """See Link."""
        self.peer.drop()

    async def receive(self) -> bytes | None:
        """See Link."""
        self.peer.resume_reading()
        try:
            return await self.peer.receive()
        except StreamClosedError:
            return None

    async def close_code(self) -> int | None:
        """See Link."""
        while await self.receive() is not None:
            pass
        return self.peer.close_code

    def answer_pings(self) -> None:
        """See Link."""
        self.peer.resume_reading()


class Opened:
    """An open socket with both its ends."""

    def __init__(self, socket: Socket, recorder: Recorder, link: Link) -> None:
        self.socket = socket
        self.recorder = recorder
        self.link = link


Opening: TypeAlias = Callable[..., Any]


@asynccontextmanager
async def open_memory(target: Target, receiver: Receiver) -> AsyncIterator[tuple[Socket, Link]]:
    """Open a socket of the memory adapter."""
    server = MemoryServer()
    accepting = asyncio.ensure_future(server.accept())
    socket = await soon(server.connect(target, receiver))
    try:
        yield socket, MemoryLink(await accepting)
    finally:
        socket.abort()


@asynccontextmanager
async def open_wire(
    connect: Connect, target: Target, receiver: Receiver
) -> AsyncIterator[tuple[Socket, Link]]:
    """Open a socket of a network adapter to a peer that only upgrades."""
    async with serve(Peer.upgrade) as server:
        socket = await soon(connect(replace(target, url=server.url), receiver))
        link = WireLink(server.peers[0])
        try:
            yield socket, link
        finally:
            socket.abort()
            if link.reading:
                link.reading.cancel()
                await asyncio.gather(link.reading, return_exceptions=True)


@pytest.fixture(params=["picows", "aiohttp", "memory"])
def opening(request: pytest.FixtureRequest) -> Opening:
    """Return a context manager that opens a socket of each adapter in turn."""

    @asynccontextmanager
    async def opened(**facts: Any) -> AsyncIterator[Opened]:
        recorder = Recorder()
        target = Target("ws://service.invalid/live", **facts)
        adapter = (
            open_memory(target, recorder)
            if request.param == "memory"
            else open_wire(NETWORK[request.param], target, recorder)
        )
        async with adapter as (socket, link):
            yield Opened(socket, recorder, link)

    return opened


@pytest.fixture(params=list(NETWORK))
def connect(request: pytest.FixtureRequest) -> Connect:
    """Return each network adapter in turn."""
    return NETWORK[cast("str", request.param)]


@pytest.fixture
def recorder() -> Recorder:
    """Return a receiver that remembers."""
    return Recorder()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return a certificate authority of our own."""
    return trustme.CA()


def server_tls(authority: trustme.CA, host: str) -> ssl.SSLContext:
    """Return a server's context with a certificate for one host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return a client's context that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
