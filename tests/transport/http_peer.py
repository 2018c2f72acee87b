"""Raw HTTP: a service that says exactly the bytes a test wants said, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fishlive.flow.retry import RetryPolicy
from fishlive.secret import Secret
from fishlive.transport.http import Call, Http
from tests.transport.peer import WAIT_S, Peer, PeerServer, serve

KEY = "canary-5f1d0c7e"
GET = Call(method="GET", path="/v1/thing", safe=True)
POST = Call(method="POST", path="/v1/tts", body=b"{}", content_type="application/json")
ONCE = RetryPolicy(attempts=1)
KEEN = RetryPolicy(attempts=3, base_s=0.0, throttle_base_s=0.0)

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    """Wait for what must happen; fail instead of hanging."""
    return await asyncio.wait_for(awaitable, WAIT_S)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""

    async def watch() -> None:
        while not condition():
            await asyncio.sleep(0)

    await soon(watch())


async def standstill(value: Callable[[], int], *, turns: int = 500) -> int:
    """Let the loop run until a number has stopped to change, and return it."""
    last, quiet = value(), 0
    while quiet < turns:
        await asyncio.sleep(0)
        quiet = quiet + 1 if value() == last else 0
        last = value()
    return last


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    """Return the head of a chunked answer, and chunks of it."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    last = b"0\r\n\r\n" if end else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + last


async def read_request(peer: Peer) -> bytes:
    """Read one request whole, and return its body if it has a length."""
    await peer.read_request()
    return await peer.reader.readexactly(int(peer.headers.get("content-length", 0)))


def client(server: PeerServer | int, **facts: Any) -> Http:
    """Return a client that tries once, unless told."""
    port = server if isinstance(server, int) else server.port
    return Http(base_url=f"http://127.0.0.1:{port}", key=Secret(KEY), **{"retry": ONCE, **facts})


@asynccontextmanager
async def talking(
    script: Callable[[Peer], Awaitable[None]], **facts: Any
) -> AsyncIterator[tuple[Http, PeerServer]]:
    """Yield a client of a service that plays a script on every connection."""
    async with serve(script) as server:
        http = client(server, **facts)
        try:
            yield http, server
        finally:
            await http.aclose()


@asynccontextmanager
async def replying(*answers: bytes, **facts: Any) -> AsyncIterator[tuple[Http, list[bytes]]]:
    """Yield a client of a service that gives these answers in turn, and the bodies it was sent.

    The last answer is repeated. Connections are kept open.
    """
    bodies: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            body = await read_request(peer)
            bodies.append(body)
            peer.write(answers[min(len(bodies), len(answers)) - 1])

    async with talking(script, **facts) as (http, _server):
        yield http, bodies
