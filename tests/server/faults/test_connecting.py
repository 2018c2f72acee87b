"""Before there is a stream: the port, TCP, TLS, and what a request is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tests.server.faults.raw import ACCEPT, PATHS, TEXT, connected, dialled, served
from tests.server.talk import LIVE

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""How a TLS handshake begins."""


async def test_refuse() -> None:
    """The port is really closed, open sockets live on, and healing opens the same port."""
    async with served() as server, dialled(server) as open_before:
        port = server.port
        server.play("refuse@connect")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await open_before.say()
        assert (await open_before.events())[-1]["reason"] == "stop"

        server.heal()
        await _opened(port)
        assert server.port == port
        assert server.played["refuse@connect"] == 1


async def test_refuse_from_the_beginning() -> None:
    """A server may start closed, keeps its port, and can be closed while it is."""
    async with served("refuse@connect") as server:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_refuse_for_a_while() -> None:
    """With seconds, the port opens by itself."""
    async with served("refuse:0.01@connect") as server:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        await _opened(server.port)


async def _opened(port: int) -> None:
    for _ in range(3000):
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.transport.abort()
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never opened")


@pytest.mark.parametrize("kind", ["rst", "fin"])
async def test_accepted_and_ended(kind: str) -> None:
    """TCP is accepted, and ends before anything was said; the next connection is served."""
    async with served(f"{kind}@connect") as server:
        async with connected(server) as raw:
            assert await raw.end() == (kind, b"")
        async with dialled(server):
            assert server.played == {f"{kind}@connect": 1}


@pytest.mark.parametrize("spec", ["hang@connect", "hang@upgrade"])
@pytest.mark.parametrize("path", PATHS)
async def test_hang(spec: str, path: str) -> None:
    """TCP is accepted and stays, and not a byte comes."""
    async with served(spec) as server, connected(server) as raw:
        await raw.ask(path)
        while not server.played[spec]:
            await asyncio.sleep(0)
        assert await raw.nothing(server)
        server.heal()  # which drops what it kept
        assert (await raw.end())[1] == b""


@pytest.mark.parametrize("kind", ["rst", "fin"])
@pytest.mark.parametrize("path", PATHS)
async def test_ended_for_an_answer(kind: str, path: str) -> None:
    """The request arrives, and TCP ends instead of a 101."""
    async with served(f"{kind}@upgrade") as server, connected(server) as raw:
        await raw.ask(path)
        assert await raw.end() == (kind, b"")


@pytest.mark.parametrize(
    ("spec", "end", "seen"),
    [("rst@tls", "rst", b""), ("fin@tls", "fin", b""), ("garbage@tls", None, b"\xff\xfe")],
)
async def test_tls(spec: str, end: str | None, seen: bytes) -> None:
    """The first bytes of a handshake meet it; plain requests do not."""
    async with served(spec) as server:
        async with dialled(server):
            assert server.played == {}
        async with connected(server) as raw:
            raw.writer.write(HELLO)
            if end is None:
                assert (await raw.reader.read(100)).startswith(seen)
            else:
                assert await raw.end() == (end, seen)


async def test_tls_hang() -> None:
    """A handshake is not answered."""
    async with served("hang@tls") as server, connected(server) as raw:
        raw.writer.write(HELLO)
        while not server.played["hang@tls"]:
            await asyncio.sleep(0)
        assert await raw.nothing(server)


STATUSES = (
    200,
    301,
    302,
    400,
    401,
    402,
    403,
    404,
    408,
    422,
    425,
    426,
    429,
    500,
    502,
    503,
    504,
    520,
)


async def test_status() -> None:
    """Any status comes instead of the 101, with the service's kind of body; once."""
    async with served() as server:
        for status in STATUSES:
            server.play(f"status:{status}@upgrade")
            async with connected(server) as raw:
                await raw.ask(LIVE)
                head = await raw.head()
                assert head.startswith(f"HTTP/1.1 {status} ")
                size = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
                assert json.loads(await raw.reader.readexactly(size))["status"] == status
        async with dialled(server):
            pass


