"""flow/credit.py: seconds ahead of the listener."""

from __future__ import annotations

import math

import pytest

from fishlive.errors import ConfigError
from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.flow.credit import RESUME_SHARE, Credit
from fishlive.limits import BUFFER_HIGH_BYTES, CHUNK_OVERHEAD_BYTES

SECOND = bytes(1000)


def made(limit_s: float | None = 10.0) -> tuple[AudioBuffer, Credit]:
    """Return a buffer of 1000 bytes a second and its credit."""
    buffer = AudioBuffer()
    return buffer, Credit(buffer, 1000.0, limit_s)


async def test_until_marked_reading_counts_as_playing() -> None:
    """Without a mark the playhead is what was read."""
    buffer, credit = made()
    buffer.put(SECOND)
    buffer.put(SECOND)
    await buffer.get()

    assert (credit.received_s, credit.played_s, credit.ahead_s) == (2.0, 1.0, 1.0)


async def test_unmarked_credit_lowers_the_mark_for_text() -> None:
    """Ten seconds unread stop the text; it flows again at the documented share."""
    buffer, _ = made()
    seconds = 0
    while buffer.level is Level.FREE:
        buffer.put(SECOND)
        seconds += 1
    assert seconds == math.floor(10_000 / (1000 + CHUNK_OVERHEAD_BYTES)) + 1 == 9

    while buffer.level is not Level.FREE:
        await buffer.get()
    assert buffer.queued_bytes <= 10_000 * RESUME_SHARE


async def test_marks_decide_from_the_first_one_on() -> None:
    """After a mark reading no longer counts, and the credit is spent by what was not played."""
    buffer, credit = made()
    for _ in range(8):
        buffer.put(SECOND)
        await buffer.get()
    credit.mark(0.0)
    assert not credit.spent
    for _ in range(3):
        buffer.put(SECOND)
        await buffer.get()
    assert credit.spent
    credit.mark(1.0)
    assert not credit.spent


async def test_the_playhead_only_grows() -> None:
    """A mark behind an earlier one is ignored."""
    _, credit = made()
    credit.mark(3.0)
    credit.mark(1.0)

    assert credit.played_s == 3.0


@pytest.mark.parametrize("nonsense", [-1.0, math.nan, math.inf])
async def test_nonsense_is_no_playing_time(nonsense: float) -> None:
    """The error names the argument."""
    _, credit = made()
    with pytest.raises(ConfigError) as caught:
        credit.mark(nonsense)
    assert caught.value.argument == "played_s"


async def test_no_limit_leaves_the_buffer_its_own_mark() -> None:
    """None switches the credit off, marked or not."""
    buffer, credit = made(None)
    buffer.put(bytes(BUFFER_HIGH_BYTES - CHUNK_OVERHEAD_BYTES))
    credit.mark(0.0)

    assert buffer.level is Level.FREE
    assert not credit.spent


async def test_text_flows_again_at_eight_tenths_and_not_before() -> None:
    """So that a listener at real time does not toggle the gate on every chunk."""
    buffer, _ = made()
    while buffer.level is Level.FREE:
        buffer.put(bytes(100))
    lowest = 10_000 * RESUME_SHARE
    charged = 100 + CHUNK_OVERHEAD_BYTES
    while buffer.level is not Level.FREE:
        held = buffer.queued_bytes // 100 * charged
        assert held > lowest
        await buffer.get()
    assert buffer.queued_bytes // 100 * charged <= lowest
