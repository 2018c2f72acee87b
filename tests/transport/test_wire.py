"""The network adapters against a raw peer: connecting, refusals, and every broken wire.

The traps of picows 2.3.1 are marked by their number in the notes on it (``trap 3``).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import trustme

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConcurrencyLimitError,
    ConfigError,
    ConflictError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    FishLiveError,
    HostNotFoundError,
    InsufficientCreditsError,
    InvalidRequestError,
    MessageTooLarge,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerClosed,
    ServerError,
    TLSError,
    UpgradeError,
)
from fishlive.limits import MAX_FRAGMENTS, MIB, RECEIVE_BUFFER_BYTES
from fishlive.transport import names
from fishlive.transport.aiohttp import connect_aiohttp
from fishlive.transport.base import BaseSocket
from fishlive.transport.picows import connect_picows
from fishlive.transport.socket import Connect, Target
from tests.conftest import open_sockets, settle
from tests.transport.conftest import (
    CANARY,
    Recorder,
    Script,
    client_tls,
    only_the_service_has_sockets,
    server_tls,
    soon,
)
from tests.transport.peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Frame,
    Peer,
    PeerServer,
    close_frame,
    frame,
    serve,
)

SHORT_S = 0.1
KEY = {"authorization": f"Bearer {CANARY}"}


def answering(answer: bytes) -> Script:
    """Return a script that answers the upgrade with raw bytes and hangs up."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer)
        peer.hang_up()

    return script


def sending(*data: bytes) -> Script:
    """Return a script that upgrades, sends raw bytes, and holds the connection open."""

    async def script(peer: Peer) -> None:
        await peer.upgrade()
        for piece in data:
            peer.write(piece)
        await peer.read_eof()

    return script


async def hanging(peer: Peer) -> None:
    """Say nothing at all."""
    await peer.read_eof()


async def never(*_: object, **__: object) -> None:
    """Do not return."""
    await asyncio.get_running_loop().create_future()


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything it was raised from or during."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        if (found := queue.pop()) is not None and found not in seen:
            seen.append(found)
            queue += [found.__cause__, found.__context__]
    yield from seen


def shown(error: BaseException) -> str:
    """Return everything that a log or a tracker could print of an error."""
    return "".join(f"{error!s} {error!r} {error.args!r} {vars(error)!r}" for error in chain(error))


async def refused(connect: Connect, script: Script, **facts: Any) -> FishLiveError:
    """Return what connecting to a script raises."""
    async with serve(script) as server:
        with pytest.raises(FishLiveError) as caught:
            await soon(connect(Target(server.url, KEY, **facts), Recorder()))
    assert CANARY not in shown(caught.value)
    return caught.value


# Refusals.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (408, ServerError),
        (409, ConflictError),
        (418, InvalidRequestError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (520, ServerError),
    ],
)
async def test_a_refusal_has_the_class_of_its_status(
    connect: Connect, status: int, kind: type[APIStatusError]
) -> None:
    """Trap 8: status, body, wait and trace of a refusal are kept, also of odd statuses."""
    body = b'{"message": "because", "status": %d}' % status
    head = (
        f"HTTP/1.1 {status} Odd\r\nContent-Length: {len(body)}\r\nRetry-After: 3\r\n"
        "X-Fish-Trace-Id: t-1\r\n\r\n"
    )
    error = await refused(connect, answering(head.encode() + body))

    assert type(error) is kind
    assert isinstance(error, APIStatusError)
    assert (error.status, error.message) == (status, "because")
    assert (error.retry_after_s, error.trace_id) == (3.0, "t-1")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 503 Down\r\n\r\nplain",
        b"HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nplain\r\n0\r\n\r\n",
        b"HTTP/1.1 503 Down\r\nContent-Length: 5\r\n\r\nplain",
        b"HTTP/1.1 503 Down\r\nContent-Length: 999\r\n\r\nplain",
    ],
    ids=["http10", "chunked", "length", "cut-short"],
)
async def test_any_form_of_refusal_is_read(connect: Connect, answer: bytes) -> None:
    """Trap 8: HTTP/1.0, an empty phrase, chunked and cut-off bodies are all the same refusal."""
    error = await refused(connect, answering(answer))

    assert type(error) is ServerError
    assert str(error) == "503 plain"


