"""WebSocket frames as bytes (RFC 6455, section 5), for a client without extensions. Pure."""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from fishlive.transport.endings import broken, too_large

MAX_CONTROL_BYTES: Final = 125
"""Longest payload of a control frame (RFC 6455, section 5.5)."""

NO_STATUS_CODE: Final = 1005
"""What a close frame without a code counts as (RFC 6455, section 7.4.1)."""

CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
"""Codes that may be on the wire (RFC 6455, section 7.4, and its IANA registry)."""

_FIN, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_TWO_BYTES, _EIGHT_BYTES = 126, 127


class Opcode(enum.IntEnum):
    """What a frame is (RFC 6455, section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES: Final = {opcode.value: opcode for opcode in Opcode}


class Frame(NamedTuple):
    """One frame of the service."""

    opcode: Opcode
    fin: bool
    payload: bytes


class FrameReader:
    """Cuts a stream of bytes into frames. After an error it must not be used again."""

    __slots__ = ("_buffer", "_limit_bytes", "_position")

    def __init__(self, limit_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit_bytes = limit_bytes
        self._position = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take what arrived and yield the frames that it completes; must be exhausted.

        Raises:
            ProtocolError: Not a frame that a server may send without an extension.
            MessageTooLarge: A frame over the limit, seen from its header.
        """
        self._buffer += data
        while frame := self._next():
            yield frame
        # Once for all frames: what is left moves to the front.
        del self._buffer[: self._position]
        self._position = 0

    def _next(self) -> Frame | None:
        buffer, start = self._buffer, self._position
        there_bytes = len(buffer) - start
        if there_bytes < 2:
            return None
        opcode, fin, flag = _first_bytes(buffer[start], buffer[start + 1])
        head_bytes, size_bytes = 2, flag
        if flag >= _TWO_BYTES:
            head_bytes = 4 if flag == _TWO_BYTES else 10
            if there_bytes < head_bytes:
                return None
            size_bytes = int.from_bytes(buffer[start + 2 : start + head_bytes], "big")
            if size_bytes < (_TWO_BYTES if flag == _TWO_BYTES else 1 << 16):
                raise broken("a length in more bytes than it needs")
        if size_bytes > self._limit_bytes and opcode < Opcode.CLOSE:
            raise too_large(size_bytes, self._limit_bytes)
        if there_bytes < head_bytes + size_bytes:
            return None
        self._position = end = start + head_bytes + size_bytes
        with memoryview(buffer) as view:
            return Frame(opcode, fin, bytes(view[start + head_bytes : end]))


def _first_bytes(first: int, second: int) -> tuple[Opcode, bool, int]:
    """Return opcode, FIN and the length's first byte, or say what is wrong with them."""
    if first & _RESERVED:
        raise broken("reserved bits are set")
    if second & _MASKED:
        raise broken("a masked frame")
    opcode = _OPCODES.get(first & 0x0F)
    if opcode is None:
        raise broken("an unknown opcode")
    fin = bool(first & _FIN)
    if opcode >= Opcode.CLOSE and not (fin and second <= MAX_CONTROL_BYTES):
        raise broken("a control frame that is fragmented or too long")
    return opcode, fin, second


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason of a close frame; ProtocolError unless both may be sent."""
    if not payload:
        return NO_STATUS_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code not in CLOSE_CODES:
        raise broken(f"close code {code}")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise broken("a close reason that is not UTF-8") from error


def encode_frame(opcode: Opcode, payload: bytes) -> bytes:
    """Return one unfragmented frame, masked with a fresh key."""
    size_bytes = len(payload)
    first = _FIN | opcode
    if size_bytes < _TWO_BYTES:
        head = struct.pack("!BB", first, _MASKED | size_bytes)
    elif size_bytes < 1 << 16:
        head = struct.pack("!BBH", first, _MASKED | _TWO_BYTES, size_bytes)
    else:
        head = struct.pack("!BBQ", first, _MASKED | _EIGHT_BYTES, size_bytes)
    key = os.urandom(4)
    return head + key + mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """Return the payload under a four-byte key; masking twice gives it back."""
    size_bytes = len(payload)
    keys = (key * (size_bytes // 4 + 1))[:size_bytes]
    # One XOR of two large integers: the only way in plain Python that is not a loop.
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return masked.to_bytes(size_bytes, "big")
