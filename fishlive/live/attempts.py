"""Whether to try once more, and when: one utterance's tries, before its first audio was heard."""

from __future__ import annotations

import random
from typing import Final

from fishlive.errors import (
    BudgetExceeded,
    FishLiveError,
    MessageTooLarge,
    ProtocolError,
    SlotTimeout,
)
from fishlive.live.outbox import utf8_bytes
from fishlive.live.plan import Attempt, Terms
from fishlive.live.refusals import restarting
from fishlive.transport.endings import complain

MALFORMED_ATTEMPTS: Final = 2
"""A malformed message may be damage on the way, once; twice it is the service."""

RESTART_WAIT_S: Final = 1.0
"""What is added to the wait after those, times a random number up to 1, in seconds."""

MAX_STILLBORN: Final = 3
"""So many connections in a row that die young, without a word, are a service that accepts in order
to refuse (Pipecat's rule): trying on would never end."""


class Attempts:
    """Counts one utterance's attempts and decides on the next.

    Time counts while nothing works: from asking for a connection until there is one, and from the
    first failure on. So connecting may take ``total_s`` in all, and a service that stalls is
    asked once more.

    Attributes:
        made: Attempts so far, the present one included.
    """

    def __init__(self, terms: Terms) -> None:
        self.made: int = 0
        self._terms = terms
        self._since_s: float | None = None
        self._failed = False
        self._stillborn = 0
        self._malformed = 0

    def begin(self, now: float) -> None:
        """Note that a connection is asked for."""
        self.made += 1
        if self._since_s is None:
            self._since_s = now

    def connected(self) -> None:
        """Note that there is one."""
        if not self._failed:
            self._since_s = None

    def swapped(self) -> None:
        """Do not count an attempt over a socket that was dead before it began."""
        self.made -= 1

    def succeed(self) -> None:
        """Note that the service spoke."""
        self._terms.bucket.succeed()

    def wait_s(self, error: FishLiveError, now: float, *, stillborn: bool) -> float | None:
        """Return how long to wait before the next attempt, in seconds; None for no other.

        Args:
            error: How the last one ended.
            now: The time, by the clock of :meth:`begin`.
            stillborn: Whether its connection died young, without a word.
        """
        self.made = max(self.made, 1)  # connecting in advance is an attempt, if it fails
        self._stillborn = self._stillborn + 1 if stillborn else 0
        if self._stillborn >= MAX_STILLBORN:
            return None
        self._malformed += isinstance(error, ProtocolError)
        if not _passing(error, self._malformed):
            return None
        self._failed = True
        if self._since_s is None:
            self._since_s = now
        allowed = self._terms.bucket.fail()
        elapsed_s, retry = now - self._since_s, self._terms.retry
        wait_s = retry.delay_s(error, attempt=self.made, elapsed_s=elapsed_s)
        if wait_s is None or not allowed:
            return None
        if restarting(error):
            wait_s += RESTART_WAIT_S * random.random()  # noqa: S311 - jitter is no secret
            if elapsed_s + wait_s > retry.total_s:
                return None
        return wait_s if self._allowed(Attempt(self.made, error, wait_s)) else None

    def afford(self, text: str) -> bool:
        """Take the price of saying ``text`` again from the budget; return whether it had room."""
        terms = self._terms
        try:
            if terms.budget is not None:
                terms.budget.spend(utf8_bytes(text), terms.model)
        except BudgetExceeded:
            return False
        return True

    def _allowed(self, attempt: Attempt) -> bool:
        """Ask the hook. One that raises forbids, and the event loop hears of it."""
        hook = self._terms.on_retry
        if hook is None:
            return True
        try:
            return hook(attempt) is not False
        except Exception as error:  # noqa: BLE001 - reported, and the failure goes its way
            complain(error)
            return False


def _passing(error: FishLiveError, malformed: int) -> bool:
    """Return whether the same may go well the next time."""
    if isinstance(error, SlotTimeout):
        return False  # that was a queue of our own, and long enough
    if isinstance(error, ProtocolError):
        return malformed < MALFORMED_ATTEMPTS and not isinstance(error, MessageTooLarge)
    return error.retryable
