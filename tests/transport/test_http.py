"""http.py: calls, their refusals, their repeats, and what they leave behind."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from types import TracebackType

import aiohttp
import pytest
import trustme
from aioresponses import aioresponses

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConcurrencyLimitError,
    ConfigError,
    ConflictError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    FishLiveError,
    ForkedProcessError,
    HostNotFoundError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    SlotTimeout,
    StallTimeout,
    StreamClosedError,
    TLSError,
    UpgradeError,
    WrongLoopError,
)
from fishlive.flow.governor import Governor, Slot
from fishlive.flow.retry import RetryPolicy, TokenBucket
from fishlive.limits import KIB, MIB
from fishlive.secret import Secret
from fishlive.transport.http import Call, Http, Timeouts, json_body
from fishlive.transport.upload import Multipart, Part
from tests.conftest import open_sockets, settle
from tests.transport.canned import Canned, CannedResponse
from tests.transport.conftest import client_tls, server_tls
from tests.transport.http_peer import (
    GET,
    KEEN,
    KEY,
    ONCE,
    POST,
    answer,
    chunked,
    client,
    read_request,
    replying,
    soon,
    talking,
)
from tests.transport.peer import Peer, serve

HOST = "http://fish.invalid"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """A client whose answers are canned."""
    opened = Http(base_url=HOST, key=Secret(KEY), retry=ONCE)
    yield opened
    await opened.aclose()


@pytest.fixture
def canned() -> Iterator[aioresponses]:
    """What it gets instead of a network."""
    with Canned() as service:
        yield service


# What comes back


@pytest.mark.parametrize(
    ("body", "said"), [(b'{"a": [1]}', {"a": [1]}), (b" null", None), (b"", None), (b" \n", None)]
)
async def test_json_comes_back_as_it_is(
    http: Http, canned: aioresponses, body: bytes, said: object
) -> None:
    """A body of JSON is its value; an empty one is None."""
    canned.get(f"{HOST}/v1/thing", body=body, response_class=CannedResponse)
    assert await http.json(GET) == said


async def test_a_whole_answer_keeps_its_head(http: Http, canned: aioresponses) -> None:
    """Status, headers in lower case, media type and trace id come with the bytes."""
    canned.post(
        f"{HOST}/v1/tts",
        status=201,
        body=b"ID3",
        headers={"Content-Type": "Audio/MPEG; x=1", "X-Fish-Trace-Id": "t-1"},
        response_class=CannedResponse,
    )
    got = await http.bytes(POST)
    assert (got.status, got.body, got.content_type, got.trace_id) == (
        201,
        b"ID3",
        "audio/mpeg",
        "t-1",
    )
    assert "ID3" not in repr(got)


async def test_a_json_answer_to_audio_is_visible(http: Http, canned: aioresponses) -> None:
    """A gateway's answer is no error here: its media type says what it is."""
    canned.post(f"{HOST}/v1/tts", payload={"audio_url": "x"}, response_class=CannedResponse)
    assert (await http.bytes(POST)).content_type == "application/json"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe\xff", b"[" * 100_000, b"<html>", b"nope"])
async def test_rubbish_instead_of_json_is_a_protocol_error(
    http: Http, canned: aioresponses, body: bytes
) -> None:
    """It is told without the answer itself, which may hold anything."""
    canned.get(f"{HOST}/v1/thing", body=body, response_class=CannedResponse)
    with pytest.raises(ProtocolError, match="not JSON") as caught:
        await http.json(GET)
    assert caught.value.attempts == 1
    assert caught.value.__context__ is None


async def test_endless_json_is_cut_off() -> None:
    """An answer of more than MAX_JSON_BYTES is not collected."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(end=False))
        while True:
            peer.write(b"100000\r\n" + bytes(MIB) + b"\r\n")
            await peer.writer.drain()

    async with talking(script) as (http, _):
        with pytest.raises(ProtocolError, match="more than"):
            await soon(http.json(GET))


# Refusals

REFUSALS = [
    (400, b'{"message": "Reference not found", "status": 400}', InvalidRequestError, "Reference"),
    (400, b"missing field `text`", InvalidRequestError, "missing field"),
    (401, b'{"message": "Invalid Token"}', AuthenticationError, "Invalid Token"),
    (402, b'{"message": "Insufficient API credit"}', InsufficientCreditsError, "Insufficient"),
    (403, b"", PermissionDeniedError, "Forbidden"),
    (404, b"{}", NotFoundError, "Not Found"),
    (405, b"", InvalidRequestError, "Method"),
    (409, b'{"detail": "newer version"}', ConflictError, "newer version"),
    (413, b"Payload too large", InvalidRequestError, "Payload"),
    (422, b'[{"loc": ["body", "n"], "msg": "too big"}]', InvalidRequestError, "body.n: too big"),
    (422, b'{"detail": [{"loc": ["n"], "msg": "no"}]}', InvalidRequestError, "n: no"),
    (429, b'{"message": "slow down"}', RateLimitError, "slow down"),
    (429, b"exceeded your current concurrency limit", ConcurrencyLimitError, "concurrency"),
    (500, b"<html><title>Oops</title></html>", ServerError, "Oops"),
    (503, b"\x1b[31m\x00red\xe2\x80\xae", ServerError, "red"),
    (520, b"", ServerError, "520"),
]


@pytest.mark.parametrize(("status", "body", "cls", "said"), REFUSALS)
async def test_a_refusal_is_the_error_of_its_status(
    http: Http, canned: aioresponses, status: int, body: bytes, cls: type[FishLiveError], said: str
) -> None:
    """Every form of body gives its sentence, printable, with status, trace id and attempts."""
    canned.get(
        f"{HOST}/v1/thing",
        status=status,
        body=body,
        headers={"x-fish-trace-id": "t-2"},
        response_class=CannedResponse,
    )
    with pytest.raises(cls, match=said) as caught:
        await http.json(GET)
    error = caught.value
    assert isinstance(error, APIStatusError)
    assert (error.status, error.trace_id, error.attempts) == (status, "t-2", 1)
    assert error.message.isprintable()


async def test_an_endless_refusal_is_capped() -> None:
    """No more is read of it than an error repeats."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(end=False).replace(b"200 OK", b"500 No"))
        while True:
            peer.write(b"400\r\n" + b"y" * KIB + b"\r\n")
            await peer.writer.drain()

    async with talking(script) as (http, _):
        with pytest.raises(ServerError) as caught:
            await soon(http.json(GET))
        assert len(str(caught.value)) < KIB


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 T", "308 P"])
async def test_redirects_are_not_followed(status: str) -> None:
    """The key goes nowhere else; the error says what to correct."""
    async with replying(answer(b"", status, "Location: http://127.0.0.1:9/")) as (http, seen):
        with pytest.raises(UpgradeError, match="correct base_url"):
            await soon(http.json(GET))
        assert len(seen) == 1


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_is_not_http_is_told(said: bytes) -> None:
    """Something else listens there."""
    async with replying(said) as (http, _):
        with pytest.raises(UpgradeError, match="does not speak HTTP"):
            await soon(http.json(GET))


async def test_an_endless_head_ends() -> None:
    """Headers have limits, in number and in size."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.write(b"X-Y: z\r\n" * 1000)
            await peer.writer.drain()

    async with talking(script) as (http, _):
        with pytest.raises(UpgradeError):
            await soon(http.json(GET))


async def test_a_connection_outlives_a_refusal() -> None:
    """A refusal that came whole costs no new handshake."""

    async def script(peer: Peer) -> None:
        while True:
            await read_request(peer)
            peer.write(answer(b'{"message": "no"}', "404 Not Found"))

    async with talking(script) as (http, server):
        for _ in range(3):
            with pytest.raises(NotFoundError):
                await soon(http.json(GET))
        assert len(server.peers) == 1


# What goes out


async def test_a_request_says_who_asks_for_what() -> None:
    """Key, agent, media type and length are on it; compression is not asked for."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(answer(b"{}"))

    async with talking(script) as (http, server):
        body, content_type = json_body({"a": "é"})
        call = Call(
            method="POST",
            path="/v1/x%2Fy",
            query=(("q", "a b&é"), ("q", "2")),
            headers={"model": "s1"},
            body=body,
            content_type=content_type,
        )
        await soon(http.json(call))
        peer = server.peers[0]
    assert peer.request == "POST /v1/x%2Fy?q=a+b%26%C3%A9&q=2 HTTP/1.1"
    sent = {"authorization", "accept-encoding", "content-type", "content-length", "model"}
    assert {name: peer.headers[name] for name in sent} == {
        "authorization": f"Bearer {KEY}",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "10",
        "model": "s1",
    }
    assert "aiohttp" not in peer.headers["user-agent"].lower()


async def test_cookies_are_not_kept() -> None:
    """What a service sets is not sent back."""
    seen = []

    async def script(peer: Peer) -> None:
        while True:
            await read_request(peer)
            seen.append(peer.headers.get("cookie"))
            peer.write(answer(b"{}", "200 OK", "Set-Cookie: a=b; Path=/"))

    async with talking(script) as (http, _):
        await soon(http.json(GET))
        await soon(http.json(GET))
    assert seen == [None, None]


async def test_no_proxy_is_used_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no say."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with replying(answer(b"{}")) as (http, _):
        assert await soon(http.json(GET)) == {}


@pytest.mark.parametrize("size", [0, 1, 256 * KIB, 256 * KIB + 1, 3 * MIB])
async def test_bytes_arrive_whole_whatever_their_size(size: int) -> None:
    """Large bodies of bytes go out in pieces, with their length."""
    body = os.urandom(size)
    async with replying(answer(b"{}")) as (http, bodies):
        await soon(http.json(Call(method="POST", path="/", body=body)))
    assert bodies == [body]


# Repeats


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_safe_call_is_repeated_after_what_may_pass(status: int) -> None:
    """The second attempt's answer is the call's."""
    async with replying(answer(b"", f"{status} X"), answer(b"{}"), retry=KEEN) as (http, seen):
        assert await soon(http.json(GET)) == {}
        assert len(seen) == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 501, 520])
