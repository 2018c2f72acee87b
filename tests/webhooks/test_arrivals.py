"""Waiting for a callback in this process."""

from __future__ import annotations

import asyncio

import pytest

from fishlive.webhooks import arrivals
from fishlive.webhooks.arrivals import Arrivals
from tests.conftest import settle


async def test_everybody_who_waits_is_woken() -> None:
    """For that task, and for no other."""
    heard = Arrivals()
    waiting = [asyncio.create_task(heard.arrived(name)) for name in "aab"]
    await settle()
    heard.heard("a")
    await settle()
    assert [task.done() for task in waiting] == [True, True, False]
    heard.heard("b")
    await asyncio.gather(*waiting)


async def test_what_nobody_waited_for_is_remembered_once() -> None:
    """The first who asks is told at once; the second waits for the next."""
    heard = Arrivals()
    heard.heard("a")
    heard.heard("a")
    await heard.arrived("a")
    second = asyncio.create_task(heard.arrived("a"))
    await settle()
    assert not second.done()
    heard.heard("a")
    await second


async def test_who_gives_up_is_forgotten() -> None:
    """Cancelled waiters leave nothing, and take nothing from the next."""
    heard = Arrivals()
    waiting = asyncio.create_task(heard.arrived("a"))
    await settle()
    waiting.cancel()
    await settle()
    heard.heard("a")
    await heard.arrived("a")
    assert not vars(heard)["_waiters"]


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first."""
    monkeypatch.setattr(arrivals, "MOST_REMEMBERED", 2)
    heard = Arrivals()
    for name in "abc":
        heard.heard(name)
    await heard.arrived("b")
    await heard.arrived("c")
    late = asyncio.create_task(heard.arrived("a"))
    await settle()
    assert not late.done()
    late.cancel()
