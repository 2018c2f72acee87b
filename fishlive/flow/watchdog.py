"""Who owes what, and since when: deadlines on what the service should still do.

Liveness is no heartbeat. Audio is owed after a flush, or once the service has more text than it
would ever gather, until audio comes; after ``stop`` it is owed until ``finish``. In between nothing
is owed, and an LLM that thinks for five minutes is no fault. Nothing is judged while the listener
has us not read, and nothing before what has already arrived was looked at.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, fields
from typing import Final, Protocol

from fishlive.errors import ConfigError, ConnectionLost, FishLiveError, StallTimeout

FIRST_AUDIO_S: Final = 10.0
"""How long the first audio may take once it is owed, in seconds: ten times the slowest model's
documented second (models overview, 2026-08)."""

STALL_S: Final = 10.0
"""How long the service may be silent in the middle of speech it owes, in seconds: longer than any
player's buffer, so the listener has noticed by then."""

SEND_S: Final = 10.0
"""How long the service may take no text, in seconds."""

PING_EVERY_S: Final = 10.0
"""After so many seconds without a word from the service it is asked for a pong."""

PONG_S: Final = 5.0
"""How long that pong may take, in seconds. With the above a silent network is noticed in 15."""

WAKE_PONG_S: Final = 2.0
"""The same after the machine slept, or on a socket that lay idle, in seconds: somebody waits."""

SLEPT_S: Final = 2.0
"""So many seconds that the loop's clock did not see are a sleep: more than clocks are ever set."""

TICK_S: Final = 0.25
"""How often a watchdog looks, in seconds: what a deadline may be late by. Audio is not stamped as
it arrives, which would cost each message a look at the clock (0.06 of its 2 µs)."""

TICKS_PER_LIMIT: Final = 8
"""A watchdog with short deadlines looks so often within the shortest."""

LATE_S: Final = 0.1
"""A look that comes so many seconds late was held up by a blocked loop: what arrived meanwhile is
taken first, and judged at the next look."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the service may owe something. All in seconds; None for no limit.

    Attributes:
        first_audio_s: From when audio is owed to the first of an utterance.
        stall_s: The same for all later audio, and for ``finish``.
        send_s: How long it may take no text.
        ping_every_s: Silence after which it is asked for a sign of life.
        pong_s: How long that may take.

    Raises:
        ConfigError: Not a number over 0; it names which.
    """

    first_audio_s: float | None = FIRST_AUDIO_S
    stall_s: float | None = STALL_S
    send_s: float | None = SEND_S
    ping_every_s: float | None = PING_EVERY_S
    pong_s: float = PONG_S

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name != "pong_s":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ConfigError("a number of seconds over 0", argument=field.name)

    @property
    def tick_s(self) -> float:
        """How often to look, in seconds."""
        limits = (self.first_audio_s, self.stall_s, self.send_s, self.ping_every_s, self.pong_s)
        return min(TICK_S, *(limit / TICKS_PER_LIMIT for limit in limits if limit is not None))


class Ward(Protocol):
    """What a watchdog watches: one utterance's attempt over one socket."""

    @property
    def heard(self) -> int:
        """Audio messages received so far."""

    @property
    def willing(self) -> bool:
        """Whether the socket is read."""

    @property
    def writable(self) -> bool:
        """Whether the socket takes more."""

    @property
    def pongs(self) -> int:
        """Pongs received so far."""

    @property
    def overfed(self) -> bool:
        """Whether the service has more text to speak than it would ever gather."""

    @property
    def speechless(self) -> bool:
        """Whether nothing was said since the last audio that can be spoken."""

    def ping(self) -> None:
        """Ask the peer for a pong."""

    def flushed(self, *, answered: bool) -> None:
        """Learn that audio was asked for; ``answered`` if what was asked before has been."""

    def fed(self) -> None:
        """Learn that all text so far has been answered, as far as anybody can know."""

    def expire(self, error: FishLiveError) -> None:
        """Learn that a deadline has passed. Called once."""


