"""Signed webhooks, such as those of Fish's agents: kept before they are acknowledged."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from fishlive.errors import FishLiveError, SignatureError, UsageError
from fishlive.stores import Heard, Phase, Record, SqliteStore, TaskStore
from fishlive.stores.record import URGENT_S
from fishlive.webhooks.bodies import Headers, MalformedBody, parsed
from fishlive.webhooks.complaints import Complaints
from fishlive.webhooks.events import BAD, LATER, REFUSED, Event, SignedEvent
from fishlive.webhooks.signatures import Verifier
from fishlive.webhooks.worker import LEASE_S, MOST_FAILURES, Drop, Later, Worker

STORE: Final = "fishlive-events.sqlite3"
"""Where events are kept unless told, in the working directory."""

CONCURRENCY: Final = 8
"""Handlers at once unless told. A crash may repeat as many."""

MOST_WAITING: Final = 10_000
"""Events that may wait for the handler; more are answered with 503, so that the sender keeps
them. At most MAX_BODY_BYTES each, a few KiB as a rule."""

KEEP_S: Final = 2 * 86_400.0
"""How long handled events are known, in seconds, to recognise repetitions by. A signature is worth
nothing after five minutes; a day is the least that is asked for."""


class Inbox:
    """Takes signed events, and hands each to the handler once. An async context manager.

    An event is answered with 200 when it is on the disk, whatever the handler is busy with: Fish
    waits 10 s and sends three times within seconds, then drops it. A repetition is recognised by
    the event's name, its session and the end of its analysis, since Fish sends no id of a
    delivery; by its id if the sender has one; otherwise by its body. It is done after the handler
    returned; a crash before that repeats it with ``redelivered`` set. An event whose handler fails
    MOST_FAILURES times is given up and kept: see :meth:`dead`. Order is not kept.

    An outage of more than a minute loses events, because the sender gives up: compare with the
    sessions API from time to time.

    Args:
        verifier: Believes nobody else.
        handler: What to do with an event.
        store: Where events are kept: a store, closed here, or the path of an SQLite file.
        name: Tells inboxes apart that share a store.
        concurrency: Handlers at once.
        lease_s: How long others wait before they take over what a crashed inbox had claimed.
        most_failures: Failures of the handler after which an event is given up.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        verifier: Verifier,
        handler: Callable[[SignedEvent], Awaitable[object]],
        *,
        store: TaskStore | str | os.PathLike[str] = STORE,
        name: str = "fish-agents",
        concurrency: int = CONCURRENCY,
        lease_s: float = LEASE_S,
        most_failures: int = MOST_FAILURES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._store = store if isinstance(store, TaskStore) else SqliteStore(store)
        self._name = name
        self._clock = clock
        self._worker = Worker(
            self._store,
            name,
            _AtOnce(),
            handler,
            concurrency=concurrency,
            lease_s=lease_s,
            most_failures=most_failures,
            keep_s=KEEP_S,
            clock=clock,
        )
        self._complaints = Complaints()
        self.counts: Counter[Heard] = Counter()
        """How many requests were worth what, since the inbox was made."""
        self._open: bool | None = None

    async def __aenter__(self) -> Inbox:
        if self._open is not None:
            raise UsageError("an inbox is entered once")
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

    @property
    def store(self) -> TaskStore:
        """Where events are kept."""
        return self._store

    async def handle(self, raw_body: bytes, headers: Headers, query: object = "") -> Event:
        """Take an event, and return what it was worth and what to answer.

        In this order: signature, JSON, store. Raises nothing for anything a stranger may send.

        Args:
            raw_body: As it came, not decoded and encoded again.
            headers: Pairs, if the framework has them: a header that came twice is refused.
            query: Not used.
        """
        event = await self._hear(raw_body, headers)
        self.counts[event.heard] += 1
        if event.heard is Heard.NEW:
            self._worker.wake()
        elif event.reason:
            self._complaints.add(event.reason)
        return event

    async def dead(self, *, limit: int = 1000) -> list[Record]:
        """Return events whose handler failed too often, oldest first."""
        return await self._store.select(self._name, Phase.DEAD, limit=limit)

    async def _hear(self, raw_body: bytes, headers: Headers) -> Event:
        lines = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        try:
            signed = self._verifier.verify(raw_body, lines)
        except SignatureError as error:
            return Event(Heard.UNKNOWN, REFUSED, reason=str(error))
        try:
            body = parsed(raw_body)
        except MalformedBody as error:
            return Event(Heard.MALFORMED, BAD, reason=str(error))
        ticket = _ticket(signed.id, body, raw_body)
        try:
            return await self._keep(ticket, raw_body.decode())
        except FishLiveError as error:
            return Event(Heard.UNAVAILABLE, LATER, reason=str(error))

    async def _keep(self, ticket: str, text: str) -> Event:
        now_s = self._clock()
        if await self._store.count(self._name, Phase.OPEN) >= MOST_WAITING:
            return Event(Heard.UNAVAILABLE, LATER, reason="too many events wait")
        record = Record(
            f"{self._name}.{ticket}",
            self._name,
            text,
            Phase.OPEN,
            created_s=now_s,
            due_s=URGENT_S,
        )
        new = await self._store.insert(record)
        return Event(Heard.NEW if new else Heard.AGAIN)


class _AtOnce:
    """Hands over whatever there is. For a :class:`Worker`."""

    batch = 50

    async def pace(self) -> float | None:
        """Wait for nothing."""

    async def look(self, records: Sequence[Record]) -> list[SignedEvent | Later | Drop]:
        """Return the event that each record is."""
        return [_event(record) for record in records]


def _event(record: Record) -> SignedEvent:
    raw_body = record.note.encode()
    again = bool(record.lapses or record.failures)
    return SignedEvent(record.ticket, parsed(raw_body), raw_body, redelivered=again)


def _ticket(message_id: str | None, body: Mapping[str, Any], raw_body: bytes) -> str:
    """Return what an event is recognised by when it comes again."""
    session, analysis = body.get("session"), body.get("analysis")
    parts = (
        body.get("event"),
        session.get("id") if isinstance(session, dict) else None,
        analysis.get("finished_at") if isinstance(analysis, dict) else None,
    )
    if message_id is not None:
        said = b"id\0" + message_id.encode()
    elif isinstance(parts[0], str) and isinstance(parts[1], str):
        said = b"event\0" + "\0".join(map(repr, parts)).encode("utf-8", "surrogatepass")
    else:
        said = b"body\0" + raw_body
    return hashlib.sha256(said).hexdigest()
