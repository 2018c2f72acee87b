"""A refusal says why whenever its body comes: with its head, behind it, in pieces, or never."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from fishlive import limits
from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectTimeout,
    FishLiveError,
    RateLimitError,
    UpgradeError,
)
from fishlive.limits import KIB
from fishlive.transport import dial
from fishlive.transport.base import BaseSocket
from fishlive.transport.picows import connect_picows
from fishlive.transport.socket import Connect, Target
from tests.conftest import open_sockets, settle
from tests.transport.conftest import (
    Recorder,
    client_tls,
    only_the_service_has_sockets,
    server_tls,
    soon,
)
from tests.transport.peer import BINARY, WAIT_S, Peer, PeerServer, frame, serve

BODY = b'{"message": "Concurrency limit exceeded", "max_concurrency": 5}'
LENGTH = b"HTTP/1.1 429 Too Many\r\nRetry-After: 2\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 429 Too Many\r\nRetry-After: 2\r\nTransfer-Encoding: Chunked\r\n\r\n"
UNSIZED = b"HTTP/1.0 429 Too Many\r\nRetry-After: 2\r\n\r\n"
SEEN_TURNS = 50
"""Turns of the loop after which the client has read what was sent; four are enough, or ten."""
FOREVER_S = 10 * WAIT_S
"""Longer than any test waits, in seconds."""

SPLITS = {
    "body-apart": [LENGTH, BODY],
    "body-in-two": [LENGTH, BODY[:20], BODY[20:]],
    "head-in-two": [LENGTH[:30], LENGTH[30:] + BODY],
    "in-the-blank-line": [LENGTH[:-3], LENGTH[-3:], BODY],
    "in-the-body": [LENGTH + BODY[:5], BODY[5:]],
    "chunks": [
        CHUNKED,
        b"5\r\n" + BODY[:5] + b"\r\n",
        b"%x\r\n" % (len(BODY) - 5),
        BODY[5:],
        b"\r\n0",
        b"\r\n\r\n",
    ],
    "byte-by-byte": [bytes([byte]) for byte in LENGTH + BODY],
}


def certified(authority: trustme.CA) -> ssl.SSLContext:
    """Return the service's context."""
    return server_tls(authority, "127.0.0.1")


@asynccontextmanager
async def answering(
    *pieces: bytes, authority: trustme.CA | None, ends: str = "stays"
) -> AsyncIterator[tuple[PeerServer, Target]]:
    """Serve an answer in pieces that the client reads one by one; then end, or stay."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        for piece in pieces:
            peer.write(piece)
            await settle(SEEN_TURNS)
        if ends == "fin":
            peer.hang_up()
        elif ends == "rst":
            peer.reset()
        await peer.read_eof()

    ours, theirs = (client_tls(authority), certified(authority)) if authority else (None, None)
    async with serve(script, tls=theirs) as server:
        yield server, Target(server.url, tls=ours, timeout_s=3 * FOREVER_S)


@pytest.fixture(params=["plain", "tls"])
def over(request: pytest.FixtureRequest, authority: trustme.CA) -> trustme.CA | None:
    """Return who vouches for the service, if anybody."""
    return authority if request.param == "tls" else None


async def refusal(connect: Connect, target: Target) -> FishLiveError:
    """Return what connecting raises."""
    with pytest.raises(FishLiveError) as caught:
        await soon(connect(target, Recorder()))
    return caught.value


@pytest.mark.parametrize("split", SPLITS)
async def test_a_body_in_pieces_is_read(
    connect: Connect, over: trustme.CA | None, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    """However the answer is cut, its sentence arrives, and ends a connection that would stay."""
    monkeypatch.setattr(dial, "ERROR_BODY_S", FOREVER_S)
    async with answering(*SPLITS[split], authority=over) as (server, target):
        before = open_sockets()
        error = await refusal(connect, target)
        await only_the_service_has_sockets(server, before)

    assert isinstance(error, ConcurrencyLimitError)
    assert (error.max_concurrency, error.retry_after_s) == (5, 2.0)


async def test_a_body_without_a_length_ends_with_the_connection(
    connect: Connect, over: trustme.CA | None
) -> None:
    """HTTP/1.0: what comes before the end is the body."""
    pieces = (UNSIZED, BODY[:9], BODY[9:])
    async with answering(*pieces, authority=over, ends="fin") as (_, target):
        error = await refusal(connect, target)

    assert isinstance(error, ConcurrencyLimitError)


@pytest.mark.parametrize("ends", ["fin", "rst"])
@pytest.mark.parametrize("pieces", [(LENGTH,), (LENGTH, BODY[:9])], ids=["no-body", "cut-short"])
async def test_a_body_that_breaks_off_leaves_the_status(
    connect: Connect, over: trustme.CA | None, pieces: tuple[bytes, ...], ends: str
) -> None:
    """A refusal is one also when the connection dies in the middle of it."""
    async with answering(*pieces, authority=over, ends=ends) as (server, target):
        before = open_sockets()
        error = await refusal(connect, target)
        await only_the_service_has_sockets(server, before)

    assert type(error) is RateLimitError
    assert error.retry_after_s == 2.0


async def test_a_body_that_never_comes_is_not_waited_for(
    connect: Connect, over: trustme.CA | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ERROR_BODY_S the status alone is the refusal; nothing stays open."""
    monkeypatch.setattr(dial, "ERROR_BODY_S", 0.05)
    head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 20\r\n\r\n"
    async with answering(head, authority=over) as (server, target):
        before = open_sockets()
        error = await refusal(connect, target)
        await only_the_service_has_sockets(server, before)

    assert type(error) is AuthenticationError
    assert str(error) == "401 Unauthorized: check the API key"


