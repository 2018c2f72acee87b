"""WebSocket frames by hand (RFC 6455, section 5.2): also those that must not be. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
RESERVED: Final = 0x3
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

RSV1: Final = 0x40
RSV3: Final = 0x10

_FIN: Final = 0x80
_MASKED: Final = 0x80
_SHORT_BYTES: Final = 126
_MEDIUM_BYTES: Final = 1 << 16

_MASK: Final = b"\x37\xfa\x21\x3d"
"""The key of RFC 6455's own example (5.7)."""


def head(
    opcode: int, length: int, *, fin: bool = True, bits: int = 0, masked: bool = False
) -> bytes:
    """Return the head of a frame, whatever will be behind it."""
    first = (_FIN if fin else 0) | bits | opcode
    mask = _MASKED if masked else 0
    if length < _SHORT_BYTES:
        return bytes((first, mask | length))
    if length < _MEDIUM_BYTES:
        return struct.pack("!BBH", first, mask | 126, length)
    return struct.pack("!BBQ", first, mask | 127, length)


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True, bits: int = 0) -> bytes:
    """Return a frame."""
    return head(opcode, len(payload), fin=fin, bits=bits) + payload


def masked(payload: bytes) -> bytes:
    """Return a frame as only clients may send it."""
    hidden = bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))
    return head(BINARY, len(payload), masked=True) + _MASK + hidden


def compressed(payload: bytes) -> bytes:
    """Return a message as permessage-deflate has it (RFC 7692)."""
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    squeezed = squeezer.compress(payload) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    return frame(squeezed.removesuffix(b"\x00\x00\xff\xff"), bits=RSV1)


def split(payload: bytes, size: int) -> Iterator[bytes]:
    """Yield a message in fragments of ``size`` bytes."""
    for at in range(0, max(1, len(payload)), size):
        opcode = CONTINUATION if at else BINARY
        yield frame(payload[at : at + size], opcode, fin=at + size >= len(payload))


def after_empty(payload: bytes, count: int, *, batch: int = 16_384) -> Iterator[bytes]:
    """Yield a message that begins with ``count`` empty fragments, ``batch`` of them at a time."""
    yield frame(b"", BINARY, fin=False)
    nothing = frame(b"", CONTINUATION, fin=False)
    for left in range(count - 1, 0, -batch):
        yield nothing * min(left, batch)
    yield frame(payload, CONTINUATION)


def close(code: int | None, reason: str = "") -> bytes:
    """Return a close frame, empty without a code."""
    said = b"" if code is None else struct.pack("!H", code) + reason.encode("utf-8", "replace")
    return frame(said, CLOSE)