async def test_a_refusal_for_good_is_not_repeated(status: int) -> None:
    """The same call would end the same way."""
    async with replying(answer(b"", f"{status} X"), retry=KEEN) as (http, seen):
        with pytest.raises(APIStatusError) as caught:
            await soon(http.json(GET))
        assert (len(seen), caught.value.attempts) == (1, 1)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_a_paid_call_that_may_have_run_is_not_repeated(status: int) -> None:
    """Nobody pays twice."""
    async with replying(answer(b"", f"{status} X"), retry=KEEN) as (http, seen):
        with pytest.raises(APIStatusError) as caught:
            await soon(http.json(POST))
        assert (len(seen), caught.value.attempts) == (1, 1)


@pytest.mark.parametrize(
    "refused",
    [answer(b"", "429 Too Many"), answer(b"", "503 Busy", "Retry-After: 0")],
    ids=["429", "503 with a time to come back"],
)
async def test_a_paid_call_that_was_not_begun_is_repeated(refused: bytes) -> None:
    """With the same body."""
    async with replying(refused, answer(b"{}"), retry=KEEN) as (http, seen):
        assert await soon(http.json(POST)) == {}
        assert seen == [b"{}", b"{}"]


async def test_a_paid_call_is_not_repeated_once_it_was_sent() -> None:
    """A reset after the request may hide an answer that was paid for."""
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await read_request(peer))
        peer.reset()

    async with talking(script, retry=KEEN) as (http, _):
        with pytest.raises(ConnectionLost) as caught:
            await soon(http.json(POST))
        assert (len(seen), caught.value.attempts) == (1, 1)


