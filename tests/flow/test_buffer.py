"""flow/buffer.py: exact at the marks, safe to cancel, and a model that it must agree with."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fishlive.errors import ConcurrentIterationError, ConfigError, ConnectionLost
from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.limits import CHUNK_OVERHEAD_BYTES
from tests.conftest import settle

CHUNK = b"\x01" * (1000 - CHUNK_OVERHEAD_BYTES)  # charged as exactly 1000 bytes


def made(levels: list[Level] | None = None) -> AudioBuffer:
    """Return a buffer with marks at 1000, 3000 and 5000 charged bytes."""
    seen = levels if levels is not None else []
    return AudioBuffer(low=1000, high=3000, hard=5000, on_level=seen.append)


async def test_marks_are_exact_on_the_way_up() -> None:
    """At a mark nothing changes; one chunk above it, the level rises."""
    levels: list[Level] = []
    buffer = made(levels)
    heights = []
    for _ in range(6):
        buffer.put(CHUNK)
        heights.append(buffer.level)

    assert heights == [Level.FREE] * 3 + [Level.HIGH] * 2 + [Level.HARD]
    assert levels == [Level.HIGH, Level.HARD]


async def test_marks_are_exact_on_the_way_down() -> None:
    """The socket resumes at high, text at low: not a byte earlier."""
    levels: list[Level] = []
    buffer = made(levels)
    for _ in range(6):
        buffer.put(CHUNK)
    heights = []
    for _ in range(6):
        await buffer.get()
        heights.append(buffer.level)

    assert heights == [Level.HARD] * 2 + [Level.HIGH] * 2 + [Level.FREE] * 2
    assert levels == [Level.HIGH, Level.HARD, Level.HIGH, Level.FREE]


async def test_one_huge_chunk_rises_to_hard_at_once() -> None:
    """A chunk may pass both marks; the level is told once."""
    levels: list[Level] = []
    buffer = made(levels)
    buffer.put(bytes(9000))

    assert levels == [Level.HARD]
    await buffer.get()
    assert levels == [Level.HARD, Level.FREE]


async def test_tiny_chunks_are_charged_for_more_than_their_payload() -> None:
    """Overhead counts: 24 one-byte chunks are enough to pass 3000 bytes."""
    buffer = made()
    count = 0
    while buffer.level is Level.FREE:
        buffer.put(b"\x01")
        count += 1

    assert count == 3000 // (1 + CHUNK_OVERHEAD_BYTES) + 1 == 24


@pytest.mark.parametrize("marks", [(2, 1, 3), (0, 3, 2), (-1, 1, 2)])
async def test_marks_out_of_order_are_refused(marks: tuple[int, int, int]) -> None:
    """Marks that make no sense are a ConfigError, before anything is buffered."""
    low, high, hard = marks
    with pytest.raises(ConfigError, match="low <= high <= hard"):
        AudioBuffer(low=low, high=high, hard=hard)


async def test_new_marks_take_effect_at_once() -> None:
    """Lowering the marks under what is queued raises the level; lifting them lowers it."""
    buffer = made()
    buffer.put(CHUNK)
    buffer.put(CHUNK)
    buffer.set_marks(low=100, high=1500, hard=5000)
    assert buffer.level is Level.HIGH
    buffer.set_marks(low=2000, high=3000, hard=5000)
    assert buffer.level is Level.FREE


async def test_a_waiting_reader_gets_the_next_chunk() -> None:
    """A reader that waits is woken by the first chunk."""
    buffer = made()
    reader = asyncio.create_task(buffer.get())
    await settle()
    buffer.put(CHUNK)

    assert await reader == CHUNK
    assert buffer.stats().reader_waits == 1


async def test_cancelled_get_loses_nothing() -> None:
    """A chunk that arrives in the same tick as a cancellation stays for the next reader."""
    buffer = made()
    reader = asyncio.create_task(buffer.get())
    await settle()
    buffer.put(CHUNK)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert await buffer.get() == CHUNK


async def test_a_cancelled_reader_leaves_its_place() -> None:
    """After a cancelled wait another task may read."""
    buffer = made()
    reader = asyncio.create_task(buffer.get())
    await settle()
    reader.cancel()
    await settle()
    other = asyncio.create_task(buffer.get())
    await settle()
    buffer.put(CHUNK)

    assert await other == CHUNK


async def test_the_second_of_two_readers_is_refused() -> None:
    """The first reader is not affected by the second."""
    buffer = made()
    first = asyncio.create_task(buffer.get())
    await settle()
    with pytest.raises(ConcurrentIterationError):
        await buffer.get()
    buffer.put(CHUNK)

    assert await first == CHUNK


@pytest.mark.parametrize("error", [None, ConnectionLost("gone"), ValueError("theirs")])
async def test_queued_audio_comes_before_the_end(error: Exception | None) -> None:
    """What arrived before the loss is delivered before the loss is raised, as the same object."""
    buffer = made()
    buffer.put(CHUNK)
    buffer.end(error)

    assert await buffer.get() == CHUNK
    with pytest.raises((StopAsyncIteration, ConnectionLost, ValueError)) as caught:
        await buffer.get()
    assert caught.value is error or error is None


async def test_an_error_is_raised_once_and_then_it_is_over() -> None:
    """There is one terminal outcome; after it only the plain end."""
    buffer = made()
    buffer.end(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        await buffer.get()
    with pytest.raises(StopAsyncIteration):
        await buffer.get()


async def test_a_late_end_wins_nothing() -> None:
    """The first end decides; a later error or chunk changes nothing."""
    buffer = made()
    buffer.end()
    buffer.end(ConnectionLost("late"))
    buffer.put(CHUNK)

    assert buffer.drained
    with pytest.raises(StopAsyncIteration):
        await buffer.get()


async def test_the_end_wakes_a_waiting_reader() -> None:
    """A reader does not sleep through the end."""
    buffer = made()
    reader = asyncio.create_task(buffer.get())
    await settle()
    buffer.end(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        await reader


async def test_discarding_forgets_audio_and_end() -> None:
    """After a discard the reader sees only what the discard said; the level falls."""
    levels: list[Level] = []
    buffer = made(levels)
    for _ in range(4):
        buffer.put(CHUNK)
    buffer.end(ValueError("never seen"))
    forgotten = buffer.discard(ConnectionLost("told"))

    assert forgotten == 4 * len(CHUNK)
    assert levels[-1] is Level.FREE
    with pytest.raises(ConnectionLost):
        await buffer.get()


async def test_statistics_count_what_happened() -> None:
    """Received, read and dropped bytes add up; the peak is in charged bytes."""
    buffer = made()
    for _ in range(6):
        buffer.put(CHUNK)
    await buffer.get()
    buffer.discard()
    stats = buffer.stats()

    assert (stats.received_chunks, stats.read_chunks) == (6, 1)
    assert stats.received_bytes == 6 * len(CHUNK)
    assert stats.read_bytes + stats.dropped_bytes == stats.received_bytes
    assert (stats.peak_bytes, stats.text_pauses, stats.socket_pauses) == (6000, 1, 1)


async def test_an_unread_peak_is_seen() -> None:
    """The peak counts chunks that nobody has read yet."""
    buffer = made()
    buffer.put(CHUNK)
    buffer.put(CHUNK)

    assert buffer.stats().peak_bytes == 2000


class AgainstAModel(RuleBasedStateMachine):
    """Any history of puts, gets, ends and discards agrees with a list and three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.levels: list[Level] = []
        self.buffer = AudioBuffer(low=500, high=2000, hard=4000, on_level=self.levels.append)
        self.model: deque[bytes] = deque()
        self.level = Level.FREE
        self.peak = 0
        self.received = 0

    def teardown(self) -> None:
        self.loop.close()

    @property
    def charge(self) -> int:
        return sum(len(chunk) + CHUNK_OVERHEAD_BYTES for chunk in self.model)

    def moved(self) -> None:
        """Move the model's level as the documentation says."""
        if self.charge > 4000:
            self.level = Level.HARD
        elif self.charge > 2000:
            self.level = Level.HARD if self.level is Level.HARD else Level.HIGH
        elif self.charge <= 500:
            self.level = Level.FREE
        elif self.level is Level.HARD:
            self.level = Level.HIGH
        self.peak = max(self.peak, self.charge)

    @rule(size=st.sampled_from([0, 1, 100, 372, 800, 1872, 4000]))
    def put(self, size: int) -> None:
        chunk = bytes([len(self.model) % 256]) * size
        self.buffer.put(chunk)
        if not self.buffer.ended:
            self.model.append(chunk)
            self.received += size
            self.moved()

    @precondition(lambda self: self.model)
    @rule()
    def get(self) -> None:
        chunk = self.loop.run_until_complete(self.buffer.get())
        assert chunk == self.model.popleft()
        self.moved()

    @precondition(lambda self: self.buffer.drained)
    @rule()
    def get_at_the_end(self) -> None:
        with pytest.raises(StopAsyncIteration):
            self.loop.run_until_complete(self.buffer.get())

    @rule()
    def end(self) -> None:
        self.buffer.end()

    @rule()
    def discard(self) -> None:
        assert self.buffer.discard() == sum(map(len, self.model))
        self.model.clear()
        self.moved()

    @invariant()
    def agrees(self) -> None:
        stats = self.buffer.stats()
        assert self.buffer.level is self.level
        assert self.buffer.queued_bytes == sum(map(len, self.model))
        assert stats.peak_bytes == self.peak
        assert stats.received_bytes == self.received
        assert all(a is not b for a, b in zip(self.levels, self.levels[1:], strict=False))


TestAgainstAModel = AgainstAModel.TestCase


async def test_marks_that_are_set_again_let_no_paused_socket_go() -> None:
    """Between high and hard the level stays what it was, whoever looks."""
    buffer = made()
    for _ in range(6):
        buffer.put(CHUNK)
    assert buffer.level is Level.HARD
    await buffer.get()
    (low, high), hard = (buffer._marks[Level.HIGH][1], buffer._marks[Level.FREE][0]), 5000
    assert high < 5000
    buffer.set_marks(high=high, low=low, hard=hard)
    assert buffer.level is Level.HARD


async def test_what_is_queued_again_is_charged_once() -> None:
    """The place of what it replaces is free: bytes and level are those of the new audio."""
    buffer = made()
    for _ in range(6):
        buffer.put(CHUNK)
    buffer.requeue(CHUNK)
    assert buffer.queued_bytes == len(CHUNK)
    assert buffer.level is Level.FREE
    assert await buffer.get() == CHUNK
    assert buffer.queued_bytes == 0
