"""Records in one SQLite file, which several processes of one machine may share."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from fishlive.errors import ConfigError, ForkedProcessError, StoreError
from fishlive.stores.base import Step, TaskStore
from fishlive.stores.record import Phase, Record, renewed

T = TypeVar("T")

APPLICATION_ID: Final = 0x666C7474
"""Marks a file as ours in its header (``PRAGMA application_id``): "fltt"."""

SCHEMA_VERSION: Final = 1
"""Version of the table (``PRAGMA user_version``). A file with a later one is refused."""

BUSY_S: Final = 5.0
"""How long another process's write is waited for, in seconds: one takes milliseconds."""

MOST_AT_ONCE: Final = 256
"""Changes that share one commit. A commit waits for the disk, and that costs the same for one."""

_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Record))
_COLUMNS: Final = (*_FIELDS, "ready_s")

_SETUP: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS tasks (
    ticket TEXT PRIMARY KEY,
    gateway TEXT NOT NULL,
    note TEXT NOT NULL,
    phase TEXT NOT NULL,
    task_id TEXT,
    candidate TEXT,
    answer TEXT NOT NULL,
    hinted INTEGER NOT NULL,
    hints INTEGER NOT NULL,
    looks INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    lapses INTEGER NOT NULL,
    created_s REAL NOT NULL,
    due_s REAL,
    owner TEXT,
    lease_s REAL NOT NULL,
    ended_s REAL,
    ready_s REAL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS task_of_gateway ON tasks (gateway, task_id)
    WHERE task_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS ready_tasks ON tasks (gateway, ready_s) WHERE ready_s IS NOT NULL;
CREATE INDEX IF NOT EXISTS tasks_by_phase ON tasks (gateway, phase, created_s);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_READ: Final = f"SELECT {', '.join(_FIELDS)} FROM tasks "  # noqa: S608 - our own names
_INSERT: Final = (
    f"INSERT OR IGNORE INTO tasks ({', '.join(_COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_UPDATE: Final = (
    f"UPDATE tasks SET {', '.join(f'{name} = ?' for name in _COLUMNS[1:])} "  # noqa: S608 - ours
    "WHERE ticket = ?"
)


class SqliteStore(TaskStore):
    """Keeps records in a file. What was written survives a crash, ``kill -9`` and a power cut.

    Not for network drives, which do not lock as SQLite needs it. One thread touches the file;
    changes that wait for it at the same time share a commit. Used once: start, close.

    Args:
        path: Where the file is or will be; readable by its owner alone.

    Raises:
        ConfigError: On start: the file cannot be used, is another program's or a later version's.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="fishlive-tasks")
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._waiting: list[_Job] = []
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._path)!r})"

    async def start(self) -> None:
        """Open the file; make it if there is none. Idempotent."""
        if self._connection is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._open)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the file behind what waits. Idempotent."""
        try:
            closing = self._executor.submit(self._close)
        except RuntimeError:
            return  # it was closed before
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))

    async def insert(self, record: Record) -> bool:
        """Keep a new record; return False if its ticket or its task is known."""
        return await self._run(lambda db: db.execute(_INSERT, _row(record)).rowcount == 1)

    async def change(self, ticket: str, step: Step) -> Record | None:
        """Change a record atomically and return it; None if there is none."""
        return await self._run(lambda db: _change(db, _one(db, "ticket = ?", ticket), step))

    async def change_ready(
        self, gateway: str, step: Step, *, ready_s: float, limit: int
    ) -> list[Record]:
        """Change the records that were ready by then; return those."""
        where = "gateway = ? AND ready_s <= ? ORDER BY ready_s, ticket LIMIT ?"

        def work(db: sqlite3.Connection) -> list[Record]:
            ready = _many(db, where, gateway, ready_s, limit)
            return [after for before in ready if (after := _change(db, before, step)) is not None]

        return await self._run(work)

    async def renew(self, tickets: Iterable[str], owner: str, *, until_s: float) -> None:
        """Claim for longer what is still the owner's: all in one transaction."""
        step = functools.partial(renewed, owner=owner, until_s=until_s)
        held = list(tickets)

        def work(db: sqlite3.Connection) -> None:
            for ticket in held:
                _change(db, _one(db, "ticket = ?", ticket), step)

        if held:
            await self._run(work)

    async def remove(self, ticket: str) -> None:
        """Forget a record, if there is one."""
        await self._run(lambda db: _remove(db, ticket))

    async def get(self, ticket: str) -> Record | None:
        """Return a record, if there is one."""
        return await self._run(lambda db: _one(db, "ticket = ?", ticket))

    async def find(self, gateway: str, task_id: str) -> Record | None:
        """Return the record of a task, if there is one."""
        return await self._run(lambda db: _one(db, "gateway = ? AND task_id = ?", gateway, task_id))

    async def select(self, gateway: str, phase: Phase, *, limit: int) -> list[Record]:
        """Return records in a phase, the oldest first."""
        where = "gateway = ? AND phase = ? ORDER BY created_s, ticket LIMIT ?"
        return await self._run(lambda db: _many(db, where, gateway, phase.value, limit))

    async def count(self, gateway: str, phase: Phase) -> int:
        """Return how many records are in a phase."""
        question = "SELECT count(*) FROM tasks WHERE gateway = ? AND phase = ?"
        return await self._run(
            lambda db: int(db.execute(question, (gateway, phase.value)).fetchone()[0])
        )

    async def purge(self, gateway: str, *, before_s: float) -> int:
        """Forget what was done before then; return how many."""
        order = "DELETE FROM tasks WHERE gateway = ? AND phase = ? AND ended_s < ?"
        done = Phase.DONE.value
        return await self._run(lambda db: db.execute(order, (gateway, done, before_s)).rowcount)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` returns. Cancelling does not stop work that is queued."""
        if os.getpid() != self._pid:
            raise ForkedProcessError("the store belongs to the parent process: make a new one")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._waiting.append(_Job(work, future))
            alone = len(self._waiting) == 1
        if alone:
            try:
                self._executor.submit(self._drain)
            except RuntimeError as error:
                self._waiting.clear()
                raise StoreError("the store is closed") from error
        return await future

    def _drain(self) -> None:
        """Do what waits, in one transaction; one by one if something in it fails."""
        with self._lock:
            jobs, self._waiting = self._waiting, []
        for at in range(0, len(jobs), MOST_AT_ONCE):
            some = jobs[at : at + MOST_AT_ONCE]
            try:
                results = self._transact(some)
            except _NotBegun as error:  # none of them would fare better, and each would wait
                for job in some:
                    job.tell(None, _failure(error.__cause__))
            except Exception:  # noqa: BLE001 - found out one by one, and told to whom it concerns
                for job in some:
                    self._alone(job)
            else:
                for job, result in zip(some, results, strict=True):
                    job.tell(result, None)

    def _alone(self, job: _Job) -> None:
        try:
            result = self._transact([job])[0]
        except _NotBegun as error:
            job.tell(None, _failure(error.__cause__))
        except sqlite3.Error as error:
            job.tell(None, _failure(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours, told to the caller
            job.tell(None, error)
        else:
            job.tell(result, None)

    def _transact(self, jobs: list[_Job]) -> list[Any]:
        try:
            if self._connection is None:
                raise sqlite3.ProgrammingError("the store is not open")
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _NotBegun from error
        with self._connection:  # commits, or rolls back
            return [job.work(self._connection) for job in jobs]

    def _open(self) -> None:
        try:
            self._path.touch(mode=0o600)
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_S)
            _check(self._connection, self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}", argument="path") from error
        except sqlite3.Error as error:
            raise ConfigError(f"{self._path} cannot be used: {error}", argument="path") from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _NotBegun(Exception):
    """No transaction came about: the file is locked, closed or not to be written."""


class _Job:
    """Work that waits for the thread, and who waits for it."""

    __slots__ = ("_future", "work")

    def __init__(
        self, work: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]
    ) -> None:
        self.work = work
        self._future = future

    def tell(self, result: Any, error: BaseException | None) -> None:
        """Wake who waits, if he and his loop are still there. From the thread."""
        loop = self._future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._told, result, error)

    def _told(self, result: Any, error: BaseException | None) -> None:
        if self._future.done():
            return  # cancelled
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(result)


def _failure(error: BaseException | None) -> StoreError:
    failure = StoreError(f"the store of tasks failed: {error}")
    failure.__cause__ = error
    return failure


def _row(record: Record) -> tuple[Any, ...]:
    values = {**{name: getattr(record, name) for name in _FIELDS}, "phase": record.phase.value}
    return (*values.values(), record.ready_s)


def _record(row: tuple[Any, ...]) -> Record:
    values = dict(zip(_FIELDS, row, strict=True))
    try:
        values["phase"] = Phase(values["phase"])
    except ValueError as error:
        raise StoreError("the store holds a record that cannot be read") from error
    values["hinted"] = bool(values["hinted"])
    return Record(**values)


def _many(db: sqlite3.Connection, where: str, *values: object) -> list[Record]:
    return [_record(row) for row in db.execute(f"{_READ} WHERE {where}", values)]


def _one(db: sqlite3.Connection, where: str, *values: object) -> Record | None:
    return next(iter(_many(db, where, *values)), None)


def _change(db: sqlite3.Connection, before: Record | None, step: Step) -> Record | None:
    after = None if before is None else step(before)
    if before is None or after is None or after == before:
        return before
    *values, ready_s = _row(after)[1:]
    try:
        db.execute(_UPDATE, (*values, ready_s, after.ticket))
    except sqlite3.IntegrityError:  # the task has a record
        _remove(db, before.ticket)
        return None
    return after


def _remove(db: sqlite3.Connection, ticket: str) -> None:
    db.execute("DELETE FROM tasks WHERE ticket = ?", (ticket,))


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Make the file ours, or see that it is."""
    # One look: between two, somebody else may make the file ours.
    db.execute("BEGIN")
    kind, version, tables = (
        db.execute(question).fetchone()[0]
        for question in (
            "SELECT application_id FROM pragma_application_id",
            "SELECT user_version FROM pragma_user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    db.execute("COMMIT")
    if kind != APPLICATION_ID and (kind or tables):
        raise ConfigError(f"{path} belongs to another program", argument="path")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path} has schema version {version}, this fishlive knows {SCHEMA_VERSION}",
            argument="path",
        )
    _write_ahead(db)
    # A commit is on the disk before anybody is told, or a power cut would lose an intention.
    db.execute("PRAGMA synchronous = FULL")
    if not tables:
        db.executescript(_SETUP)


def _write_ahead(db: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, for which SQLite itself does not wait for others."""
    ends_s = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # noqa: PERF203 - it is tried again
            if time.monotonic() > ends_s:
                raise
            time.sleep(0.01)
        else:
            return