async def test_a_paid_call_is_repeated_while_nobody_answers(unused_port: int) -> None:
    """A connection refused carried nothing; the last error says how often it was tried."""
    http = client(unused_port, retry=KEEN)
    with pytest.raises(ConnectError) as caught:
        await soon(http.json(POST))
    await http.aclose()
    assert caught.value.attempts == 3
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_the_library_repeats_nothing_on_its_own(method: str) -> None:
    """A kept connection that dies under a request costs an attempt of ours, which is counted."""
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await read_request(peer))
        peer.write(answer(b"{}"))
        seen.append(await read_request(peer))
        peer.hang_up()

    async with talking(script) as (http, _):
        call = Call(method=method, path="/")
        await soon(http.json(call))
        with pytest.raises(ConnectionLost):
            await soon(http.json(call))
    assert len(seen) == 2


async def test_a_broken_answer_to_a_safe_call_is_read_again() -> None:
    """Half an answer is none."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
    count = 0

    async def script(peer: Peer) -> None:
        nonlocal count
        await read_request(peer)
        count += 1
        peer.write(half if count == 1 else answer(b"[]"))
        peer.hang_up()

    async with talking(script, retry=KEEN) as (http, _):
        assert await soon(http.json(GET)) == []


@pytest.mark.parametrize("said", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_that_is_too_long_is_told_and_not_waited(said: str) -> None:
    """The caller learns how long the service asks to wait, now."""
    refused = answer(b"", "429 X", f"Retry-After: {said}")
    async with replying(refused, retry=KEEN) as (http, seen):
        with pytest.raises(RateLimitError) as caught:
            await soon(http.json(GET))
    assert len(seen) == 1
    assert (caught.value.retry_after_s or 0) >= 3600


@pytest.mark.parametrize("said", ["-1", "1e9", "soon", "٣", "0x10", "nan", " ", "1;2"])
async def test_a_garbled_wait_is_ignored(said: str) -> None:
    """The call goes by our own delays."""
    refused = f"HTTP/1.1 429 X\r\nContent-Length: 0\r\nRetry-After: {said}\r\n\r\n".encode()
    async with replying(refused, answer(b"{}"), retry=KEEN) as (http, _):
        assert await soon(http.json(GET)) == {}


async def test_an_empty_bucket_ends_repeats_for_all_who_share_it() -> None:
    """After enough failures of one client the other one does not try again either."""
    bucket = TokenBucket()
    async with replying(answer(b"", "500 X"), retry=KEEN, bucket=bucket) as (http, seen):
        for _ in range(3):
            with pytest.raises(ServerError):
                await soon(http.json(GET))
        tried = len(seen)
        with pytest.raises(ServerError) as caught:
            await soon(http.json(GET))
        assert (len(seen) - tried, caught.value.attempts) == (1, 1)


async def test_a_success_gives_a_little_back() -> None:
    """Ten of them pay for a failure."""
    bucket = TokenBucket()
    bucket.fail()
    before = bucket.tokens
    async with replying(answer(b"{}"), bucket=bucket) as (http, _):
        await soon(http.json(GET))
    assert before < bucket.tokens < before + 1


async def test_a_stream_that_has_begun_is_not_repeated() -> None:
    """Its listener has heard the beginning; the error says which attempt it was."""
    refused = answer(b"", "503 X", "Retry-After: 0")
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    count = 0

    async def script(peer: Peer) -> None:
        nonlocal count
        await read_request(peer)
        count += 1
        peer.write(refused if count == 1 else broken)
        if count > 1:
            peer.hang_up()
        else:
            await script(peer)

    async with talking(script, retry=KEEN) as (http, _):
        with pytest.raises(ConnectionLost) as caught:
            async with http.stream(POST) as stream:
                assert await soon(stream.piece()) == b"abc"
                await soon(stream.piece())
    assert (count, caught.value.attempts) == (2, 2)


async def test_an_upload_that_can_be_read_once_is_sent_once() -> None:
    """A refusal after it leaves nothing to send again."""

    async def source() -> AsyncIterator[bytes]:
        yield b"x"

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.reader.readuntil(b"0\r\n\r\n")
        peer.write(answer(b"", "429 X"))

    async with talking(script, retry=KEEN) as (http, server):
        form = Multipart([Part.file("audio", source())])
        with pytest.raises(RateLimitError) as caught:
            await soon(http.json(Call(method="POST", path="/", body=form)))
        assert (len(server.peers), caught.value.attempts) == (1, 1)


async def test_an_upload_that_can_be_read_again_is_sent_again() -> None:
    """Its second attempt carries the same bytes."""
    async with replying(answer(b"", "429 X"), answer(b"{}"), retry=KEEN) as (http, bodies):
        form = Multipart([Part.file("audio", b"sound")])
        await soon(http.json(Call(method="POST", path="/", body=form)))
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


# Deadlines

STILL = Timeouts(connect_s=0.02, first_byte_s=0.02, between_s=0.02)


async def test_no_answer_is_a_stall_of_the_first_byte() -> None:
    """The service took the request and said nothing."""
    async with replying(b"", timeouts=STILL) as (http, _):
        with pytest.raises(StallTimeout) as caught:
            await soon(http.json(GET))
    assert caught.value.phase == "first_byte"
    assert caught.value.attempts == 1


async def test_a_dripping_head_is_a_stall_of_the_first_byte() -> None:
    """A byte now and then does not buy time."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            peer.write(bytes([byte]))
            await asyncio.sleep(0.001)

    async with talking(script, timeouts=STILL) as (http, _):
        with pytest.raises(StallTimeout) as caught:
            await soon(http.json(GET))
    assert caught.value.phase == "first_byte"


