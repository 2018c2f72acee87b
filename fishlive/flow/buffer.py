"""The only audio queue: between the socket that puts and the one listener that gets."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from fishlive.errors import ConcurrentIterationError, ConfigError
from fishlive.limits import (
    BUFFER_HIGH_BYTES,
    BUFFER_LOW_BYTES,
    BUFFER_PAUSE_BYTES,
    CHUNK_OVERHEAD_BYTES,
    KIB,
)


class Level(enum.Enum):
    """How full the buffer is, that is, what may still flow towards it."""

    FREE = "free"  # read the socket, send text
    HIGH = "high"  # read the socket, send no text
    HARD = "hard"  # read nothing, send nothing


class BufferStats(NamedTuple):
    """What a buffer has seen. Bytes are payload, except for the charged peak."""

    received_bytes: int
    received_chunks: int
    read_bytes: int
    read_chunks: int
    peak_bytes: int
    """Most that was charged at once: payload and CHUNK_OVERHEAD_BYTES a chunk."""
    text_pauses: int
    socket_pauses: int
    reader_waits: int
    dropped_bytes: int


REQUEUED_BYTES: Final = 16 * KIB
"""Size of the chunks that replace others: a third of a second of 24 kHz PCM; whole samples."""

_NEVER: Final = 1 << 62
"""A mark that no charge reaches, in bytes."""


class AudioBuffer:
    """Keeps audio in order until it is read, and says when less should flow.

    A chunk is never refused: it has been read from the socket and has nowhere else to go. Three
    marks bound the growth instead. Above *high* no text should be sent, because audio is a
    function of text; above *hard* the socket should be paused. Each has a lower mark at which
    it is lifted (*low* for text, *high* for the socket), so that a listener as fast as the
    network does not toggle them on every chunk.

    Args:
        high: Text stops above this, in bytes charged.
        low: Text flows again at or below this.
        hard: The socket stops above this.
        on_level: Called at each change of :attr:`level`, from within ``put``, ``get`` or
            ``discard``. Must not raise.

    Raises:
        ConfigError: Unless ``0 <= low <= high <= hard``.
    """

    __slots__ = (
        "_charged",
        "_chunks",
        "_dropped_bytes",
        "_dropped_chunks",
        "_ended",
        "_error",
        "_fall_at",
        "_marks",
        "_on_level",
        "_peak",
        "_read_bytes",
        "_read_chunks",
        "_reader",
        "_rise_above",
        "_socket_pauses",
        "_text_pauses",
        "_waits",
        "level",
    )

    def __init__(
        self,
        *,
        high: int = BUFFER_HIGH_BYTES,
        low: int = BUFFER_LOW_BYTES,
        hard: int = BUFFER_PAUSE_BYTES,
        on_level: Callable[[Level], None] | None = None,
    ) -> None:
        self._chunks: deque[bytes] = deque()
        self._charged = 0
        self._on_level = on_level
        self._ended = False
        self._error: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None
        self._peak = self._read_bytes = self._read_chunks = 0
        self._text_pauses = self._socket_pauses = self._waits = 0
        self._dropped_bytes = self._dropped_chunks = 0
        self.level: Level = Level.FREE
        self.set_marks(high=high, low=low, hard=hard)

    def set_marks(self, *, high: int, low: int, hard: int) -> None:
        """Replace the marks; the level follows at once. Raises as the constructor."""
        if not 0 <= low <= high <= hard:
            raise ConfigError(
                f"need 0 <= low <= high <= hard, got low={low}, high={high}, hard={hard}",
                argument="buffer",
            )
        # For each level: rise above this many bytes charged, fall at or below that many.
        self._marks: Mapping[Level, tuple[int, int]] = {
            Level.FREE: (high, -1),
            Level.HIGH: (hard, low),
            Level.HARD: (_NEVER, high),
        }
        self._rise_above, self._fall_at = self._marks[self.level]
        self._settle()

    @property
    def ended(self) -> bool:
        """Whether nothing more can be put."""
        return self._ended

    @property
    def drained(self) -> bool:
        """Whether it has ended and all of it was read."""
        return self._ended and not self._chunks

    @property
    def queued_bytes(self) -> int:
        """Payload not read yet, in bytes."""
        return self._charged - CHUNK_OVERHEAD_BYTES * len(self._chunks)

    @property
    def received_bytes(self) -> int:
        """Payload put so far, in bytes."""
        return self._read_bytes + self.queued_bytes + self._dropped_bytes

    @property
    def received_chunks(self) -> int:
        """Chunks put so far."""
        return self._read_chunks + len(self._chunks) + self._dropped_chunks

    @property
    def read_chunks(self) -> int:
        """Chunks handed out so far."""
        return self._read_chunks

    @property
    def read_bytes(self) -> int:
        """Payload handed out so far, in bytes."""
        return self._read_bytes

    def stats(self) -> BufferStats:
        """Return what the buffer has seen so far."""
        return BufferStats(
            self.received_bytes,
            self.received_chunks,
            self._read_bytes,
            self._read_chunks,
            max(self._peak, self._charged),
            self._text_pauses,
            self._socket_pauses,
            self._waits,
            self._dropped_bytes,
        )

    def put(self, chunk: bytes) -> None:
        """Add a chunk; never waits, never refuses. After the end it is dropped."""
        if self._ended:
            return
        self._chunks.append(chunk)
        self._charged += len(chunk) + CHUNK_OVERHEAD_BYTES
        if self._charged > self._rise_above:
            self._settle()
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(None)

    async def get(self) -> bytes:
        """Return the oldest chunk. Cancelling this never loses one.

        Raises:
            StopAsyncIteration: After the last chunk, if the end was clean or its error was
                already raised.
            BaseException: After the last chunk, once, the error given to :meth:`end`.
            ConcurrentIterationError: Another task is waiting here; it is not affected.
        """
        chunks = self._chunks
        while not chunks:
            if self._ended:
                raise self._take_error()
            if self._reader is not None:
                raise ConcurrentIterationError("another task is already reading this utterance")
            await self._arrival()
        # No await from here to the return: that is what makes it safe to cancel.
        charged = self._charged
        if charged > self._peak:  # it only grows between two reads, so reads see every peak
            self._peak = charged
        chunk = chunks.popleft()
        size = len(chunk)
        self._read_bytes += size
        self._read_chunks += 1
        self._charged = charged = charged - size - CHUNK_OVERHEAD_BYTES
        if charged <= self._fall_at:
            self._settle()
        return chunk

    def end(self, error: BaseException | None = None) -> None:
        """Let the reader drain what is queued, then tell it why. The first call wins."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        self._wake()

    def discard(self, error: BaseException | None = None) -> int:
        """Forget what is queued and end, now; return the bytes forgotten.

        Unlike :meth:`end` this replaces an end that was not read yet.
        """
        forgotten = self.queued_bytes
        self._dropped_bytes += forgotten
        self._dropped_chunks += len(self._chunks)
        self._peak = max(self._peak, self._charged)
        self._chunks.clear()
        self._charged = 0
        self._ended, self._error = True, error
        self._settle()
        self._wake()
        return forgotten

    def queued(self) -> bytes:
        """Return a copy of what is not read yet."""
        return b"".join(self._chunks)

    def requeue(self, audio: bytes) -> None:
        """Replace what is not read yet, as if the rest had never come: it will come again."""
        self._peak = max(self._peak, self._charged)
        self._chunks.clear()
        self._charged = 0
        for start in range(0, len(audio), REQUEUED_BYTES):
            chunk = audio[start : start + REQUEUED_BYTES]
            self._chunks.append(chunk)
            self._charged += len(chunk) + CHUNK_OVERHEAD_BYTES
        self._settle()

    async def _arrival(self) -> None:
        """Wait for a chunk or the end. Cancelling leaves the place to the next reader."""
        waiter = asyncio.get_running_loop().create_future()
        self._reader = waiter
        self._waits += 1
        try:
            await waiter
        finally:
            if self._reader is waiter:
                self._reader = None

    def _take_error(self) -> BaseException:
        error, self._error = self._error, None
        return StopAsyncIteration() if error is None else error

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def _settle(self) -> None:
        """Move the level to where the charge belongs, telling of the change once."""
        before = level = self.level
        low, high = self._marks[Level.HIGH][1], self._marks[Level.FREE][0]
        hard = self._marks[Level.HIGH][0]
        if self._charged > hard:
            level = Level.HARD
        elif self._charged > high:
            level = before if before is Level.HARD else Level.HIGH
        elif self._charged <= low:
            level = Level.FREE
        elif before is Level.HARD:
            level = Level.HIGH
        if level is before:
            return
        self.level = level
        self._rise_above, self._fall_at = self._marks[level]
        self._text_pauses += before is Level.FREE
        self._socket_pauses += level is Level.HARD
        if self._on_level is not None:
            self._on_level(level)
