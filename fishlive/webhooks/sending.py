"""Submissions that are seen through, whether or not anybody still waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from fishlive.errors import (
    APIStatusError,
    ConfigError,
    ConnectError,
    FishLiveError,
    ServerError,
    StoreError,
    UsageError,
)
from fishlive.gateways.tasks import Task

KEEP_PAUSES_S: Final = (0.2, 1.0, 3.0)
"""Waits between tries to keep a task's id, in seconds: nothing else knows it once it is lost."""

STOP_S: Final = 10.0
"""How long submissions may take to be acknowledged when the receiver stops, in seconds."""


class Sending:
    """Owns the submissions under way.

    Args:
        keep: Keeps which task an address went out with.
        forget: Forgets an address that no task has.
    """

    def __init__(
        self,
        keep: Callable[[str, Task], Awaitable[None]],
        forget: Callable[[str], Awaitable[None]],
    ) -> None:
        self._keep = keep
        self._forget = forget
        self._under_way: set[asyncio.Task[Task]] = set()

    async def submit(self, url: str, send: Callable[[str], Awaitable[Task]]) -> Task:
        """Send with an address, and return what was acknowledged and kept.

        Cancelling stops the waiting: what is under way goes on.
        """
        task = asyncio.create_task(self._through(url, send), name="fishlive-webhooks-submit")
        self._under_way.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """Wait for what is under way, up to STOP_S, and cancel the rest."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _through(self, url: str, send: Callable[[str], Awaitable[Task]]) -> Task:
        try:
            task = await send(url)
        except FishLiveError as error:
            if _never_ran(error):
                with contextlib.suppress(StoreError):  # the gateway's refusal says more
                    await self._forget(url)
            raise
        for pause_s in KEEP_PAUSES_S:
            with contextlib.suppress(StoreError):
                await self._keep(url, task)
                return task
            await asyncio.sleep(pause_s)
        try:
            await self._keep(url, task)
        except StoreError as error:
            said = f"task {task.id} was accepted, and could not be kept: {error}"
            raise StoreError(said) from error
        return task

    def _over(self, task: asyncio.Task[Task]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more


def _never_ran(error: FishLiveError) -> bool:
    """Return whether a failure proves that the gateway has no task."""
    refused = isinstance(error, APIStatusError) and not isinstance(error, ServerError)
    return refused or isinstance(error, (ConfigError, ConnectError, UsageError, StoreError))
