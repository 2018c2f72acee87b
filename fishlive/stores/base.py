"""What a store must be able to do, and what all of them do alike."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TypeVar

from fishlive.stores import record as changes
from fishlive.stores.record import Heard, Phase, Record

Step = Callable[[Record], Record | None]
"""Returns a record as it should be, or None to leave it. Pure: it may be called again."""


StoreT = TypeVar("StoreT", bound="TaskStore")


class TaskStore(abc.ABC):
    """Keeps records of tasks, for one process or for several. An async context manager.

    Every method may raise StoreError. A store of another kind implements the abstract ones.
    """

    @abc.abstractmethod
    async def start(self) -> None:
        """Open it. Idempotent."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Close it. Idempotent."""

    @abc.abstractmethod
    async def insert(self, record: Record) -> bool:
        """Keep a new record; return False if its ticket or its task is known."""

    @abc.abstractmethod
    async def change(self, ticket: str, step: Step) -> Record | None:
        """Change a record atomically and return it; None if there is none.

        A record that would get the task of another one is removed instead: a task has one.
        """

    @abc.abstractmethod
    async def change_ready(
        self, gateway: str, step: Step, *, ready_s: float, limit: int
    ) -> list[Record]:
        """Change the records that were ready by then, the longest ready first; return those.

        What is true of :meth:`change` is true of each. Of several callers who ask at once, one
        gets a record.
        """

    @abc.abstractmethod
    async def remove(self, ticket: str) -> None:
        """Forget a record, if there is one."""

    @abc.abstractmethod
    async def get(self, ticket: str) -> Record | None:
        """Return a record, if there is one."""

    @abc.abstractmethod
    async def find(self, gateway: str, task_id: str) -> Record | None:
        """Return the record of a task, if there is one."""

    @abc.abstractmethod
    async def select(self, gateway: str, phase: Phase, *, limit: int) -> list[Record]:
        """Return records in a phase, the oldest first."""

    @abc.abstractmethod
    async def count(self, gateway: str, phase: Phase) -> int:
        """Return how many records are in a phase."""

    @abc.abstractmethod
    async def purge(self, gateway: str, *, before_s: float) -> int:
        """Forget what was done before then; return how many. What was given up stays."""

    async def __aenter__(self: StoreT) -> StoreT:  # noqa: PYI019  # Self is 3.11's
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def bind(
        self, ticket: str, task_id: str, *, due_s: float, answer: str = ""
    ) -> Record | None:
        """Tell which task an intention became; None if it, or the task's record, is another.

        Args:
            ticket: Of the intention.
            task_id: By the acknowledgement.
            due_s: When it is overdue.
            answer: The acknowledgement as JSON, if it held the result already.
        """
        step = functools.partial(changes.bound, task_id=task_id, due_s=due_s, answer=answer)
        return await self.change(ticket, step)

    async def hint(self, ticket: str, task_id: str, *, now_s: float) -> Heard:
        """Tell that a callback was heard, and return what it was worth."""
        heard = Heard.UNKNOWN

        def step(record: Record) -> Record | None:
            nonlocal heard
            after, heard = changes.hinted(record, task_id, now_s=now_s)
            return after if heard is Heard.NEW else None

        found = await self.change(ticket, step)
        return Heard.UNKNOWN if found is None else heard

    async def claim(
        self, gateway: str, owner: str, *, ready_s: float, until_s: float, limit: int
    ) -> list[Record]:
        """Claim what was ready by then. Until the claim runs out, nobody else gets it."""
        step = functools.partial(changes.claimed, owner=owner, ready_s=ready_s, until_s=until_s)
        return await self.change_ready(gateway, step, ready_s=ready_s, limit=limit)

    async def renew(self, tickets: Iterable[str], owner: str, *, until_s: float) -> None:
        """Claim for longer what is still the owner's."""
        step = functools.partial(changes.renewed, owner=owner, until_s=until_s)
        for ticket in tickets:
            await self.change(ticket, step)

    async def release(
        self, ticket: str, owner: str, *, due_s: float, looks: int = 0, lapses: int = 0
    ) -> bool:
        """Give back what was claimed; return False if it was not the owner's any more.

        Args:
            ticket: Of the record.
            owner: Who had claimed it.
            due_s: When to look again.
            looks: How often the gateway was asked meanwhile.
            lapses: 1 if the handler may have begun.
        """
        step = functools.partial(
            changes.released, owner=owner, due_s=due_s, looks=looks, lapses=lapses
        )
        return await self._own(ticket, step)

    async def fail(
        self, ticket: str, owner: str, *, due_s: float, most_failures: int, now_s: float
    ) -> bool:
        """Tell that the handler failed; return False if it was not the owner's any more."""
        step = functools.partial(
            changes.failed, owner=owner, due_s=due_s, most_failures=most_failures, now_s=now_s
        )
        return await self._own(ticket, step)

    async def done(self, ticket: str, owner: str, *, now_s: float) -> bool:
        """Tell that the handler returned; return False if it was not the owner's any more."""
        return await self._own(ticket, functools.partial(changes.done, owner=owner, now_s=now_s))

    async def revive(self, ticket: str) -> bool:
        """Try again what was given up; return False if it was not given up."""
        return await self._own(ticket, changes.revived)

    async def _own(self, ticket: str, step: Step) -> bool:
        """Change a record; return whether the step had anything to change."""
        changed = False

        def watched(record: Record) -> Record | None:
            nonlocal changed
            after = step(record)
            changed = after is not None
            return after

        found = await self.change(ticket, watched)
        return changed and found is not None
