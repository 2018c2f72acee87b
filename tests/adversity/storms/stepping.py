"""Cancels a task at one of its awaits, whatever time that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any


class Stepping:
    """Runs a coroutine, as an awaitable of one task, which is cancelled where it waits.

    Args:
        coroutine: What to run.
        at: At which of its suspensions to cancel the task, from 1.

    Attributes:
        steps: How often it has been suspended.
        was_cancelled: Whether it came to that suspension.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], at: int) -> None:
        self.steps: int = 0
        self.was_cancelled: bool = False
        self._coroutine = coroutine
        self._at = at

    async def run(self) -> None:
        """Run it."""
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        """Pass every suspension on. A task cancelled in its own step is so where it waits next."""
        advance: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                waits_for = advance()
            except StopIteration:
                return
            self.steps += 1
            task = asyncio.current_task()
            if self.steps == self._at and task is not None:
                self.was_cancelled = task.cancel()
            try:
                yield waits_for
                advance = partial(self._coroutine.send, None)
            except BaseException as error:  # noqa: BLE001 - it goes where it was thrown
                advance = partial(self._coroutine.throw, error)
