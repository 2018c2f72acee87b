"""What a message may look like before it costs memory.

MessagePack lets one byte stand for an empty container of 64 bytes and more, so a hostile 16 MiB
message could become a gigabyte. Real messages are large for one reason only: audio, which is one
value. So the values of a large message are counted before it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from fishlive.errors import ProtocolError
from fishlive.limits import KIB, MAX_MAP_KEYS, MAX_STRING_BYTES

SMALL_MESSAGE_BYTES: Final = 64 * KIB
"""Messages up to this size are read at once: at worst 72 times their size in objects (measured
with nested empty containers), 4.6 MiB for a moment."""

MAX_VALUES: Final = 50_000
"""Values in one message: 10,000 aligned words of seven values, two thirds of which is already
ten times more than a chunk of 300 characters can have."""

MAX_DEPTH: Final = 8
"""Levels of nesting. The deepest documented event has four (event, alignment, segments, row)."""

# What follows each format byte: the width of a length, a fixed payload, or the width of a count
# and the values for each (MessagePack specification, formats).
_SIZED: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_SCALARS: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8,
    0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
}  # fmt: skip
_CONTAINERS: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


_PLAIN: Final = frozenset({bytes, int, float, bool, type(None)})
"""What else a value may be. An extension type is none of them."""


def check_shape(message: bytes | memoryview) -> None:
    """Raise ProtocolError if a message has too many values, nests too deep or is cut off.

    Reads format bytes only, never the audio; 50,000 values take some 10 ms, a real message of
    100 KiB a few microseconds. Source: MessagePack specification, formats.
    """
    at, values, open_counts = 0, 0, [1]
    try:
        while open_counts:
            if open_counts[-1] == 0:
                open_counts.pop()
                continue
            open_counts[-1] -= 1
            values += 1
            at, inside = _step(message, at)
            if inside:
                open_counts.append(inside)
            if values > MAX_VALUES or len(open_counts) > MAX_DEPTH + 1:
                raise ProtocolError(f"too many or too deeply nested values, at byte {at}")
    except IndexError as error:
        raise ProtocolError(f"message cut off at byte {at}") from error


def _step(message: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return where the value at ``at`` ends (a container's header), and its number of items."""
    code = message[at]
    at += 1
    if code <= 0x7F or code >= 0xE0:
        return at, 0
    if code <= 0x8F:
        return at, 2 * (code & 0x0F)
    if code <= 0x9F:
        return at, code & 0x0F
    if code <= 0xBF:
        return at + (code & 0x1F), 0
    if code in _SCALARS:
        return at + _SCALARS[code], 0
    if code in _SIZED:
        width = _SIZED[code]
        return at + width + _length(message, at, width), 0
    if code in _CONTAINERS:
        width, each = _CONTAINERS[code]
        return at + width, each * _length(message, at, width)
    raise ProtocolError(f"format {code:#04x} at byte {at - 1} is not part of the protocol")


def _length(message: bytes | memoryview, at: int, width: int) -> int:
    field = message[at : at + width]
    if len(field) < width:
        raise IndexError(at)
    return int.from_bytes(field, "big")


def check_values(value: object, level: int = 0) -> None:
    """Raise ProtocolError for what a decoded map or list may not hold.

    That is nesting deeper than MAX_DEPTH, more than MAX_MAP_KEYS keys, keys that are no text, a
    string over MAX_STRING_BYTES characters, and extension types, timestamps included.
    """
    if level >= MAX_DEPTH:
        raise ProtocolError(f"values nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if len(value) > MAX_MAP_KEYS:
            raise ProtocolError(f"a map of {len(value)} keys, at most {MAX_MAP_KEYS} allowed")
        if not all(isinstance(key, str) for key in value):
            raise ProtocolError("a map with a key that is no text")
        items: Iterable[object] = value.values()
    else:
        items = cast("list[object]", value)
    for item in items:
        kind = item.__class__
        if kind is dict or kind is list:
            check_values(item, level + 1)
        elif kind is str:
            if len(cast("str", item)) > MAX_STRING_BYTES:
                raise ProtocolError(f"a text over {MAX_STRING_BYTES} characters")
        elif kind not in _PLAIN:
            raise ProtocolError(f"a value of type {kind.__name__} is not part of the protocol")