async def test_an_endless_body_is_cut(connect: Connect, over: trustme.CA | None) -> None:
    """Once MAX_ERROR_BODY_BYTES are here, the connection ends, however much is to come."""
    head = b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"400\r\n" + b"sorry, " * 146 + b"so" + b"\r\n"
    pieces = (head, *[chunk] * (limits.MAX_ERROR_BODY_BYTES // 1024 + 2))
    async with answering(*pieces, authority=over) as (server, target):
        before = open_sockets()
        error = await refusal(connect, target)
        await only_the_service_has_sockets(server, before)

    assert type(error) is AuthenticationError
    assert error.message.startswith("sorry, sorry")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nX: " + bytes([120]) * 128 * KIB + b"\r\n\r\n",
        b"no HTTP\r\n\r\n" + bytes(70 * KIB),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(70 * KIB),
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n" + bytes(70 * KIB),
    ],
    ids=["long-head", "no-http", "page", "redirect"],
)
async def test_what_follows_is_not_read(
    connect: Connect, over: trustme.CA | None, answer: bytes
) -> None:
    """However much comes behind an answer that is none, nobody complains to the loop."""
    async with answering(answer, authority=over) as (server, target):
        before = open_sockets()
        error = await refusal(connect, target)
        await only_the_service_has_sockets(server, before)

    assert isinstance(error, (UpgradeError, AuthenticationError))  # by its first line, or not


class Strict:
    """A TLS session that nobody can change."""

    __slots__ = ("_session",)

    def __init__(self, session: ssl.SSLObject) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        if name == "__dict__":
            raise AttributeError(name)
        return getattr(self._session, name)


class StrictContext(ssl.SSLContext):
    """Makes such sessions."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        """Return one."""
        return Strict(super().wrap_bio(*args, **kwargs))


async def test_a_session_that_cannot_be_tapped_is_used_as_it_is(authority: trustme.CA) -> None:
    """It connects, and is refused, by what comes with the head."""
    context = StrictContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)

    async def script(peer: Peer) -> None:
        if server.peers[1:]:
            await peer.read_request()
            peer.write(LENGTH + BODY)
        else:
            await peer.upgrade()
        await peer.read_eof()

    async with serve(script, tls=certified(authority)) as server:
        target = Target(server.url, tls=context)
        opened = await soon(connect_picows(target, Recorder()))
        error = await refusal(connect_picows, target)
        await soon(opened.aclose())

    assert isinstance(error, ConcurrencyLimitError)


def test_a_refusal_comes_before_the_deadline() -> None:
    """Half of what is left of the deadline is all that a body gets, and never less than none."""

    async def waits(timeout_s: float) -> float:
        return dial.Dial(Target("ws://127.0.0.1/", timeout_s=timeout_s)).error_body_s()

    assert asyncio.run(waits(100.0)) == limits.ERROR_BODY_S
    assert 0.0 < asyncio.run(waits(1.0)) <= 0.5
    assert asyncio.run(waits(-1.0)) == 0.0


async def test_cancelling_while_the_body_is_awaited_leaves_nothing(
    connect: Connect, over: trustme.CA | None
) -> None:
    """A refusal that nobody waits for any more is dropped with its connection and its timer."""
    async with answering(LENGTH, BODY[:5], authority=over) as (server, target):
        before = open_sockets()
        opening = asyncio.ensure_future(connect(target, Recorder()))
        await server.connection()
        await settle(4 * SEEN_TURNS)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await only_the_service_has_sockets(server, before)

    timers: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009
    assert [timer for timer in timers if not timer.cancelled()] == []


async def test_a_head_that_never_ends_is_a_timeout(
    connect: Connect, over: trustme.CA | None
) -> None:
    """Half a head is no refusal yet."""
    async with answering(LENGTH[:30], authority=over) as (_, target):
        hasty = Target(target.url, tls=target.tls, timeout_s=0.2)
        error = await refusal(connect, hasty)

    assert isinstance(error, ConnectTimeout)


async def test_the_tap_is_gone_from_an_open_socket(over: trustme.CA | None) -> None:
    """Once upgraded, the loop reads as if nobody had read along; what came with the 101 is here."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        head = peer.head()
        peer.write(head[:50])
        await settle(SEEN_TURNS)
        peer.write(head[50:] + frame(BINARY, b"first"))
        peer.write(frame(BINARY, (await peer.read_frame()).payload))
        await peer.read_eof()

    recorder = Recorder()
    ours, theirs = (client_tls(over), certified(over)) if over else (None, None)
    async with serve(script, tls=theirs) as server:
        target = Target(server.url, tls=ours)
        opened = await soon(connect_picows(target, recorder))
        assert isinstance(opened, BaseSocket)
        transport = opened._transport
        assert transport is not None
        session: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        assert "recv_into" not in vars(transport.get_extra_info("socket")._sock)
        assert session is None or "read" not in vars(session)
        opened.send(b"second")
        assert await recorder.received(2) == [b"first", b"second"]
        await soon(opened.aclose())
