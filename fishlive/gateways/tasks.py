"""Tasks of a gateway: handles that outlive the process, and waiting for them."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import anyio

from fishlive.errors import (
    ConfigError,
    FishLiveError,
    NotFoundError,
    ProtocolError,
    TaskTimeout,
    UsageError,
)
from fishlive.gateways.results import Result, read_result
from fishlive.gateways.verdict import TaskState, classify, when
from fishlive.transport.http import quote_id

if TYPE_CHECKING:
    from fishlive.gateways.gateway import Gateway

Kind = Literal["audios", "voices", "tts"]

WAIT_S: Final = 600.0
"""How long a task is waited for unless told, in seconds: what the gateways' own tools wait. Audio
takes one to two minutes by the guides, seconds by others."""

FIRST_POLL_S: Final = 3.0
"""Wait before the first look, in seconds: short speech is done by then (measured by others)."""

POLL_GROWTH: Final = 1.5
POLL_CAP_S: Final = 10.0
"""Each wait is half as long again as the one before, up to so many seconds."""

LEAST_POLL_S: Final = 1.0
"""Never more often than that, in seconds: the documents ask for under one request a second."""

UNKNOWN_GRACE_S: Final = 30.0
"""How long a task that was just submitted may be unknown, in seconds: its record is written behind
the answer."""

MAX_BATCH: Final = 50
"""Most tasks in one question (first-party clients, 2026)."""


MOST_PAGES: Final = 200
"""Pages of a list that are asked for: ten thousand tasks, in some minutes."""


class CallbackSource(Protocol):
    """Hears of callbacks. A webhook receiver is one."""

    def arrived(self, task_id: str) -> Awaitable[object]:
        """Return something to await that is done when a callback for the task has come."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How a task stands.

    Attributes:
        id: Of the task.
        state: Unknown, pending, succeeded or failed.
        result: What it made, once it succeeded.
        error: Why it failed.
        raw: The gateway's record, as it was; empty if it is unknown.
    """

    id: str
    state: TaskState
    result: Result | None = None
    error: FishLiveError | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def unwrap(self) -> Result:
        """Return the result, or raise why there is none.

        Raises:
            FishLiveError: It failed.
            UsageError: It is not over.
        """
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise UsageError(f"task {self.id} is {self.state.value}")
        return self.result


@dataclass(frozen=True)
class Task:
    """A handle of a task. Immutable, hashable, and pickles; :meth:`bind` gives it its client again.

    Attributes:
        id: What the gateway calls it; empty if it made none, because it was done at once.
        kind: ``audios``, ``voices`` or ``tts``.
        gateway: Which gateway: ``acedata`` or ``xhuo``.
        trace_id: What support knows it by.
        started_at: When the gateway took it, if told.
        raw: The gateway's acknowledgement, as it was.
    """

    id: str
    kind: Kind
    gateway: str
    trace_id: str | None = None
    started_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _client: Gateway | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}

    def bind(self, client: Gateway) -> Task:
        """Return the same handle, asking through this client.

        Raises:
            ConfigError: The client is of another gateway.
        """
        if client.name != self.gateway:
            raise ConfigError(
                f"the task is {self.gateway}'s, the client {client.name}'s", argument="client"
            )
        return replace(self, _client=client)

    async def status(self) -> TaskStatus:
        """Ask how it stands. Raises as :meth:`Tasks.get`."""
        born = self._born()
        return born if born.state.over else await self._bound().tasks.get(self.id)

    async def result(self) -> Result:
        """Return what it made, without waiting.

        Raises:
            FishLiveError: It failed; the class says why.
            UsageError: It is not over.
        """
        return (await self.status()).unwrap()

    async def wait(
        self, *, timeout_s: float | None = WAIT_S, callbacks: CallbackSource | None = None
    ) -> Result:
        """Return what it made, once it is over.

        Looks less and less often, from FIRST_POLL_S up to POLL_CAP_S apart, and at once when a
        callback comes; the callback itself is only a hint. A look that fails for now does not end
        the wait. Cancelling stops the waiting and nothing else: the task goes on.

        Args:
            timeout_s: How long to wait, in seconds; None for ever.
            callbacks: Where callbacks are heard of, if anywhere.

        Raises:
            TaskTimeout: It was not over in time; it has the id, to wait again.
            NotFoundError: The gateway does not know it, for UNKNOWN_GRACE_S.
            FishLiveError: It failed; the class says why.
        """
        async for status in self.changes(timeout_s=timeout_s, callbacks=callbacks):
            if status.state.over:
                return status.unwrap()
        raise TaskTimeout(f"task {self.id} was not over within {timeout_s:g} s", task_id=self.id)

    async def changes(
        self, *, timeout_s: float | None = WAIT_S, callbacks: CallbackSource | None = None
    ) -> AsyncGenerator[TaskStatus, None]:
        """Yield its status whenever that has changed, the first one too; end when it is over.

        Ends without a word when time is up. Arguments and errors as :meth:`wait`.
        """
        if timeout_s is not None and not timeout_s > 0:
            raise ConfigError("timeout_s is a number of seconds over 0", argument="timeout_s")
        began_s, last = anyio.current_time(), None
        pause = _Pauses(None if timeout_s is None else began_s + timeout_s)
        while True:
            status = await self._look(anyio.current_time() - began_s)
            if status is not None and status.state is not last:
                last = status.state
                yield status
            if status is not None and status.state.over:
                return
            if not await pause.over(self.id, callbacks):
                return

    def __aiter__(self) -> AsyncIterator[TaskStatus]:
        """Yield its status whenever that has changed, for WAIT_S at most."""
        return self.changes()

    async def _look(self, elapsed_s: float) -> TaskStatus | None:
        """Return how it stands; None if that cannot be known now."""
        try:
            status = await self.status()
        except FishLiveError as error:
            if not error.retryable:
                raise
            return None
        if status.state is TaskState.UNKNOWN and elapsed_s > UNKNOWN_GRACE_S:
            raise NotFoundError(f"{self.gateway} knows no task {self.id}")
        return status

    def _born(self) -> TaskStatus:
        """Return what the acknowledgement says: a gateway may have been done at once."""
        return read_status(self.raw, self.id)

    def _bound(self) -> Gateway:
        if self._client is None:
            raise UsageError("the handle has no client: use task.bind(client)")
        return self._client


class Tasks:
    """Asks a gateway how tasks stand. Free of charge."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handle(self, task_id: str, kind: Kind = "tts") -> Task:
        """Return the handle of a task of which only the id was kept.

        Raises:
            ConfigError: No id.
        """
        quote_id(task_id, argument="task_id")
        return Task(task_id, kind, self._gateway.name, _client=self._gateway)

    async def get(self, task_id: str) -> TaskStatus:
        """Return how a task stands; one that the gateway does not know is ``unknown``.

        Source: the guides' Tasks API (``POST /fish/tasks``, 2026-09). Repeated after a failure.

        Raises:
            ConfigError: No id.
            APIStatusError: The gateway refused; its subclass says why.
            ConnectError, ConnectionLost, StallTimeout: The network failed.
        """
        quote_id(task_id, argument="task_id")
        try:
            record = await self._ask({"action": "retrieve", "id": task_id})
        except NotFoundError:
            record = None
        return read_status(record, task_id)

    async def get_many(self, task_ids: Iterable[str]) -> dict[str, TaskStatus]:
        """Return how tasks stand, by id; those that the gateway does not know are ``unknown``.

        MAX_BATCH at a time, at most one question a second. Raises as :meth:`get`.
        """
        ids = list(dict.fromkeys(task_ids))
        for task_id in ids:
            quote_id(task_id, argument="task_ids")
        found: dict[str, TaskStatus] = {}
        for at in range(0, len(ids), MAX_BATCH):
            if at:
                await anyio.sleep(LEAST_POLL_S)
            batch = ids[at : at + MAX_BATCH]
            answer = await self._ask({"action": "retrieve_batch", "ids": batch})
            found |= _by_id(answer)
        return {one: found.get(one) or read_status(None, one) for one in ids}

    async def made_between(
        self, since_s: float, until_s: float
    ) -> AsyncGenerator[TaskStatus, None]:
        """Yield the tasks that were made in a span of time, as far as the gateway lists them.

        Documented for the same API of a sibling service (``created_at_min``, ``created_at_max``,
        ``offset``, ``limit``; OpenAI tasks, 2026), and not promised for Fish: expect a refusal, or
        nothing. MAX_BATCH at a time, at most one question a second. Times are seconds since 1970.
        Raises as :meth:`get`.
        """
        span = {"created_at_min": since_s, "created_at_max": until_s, "limit": MAX_BATCH}
        for page in range(MOST_PAGES):
            if page:
                await anyio.sleep(LEAST_POLL_S)
            question = {"action": "retrieve_batch", **span, "offset": page * MAX_BATCH}
            found = _by_id(await self._ask(question))
            for status in found.values():
                yield status
            if len(found) < MAX_BATCH:
                return

    async def _ask(self, question: dict[str, object]) -> Any:
        return await self._gateway.post("tasks", question, safe=True)