class Watchdog:
    """Looks after one attempt until :meth:`close`. Owns one timer of the loop.

    Args:
        loop: Whose clock and timers it uses.
        deadlines: How patient it is.
        ward: Whom it looks after.
    """

    __slots__ = (
        "_choked_at", "_deadlines", "_due", "_first", "_heard", "_loop", "_owed_at",
        "_patience_s", "_pinged_at", "_pongs", "_quiet_at", "_slept_s", "_spared", "_stopped",
        "_suspended", "_tick_s", "_timer", "_ward",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, deadlines: Deadlines, ward: Ward) -> None:
        now = loop.time()
        self._loop = loop
        self._deadlines = deadlines
        self._ward = ward
        self._tick_s = deadlines.tick_s
        self._heard = ward.heard
        self._first = True
        self._stopped = False
        self._suspended = False
        self._spared = False  # whether the last look came too late to judge
        self._owed_at: float | None = None
        self._choked_at: float | None = None
        self._pinged_at: float | None = None
        self._patience_s = deadlines.pong_s
        self._pongs = ward.pongs
        self._quiet_at = now
        self._slept_s = asleep_s()
        self._due = now + self._tick_s
        self._timer: asyncio.TimerHandle | None = loop.call_at(self._due, self._look)

    # What happens to the ward

    def flushed(self) -> None:
        """Note that audio was asked for."""
        ward = self._ward
        answered = self._owed_at is not None and not self._stopped and ward.heard != self._heard
        if answered:  # and nobody has looked since
            self._heard, self._first, self._owed_at = ward.heard, False, None
            self._quiet_at, self._pinged_at = self._loop.time(), None
        ward.flushed(answered=answered)
        if self._owed_at is None and not ward.speechless:
            self._owe()

    def stopped(self) -> None:
        """Note that all text was sent: from now on ``finish`` is owed."""
        self._stopped = True
        self._owe()

    def choked(self) -> None:
        """Note that text waits because the socket takes no more."""
        if self._choked_at is None:
            self._choked_at = self._loop.time()

    def flowed(self) -> None:
        """Note that the socket takes text again."""
        self._choked_at = None

    def doubt(self) -> None:
        """Ask for a sign of life now, with little patience."""
        self._ask(WAKE_PONG_S)

    def close(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Inside

    def _owe(self) -> None:
        if self._owed_at is None:
            self._first = self._first and self._ward.heard == self._heard
            self._heard = self._ward.heard
            self._owed_at = self._loop.time()
            self._look_by(self._owed_at + self._limit_s())

    def _limit_s(self) -> float:
        limit_s = self._deadlines.first_audio_s if self._first else self._deadlines.stall_s
        return float("inf") if limit_s is None else limit_s

    def _look_by(self, when: float) -> None:
        """Look at ``when``, if that is before the next look."""
        if self._timer is not None and when < self._due:
            self._timer.cancel()
            self._due = when
            self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        late = now - self._due > LATE_S
        self._timer = None
        self._note(now)
        error = None if self._suspended else self._verdict(now)
        if error is not None and (self._spared or not late):
            self._ward.expire(error)
            return
        self._spared = error is not None  # once: a loop that is always late has deadlines too
        due = now + self._tick_s
        if error is None and self._owed_at is not None and not self._suspended:
            due = max(now, min(due, self._owed_at + self._limit_s()))
        self._due = due
        self._timer = self._loop.call_at(due, self._look)

    def _note(self, now: float) -> None:
        """Take in what has happened since the last look."""
        ward = self._ward
        if not ward.willing:
            self._suspended = True
            return
        heard, pongs = ward.heard, ward.pongs
        spoke = heard != self._heard
        if spoke or self._suspended or pongs != self._pongs:
            self._quiet_at, self._pinged_at, self._pongs = now, None, pongs
        if self._suspended:
            # What was owed is owed from now: nobody was looking.
            self._suspended = False
            self._owed_at = None if self._owed_at is None else now
            self._choked_at = None if self._choked_at is None else now
        if spoke:
            self._heard, self._first = heard, False
            self._owed_at = now if self._stopped else None
            ward.fed()
        elif self._owed_at is None and ward.overfed:
            self._owed_at = now
        self._keep_in_touch(now)

    def _keep_in_touch(self, now: float) -> None:
        slept_s = asleep_s()
        if slept_s - self._slept_s > SLEPT_S:
            self._pinged_at = None  # a ping from before may be lost
            self._ask(WAKE_PONG_S)
        self._slept_s = slept_s
        every_s = self._deadlines.ping_every_s
        if every_s is not None and now - self._quiet_at >= every_s:
            self._ask(self._deadlines.pong_s)

    def _ask(self, patience_s: float) -> None:
        if self._pinged_at is None and self._ward.writable:
            self._pinged_at, self._patience_s = self._loop.time(), patience_s
            self._pongs = self._ward.pongs
            self._ward.ping()

    def _verdict(self, now: float) -> FishLiveError | None:
        """Return what has taken too long."""
        deadlines = self._deadlines
        if self._pinged_at is not None and now - self._pinged_at >= self._patience_s:
            return ConnectionLost(f"the connection is dead: no pong within {self._patience_s:g} s")
        # Added as `_look_by` adds it: a difference may be rounded to less, at that very time.
        if self._owed_at is not None and now >= self._owed_at + (limit_s := self._limit_s()):
            phase = "first_audio" if self._first else "audio"
            return StallTimeout(f"the service owed audio for {limit_s:g} s", phase=phase)
        send_s = deadlines.send_s
        if self._choked_at is not None and send_s is not None and now - self._choked_at >= send_s:
            return StallTimeout(f"the service took no text for {send_s:g} s", phase="send")
        return None


def asleep_s() -> float:
    """Return how far the clock that sees sleep is ahead of the one that does not, in seconds.

    Where no clock of the system sees sleep (macOS), the wall clock has to do: if it is set, that
    costs one ping.
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    ahead = time.time() if boottime is None else time.clock_gettime(boottime)
    return ahead - time.monotonic()
