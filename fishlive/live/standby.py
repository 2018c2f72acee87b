"""Warm sockets in reserve, so that no turn waits for a handshake.

One reserve stands behind all channels of a session that speak to the same address with the same
model. It opens nothing before the first utterance begins, so who only connects pays for one socket.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Final

from fishlive.errors import APIStatusError, FishLiveError, ProtocolError
from fishlive.flow.governor import Governor, Slot
from fishlive.live.refusals import refusal
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
        socket: Open, as far as we know; None until it is.
        slot: The account's slot it holds, where idle sockets count.
        since_s: When it was opened, by the loop's clock.
        old: Whether it is to go as soon as there is a younger one.
        wanted: Whether it is still to be kept once it is open.
        ending: What the service said against it before it was kept.
    """

    __slots__ = ("_reserve", "_timer", "ending", "old", "since_s", "slot", "socket", "wanted")

    def __init__(self, reserve: Standby, slot: Slot | None) -> None:
        self._reserve = reserve
        self._timer: asyncio.TimerHandle | None = None
        self.socket: Socket | None = None
        self.slot: Slot | None = slot
        self.since_s: float = 0.0
        self.old: bool = False
        self.wanted: bool = True
        self.ending: FishLiveError | None = None

    def keep(self, timer: asyncio.TimerHandle, now: float) -> None:
        """Be in reserve from now on; ``timer`` will call it old."""
        self._timer, self.since_s = timer, now

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
            self._reserve.lose(self, refusal(event, spoken=False))

    def on_closed(self, error: FishLiveError) -> None:
        """Leave."""
        self._reserve.lose(self, error)

    def on_writable(self) -> None:
        """Nothing waits to be written."""


