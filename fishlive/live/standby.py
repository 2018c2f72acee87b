"""Warm sockets in reserve, so that no turn waits for a handshake.

One reserve stands behind all channels of a session that speak to the same address with the same
model. It opens nothing before the first utterance begins, so who only connects pays for one socket.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from fishlive.errors import FishLiveError, ProtocolError
from fishlive.flow.governor import Governor, Slot
from fishlive.transport.endings import complain
from fishlive.transport.socket import Connect, Socket, Target
from fishlive.wire.events import Failure, decode

MAX_AGE_S: Final = 240.0
"""A warm socket is replaced after so many seconds: load balancers and address translators forget
silent connections after 350 (AWS network load balancer), and a forgotten one costs its user 2."""

REFILL_BASE_S: Final = 1.0
"""Longest wait before the reserve is filled again after a failure, in seconds; it doubles."""

REFILL_CAP_S: Final = 60.0
"""Longest wait between two attempts, in seconds."""

SETTLED_S: Final = 30.0
"""A warm socket that the service closes after so many seconds was merely idle for too long; one
that it closes sooner counts as a failure."""

_MAX_DOUBLINGS: Final = 6
"""After so many the cap is reached: 1 s · 2⁶ = 64 s."""


class Warm:
    """A socket in reserve, and what is known of it. Its own Receiver.

    Attributes:
        socket: Open, as far as we know.
        slot: The account's slot it holds, where idle sockets count.
        since_s: When it was opened, by the loop's clock.
        old: Whether it is to go as soon as there is a younger one.
    """

    __slots__ = ("_reserve", "_timer", "old", "since_s", "slot", "socket")

    def __init__(self, reserve: Standby, slot: Slot | None) -> None:
        self._reserve = reserve
        self._timer: asyncio.TimerHandle | None = None
        self.socket: Socket | None = None
        self.slot = slot
        self.since_s: float = 0.0
        self.old: bool = False

    def keep(self, socket: Socket, timer: asyncio.TimerHandle, now: float) -> None:
        """Take the socket in; ``timer`` will call it old."""
        self.socket, self._timer, self.since_s = socket, timer, now

    def leave(self) -> None:
        """Be in reserve no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def on_message(self, message: bytes | memoryview) -> None:
        """Leave if the service refuses; nothing else is expected, and nothing else matters."""
        try:
            event = decode(message)
        except ProtocolError:
            return
        if isinstance(event, Failure):
            self._reserve.lose(self)

    def on_closed(self, error: FishLiveError) -> None:
        """Leave."""
        del error  # why does not matter: nobody was using it
        self._reserve.lose(self)

    def on_writable(self) -> None:
        """Nothing waits to be written."""