async def test_a_concurrency_refusal_says_so(connect: Connect) -> None:
    """429 that names concurrency is its own class."""
    body = b'{"message": "Concurrency limit exceeded", "max_concurrency": 5}'
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n" % len(body)
    error = await refused(connect, answering(head + body))

    assert isinstance(error, ConcurrencyLimitError)
    assert error.max_concurrency == 5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(connect: Connect, status: int) -> None:
    """The place a redirect points to sees no connection, let alone the key."""
    async with serve(hanging) as elsewhere:
        answer = f"HTTP/1.1 {status} Go\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
        error = await refused(connect, answering(answer.encode()))

        assert isinstance(error, UpgradeError)
        assert error.status == status
        assert "redirect" in str(error)
        assert elsewhere.peers == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
    ],
    ids=["200", "426", "bare-101", "ssh", "binary"],
)
async def test_what_is_no_live_endpoint_is_an_upgrade_error(
    connect: Connect, answer: bytes
) -> None:
    """Any other answer is not worth a second try."""
    error = await refused(connect, answering(answer))

    assert isinstance(error, UpgradeError)
    assert not error.retryable


@pytest.mark.parametrize(
    "extra",
    ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat"],
)
async def test_an_unasked_extension_is_refused(connect: Connect, extra: str) -> None:
    """Trap 6: a 101 that grants what was not asked opens nothing, and its frames are not read."""

    async def script(peer: Peer) -> None:
        await peer.upgrade(extra, then=frame(BINARY, b"data"))
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script) as server:
        with pytest.raises(UpgradeError, match="unasked"):
            await soon(connect(Target(server.url), recorder))
        await settle()
    assert (recorder.messages, recorder.errors) == ([], [])


async def test_who_takes_a_list_of_connection_options(connect: Connect) -> None:
    """RFC 6455 allows one; picows does not, and the error names the adapter that does."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(peer.head().replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"))
        await peer.read_eof()

    async with serve(script) as server:
        if connect is connect_picows:
            with pytest.raises(UpgradeError, match='transport="aiohttp" takes lists'):
                await soon(connect(Target(server.url), Recorder()))
        else:
            socket = await soon(connect(Target(server.url), Recorder()))
            await socket.aclose()
        await settle()


async def test_a_wrong_accept_key_is_refused(connect: Connect) -> None:
    """A server that does not know the protocol cannot pretend to."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(peer.head(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
        await peer.read_eof()

    error = await refused(connect, script)
    assert isinstance(error, UpgradeError)
    assert error.status == 101


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_an_end_before_the_answer_is_retryable(connect: Connect, *, reset: bool) -> None:
    """Trap 3: EOF before the 101 is a ConnectError, not a socket without a listener."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        if reset:
            peer.reset()
        else:
            peer.hang_up()

    error = await refused(connect, script)
    assert type(error) is ConnectError
    assert (error.phase, error.retryable) == ("upgrade", True)


# Phases.


async def test_a_refused_port_is_a_tcp_error(connect: Connect, unused_port: int) -> None:
    """Nobody listens: retryable, in phase tcp, with the system's reason."""
    with pytest.raises(ConnectError, match="refused") as caught:
        await soon(connect(Target(f"ws://127.0.0.1:{unused_port}/", KEY), Recorder()))

    assert type(caught.value) is ConnectError
    assert caught.value.phase == "tcp"
    assert CANARY not in shown(caught.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (socket.EAI_NONAME, HostNotFoundError),
        (socket.EAI_AGAIN, DNSError),
        (socket.EAI_FAIL, DNSError),
    ],
)
async def test_resolver_failures_are_typed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[DNSError]
) -> None:
    """A name that does not exist is final; a resolver that fails is not."""

    async def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "said the resolver")

    monkeypatch.setattr(names, "look_up", fail)
    with pytest.raises(DNSError) as caught:
        await soon(connect(Target("ws://service.invalid/", KEY), Recorder()))

    assert type(caught.value) is kind
    assert caught.value.phase == "dns"
    assert CANARY not in shown(caught.value)


