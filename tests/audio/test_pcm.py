"""audio/pcm.py: whole samples, and where sound begins."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.audio.pcm import AUDIBLE_PEAK, MAX_SEARCH_S, LeadingSilence, SampleAligner


@given(st.lists(st.binary(max_size=9), max_size=12))
def test_chunks_are_whole_samples_and_nothing_is_lost(chunks: list[bytes]) -> None:
    """Every chunk is even; together with the half that waits they are the input."""
    aligner = SampleAligner()
    out = [aligner.feed(chunk) for chunk in chunks]
    whole, all_in = b"".join(out), b"".join(chunks)

    assert all(len(chunk) % 2 == 0 for chunk in out)
    assert whole == all_in[: len(whole)]
    assert aligner.holds_half == (len(all_in) % 2 == 1)
    assert len(all_in) - len(whole) == aligner.holds_half


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("cut", [2, 100, 480, 5000])
def test_silence_is_measured_up_to_the_first_sound(sign: int, cut: int) -> None:
    """A quarter of a second of near-silence is found within the window, however it is cut."""
    rate = 24_000
    quiet = struct.pack("<h", sign * AUDIBLE_PEAK) * (rate // 4)
    loud = struct.pack("<h", sign * (AUDIBLE_PEAK + 1)) * rate
    silence = LeadingSilence(rate)
    audio = quiet + loud
    for at in range(0, len(audio), cut):
        if silence.feed(audio[at : at + cut]):
            break

    assert silence.found
    assert silence.seconds == pytest.approx(0.25, abs=0.0101)


def test_all_silence_is_never_found() -> None:
    """Without a sound the silence is as long as the audio, and not final."""
    silence = LeadingSilence(8_000)

    assert not silence.feed(bytes(16_000))
    assert (silence.found, silence.seconds) == (False, 1.0)


def test_the_search_for_sound_ends() -> None:
    """After MAX_SEARCH_S of silence nobody looks on, and no leading silence is claimed."""
    silence = LeadingSilence(8_000)
    second = bytes(16_000)
    looked = 1
    while not silence.feed(second):
        looked += 1

    assert looked <= MAX_SEARCH_S + 2
    assert silence.feed(b"\xff\x7f" * 8_000)
    assert not silence.found
