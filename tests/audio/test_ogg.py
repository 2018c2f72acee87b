"""How long Ogg Opus plays, by its pages, however they come."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.audio.ogg import OpusClock

SKIP = 312
"""Samples that a decoder throws away first: what the usual encoder says."""


def page(position: int, body: bytes = b"x" * 300, *, first: bool = False) -> bytes:
    """Return a page by hand, as RFC 3533 has it; nobody looks at its sum."""
    sizes = bytes([255] * (len(body) // 255) + [len(body) % 255])
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 2 * first, position, 7, 0, 0, len(sizes))
    return head + sizes + body


def opening(skip: int = SKIP) -> bytes:
    """Return the two pages before the audio."""
    head = struct.pack("<8sBBHIHB", b"OpusHead", 1, 1, skip, 24_000, 0, 0)
    return page(0, head, first=True) + page(0, b"OpusTags" + bytes(8))


def fed(*chunks: bytes) -> OpusClock:
    """Return a clock that has seen these."""
    clock = OpusClock()
    for chunk in chunks:
        clock.feed(chunk)
    return clock


STREAM = opening() + page(2880) + page(5760) + page(48_000 + SKIP)


def test_the_last_page_says_how_long_it_is() -> None:
    """Less what a decoder skips."""
    assert fed(STREAM).seconds == pytest.approx(1.0)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_chunks_may_be_cut_anywhere(cuts: list[int]) -> None:
    """Also within a page's header, byte by byte."""
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert fed(*chunks).seconds == pytest.approx(1.0)
    assert fed(*(bytes([byte]) for byte in STREAM)).seconds == pytest.approx(1.0)


def test_it_tells_while_it_comes() -> None:
    """A page counts once its header is there; before the first audio there is none."""
    clock = fed(opening())
    assert clock.seconds == 0
    clock.feed(page(2880))
    assert clock.seconds == pytest.approx((2880 - SKIP) / 48_000)


def test_a_page_on_which_nothing_ends_counts_nothing() -> None:
    """Its position is -1; the next one has it."""
    assert fed(opening(), page(2880 + SKIP), page(-1)).seconds == pytest.approx(0.06)


def test_streams_behind_each_other_add_up() -> None:
    """Each begins anew, with something to skip."""
    assert fed(STREAM, STREAM).seconds == pytest.approx(2.0)


def test_a_page_cannot_claim_a_year() -> None:
    """255 packets of 120 ms at most end on it."""
    assert fed(opening(0), page(1 << 62)).seconds == pytest.approx(30.6)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 50,
        b"OgXS" + bytes(40),
        page(0, b"\x01vorbis" + bytes(30), first=True),
        STREAM + b"junk",
    ],
    ids=["zeros", "nearly", "vorbis", "junk behind"],
)
def test_what_is_no_opus_has_no_length(data: bytes) -> None:
    """None, not 0: whoever asks may guess by the size."""
    assert fed(data, STREAM).seconds is None


@given(st.binary(max_size=600), st.integers(0, 600))
def test_nothing_that_comes_breaks_it(noise: bytes, at: int) -> None:
    """Whatever stands in a stream, it keeps little and raises nothing."""
    clock = fed(STREAM[:at], noise, STREAM[at:])
    assert clock.seconds is None or clock.seconds >= 0
    assert len(clock._held) < 300