@pytest.mark.parametrize("phase", ["dns", "tcp", "tls", "upgrade"])
async def test_a_timeout_says_what_it_waited_for(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """One deadline covers DNS, TCP, TLS and upgrade; nothing stays open."""
    scheme, host = ("wss" if phase == "tls" else "ws"), "127.0.0.1"
    async with serve(hanging) as server:
        before = open_sockets()
        if phase == "dns":
            host = "service.invalid"
            monkeypatch.setattr(names, "look_up", never)
        if phase == "tcp":
            monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
        target = Target(f"{scheme}://{host}:{server.port}/", KEY, timeout_s=SHORT_S)
        with pytest.raises(ConnectTimeout) as caught:
            await soon(connect(target, Recorder()))
        monkeypatch.undo()

        assert caught.value.phase == phase
        assert CANARY not in shown(caught.value)
        await only_the_service_has_sockets(server, before)


@pytest.mark.parametrize("phase", ["dns", "tcp", "tls", "upgrade"])
async def test_cancelling_leaves_nothing_open(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """Trap 2: in whichever phase the cancellation comes, the descriptor is closed."""
    scheme, host = ("wss" if phase == "tls" else "ws"), "127.0.0.1"
    async with serve(hanging) as server:
        before = open_sockets()
        if phase == "dns":
            host = "service.invalid"
            monkeypatch.setattr(names, "look_up", never)
        if phase == "tcp":
            monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
        target = Target(f"{scheme}://{host}:{server.port}/")
        opening = asyncio.ensure_future(connect(target, Recorder()))
        if phase in {"tls", "upgrade"}:
            await server.connection()
        await settle(50)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        monkeypatch.undo()
        await only_the_service_has_sockets(server, before)


async def test_cancelling_at_any_turn_leaves_nothing_open(connect: Connect) -> None:
    """Whatever the connection is doing when it is cancelled, nothing of it stays."""
    async with serve(sending(frame(BINARY, b"hello"))) as server:
        before = open_sockets()
        for turns in range(30):
            opening = asyncio.ensure_future(connect(Target(server.url), Recorder()))
            await settle(turns)
            opening.cancel()
            outcome = (await asyncio.gather(opening, return_exceptions=True))[0]
            if isinstance(outcome, BaseSocket):
                outcome.abort()
            else:
                assert isinstance(outcome, asyncio.CancelledError)
        await only_the_service_has_sockets(server, before)


async def test_a_trusted_certificate_opens(connect: Connect, authority: trustme.CA) -> None:
    """A context of the caller's own decides whom to trust; messages flow over TLS."""

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=frame(BINARY, b"over TLS"))
        peer.write(frame(BINARY, (await peer.read_frame()).payload))
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script, tls=server_tls(authority, "127.0.0.1")) as server:
        target = Target(server.url, KEY, tls=client_tls(authority))
        opened = await soon(connect(target, recorder))
        opened.send(b"back")
        assert await recorder.received(2) == [b"over TLS", b"back"]
        await soon(opened.aclose())