def read_status(record: object, task_id: str) -> TaskStatus:
    """Return what a record, an acknowledgement or a callback says about a task."""
    verdict = classify(record)
    whole: Mapping[str, Any] = record if isinstance(record, Mapping) else {}
    if verdict.state is TaskState.SUCCEEDED and verdict.result is not None:
        try:
            result = read_result(verdict.result, whole, None)
        except ProtocolError as error:
            return TaskStatus(task_id, TaskState.FAILED, error=error, raw=whole)
        return TaskStatus(task_id, verdict.state, result, raw=whole)
    return TaskStatus(task_id, verdict.state, error=verdict.error, raw=whole)


def acknowledged(answer: object, kind: Kind, client: Gateway) -> Task:
    """Return the handle that an acknowledgement stands for.

    Raises:
        ProtocolError: It names no task and holds no result.
    """
    body: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    task_id = body.get("task_id") or body.get("id") or ""
    done_at_once = not task_id and classify(body).state.over
    if not isinstance(task_id, str) or not (task_id or done_at_once):
        raise ProtocolError("the gateway's acknowledgement names no task_id")
    trace_id = body.get("trace_id")
    return Task(
        task_id,
        kind,
        client.name,
        trace_id if isinstance(trace_id, str) else None,
        when(body.get("started_at")),
        body,
        client,
    )


