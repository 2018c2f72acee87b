"""audio/fade.py: cuts that nobody hears."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.audio.fade import Pauses, fade_out

RATE_HZ = 8_000


def tone(lasting_s: float, peak: int = 10_000) -> bytes:
    """Return a square wave of 400 Hz."""
    size = round(lasting_s * RATE_HZ)
    return struct.pack(f"<{size}h", *(peak if at // 10 % 2 else -peak for at in range(size)))


def samples(pcm: bytes) -> tuple[int, ...]:
    """Return the samples of PCM."""
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


@given(st.lists(st.integers(-32_768, 32_767), max_size=200), st.floats(0, 0.02))
def test_a_fade_only_makes_quieter_and_ends_in_silence(values: list[int], fade_s: float) -> None:
    """Length and all before the fade stay; no sample grows or changes its sign."""
    pcm = struct.pack(f"<{len(values)}h", *values)
    faded = samples(fade_out(pcm, RATE_HZ, fade_s))
    size = min(round(fade_s * RATE_HZ), len(values))

    assert len(faded) == len(values)
    assert list(faded[: len(values) - size]) == values[: len(values) - size]
    assert all(a * b >= 0 and abs(a) <= abs(b) for a, b in zip(faded, values, strict=True))
    assert size == 0 or faded[-1] == 0


def test_a_fade_is_a_straight_line_of_ten_milliseconds() -> None:
    """From full to nothing in equal steps."""
    faded = samples(fade_out(struct.pack("<160h", *[800] * 160), RATE_HZ))

    assert faded[:80] == (800,) * 80
    assert faded[80:] == tuple(range(790, -1, -10))


@pytest.mark.parametrize("lasting_s", [0.08, 0.2])
def test_a_pause_is_found_where_it_begins(lasting_s: float) -> None:
    """Behind half a second of voice, within 10 ms, on the utterance's clock."""
    pcm = tone(0.5) + tone(lasting_s, 300) + tone(0.5)
    pauses = Pauses(pcm, RATE_HZ, origin_s=2.0)

    assert pauses.first(2.3, 2.6) == pytest.approx(2.5, abs=0.0101)
    assert pauses.first(2.5, 2.5) == pytest.approx(2.5)


def test_a_short_gap_is_no_pause() -> None:
    """The closure of a consonant does not part words."""
    pauses = Pauses(tone(0.5) + bytes(2 * 560) + tone(0.5), RATE_HZ)

    assert pauses.first(0.4, 0.9) is None


def test_a_pause_must_begin_in_time_and_end_within_the_audio() -> None:
    """Silence at the end of what was received may be too short to tell."""
    pcm = tone(0.5) + bytes(round(0.07 * RATE_HZ) * 2)

    assert Pauses(pcm, RATE_HZ).first(0.5, 0.6) is None
    assert Pauses(pcm + bytes(400), RATE_HZ).first(0.5, 0.6) == pytest.approx(0.5)
    assert Pauses(pcm + bytes(400), RATE_HZ).first(0.2, 0.4) is None


def test_quiet_is_relative_to_the_voice() -> None:
    """A soft voice has softer pauses; dither is quiet beside any."""
    assert Pauses(tone(0.5, 4_000) + tone(0.2, 300), RATE_HZ).first(0.4, 0.6) is None
    assert Pauses(tone(0.5, 1_000) + tone(0.2, 104) + b"\0", RATE_HZ).first(0.4, 0.6) is not None
    assert Pauses(b"", RATE_HZ).first(0.0, 1.0) is None


def test_audio_before_the_origin_is_not_looked_at() -> None:
    """What was thrown away already holds no pause."""
    assert Pauses(bytes(1_600), RATE_HZ, origin_s=5.0).first(0.0, 6.0) == 5.0
    assert Pauses(bytes(1_600), RATE_HZ, origin_s=5.0).first(0.0, 1.0) is None
