"""Inputs that are nearly valid: MessagePack and JSON of known names with values of every kind."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import msgpack

NAMES: Final = (
    "event", "audio", "reason", "message", "error", "max_concurrency", "time", "text", "request",
    "content", "alignment", "segments", "start", "end", "audio_duration", "chunk_seq",
    "chunk_audio_offset_sec", "audio_base64", "detail", "loc", "msg", "status", "code", "success",
    "trace_id",
)  # fmt: skip
"""Every name that some reader looks at."""

WORDS: Final = (
    "audio", "finish", "error", "start", "text", "flush", "stop", "", "log", "stop\0",
    "Concurrency limit exceeded", "used_up", "<html><title>502</title>", "\x1b[31mred\u202e",
    "AAEC", "{", '{"message": "inner"}', "[1]", "\N{GRINNING FACE}",
)  # fmt: skip

NUMBERS: Final = (
    0, 1, -1, 8, 429, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -0.5, 1.5, 1e308, -1e308, 1e-320,
    float("inf"), float("-inf"), float("nan"), True, False, None,
)  # fmt: skip

RAW_VALUES: Final = (
    b"\xc1",  # never used
    b"\xa2\xff\xfe", b"\xd9\x03\xed\xa0\x80",  # texts that are not UTF-8
    b"\xd6\xff\0\0\0\0", b"\xd7\xff\xff\xff\xff\xff\0\0\0\0", b"\xd4\x05\0",  # extensions
    b"\xc7\x0c\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0", b"\xc7\x00\x01",
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdc\xff\xff",
    b"\xdb\x7f\xff\xff\xff", b"\xdf\0\0\0\x01\xc0\xc0", b"\x81\x01\x02", b"\x81\xc4\x01a\xc0",
    b"\x81\x90\xc0", b"\x91" * 9 + b"\xc0", b"\x91" * 1100 + b"\xc0", b"\x81\xa1a" * 9 + b"\xc0",
    b"\xdc\x03\x00" * 300, b"\xdc\x03\x00" + b"\xc0" * 768, b"\x90" * 40,
)  # fmt: skip
"""MessagePack values that are wrong in a way of their own."""


def packed(chance: Random) -> bytes:
    """Return a MessagePack map of known names, some of them twice, one value perhaps broken."""
    count = chance.choice((1, 2, 2, 3, 4, 6, 8, 33))
    entries = [_packed_entry(chance) for _ in range(count)]
    said = count if chance.random() < 0.9 else chance.randrange(16)
    head = bytes([0x80 | said]) if said < 16 else struct.pack("!BH", 0xDE, said)
    return head + b"".join(entries) + (b"\xc0" if chance.random() < 0.05 else b"")


def _packed_entry(chance: Random) -> bytes:
    name = "event" if chance.random() < 0.3 else chance.choice(NAMES)
    if name == "event" and chance.random() < 0.9:
        value = msgpack.packb(chance.choice(WORDS[:9]))
    elif name == "audio" and chance.random() < 0.8:
        value = msgpack.packb(chance.randbytes(chance.choice((0, 1, 9, 300))))
    elif chance.random() < 0.1:
        value = chance.choice(RAW_VALUES)
    else:
        value = msgpack.packb(_value(chance, 3))
    key = name if chance.random() < 0.97 else chance.choice(NUMBERS)
    return bytes(msgpack.packb(key) + value)


def _value(chance: Random, depth: int) -> Any:
    kind = chance.random()
    if kind < 0.3:
        return chance.choice(NUMBERS)
    if kind < 0.55 or not depth:
        return chance.choice(WORDS)
    if kind < 0.8:
        return {chance.choice(NAMES): _value(chance, depth - 1) for _ in range(chance.randrange(5))}
    if kind < 0.9:
        return _rows(chance)
    return [_value(chance, depth - 1) for _ in range(chance.randrange(5))]


def _rows(chance: Random) -> list[Any]:
    """Return aligned words, one of them perhaps not."""
    rows: list[Any] = [
        {"text": "w", "start": at / 2, "end": at / 2 + 0.5} for at in range(chance.randrange(6))
    ]
    if rows and chance.random() < 0.5:
        chance.choice(rows)[chance.choice(("text", "start", "end"))] = chance.choice(NUMBERS)
    return rows


RAW_JSON: Final = (
    "NaN", "-Infinity", "1e999", "9" * 400, "9" * 3900, "-0", "[" * 50 + "]" * 50, "[" * 1500,
    '{"error":' * 400 + '"x"' + "}" * 400, '[{"loc":' + "[" * 900 + "]" * 900 + ',"msg":[]}]',
    '"\\ud800"', '"\\u0000"', "nul", "'x'", "01", '"' + "x" * 600 + '"', "[]" * 2, "{}",
    "[[],[{}]]",
)  # fmt: skip
"""JSON values that are wrong, or as large as such values get."""


def jsoned(chance: Random) -> bytes:
    """Return a JSON object of known names, some of them twice, one value perhaps broken."""
    return _object(chance).encode("utf-8", "surrogatepass")


def _object(chance: Random) -> str:
    entries = []
    for _ in range(chance.choice((0, 1, 2, 3, 5, 8))):
        raw = chance.random() < 0.2
        value = chance.choice(RAW_JSON) if raw else json.dumps(_value(chance, 3))
        entries.append(f"{json.dumps(chance.choice(NAMES))}:{value}")
    body = "{" + ",".join(entries) + "}"
    return f"[{body}]" if chance.random() < 0.1 else body


def of_parts(
    parts: Sequence[bytes], most: int, *, grow: Callable[[Random], bytes] | None = None
) -> Callable[[Random], bytes]:
    """Return a maker of inputs that are parts in any order; ``grow`` makes some of them."""

    def join(chance: Random) -> bytes:
        return b"".join(
            grow(chance) if grow and chance.random() < 0.2 else chance.choice(parts)
            for _ in range(chance.randrange(most))
        )

    return join
