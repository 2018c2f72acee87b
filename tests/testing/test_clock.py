from __future__ import annotations

import asyncio
import random

import pytest

from fishlive.testing.clock import (
    Deadlock,
    Leftovers,
    Livelock,
    OutOfTime,
    VirtualLoop,
    close,
    run,
)


def test_time_jumps_to_the_next_timer() -> None:
    """A night passes in no time, and exactly."""

    async def main() -> float:
        await asyncio.sleep(8 * 3600)
        return asyncio.get_running_loop().time()

    assert run(main, limit_s=86_400) == 8 * 3600


def test_time_stands_still_while_anything_is_ready() -> None:
    """However often the loop turns."""

    async def main() -> float:
        for _ in range(1_000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main) == 0.0


def test_timers_fire_in_the_order_of_their_times() -> None:
    """Whatever order they were made in."""
    seen: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (0.3, 0.1, 0.2):
            loop.call_later(delay, lambda: seen.append(loop.time()))
        loop.call_later(0.15, seen.append, -1.0).cancel()
        await asyncio.sleep(1)

    run(main)
    assert seen == [0.1, 0.2, 0.3]


def test_what_is_due_together_runs_in_an_order_of_the_seed() -> None:
    """The same one again for the same seed, another one for another."""

    def order(seed: int) -> list[int]:
        seen: list[int] = []

        async def main() -> None:
            for number in range(20):
                asyncio.get_running_loop().call_later(1.0, seen.append, number)
            await asyncio.sleep(2)

        run(main, seed=seed)
        return seen

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == list(range(20))


def test_a_deadlock_names_who_waits_and_where() -> None:
    """Nobody will ever set the future, so nobody waits for it."""

    async def stranded() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        await asyncio.create_task(stranded(), name="the stranded one")

    with pytest.raises(Deadlock, match=r"the stranded one in .*stranded:\d+"):
        run(main)


def test_a_run_has_a_limit_of_time() -> None:
    """Who sleeps longer than that is found at once."""
    with pytest.raises(OutOfTime, match="not over after 10 virtual seconds"):
        run(lambda: asyncio.sleep(11), limit_s=10)


def test_a_run_has_a_limit_of_turns() -> None:
    """Who goes in circles is found, although time stands still."""

    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        run(main, max_turns=1_000)


def test_tasks_left_behind_are_told() -> None:
    """A run that ends well does not hide them."""

    async def main() -> None:
        asyncio.get_running_loop().create_task(asyncio.sleep(1), name="forgotten")

    with pytest.raises(Leftovers, match="forgotten"):
        run(main)


def test_complaints_of_the_loop_are_told() -> None:
    """A callback that raises is no secret."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    with pytest.raises(Leftovers, match="division by zero"):
        run(main)


def test_what_main_raises_comes_out() -> None:
    """As it is."""

    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main)


def test_chance_is_the_seeds() -> None:
    """The global generator is seeded within a run and untouched by it."""

    async def main() -> float:
        return random.random()  # noqa: S311 - not a secret

    random.seed(1)
    expected = random.random()  # noqa: S311
    random.seed(1)
    assert run(main, seed=5) == run(main, seed=5) != run(main, seed=6)
    assert random.random() == expected  # noqa: S311


def test_a_blocked_loop_loses_time() -> None:
    """Timers that were due meanwhile fire late, all at once."""
    seen: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        for delay in (1.0, 2.0):
            loop.call_later(delay, lambda: seen.append(loop.time()))
        loop.block(30.0)
        await asyncio.sleep(0.1)

    run(main)
    assert seen == [30.0, 30.0]


def test_executors_run_in_the_loop() -> None:
    """At once, in its own thread, with their result or their error."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="literal"):
            await loop.run_in_executor(None, int, "x")
        return await asyncio.to_thread(int, "7")

    assert run(main) == 7


def test_winding_down_ends_what_is_left() -> None:
    """Cancelled tasks may take some turns, and generators are closed."""
    closed: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(0)
            closed.append("task")

    loop = VirtualLoop()
    task = loop.create_task(forever(), name="forever")
    loop.run_until_complete(asyncio.sleep(1))
    assert loop.unfinished == [task]
    assert loop.wind_down() == [task]
    assert closed == ["task"]
    assert loop.unfinished == []
    close(loop)
    assert loop.is_closed()
    close(loop)


def test_timers_are_those_that_will_fire() -> None:
    """Cancelled ones are not."""
    loop = VirtualLoop()
    kept, called_off = loop.call_later(1, print), loop.call_later(2, print)
    called_off.cancel()
    assert loop.timers == [kept]
    close(loop)
