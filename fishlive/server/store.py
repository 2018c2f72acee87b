"""One SQLite file, or one in memory, and the one thread that ever touches it."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

from fishlive.errors import ConfigError
from fishlive.server.refusal import Refusal

_log: Final = logging.getLogger("fishlive.server")

T = TypeVar("T")

FILE: Final = "fishlive.sqlite3"
"""Name of the file in the folder of ``Settings.data``."""

APPLICATION_ID: Final = 0x666C7631
"""Marks a file as ours in its header (``PRAGMA application_id``): "flv1"."""

SCHEMA_VERSION: Final = 1
"""Version of the tables (``PRAGMA user_version``). A file with a later one is refused."""

SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL NOT NULL);
CREATE TABLE voices (
    id TEXT PRIMARY KEY,
    author_id TEXT NOT NULL,
    title TEXT NOT NULL,
    title_language TEXT NOT NULL,
    description TEXT NOT NULL,
    visibility TEXT NOT NULL,
    tags TEXT NOT NULL,
    languages TEXT NOT NULL,
    default_text TEXT NOT NULL,
    sound TEXT NOT NULL,
    audible INTEGER NOT NULL,
    created_s REAL NOT NULL,
    updated_s REAL NOT NULL,
    trained_s REAL NOT NULL,
    task_count INTEGER NOT NULL
);
CREATE TABLE covers (
    voice_id TEXT PRIMARY KEY REFERENCES voices ON DELETE CASCADE,
    image BLOB NOT NULL
);
CREATE TABLE samples (
    id TEXT PRIMARY KEY,
    voice_id TEXT NOT NULL REFERENCES voices ON DELETE CASCADE,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    audio BLOB NOT NULL
);
CREATE INDEX samples_of_voice ON samples (voice_id, position);
CREATE TABLE dictionaries (
    id TEXT PRIMARY KEY,
    fields TEXT NOT NULL,
    latest_version_id TEXT,
    created_s REAL NOT NULL,
    updated_s REAL NOT NULL
);
CREATE TABLE dictionary_versions (
    id TEXT PRIMARY KEY,
    dictionary_id TEXT NOT NULL REFERENCES dictionaries ON DELETE CASCADE,
    fields TEXT NOT NULL,
    created_s REAL NOT NULL
);
"""
"""Lists and what passes through untyped are JSON; times are seconds since 1970."""

_SETUP: Final = f"""
BEGIN;
{SCHEMA}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class Store:
    """Runs work on the database, one piece after the other, each a transaction.

    Used once: start, close. What is in memory is gone then.

    Args:
        folder: Where the file is or will be; None for memory.

    Attributes:
        created_s: When the database was made, in seconds since 1970.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="fishlive-store")
        self._connection: sqlite3.Connection | None = None
        self.created_s: float = 0.0

    async def start(self) -> None:
        """Open the file; make it if there is none.

        Raises:
            ConfigError: The folder cannot be used, another server uses the file, or it is damaged,
                another program's, or a later version's. It is left as it is.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._open)
        except BaseException:
            await self.aclose()
            raise

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` returns, and keep what it changed, all of it or nothing.

        Cancelling does not stop work that has begun.

        Raises:
            Refusal: 503: the database cannot be read or written, as with a full disk.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._transact, work)

    async def aclose(self) -> None:
        """Close the file behind the work that was begun or waits. Idempotent."""
        try:
            closing = self._executor.submit(self._close)
        except RuntimeError:
            return  # it was closed before
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))

    def _open(self) -> None:
        where = ":memory:" if self._folder is None else _prepared(self._folder)
        try:
            self._connection = sqlite3.connect(where, isolation_level=None, timeout=0.0)
            _check(self._connection, where)
            self.created_s = _created_s(self._connection)
        except sqlite3.Error as error:
            raise _unusable(where, error) from error

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                raise sqlite3.ProgrammingError("the store is closed")
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back
                return work(self._connection)
        except sqlite3.Error as error:
            _log.warning("the store failed", exc_info=error)
            sentence = "the store of this server cannot be used"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def timestamp(seconds: float) -> str:
    """Return a time as the service writes it, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def dumps(value: object) -> str:
    """Return JSON for a column."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def loads(column: str) -> Any:
    """Return what a column of JSON holds."""
    return json.loads(column)


def _prepared(folder: Path) -> str:
    """Return the path of the file, made if it is missing: its owner's alone, for it has voices."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / FILE).touch(mode=0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", argument="data") from error
    return str(folder / FILE)


def _check(connection: sqlite3.Connection, where: str) -> None:
    """Make the database ours, or see that it is and is whole."""
    # Taken with the first read and kept: two servers would not see each other's voices.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    connection.execute("PRAGMA foreign_keys = ON")
    kind, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if not kind and not tables:
        connection.executescript(_SETUP)
        connection.execute("INSERT INTO facts VALUES ('created_s', ?)", (time.time(),))
        return
    if kind != APPLICATION_ID:
        raise ConfigError(f"{where} belongs to another program", argument="data")
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"{where} has schema version {version}, this fishlive knows {SCHEMA_VERSION}",
            argument="data",
        )
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise ConfigError(f"{where} is damaged", argument="data")


def _created_s(connection: sqlite3.Connection) -> float:
    row = connection.execute("SELECT value FROM facts WHERE name = 'created_s'").fetchone()
    return 0.0 if row is None else float(row[0])


def _unusable(where: str, error: sqlite3.Error) -> ConfigError:
    if "locked" in str(error):
        return ConfigError(f"{where} is used by another server", argument="data")
    return ConfigError(f"{where} cannot be used: {error}", argument="data")
