"""webhooks/sending.py: what was sent is acknowledged and kept, whoever still waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fishlive.errors import ConnectionLost, StoreError
from fishlive.gateways import Task, tasks
from fishlive.stores import Record, SqliteStore
from fishlive.webhooks import sending
from tests.webhooks.standin import Seen, call_back, receiving, submit


class Shaky(SqliteStore):
    """A store that cannot keep an id, for so many times."""

    fails = 0

    async def bind(self, ticket: str, task_id: str, **more: Any) -> Record | None:
        """Fail, or do it."""
        if self.fails:
            self.fails -= 1
            raise StoreError("the disk is full")
        return await super().bind(ticket, task_id, **more)


@pytest.mark.usefixtures("hurry")
async def test_a_caller_who_goes_away_costs_no_task(tmp_path: Path) -> None:
    """Cancelled between the question and the answer, the task is kept and handled all the same."""
    seen, asked, answer = Seen(), asyncio.Event(), asyncio.Event()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, ace, gateway):

        async def send(url: str) -> Task:
            task = await ace.tts.submit("x", callback_url=url)
            asked.set()
            await answer.wait()
            return task

        waiting = asyncio.create_task(receiver.submit(send, note="mine"))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        answer.set()
        gateway.finish("task-0")
        while await receiver.store.find("acedata", "task-0") is None:
            await asyncio.sleep(0)
        await call_back(receiver, gateway, "task-0")
        [done] = await seen.wait(1)
        assert await receiver.unacknowledged() == []
    assert done.note == "mine"


async def test_a_failure_behind_a_caller_who_went_away_is_quiet(tmp_path: Path) -> None:
    """Nobody is told, because nobody asks; the loop does not complain either."""
    asked, answer = asyncio.Event(), asyncio.Event()
    async with receiving(tmp_path, Seen()) as (receiver, _, _):

        async def send(_url: str) -> Task:
            asked.set()
            await answer.wait()
            raise StoreError("anything")

        waiting = asyncio.create_task(receiver.submit(send))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        answer.set()


async def test_keeping_an_id_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is sent once, and known once the store works."""
    monkeypatch.setattr(sending, "KEEP_PAUSES_S", (0.0, 0.0, 0.0))
    store = Shaky(tmp_path / "x")
    async with receiving(store, Seen()) as (receiver, ace, gateway):
        store.fails = 3
        task_id = await submit(receiver, ace)
        assert await receiver.store.find("acedata", task_id) is not None
        assert len(gateway.texts) == 1


async def test_an_id_that_cannot_be_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the error's sentence; the intention stays, so that its callback can find it."""
    monkeypatch.setattr(sending, "KEEP_PAUSES_S", (0.0,))
    store = Shaky(tmp_path / "x")
    async with receiving(store, Seen()) as (receiver, ace, gateway):
        store.fails = 2
        with pytest.raises(StoreError, match="task-0 was accepted"):
            await submit(receiver, ace, note="mine")
        assert len(gateway.texts) == 1
        assert [record.note for record in await receiver.unacknowledged()] == ["mine"]


async def test_closing_waits_for_the_acknowledgement(tmp_path: Path) -> None:
    """And keeps it, so that the next receiver knows the task."""
    answer, asked = asyncio.Event(), asyncio.Event()
    async with receiving(tmp_path, Seen()) as (receiver, ace, gateway):

        async def send(url: str) -> Task:
            task = await ace.tts.submit("x", callback_url=url)
            asked.set()
            await answer.wait()
            return task

        submitting = asyncio.create_task(receiver.submit(send))
        await asked.wait()
        closing = asyncio.create_task(receiver.aclose())
        await asyncio.sleep(0)
        answer.set()
        await closing
        assert (await submitting).id == "task-0"
    async with receiving(tmp_path, Seen(), standin=gateway) as (after, _, _):
        assert await after.store.find("acedata", "task-0") is not None


async def test_closing_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not acknowledged in time is cancelled; its intention is listed afterwards."""
    monkeypatch.setattr(sending, "STOP_S", 0.0)
    asked = asyncio.Event()
    async with receiving(tmp_path, Seen()) as (receiver, _, _):

        async def send(_url: str) -> Task:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        submitting = asyncio.create_task(receiver.submit(send, note="mine"))
        await asked.wait()
        await receiver.aclose()
        with pytest.raises(asyncio.CancelledError):
            await submitting
    async with receiving(tmp_path, Seen()) as (after, _, _):
        assert [record.note for record in await after.unacknowledged()] == ["mine"]


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("lists", [True, False])
async def test_a_lost_acknowledgement_is_found_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lists: bool
) -> None:
    """By the address that its request went out with, over several pages; if the gateway lists."""
    monkeypatch.setattr(tasks, "LEAST_POLL_S", 0.0)
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=0.01) as (receiver, ace, gateway):
        gateway.lists = lists
        for number in range(60):  # somebody else's
            await ace.tts.submit("x", callback_url=f"https://y.example/?token={number}")

        async def lost(url: str) -> Task:
            await ace.tts.submit("x", callback_url=url)
            raise ConnectionLost("the answer never came")

        async def never(_url: str) -> Task:
            raise ConnectionLost("nor did the question arrive")

        for send, note in ((lost, "lost"), (never, "never")):
            with pytest.raises(ConnectionLost):
                await receiver.submit(send, note=note)
        gateway.finish("task-60")
        left = await receiver.recover()
        if not lists:
            assert [record.note for record in left] == ["lost", "never"]
            return
        assert [record.note for record in left] == ["never"]
        [done] = await seen.wait(1)
        assert await receiver.recover() == left
    assert (done.task_id, done.note) == ("task-60", "lost")


async def test_nothing_lost_is_nothing_asked(tmp_path: Path) -> None:
    """Without an intention that waits, the gateway is left alone."""
    async with receiving(tmp_path, Seen()) as (receiver, _, gateway):
        gateway.answer = None  # type: ignore[method-assign,assignment]  # whoever asks fails
        assert await receiver.recover() == []