async def test_no_answer_to_an_upload_is_a_stall_of_the_first_byte() -> None:
    """The clock of the answer starts when all was sent."""
    async with replying(b"", timeouts=STILL) as (http, bodies):
        form = Multipart([Part.file("audio", b"sound")])
        with pytest.raises(StallTimeout) as caught:
            await soon(http.json(Call(method="POST", path="/", body=form)))
    assert len(bodies) == 1
    assert caught.value.phase == "first_byte"


async def test_silence_is_noticed_beside_an_upload_that_goes_on() -> None:
    """An answer that has begun has a clock of its own."""
    go = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await go.wait()
        yield b"b"

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(chunked(b"early", end=False))
        await peer.reader.readuntil(b"b")
        await asyncio.Event().wait()

    form = Multipart([Part.file("audio", source())])
    call = Call(method="POST", path="/", body=form)
    async with talking(script, timeouts=STILL) as (http, _), http.stream(call) as stream:
        assert await soon(stream.piece()) == b"early"
        asyncio.get_running_loop().call_soon(go.set)
        with pytest.raises(StallTimeout) as caught:
            await soon(stream.piece())
        assert caught.value.phase == "body"


async def test_silence_in_the_middle_is_a_stall_of_the_body() -> None:
    """What came before it is not what was asked for."""
    async with replying(chunked(b"abc", end=False), timeouts=STILL) as (http, _):
        with pytest.raises(StallTimeout) as caught:
            await soon(http.bytes(GET))
    assert caught.value.phase == "body"