class _Pauses:
    """The waits between looks: growing, with jitter, ended early by a callback.

    Args:
        ends_at: When there is no more time, by anyio's clock; None for never.
    """

    def __init__(self, ends_at: float | None) -> None:
        self._ends_at = ends_at
        self._next_s = FIRST_POLL_S

    async def over(self, task_id: str, callbacks: CallbackSource | None) -> bool:
        """Wait; return whether to look again."""
        wait_s = max(LEAST_POLL_S, self._next_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        self._next_s = min(self._next_s * POLL_GROWTH, POLL_CAP_S)
        if self._ends_at is not None:
            left_s = self._ends_at - anyio.current_time()
            if left_s <= 0:
                return False
            wait_s = min(wait_s, left_s)
        with anyio.move_on_after(wait_s):
            if callbacks is None:
                await anyio.sleep(wait_s)
            else:
                await callbacks.arrived(task_id)
        return True


def _by_id(answer: object) -> dict[str, TaskStatus]:
    items = answer.get("items") if isinstance(answer, Mapping) else None
    if not isinstance(items, list):
        raise ProtocolError("the answer to a batch of tasks has no list of items")
    records = (item for item in items if isinstance(item, Mapping))
    return {
        record["id"]: read_status(record, record["id"])
        for record in records
        if isinstance(record.get("id"), str)
    }
