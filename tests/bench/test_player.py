"""What a listener would have heard."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.bench.player import FirstSound, heard_at, playing, underruns

gaps = st.floats(min_value=0, max_value=0.5, allow_nan=False)
streams = st.lists(
    st.tuples(gaps, st.floats(min_value=0.02, max_value=0.5)), min_size=1, max_size=20
)


def arrivals(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return when chunks come that have gaps between them, and how long they play."""
    at_s, found = 0.0, []
    for gap_s, _ in rows:
        at_s += gap_s
        found.append(at_s)
    return found, [audio_s for _, audio_s in rows]


@given(streams, st.sampled_from([0.0, 0.1, 0.4]))
def test_nothing_plays_before_it_came(rows: list[tuple[float, float]], prebuffer_s: float) -> None:
    """Chunks play in order, none before it arrived, none over the one before it."""
    came_s, audio_s = arrivals(rows)
    starts, stalls = playing(came_s, audio_s, prebuffer_s)
    assert len(starts) == len(came_s)
    assert all(start >= came for start, came in zip(starts, came_s, strict=True))
    ends = [start + long for start, long in zip(starts, audio_s, strict=True)]
    assert all(later >= end - 1e-9 for end, later in zip(ends, starts[1:], strict=False))
    silent_s = starts[-1] - starts[0] - sum(audio_s[:-1])
    assert sum(stalls) == pytest.approx(silent_s, abs=1e-3 * len(rows) + 1e-9)


@given(streams)
def test_a_prebuffer_starts_later(rows: list[tuple[float, float]]) -> None:
    """More prebuffer never makes the first sound come earlier."""
    came_s, audio_s = arrivals(rows)
    firsts = [playing(came_s, audio_s, prebuffer_s)[0][0] for prebuffer_s in (0.0, 0.1, 0.2, 0.4)]
    assert firsts == sorted(firsts)


def test_an_underrun_is_counted_and_measured() -> None:
    """100 ms of audio, then 250 ms of nothing: dry once, for 150 ms, unless 150 ms were saved."""
    came_s, audio_s = [0.0, 0.01, 0.30], [0.1, 0.05, 0.1]
    found = {u.prebuffer_s: (u.count, u.stalled_s) for u in underruns(came_s, audio_s, (0.0, 0.4))}
    assert found == {0.0: (1, 0.15), 0.4: (0, 0.0)}


def test_a_player_gathers_again_after_a_stall() -> None:
    """Dry once, it waits for its prebuffer before it plays on: one long stall, not two short."""
    came_s, audio_s = [0.0, 0.5, 0.7], [0.2, 0.1, 0.1]
    assert playing(came_s, audio_s, 0.2)[0] == [0.0, 0.7, pytest.approx(0.8)]
    assert [u.count for u in underruns(came_s, audio_s, (0.0, 0.2))] == [2, 1]


def test_microseconds_are_no_underrun() -> None:
    """A chunk that is late by less than a block of the sound card is in time."""
    assert underruns([0.0, 0.1005], [0.1, 0.1], (0.0,))[0].count == 0


def test_the_first_sound_is_heard_behind_stalls() -> None:
    """A position is heard when the player gets there, later than by its place alone."""
    assert heard_at([0.1, 0.6], [0.1, 0.1], 0.05) == pytest.approx(0.15)
    assert heard_at([0.1, 0.6], [0.1, 0.1], 0.15) == pytest.approx(0.65)
    assert heard_at([0.1], [0.1], 9.0) == pytest.approx(0.2)


@given(st.integers(0, 5000), st.integers(1, 977))
def test_the_first_sound_is_found_to_the_sample(silent: int, size: int) -> None:
    """Wherever chunks are cut, its place is exact."""
    pcm = (array("h", [3]) * silent + array("h", [-9000]) * 500).tobytes()
    found = FirstSound(24_000)
    for at in range(0, len(pcm), 2 * size):
        found.feed(pcm[at : at + 2 * size])
    assert found.at_s == silent / 24_000


def test_silence_has_no_first_sound() -> None:
    """Nothing audible: there is nothing to say."""
    found = FirstSound(8000)
    found.feed(bytes(16_000))
    assert found.at_s is None