async def test_a_service_that_does_not_read_is_a_stall_of_sending() -> None:
    """An upload that does not move ends too."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
        await asyncio.Event().wait()

    async with talking(script, timeouts=STILL) as (http, _):
        form = Multipart([Part.file("audio", bytes(64 * MIB))])
        with pytest.raises(StallTimeout) as caught:
            await soon(http.json(Call(method="POST", path="/", body=form)))
    assert caught.value.phase == "send"


async def test_silence_instead_of_tls_is_a_connect_timeout() -> None:
    """TCP stands, and nobody answers the greeting."""
    async with serve(lambda peer: peer.read_eof()) as server:
        url = f"https://127.0.0.1:{server.port}"
        http = Http(base_url=url, key=Secret(KEY), timeouts=STILL, retry=ONCE)
        with pytest.raises(ConnectTimeout):
            await soon(http.json(GET))
        await http.aclose()


async def test_the_whole_call_has_a_deadline_of_its_own() -> None:
    """All attempts and their pauses are in it."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(end=False))
        while True:
            peer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.001)

    async with talking(script, timeouts=Timeouts(total_s=0.05), retry=KEEN) as (http, _):
        with pytest.raises(StallTimeout) as caught:
            await soon(http.bytes(GET))
    assert caught.value.phase == "total"


async def test_a_pause_that_ends_after_the_deadline_is_not_begun() -> None:
    """The refusal is told at once instead."""
    refused = answer(b"", "429 X", "Retry-After: 5")
    facts = {"timeouts": Timeouts(total_s=1), "retry": RetryPolicy(total_s=60)}
    async with replying(refused, **facts) as (http, seen):
        with pytest.raises(RateLimitError):
            await soon(http.json(GET))
        assert len(seen) == 1


async def test_a_slow_source_is_not_the_services_fault() -> None:
    """However long the caller takes to make its bytes, nothing times out."""
    go = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await go.wait()
        yield b"b"

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.reader.readuntil(b"0\r\n\r\n")
        peer.write(answer(b"{}"))

    async with talking(script, timeouts=STILL) as (http, _):
        form = Multipart([Part.file("audio", source())])
        call = asyncio.ensure_future(http.json(Call(method="POST", path="/", body=form)))
        asyncio.get_running_loop().call_later(0.1, go.set)
        assert await soon(call) == {}


# Slots


async def test_a_call_holds_its_slot_to_the_end_of_its_answer() -> None:
    """And gives it back then, also when it is left early."""
    governor = Governor(1)
    call = Call(method="POST", path="/", slot=True)
    async with replying(chunked(b"abc", end=False), governor=governor) as (http, _):
        async with http.stream(call) as stream:
            await soon(stream.piece())
            assert governor.running == 1
        assert governor.running == 0