@pytest.mark.parametrize("fault", ["unknown", "wrong-host"])
async def test_a_certificate_that_does_not_verify_is_final(
    connect: Connect, authority: trustme.CA, fault: str
) -> None:
    """An unknown authority and another host's certificate are TLSErrors."""
    host = "elsewhere.example" if fault == "wrong-host" else "127.0.0.1"
    context = server_tls(authority, host)
    trusted = ssl.create_default_context() if fault == "unknown" else client_tls(authority)
    async with serve(hanging, tls=context) as server:
        with pytest.raises(TLSError) as caught:
            await soon(connect(Target(server.url, KEY, tls=trusted), Recorder()))

    assert not caught.value.retryable
    assert CANARY not in shown(caught.value)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46"],
    ids=["plain-text", "no-common-version"],
)
async def test_a_server_of_another_protocol_is_final(connect: Connect, answer: bytes) -> None:
    """A server that answers a TLS hello in clear, or with an alert, is none for this URL."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.write(answer)
        await peer.read_eof()

    async with serve(script) as server:
        with pytest.raises(TLSError):
            await soon(connect(Target(server.url.replace("ws:", "wss:")), Recorder()))


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_tls_cut_short_is_retryable(connect: Connect, *, reset: bool) -> None:
    """A connection that dies during the TLS handshake may work the next time."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        if reset:
            peer.reset()
        else:
            peer.hang_up()

    async with serve(script) as server:
        with pytest.raises(ConnectError) as caught:
            await soon(connect(Target(server.url.replace("ws:", "wss:")), Recorder()))

    assert type(caught.value) is ConnectError
    assert (caught.value.phase, caught.value.retryable) == ("tls", True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "ws://",
        "ws://user:secret@127.0.0.1/",
        "ws://127.0.0.1/#part",
        "ws://127.0.0.1:99999/",
        "ws://127.0.0.1/a b",
        "ws://127.0.0.1/\r\nX: y",
        "ws://höst/",
        "ws://[::1/",
    ],
)
async def test_a_url_that_cannot_be_sent_is_a_config_error(connect: Connect, url: str) -> None:
    """Nothing is sent for a URL that is not a plain live URL."""
    with pytest.raises(ConfigError) as caught:
        await connect(Target(url), Recorder())
    assert caught.value.argument == "url"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"{CANARY}\r\nX: y"),
        ("authorization", f"{CANARY}\x00"),
        ("authorization", f"{CANARY}é"),
        ("bad name", "value"),
        ("", "value"),
    ],
)
async def test_a_header_that_cannot_be_sent_is_a_config_error(
    connect: Connect, name: str, value: str
) -> None:
    """No header can smuggle another; the error does not repeat its value."""
    with pytest.raises(ConfigError) as caught:
        await connect(Target("ws://127.0.0.1/", {name: value}), Recorder())
    assert caught.value.argument == "headers"
    assert CANARY not in shown(caught.value)


async def test_the_receive_buffer_is_small(connect: Connect) -> None:
    """Trap 1: SO_RCVBUF is set before connecting, so that little arrives after a pause."""
    async with serve(Peer.upgrade) as server:
        opened = await soon(connect(Target(server.url), Recorder()))
        assert isinstance(opened, BaseSocket)
        assert opened._transport is not None
        sock = opened._transport.get_extra_info("socket")
        size_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        opened.abort()

    # Systems round, double or cap what they are told, so ask for the same again.
    with socket.socket() as other:
        usual_bytes = other.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        expected_bytes = other.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert size_bytes == expected_bytes != usual_bytes


# Frames.


async def outcome(
    connect: Connect, *data: bytes, limit_bytes: int = MIB
) -> tuple[Recorder, FishLiveError, PeerServer]:
    """Return what the receiver heard of raw bytes, and how it ended."""
    recorder = Recorder()
    async with serve(sending(*data)) as server:
        target = Target(server.url, max_message_bytes=limit_bytes)
        opened = await soon(connect(target, recorder))
        error = await recorder.ended()
        opened.abort()
    assert len(recorder.errors) == 1
    return recorder, error, server


