"""The store: one file, one thread, all of a change or nothing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from fishlive.errors import ConfigError
from fishlive.server import LocalServer
from fishlive.server.refusal import Refusal
from fishlive.server.store import APPLICATION_ID, FILE, SCHEMA_VERSION, Store, timestamp
from tests.server.talk import answer


def mark(connection: sqlite3.Connection) -> None:
    """Change something that can be seen."""
    connection.execute("INSERT INTO facts VALUES ('mark', 1.0)")


def marks(connection: sqlite3.Connection) -> int:
    """Count the changes."""
    query = "SELECT count(*) FROM facts WHERE name = 'mark'"
    return int(connection.execute(query).fetchone()[0])


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    """What was changed is there again, and the database is as old as before."""
    for expected in (0, 1):
        store = Store(tmp_path / "deep" / "folder")
        await store.start()
        assert await store.run(marks) == expected
        if not expected:
            await store.run(mark)
            first_s = store.created_s
        await store.aclose()
    assert store.created_s == first_s
    assert [file.name for file in (tmp_path / "deep" / "folder").iterdir()] == [FILE]


async def test_memory_begins_empty() -> None:
    """Without a folder nothing is kept, and no two stores share anything."""
    for _ in range(2):
        store = Store()
        await store.start()
        await store.run(mark)
        assert await store.run(marks) == 1
        await store.aclose()


async def test_a_failure_changes_nothing(tmp_path: Path) -> None:
    """Work that raises leaves no trace; an error of the database is a 503."""

    def fail(connection: sqlite3.Connection) -> None:
        mark(connection)
        raise LookupError("on purpose")

    def twice(connection: sqlite3.Connection) -> None:
        mark(connection)
        mark(connection)

    store = Store(tmp_path)
    await store.start()
    with pytest.raises(LookupError):
        await store.run(fail)
    with pytest.raises(Refusal) as refused:
        await store.run(twice)
    assert refused.value.status == 503
    assert await store.run(marks) == 0
    await store.aclose()


async def test_one_thread_does_all_of_it() -> None:
    """Every piece of work is done in one thread, and never in the loop's."""
    store = Store()
    await store.start()
    threads = {await store.run(lambda _: threading.get_ident()) for _ in range(3)}
    await store.aclose()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_closing_waits_for_work_and_is_idempotent(tmp_path: Path) -> None:
    """Work that was begun is done and kept, even if nobody waits for it any more."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()
        mark(connection)

    store = Store(tmp_path)
    await store.start()
    working = asyncio.ensure_future(store.run(slow))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    working.cancel()
    closing = asyncio.ensure_future(store.aclose())
    go_on.set()
    await closing
    await store.aclose()
    await asyncio.gather(working, return_exceptions=True)
    again = Store(tmp_path)
    await again.start()
    assert await again.run(marks) == 1
    await again.aclose()


async def refused(folder: Path) -> str:
    """Return why a server does not start with a folder."""
    with pytest.raises(ConfigError) as error:
        async with LocalServer(data=folder):
            pass
    assert error.value.argument == "data"
    return str(error.value)


async def test_what_is_no_database(tmp_path: Path) -> None:
    """Rubbish in the file is a ConfigError, and stays as it is."""
    rubbish = b"this is no database at all" * 100
    (tmp_path / FILE).write_bytes(rubbish)
    assert FILE in await refused(tmp_path)
    assert (tmp_path / FILE).read_bytes() == rubbish


async def test_another_programs_database(tmp_path: Path) -> None:
    """A database that is not ours is not touched."""
    with sqlite3.connect(tmp_path / FILE) as foreign:
        foreign.execute("CREATE TABLE bookmarks (url TEXT)")
    foreign.close()
    before = (tmp_path / FILE).read_bytes()
    assert "another program" in await refused(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


async def test_a_later_schema(tmp_path: Path) -> None:
    """A file of a later version is refused, not misread."""
    with sqlite3.connect(tmp_path / FILE) as later:
        later.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        later.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        later.execute("CREATE TABLE voices (id TEXT)")
    later.close()
    assert f"version {SCHEMA_VERSION + 1}" in await refused(tmp_path)


async def test_a_damaged_file(tmp_path: Path) -> None:
    """A file that was overwritten in the middle is refused."""
    store = Store(tmp_path)
    await store.start()
    await store.aclose()
    file = tmp_path / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    assert FILE in await refused(tmp_path)


async def test_a_page_that_nobody_reads_at_first(tmp_path: Path) -> None:
    """Damage is found before the server starts, wherever it is."""

    def fill(connection: sqlite3.Connection) -> None:
        rows = [(f"mark{at}", 1.0) for at in range(2000)]
        connection.executemany("INSERT INTO facts VALUES (?, ?)", rows)

    store = Store(tmp_path)
    await store.start()
    await store.run(fill)
    await store.aclose()
    file = tmp_path / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-4096] + b"\xa5" * 4096)
    assert "damaged" in await refused(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
async def test_others_cannot_read_it(tmp_path: Path) -> None:
    """The folder and the file are their owner's alone: they hold people's voices."""
    folder = tmp_path / "new"
    store = Store(folder)
    await store.start()
    await store.aclose()
    assert [path.stat().st_mode & 0o077 for path in (folder, folder / FILE)] == [0, 0]


async def test_a_table_that_is_missing(tmp_path: Path) -> None:
    """A file that only says it is ours is refused."""
    with sqlite3.connect(tmp_path / FILE) as hollow:
        hollow.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        hollow.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        hollow.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL NOT NULL)")
    hollow.close()
    await refused(tmp_path)


async def test_two_servers_and_one_file(tmp_path: Path) -> None:
    """The second server is told; the first goes on; after it, the file is free."""
    async with LocalServer(data=tmp_path) as first:
        assert "used by another server" in await refused(tmp_path)
        assert (await answer(first, "GET", "/model"))[0] == 200
    async with LocalServer(data=str(tmp_path)) as second:
        assert (await answer(second, "GET", "/model"))[0] == 200


async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file where the folder should be is a ConfigError with the system's reason."""
    (tmp_path / "file").write_text("x")
    assert "file" in await refused(tmp_path / "file")
    assert "file" in await refused(tmp_path / "file" / "below")


def test_times_are_written_as_the_service_does() -> None:
    """Times are RFC 3339 in UTC, to the microsecond."""
    assert timestamp(0.5) == "1970-01-01T00:00:00.500000+00:00"
