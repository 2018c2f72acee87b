"""Who may speak now: an account's slots, given out in order, live speech first.

An account has so many requests in flight at once (5, 15 or 50 by tier; pricing page, 2026-08),
live and REST together. One governor stands between them and the service. It is unlimited until
somebody names a limit (:mod:`fishlive.flow.capacity` says how), so who never meets a limit never
waits. Nothing that runs is ever taken back: a limit that falls only holds the next ones up.

A governor has no task and no clock of its own: timers are the event loop's, and everything else
happens within the calls of others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from fishlive.errors import ConcurrencyLimitError, RateLimitError, SlotTimeout, WrongLoopError
from fishlive.flow.capacity import Capacity, limit_of
from fishlive.flow.slots import Clock, Priority, Queue, Slot, Ticket

LIVE_WAIT_S: Final[float | None] = 10.0
"""How long live speech waits for a slot unless told, in seconds: what connecting may take in all,
retries included. A listener who has heard nothing for so long has gone."""

BATCH_WAIT_S: Final[float | None] = None
"""How long batch work waits unless told: as long as it takes. A thousand requests begun at once are
a fair way to use five slots, and whatever holds a slot has deadlines of its own."""


@dataclass(frozen=True, slots=True)
class GovernorStats:
    """A governor in numbers. Seconds are floats.

    Attributes:
        limit: Requests that may run at once now; None for no limit.
        running: Slots held now.
        waiting: Requests that wait now.
        peak_running: Most slots held at once.
        granted: Slots given out.
        waited: Requests that had to wait, however that ended.
        wait_s: How long they waited, all together; without those that wait now.
        longest_wait_s: The longest of these waits.
        timeouts: Requests that waited too long.
        refusals: How often the service refused one for its rate or concurrency.
    """

    limit: int | None
    running: int
    waiting: int
    peak_running: int
    granted: int
    waited: int
    wait_s: float
    longest_wait_s: float
    timeouts: int
    refusals: int


class Governor:
    """Gives out an account's slots. Belongs to the loop it is used in; not safe across threads.

    Args:
        limit: Requests that may run at once; None for no limit until the service names one. A
            smaller one that the service names holds all the same.
        live_wait_s: How long live speech waits for a slot, in seconds; None for ever.
        batch_wait_s: The same of batch work.
        idle_sockets_count: Whether a live socket counts against the account while nothing is
            spoken over it. Only requests in flight are documented to (pricing page, 2026-08).
        clock: Whose timers to use; None for the running event loop's.

    Attributes:
        idle_sockets_count: As given.

    Raises:
        ConfigError: The limit is not from 1 to MAX_LIMIT.
    """

    def __init__(
        self,
        limit: int | None = None,
        *,
        live_wait_s: float | None = LIVE_WAIT_S,
        batch_wait_s: float | None = BATCH_WAIT_S,
        idle_sockets_count: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.idle_sockets_count: bool = idle_sockets_count
        self._capacity = Capacity(limit)
        self._wait_s = {Priority.LIVE: live_wait_s, Priority.BATCH: batch_wait_s}
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue = Queue()
        self._held: set[Slot] = set()
        self._spares: OrderedDict[Slot, Callable[[], object]] = OrderedDict()
        self._coming: set[Slot] = set()  # spare ones that were asked for and are not here yet
        self._granting = False
        self._peak = self._granted = self._waited = self._timeouts = self._refusals = 0
        self._waited_s = self._longest_wait_s = 0.0

    @property
    def limit(self) -> int | None:
        """Requests that may run at once; None for no limit."""
        return self._capacity.limit

    @property
    def running(self) -> int:
        """Slots held."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return self._queue.size

    def stats(self) -> GovernorStats:
        """Return its numbers so far."""
        return GovernorStats(
            limit=self.limit,
            running=self.running,
            waiting=self.waiting,
            peak_running=self._peak,
            granted=self._granted,
            waited=self._waited,
            wait_s=self._waited_s,
            longest_wait_s=self._longest_wait_s,
            timeouts=self._timeouts,
            refusals=self._refusals,
        )

    # Taking slots

    async def slot(
        self, *, priority: Priority = Priority.BATCH, timeout_s: float | None = None
    ) -> Slot:
        """Return a slot as soon as it is this request's turn. Cancelling keeps and loses none.

        Args:
            priority: What goes first.
            timeout_s: How long to wait, in seconds; None for what the governor was made with.

        Raises:
            SlotTimeout: It took longer.
            WrongLoopError: Slots of this governor are held in another event loop.
        """
        slot = self.take()
        if slot is not None:
            return slot
        answer: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        ticket = self.ask(
            partial(_hand_over, answer),
            partial(_hand_error, answer),
            priority=priority,
            timeout_s=timeout_s,
        )
        try:
            return await answer
        except BaseException:
            ticket.cancel()
            # The grant may have come in the very turn in which we were cancelled.
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                answer.result().release(well=False)
            raise

    def take(self) -> Slot | None:
        """Return a slot if one is free and nobody waits for it. Raises as :meth:`slot`."""
        self._here()
        return self._new_slot(0.0) if self._free() else None

    def ask(
        self,
        grant: Callable[[Slot], object],
        refuse: Callable[[SlotTimeout], object],
        *,
        priority: Priority,
        timeout_s: float | None = None,
    ) -> Ticket:
        """Have ``grant`` called with a slot, maybe before this returns, or ``refuse`` in the end.

        At most one of them is called, once, and none after :meth:`Ticket.cancel`.

        Args:
            grant: Owns the slot from then on. May be called within somebody else's release. Must
                not raise.
            refuse: Learns that it took too long. Must not raise.
            priority: What goes first.
            timeout_s: How long to wait, in seconds; None for what the governor was made with.

        Raises:
            WrongLoopError: Slots of this governor are held in another event loop.
        """
        clock = self._here()
        ticket = Ticket(self, grant, refuse, priority, clock.time())
        if self._free():
            ticket.grant(self._new_slot(0.0))
            return ticket
        self._waited += 1
        limit_s = self._wait_s[priority] if timeout_s is None else timeout_s
        if limit_s is not None:
            ticket.expire_in(clock, limit_s)
        self._queue.add(ticket)
        self._balance()
        return ticket

    # Learning

    def cap(self, limit: int) -> None:
        """Set a limit of our own; of several, the smallest holds. Raises ConfigError."""
        self._capacity.tell(limit)
        self._balance()

    def learn(self, limit: int | None) -> None:
        """Take the service's word on how many may run; None and nonsense are ignored."""
        self._capacity.learn(limit)
        self._balance()

    def learn_headers(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers, whatever its status. Names are in lower case."""
        self.learn(limit_of(headers))

    def refused(self, error: BaseException, *, others: int | None = None) -> None:
        """Learn from a failure: a 429 or a concurrency refusal lowers the limit, all else nothing.

        The account has no other rate limit than that of concurrency (pricing page, 2026-08).

        Args:
            error: What the service said.
            others: How many of ours ran besides; None if what was refused held no slot.
        """
        if not isinstance(error, RateLimitError):
            return
        self._refusals += 1
        if isinstance(error, ConcurrencyLimitError):
            self._capacity.learn(error.max_concurrency)
        self._capacity.refused(self.running if others is None else others)
        self._balance()

    # For slots and tickets

    def _take_back(self, slot: Slot, *, well: bool) -> None:
        if slot not in self._held:
            return  # of a loop that has gone
        self._held.remove(slot)
        self._spares.pop(slot, None)
        self._coming.discard(slot)
        if well:
            self._capacity.went_well()
        if self._queue.size or self._spares:
            self._balance()

    def _offer(self, slot: Slot, on_wanted: Callable[[], object]) -> None:
        if slot in self._held and slot not in self._coming:
            self._spares[slot] = on_wanted
            self._balance()

    def _withdraw(self, slot: Slot) -> None:
        self._spares.pop(slot, None)

    def _left(self, ticket: Ticket) -> None:
        self._queue.remove(ticket)
        self._note_wait(ticket)

    def _timed_out(self, ticket: Ticket) -> SlotTimeout:
        self._queue.remove(ticket)
        self._timeouts += 1
        waited_s, limit = self._note_wait(ticket), self.limit or self.running
        return SlotTimeout(
            f"all {limit} slots of the account stayed taken for {waited_s:.1f} s",
            limit=limit,
            waited_s=waited_s,
        )

    # Inside

    def _balance(self) -> None:
        """Give out what is free, then ask for spare ones if that was not enough."""
        if self._granting:
            return  # the loop below goes on; recursion would be as deep as the queue
        self._granting = True
        try:
            while self._capacity.admits(self.running):
                ticket = self._queue.next()
                if ticket is None:
                    break
                ticket.grant(self._new_slot(self._note_wait(ticket)))
        finally:
            self._granting = False
        while self._spares and self._lacking():
            slot, on_wanted = self._spares.popitem(last=False)
            self._coming.add(slot)
            on_wanted()

    def _free(self) -> bool:
        """Return whether a slot is free and nobody waits for it."""
        return not self._queue.size and self._capacity.admits(len(self._held))

    def _lacking(self) -> bool:
        limit = self._capacity.limit
        if limit is None:
            return False
        return self.running - len(self._coming) + self.waiting > limit

    def _new_slot(self, waited_s: float) -> Slot:
        slot = Slot(self, waited_s)
        self._held.add(slot)
        self._granted += 1
        if len(self._held) > self._peak:
            self._peak = len(self._held)
        return slot

    def _note_wait(self, ticket: Ticket) -> float:
        waited_s = ticket.waited_s
        self._waited_s += waited_s
        self._longest_wait_s = max(self._longest_wait_s, waited_s)
        return waited_s

    def _now_s(self) -> float:
        clock = self._clock or self._loop
        return 0.0 if clock is None else clock.time()

    def _here(self) -> Clock:
        """Return whose timers to use. What was held in a loop that was closed is forgotten."""
        if self._clock is not None:
            return self._clock
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if (
                self._loop is not None
                and not self._loop.is_closed()
                and (self._held or self._queue.size)
            ):
                raise WrongLoopError("slots of this account are held in another event loop")
            self._held, self._coming, self._queue = set(), set(), Queue()
            self._spares.clear()
            self._loop = loop
        return loop


def _hand_over(answer: asyncio.Future[Slot], slot: Slot) -> None:
    if answer.done():  # cancelled in this turn of the loop
        slot.release(well=False)
    else:
        answer.set_result(slot)


def _hand_error(answer: asyncio.Future[Slot], error: SlotTimeout) -> None:
    if not answer.done():
        answer.set_exception(error)


__all__ = [
    "Clock",
    "Governor",
    "GovernorStats",
    "Priority",
    "Slot",
    "Ticket",
]
