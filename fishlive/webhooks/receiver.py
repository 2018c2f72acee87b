"""Callbacks of the gateways, none of which is believed, and none of which can be lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final

from fishlive.errors import (
    ConfigError,
    FishLiveError,
    InvalidRequestError,
    NotFoundError,
    UsageError,
)
from fishlive.gateways.gateway import Gateway
from fishlive.gateways.tasks import Task
from fishlive.gateways.verdict import classify
from fishlive.stores import Heard, Phase, Record, SqliteStore, TaskStore
from fishlive.stores import record as changes
from fishlive.webhooks.addresses import Query, check_url, token_in, with_token
from fishlive.webhooks.arrivals import Arrivals
from fishlive.webhooks.bodies import Headers, MalformedBody, parsed
from fishlive.webhooks.complaints import Complaints
from fishlive.webhooks.events import LATER, Event, Finished
from fishlive.webhooks.keys import Secrets
from fishlive.webhooks.reconciler import GIVE_UP_S, OVERDUE_S, Reconciler, address_of
from fishlive.webhooks.sending import Sending
from fishlive.webhooks.tokens import Tokens
from fishlive.webhooks.worker import LEASE_S, MOST_FAILURES, Worker

STORE: Final = "fishlive-tasks.sqlite3"
"""Where the state is kept unless told, in the working directory."""

CONCURRENCY: Final = 8
"""Handlers at once unless told. A crash may repeat as many."""

MOST_NOTE_CHARS: Final = 16 * 1024
"""Longest note: the key of a row or a little JSON, not the text itself."""

LIST_MARGIN_S: Final = 300.0
"""How far the gateway's clock may be from ours when its tasks are listed, in seconds."""

