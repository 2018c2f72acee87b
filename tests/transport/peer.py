"""A raw WebSocket peer: it says exactly the bytes a test wants said, right or wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WAIT_S = 10.0
"""How long a test waits for what must happen; only a failing test ever waits it out."""


def frame(opcode: int, payload: bytes = b"", *, flags: int = FIN, mask: bool = False) -> bytes:
    """Return one frame; ``flags`` are the upper four bits of its first byte."""
    size = len(payload)
    masked = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", flags | opcode, masked | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", flags | opcode, masked | 126, size)
    else:
        head = struct.pack("!BBQ", flags | opcode, masked | 127, size)
    return head + (bytes(4) if mask else b"") + payload


def close_frame(code: int | None = 1000, reason: str = "") -> bytes:
    """Return a close frame; with code None, an empty one."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


class Frame(NamedTuple):
    """A frame of the client, unmasked."""

    opcode: int
    payload: bytes
    masked: bool


class Peer:
    """The service's end of one TCP connection.

    Attributes:
        request: The request line.
        headers: Of the request, names in lower case.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.request = ""
        self.headers: dict[str, str] = {}

    async def read_request(self) -> None:
        """Read the upgrade request."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        self.request, *lines = head.rstrip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}

    def accept_key(self) -> str:
        """Return what Sec-WebSocket-Accept must say."""
        key = self.headers["sec-websocket-key"].encode()
        return base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()  # noqa: S324 - RFC 6455

    def head(self, *extra: str, accept: str | None = None) -> bytes:
        """Return a 101, with extra header lines."""
        lines = (
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept or self.accept_key()}",
            *extra,
        )
        return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"

    async def upgrade(self, *extra: str, then: bytes = b"") -> None:
        """Read the request and answer with a 101, in one packet with what is to follow."""
        await self.read_request()
        self.write(self.head(*extra) + then)

    def write(self, data: bytes) -> None:
        """Send raw bytes."""
        self.writer.write(data)

    async def read_frame(self) -> Frame:
        """Read the client's next frame."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4) if second & 0x80 else bytes(4)
        payload = await self.reader.readexactly(size)
        masks = mask * (size // 4 + 1)
        plain = bytes(a ^ b for a, b in zip(payload, masks, strict=False)) if any(mask) else payload
        return Frame(first & 0x0F, plain, bool(second & 0x80))

    async def read_close(self) -> int:
        """Read frames up to the client's close frame and return its code; 0 if it has none."""
        while (got := await self.read_frame()).opcode != CLOSE:
            pass
        return int.from_bytes(got.payload[:2], "big")

    async def read_eof(self) -> None:
        """Read until the client has ended the connection, one way or another."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """End the connection with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def hang_up(self) -> None:
        """End the connection with a FIN."""
        self.writer.close()


class PeerServer:
    """Listens on loopback; ``peers`` holds every connection that came, in order."""

    def __init__(self, script: Callable[[Peer], Awaitable[None]], *, secure: bool) -> None:
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self.port = 0
        self._script = script
        self._scheme = "wss" if secure else "ws"
        self._tasks: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"{self._scheme}://127.0.0.1:{self.port}/v1/tts/live"

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script on a new connection."""
        peer = Peer(reader, writer)
        self.peers.append(peer)
        task = asyncio.get_running_loop().create_task(self._play(peer))
        self._tasks.add(task)
        self._connected.set()

    async def connection(self) -> None:
        """Wait until somebody has connected."""
        await asyncio.wait_for(self._connected.wait(), WAIT_S)

    def descriptors(self) -> set[int]:
        """Return the file descriptors of the service's ends."""
        socks = (peer.writer.get_extra_info("socket") for peer in self.peers)
        return {sock.fileno() for sock in socks if sock is not None}

    async def _play(self, peer: Peer) -> None:
        try:
            await self._script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left: its own side of the test says whether it should have
        except Exception as error:  # noqa: BLE001 - raised again when the server stops
            self.failures.append(error)

    async def stop(self) -> None:
        """End every connection and script; raise what a script raised."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in self.peers:
            peer.writer.transport.abort()
            with suppress(ConnectionError, ssl.SSLError):
                await peer.writer.wait_closed()
        if self.failures:
            raise self.failures[0]


@asynccontextmanager
async def serve(
    script: Callable[[Peer], Awaitable[None]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[PeerServer]:
    """Serve with one script for every connection."""
    server = PeerServer(script, secure=tls is not None)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