async def test_a_call_that_takes_no_slot_does_not_wait() -> None:
    """Management is not speech."""
    governor = Governor(1)
    held = await governor.slot()
    async with replying(answer(b"{}"), governor=governor) as (http, _):
        assert await soon(http.json(GET)) == {}
    held.release()


async def test_a_wait_for_a_slot_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither against the whole call, nor against the time for repeats."""
    governor = Governor(1)
    taken = governor.slot

    async def late(**_facts: object) -> Slot:
        slot = await taken()
        slot.waited_s = 50.0
        await asyncio.sleep(0.02)
        return slot

    monkeypatch.setattr(governor, "slot", late)
    facts = {
        "governor": governor,
        "timeouts": Timeouts(total_s=0.01),
        "retry": RetryPolicy(attempts=2, total_s=0.01, base_s=0.0, throttle_base_s=0.0),
    }
    async with replying(answer(b"", "429 X"), answer(b"{}"), **facts) as (http, _):
        assert await soon(http.json(Call(method="POST", path="/", slot=True))) == {}


async def test_every_answer_teaches_the_governor() -> None:
    """Its header names the account's limit."""
    governor = Governor()
    told = answer(b"{}", "200 OK", "ratelimit-limit-concurrency: 5")
    async with replying(told, governor=governor) as (http, _):
        await soon(http.json(GET))
    assert governor.limit == 5


async def test_a_refusal_gives_its_slot_back_before_the_next_attempt() -> None:
    """With one slot in all it could not be tried again otherwise."""
    governor = Governor(1)
    call = Call(method="POST", path="/", slot=True)
    facts = {"governor": governor, "retry": KEEN}
    async with replying(answer(b"", "429 X"), answer(b"{}"), **facts) as (http, _):
        assert await soon(http.json(call)) == {}
    assert governor.running == 0
    assert governor.stats().refusals == 1


async def test_a_slot_that_does_not_come_is_not_waited_for_again() -> None:
    """The wait is the caller's limit, and no outage of the service."""
    governor = Governor(1, batch_wait_s=0.01)
    bucket = TokenBucket()
    held = await governor.slot()
    http = client(9, governor=governor, bucket=bucket, retry=KEEN)
    with pytest.raises(SlotTimeout):
        await soon(http.json(Call(method="POST", path="/", slot=True)))
    assert (governor.stats().timeouts, bucket.tokens) == (1, TokenBucket().tokens)
    held.release()
    await http.aclose()


# Failures of the network


async def test_a_host_that_does_not_exist_is_told_once() -> None:
    """It will not exist a second later either."""
    http = Http(base_url="http://no-such-host.invalid", key=Secret(KEY), retry=KEEN)
    with pytest.raises(HostNotFoundError) as caught:
        await soon(http.json(GET))
    await http.aclose()
    assert caught.value.attempts == 1


async def test_a_context_of_ones_own_verifies(authority: trustme.CA) -> None:
    """A private authority is trusted by those who say so."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(answer(b"{}"))

    async with serve(script, tls=server_tls(authority, "127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}"
        http = Http(base_url=url, key=Secret(KEY), tls=client_tls(authority))
        assert await soon(http.json(GET)) == {}
        await http.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1", "elsewhere.invalid"])
async def test_a_wrong_certificate_is_an_error_for_good(authority: trustme.CA, host: str) -> None:
    """Unknown authority or wrong name: no byte of the request is sent, and nothing is repeated."""
    trust = None if host == "127.0.0.1" else client_tls(authority)
    async with serve(read_request_quietly, tls=server_tls(authority, host)) as server:
        url = f"https://127.0.0.1:{server.port}"
        http = Http(base_url=url, key=Secret(KEY), tls=trust, retry=KEEN)
        with pytest.raises(TLSError) as caught:
            await soon(http.json(GET))
        await http.aclose()
        assert caught.value.attempts == 1
        assert not server.peers or not server.peers[0].request


async def read_request_quietly(peer: Peer) -> None:
    """Read a request, if one comes."""
    await peer.read_eof()


async def test_a_handshake_cut_short_is_tried_again() -> None:
    """Who hangs up in the middle of TLS may have been restarting."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.hang_up()

    async with serve(script) as server:
        http = Http(base_url=f"https://127.0.0.1:{server.port}", key=Secret(KEY), retry=KEEN)
        with pytest.raises(ConnectError) as caught:
            await soon(http.json(POST))
        await http.aclose()
        assert (caught.value.attempts, len(server.peers)) == (3, 3)


