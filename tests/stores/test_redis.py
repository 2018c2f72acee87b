"""What only the server does."""

from __future__ import annotations

import builtins
import dataclasses
from typing import Any

import pytest

from fishlive.errors import ConfigError
from fishlive.stores import Record, RedisStore, StoreError
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
