"""Every row of the first fault table: what can happen before there is a stream.

``VERDICTS`` is the table; where a row ends otherwise than one might expect, the reason is beside
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
import trustme

from fishlive import RetryPolicy
from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConnectError,
    ConnectTimeout,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TLSError,
    UpgradeError,
)
from fishlive.transport import names
from tests.adversity.matrix import (
    HASTY_CONNECT_S,
    TEXT,
    TWICE,
    WAYS,
    Way,
    everywhere,
    listen,
    session,
    until,
)
from tests.adversity.playing import (
    Theatre,
    Verdict,
    always,
    behind,
    check_all,
    give_up,
    meet,
    recover,
    theatre,
)
from tests.adversity.rows import CLIENT_SIDE, CONNECTING
from tests.conftest import settle
from tests.transport.peer import Peer, PeerServer, serve

HASTY: Final = {"connect_timeout_s": HASTY_CONNECT_S}

UNNOTICED: Final = Verdict()
ENDED: Final = Verdict(
    ConnectError, {"retryable": True, "phase": frozenset({"tcp", "upgrade"})}, heard=0, again=True
)
"""What was reset at once may be noticed before or behind the request."""


def late(phase: str) -> Verdict:
    """Return the verdict on a connection that takes too long."""
    facts = {"phase": phase, "retryable": True}
    return Verdict(
        ConnectTimeout, facts, heard=0, again=True, said=f"(waited in {phase})", options=HASTY
    )


def refused(kind: type[APIStatusError], status: int, message: str, **changes: Any) -> Verdict:
    """Return the verdict on an answer that says no."""
    facts = {"status": status, "message": message, "retry_after_s": None, "retryable": False}
    return replace(Verdict(kind, facts, heard=0, again=False, said=message), **changes)


def busy(retry_after_s: float | None) -> Verdict:
    """Return the verdict on a 429."""
    facts = {"status": 429, "retry_after_s": retry_after_s, "retryable": True}
    return Verdict(RateLimitError, facts, heard=0, again=True)


def broken(status: int, message: str) -> Verdict:
    """Return the verdict on a service that fails."""
    facts = {"status": status, "message": message, "retryable": True}
    return Verdict(ServerError, facts, heard=0, again=True)


def foreign(status: int | None) -> Verdict:
    """Return the verdict on an answer of something else."""
    facts = {"status": status, "phase": "upgrade", "retryable": False}
    return Verdict(UpgradeError, facts, heard=0, again=False)


VERDICTS: Final[dict[str, Verdict]] = {
    "C1 refused": replace(ENDED, facts={"phase": "tcp", "retryable": True}),
    "C1 reset": ENDED,
    "C6 json": refused(AuthenticationError, 401, "Unauthorized"),
    "C6 plain": refused(AuthenticationError, 401, "Invalid Token"),
    "C7": refused(InsufficientCreditsError, 402, "Payment Required"),
    "C7 403": refused(PermissionDeniedError, 403, "Forbidden"),
    "C7 404": refused(NotFoundError, 404, "Not Found"),
    "C8 400": refused(InvalidRequestError, 400, "Bad Request"),
    "C8 422 object": refused(InvalidRequestError, 422, "text is wrong"),
    "C8 422 list": refused(InvalidRequestError, 422, "body.text: missing"),
    "C9 none": busy(None),
    "C9 seconds": busy(1.0),
    "C9 fraction": busy(0.05),
    "C9 milliseconds": busy(0.05),
    "C9 date": busy(0.0),
    "C9 garbage": busy(None),
    "C9 negative": busy(None),
    # A day is the longest that is repeated, and does not fit into the time that is left.
    "C9 huge": replace(busy(86_400.0), again=False),
    "C10 408": broken(408, "Request Timeout"),
    "C10 425": broken(425, "Too Early"),
    "C10 500": broken(500, "Internal Server Error"),
    "C10 502 html": broken(502, "HTML page"),
    "C10 503": broken(503, "Service Unavailable"),
    "C10 504": broken(504, "Gateway Timeout"),
    "C11 200": foreign(200),
    "C11 301": replace(foreign(301), said="redirects are not followed"),
    "C11 302": replace(foreign(302), said="redirects are not followed"),
    "C11 426": foreign(426),
    "C11 accept": foreign(101),
    "C12 no bytes": late("upgrade"),
    "C12 no answer": late("upgrade"),
    "C12 drip": late("upgrade"),
    # A head over the cap is refused as soon as it is, without waiting for the time to run out; and
    # who answers like that is no live endpoint, which another attempt would not change.
    "C12 headers": replace(foreign(101), facts={"status": frozenset({101, None})}),
    "C12 reset": replace(ENDED, facts={"phase": "upgrade", "retryable": True}),
    "C12 cut": replace(ENDED, facts={"phase": "upgrade", "retryable": True}),
}

SECURE: Final[dict[str, Verdict]] = {
    "C5 hello unanswered": late("tls"),
    "C5 reset": replace(ENDED, facts={"phase": "tls", "retryable": True}),
    "C5 cut": replace(ENDED, facts={"phase": "tls", "retryable": True}),
    # Something answered, and not in TLS: the URL or the port is wrong.
    "C5 no tls": Verdict(TLSError, {"phase": "tls", "retryable": False}, heard=0, again=False),
}
"""Rows that need a client of TLS."""

ELSEWHERE: Final = {
    "C2 dns": "tests/transport/test_wire.py",
    "C3 one address dead": "test_one_of_two_addresses_is_enough",
    "C4 certificate": "test_a_certificate_that_does_not_verify",
    "C13 cancel": "test_cancelled_at_every_stage",
    "C14 proxy": "test_proxies_of_the_environment_are_not_used",
}
"""Rows that the client plays: the test of each, or the file of its tests."""


def test_no_row_is_forgotten() -> None:
    """The table has C1 to C14, and each of its rows has a verdict or a test."""
    assert {row.split()[0] for row in CONNECTING} == {f"C{number}" for number in range(1, 15)}
    assert VERDICTS.keys() | SECURE.keys() | ELSEWHERE.keys() == CONNECTING.keys()
    assert {row for row, spec in CONNECTING.items() if spec == CLIENT_SIDE} == ELSEWHERE.keys()
    assert all(name in globals() for name in ELSEWHERE.values() if name.startswith("test_"))


@pytest.mark.parametrize("row", VERDICTS)
async def test_a_row_ends_as_it_says(row: str) -> None:
    """The error has its class and facts, nothing was sent, and nothing is left."""
    await meet(CONNECTING[row], VERDICTS[row])


AGAIN: Final = [row for row, verdict in VERDICTS.items() if verdict.again]
ENDLESS: Final = [row for row in AGAIN if VERDICTS[row].options == HASTY or row == "C1 refused"]
"""Rows that no second attempt outlives: silence, since a healthy one may not take so little time;
and the closed port, since nobody can count who was refused."""


@pytest.mark.parametrize("row", [row for row in AGAIN if row not in ENDLESS])
async def test_it_is_tried_again(row: str) -> None:
    """The listener notices nothing: the second connection is good."""
    await recover(CONNECTING[row], VERDICTS[row])


@pytest.mark.parametrize("row", ENDLESS)
async def test_it_is_tried_again_in_vain(row: str) -> None:
    """There are as many attempts as are allowed, and the last error is told."""
    await give_up(CONNECTING[row], VERDICTS[row], attempts=2)


@pytest.mark.parametrize("row", [row for row, verdict in VERDICTS.items() if not verdict.again])
async def test_what_would_end_the_same_way_is_not_tried_again(row: str) -> None:
    """One attempt, although two are allowed."""
    await give_up(CONNECTING[row], VERDICTS[row], attempts=1)


async def test_a_wait_that_does_not_fit_is_told_at_once() -> None:
    """Where the service asks for more than is left, the error comes now, with the time."""
    short = RetryPolicy(attempts=2, total_s=0.5)
    await give_up(CONNECTING["C9 seconds"], busy(1.0), attempts=1, retry=short)


# TLS


@pytest.mark.parametrize("row", SECURE)
async def test_tls_that_does_not_come_about(row: str) -> None:
    """What is cut short, or silent, may go well another time; what speaks no TLS will not."""
    verdict = SECURE[row]
    await meet(CONNECTING[row], verdict, scheme="https")
    await give_up(CONNECTING[row], verdict, attempts=2 if verdict.again else 1, scheme="https")


@contextlib.asynccontextmanager
async def secured(stage: Theatre, context: ssl.SSLContext) -> AsyncIterator[PeerServer]:
    """Let the server be reached over TLS, too."""

    async def relay(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.server.port)
        pumps = [
            asyncio.ensure_future(_pump(peer.reader, writer)),
            asyncio.ensure_future(_pump(reader, peer.writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writer.transport.abort()
            peer.writer.transport.abort()

    async with serve(relay, tls=context) as front:
        yield front


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


def _identity(authority: trustme.CA, host: str, *, days: int = 1) -> ssl.SSLContext:
    """Return a server's context whose certificate is valid for so many days."""
    until_then = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    before = until_then - dt.timedelta(days=30)
    leaf = authority.issue_cert(host, not_before=before, not_after=until_then)
    leaf.configure_cert(context)
    return context