# Secrets


def shown(error: BaseException | None, known: set[int] | None = None) -> str:
    """Return everything that a tool could show of an error: texts, facts, locals, all the way."""
    known = set() if known is None else known
    if error is None or id(error) in known:
        return ""
    known.add(id(error))
    facts = f"{error!r} {error} {vars(error) if hasattr(error, '__dict__') else ''}"
    rest = shown(error.__cause__, known) + shown(error.__context__, known)
    return facts + _locals(error.__traceback__) + rest


def _locals(traceback: TracebackType | None) -> str:
    found = []
    while traceback is not None:
        if __file__ != traceback.tb_frame.f_code.co_filename:
            found.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    return " ".join(found)


def said_back(request: bytes) -> bytes:
    """Return a request as the answer to itself."""
    return answer(request, "200 OK")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"rubbish\r\n\r\n",
        chunked(b"abc", end=False),
        answer(b"{"),
        answer(b"", "401 No"),
        answer(b"", "302 No", "Location: /"),
        answer(b"x", "200 OK", "Content-Encoding: br"),
    ],
)
async def test_no_failure_shows_the_key(said: bytes) -> None:
    """Not in its text, its facts, its causes, nor in the variables of any frame."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(said)
        peer.hang_up()

    async with talking(script) as (http, _):
        with pytest.raises(FishLiveError) as caught:
            await soon(http.json(GET))
    assert KEY not in shown(caught.value)
    assert KEY not in repr(vars(http))


async def test_no_timeout_around_a_call_shows_the_key() -> None:
    """Cancelled in the library's own code, it leaves none of its frames behind."""
    async with replying(b"") as (http, seen):
        call = asyncio.ensure_future(http.json(GET))
        while not seen:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert KEY not in shown(caught.value)


async def test_no_refused_connection_shows_the_key(unused_port: int) -> None:
    """Not in the network's own error beneath it either."""
    http = client(unused_port)
    with pytest.raises(ConnectError) as caught:
        await soon(http.json(GET))
    await http.aclose()
    assert KEY not in shown(caught.value)


@pytest.mark.parametrize(
    "headers", [{"model": "a\r\nX: y"}, {"a\r\nb": "c"}, {"model": "a\0"}, {"m": "é"}, {"": "x"}]
)
def test_headers_that_would_break_the_request_are_refused(headers: dict[str, str]) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError) as caught:
        Call(method="GET", path="/", headers=headers)
    assert caught.value.argument == "headers"


# Cancelling, closing, and other places


async def test_cancelling_leaves_nothing_whenever_it_comes() -> None:
    """No socket, no task, no slot, after any number of turns of the loop."""
    before = open_sockets()
    governor = Governor(2)

    async def script(peer: Peer) -> None:
        while True:
            await read_request(peer)
            peer.write(chunked(b"abc", end=False))
            await asyncio.sleep(0)
            peer.write(b"0\r\n\r\n")

    call = Call(method="POST", path="/", body=b"x", slot=True)
    async with talking(script, governor=governor) as (http, _):
        for turns in range(80):
            task = asyncio.ensure_future(http.bytes(call))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert governor.running == 0
    await settle(50)
    assert open_sockets() <= before


async def test_cancelling_closes_the_connection_and_the_source() -> None:
    """The service sees the end, and the caller's generator too."""
    sending, closed = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"x"
            sending.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.read_eof()
        ended.set()

    async with talking(script) as (http, _):
        form = Multipart([Part.file("audio", source())])
        call = asyncio.ensure_future(http.json(Call(method="POST", path="/", body=form)))
        await soon(sending.wait())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await soon(ended.wait())
        await soon(closed.wait())


async def test_what_a_source_raises_comes_out_as_it_is() -> None:
    """The same object; the service gets no whole request."""
    failure = KeyError("mine")

    async def source() -> AsyncIterator[bytes]:
        yield b"x"
        raise failure

    async with talking(lambda peer: peer.read_eof(), retry=KEEN) as (http, server):
        form = Multipart([Part.file("audio", source())])
        with pytest.raises(KeyError) as caught:
            await soon(http.json(Call(method="POST", path="/", body=form)))
        assert caught.value is failure
        assert len(server.peers) == 1


