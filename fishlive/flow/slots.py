"""The right to run one request, the place in the queue for it, and whose turn it is."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

from fishlive.errors import SlotTimeout

if TYPE_CHECKING:
    from fishlive.flow.governor import Governor

LIVE_RUN: Final = 16
"""Live grants in a row after which a batch request that waits gets one: batch work keeps a
seventeenth of a busy account, and live speech hardly notices."""


class Priority(enum.IntEnum):
    """What goes first."""

    LIVE = 0  # somebody listens
    BATCH = 1  # somebody will


class Timer(Protocol):
    """What can be called off."""

    def cancel(self) -> None:
        """Call it off. Idempotent."""


class Clock(Protocol):
    """What a governor needs of an event loop; virtual ones will do."""

    def time(self) -> float:
        """Return the time, in seconds from whenever."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Have ``callback`` called in ``delay`` seconds."""


class Slot:
    """The right to run one request. As a context manager it learns from what the block raises.

    Attributes:
        waited_s: How long it was waited for, in seconds.
    """

    __slots__ = ("_governor", "_well", "waited_s")

    def __init__(self, governor: Governor, waited_s: float) -> None:
        self.waited_s: float = waited_s
        self._governor: Governor | None = governor
        self._well = True

    def release(self, *, well: bool = True) -> None:
        """Give it back. Idempotent; may grant it to others before it returns.

        Args:
            well: Whether the service served it to the end, which is what lets a lowered limit
                grow; never after :meth:`failed`.
        """
        governor, self._governor = self._governor, None
        if governor is not None:
            governor._take_back(self, well=well and self._well)

    def failed(self, error: BaseException) -> None:
        """Learn from how its request failed, before :meth:`release`.

        A 429 and a concurrency refusal lower the limit, nothing else does.
        """
        self._well = False
        if self._governor is not None:
            self._governor.refused(error, others=self._governor.running - 1)

    def spare(self, on_wanted: Callable[[], object]) -> None:
        """Say that nothing runs on it now, only an open socket.

        Args:
            on_wanted: Called once, maybe within this call, when a request waits for it: close
                what is open, then :meth:`release`. The longest spare is asked first. Must not
                raise.
        """
        if self._governor is not None:
            self._governor._offer(self, on_wanted)

    def busy(self) -> None:
        """Take :meth:`spare` back: it is needed again."""
        if self._governor is not None:
            self._governor._withdraw(self)

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.failed(error)
        self.release()


class Ticket:
    """A place in the queue.

    Attributes:
        priority: Which queue.
        since_s: When it was drawn, by the clock.
    """

    __slots__ = ("_governor", "_grant", "_refuse", "_timer", "priority", "since_s", "waiting")

    def __init__(
        self,
        governor: Governor,
        grant: Callable[[Slot], object],
        refuse: Callable[[SlotTimeout], object],
        priority: Priority,
        since_s: float,
    ) -> None:
        self.priority: Priority = priority
        self.since_s: float = since_s
        self.waiting: bool = True
        """Whether it was neither answered nor given up yet."""
        self._governor = governor
        self._grant = grant
        self._refuse = refuse
        self._timer: Timer | None = None

    @property
    def waited_s(self) -> float:
        """How long it has been waiting until now, in seconds."""
        return self._governor._now_s() - self.since_s

    def cancel(self) -> None:
        """Give the place up: neither callback is called any more. Idempotent.

        After the grant it does nothing; the slot is the holder's to release.
        """
        if self.waiting:
            self.settle()
            self._governor._left(self)

    def expire_in(self, clock: Clock, limit_s: float) -> None:
        """Give the place up by itself after so many seconds."""
        self._timer = clock.call_later(limit_s, self._expire)

    def grant(self, slot: Slot) -> None:
        """End waiting with a slot."""
        if self.waiting:
            self.settle()
            self._grant(slot)
        else:  # a finaliser gave it up just now
            slot.release(well=False)

    def settle(self) -> None:
        """Stop waiting, without a word."""
        self.waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self.waiting:
            self.settle()
            self._refuse(self._governor._timed_out(self))


class Queue:
    """Who waits: live before batch, and first come, first served within each.

    Batch work is not starved: after LIVE_RUN live tickets in a row that went past a waiting batch
    ticket, the next one is that.

    Attributes:
        size: How many wait.
    """

    __slots__ = ("_batch", "_live", "_live_run", "size")

    def __init__(self) -> None:
        # Ordered dicts, because tickets leave from the middle.
        self._live: OrderedDict[Ticket, None] = OrderedDict()
        self._batch: OrderedDict[Ticket, None] = OrderedDict()
        self._live_run = 0
        self.size: int = 0

    def add(self, ticket: Ticket) -> None:
        """Put it behind all others of its priority."""
        self._of(ticket)[ticket] = None
        self.size += 1

    def remove(self, ticket: Ticket) -> None:
        """Forget it, if it is here."""
        queue = self._of(ticket)
        if ticket in queue:
            del queue[ticket]
            self.size -= 1
        if not self._batch:
            self._live_run = 0

    def next(self) -> Ticket | None:
        """Take out whose turn it is; None if nobody waits."""
        live_first = self._live and not (self._batch and self._live_run >= LIVE_RUN)
        self._live_run = self._live_run + 1 if live_first and self._batch else 0
        for queue in (self._live, self._batch) if live_first else (self._batch, self._live):
            while queue:
                ticket, _ = queue.popitem(last=False)
                self.size -= 1
                # One that a finaliser is giving up just now is on its way out.
                if ticket.waiting:
                    return ticket
        return None

    def _of(self, ticket: Ticket) -> OrderedDict[Ticket, None]:
        return self._live if ticket.priority is Priority.LIVE else self._batch
