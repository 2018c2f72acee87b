"""Every test of a store runs against every store."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from fishlive.stores import RedisStore, SqliteStore, TaskStore
from tests.stores.servers import redis_server

_numbers = itertools.count()

Make = Callable[[], TaskStore]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Return the address of a server for all tests."""
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Return a function whose stores share one empty state, as several processes would."""
    number = next(_numbers)
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / f"{number}.sqlite3")
    url = request.getfixturevalue("redis_url")
    return lambda: RedisStore(url, prefix=f"{{test-{number}}}")


@pytest.fixture
async def store(make: Make) -> AsyncIterator[TaskStore]:
    """Yield an empty store."""
    async with make() as store:
        yield store
