"""Hands every record of a store to the application's handler, once.

Claiming a record makes it this worker's for a while; while the worker lives, the claim is renewed.
A record is done only after the handler returned. So a crash in between repeats it, and nothing
else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import anyio

from fishlive.errors import StoreError
from fishlive.stores import Record, TaskStore

_log: Final = logging.getLogger("fishlive.webhooks")

T = TypeVar("T")

LEASE_S: Final = 30.0
"""How long a claim outlives its owner, in seconds. Renewed three times in that time, so that a
busy loop keeps its claims; after a crash, others wait so long."""

IDLE_S: Final = 1.0
"""How often the store is asked for what became due, in seconds; a callback is heard at once."""

MOST_HELD: Final = 200
"""Records claimed at once: enough to keep the handlers busy, few to wait for after a crash."""

DRAIN_S: Final = 10.0
"""How long running handlers are waited for when the worker stops, in seconds."""

FAILED_S: Final = 1.0
MOST_FAILED_S: Final = 300.0
"""A failed handler is tried again after the first, twice as long each time, up to the second."""

MOST_FAILURES: Final = 8
"""Failures after which a record is given up, and kept: about four minutes after the first."""


PURGE_S: Final = 3600.0
"""How often what was handled long ago is forgotten, in seconds."""


@dataclass(frozen=True, slots=True)
class Later:
    """A record is not over.

    Attributes:
        due_s: When to look again, in seconds since 1970.
        looks: How often it was looked at, for which this is the reason.
    """

    due_s: float
    looks: int = 1


@dataclass(frozen=True, slots=True)
class Drop:
    """A record is to be forgotten."""


class Desk(Protocol[T]):
    """Says what is to be done with records. It has the pace."""

    batch: int
    """Most records it takes at once."""

    async def pace(self) -> float | None:
        """Wait until something may be looked at; return by when it was ready, None for now."""

    async def look(self, records: Sequence[Record]) -> list[T | Later | Drop]:
        """Return for each record what the handler gets, or why it gets nothing."""


class Worker(Generic[T]):
    """Owns the tasks that look and handle. Start, stop; used once.

    Args:
        store: Where the records are.
        gateway: Whose records.
        desk: Looks at them.
        handler: The application's.
        concurrency: Handlers at once.
        lease_s: How long a claim outlives its owner.
        most_failures: Failures of the handler after which a record is given up.
        keep_s: How long what was handled is remembered.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        store: TaskStore,
        gateway: str,
        desk: Desk[T],
        handler: Callable[[T], Awaitable[object]],
        *,
        concurrency: int,
        lease_s: float = LEASE_S,
        most_failures: int = MOST_FAILURES,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._desk = desk
        self._handler = handler
        self._slots = asyncio.Semaphore(concurrency)
        self._lease_s = lease_s
        self._most_failures = most_failures
        self._keep_s = keep_s
        self._purge_s = 0.0
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._held: dict[str, asyncio.Task[None] | None] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._abandoning = False
        self._scope: anyio.CancelScope | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [
            asyncio.create_task(self._work(), name="fishlive-webhooks-work"),
            asyncio.create_task(self._renew(), name="fishlive-webhooks-renew"),
        ]

    def wake(self) -> None:
        """Tell it that something is due."""
        self._wake.set()

    async def stop(self) -> None:
        """Claim nothing more, wait DRAIN_S for running handlers, and give back what is left."""
        if not self._tasks:
            return
        self._stopping = True
        self._wake.set()
        if self._scope is not None:
            self._scope.cancel()
        (work, renew), self._tasks = self._tasks, []
        try:
            await work
            running = [task for task in self._held.values() if task is not None]
            if running:
                await asyncio.wait(running, timeout=DRAIN_S)
        finally:
            await self._abandon([work, renew])
        await self._give_back()

    async def _give_back(self) -> None:
        for ticket, task in self._held.items():
            began = task is not None
            with contextlib.suppress(StoreError):  # then the claim runs out by itself
                await self._store.release(
                    ticket, self._owner, due_s=self._clock(), lapses=int(began)
                )
        self._held.clear()

    async def _abandon(self, tasks: list[asyncio.Task[None]]) -> None:
        self._abandoning = True
        tasks += [task for task in self._held.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while not self._stopping:
            try:
                busy = await self._round()
            except StoreError as error:
                _log.warning("the store failed: %s", error)
                busy = False
            except Exception:  # noqa: BLE001 - nobody awaits this task, and all depend on it
                _log.exception("a round failed")
                busy = False
            if not busy:
                await self._rest()

    async def _rest(self) -> None:
        with anyio.move_on_after(IDLE_S):
            await self._wake.wait()

    async def _round(self) -> bool:
        """Look at what is due; return whether there was anything."""
        records: list[Record] = []
        try:
            with anyio.CancelScope() as self._scope:
                ready_s = await self._desk.pace()
                self._wake.clear()
                records = [] if self._stopping else await self._claim(ready_s)
                verdicts = await self._desk.look(records) if records else []
            if self._scope.cancelled_caught:
                return False  # stopping: what is held is given back there
            for record, verdict in zip(records, verdicts, strict=True):
                await self._carry_out(record, verdict)
        except Exception:
            self._let_go(records)
            raise
        return bool(records)

    def _let_go(self, records: list[Record]) -> None:
        """Renew no more what no handler has got, so that its claim runs out."""
        for record in records:
            if self._held.get(record.ticket) is None:
                self._held.pop(record.ticket, None)

    async def _claim(self, ready_s: float | None) -> list[Record]:
        limit = min(self._desk.batch, MOST_HELD - len(self._held))
        if limit <= 0:
            return []
        now_s = self._clock()
        # Shielded, because what was claimed must be known to be given back.
        with anyio.CancelScope(shield=True):
            records = await self._store.claim(
                self._gateway,
                self._owner,
                ready_s=now_s if ready_s is None else ready_s,
                until_s=now_s + self._lease_s,
                limit=limit,
            )
        # After a clock was set, or the loop stood still, claims may run out that are at work here.
        fresh = [record for record in records if record.ticket not in self._held]
        self._held.update(dict.fromkeys((record.ticket for record in fresh), None))
        return fresh

    async def _carry_out(self, record: Record, verdict: T | Later | Drop) -> None:
        if isinstance(verdict, Later):
            await self._store.release(
                record.ticket, self._owner, due_s=verdict.due_s, looks=verdict.looks
            )
        elif isinstance(verdict, Drop):
            await self._store.remove(record.ticket)
        else:
            task = asyncio.create_task(
                self._hand_over(record, verdict), name=f"fishlive-webhooks-handler-{record.ticket}"
            )
            self._held[record.ticket] = task
            return
        self._held.pop(record.ticket, None)

    async def _hand_over(self, record: Record, event: T) -> None:
        try:
            async with self._slots:
                handled = await self._handled(record, event)
                await self._insist(lambda: (self._done if handled else self._failed)(record))
        finally:
            if not self._abandoning:  # there it is given back
                self._held.pop(record.ticket, None)
                self._wake.set()

    async def _handled(self, record: Record, event: T) -> bool:
        """Run the handler; return whether it returned."""
        try:
            await self._handler(event)
        except asyncio.CancelledError:
            if self._abandoning:
                raise
            # Something that the handler waited for was cancelled, not we.
            _log.exception("the handler was cancelled for task %s", record.task_id)
        except Exception:  # noqa: BLE001 - whatever the application does, nothing is lost
            _log.exception("the handler failed for task %s", record.task_id)
        else:
            return True
        return False

    async def _done(self, record: Record) -> None:
        if not await self._store.done(record.ticket, self._owner, now_s=self._clock()):
            _log.warning("task %s was handled after its claim had run out", record.task_id)

    async def _failed(self, record: Record) -> None:
        now_s = self._clock()
        pause_s = min(FAILED_S * 2**record.failures, MOST_FAILED_S)
        await self._store.fail(
            record.ticket,
            self._owner,
            due_s=now_s + pause_s,
            most_failures=self._most_failures,
            now_s=now_s,
        )
        if record.failures + 1 >= self._most_failures:
            _log.error("task %s is given up: its handler failed too often", record.task_id)

    async def _insist(self, write: Callable[[], Awaitable[Any]]) -> None:
        """Write until it is written: the handler has run, and must not run again."""
        while True:
            try:
                await write()
            except StoreError as error:  # noqa: PERF203 - it is tried again
                _log.warning("the store failed: %s", error)
                await anyio.sleep(IDLE_S)
            else:
                return

    async def _renew(self) -> None:
        while True:
            await anyio.sleep(self._lease_s / 3)
            try:
                now_s = self._clock()
                await self._store.renew(
                    list(self._held), self._owner, until_s=now_s + self._lease_s
                )
                if now_s >= self._purge_s:
                    self._purge_s = now_s + PURGE_S
                    await self._store.purge(self._gateway, before_s=now_s - self._keep_s)
            except StoreError as error:
                _log.warning("the store failed: %s", error)