@pytest.mark.parametrize(
    "broken",
    [
        frame(BINARY, b"x", flags=FIN | RSV1),
        frame(BINARY, b"x", flags=FIN | RSV2),
        frame(BINARY, b"x", flags=FIN | RSV3),
        frame(PING, b"x", flags=FIN | RSV1),
        frame(TEXT, b"x", flags=FIN | RSV1),
        frame(CONTINUATION, b"x"),
        frame(BINARY, b"x", flags=0) + frame(BINARY, b"y"),
        frame(BINARY, b"x", mask=True),
        frame(3, b"x"),
        frame(11, b"x"),
        frame(PING, b"x", flags=0),
        frame(PING, bytes(126)),
        b"\x82\x7e\x00\x05hello",
        b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
        close_frame(0),
        close_frame(999),
        close_frame(1005),
        close_frame(1006),
        close_frame(2000),
        close_frame(5000),
        frame(CLOSE, b"\x03"),
        frame(CLOSE, b"\x03\xe8\xff\xfe"),
    ],
)
async def test_a_broken_frame_is_a_protocol_error(connect: Connect, broken: bytes) -> None:
    """Traps 6 and 7: what came before is delivered; the frame ends the socket, quietly."""
    recorder, error, _ = await outcome(connect, frame(BINARY, b"good"), broken)

    assert type(error) in {ProtocolError, MessageTooLarge}
    assert recorder.messages == [b"good"]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (frame(BINARY, b"x", flags=FIN | RSV1), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (b"\x82\x7f" + (1 << 40).to_bytes(8, "big"), 1009),
    ],
)
async def test_the_peer_is_told_why(connect: Connect, broken: bytes, code: int) -> None:
    """Traps 6 and 7: every close frame of ours has a code."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=broken)
        told.set_result(await peer.read_close())
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        assert await soon(told) == code
        await recorder.ended()
        opened.abort()


@pytest.mark.parametrize("size", [MIB + 1, 1 << 40, (1 << 63) - 1])
async def test_an_oversized_frame_is_refused_from_its_header(connect: Connect, size: int) -> None:
    """Trap 6: the announcement is enough; none of the message needs to come."""
    header = b"\x82\x7f" + size.to_bytes(8, "big")
    recorder, error, _ = await outcome(connect, frame(BINARY, b"good"), header)

    assert type(error) is MessageTooLarge
    assert recorder.messages == [b"good"]


async def test_an_oversized_message_that_still_arrives_is_not_delivered(connect: Connect) -> None:
    """Trap 6: its bytes, and messages behind it, come too late."""
    large, late = frame(BINARY, bytes(2000)), frame(BINARY, b"late")
    recorder, error, _ = await outcome(connect, large + late, late, limit_bytes=1000)

    assert type(error) is MessageTooLarge
    assert recorder.messages == []


async def test_fragments_are_put_together(connect: Connect) -> None:
    """Pieces with pings between them are one message; fragmented text is one ignored message."""
    data = [
        frame(BINARY, b"a", flags=0),
        frame(PING, b"between"),
        frame(CONTINUATION, b"", flags=0),
        frame(PONG, b"unasked"),
        frame(CONTINUATION, b"b"),
        frame(TEXT, b"c", flags=0),
        frame(CONTINUATION, b"d"),
        frame(BINARY, b"whole"),
    ]
    recorder = Recorder()
    pongs: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=b"".join(data))
        pongs.set_result((await peer.read_frame()).payload)
        await peer.read_eof()

    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        assert await recorder.received(2) == [b"ab", b"whole"]
        assert await soon(pongs) == b"between"
        assert opened.ignored == 1
        opened.abort()


async def test_a_message_dripped_byte_by_byte_arrives(connect: Connect) -> None:
    """Where TCP cuts is no concern of the receiver."""
    whole = frame(BINARY, b"a" * 200) + frame(BINARY, b"b" * 3, flags=0) + frame(CONTINUATION, b"c")

    async def script(peer: Peer) -> None:
        await peer.upgrade()
        for position in range(len(whole)):
            peer.write(whole[position : position + 1])
            await peer.writer.drain()
            await asyncio.sleep(0)
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        assert await recorder.received(2) == [b"a" * 200, b"bbbc"]
        opened.abort()


@pytest.mark.parametrize(
    "data",
    [
        [frame(BINARY, bytes(600), flags=0), frame(CONTINUATION, bytes(600))],
        [frame(BINARY, b"", flags=0), *[frame(CONTINUATION, b"", flags=0)] * MAX_FRAGMENTS],
        [frame(TEXT, b"", flags=0), *[frame(CONTINUATION, b"", flags=0)] * MAX_FRAGMENTS],
    ],
    ids=["bytes", "count", "text"],
)
async def test_fragments_are_capped_in_bytes_and_number(
    connect: Connect, data: list[bytes]
) -> None:
    """Trap 6: pieces cannot make up more than a whole message may be, nor be endless."""
    _, error, _ = await outcome(connect, b"".join(data), limit_bytes=1000)

    assert type(error) is MessageTooLarge


async def test_pings_are_answered(connect: Connect) -> None:
    """Every ping of the service gets its payload back, masked."""
    answers: asyncio.Future[list[Frame]]
    answers = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=frame(PING, b"one") + frame(PING) + frame(PING, bytes(125)))
        answers.set_result([await peer.read_frame() for _ in range(3)])
        await peer.read_eof()

    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), Recorder()))
        assert await soon(answers) == [
            (PONG, b"one", True),
            (PONG, b"", True),
            (PONG, bytes(125), True),
        ]
        opened.abort()


async def test_a_late_pong_answers_the_pings_before_it(connect: Connect) -> None:
    """RFC 6455 lets a peer answer only the most recent ping; unasked pongs mean nothing."""

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=frame(PONG, b"unasked"))
        pings = [await peer.read_frame() for _ in range(3)]
        peer.write(frame(PONG, pings[-1].payload))
        await peer.read_eof()

    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), Recorder()))
        trips = await soon(asyncio.gather(*(opened.ping() for _ in range(3))))
        assert len(trips) == 3
        opened.abort()


# Ends.


@pytest.mark.parametrize("where", ["between", "mid-frame"])
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_a_lost_connection_keeps_what_arrived(
    connect: Connect, *, reset: bool, where: str
) -> None:
    """Whole messages are delivered, half a frame is not, and the loss is reported."""
    recorder = Recorder()

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=frame(BINARY, b"whole"))
        if where == "mid-frame":
            peer.write(frame(BINARY, bytes(1000))[:500])
        await peer.read_frame()
        if reset:
            peer.reset()
        else:
            peer.hang_up()

    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        await recorder.received(1)
        opened.send(b"now")
        error = await recorder.ended()

    assert type(error) is ConnectionLost
    assert recorder.messages == [b"whole"]
    assert opened.closed


async def test_what_comes_with_the_101_is_not_lost(connect: Connect) -> None:
    """A message and a close frame in the packet of the 101 reach the receiver, in order."""

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=frame(BINARY, b"early") + close_frame(1011, "no"))
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        error = await recorder.ended()

    assert opened.closed
    assert recorder.messages == [b"early"]
    assert isinstance(error, ServerClosed)
    assert error.close_code == 1011


async def test_nothing_behind_a_close_frame_is_read(connect: Connect) -> None:
    """After goodbye nothing counts, not even in the same packet."""
    late = close_frame(1000) + frame(BINARY, b"late") + frame(PING, b"late")
    recorder, error, _ = await outcome(connect, frame(BINARY, b"good") + late)

    assert isinstance(error, ServerClosed)
    assert recorder.messages == [b"good"]


async def test_a_service_that_holds_the_connection_is_cut(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLOSE_TIMEOUT_S after its close frame, the service sees the end without asking for it."""
    monkeypatch.setattr("fishlive.transport.base.CLOSE_TIMEOUT_S", 0.01)
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=close_frame(1000))
        await peer.read_eof()
        ended.set()

    recorder = Recorder()
    async with serve(script) as server:
        await soon(connect(Target(server.url), recorder))
        await soon(ended.wait())

    assert len(recorder.errors) == 1