async def _too_old(peer: Peer) -> None:
    """Answer as a server does that speaks no TLS of this century: with an alert (RFC 8446, 6.2)."""
    await peer.reader.read(65_536)
    peer.write(bytes.fromhex("15 0301 0002 02 46"))  # fatal: protocol_version
    await peer.read_eof()


def _trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority of our own."""
    return trustme.CA()


async def test_a_certificate_that_verifies(authority: trustme.CA) -> None:
    """With a context that trusts its authority, all is as without TLS."""
    async with theatre() as stage, secured(stage, _identity(authority, "127.0.0.1")) as front:
        where = behind(f"https://127.0.0.1:{front.port}")
        endings = await everywhere(where, tls=_trust(authority))
        check_all(stage, endings, UNNOTICED)


UNTRUSTED: Final = Verdict(TLSError, {"phase": "tls", "retryable": False}, heard=0)


@pytest.mark.parametrize("fault", ["expired", "not yet", "wrong host", "unknown"])
async def test_a_certificate_that_does_not_verify(authority: trustme.CA, fault: str) -> None:
    """It is final: no second attempt, nothing is sent, and nothing is ever downgraded."""
    contexts = {
        "expired": lambda: _identity(authority, "127.0.0.1", days=-1),
        "not yet": lambda: _identity(authority, "127.0.0.1", days=60),
        "wrong host": lambda: _identity(authority, "elsewhere.example"),
        "unknown": lambda: _identity(trustme.CA(), "127.0.0.1"),
    }
    async with theatre() as stage, secured(stage, contexts[fault]()) as front:
        where = behind(f"https://127.0.0.1:{front.port}")
        endings = await everywhere(where, tls=_trust(authority), retry=TWICE)
        check_all(stage, endings, UNTRUSTED)
        assert front.peers == []


async def test_nobody_is_trusted_unasked(authority: trustme.CA) -> None:
    """Without a context of the caller's, an authority of one's own is unknown."""
    async with theatre() as stage, secured(stage, _identity(authority, "127.0.0.1")) as front:
        endings = await everywhere(behind(f"https://127.0.0.1:{front.port}"))
        check_all(stage, endings, replace(UNTRUSTED, said="certificate"))


async def test_a_protocol_that_is_too_old() -> None:
    """Nothing older than TLS 1.2 is spoken, and nothing is tried instead."""
    async with theatre() as stage, serve(_too_old) as front:
        endings = await everywhere(behind(f"https://127.0.0.1:{front.port}"), retry=TWICE)
        check_all(stage, endings, UNTRUSTED)
        assert len(front.peers) == len(WAYS)


# Addresses

HOSTS: Final = ("service.invalid",)
"""A name that no resolver knows (RFC 6761); the server answers to it."""


@contextlib.contextmanager
def _unanswered() -> Iterator[int]:
    """Yield a port that takes no connection and refuses none: its queue is full."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _name(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Let every name stand for these ports of this machine, in this order."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")

    async def look_up(*_: object) -> Any:
        return [(*kind, ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(names, "look_up", look_up)


@pytest.mark.parametrize("dead", ["refused", "unanswered"])
async def test_one_of_two_addresses_is_enough(
    dead: str, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A dead first address costs a quarter of a second at most, and no attempt."""
    if dead == "unanswered" and sys.platform != "linux":
        pytest.skip("other systems have other queues")
    with _unanswered() as silent:
        async with theatre(hosts=HOSTS) as stage:
            _name(monkeypatch, unused_port if dead == "refused" else silent, stage.server.port)
            endings = await everywhere(behind("http://service.invalid"), allow_insecure=True)
            check_all(stage, endings, UNNOTICED)


async def test_all_addresses_are_dead(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """If none answers, it is one error, which may be tried again."""
    async with theatre() as stage:
        _name(monkeypatch, unused_port, unused_port)
        endings = await everywhere(behind("http://service.invalid"), allow_insecure=True)
        check_all(stage, endings, Verdict(ConnectError, {"phase": "tcp"}, heard=0))


# Cancelling


async def _cancelled(listening: asyncio.Task[Any]) -> None:
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


@pytest.mark.parametrize(
    "spec",
    ["hang@connect", "hang@tls", "hang@upgrade", "drip:1@upgrade", "stall@start", "stall@audio:2"],
)
async def test_cancelled_at_every_stage(spec: str) -> None:
    """Whatever it waits for, cancelling ends it at once, and leaves nothing open."""
    scheme = "https" if spec == "hang@tls" else "http"
    async with theatre() as stage:
        fault = always(spec)
        stage.server.play(fault)
        where = behind(f"{scheme}://127.0.0.1:{stage.server.port}")
        tasks = [asyncio.ensure_future(listen(where, way)) for way in WAYS]
        await until(lambda: stage.server.played[str(fault)] == len(WAYS))
        await asyncio.gather(*map(_cancelled, tasks))


async def test_cancelled_between_attempts() -> None:
    """A wait for the next attempt is none that anything outlives."""
    slow = RetryPolicy(attempts=2, total_s=7200.0)
    async with theatre() as stage:
        fault = always("status:429@upgrade,header=Retry-After:3600")
        stage.server.play(fault)
        tasks = [asyncio.ensure_future(listen(stage.server, way, retry=slow)) for way in WAYS]
        await until(lambda: stage.server.played[str(fault)] == len(WAYS))
        await settle()
        await asyncio.gather(*map(_cancelled, tasks))


async def test_cancelled_at_any_turn() -> None:
    """At whichever turn of the loop it comes, cancelling is clean, until all was heard."""
    async with theatre() as stage:
        for turns in (*range(40), *range(40, 200, 20)):
            tasks = [asyncio.ensure_future(listen(stage.server, way)) for way in WAYS]
            await settle(turns)
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    assert type(outcome) is asyncio.CancelledError


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_who_no_longer_waits_does_not_stop_the_opening(way: Way) -> None:
    """Cancelling `ready` leaves the channel usable: the connection it waited for is taken."""
    async with theatre() as stage:
        stage.server.play("delay:0.05@upgrade")
        async with session(stage.server, way) as fish, fish.live(timestamps=way.timed) as live:
            waiting = asyncio.ensure_future(live.ready())
            await until(lambda: stage.server.played["delay:0.05@upgrade"] == 1)
            await _cancelled(waiting)
            utterance = live.speak(TEXT)
            assert b"".join([chunk async for chunk in utterance])
            assert utterance.stats.attempts == 1
        assert len(stage.sent) == 1


# What is asked for


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[object]]:
    """Name a proxy in every variable there is for one; yields who came to it."""
    came: list[object] = []

    def meet_client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.transport.abort()

    listener = await asyncio.start_server(meet_client, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy"):
        for each in (name, name.upper()):
            monkeypatch.setenv(each, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield came
    listener.close()
    await settle()


@pytest.mark.parametrize("host", ["127.0.0.1", "service.invalid"])
async def test_proxies_of_the_environment_are_not_used(
    host: str, monkeypatch: pytest.MonkeyPatch, proxy: list[object]
) -> None:
    """Neither for this machine nor for another: a proxy is used by whoever brings its session."""
    async with theatre(hosts=HOSTS) as stage:
        _name(monkeypatch, stage.server.port)
        where = behind(f"http://{host}:{stage.server.port}")
        check_all(stage, await everywhere(where, allow_insecure=True), UNNOTICED)
        assert proxy == []


async def test_no_extension_is_asked_for() -> None:
    """Frames mean what they say: compression is never offered, nor any protocol."""
    asked: list[dict[str, str]] = []

    async def note(peer: Peer) -> None:
        await peer.read_request()
        asked.append(peer.headers)
        peer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await peer.read_eof()

    async with serve(note) as server:
        for ending in await everywhere(behind(f"http://127.0.0.1:{server.port}")):
            assert type(ending.error) is AuthenticationError
    assert len(asked) == len(WAYS)
    for headers in asked:
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & headers.keys()
        assert headers["authorization"].startswith("Bearer local-")
