"""Callbacks of the gateways, none of which is believed, and none of which can be lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from fishlive.errors import (
    APIStatusError,
    ConfigError,
    ConnectError,
    FishLiveError,
    ServerError,
    UsageError,
)
from fishlive.gateways.gateway import Gateway
from fishlive.gateways.tasks import Task
from fishlive.gateways.verdict import classify
from fishlive.stores import Heard, Phase, Record, SqliteStore, StoreError, TaskStore
from fishlive.stores import record as changes
from fishlive.webhooks.arrivals import Arrivals
from fishlive.webhooks.bodies import Headers, MalformedBody, parsed
from fishlive.webhooks.complaints import Complaints
from fishlive.webhooks.events import LATER, Event, Finished
from fishlive.webhooks.reconciler import GIVE_UP_S, OVERDUE_S, Reconciler
from fishlive.webhooks.tokens import Tokens
from fishlive.webhooks.worker import LEASE_S, MOST_FAILURES, Worker

STORE: Final = "fishlive-tasks.sqlite3"
"""Where the state is kept unless told, in the working directory."""

TOKEN: Final = "token"  # noqa: S105 - a name, not a token
"""Name of the token in the address's query."""

CONCURRENCY: Final = 8
"""Handlers at once unless told. A crash may repeat as many."""

MOST_NOTE_CHARS: Final = 16 * 1024
"""Longest note: the key of a row or a little JSON, not the text itself."""

KEEP_S: Final = 7 * 86_400.0
"""How long handled tasks are known, in seconds, so that late callbacks are recognised: as long as
the gateways keep their records by the most generous page."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Query = str | Mapping[str, str]


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
        handler: What to do with a task that is over, well or not.
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
        handler: Callable[[Finished], Awaitable[object]],
        *,
        url: str,
        secret: str | Sequence[str],
        store: TaskStore | str | os.PathLike[str] = STORE,
        concurrency: int = CONCURRENCY,
        overdue_s: float = OVERDUE_S,
        give_up_s: float = GIVE_UP_S,
        lease_s: float = LEASE_S,
        most_failures: int = MOST_FAILURES,
        allow_insecure: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _check_url(url, allow_insecure=allow_insecure)
        for name, value in (
            ("concurrency", concurrency),
            ("overdue_s", overdue_s),
            ("give_up_s", give_up_s),
            ("lease_s", lease_s),
            ("most_failures", most_failures),
        ):
            if not value > 0:
                raise ConfigError(f"{name} is a number over 0", argument=name)
        self._url = url
        self._gateway = client.name
        secrets = [secret] if isinstance(secret, str) else list(secret)
        self._tokens = Tokens(secrets, purpose=client.name)
        self._store = store if isinstance(store, TaskStore) else SqliteStore(store)
        self._clock = clock
        self._overdue_s = overdue_s
        self._arrivals = Arrivals()
        self._worker = Worker(
            self._store,
            client.name,
            Reconciler(client, overdue_s=overdue_s, give_up_s=give_up_s, clock=clock),
            handler,
            concurrency=concurrency,
            lease_s=lease_s,
            most_failures=most_failures,
            keep_s=KEEP_S,
            clock=clock,
        )
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
        """Stop: wait a while for running handlers, and close the store. Idempotent."""
        self._open = False
        try:
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
        stays: if it has, its callback finds it. See :meth:`unacknowledged`.

        Args:
            send: Submits it, with the address for its callback.
            note: What the handler is to know about it: at most MOST_NOTE_CHARS.

        Raises:
            ConfigError: The note is too long.
            StoreError: The state could not be kept. If nothing is kept, nothing is sent.
            FishLiveError: Whatever ``send`` raises.
        """
        url = await self.callback_url(note=note)
        try:
            task = await send(url)
        except FishLiveError as error:
            if _never_ran(error):
                with contextlib.suppress(StoreError):  # the gateway's refusal says more
                    await self._store.remove(self._ticket_in(url))
            raise
        await self.bind(url, task)
        return task

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
        parts = urlsplit(self._url)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (TOKEN, token)])
        return urlunsplit(parts._replace(query=query))

    async def bind(self, url: str, task: Task) -> None:
        """Tell which task an address went out with, once it is acknowledged. Idempotent.

        Raises:
            ConfigError: The address is not this receiver's, or the task is another gateway's.
            StoreError: It could not be kept. Its callback can still find it.
        """
        self._check_task(task)
        self._check_open()
        ticket, due_s, answer = self._ticket_in(url), self._clock() + self._overdue_s, _answer(task)
        bound = await self._store.bind(ticket, task.id, due_s=due_s, answer=answer)
        if bound is None:  # of an intention that is not kept any more, or of a task that is known
            record = Record(ticket, self._gateway, created_s=self._clock())
            await self._store.insert(changes.bound(record, task.id, due_s=due_s, answer=answer))
        self._worker.wake()

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
            self._worker.wake()
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
        to be acknowledged: look at ``created_s``. Forget one with ``store.remove(ticket)``.
        """
        intended = await self._store.select(self._gateway, Phase.INTENDED, limit=limit)
        return [record for record in intended if record.candidate is None]

    async def dead(self, *, limit: int = 1000) -> list[Record]:
        """Return tasks whose handler failed too often, oldest first.

        Try one again with ``store.revive(ticket)``.
        """
        return await self._store.select(self._gateway, Phase.DEAD, limit=limit)

    async def _hear(self, raw_body: bytes, query: Query) -> Event:
        ticket = self._tokens.ticket(_token(query))
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

    def _ticket_in(self, url: str) -> str:
        _, _, query = url.partition("?")
        ticket = self._tokens.ticket(_token(query))
        if ticket is None:
            raise ConfigError("the address is none of this receiver's", argument="url")
        return ticket

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


def _never_ran(error: FishLiveError) -> bool:
    """Return whether a failure proves that the gateway has no task."""
    refused = isinstance(error, APIStatusError) and not isinstance(error, ServerError)
    return refused or isinstance(error, (ConfigError, ConnectError, UsageError, StoreError))


def _token(query: Query) -> str:
    """Return the token in a query; empty if there is none, or several."""
    if not isinstance(query, str):
        return query.get(TOKEN, "")
    try:
        found = parse_qs(query, max_num_fields=16).get(TOKEN, [])
    except ValueError:  # too many fields
        return ""
    return found[0] if len(found) == 1 else ""


def _task_id(body: Mapping[str, Any]) -> str:
    task_id = body.get("task_id")
    if not isinstance(task_id, str) or not _ID.fullmatch(task_id):
        raise MalformedBody("it names no task")
    return task_id


def _check_url(url: str, *, allow_insecure: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("url cannot be right", argument="url") from None
    if parts.scheme not in {"http", "https"} or not host or parts.fragment:
        raise ConfigError("url begins with https:// and has no fragment", argument="url")
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_insecure:
        raise ConfigError(
            "url is not encrypted: tokens in it could be read; use https, or allow_insecure=True",
            argument="url",
        )
    if TOKEN in parse_qs(parts.query, keep_blank_values=True):
        raise ConfigError(f"url has a {TOKEN} already", argument="url")
