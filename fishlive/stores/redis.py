"""Records in Redis or Valkey, which any number of receivers may share."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Awaitable
from typing import Any, Final

from fishlive.errors import ConfigError, StoreError
from fishlive.stores.base import Step, TaskStore
from fishlive.stores.record import Phase, Record

TIMEOUT_S: Final = 5.0
"""How long one answer may take, in seconds: they take less than a millisecond."""

MOST_CONNECTIONS: Final = 32
"""Questions at once; more wait for their turn."""

TURN_S: Final = 20.0
"""How long a question waits for its turn, in seconds: a burst of ten thousand takes ten. Shorter
than a claim, which has to be renewed in such a burst too."""

MOST_TRIES: Final = 100
"""How often a change is tried when others change the same record. Each loser has seen a winner,
and a record has a handful of changes in its life."""

_WRITTEN, _TAKEN = 1, 2

_WRITE: Final = """
-- KEYS: the record, the ready ones, the tasks' tickets, then one set for each phase.
-- ARGV: as it was, as it is now ('' is none), ticket, ready ('' is never), created, its phase's
--       place among KEYS (0 is none), task before, task now ('' is none).
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local result, text = 1, ARGV[2]
if ARGV[8] ~= '' then
    local holder = redis.call('HGET', KEYS[3], ARGV[8])
    if holder and holder ~= ARGV[3] then result, text = 2, '' end
end
for place = 4, #KEYS do redis.call('ZREM', KEYS[place], ARGV[3]) end
redis.call('ZREM', KEYS[2], ARGV[3])
if ARGV[7] ~= '' and ARGV[7] ~= ARGV[8] then redis.call('HDEL', KEYS[3], ARGV[7]) end
if text == '' then
    redis.call('DEL', KEYS[1])
    return result
