"""What is known of one task, and every change it may go through. Pure.

A store does nothing but keep records and make these changes atomic, so that all stores agree.
Times are seconds since 1970, because several machines may share a store.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Final

URGENT_S: Final = 0.0
"""When a record is due that a callback was heard for: before all that only became overdue."""

ADOPT_S: Final = 60.0
"""How long a callback waits for the acknowledgement it overtook, in seconds. Acknowledgements of
tasks come within seconds; after this the process that waited for one is taken for dead, and the
callback's own id for the task's."""

MOST_HINTS: Final = 3
"""Callbacks that make us look at one task. Real ones come once or twice; what comes more often is
left to the reconciler, so that a replayed callback costs nothing."""


class Phase(str, enum.Enum):
    """Where a record is in its life."""

    INTENDED = "intended"
    """About to be submitted, or submitted and not acknowledged: its task has no name yet."""

    OPEN = "open"
    """The task is known and not handled."""

    DONE = "done"
    """The application's handler returned."""

    DEAD = "dead"
    """The handler failed too often: it waits for a person."""


class Heard(str, enum.Enum):
    """What became of a callback."""

    NEW = "new"
    """It is the first, or may be the first that is true: the task will be looked at."""

    AGAIN = "again"
    """It said nothing new."""

    FOREIGN = "foreign"
    """It speaks of another task than the one its address was made for."""

    UNKNOWN = "unknown"
    """Its address was never given out, or belongs to something long done."""

    MALFORMED = "malformed"
    """It is too large, or no JSON object that names a task."""

    UNAVAILABLE = "unavailable"
    """The store could not be used."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one task.

    Attributes:
        ticket: Names the record, and is in the callback's address.
        gateway: Whose task it is.
        note: The application's own words about it.
        phase: Where it is in its life.
        task_id: What the gateway calls it, once that is known.
        candidate: What a callback called it before the acknowledgement.
        answer: The acknowledgement as JSON, if it held the result already.
        hinted: Whether a callback was heard since it was last looked at.
        hints: Callbacks heard.
        looks: How often the gateway was asked.
        failures: How often the handler failed.
        lapses: How often somebody who had claimed it never came back.
        created_s: When it was made.
        due_s: When somebody should look at it; None for never.
        owner: Who has claimed it.
        lease_s: Until when.
        ended_s: When it was done, or given up.
    """

    ticket: str
    gateway: str
    note: str = field(default="", repr=False)
    phase: Phase = Phase.INTENDED
    task_id: str | None = None
    candidate: str | None = None
    answer: str = field(default="", repr=False)
    hinted: bool = False
    hints: int = 0
    looks: int = 0
    failures: int = 0
    lapses: int = 0
    created_s: float = 0.0
    due_s: float | None = None
    owner: str | None = None
    lease_s: float = 0.0
    ended_s: float | None = None

    @property
    def over(self) -> bool:
        """Whether nobody will look at it again by himself."""
        return self.phase in (Phase.DONE, Phase.DEAD)

    @property
    def ready_s(self) -> float | None:
        """When it may be claimed; None if it may not."""
        if self.over or self.due_s is None:
            return None
        return self.due_s if self.owner is None else max(self.due_s, self.lease_s)


def bound(record: Record, task_id: str, *, due_s: float, answer: str = "") -> Record:
    """Return a record whose task was acknowledged.

    What a callback said before counts if it spoke of this task.
    """
    if record.over or (record.phase is Phase.OPEN and record.candidate is None):
        return record
    hinted = record.hinted and record.candidate == task_id
    due_s = URGENT_S if hinted or answer else due_s
    return replace(
        record,
        phase=Phase.OPEN,
        task_id=task_id,
        candidate=None,
        answer=answer,
        hinted=hinted,
        due_s=due_s,
    )


def hinted(record: Record, task_id: str, *, now_s: float) -> tuple[Record, Heard]:
    """Return a record of which a callback was heard, and what that is worth."""
    if record.task_id is not None and record.task_id != task_id:
        return record, Heard.FOREIGN
    if record.over or record.hinted or record.hints >= MOST_HINTS:
        return record, Heard.AGAIN
    heard = replace(record, hinted=True, hints=record.hints + 1)
    if record.phase is Phase.INTENDED:
        return replace(heard, candidate=task_id, due_s=now_s + ADOPT_S), Heard.NEW
    return replace(heard, due_s=URGENT_S), Heard.NEW


def claimed(record: Record, owner: str, *, ready_s: float, until_s: float) -> Record | None:
    """Return a record that is its owner's until then; None if it was not ready by ``ready_s``.

    One whose owner never came back is claimed as if it were free.
    """
    if record.ready_s is None or record.ready_s > ready_s:
        return None
    return replace(
        record,
        phase=Phase.OPEN,
        task_id=record.task_id or record.candidate,
        hinted=False,
        lapses=record.lapses + (record.owner is not None),
        owner=owner,
        lease_s=until_s,
    )


def renewed(record: Record, owner: str, *, until_s: float) -> Record | None:
    """Return a record claimed for longer; None if it is not the owner's any more."""
    return replace(record, lease_s=until_s) if record.owner == owner else None


def released(
    record: Record, owner: str, *, due_s: float, looks: int = 0, lapses: int = 0
) -> Record | None:
    """Return a record that is free again; None if it was not the owner's any more.

    It is due at once if a callback was heard meanwhile.
    """
    if record.owner != owner:
        return None
    return replace(
        record,
        owner=None,
        lease_s=0.0,
        due_s=URGENT_S if record.hinted else due_s,
        looks=record.looks + looks,
        lapses=record.lapses + lapses,
    )


def failed(
    record: Record, owner: str, *, due_s: float, most_failures: int, now_s: float
) -> Record | None:
    """Return a record whose handler failed; None if it was not the owner's any more."""
    if record.owner != owner:
        return None
    record = replace(record, owner=None, lease_s=0.0, due_s=due_s, failures=record.failures + 1)
    if record.failures < most_failures:
        return record
    return replace(record, phase=Phase.DEAD, due_s=None, ended_s=now_s)


def done(record: Record, owner: str, *, now_s: float) -> Record | None:
    """Return a record whose handler returned; None if it was not the owner's any more.

    What the application wrote goes; the names stay, to know a late callback by.
    """
    if record.owner != owner:
        return None
    return replace(
        record,
        phase=Phase.DONE,
        note="",
        answer="",
        hinted=False,
        due_s=None,
        owner=None,
        lease_s=0.0,
        ended_s=now_s,
    )


def revived(record: Record) -> Record | None:
    """Return a record that was given up and is tried again; None if it was not given up."""
    if record.phase is not Phase.DEAD:
        return None
    return replace(record, phase=Phase.OPEN, failures=0, due_s=URGENT_S, ended_s=None)