async def test_a_receiver_that_raises_makes_nobody_complain(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Trap 5: no exception is logged or "never retrieved", whichever callback it came from."""
    caplog.set_level(logging.DEBUG)

    def fail(_message: bytes) -> None:
        raise RuntimeError("a bug")

    recorder = Recorder()
    recorder.on_each = fail
    pieces = frame(BINARY, b"a", flags=0) + frame(CONTINUATION, b"b")
    async with serve(sending(pieces)) as server:
        await soon(connect(Target(server.url), recorder))
        error = await recorder.ended()

    assert isinstance(error.__cause__, RuntimeError)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_nothing_logs_the_key(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at its most talkative, no record holds the key."""
    caplog.set_level(1)
    for name in ("picows", "picows.client", "fishlive", "fishlive.transport", "aiohttp", "asyncio"):
        caplog.set_level(1, name)

    async def script(peer: Peer) -> None:
        await peer.upgrade(then=frame(BINARY, b"x") + close_frame(1011))
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script) as server:
        target = Target(server.url, KEY)
        opened = await soon(connect(target, recorder))
        await recorder.ended()
        opened.abort()

    assert CANARY not in caplog.text
    assert CANARY not in f"{opened!r} {opened!s} {target!r}"


async def test_proxies_of_the_environment_are_not_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A proxy is used when told to, never because a variable says so."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{unused_port}")
    async with serve(Peer.upgrade) as server:
        (await soon(connect(Target(server.url), Recorder()))).abort()
        assert server.peers[0].request.startswith("GET /v1/tts/live ")


