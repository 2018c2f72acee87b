"""Wakes those who wait for the callback of a task in this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

MOST_REMEMBERED: Final = 10_000
"""Callbacks remembered that nobody waits for yet; the oldest go first. About 1 MiB."""


class Arrivals:
    """Remembers each callback until somebody has waited for its task."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._heard: OrderedDict[str, None] = OrderedDict()

    def heard(self, task_id: str) -> None:
        """Wake who waits for a task; the next to wait does not, if nobody does now."""
        waiters = self._waiters.get(task_id)
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        if not waiters:
            self._heard[task_id] = None
            if len(self._heard) > MOST_REMEMBERED:
                self._heard.popitem(last=False)

    async def arrived(self, task_id: str) -> None:
        """Return once a callback for a task has come; each is told once."""
        if task_id in self._heard:
            del self._heard[task_id]
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task_id, set()).add(waiter)
        try:
            await waiter
        finally:
            waiters = self._waiters[task_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[task_id]