class Standby:
    """Keeps sockets warm while any channel needs them. Belongs to the loop it was made in.

    Owns the tasks that open them; :meth:`leave` ends those. Where idle sockets count, each holds a
    slot of the account from before it is opened until it is closed, and is given up, open or not,
    as soon as any request of the account waits.

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
        self._opening: dict[Warm, asyncio.Task[Socket]] = {}
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
        if size in self._sizes:  # else everything was closed meanwhile
            self._sizes.remove(size)
        if self._sizes:
            self._trim()
            return False
        await self.aclose()
        return True

    async def aclose(self) -> None:
        """Close everything, whoever is left. Idempotent; cancelling cuts what is left."""
        self._sizes.clear()
        self._stop()
        opening, warm = list(self._opening.values()), self._warm[:]
        for task in opening:
            task.cancel()
        closing = [self._loop.create_task(one.socket.aclose()) for one in warm if one.socket]
        try:
            if tasks := [*opening, *closing]:
                await asyncio.wait(tasks)
        finally:
            for task_ in closing:
                task_.cancel()
            for one in warm:
                self._drop(one)

    def start(self) -> None:
        """Fill up from now on: somebody speaks. Begins anew after a refusal for good."""
        if not self._started:
            self._started, self._failures = bool(self._sizes), 0
        self._fill()

    def take(self) -> Warm | None:
        """Return the youngest living socket, and open another; None if there is none."""
        found: Warm | None = None
        while self._warm and found is None:
            one = self._warm.pop()
            one.leave()
            if one.socket is None or one.socket.closed:
                self._drop(one)
                continue
            found, self._failures = one, 0
            if one.slot is not None:
                one.slot.busy()
        self._fill()
        return found

    def suspect(self) -> None:
        """Cut every socket: one that lay here was dead, and none of the others was heard since."""
        for one in self._warm[:]:
            self._drop(one)
        self._fill()

    def lose(self, one: Warm, error: FishLiveError) -> None:
        """Replace a socket that the service closed or refused."""
        if one not in self._warm:
            one.ending = one.ending or error  # not kept yet: _opened will see it
            return
        settled = self._loop.time() - one.since_s >= SETTLED_S
        self._learn(one, error)
        self._drop(one)
        if settled:
            self._failures = 0
            self._fill()
        else:
            self._fail(error)

    # Inside

    def _fill(self) -> None:
        if not self._started or self._refill is not None:
            return
        young = sum(not one.old for one in self._warm)
        for _ in range(self.size - young - len(self._opening)):
            slot = self._governor.take() if self._governor.idle_sockets_count else None
            if slot is None and self._governor.idle_sockets_count:
                self._make_room()
                return
            self._open(Warm(self, slot))

    def _make_room(self) -> None:
        """Cut an old socket whose slot its own replacement needs; else others need it more."""
        old = next((one for one in self._warm if one.old), None)
        if old is not None:
            self._drop(old)

    def _open(self, one: Warm) -> None:
        task = self._loop.create_task(self._connected(one), name="fishlive standby")
        self._opening[one] = task
        task.add_done_callback(partial(self._opened, one))
        if one.slot is not None:
            one.slot.spare(partial(self._give_up, one))

    async def _connected(self, one: Warm) -> Socket:
        return await self._connect(self._target, one)

    def _opened(self, one: Warm, task: asyncio.Task[Socket]) -> None:
        del self._opening[one]
        error = one.ending
        if not task.cancelled() and task.exception() is None:
            one.socket = task.result()
            self._governor.learn_headers(one.socket.handshake.headers)
            if one.wanted and self._sizes and error is None and not one.socket.closed:
                now = self._loop.time()
                one.keep(self._loop.call_later(MAX_AGE_S, self._age, one), now)
                self._warm.append(one)
                self._trim()
                self._fill()
                return
        elif not task.cancelled():
            error = _typed(task.exception())
        self._learn(one, error)
        self._drop(one)
        if one.wanted:
            self._fail(error)

    def _trim(self) -> None:
        """Cut the oldest of what is more than wanted."""
        while len(self._warm) > self.size:
            self._drop(self._warm[0])

    def _age(self, one: Warm) -> None:
        one.old = True
        self._failures = 0
        self._fill()

    def _learn(self, one: Warm, error: FishLiveError | None) -> None:
        """Have the governor learn from a refusal."""
        if error is not None and one.slot is not None:
            one.slot.failed(error)
        elif error is not None:
            self._governor.refused(error)

    def _fail(self, error: FishLiveError | None) -> None:
        """Fill up later, ever later; not at all once the service has refused for good."""
        if error is not None and not error.retryable:
            self._stop()  # until the next utterance
        if not self._started or self._refill is not None:
            return
        longest_s = min(REFILL_BASE_S * 2 ** min(self._failures, _MAX_DOUBLINGS), REFILL_CAP_S)
        self._failures += 1
        wait_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        if isinstance(error, APIStatusError):
            wait_s += error.retry_after_s or 0.0
        self._refill = self._loop.call_later(wait_s, self._try_again)

    def _try_again(self) -> None:
        self._refill = None
        self._fill()

    def _stop(self) -> None:
        self._started = False
        if self._refill is not None:
            self._refill.cancel()
            self._refill = None

    def _give_up(self, one: Warm) -> None:
        """Cut it, or stop opening it, for somebody who waits for its slot."""
        one.wanted = False
        task = self._opening.get(one)
        if task is None:
            self._drop(one)
        else:
            task.cancel()

    def _drop(self, one: Warm) -> None:
        """Cut it."""
        if one in self._warm:
            self._warm.remove(one)
        one.leave()
        if one.socket is not None:
            one.socket.abort()
        slot, one.slot = one.slot, None
        if slot is not None:  # what was aborted now is closed in the loop's next turn
            self._loop.call_soon(self._give_back, slot)

    def _give_back(self, slot: Slot) -> None:
        slot.release(well=False)
        self._fill()


def _typed(error: BaseException | None) -> FishLiveError | None:
    """Return what a transport may raise; the loop hears of anything else."""
    if isinstance(error, FishLiveError):
        return error
    if isinstance(error, Exception):
        complain(error)
    return None