async def test_handshake_tells_times_and_headers(connect: Connect) -> None:
    """Seconds are not negative, parts are not over the whole, header names are in lower case."""

    async def script(peer: Peer) -> None:
        await peer.upgrade("X-Fish-Trace-Id: t-9")
        await peer.read_eof()

    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), Recorder()))
        handshake = opened.handshake
        opened.abort()

    assert handshake.headers["x-fish-trace-id"] == "t-9"
    assert 0 <= (handshake.dns_s or 0) + (handshake.tcp_s or 0) <= handshake.connect_s


async def test_pings_of_somebody_who_does_not_read_are_dropped(connect: Connect) -> None:
    """A flood of pings cannot fill the write buffer: they are answered while it has room."""
    flood = frame(PING, bytes(125)) * 1000

    async def script(peer: Peer) -> None:
        await peer.upgrade()
        peer.write(flood)  # more would end the connection
        peer.write(frame(BINARY, b"done"))
        await asyncio.get_running_loop().create_future()

    recorder = Recorder()
    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        assert isinstance(opened, BaseSocket)
        assert opened._transport is not None
        await recorder.received(1)
        waiting_bytes = opened._transport.get_write_buffer_size()
        opened.abort()

    assert waiting_bytes < MIB


# What only one of them has.


async def test_picows_sends_the_key_once(recorder: Recorder) -> None:
    """The request has every header of the target once, and asks for no extension."""
    async with serve(Peer.upgrade) as server:
        (await soon(connect_picows(Target(server.url, KEY), recorder))).abort()
        headers = server.peers[0].headers

    assert headers["authorization"] == KEY["authorization"]
    assert "sec-websocket-extensions" not in headers


async def test_every_address_of_a_name_is_tried(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A dead address does not hide a living one (aiohttp brings its own resolver and race)."""
    async with serve(Peer.upgrade) as server:

        async def two(*_: object) -> Any:
            kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*kind, ("127.0.0.1", port)) for port in (unused_port, server.port)]

        monkeypatch.setattr(names, "look_up", two)
        opened = await soon(connect_picows(Target("ws://service.invalid/"), recorder))
        opened.abort()

        assert len(server.peers) == 1


async def test_a_shared_session_stays_usable(recorder: Recorder) -> None:
    """A session of the caller's own is neither closed nor left without its connection's place."""
    connector = aiohttp.TCPConnector(limit=1)
    async with serve(Peer.upgrade) as server, aiohttp.ClientSession(connector=connector) as session:
        for _ in range(3):
            target = Target(server.url, KEY)
            opened = await soon(connect_aiohttp(target, recorder, session=session))
            await settle()
            opened.abort()
            await settle()
        assert not session.closed
        assert len(server.peers) == 3


async def test_a_session_that_closes_takes_its_sockets_along(recorder: Recorder) -> None:
    """Closing the caller's session ends the socket as a loss, and does not hang."""
    async with serve(Peer.upgrade) as server:
        session = aiohttp.ClientSession()
        opened = await soon(connect_aiohttp(Target(server.url), recorder, session=session))
        await soon(session.close())
        assert type(await recorder.ended()) is ConnectionLost
        assert opened.closed


async def test_a_shared_session_gets_our_errors_only(recorder: Recorder, unused_port: int) -> None:
    """Also with a session of the caller's own, nothing of aiohttp's errors is in ours."""
    async with aiohttp.ClientSession(headers={"x-extra": CANARY}) as session:
        target = Target(f"ws://127.0.0.1:{unused_port}/", KEY)
        with pytest.raises(ConnectError) as caught:
            await soon(connect_aiohttp(target, recorder, session=session))
        assert CANARY not in shown(caught.value)
        async with serve(answering(b"")) as server:
            with pytest.raises(ConnectError) as caught:
                await soon(
                    connect_aiohttp(replace(target, url=server.url), recorder, session=session)
                )
    assert CANARY not in shown(caught.value)
    assert not [error for error in chain(caught.value) if isinstance(error, aiohttp.ClientError)]
