from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import fishlive.live.source
from fishlive.live.source import Pull
from fishlive.testing.clock import VirtualLoop, close
from fishlive.testing.lockstep import Threads


def play(items: Iterator[str], threads: Threads, loop: VirtualLoop, most: int = 100) -> list[str]:
    """Return what a thread reads from an iterator, and when each came, as `time item`."""
    seen: list[str] = []

    async def main() -> None:
        pull = Pull(iter, items)
        async for item in pull:
            seen.append(f"{loop.time():g} {item}")
            if len(seen) == most:
                break
        pull.close()

    with threads.installed(fishlive.live.source):
        loop.run_until_complete(main())
    return seen


def test_threads_sleep_in_virtual_time() -> None:
    """A source that blocks for an hour is read in no time."""
    loop = VirtualLoop(limit_s=20_000)
    threads = Threads(loop)

    def source() -> Iterator[str]:
        for item in "abc":
            threads.sleep(3600)
            yield item

    assert play(source(), threads, loop) == ["3600 a", "7200 b", "10800 c"]
    close(loop)


def test_threads_take_as_long_to_wake_as_told() -> None:
    """Which a seed may decide."""
    loop = VirtualLoop()
    threads = Threads(loop, lambda: 0.5)
    # Once to begin; then one item ahead, each taken up half a second after it was asked for.
    assert play(iter("abc"), threads, loop) == ["0.5 a", "1 b", "1.5 c"]
    close(loop)


def test_nothing_is_left_of_threads_that_wait() -> None:
    """Behind the block they have ended, their sources are closed, and the real ones are back."""
    before = set(threading.enumerate())
    loop = VirtualLoop()
    threads = Threads(loop)
    closed: list[str] = []

    def source() -> Iterator[str]:
        try:
            yield "a"
            threads.sleep(1e6)
            yield "b"
        finally:
            closed.append("yes")

    assert play(source(), threads, loop, most=1) == ["0 a"]
    assert closed == ["yes"]
    assert vars(fishlive.live.source)["threading"] is threading
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
    close(loop)


def test_the_loop_runs_while_threads_wait() -> None:
    """One at a time, and each in its turn."""
    loop = VirtualLoop()
    threads = Threads(loop)
    seen: list[str] = []

    def work(name: str) -> None:
        for _ in range(2):
            seen.append(f"{name} {loop.time():g}")
            threads.sleep(1)

    async def main() -> None:
        for name in ("one", "two"):
            threads.Thread(target=work, args=(name,), daemon=True).start()
        await asyncio.sleep(1.5)
        seen.append("loop")
        await asyncio.sleep(5)

    loop.run_until_complete(main())
    assert seen == ["one 0", "two 0", "one 1", "two 1", "loop"]
    close(loop)