end
redis.call('SET', KEYS[1], text)
redis.call('ZADD', KEYS[tonumber(ARGV[6])], ARGV[5], ARGV[3])
if ARGV[4] ~= '' then redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3]) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[3], ARGV[8], ARGV[3]) end
return result
"""
"""Writes a record and all that finds it, unless somebody was faster."""

_PHASES: Final = tuple(Phase)


class RedisStore(TaskStore):
    """Keeps records in Redis or Valkey, 6.2 or later, alone or as a cluster's one slot.

    Claims are measured by the receivers' own clocks: keep those within a few seconds of each other.
    The server must keep what it is told: without ``appendonly yes`` its own crash loses tasks, and
    so does an eviction policy other than ``noeviction``.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``; a password in it is never shown.
        prefix: Before every key. In braces, so that a cluster keeps them in one place.

    Raises:
        ConfigError: The extra ``redis`` is not installed, or the URL is wrong.
    """

    def __init__(self, url: str, *, prefix: str = "{fishlive}") -> None:
        self._prefix = prefix
        try:
            self._client, self._errors = _connected(url)
        finally:
            del url  # it may have a password, and tracebacks are printed with their locals
        self._write = self._client.register_script(_WRITE)
        self._closed = False

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"

    async def start(self) -> None:
        """See that the server answers. Idempotent."""
        await self._asked(self._client.ping())

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._client.aclose()

    async def insert(self, record: Record) -> bool:
        """Keep a new record; return False if its ticket or its task is known."""
        return await self._put("", None, record) == _WRITTEN

    async def change(self, ticket: str, step: Step) -> Record | None:
        """Change a record atomically and return it; None if there is none."""
        for _ in range(MOST_TRIES):
            text = await self._asked(self._client.get(self._key("record", ticket)))
            if text is None:
                return None
            before = _record(text)
            after = step(before)
            if after is None or after == before:
                return before
            written = await self._put(text, before, after)
            if written:
                return after if written == _WRITTEN else None
        raise StoreError("a record of the store was changed too often by others")

    async def change_ready(
        self, gateway: str, step: Step, *, ready_s: float, limit: int
    ) -> list[Record]:
        """Change the records that were ready by then; return those."""
        key = self._key("ready", gateway)
        tickets = await self._asked(
            self._client.zrange(key, "-inf", ready_s, byscore=True, offset=0, num=limit)
        )
        found = await self._read(tickets)
        if len(found) < len(tickets):
            # The server threw records away; what names them would stand in front of the others.
            gone = set(tickets) - {record.ticket for _, record in found}
            await self._asked(self._client.zrem(key, *gone))
        changed = [(one, step(one[1])) for one in found]
        pairs = [(one, after) for one, after in changed if after is not None]
        if not pairs:
            return []
        async with self._client.pipeline(transaction=False) as pipe:
            for (text, before), after in pairs:
                await self._put(text, before, after, client=pipe)
            results = await self._asked(pipe.execute())
        return [
            after
            for (_, after), result in zip(pairs, results, strict=True)
            if result == _WRITTEN and after is not None
        ]

    async def remove(self, ticket: str) -> None:
        """Forget a record, if there is one."""
        for _ in range(MOST_TRIES):
            text = await self._asked(self._client.get(self._key("record", ticket)))
            if text is None or await self._put(text, _record(text), None):
                return

    async def get(self, ticket: str) -> Record | None:
        """Return a record, if there is one."""
        text = await self._asked(self._client.get(self._key("record", ticket)))
        return None if text is None else _record(text)

    async def find(self, gateway: str, task_id: str) -> Record | None:
        """Return the record of a task, if there is one."""
        ticket = await self._asked(self._client.hget(self._key("tasks", gateway), task_id))
        return None if ticket is None else await self.get(ticket)

    async def select(self, gateway: str, phase: Phase, *, limit: int) -> list[Record]:
        """Return records in a phase, the oldest first."""
        key = self._key(phase.value, gateway)
        tickets = await self._asked(self._client.zrange(key, 0, limit - 1)) if limit > 0 else []
        return [record for _, record in await self._read(tickets)]

    async def count(self, gateway: str, phase: Phase) -> int:
        """Return how many records are in a phase."""
        return int(await self._asked(self._client.zcard(self._key(phase.value, gateway))))

    async def purge(self, gateway: str, *, before_s: float) -> int:
        """Forget what was done before then; return how many."""
        # It cannot have been done before it was made, so that the oldest are enough to look at.
        old = self._client.zrange(
            self._key(Phase.DONE.value, gateway), "-inf", before_s, byscore=True
        )
        purged = 0
        for text, record in await self._read(await self._asked(old)):
            if record.ended_s is not None and record.ended_s < before_s:
                purged += await self._put(text, record, None) == _WRITTEN
        return purged

    async def _read(self, tickets: list[str]) -> list[tuple[str, Record]]:
        if not tickets:
            return []
        keys = [self._key("record", ticket) for ticket in tickets]
        texts = await self._asked(self._client.mget(keys))
        return [(text, _record(text)) for text in texts if text is not None]

    async def _put(
        self, text: str, before: Record | None, after: Record | None, *, client: Any = None
    ) -> int:
        """Write a record if it is still as it was; 0 if it is not, _TAKEN if its task is."""
        record = after or before
        if record is None:
            return _WRITTEN
        gateway = record.gateway
        keys = [self._key("record", record.ticket), self._key("ready", gateway)]
        keys += [self._key("tasks", gateway)]
        keys += [self._key(phase.value, gateway) for phase in _PHASES]
        ready_s = None if after is None else after.ready_s
        arguments = [
            text,
            "" if after is None else _text(after),
            record.ticket,
            "" if ready_s is None else repr(ready_s),
            repr(record.created_s),
            4 + _PHASES.index(record.phase),
            (before.task_id if before else None) or "",
            (after.task_id if after else None) or "",
        ]
        if client is not None:
            await self._write(keys=keys, args=arguments, client=client)
            return 0
        return int(await self._asked(self._write(keys=keys, args=arguments)))

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}:{name}"

    async def _asked(self, question: Awaitable[Any]) -> Any:
        try:
            return await question
        except self._errors as error:
            why = type(error).__name__
        # Alone: the error's words may hold the address, and its frames the password in that.
        raise StoreError(f"the store of tasks failed: {why}")


def _connected(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a client, and what it may raise."""
    try:
        import redis.asyncio
        import redis.exceptions
    except ImportError as error:
        del url
        raise ConfigError(
            "the store needs `pip install fishlive[redis]`", argument="url"
        ) from error
    pool = None
    with contextlib.suppress(ValueError):
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=TURN_S,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
    del url
    if pool is None:
        raise ConfigError("the URL of the store is wrong", argument="url")
    client = redis.asyncio.Redis.from_pool(pool)
    return client, (redis.exceptions.RedisError, OSError)


def _text(record: Record) -> str:
    return json.dumps(dataclasses.asdict(record), separators=(",", ":"))


def _record(text: str) -> Record:
    try:
        values = json.loads(text)
        return Record(**{**values, "phase": Phase(values["phase"])})
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError("the store holds a record that cannot be read") from error
