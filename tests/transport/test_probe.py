"""A connection step by step: what each took, and what the first that failed is called."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from fishlive.errors import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    ConnectTimeout,
    HostNotFoundError,
    TLSError,
    UpgradeError,
)
from fishlive.transport.probe import probe
from fishlive.transport.socket import Target
from tests.conftest import open_sockets, settle
from tests.transport.peer import Peer, serve

UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"RateLimit-Limit-Concurrency: 5\r\n\r\n"
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(
    answer: bytes | None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield a port that answers every request like this (never, if None), and the requests."""
    requests: list[bytes] = []
    done = asyncio.Event()
    handlers: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is None:
                await done.wait()
                return
            writer.write(answer)
            if answer.startswith(b"HTTP/1.1 101"):
                requests.append(await reader.read())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client may leave
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        done.set()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*filter(None, handlers))  # which nobody waits for before 3.12


def target(port: int, *, timeout_s: float = 10.0, tls: ssl.SSLContext | None = None) -> Target:
    """Return where that is."""
    scheme = "ws" if tls is None else "wss"
    headers = {"Authorization": "Bearer sesame"}
    url = f"{scheme}://127.0.0.1:{port}/v1/tts/live"
    return Target(url, headers=headers, timeout_s=timeout_s, tls=tls)


async def test_every_step_has_its_time() -> None:
    """A WebSocket opens: all steps but TLS have a time, and the answer's headers are there."""
    async with listening(UPGRADED) as (port, requests):
        steps = await probe(target(port))

    assert steps.error is None
    assert steps.tls_s is None
    assert all(s is not None and s >= 0 for s in (steps.dns_s, steps.tcp_s, steps.upgrade_s))
    assert steps.peer == "127.0.0.1"
    assert steps.headers["ratelimit-limit-concurrency"] == "5"
    assert requests[0].startswith(b"GET /v1/tts/live HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Bearer sesame\r\n" in requests[0]
    assert requests[1][:2] == b"\x88\x82"  # a goodbye
    assert "sesame" not in repr(steps)


async def test_tls_is_a_step_of_its_own() -> None:
    """With TLS there is a time for it, and its version."""
    ours = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(theirs)
    context = ssl.create_default_context()
    ours.configure_trust(context)
    async with listening(UPGRADED, tls=theirs) as (port, _):
        steps = await probe(target(port, tls=context))

    assert steps.error is None
    assert steps.tls_s is not None
    assert steps.tls == "TLSv1.3"


async def test_a_certificate_nobody_trusts_fails_in_tls() -> None:
    """What came before has its time; the error says what is wrong with the certificate."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(theirs)
    async with listening(UPGRADED, tls=theirs) as (port, _):
        steps = await probe(target(port, tls=ssl.create_default_context()))

    assert isinstance(steps.error, TLSError)
    assert steps.phase == "tls"
    assert steps.tcp_s is not None
    assert steps.tls_s is None


async def test_it_can_stop_before_the_upgrade() -> None:
    """Without a key the network can be looked at, and nothing is asked for."""
    async with listening(UPGRADED) as (port, requests):
        steps = await probe(target(port), upgrade=False)

    assert (steps.error, steps.upgrade_s, requests) == (None, None, [])
    assert steps.tcp_s is not None


@pytest.mark.parametrize("ends", [False, True])
async def test_a_refusals_body_may_come_behind_its_head(ends: bool) -> None:
    """It is waited for: to its length, or without one to the end of the connection."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 401 No\r\n" + (b"" if ends else b"Content-Length: 27\r\n") + b"\r\n")
        await settle(50)
        peer.write(b'{"message":')
        await settle(50)
        peer.write(b'"Invalid Token"}')
        if ends:
            peer.hang_up()
        await peer.read_eof()

    async with serve(script) as server:
        steps = await probe(target(server.port))

    assert isinstance(steps.error, AuthenticationError)
    assert steps.error.message == "Invalid Token"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_refusal_is_the_services_own(chunked: bool) -> None:
    """A 401 is an AuthenticationError with the sentence of its body, and has taken its time."""
    body = b'{"status":401,"message":"Invalid Token"}'
    head = b"HTTP/1.1 401 Unauthorized\r\n"
    if chunked:
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n28\r\n" + body + b"\r\n0\r\n\r\n"
    else:
        answer = head + b"Content-Length: 40\r\n\r\n" + body
    async with listening(answer) as (port, _):
        steps = await probe(target(port))

    assert isinstance(steps.error, AuthenticationError)
    assert steps.error.message == "Invalid Token"
    assert steps.phase == "upgrade"
    assert steps.upgrade_s is not None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", ConnectError),
        (b"SSH-2.0-x\r\n", UpgradeError),
        (b"SSH-2.0-x\r\n\r\n", UpgradeError),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", UpgradeError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, UpgradeError),
    ],
)
async def test_what_is_no_service_fails_in_the_upgrade(answer: bytes, kind: type) -> None:
    """Whoever hangs up or speaks something else has failed at the last step."""
    async with listening(answer) as (port, _):
        steps = await probe(target(port))

    assert type(steps.error) is kind
    assert steps.phase == "upgrade"


async def test_where_nobody_listens_tcp_fails(unused_port: int) -> None:
    """A refused connection is named as one, without a time for it."""
    steps = await probe(target(unused_port))

    assert type(steps.error) is ConnectError
    assert (steps.phase, steps.tcp_s) == ("tcp", None)


async def test_a_host_that_does_not_exist_fails_in_dns() -> None:
    """A name that no resolver may know is not found."""
    steps = await probe(Target("ws://a..invalid/v1/tts/live", timeout_s=10))

    assert isinstance(steps.error, HostNotFoundError)
    assert steps.phase == "dns"


async def test_silence_ends_with_the_time() -> None:
    """A service that says nothing is given up, and the step that waited is named."""
    async with listening(None) as (port, _):
        steps = await probe(target(port, timeout_s=0.1))

    assert isinstance(steps.error, ConnectTimeout)
    assert steps.phase == steps.error.phase == "upgrade"


async def test_silence_in_tls_leaves_no_socket() -> None:
    """Somebody who never answers a TLS handshake is given up in time, and nothing stays open."""
    before = open_sockets()
    async with listening(None) as (port, _):
        steps = await probe(target(port, timeout_s=0.1, tls=ssl.create_default_context()))
        assert isinstance(steps.error, ConnectTimeout)
        assert (steps.phase, steps.tls_s) == ("tls", None)
    for _ in range(50):
        await asyncio.sleep(0)
    assert open_sockets() <= before


async def test_cancelling_leaves_no_socket() -> None:
    """A probe that is cancelled while it waits closes its connection."""
    before = open_sockets()
    async with listening(None) as (port, requests):
        probing = asyncio.create_task(probe(target(port)))
        while not requests:
            await asyncio.sleep(0)
        probing.cancel()
        await asyncio.wait((probing,))
        assert probing.cancelled()
    for _ in range(50):
        await asyncio.sleep(0)
    assert open_sockets() <= before


async def test_a_key_that_breaks_the_request_is_refused(tmp_path: Path) -> None:
    """A header with a line break is a ConfigError before anything is opened."""
    bad = Target("ws://127.0.0.1:9", headers={"Authorization": "Bearer a\r\nX: y"})
    with pytest.raises(ConfigError, match="cannot be sent"):
        await probe(bad)