async def test_status_with_headers_and_body() -> None:
    """Headers and body come as they were given, whatever they are."""
    spec = (
        "status:502@upgrade,body=<html>Bad%2C bad gateway</html>,header=Content-Type:text/html"
        ",header=Retry-After:Wed%2C 21 Oct 2015 07:28:00 GMT"
    )
    async with served(spec) as server, connected(server) as raw:
        await raw.ask(LIVE)
        head = await raw.head()
        assert "\r\nContent-Type: text/html\r\n" in head
        assert "\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n" in head
        assert await raw.reader.readexactly(29) == b"<html>Bad, bad gateway</html>"


async def test_status_of_a_call() -> None:
    """HTTP calls are refused, too; one that is meant for another endpoint is not."""
    async with served("status:503@upgrade,on=timed", "status:429@upgrade,on=rest") as server:
        async with connected(server) as raw:
            await raw.post()
            assert (await raw.head()).startswith("HTTP/1.1 429 ")
        async with dialled(server):
            assert server.played == {"status:429@upgrade,on=rest": 1}


@pytest.mark.parametrize("path", PATHS)
async def test_bad_accept(path: str) -> None:
    """The 101 proves that somebody else answered."""
    async with served("bad-accept@upgrade") as server:
        for wrong in (True, False):
            async with connected(server) as raw:
                await raw.ask(path)
                head = await raw.head()
                assert head.startswith("HTTP/1.1 101 ")
                assert (f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n" not in head) is wrong


async def test_unasked_extension() -> None:
    """The 101 names a compression that was not asked for."""
    async with served("unasked-extension@upgrade") as server, connected(server) as raw:
        await raw.ask(LIVE)
        assert "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" in await raw.head()


async def test_header_flood() -> None:
    """The head goes on and on, and has no end."""
    async with served("header-flood:1000000@upgrade") as server, connected(server) as raw:
        await raw.ask(LIVE)
        seen = await raw.reader.readexactly(1_000_000)
        assert seen.startswith(b"HTTP/1.1 101 ")
        assert b"\r\n\r\n" not in seen


@pytest.mark.parametrize("path", PATHS)
async def test_garbage_behind_the_101(path: str) -> None:
    """A good 101, then bytes that are no frame."""
    async with served("garbage@upgrade") as server, dialled(server, path) as raw:
        assert await raw.reader.readexactly(2) == b"\xff\xfe"


async def test_garbage_of_a_call() -> None:
    """A good head, then bytes that are no chunk."""
    async with served("garbage@upgrade") as server, connected(server) as raw:
        await raw.post()
        assert "Transfer-Encoding: chunked" in await raw.head()
        with pytest.raises(ValueError, match="invalid literal"):
            await raw.chunk()


async def test_close_behind_the_101() -> None:
    """The service accepts, and rejects at once."""
    spec = "close:1008@upgrade,reason=Invalid Token"
    async with served(spec) as server, dialled(server) as raw:
        frame = await raw.next()
        assert (frame.opcode, frame.payload) == (8, b"\x03\xf0Invalid Token")
        assert await raw.end() == ("fin", b"")


async def test_drip() -> None:
    """The head comes a few bytes at a time, and whole."""
    async with served("drip:2000@upgrade") as server, connected(server) as raw:
        await raw.ask(LIVE)
        first = await raw.reader.read(65_536)
        assert b"HTTP/1.1 101 Switching Protocols".startswith(first)
        assert "websocket" in await raw.head()


@pytest.mark.parametrize("spec", ["delay:0.02@upgrade", "round-trip:0.02@connect"])
async def test_late(spec: str) -> None:
    """An answer never comes before its time, and then as usual."""
    async with served(spec) as server, connected(server) as raw:
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        await raw.ask(LIVE)
        await raw.head()
        assert loop.time() - before_s >= 0.02
        await raw.say()
        *_, last = await raw.events()
        assert last["reason"] == "stop"


async def test_restart() -> None:
    """Every connection is reset, the port is closed, and then it is as before."""
    async with served() as server, dialled(server) as other, dialled(server) as raw:
        port = server.port
        server.play("restart:0.01@start")
        await raw.start()
        assert await raw.end() == ("rst", b"")
        assert await other.end() == ("rst", b"")
        await _opened(port)
        async with dialled(server) as after:
            await after.say(TEXT)
            assert (await after.events())[-1]["reason"] == "stop"
