"""Seeded inputs for whatever reads what others wrote, and what to say when one of them breaks it.

Input number n is made of the seed n alone, so that a failure is found again by its number.
"""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

INPUTS: Final = int(os.environ.get("INPUTS", "4000"))
"""Inputs for each subject: some CPU seconds in all."""

FIRST_SEED: Final = int(os.environ.get("FIRST_SEED", "0"))
CHUNK: Final = 50_000
"""Inputs in one test."""

MOST_BYTES: Final = 4096
"""Longest input: longer ones find the same, later. What only size does has tests of its own."""

MOST_TRIES: Final = 3_000
"""Smaller inputs that are tried before one is shown."""

LENGTHS: Final = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    2**63,
    2**64 - 1,
)
"""Numbers that lengths and counts go wrong at."""

DEEP: Final = 1_100
"""How often a piece is repeated to nest deeper than any reader goes."""

TRACE_EVERY: Final = 20
"""Every so-manieth input is read with its memory watched, which takes four times as long."""


@dataclass(frozen=True)
class Subject:
    """Something that reads foreign bytes.

    Attributes:
        name: To find it again.
        read: Reads an input, and checks what it makes of it. Whatever it raises is a finding: what
            it documents it catches.
        corpus: Valid inputs.
        tokens: Pieces that mean something in it.
        grow: Makes an input that is nearly valid.
        memory_bytes: What reading an input of so many bytes may take at most.
    """

    name: str
    read: Callable[[bytes], object]
    corpus: Sequence[bytes]
    tokens: Sequence[bytes]
    grow: Callable[[random.Random], bytes]
    memory_bytes: Callable[[int], int]


class Finding(AssertionError):
    """An input that breaks a subject."""


def made(subject: Subject, seed: int) -> bytes:
    """Return the input of a seed."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    kind = chance.random()
    if kind < 0.08:
        return chance.randbytes(chance.randrange(chance.choice((4, 40, 400))))
    data = bytearray(subject.grow(chance) if kind < 0.6 else chance.choice(subject.corpus))
    if kind < 0.3:
        return bytes(data[:MOST_BYTES])
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        chance.choice(MUTATIONS)(chance, data, subject)
    return bytes(data[:MOST_BYTES])


def hunt(subject: Subject, seeds: range) -> None:
    """Read the inputs of all seeds. Raises Finding with the first that breaks it."""
    for seed in seeds:
        data = made(subject, seed)
        try:
            subject.read(data)
        except Exception as error:
            raise Finding(shown(subject, seed, data, error)) from error


def weigh(subject: Subject, seeds: range) -> None:
    """Read inputs with their memory watched. Raises Finding with the first that takes too much."""
    tracemalloc.start()
    try:
        for seed in seeds:
            data = made(subject, seed)
            if (taken := peak_bytes(subject, data)) > subject.memory_bytes(len(data)):
                raise Finding(
                    f"{subject.name}, seed {seed}: {taken} bytes of memory for an input of "
                    f"{len(data)}: {data.hex()}"
                )
    finally:
        tracemalloc.stop()


def peak_bytes(subject: Subject, data: bytes) -> int:
    """Return what reading an input took at its worst; tracemalloc must be on."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    subject.read(data)
    return tracemalloc.get_traced_memory()[1] - before


def shown(subject: Subject, seed: int, data: bytes, error: Exception) -> str:
    """Return what was found, how to see it again, and a smaller input that does the same."""
    small = shrunk(data, lambda other: _breaks(subject, other, type(error)))
    return (
        f"{subject.name}, seed {seed}: {type(error).__name__}: {str(error)[:300]}\n"
        f"input  ({len(data)} bytes): {data.hex()}\n"
        f"shrunk ({len(small)} bytes): {small.hex()}\n"
        f"again: make fuzz INPUTS=1 FIRST_SEED={seed}"
    )


def shrunk(data: bytes, breaks: Callable[[bytes], bool]) -> bytes:
    """Return an input that breaks it as well: pieces left out while that helps, the rest zeroed."""
    tries = 0
    better = True
    while better and tries < MOST_TRIES:
        better = False
        for other in smaller(data):
            tries += 1
            if breaks(other):
                data, better = other, True
                break
            if tries >= MOST_TRIES:
                break
    return data


def smaller(data: bytes) -> Iterator[bytes]:
    """Yield what is left without a half, a quarter and so on, and then with one byte zeroed."""
    step = (len(data) + 1) // 2
    while step:
        for at in range(0, len(data), step):
            yield data[:at] + data[at + step :]
        step //= 2
    for at, value in enumerate(data):
        if value:
            yield data[:at] + b"\0" + data[at + 1 :]


def _breaks(subject: Subject, data: bytes, kind: type[Exception]) -> bool:
    try:
        subject.read(data)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return type(error) is kind
    return False


def chunks() -> list[range]:
    """Return all seeds, a test's worth at a time."""
    last = FIRST_SEED + INPUTS
    return [range(at, min(at + CHUNK, last)) for at in range(FIRST_SEED, last, CHUNK)]


# Mutations: each changes an input where chance says.


def _flip(chance: random.Random, data: bytearray, _: Subject) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(chance: random.Random, data: bytearray, _: Subject) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(chance: random.Random, data: bytearray, _: Subject) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _leave_out(chance: random.Random, data: bytearray, _: Subject) -> None:
    at, size = _span(chance, data)
    del data[at : at + size]


def _double(chance: random.Random, data: bytearray, _: Subject) -> None:
    at, size = _span(chance, data)
    data[at:at] = data[at : at + size] * chance.choice((1, 1, 2, 9))


def _insert(chance: random.Random, data: bytearray, subject: Subject) -> None:
    at = chance.randrange(len(data) + 1)
    times = DEEP if chance.random() < 0.01 else chance.choice((1, 1, 1, 2, 9))
    data[at:at] = chance.choice(subject.tokens) * times


def _replace(chance: random.Random, data: bytearray, subject: Subject) -> None:
    at, size = _span(chance, data)
    data[at : at + size] = chance.choice(subject.tokens)


def _splice(chance: random.Random, data: bytearray, subject: Subject) -> None:
    other = chance.choice(subject.corpus)
    data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other) + 1) :]


def _relength(chance: random.Random, data: bytearray, _: Subject) -> None:
    width = chance.choice((1, 2, 4, 8))
    at = chance.randrange(len(data) + 1)
    number = chance.choice(LENGTHS) + chance.randint(-1, 1)
    data[at : at + width] = (number % 256**width).to_bytes(width, "big")


def _span(chance: random.Random, data: bytearray) -> tuple[int, int]:
    return chance.randrange(len(data) + 1), chance.choice((1, 2, 4, 8, 64))


MUTATIONS: Final = (
    _flip, _flip, _overwrite, _cut, _leave_out, _double, _insert, _insert, _replace, _splice,
    _relength,
)  # fmt: skip
