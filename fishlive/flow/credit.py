"""How far audio may run ahead of the listener, in seconds."""

from __future__ import annotations

from typing import Final

from fishlive.errors import ConfigError
from fishlive.flow.buffer import AudioBuffer
from fishlive.limits import BUFFER_HIGH_BYTES, BUFFER_LOW_BYTES, BUFFER_PAUSE_BYTES

RESUME_SHARE: Final = 0.8
"""Share of the credit at which text flows again: 2 s of the usual 10, several round trips, so
that a listener at real time does not toggle the gate on every chunk."""

_LONGEST_S: Final = 1e9
"""No utterance lasts 30 years; also what keeps infinity and NaN out."""


class Credit:
    """Compares what was received with what was played.

    Until somebody marks what was played, reading counts as playing, and the credit simply lowers
    the buffer's mark for text. From the first mark on, the marks decide.

    Args:
        buffer: The audio queue of the utterance.
        bytes_per_s: Encoded bytes of one second of its audio.
        limit_s: Seconds allowed ahead of the listener; None switches the credit off.
    """

    __slots__ = ("_buffer", "_bytes_per_s", "_limit_s", "marked_s")

    def __init__(self, buffer: AudioBuffer, bytes_per_s: float, limit_s: float | None) -> None:
        self._buffer = buffer
        self._bytes_per_s = bytes_per_s
        self._limit_s = limit_s
        self.marked_s: float | None = None
        if limit_s is not None:
            high = min(BUFFER_HIGH_BYTES, int(limit_s * bytes_per_s))
            low = min(BUFFER_LOW_BYTES, int(high * RESUME_SHARE))
            buffer.set_marks(high=high, low=low, hard=BUFFER_PAUSE_BYTES)

    @property
    def played_s(self) -> float:
        """Seconds the listener has heard: marked, or else read."""
        if self.marked_s is not None:
            return self.marked_s
        return self._buffer.read_bytes / self._bytes_per_s

    @property
    def received_s(self) -> float:
        """Seconds of audio received."""
        return self._buffer.received_bytes / self._bytes_per_s

    @property
    def ahead_s(self) -> float:
        """Seconds received and not played yet."""
        return self.received_s - self.played_s

    @property
    def spent(self) -> bool:
        """Whether marks say that more is ahead of the listener than allowed."""
        if self.marked_s is None or self._limit_s is None:
            return False
        return self.ahead_s > self._limit_s

    def mark(self, played_s: float) -> None:
        """Note that the first ``played_s`` seconds were heard.

        A smaller value than before is ignored, because a playhead does not go back.

        Raises:
            ConfigError: Not a finite number of seconds from 0.
        """
        if not 0 <= played_s < _LONGEST_S:
            raise ConfigError(f"{played_s} is no playing time in seconds", argument="played_s")
        if self.marked_s is None:
            self._buffer.set_marks(
                high=BUFFER_HIGH_BYTES, low=BUFFER_LOW_BYTES, hard=BUFFER_PAUSE_BYTES
            )
        self.marked_s = max(played_s, self.marked_s or 0.0)
