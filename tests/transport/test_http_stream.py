"""http_stream.py: answers that still come, at the pace of whoever listens."""

from __future__ import annotations

import asyncio
import gzip

import aiohttp
import pytest

from fishlive.errors import (
    ConnectionLost,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    StallTimeout,
    StreamClosedError,
)
from fishlive.limits import KIB, MIB
from fishlive.transport.http import Timeouts
from fishlive.transport.http_stream import left_over
from tests.transport.http_peer import (
    GET,
    POST,
    answer,
    chunked,
    read_request,
    replying,
    soon,
    standstill,
    talking,
    until,
)
from tests.transport.peer import Peer

IN_FLIGHT_BYTES = 24 * MIB
"""What a connection over loopback holds at most: both kernel buffers and ours."""


async def test_the_first_chunk_is_there_while_the_service_still_works() -> None:
    """A service that waits for us to have it gets on."""
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(b"first", end=False))
        await heard.wait()
        peer.write(b"4\r\nlast\r\n0\r\n\r\n")

    async with talking(script) as (http, _), http.stream(POST) as stream:
        assert await soon(stream.piece()) == b"first"
        heard.set()
        assert [piece async for piece in stream] == [b"last"]
        assert stream.received_bytes == 9


async def test_the_head_is_there_before_any_chunk() -> None:
    """Status, headers and trace id can be looked at first."""
    head = b"HTTP/1.1 201 Made\r\nContent-Type: audio/pcm\r\nX-Generation-Id: g\r\n"
    async with (
        replying(head + b"Content-Length: 4\r\n\r\n") as (http, _),
        http.stream(POST) as stream,
    ):
        assert (stream.status, stream.content_type, stream.trace_id) == (201, "audio/pcm", "g")


async def test_a_listener_who_pauses_stops_the_service() -> None:
    """Of 200 MB only what fits the buffers on the way is taken; the rest comes with listening."""
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await read_request(peer)
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MIB))
        for _ in range(200 * 16):
            peer.write(bytes(64 * KIB))
            await peer.writer.drain()
            written += 64 * KIB

    async with talking(script) as (http, _), http.stream(POST) as stream:
        await soon(stream.piece())
        assert await standstill(lambda: written) < IN_FLIGHT_BYTES
        paused_at = written
        while written == paused_at:
            await soon(stream.piece())


async def test_leaving_early_closes_the_connection_at_once() -> None:
    """The service sees the end while the client goes on."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(b"abc", end=False))
        await peer.read_eof()
        ended.set()

    async with talking(script) as (http, _):
        async with http.stream(POST) as stream:
            async for _piece in stream:
                break
        await soon(ended.wait())
        with pytest.raises(StreamClosedError):
            await stream.piece()


async def test_leaving_with_an_error_closes_too_and_lets_it_pass() -> None:
    """What the caller raises is the caller's."""
    async with replying(chunked(b"abc", end=False)) as (http, _):
        with pytest.raises(KeyError):
            async with http.stream(POST):
                raise KeyError


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    """Also when the caller stopped right before the end was told."""

    async def script(peer: Peer) -> None:
        while True:
            await read_request(peer)
            peer.write(answer(b"whole"))

    async with talking(script) as (http, server):
        for _ in range(3):
            async with http.stream(POST) as stream:
                assert [piece async for piece in stream] == [b"whole"]
                assert await stream.piece() == b""
        assert len(server.peers) == 1


