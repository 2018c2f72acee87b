"""Asks the gateway about tasks that a callback was heard for, or that are overdue."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import anyio

from fishlive.errors import (
    ConfigError,
    FishLiveError,
    InvalidRequestError,
    NotFoundError,
    TaskTimeout,
)
from fishlive.gateways.gateway import Gateway
from fishlive.gateways.tasks import MAX_BATCH, TaskStatus, read_status
from fishlive.gateways.verdict import TaskState
from fishlive.stores import Record
from fishlive.stores.record import URGENT_S
from fishlive.webhooks.events import Finished
from fishlive.webhooks.worker import Drop, Later

_log: Final = logging.getLogger("fishlive.webhooks")

OVERDUE_S: Final = 30.0
"""When a task is overdue whose callback did not come, in seconds after its acknowledgement: most
are over within twenty (the guides' examples take 13)."""

POLL_SPACING_S: Final = 1.1
"""From one look at what is overdue to the next, in seconds: the documents ask for less than one a
second."""

HINT_SPACING_S: Final = 0.1
"""From one look to the next while callbacks come in, in seconds. All that came meanwhile share
one; ten a second are far under the 60 that the older pages allow."""

PENDING_S: Final = 2.0
"""When to look again after a callback of which the record knows nothing yet, in seconds."""

LOOK_GROWTH: Final = 1.5
MOST_PAUSE_S: Final = 300.0
"""Each pause between looks is half as long again as the one before, up to so many seconds."""

TROUBLE_S: Final = 5.0
"""When to look again after the gateway could not be asked, in seconds."""

GIVE_UP_S: Final = 86_400.0
"""When a task that never ends counts as failed, in seconds after it was made: records were once
promised for 24 hours."""


class Reconciler:
    """Looks at tasks through the tasks API, in batches, at a pace. For a :class:`Worker`.

    Args:
        client: Of the gateway.
        overdue_s: When a task is looked at of which nothing was heard.
        give_up_s: When a task that never ends counts as failed.
        clock: Seconds since 1970.
    """

    batch = MAX_BATCH

    def __init__(
        self,
        client: Gateway,
        *,
        overdue_s: float = OVERDUE_S,
        give_up_s: float = GIVE_UP_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._overdue_s = overdue_s
        self._give_up_s = give_up_s
        self._clock = clock
        self._looked_s = -POLL_SPACING_S

    async def pace(self) -> float | None:
        """Wait HINT_SPACING_S from the last look; until POLL_SPACING_S, only for callbacks."""
        passed_s = time.monotonic() - self._looked_s
        if passed_s < HINT_SPACING_S:
            await anyio.sleep(HINT_SPACING_S - passed_s)
            passed_s = time.monotonic() - self._looked_s
        return None if passed_s >= POLL_SPACING_S else URGENT_S

    async def look(self, records: Sequence[Record]) -> list[Finished | Later | Drop]:
        """Return for each record how its task ended, or when to look again."""
        try:
            statuses = await self._ask([record.task_id or "" for record in records])
        except FishLiveError as error:
            if not error.retryable and len(records) > 1 and isinstance(error, _ABOUT_IDS):
                return [(await self._alone(record)) for record in records]
            return [self._trouble(record, error) for record in records]
        return [self._judged(record, statuses[record.task_id or ""]) for record in records]

    async def _alone(self, record: Record) -> Finished | Later | Drop:
        """Look at one record of a batch that was refused: only one of them may be to blame."""
        await anyio.sleep(POLL_SPACING_S)
        return (await self.look([record]))[0]

    async def _ask(self, task_ids: list[str]) -> dict[str, TaskStatus]:
        try:
            return await self._client.tasks.get_many(task_ids)
        finally:
            self._looked_s = time.monotonic()

    def _trouble(self, record: Record, error: FishLiveError) -> Finished | Later | Drop:
        _log.warning("the gateway could not be asked: %s", error)
        now_s = self._clock()
        if now_s - record.created_s > self._give_up_s and isinstance(error, _ABOUT_IDS):
            status = TaskStatus(record.task_id or "", TaskState.FAILED, error=error)
            return self._finished(record, status)
        return Later(now_s + self._pause_s(record, TROUBLE_S))

    def _judged(self, record: Record, status: TaskStatus) -> Finished | Later | Drop:
        """Judge a record; one that nobody can judge does not hold up those beside it."""
        try:
            return self._judge(record, status)
        except Exception:  # noqa: BLE001 - a fault of ours, or what was kept is damaged
            _log.exception("task %s cannot be judged", record.task_id)
            return Later(self._clock() + self._pause_s(record, TROUBLE_S))

    def _judge(self, record: Record, status: TaskStatus) -> Finished | Later | Drop:
        if not status.state.over and record.answer:
            # It was over when it was acknowledged: such tasks may have no record at the gateway.
            status = read_status(json.loads(record.answer), status.id)
        if record.candidate is not None and _foreign(record, status):
            _log.warning("a callback named a task that is not its own")
            return Drop()
        if status.state.over:
            return self._finished(record, status)
        now_s = self._clock()
        if now_s - record.created_s > self._give_up_s:
            return self._finished(record, _given_up(status))
        first_s = PENDING_S if record.hints else self._overdue_s
        return Later(now_s + self._pause_s(record, first_s))

    def _pause_s(self, record: Record, first_s: float) -> float:
        return float(min(first_s * LOOK_GROWTH ** min(record.looks, 32), MOST_PAUSE_S))

    def _finished(self, record: Record, status: TaskStatus) -> Finished:
        return Finished(
            record.ticket,
            status.id,
            record.gateway,
            record.note,
            status,
            redelivered=bool(record.lapses or record.failures),
        )


_ABOUT_IDS: Final = (ConfigError, InvalidRequestError, NotFoundError)


def _foreign(record: Record, status: TaskStatus) -> bool:
    """Return whether a task that only a callback named was submitted with another address."""
    address = address_of(status)
    return bool(address) and record.ticket not in address


def address_of(status: TaskStatus) -> str:
    """Return the callback address that a task was submitted with; empty if its record has none."""
    request = status.raw.get("request")
    address = request.get("callback_url") if isinstance(request, dict) else None
    return address if isinstance(address, str) else ""


def _given_up(status: TaskStatus) -> TaskStatus:
    error: FishLiveError
    if status.state is TaskState.UNKNOWN:
        error = NotFoundError(f"the gateway does not know task {status.id}")
    else:
        error = TaskTimeout(f"task {status.id} never ended", task_id=status.id)
    return TaskStatus(status.id, TaskState.FAILED, error=error, raw=status.raw)
