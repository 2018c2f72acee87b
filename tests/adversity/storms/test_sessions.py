"""Very many short sessions leave what one leaves: nothing.

``SESSIONS`` says how many (1,000 unless told, on the in-memory network; a tenth of that over real
sockets). What ``make storm`` measures is in its output.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

from fishlive import Session
from fishlive.server import LocalServer
from fishlive.testing.clock import run
from fishlive.testing.model import Service
from tests.adversity.matrix import WAYS, gone, session
from tests.adversity.storms.counting import Toll, complaints, quiet
from tests.adversity.storms.victims import hear

SESSIONS: Final = int(os.environ.get("SESSIONS", "1000"))
REAL_SHARE: Final = 10
"""One of so many goes over real sockets."""

BATCH: Final = 50
"""Sessions that meet the same service: it remembers what it heard."""

MORE_OBJECTS: Final = 200
"""Objects by which the second half may end higher: caches of the standard library that fill with
use (regular expressions, code of generators). A leak of one object a session is far more."""

MORE_RSS_KIB: Final = 2048
"""Memory by which the second half may end higher, in KiB: what the allocator has not given back."""


async def _short_sessions(first: int, count: int) -> None:
    for begin in range(first, first + count, BATCH):
        async with Service(seed=begin) as service:
            for number in range(begin, min(begin + BATCH, first + count)):
                async with Session(
                    f"storm-{number % 7}",
                    base_url="http://127.0.0.1:9",
                    transport=service.connect,
                ) as fish:
                    await hear(fish, number % 2 == 0)


def in_memory(first: int, count: int) -> None:
    """Open so many sessions in virtual time, which must leave nothing in their loop."""
    run(lambda: _short_sessions(first, count), limit_s=60.0 * count)


@pytest.mark.timeout(1800)
def test_short_sessions_leave_nothing() -> None:
    """In memory: descriptors, threads and objects are as after the first half."""
    tenth = SESSIONS // 10
    with complaints() as said:
        in_memory(0, tenth)  # what is made once, is made
        begin = Toll.now()
        in_memory(tenth, SESSIONS // 2 - tenth)
        middle = Toll.now()
        in_memory(SESSIONS // 2, SESSIONS - SESSIONS // 2)
        end = Toll.now()
    check(said, begin, middle, end)


@pytest.mark.timeout(1800)
async def test_short_sessions_over_sockets_leave_nothing() -> None:
    """With both adapters on both endpoints, one after the other."""
    many = SESSIONS // REAL_SHARE
    with complaints() as said:
        # Not `served`, which remembers every connection to compare what was heard.
        async with LocalServer(accept_any_key=True) as server:
            await _over_sockets(server, many // 4)
            begin = Toll.now()
            await _over_sockets(server, many // 4)
            middle = Toll.now()
            await _over_sockets(server, many // 2)
            end = Toll.now()
        assert not await quiet()
    check(said, begin, middle, end)


async def _over_sockets(server: LocalServer, count: int) -> None:
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        async with session(server, way, standby=1) as fish:
            await hear(fish, way.timed)
    await gone(server.port)
    await quiet()


def check(said: list[str], begin: Toll, middle: Toll, end: Toll) -> None:
    """Check that the second half is as the first, and print how it was."""
    print(f"\nbegin  {begin}\nmiddle {middle}\nend    {end}")  # noqa: T201 - `make storm` shows it
    assert not said, said[:10]
    assert end.descriptors <= middle.descriptors <= begin.descriptors
    assert end.threads <= begin.threads
    assert end.accounts == 0
    assert end.objects - middle.objects <= MORE_OBJECTS
    assert end.rss_kib - middle.rss_kib <= MORE_RSS_KIB
