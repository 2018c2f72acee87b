"""A live server that does nothing: it answers the first text at once. What is left is the tool."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from types import TracebackType
from typing import Final

from fishlive.errors import FishLiveError
from fishlive.transport.frames import Opcode, mask
from fishlive.wire.serving import Stop, Text, decode_client, encode_audio, encode_finish

AUDIO: Final = b"\x00\x40" * 2400
"""What it says: a tenth of a second of 24 kHz PCM, loud from the first sample."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of WebSocket handshakes (RFC 6455, section 1.3)."""


class NullServer:
    """Serves live sockets on loopback, in this loop. Accepts every key. A context manager."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()
        self._url = ""

    @property
    def url(self) -> str:
        """Its address, for ``base_url``."""
        return self._url

    async def __aenter__(self) -> NullServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Peer(self._open), "127.0.0.1", 0)
        self._url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for transport in self._open:
            transport.abort()
        if self._server is not None:
            await self._server.wait_closed()


class _Peer(asyncio.Protocol):
    """One connection. Knows its only client: small frames, none of them in fragments."""

    def __init__(self, everyone: set[asyncio.Transport]) -> None:
        self._everyone = everyone
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._upgraded = False
        self._spoke = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a TCP server's are
        self._transport = transport
        self._everyone.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._transport is not None:
            self._everyone.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self._data += data
        if not self._upgraded:
            head, end, rest = bytes(self._data).partition(b"\r\n\r\n")
            if not end:
                return
            self._upgraded = True
            self._data = bytearray(rest)
            self._write(_answer(head))
        while (frame := self._frame()) is not None:
            self._on_frame(*frame)

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.CLOSE:
            self._send(Opcode.CLOSE, payload)
            assert self._transport is not None  # noqa: S101  # it was made
            self._transport.close()
        elif opcode == Opcode.PING:
            self._send(Opcode.PONG, payload)
        elif opcode == Opcode.BINARY:
            self._on_message(payload)

    def _on_message(self, payload: bytes) -> None:
        try:
            event = decode_client(payload)
        except FishLiveError:
            return
        if isinstance(event, Text) and not self._spoke:
            self._spoke = True
            self._send(Opcode.BINARY, encode_audio(AUDIO))
        elif isinstance(event, Stop):
            self._spoke = False
            self._send(Opcode.BINARY, encode_finish())

    def _frame(self) -> tuple[int, bytes] | None:
        """Take one masked frame off the front; None if it is not whole."""
        data = self._data
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        end = at + 4 + size
        if len(data) < end:
            return None
        opcode, key, payload = data[0] & 0x0F, bytes(data[at : at + 4]), bytes(data[at + 4 : end])
        del data[:end]
        return opcode, mask(payload, key)

    def _send(self, opcode: Opcode, payload: bytes) -> None:
        size = len(payload)
        flag = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        self._write(bytes([0x80 | opcode]) + flag + payload)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _answer(head: bytes) -> bytes:
    """Return the 101 for a client's request."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    fields = {name.strip().lower(): value.strip() for name, _, value in lines}
    key = fields.get(b"sec-websocket-key", b"")
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
