"""The hunt finds what is there, says how to see it again, and is the same every time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.adversity.fuzz.hunting import Finding, hunt, made, shrunk, weigh
from tests.adversity.fuzz.readers import SUBJECTS

DECODER = SUBJECTS["decoder"]


def test_a_seed_makes_the_same_input() -> None:
    """And other seeds make others."""
    inputs = [made(DECODER, seed) for seed in range(500)]
    assert [made(DECODER, seed) for seed in range(500)] == inputs
    assert len(set(inputs)) > 400


def test_a_finding_names_its_seed_and_a_smaller_input() -> None:
    """What a reader does not document is found, and shrunk to what matters."""

    def read(data: bytes) -> None:
        if b"finish" in data:
            raise KeyError("finish")

    with pytest.raises(Finding, match=r"decoder, seed \d+: KeyError") as found:
        hunt(replace(DECODER, read=read), range(1_000))
    assert f"shrunk (6 bytes): {b'finish'.hex()}" in str(found.value)


def test_memory_is_weighed() -> None:
    """A reader that takes more than it may is found."""
    with pytest.raises(Finding, match="bytes of memory"):
        weigh(replace(DECODER, read=lambda data: bytes(len(data) + 10**7)), range(10))


def test_shrinking_ends() -> None:
    """Whatever breaks, nothing is left; whatever does not, all is."""
    assert shrunk(b"abc" * 100, lambda _: True) == b""
    assert shrunk(b"abc" * 100, lambda _: False) == b"abc" * 100