KEEP_S: Final = 7 * 86_400.0
"""How long handled tasks are known, in seconds, so that late callbacks are recognised: as long as
the gateways keep their records by the most generous page."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", re.ASCII)


class Receiver:
    """Hears callbacks, and hands each task to the handler once. An async context manager.

    A callback is only a hint: these gateways sign nothing. Its address has a token that only this
    receiver can make, made for one task; then the gateway is asked, and its answer is trusted. A
    task whose callback never comes is asked for when it is overdue. So every task submitted
    through the receiver reaches the handler exactly once: after the handler has returned, it is
    done. If the process crashes before that, the task is handed over again, here or at another
    receiver that shares the store, with ``redelivered`` set; a handler that must not do a thing
    twice looks at it, or uses ``ticket`` as the key of what it writes. An exception of the handler
    is logged and the task tried again, up to MOST_FAILURES times.

    Also what ``task.wait(callbacks=receiver)`` takes: then a callback ends a pause between polls.

    Args:
        client: Of the gateway. Not closed here.
        handler: What to do with a task that is over, well or not. None leaves that to another
            receiver that shares the store: this one submits, and hears callbacks.
        url: Where the gateway reaches this receiver: ``https``, unless it is this machine or
            ``allow_insecure`` is set.
        secret: Makes the tokens: 16 characters or more, kept across restarts. Several, newest
            first, while one is being replaced.
        store: Where the state is: a store, closed here, or the path of an SQLite file.
        concurrency: Handlers at once.
        overdue_s: When a task is asked for of which nothing was heard, in seconds.
        give_up_s: When a task that never ends counts as failed, in seconds.
        lease_s: How long others wait before they take over what a crashed receiver had claimed.
        most_failures: Failures of the handler after which a task is given up; see :meth:`dead`.
        allow_insecure: Whether tokens may travel unencrypted.
        clock: Seconds since 1970.

    Raises:
        ConfigError: An argument cannot be right; on enter: the store cannot be used.
    """

    def __init__(
        self,
        client: Gateway,
        handler: Callable[[Finished], Awaitable[object]] | None,
        *,
        url: str,
        secret: Secrets,
        store: TaskStore | str | os.PathLike[str] = STORE,
        concurrency: int = CONCURRENCY,
        overdue_s: float = OVERDUE_S,
        give_up_s: float = GIVE_UP_S,
        lease_s: float = LEASE_S,
        most_failures: int = MOST_FAILURES,
        allow_insecure: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._client = client
        self._gateway = client.name
        try:
            self._tokens = Tokens(secret, purpose=client.name)
        finally:
            del secret  # tracebacks are printed with their locals
        check_url(url, allow_insecure=allow_insecure)
        for name, value in (
            ("concurrency", concurrency),
            ("overdue_s", overdue_s),
            ("give_up_s", give_up_s),
            ("lease_s", lease_s),
            ("most_failures", most_failures),
        ):
            if not value > 0:
                raise ConfigError(f"{name} is a number over 0", argument=name)
        self._store = store if isinstance(store, TaskStore) else SqliteStore(store)
        self._clock = clock
        self._overdue_s = overdue_s
        self._arrivals = Arrivals()
        desk = Reconciler(client, overdue_s=overdue_s, give_up_s=give_up_s, clock=clock)
        self._worker = handler and Worker(
            self._store,
            client.name,
            desk,
            handler,
            concurrency=concurrency,
            lease_s=lease_s,
            most_failures=most_failures,
            keep_s=KEEP_S,
            clock=clock,
        )
        self._sending = Sending(self._keep, self._forget)
        self._complaints = Complaints()
        self.counts: Counter[Heard] = Counter()
        """How many callbacks were worth what, since the receiver was made."""
        self._open: bool | None = None

    async def __aenter__(self) -> Receiver:
        if self._open is not None:
            raise UsageError("a receiver is entered once")
        self._open = True
        try:
            await self._store.start()
        except BaseException:
            await self.aclose()
            raise
        if self._worker is not None:
            self._worker.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop: wait a while for what is sent and for handlers, close the store. Idempotent."""
        self._open = False
        try:
            await self._sending.stop()
            if self._worker is not None:
                await self._worker.stop()
        finally:
            await self._store.aclose()

    def __repr__(self) -> str:
        return f"<fishlive.webhooks.Receiver of {self._gateway} at {self._url}>"

    @property
    def store(self) -> TaskStore:
        """Where the state is kept."""
        return self._store

    async def submit(self, send: Callable[[str], Awaitable[Task]], *, note: str = "") -> Task:
        """Submit a task that cannot be lost, and return its handle.

        The intention is kept before anything is sent, and the task's id once it is acknowledged::

            task = await receiver.submit(
                lambda url: gateway.tts.submit("Hello", callback_url=url), note="chapter 7"
            )

        If ``send`` fails in a way that leaves open whether the gateway has the task, the intention
        stays: if it has, its callback finds it. See :meth:`unacknowledged`. Cancelling stops the
        waiting and nothing else: what was sent is acknowledged and kept behind it, so that a
        caller who went away costs no task.

        Args:
            send: Submits it, with the address for its callback.
            note: What the handler is to know about it: at most MOST_NOTE_CHARS.

        Raises:
            ConfigError: The note is too long.
            StoreError: The state could not be kept. If nothing is kept, nothing is sent; if the
                task's id could not be kept, after some tries, it is in the sentence.
            FishLiveError: Whatever ``send`` raises.
        """
        url = await self.callback_url(note=note)
        return await self._sending.submit(url, send)

    async def callback_url(self, *, note: str = "") -> str:
        """Return a new address for the callback of one task, and keep the intention.

        Call :meth:`bind` after the acknowledgement; :meth:`submit` does both. Until then only a
        callback can tell which task it is.
        """
        if len(note) > MOST_NOTE_CHARS:
            raise ConfigError(f"note has at most {MOST_NOTE_CHARS} characters", argument="note")
        self._check_open()
        ticket, token = self._tokens.mint()
        record = Record(ticket, self._gateway, note, created_s=self._clock())
        await self._store.insert(record)
        return with_token(self._url, token)

    async def bind(self, url: str, task: Task) -> None:
        """Tell which task an address went out with, once it is acknowledged. Idempotent.

        Raises:
            ConfigError: The address is not this receiver's, or the task is another gateway's.
            StoreError: It could not be kept. Its callback can still find it.
        """
        self._check_task(task)
        self._check_open()
        await self._keep(url, task)

    async def track(self, task: Task, *, note: str = "") -> None:
        """Have a task handled that was submitted without a callback. Idempotent.

        Raises:
            ConfigError: The task is another gateway's, or the note is too long.
            StoreError: It could not be kept.
        """
        self._check_task(task)
        await self.bind(await self.callback_url(note=note), task)

    async def handle(self, raw_body: bytes, headers: Headers, query: Query) -> Event:
        """Hear a callback, and return what it was worth and what to answer.

        What is not ours leaves no trace: nothing is kept, nothing is fetched, and the answer is
        the same. Raises nothing for anything that a stranger may send.

        Args:
            raw_body: As it came; of one over MAX_BODY_BYTES the beginning is enough.
            headers: Not used: these gateways say nothing in them.
            query: Of the address: as text, or taken apart.
        """
        event = await self._hear(raw_body, query)
        self.counts[event.heard] += 1
        if event.heard is Heard.NEW and event.task_id is not None:
            self._arrivals.heard(event.task_id)
            self._wake()
        elif event.reason:
            self._complaints.add(event.reason)
        return event

    async def arrived(self, task_id: str) -> None:
        """Return once a callback for a task has come to this process; each is told once."""
        await self._arrivals.arrived(task_id)

    async def unacknowledged(self, *, limit: int = 1000) -> list[Record]:
        """Return intentions of which no acknowledgement and no callback is known, oldest first.

        Their process died, or lost the answer, between sending and keeping the id. Whether the
        gateway has the task cannot be known; the notes say what it was. Some of them may be about
        to be acknowledged: look at ``created_s``. :meth:`recover` finds what the gateway lists. To
        submit one again costs its price again, if the gateway has it. Then, or to let it go, forget
        it with ``store.remove(ticket)``; a late callback of it does nothing.
        """
        intended = await self._store.select(self._gateway, Phase.INTENDED, limit=limit)
        return [record for record in intended if record.candidate is None]

    async def recover(self) -> list[Record]:
        """Find tasks whose acknowledgement was lost in the gateway's list; return what is left.

        A record of the gateway repeats the request, with the address that we made. Worth a call
        after a crash, if :meth:`unacknowledged` is not empty. Not every gateway lists tasks of
        Fish: see :meth:`~fishlive.gateways.tasks.Tasks.made_between`.

        Raises:
            FishLiveError: The gateway or the store could not be asked.
        """
        sought = {record.ticket: record for record in await self.unacknowledged()}
        if not sought:
            return []
        since_s = min(record.created_s for record in sought.values()) - LIST_MARGIN_S
        listed = self._client.tasks.made_between(since_s, self._clock() + LIST_MARGIN_S)
        with contextlib.suppress(InvalidRequestError, NotFoundError):  # this gateway lists nothing
            async for status in listed:
                url = address_of(status)
                ticket = self._tokens.ticket(token_in(url.partition("?")[2]))
                if sought.pop(ticket or "", None) is not None:
                    await self._keep(url, self._client.tasks.handle(status.id))
        return list(sought.values())

    async def dead(self, *, limit: int = 1000) -> list[Record]:
        """Return tasks whose handler failed too often, oldest first.

        Try one again with ``store.revive(ticket)``.
        """
        return await self._store.select(self._gateway, Phase.DEAD, limit=limit)

    async def _hear(self, raw_body: bytes, query: Query) -> Event:
        ticket = self._tokens.ticket(token_in(query))
        if ticket is None:
            return Event(Heard.UNKNOWN, reason="its token is not ours")
        try:
            task_id = _task_id(parsed(raw_body))
        except MalformedBody as error:
            return Event(Heard.MALFORMED, reason=str(error))
        try:
            heard = await self._store.hint(ticket, task_id, now_s=self._clock())
        except FishLiveError as error:
            return Event(Heard.UNAVAILABLE, LATER, reason=str(error))
        return Event(heard, task_id=task_id, reason=_REASONS.get(heard, ""))

    async def _keep(self, url: str, task: Task) -> None:
        ticket, due_s, answer = self._ticket_in(url), self._clock() + self._overdue_s, _answer(task)
        bound = await self._store.bind(ticket, task.id, due_s=due_s, answer=answer)
        if bound is None:  # of an intention that is not kept any more, or of a task that is known
            record = Record(ticket, self._gateway, created_s=self._clock())
            await self._store.insert(changes.bound(record, task.id, due_s=due_s, answer=answer))
        self._wake()

    async def _forget(self, url: str) -> None:
        await self._store.remove(self._ticket_in(url))

    def _ticket_in(self, url: str) -> str:
        _, _, query = url.partition("?")
        ticket = self._tokens.ticket(token_in(query))
        if ticket is None:
            raise ConfigError("the address is none of this receiver's", argument="url")
        return ticket

    def _wake(self) -> None:
        if self._worker is not None:
            self._worker.wake()

    def _check_open(self) -> None:
        if not self._open:
            raise UsageError("the receiver is not entered, or closed")

    def _check_task(self, task: Task) -> None:
        if task.gateway != self._gateway:
            raise ConfigError(
                f"the task is {task.gateway}'s, the receiver {self._gateway}'s", argument="task"
            )


_REASONS: Final = {
    Heard.UNKNOWN: "its task is done and forgotten",
    Heard.FOREIGN: "it speaks of another task",
}


def _answer(task: Task) -> str:
    """Return the acknowledgement, if it held the result already."""
    return json.dumps(dict(task.raw)) if classify(task.raw).state.over else ""


def _task_id(body: Mapping[str, Any]) -> str:
    task_id = body.get("task_id")
    if not isinstance(task_id, str) or not _ID.fullmatch(task_id):
        raise MalformedBody("it names no task")
    return task_id
