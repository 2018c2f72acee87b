"""webhooks/worker.py: each record is handed over once, whatever clocks and handlers do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fishlive.stores import Phase, SqliteStore
from fishlive.stores.record import Record
from fishlive.webhooks import Finished
from tests.webhooks.standin import Seen, Standin, call_back, receiving, submit

pytestmark = pytest.mark.usefixtures("hurry")

HOUR_S = 3600.0


class Clock:
    """Seconds since 1970, as somebody set them."""

    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s


class Watched(SqliteStore):
    """Counts claims."""

    claims = 0

    async def claim(
        self, gateway: str, owner: str, *, ready_s: float, until_s: float, limit: int
    ) -> list[Record]:
        """Claim."""
        found = await super().claim(gateway, owner, ready_s=ready_s, until_s=until_s, limit=limit)
        self.claims += 1
        return found


async def rounds(store: Watched, count: int) -> None:
    """Wait for so many looks at what is ready."""
    ends = store.claims + count
    while store.claims < ends:
        await asyncio.sleep(0.001)


async def test_a_clock_that_leaps_hands_nothing_over_twice(tmp_path: Path) -> None:
    """An hour later all claims have run out, those of handlers that run here too."""
    clock, store = Clock(), Watched(tmp_path / "x")
    seen, begun, go_on = Seen(), asyncio.Event(), asyncio.Event()

    async def slow(event: Finished) -> None:
        begun.set()
        await seen(event)
        await go_on.wait()

    async with receiving(store, slow, clock=clock) as (receiver, ace, gateway):
        task_id = await submit(receiver, ace)
        gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        await begun.wait()
        clock.now_s += HOUR_S
        await rounds(store, 3)
        assert len(seen.events) == 1
        go_on.set()
        while await store.count("acedata", Phase.DONE) == 0:
            await asyncio.sleep(0.001)
    assert [event.redelivered for event in seen.events] == [False]


async def test_a_clock_set_back_holds_up_no_callback(tmp_path: Path) -> None:
    """What a callback was heard for is due at any time of day."""
    clock, seen = Clock(), Seen()
    async with receiving(tmp_path, seen, clock=clock) as (receiver, ace, gateway):
        task_id = await submit(receiver, ace)
        clock.now_s -= HOUR_S
        gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        [done] = await seen.wait(1)
    assert done.task_id == task_id


async def test_a_handler_whose_help_was_cancelled_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A CancelledError that nobody meant for the handler is a failure of the handler."""
    seen, fails = Seen(), iter([True])

    async def helped(event: Finished) -> None:
        if next(fails, False):
            helper = asyncio.get_running_loop().create_future()
            helper.cancel()
            await helper
        await seen(event)

    async with receiving(tmp_path, helped) as (receiver, ace, gateway):
        task_id = await submit(receiver, ace)
        gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        [done] = await seen.wait(1)
    assert done.redelivered
    assert "was cancelled" in caplog.text


async def test_a_record_that_cannot_be_judged_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was kept of one is damaged; those beside it are handled."""
    seen, gateway, store = Seen(), Standin(), SqliteStore(tmp_path / "x")
    async with receiving(store, seen, standin=gateway, overdue_s=0.01) as (receiver, ace, _):
        bad, good = await submit(receiver, ace), await submit(receiver, ace)
        await store._run(
            lambda db: db.execute("UPDATE tasks SET answer = '{' WHERE task_id = ?", (bad,))
        )
        gateway.finish(good)
        [done] = await seen.wait(1)
        while "cannot be judged" not in caplog.text:
            await asyncio.sleep(0.001)
    assert done.task_id == good


async def test_a_receiver_without_a_handler_submits_and_hears(tmp_path: Path) -> None:
    """Another one that shares the store handles; a waiter here is woken all the same."""
    gateway, seen = Standin(), Seen()
    async with receiving(tmp_path, None, standin=gateway) as (front, ace, _):  # type: ignore[arg-type]  # none
        task_id = await submit(front, ace, note="mine")
        gateway.finish(task_id)
        await call_back(front, gateway, task_id)
        await asyncio.wait_for(front.arrived(task_id), 5)
        assert gateway.questions == []
        async with receiving(tmp_path, seen, standin=gateway):
            [done] = await seen.wait(1)
    assert (done.task_id, done.note, done.redelivered) == (task_id, "mine", False)
