"""A client that knows TCP and reads frames by hand: it sees what is on the wire."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import msgpack

from fishlive.server import LocalServer
from tests.server.talk import LIVE, TIMED

PATHS: Final = (LIVE, TIMED)
TEXT: Final = "One two three four five six. "
_KEY: Final = base64.b64encode(bytes(16)).decode()
ACCEPT: Final = "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
"""What RFC 6455 makes of sixteen zeros."""


class Frame(NamedTuple):
    """One frame as it came."""

    first: int
    payload: bytes
    masked: bool = False

    @property
    def fin(self) -> bool:
        return bool(self.first & 0x80)

    @property
    def bits(self) -> int:
        return self.first & 0x70

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def event(self) -> Any:
        return msgpack.unpackb(self.payload, strict_map_key=False)


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str) -> None:
        """Send the request of an upgrade."""
        self.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer local\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\n\r\n".encode()
        )
        await self.writer.drain()

    async def post(self, path: str = "/v1/tts", text: str = TEXT) -> None:
        """Send a request for speech."""
        body = b'{"text": "%b", "format": "pcm"}' % text.encode()
        self.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer local\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await self.writer.drain()

    async def head(self) -> str:
        """Return the head of an answer."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def send(self, event: str, **fields: Any) -> None:
        """Send an event."""
        self.frame(0x2, msgpack.packb({"event": event, **fields}))
        await self.writer.drain()

    def frame(self, opcode: int, payload: bytes) -> None:
        """Send a frame, masked with zeros."""
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self.writer.write(bytes((0x80 | opcode,)) + length + bytes(4) + payload)

    async def start(self) -> None:
        await self.send("start", request={"text": "", "format": "pcm"})

    async def say(self, *texts: str, stop: bool = True) -> None:
        """Send an utterance."""
        await self.start()
        for text in texts or (TEXT,):
            await self.send("text", text=text)
        await self.send("stop" if stop else "flush")

    async def next(self) -> Frame:
        """Return the next frame. Raises IncompleteReadError or ConnectionResetError at the end."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        key = await self.reader.readexactly(4) if second & 0x80 else b""
        payload = await self.reader.readexactly(size)
        if key:
            payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
        return Frame(first, payload, bool(key))

    async def events(self) -> list[dict[str, Any]]:
        """Return the events up to ``finish``, ``error`` or a close frame."""
        found = []
        while (frame := await self.next()).opcode == 0x2:
            found.append(frame.event)
            if frame.event.get("event") in {"finish", "error"}:
                break
        return found

    async def chunk(self) -> bytes:
        """Return the next piece of a chunked body."""
        size = int((await self.reader.readline()).strip(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def end(self) -> tuple[str, bytes]:
        """Return how TCP ends, ``fin`` or ``rst``, and what came before."""
        seen = b""
        try:
            while data := await self.reader.read(65_536):
                seen += data
        except ConnectionResetError:
            return "rst", seen
        return "fin", seen

    async def arrived(self, server: LocalServer) -> bytes:
        """Return what has been on its way, after another connection had a whole utterance."""
        seen = b""
        reading = asyncio.ensure_future(self.reader.read(1 << 24))
        while not await _other_turn(server, reading):
            seen += reading.result()
            reading = asyncio.ensure_future(self.reader.read(1 << 24))
        return seen

    async def nothing(self, server: LocalServer) -> bool:
        """Return whether nothing comes here while another connection has a whole utterance."""
        reading = asyncio.ensure_future(self.reader.read(1))
        return await _other_turn(server, reading)


async def _other_turn(server: LocalServer, reading: asyncio.Future[bytes]) -> bool:
    """Have a whole utterance elsewhere; return whether nothing was read meanwhile."""
    async with dialled(server) as other:
        await other.say()
        assert (await other.events())[-1]["event"] == "finish"
    quiet = not reading.done()
    if quiet:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    return quiet


@contextlib.asynccontextmanager
async def connected(server: LocalServer) -> AsyncIterator[Raw]:
    """Open a TCP connection; it is reset at the end, whatever is left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def dialled(server: LocalServer, path: str = LIVE) -> AsyncIterator[Raw]:
    """Open a live socket."""
    async with connected(server) as raw:
        await raw.ask(path)
        head = await raw.head()
        assert head.startswith("HTTP/1.1 101 "), head
        yield raw


@contextlib.asynccontextmanager
async def served(*faults: str, **settings: Any) -> AsyncIterator[LocalServer]:
    """Run a server with faults."""
    async with LocalServer(faults=faults, **settings) as server:
        yield server