async def test_what_a_source_raises_beside_an_early_answer_comes_out_too() -> None:
    """It is the reason why the answer ends."""
    go = asyncio.Event()
    failure = KeyError("mine")

    async def source() -> AsyncIterator[bytes]:
        yield b"x"
        await go.wait()
        raise failure

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(chunked(b"early", end=False))
        await peer.read_eof()

    form = Multipart([Part.file("audio", source())])
    call = Call(method="POST", path="/", body=form)
    async with talking(script) as (http, _), http.stream(call) as stream:
        assert await soon(stream.piece()) == b"early"
        go.set()
        with pytest.raises(KeyError) as caught:
            await soon(stream.piece())
        assert caught.value is failure


async def test_a_refusal_in_the_middle_of_an_upload_is_that_refusal() -> None:
    """Not the broken pipe that comes with it."""

    async def source() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(64 * KIB)

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"Payload too large", "413 Too Large", "Connection: close"))
        await peer.writer.drain()
        await peer.reader.read(MIB)
        peer.hang_up()

    async with talking(script) as (http, _):
        form = Multipart([Part.file("audio", source())])
        with pytest.raises(InvalidRequestError, match="Payload too large"):
            await soon(http.json(Call(method="POST", path="/", body=form)))


async def test_closing_leaves_no_socket(authority: trustme.CA) -> None:
    """Not over TLS either."""
    before = open_sockets()

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(answer(b"{}"))
        await peer.read_eof()

    async with serve(script, tls=server_tls(authority, "127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}"
        http = Http(base_url=url, key=Secret(KEY), tls=client_tls(authority))
        await soon(http.json(GET))
        await http.aclose()
        await http.aclose()
    await settle(50)
    assert open_sockets() <= before


async def test_a_closed_client_makes_no_calls(unused_port: int) -> None:
    """It says that it is closed."""
    http = client(unused_port)
    await http.aclose()
    with pytest.raises(StreamClosedError):
        await http.json(GET)


async def test_closing_ends_what_still_comes() -> None:
    """Who reads then learns why."""
    async with replying(chunked(b"abc", end=False)) as (http, _), http.stream(GET) as stream:
        await soon(stream.piece())
        reading = asyncio.ensure_future(stream.piece())
        await settle()
        await http.aclose()
        with pytest.raises(StreamClosedError):
            await soon(reading)


async def test_closing_ends_what_is_still_asked() -> None:
    """Also calls that would be repeated otherwise."""
    async with replying(b"", retry=KEEN) as (http, seen):
        asking = asyncio.ensure_future(http.json(GET))
        while not seen:
            await asyncio.sleep(0)
        await http.aclose()
        with pytest.raises(FishLiveError):
            await soon(asking)


async def test_another_loop_is_told(unused_port: int) -> None:
    """The connections belong to the loop of the first call."""
    http = client(unused_port)
    with pytest.raises(ConnectError):
        await http.json(GET)

    async def elsewhere() -> None:
        with pytest.raises(WrongLoopError):
            await http.json(GET)

    await asyncio.to_thread(asyncio.run, elsewhere())
    await http.aclose()


def test_closing_after_its_loop_has_ended_is_quiet() -> None:
    """A session kept beyond ``asyncio.run`` can still be closed in the next one."""
    http = client(9)

    async def use() -> None:
        with pytest.raises(ConnectError):
            await http.json(GET)

    asyncio.run(use())
    asyncio.run(http.aclose())


async def test_a_child_process_is_told(unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are not shared across a fork."""
    http = client(unused_port)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ForkedProcessError):
        await http.json(GET)
    monkeypatch.undo()
    await http.aclose()


async def test_a_client_is_lazy() -> None:
    """Until the first call there is no connection pool, so that it can be made outside a loop."""
    made = await asyncio.to_thread(client, 9)
    await made.aclose()


async def test_own_sessions_are_checked_before_use() -> None:
    """A closed one, or something else, is told before anything is sent."""
    session = aiohttp.ClientSession()
    await session.close()
    with pytest.raises(StreamClosedError):
        await client(9, session=session).json(GET)
    with pytest.raises(ConfigError) as caught:
        await client(9, session=object()).json(GET)
    assert caught.value.argument == "http_session"


def test_the_system_decides_whom_to_trust() -> None:
    """Without a context of one's own certificates are verified."""
    http = Http(base_url="https://fish.invalid", key=Secret(KEY))
    context = http._verification()
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
