"""One direction of a connection that exists only in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Pipe:
    """One direction: what goes in comes out later, in order, unless paused."""

    def __init__(self, delay_s: float, on_drained: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay_s = delay_s
        self._on_drained = on_drained
        self._items: deque[tuple[float, int, Callable[[], None]]] = deque()
        self._pump: asyncio.Handle | None = None
        self.paused: bool = False
        self.size_bytes: int = 0

    def put(self, size_bytes: int, deliver: Callable[[], None]) -> None:
        """Have ``deliver`` called after the delay. ``size_bytes`` counts until then."""
        self.size_bytes += size_bytes
        self._items.append((self._loop.time() + self._delay_s, size_bytes, deliver))
        self._wind()

    def pause(self) -> None:
        """Deliver nothing more for now. Idempotent."""
        self.paused = True
        self._stop()

    def resume(self) -> None:
        """Deliver again. Idempotent."""
        self.paused = False
        self._wind()

    def clear(self) -> None:
        """Forget what was not delivered."""
        self._items.clear()
        self.size_bytes = 0
        self._stop()

    def _wind(self) -> None:
        if self._pump or self.paused or not self._items:
            return
        due = self._items[0][0]
        late = due <= self._loop.time()
        run = self._run
        self._pump = self._loop.call_soon(run) if late else self._loop.call_at(due, run)

    def _stop(self) -> None:
        if self._pump:
            self._pump.cancel()
            self._pump = None

    def _run(self) -> None:
        self._pump = None
        # The first is due because the timer says so: clocks may round.
        for position in range(len(self._items)):
            if self.paused or not self._items:
                break
            if position and self._items[0][0] > self._loop.time():
                break
            _, size_bytes, deliver = self._items.popleft()
            self.size_bytes -= size_bytes
            deliver()
        self._wind()
        self._on_drained()