async def test_what_came_before_a_failure_is_heard_first() -> None:
    """Nothing received is lost, however late the listener is."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(b"HTTP/1.1 200 OK\r\nx-fish-trace-id: t\r\nContent-Length: 100000\r\n\r\n")
        peer.write(b"a" * 1000)
        await peer.writer.drain()
        peer.hang_up()

    async with talking(script) as (http, _), http.stream(POST) as stream:
        await until(lambda: stream._response.content.exception() is not None)
        assert await soon(stream.piece()) == b"a" * 1000
        with pytest.raises(ConnectionLost) as caught:
            await soon(stream.piece())
        assert (caught.value.trace_id, caught.value.attempts) == ("t", 1)
        with pytest.raises(StreamClosedError):
            await stream.piece()


async def test_a_chunked_answer_without_its_end_is_cut_off() -> None:
    """A missing last chunk is no success."""

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(b"abc", end=False))
        peer.hang_up()

    async with talking(script) as (http, _):
        with pytest.raises(ConnectionLost):
            await soon(http.bytes(POST))


async def test_silence_ends_the_stream_for_good() -> None:
    """The error is told once; what comes later is not waited for."""
    timeouts = Timeouts(between_s=0.02)
    async with (
        replying(chunked(b"abc", end=False), timeouts=timeouts) as (http, _),
        http.stream(POST) as stream,
    ):
        assert await soon(stream.piece()) == b"abc"
        with pytest.raises(StallTimeout) as caught:
            await soon(stream.piece())
        assert (caught.value.phase, caught.value.attempts) == ("body", 1)
        with pytest.raises(StreamClosedError):
            await stream.piece()


async def test_a_listener_may_take_its_time() -> None:
    """The pause between two chunks is the service's only while somebody waits for it."""
    timeouts = Timeouts(between_s=0.02)
    async with (
        replying(answer(b"abc"), timeouts=timeouts) as (http, _),
        http.stream(POST) as stream,
    ):
        await asyncio.sleep(0.05)
        assert await soon(stream.piece()) == b"abc"


async def test_a_cancelled_wait_for_a_piece_loses_none() -> None:
    """The next one begins where the last one ended."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(b"abc", end=False))
        await go.wait()
        peer.write(b"3\r\ndef\r\n0\r\n\r\n")

    async with talking(script) as (http, _), http.stream(POST) as stream:
        assert await soon(stream.piece()) == b"abc"
        waiting = asyncio.ensure_future(stream.piece())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        assert [piece async for piece in stream] == [b"def"]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP, gzip", "x-own"])
async def test_compressed_answers_are_refused(encoding: str, *, shared: bool) -> None:
    """Nobody asked for them, and 10 kB of them can be a gigabyte."""
    bomb = answer(gzip.compress(bytes(MIB)), "200 OK", f"Content-Encoding: {encoding}")
    async with (
        aiohttp.ClientSession() as session,
        replying(bomb, session=session if shared else None) as (http, _),
    ):
        with pytest.raises(ProtocolError, match="compressed"):
            await soon(http.json(GET))


@pytest.mark.parametrize("shared", [False, True])
async def test_a_compressed_refusal_speaks_by_its_status(*, shared: bool) -> None:
    """Its body is not unpacked, and not shown as rubbish."""
    body = gzip.compress(b'{"message": "x"}' * 100_000)
    refused = answer(body, "400 Bad Request", "Content-Encoding: gzip")
    async with (
        aiohttp.ClientSession() as session,
        replying(refused, session=session if shared else None) as (http, _),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            await soon(http.json(GET))
    assert caught.value.message == "Bad Request"


async def test_a_refusal_whose_body_does_not_come_is_told_by_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The status is the message."""
    monkeypatch.setattr("fishlive.transport.http_stream.ERROR_BODY_S", 0.02)
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nno"
    async with replying(head) as (http, _):
        with pytest.raises(NotFoundError, match="no"):
            await soon(http.json(GET))


async def test_the_library_still_gives_out_what_it_holds() -> None:
    """What left_over takes from its buffer is there: a new version of aiohttp may change it."""
    protocol = aiohttp.client_proto.ResponseHandler(asyncio.get_running_loop())
    content = aiohttp.StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())
    content.feed_data(b"held")
    content.set_exception(ConnectionError())
    assert left_over(content) == b"held"
    assert left_over(content) == b""
