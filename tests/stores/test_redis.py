"""What only the server does."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import shutil
import tempfile
from typing import Any

import pytest

from fishlive.errors import ConfigError
from fishlive.stores import Phase, Record, RedisStore, StoreError
from fishlive.stores import redis as module
from tests.stores.servers import redis_server


async def test_a_server_that_is_not_there_is_a_store_error() -> None:
    """Nothing of the library gets out, and the password does not show."""
    store = RedisStore("redis://:private@127.0.0.1:1/0")
    with pytest.raises(StoreError) as caught:
        await store.start()
    assert "private" not in f"{caught.value!r} {store!r}"
    await store.aclose()


async def test_a_server_may_come_back() -> None:
    """What asks meanwhile gets an error; what asks later, an answer."""
    with redis_server() as url:
        store = RedisStore(url)
        await store.start()
    with pytest.raises(StoreError):
        await store.get("t")
    await store.aclose()


def test_a_wrong_address_is_named() -> None:
    """Without repeating it."""
    with pytest.raises(ConfigError) as caught:
        RedisStore("private://x")
    assert caught.value.argument == "url"
    assert "private" not in str(caught.value)


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library, the error says what to install."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("redis"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"fishlive\[redis\]"):
        RedisStore("redis://127.0.0.1")


async def test_it_does_not_try_for_ever(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that somebody else changes under each try ends in an error."""
    monkeypatch.setattr(module, "MOST_TRIES", 3)
    store = RedisStore(redis_url, prefix="{busy}")
    other = RedisStore(redis_url, prefix="{busy}")
    async with store, other:
        await store.insert(Record("t", "acedata"))
        real, looks = store._put, 0

        async def late(text: str, before: Any, after: Any, **rest: Any) -> int:
            nonlocal looks
            looks += 1
            changed = dataclasses.replace(before, looks=looks)
            await vars(other)["_client"].set("{busy}:record:t", module._text(changed))
            return await real(text, before, after, **rest)

        monkeypatch.setattr(store, "_put", late)
        with pytest.raises(StoreError, match="too often"):
            await store.bind("t", "a", due_s=1.0)
    assert looks == 3


async def test_a_server_that_was_started_again_is_found_again() -> None:
    """What asks meanwhile gets an error; what asks later, what was kept before."""
    folder = tempfile.mkdtemp(prefix="fl-redis-")  # a socket's path is short
    options = ("--appendonly", "yes", "--appendfsync", "always")
    try:
        with redis_server(*options, folder=folder) as url:
            store = RedisStore(url)
            await store.start()
            await store.insert(Record("t", "acedata", "mine"))
        with pytest.raises(StoreError):
            await store.get("t")
        with redis_server(*options, folder=folder):
            found = await store.get("t")
            assert found is not None
            assert found.note == "mine"
            assert await store.bind("t", "a", due_s=1.0)
        await store.aclose()
    finally:
        shutil.rmtree(folder)


async def test_connections_that_break_are_made_again(redis_url: str) -> None:
    """A load balancer, or an operator, closes all of them between two questions."""
    async with RedisStore(redis_url, prefix="{broken}") as store:
        await store.insert(Record("t", "acedata"))
        async with RedisStore(redis_url) as other:
            await vars(other)["_client"].client_kill_filter(_type="normal", skipme=True)
        for _ in range(3):
            with contextlib.suppress(StoreError):
                await store.get("t")
        assert await store.get("t") is not None


async def test_records_that_were_thrown_away_do_not_stand_in_the_way(redis_url: str) -> None:
    """A server short of memory evicts; what is left of such records does not block the others."""
    async with RedisStore(redis_url, prefix="{evicted}") as store:
        for number in range(4):
            await store.insert(Record(f"t{number}", "acedata", phase=Phase.OPEN, due_s=number))
        client = vars(store)["_client"]
        await client.delete("{evicted}:record:t0", "{evicted}:record:t1")
        claims = [
            await store.claim("acedata", "me", ready_s=9.0, until_s=99.0, limit=2) for _ in range(2)
        ]
        assert await client.zcard("{evicted}:ready:acedata") == 2
    assert [[record.ticket for record in claim] for claim in claims] == [[], ["t2", "t3"]]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "new"}', '{"phase": "open", "x": 1}'])
async def test_a_damaged_record_is_a_store_error(redis_url: str, text: str) -> None:
    """Whatever somebody else wrote there, nothing foreign comes out."""
    async with RedisStore(redis_url, prefix="{damaged}") as store:
        await vars(store)["_client"].set("{damaged}:record:t", text)
        with pytest.raises(StoreError, match="cannot be read"):
            await store.get("t")
