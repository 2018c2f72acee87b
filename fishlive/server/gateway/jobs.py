"""Tasks of the gateways: spoken in the background, kept, and told of."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fishlive.server.gateway.delivery import Postman, written
from fishlive.server.gateway.eras import Record, callback, failure
from fishlive.server.refusal import Refusal
from fishlive.server.settings import Era, Settings

_log: Final = logging.getLogger("fishlive.server")

MOST_RECORDS: Final = 20_000
"""Tasks that are remembered, and links that are served; the oldest go first. A record is a few
hundred bytes; the largest test of a receiver has 10,000."""

MOST_AUDIO_BYTES: Final = 256 * 1024 * 1024
"""Audio behind links that is kept, in bytes: an hour of wav at 32 kHz."""

Work = Callable[[], Awaitable[dict[str, Any]]]
"""Does what a task is for; returns its bare outcome, or raises a Refusal."""


class Audio:
    """Audio behind a link."""

    __slots__ = ("data", "mime")

    def __init__(self, data: bytes, mime: str) -> None:
        self.data: bytes = data
        self.mime: str = mime


class Jobs:
    """Owns the tasks that work, and remembers what became of them.

    Args:
        settings: Era, pace and how callbacks fail.
        clock: Seconds since 1970.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._audio: OrderedDict[str, Audio] = OrderedDict()
        self._audio_bytes = 0
        self._working: set[asyncio.Task[None]] = set()
        self._postman = Postman(local=settings.allow_local_webhooks)
        self._held_back: tuple[str, bytes] | None = None
        self._asked_for: set[str] = set()

    @property
    def era(self) -> Era:
        """Whose answers are given."""
        return self._settings.era

    def find(self, task_id: object) -> Record | None:
        """Return a record, if there is one."""
        return self._records.get(task_id) if isinstance(task_id, str) else None

    def made_between(self, since_s: float, until_s: float) -> list[str]:
        """Return the ids of the tasks that were made then, the newest first."""
        made = self._records.values()
        return [one.id for one in reversed(made) if since_s <= one.created_s <= until_s]

    def refuses(self, record: Record) -> bool:
        """Return whether a question about a task fails: under ``failure-first``, each first one."""
        if self._settings.callbacks != "failure-first" or record.id in self._asked_for:
            return False
        self._asked_for.add(record.id)
        return True

    def record(self, kind: str, request: Mapping[str, Any]) -> Record:
        """Return the record of a new task, which nobody knows yet."""
        now_s = self._clock()
        return Record(str(uuid.uuid4()), kind, str(uuid.uuid4()), request, now_s, now_s)

    async def finish(self, record: Record, work: Work) -> None:
        """Do a task's work here and now."""
        if self._settings.task_s:
            await asyncio.sleep(self._settings.task_s)
        try:
            record.outcome = await work()
        except Refusal as refusal:
            record.failed = True
            code = getattr(refusal, "code", "api_error")
            record.outcome = failure(code, refusal.message, record, self.era)
        record.finished_s = self._clock()

    async def begin(self, record: Record, work: Work, callback_url: str | None) -> None:
        """Do a task's work in the background; tell of its end where that is asked for."""
        self._remember(record)
        early = callback_url is not None and self._settings.callbacks == "early"
        if early:
            await self._carry(record, work, callback_url)
            return
        task = asyncio.create_task(
            self._carry(record, work, callback_url), name="fishlive gateway task"
        )
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def keep(self, task_id: str, data: bytes, mime: str) -> None:
        """Keep the audio behind a link."""
        self._audio[task_id] = Audio(data, mime)
        self._audio_bytes += len(data)
        while self._audio_bytes > MOST_AUDIO_BYTES or len(self._audio) > MOST_RECORDS:
            _, oldest = self._audio.popitem(last=False)
            self._audio_bytes -= len(oldest.data)

    def audio(self, task_id: str) -> Audio | None:
        """Return the audio behind a link, while it is kept."""
        return self._audio.get(task_id)

    async def aclose(self) -> None:
        """Stop what works. Idempotent."""
        working = list(self._working)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await self._postman.aclose()

    def _remember(self, record: Record) -> None:
        self._records[record.id] = record
        if len(self._records) > MOST_RECORDS:
            oldest, _ = self._records.popitem(last=False)
            self._asked_for.discard(oldest)

    async def _carry(self, record: Record, work: Work, callback_url: str | None) -> None:
        try:
            await self.finish(record, work)
        except Exception as error:  # noqa: BLE001 - whatever broke, the client must hear of it
            _log.warning("a gateway's task failed", exc_info=error)
            record.failed = True
            record.outcome = failure("api_error", "the task failed", record, self.era)
            record.finished_s = self._clock()
        if callback_url is not None:
            await self._tell(callback_url, record)

    async def _tell(self, url: str, record: Record) -> None:
        """Post a callback, in the way that the settings want it to fail."""
        body = written(callback(record))
        match self._settings.callbacks:
            case "never":
                return
            case "twice":
                await self._postman.post(url, body)
            case "failure-first":
                sorry = failure("api_error", "fetch failed", record, "2025")
                await self._postman.post(url, written({"task_id": record.id, **sorry}))
            case "garbage":
                for rubbish in (b"\xff\xfe{", b"[" * 10_000, b"{}", body[:-1]):
                    await self._postman.post(url, rubbish)
                return
            case "out-of-order":
                # Every callback waits for the next one to go first; the last of all never comes.
                waiting, self._held_back = self._held_back, (url, body)
                if waiting is None:
                    return
                await self._postman.post(url, body)
                url, body = waiting
                self._held_back = None
            case _:
                pass
        await self._postman.post(url, body)