class Standby:
    """Keeps sockets warm while any channel needs them. Belongs to the loop it was made in.

    Owns the tasks that open them; :meth:`leave` ends those.

    Args:
        connect: The transport's way in.
        target: Where to connect.
        governor: The account's; asked where idle sockets count.
    """

    def __init__(self, connect: Connect, target: Target, governor: Governor) -> None:
        self._connect = connect
        self._target = target
        self._governor = governor
        self._loop = asyncio.get_running_loop()
        self._sizes: list[int] = []
        self._warm: list[Warm] = []  # the youngest last
        self._opening: dict[asyncio.Task[None], Warm] = {}
        self._refill: asyncio.TimerHandle | None = None
        self._failures = 0
        self._started = False

    @property
    def size(self) -> int:
        """How many sockets it is to keep."""
        return max(self._sizes, default=0)

    @property
    def ready(self) -> int:
        """How many are warm now."""
        return len(self._warm)

    def join(self, size: int) -> None:
        """Note a channel that wants so many kept."""
        self._sizes.append(size)
        self._fill()

    async def leave(self, size: int) -> bool:
        """Note that a channel has gone; after the last one close everything.

        Returns whether it was the last one. Cancelling cuts what is left.
        """
        self._sizes.remove(size)
        if self._sizes:
            self._trim()
            return False
        self._started = False
        self._stop_refill()
        opening, warm = list(self._opening), self._warm[:]
        for task in opening:
            task.cancel()
        closing = [self._loop.create_task(one.socket.aclose()) for one in warm if one.socket]
        try:
            if tasks := [*opening, *closing]:
                await asyncio.wait(tasks)
        finally:
            for task in closing:
                task.cancel()
            for one in warm:
                self._drop(one)
        return True

    def start(self) -> None:
        """Fill up from now on: somebody speaks."""
        if not self._started:
            self._started, self._failures = True, 0
            self._fill()

    def take(self) -> Warm | None:
        """Return the youngest living socket, and open another; None if there is none."""
        while self._warm:
            one = self._warm.pop()
            one.leave()
            if one.socket is not None and not one.socket.closed:
                self._failures = 0
                self._fill()
                return one
            self._release(one)
        self._fill()
        return None

    def suspect(self) -> None:
        """Cut every socket: one that lay here was dead, and none of the others was heard since."""
        for one in self._warm[:]:
            self._drop(one)
        self._fill()

    def lose(self, one: Warm) -> None:
        """Replace a socket that the service closed or refused."""
        if one not in self._warm:
            return
        settled = self._loop.time() - one.since_s >= SETTLED_S
        self._drop(one)
        if settled:
            self._fill()
        else:
            self._fail()

    # Inside

    def _fill(self) -> None:
        if not self._started or self._refill is not None:
            return
        young = sum(not one.old for one in self._warm)
        for _ in range(self.size - young - len(self._opening)):
            slot = self._governor.take() if self._governor.idle_sockets_count else None
            if slot is None and self._governor.idle_sockets_count:
                return  # others need it more
            self._open(Warm(self, slot))

    def _open(self, one: Warm) -> None:
        task = self._loop.create_task(self._connected(one), name="fishlive standby")
        self._opening[task] = one
        task.add_done_callback(self._opened)

    async def _connected(self, one: Warm) -> None:
        socket = await self._connect(self._target, one)
        timer = self._loop.call_later(MAX_AGE_S, self._age, one)
        one.keep(socket, timer, self._loop.time())
        if one.slot is not None:
            one.slot.spare(lambda: self._drop(one))

    def _opened(self, task: asyncio.Task[None]) -> None:
        one = self._opening.pop(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and not isinstance(error, FishLiveError):
            complain(error)  # a custom transport may raise anything
        if task.cancelled() or error is not None or one.socket is None:
            self._release(one)
            if not task.cancelled():
                self._fail(error)
        elif one.socket.closed or not self._sizes:
            self._warm.append(one)
            self._drop(one)
            self._fail()
        else:
            self._governor.learn_headers(one.socket.handshake.headers)
            self._warm.append(one)
            self._trim()

    def _trim(self) -> None:
        """Cut the oldest of what is more than wanted."""
        while len(self._warm) > self.size:
            self._drop(self._warm[0])

    def _age(self, one: Warm) -> None:
        one.old = True
        self._fill()

    def _fail(self, error: BaseException | None = None) -> None:
        """Fill up later, ever later; not at all once the service has refused for good."""
        self._failures += 1
        if not self._sizes or not self._started or self._refill is not None:
            return
        if isinstance(error, FishLiveError):
            self._governor.refused(error)
            if not error.retryable:
                self._started = False  # until the next utterance
                return
        longest_s = min(REFILL_BASE_S * 2 ** min(self._failures - 1, _MAX_DOUBLINGS), REFILL_CAP_S)
        wait_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        self._refill = self._loop.call_later(wait_s, self._try_again)

    def _try_again(self) -> None:
        self._refill = None
        self._fill()

    def _stop_refill(self) -> None:
        if self._refill is not None:
            self._refill.cancel()
            self._refill = None

    def _drop(self, one: Warm) -> None:
        """Cut it."""
        if one in self._warm:
            self._warm.remove(one)
        one.leave()
        if one.socket is not None:
            one.socket.abort()
        self._release(one)

    def _release(self, one: Warm) -> None:
        slot, one.slot = one.slot, None
        if slot is not None:  # what was aborted now is closed in the loop's next turn
            self._loop.call_soon(_give_back, slot)


def _give_back(slot: Slot) -> None:
    slot.release(well=False)
