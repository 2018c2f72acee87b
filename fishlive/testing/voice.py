"""Audio that says what it is: PCM in which every character voiced carries its own counters.

A *record* is 16 bytes, eight samples: which attempt it belongs to, which character of that it
voices, which character that is, and a check. So lost, repeated, reordered and foreign bytes show
without an ear.
"""

from __future__ import annotations

import struct
from typing import Final

RECORD_BYTES: Final = 16
"""Size of one record: four numbers of 32 bits."""

_CHECK: Final = 0x9E3779B1
"""Odd, so that multiplying by it loses nothing (the golden ratio in 32 bits)."""

_ATTEMPTS: Final = 0x10001
"""Keeps the attempt and the character apart in the check."""

_MASK: Final = 0xFFFFFFFF


def voiced(attempt: int, first: int, text: str, *, stretch: int = 1) -> bytes:
    """Return the audio of text whose first character is number ``first`` of an attempt.

    Args:
        attempt: Which one, from 1.
        first: From 0.
        text: What is voiced.
        stretch: How many times each record is said: the pace of the speech.
    """
    base = attempt * _ATTEMPTS
    numbers = [
        number
        for index, point in enumerate(map(ord, text), first)
        for number in (attempt, index, point, ((base + index) * _CHECK + point) & _MASK) * stretch
    ]
    return struct.pack(f"<{len(numbers)}I", *numbers)


def heard(audio: bytes, *, stretch: int = 1) -> tuple[int, str]:
    """Return which attempt audio belongs to, and what text it voices, from the first character on.

    A record that is not complete is not counted; audio without any belongs to attempt 0.

    Raises:
        ValueError: The audio is not one attempt's, from its beginning, in order.
    """
    whole = len(audio) // RECORD_BYTES
    numbers = struct.unpack_from(f"<{whole * 4}I", audio)
    chars: list[str] = []
    for record in range(whole):
        attempt, index, point, check = numbers[record * 4 : record * 4 + 4]
        where = f"record {record}"
        if check != _check(attempt, index, point):
            raise ValueError(f"{where} is no record: bytes are missing or damaged before it")
        if attempt != numbers[0]:
            raise ValueError(f"{where} is of attempt {attempt}, what comes before of {numbers[0]}")
        if index != record // stretch:
            raise ValueError(f"{where} voices character {index}, expected {record // stretch}")
        if record % stretch == 0:
            chars.append(chr(point))
    return (numbers[0] if whole else 0), "".join(chars)


def _check(attempt: int, index: int, point: int) -> int:
    return ((attempt * _ATTEMPTS + index) * _CHECK + point) & _MASK
