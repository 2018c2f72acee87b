"""What only the file does."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fishlive.errors import ConfigError, ForkedProcessError
from fishlive.stores import Phase, Record, SqliteStore, StoreError
from fishlive.stores import sqlite as module


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It may hold what the application wrote."""
    path = tmp_path / "x"
    async with SqliteStore(path) as store:
        await store.insert(Record("t", "acedata"))
        assert path.stat().st_mode & 0o077 == 0
    assert str(path) in repr(store)


async def test_what_waits_together_shares_a_commit(tmp_path: Path) -> None:
    """A hundred changes at once wait for the disk a few times, not a hundred."""
    commits = 0
    store = SqliteStore(tmp_path / "x")
    async with store:

        def traced(statement: str) -> None:
            nonlocal commits
            commits += statement.upper().startswith("COMMIT")

        await store._run(lambda db: db.set_trace_callback(traced))
        await asyncio.gather(*(store.insert(Record(f"t{n}", "acedata")) for n in range(100)))
        assert await store.count("acedata", Phase.INTENDED) == 100
    assert 0 < commits < 20


async def test_one_that_fails_does_not_harm_those_beside_it(tmp_path: Path) -> None:
    """What shares its commit is done all the same."""

    def breaks(_record: Record) -> Record:
        raise KeyError("t")

    async with SqliteStore(tmp_path / "x") as store:
        await store.insert(Record("t", "acedata"))
        results = await asyncio.gather(
            store.insert(Record("a", "acedata")),
            store.change("t", breaks),
            store.insert(Record("b", "acedata")),
            return_exceptions=True,
        )
        assert await store.count("acedata", Phase.INTENDED) == 3
    assert [type(result) for result in results] == [bool, KeyError, bool]


async def test_a_locked_file_is_a_store_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After waiting for the other process; nothing of sqlite3 gets out."""
    monkeypatch.setattr(module, "BUSY_S", 0.05)
    path = tmp_path / "x"
    async with SqliteStore(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.insert(Record("t", "acedata"))
        tries, transact = 0, store._transact

        def counted(jobs: Any) -> list[Any]:
            nonlocal tries
            tries += 1
            return list(transact(jobs))

        monkeypatch.setattr(store, "_transact", counted)
        asking = [store.insert(Record(f"t{n}", "acedata")) for n in range(99)]
        for told in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(told, StoreError)
        assert tries <= 2  # they wait together, not one after the other
        other.execute("ROLLBACK")
        other.close()
        assert await store.insert(Record("t", "acedata"))


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Before it is opened too; nobody waits for ever."""
    store = SqliteStore(tmp_path / "x")
    with pytest.raises(StoreError, match="not open"):
        await store.get("t")
    await store.start()
    await store.aclose()
    for _ in range(2):
        with pytest.raises(StoreError, match="closed"):
            await store.get("t")


async def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Of another program, of a later version, or not a database at all."""
    foreign = sqlite3.connect(tmp_path / "foreign")
    foreign.execute("CREATE TABLE x (y)")
    foreign.close()
    async with SqliteStore(tmp_path / "later"):
        pass
    later = sqlite3.connect(tmp_path / "later")
    later.execute("PRAGMA user_version = 99")
    later.close()
    (tmp_path / "text").write_text("hello" * 99)
    for name in ("foreign", "later", "text", "no/such/folder"):
        with pytest.raises(ConfigError) as caught:
            await SqliteStore(tmp_path / name).start()
        assert caught.value.argument == "path"


async def test_a_cancelled_change_is_done_or_not(tmp_path: Path) -> None:
    """Whoever asked has gone; nothing complains."""
    async with SqliteStore(tmp_path / "x") as store:
        asking = asyncio.create_task(store.insert(Record("t", "acedata")))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await store.get("t") is not None


async def test_it_is_not_used_after_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread stayed in the parent."""
    async with SqliteStore(tmp_path / "x") as store:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(ForkedProcessError):
            await store.get("t")
        monkeypatch.undo()


async def test_several_may_make_the_file_at_once(tmp_path: Path) -> None:
    """Whoever comes first, all of them work."""
    stores = [SqliteStore(tmp_path / "x") for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    made = [store.insert(Record(f"t{n}", "acedata")) for n, store in enumerate(stores)]
    assert all(await asyncio.gather(*made))
    assert await stores[0].count("acedata", Phase.INTENDED) == 6
    for store in stores:
        await store.aclose()


async def test_a_full_disk_is_a_store_error(tmp_path: Path) -> None:
    """What was kept stays; when there is room again, it goes on."""
    async with SqliteStore(tmp_path / "x") as store:
        await store.insert(Record("before", "acedata"))
        pages = await store._run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        # What a full disk answers, without one.
        await store._run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        with pytest.raises(StoreError, match="full"):
            for number in range(99):
                await store.insert(Record(f"t{number}", "acedata", note="x" * 9999))
        assert await store.get("before") is not None
        await store._run(lambda db: db.execute("PRAGMA max_page_count = 99999").fetchone())
        assert await store.insert(Record("after", "acedata", note="x" * 9999))


async def test_a_file_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    """For reading too, which is one transaction with what is written at the same time."""
    async with SqliteStore(tmp_path / "x") as store:
        await store.insert(Record("t", "acedata"))
        await store._run(lambda db: db.execute("PRAGMA query_only = ON"))
        for asking in (store.insert(Record("u", "acedata")), store.get("t")):
            with pytest.raises(StoreError, match="readonly"):
                await asking


async def test_a_damaged_record_is_a_store_error(tmp_path: Path) -> None:
    """Whatever somebody else wrote there, nothing foreign comes out."""
    async with SqliteStore(tmp_path / "x") as store:
        await store.insert(Record("t", "acedata"))
        await store._run(lambda db: db.execute("UPDATE tasks SET phase = 'new'"))
        with pytest.raises(StoreError, match="cannot be read"):
            await store.get("t")


async def test_a_file_that_is_locked_for_good_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On start, after waiting; the argument is named."""
    monkeypatch.setattr(module, "BUSY_S", 0.05)
    other = sqlite3.connect(tmp_path / "x", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigError, match="locked") as caught:
        await SqliteStore(tmp_path / "x").start()
    assert caught.value.argument == "path"
    other.close()
