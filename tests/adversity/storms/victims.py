"""Programs to be cancelled: everything a caller does with a channel, in some ways of doing it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final

from fishlive import Session

TEXT: Final = "One two three. Four five six. "

Program = Callable[[Session, bool], Awaitable[None]]


async def hear(fish: Session, timed: bool) -> None:
    """Speak a text and hear it."""
    async with fish.live(timestamps=timed) as live:
        async for _ in live.speak(TEXT):
            pass


async def follow(fish: Session, timed: bool) -> None:
    """Speak what a source writes, slowly, twice over one channel."""
    async with fish.live(timestamps=timed) as live:
        for _ in range(2):
            async for _chunk in live.speak(_tokens()):
                await asyncio.sleep(0)


async def pull(fish: Session, timed: bool) -> None:
    """Speak what a plain generator writes, which is read in a thread."""
    async with fish.live(timestamps=timed) as live:
        async for _ in live.speak(_pieces()):
            pass


async def barge(fish: Session, timed: bool) -> None:
    """Interrupt the first utterance behind its first audio, and speak again at once."""
    async with fish.live(timestamps=timed) as live:
        first = live.speak(TEXT)
        with contextlib.suppress(StopAsyncIteration):
            await first.__aiter__().__anext__()
        live.interrupt()
        async for _ in live.speak(TEXT):
            pass


async def by_hand(fish: Session, timed: bool) -> None:
    """Send from one task and hear in another."""
    async with fish.live(timestamps=timed) as live, live.utterance() as utterance:
        await _together(_feed(utterance), _drain(utterance))


async def leave(fish: Session, timed: bool) -> None:
    """Leave the loop behind the first chunk, wait until the channel is ready, speak again."""
    async with fish.live(timestamps=timed) as live:
        await live.ready()
        async for _ in live.speak(TEXT):
            break
        utterance = live.speak(TEXT)
        await _impatiently(utterance)
        await utterance.aclose()


async def side_by_side(fish: Session, timed: bool) -> None:
    """Two channels of one account with one slot."""
    await _together(hear(fish, timed), hear(fish, timed))


PROGRAMS: Final[tuple[Program, ...]] = (hear, follow, pull, barge, by_hand, leave, side_by_side)


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all to their ends; one that fails ends the others, and so does cancelling it.

    Not with ``gather``, where the failure of one may win over a cancellation of all.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await _ended(tasks)
    _raise_one(tasks)


async def _impatiently(utterance: AsyncIterable[bytes]) -> None:
    """Wait for a chunk, not for long.

    Not with ``wait_for``, which may swallow a cancellation before Python 3.12.
    """
    task = asyncio.create_task(_drain(utterance))
    try:
        await asyncio.wait([task], timeout=0.001)
    finally:
        await _ended([task])
    _raise_one([task])


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their ends, even if that is cancelled once more."""
    again: asyncio.CancelledError | None = None
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:  # noqa: PERF203 - that is the loop
            again = error
    if again is not None:
        raise again


def _raise_one(tasks: list[asyncio.Task[None]]) -> None:
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in filter(None, errors):
        raise error


async def _drain(utterance: AsyncIterable[bytes]) -> None:
    async for _ in utterance:
        pass


async def _feed(utterance: Any) -> None:
    for token in TEXT.split(" "):
        await utterance.send(token + " ")
    await utterance.flush()
    await utterance.end()


async def _tokens() -> AsyncIterator[str]:
    for token in TEXT.split(" "):
        await asyncio.sleep(0)
        yield token + " "


def _pieces() -> Iterator[str]:
    yield from (TEXT, TEXT)
