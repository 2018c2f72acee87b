"""An event loop whose clock is virtual: nobody ever waits, and every run is the same.

Time stands still while anything is ready and then jumps to the next timer. So an hour costs what
happens in it, and a program that waits for what nobody will ever do is found at once instead of
by a timeout: with nothing ready and no timer left, :class:`Deadlock` says who waits where.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final, TypeVar

T = TypeVar("T")

LIMIT_S: Final = 3600.0
"""How far the clock of a run goes unless told, in virtual seconds: an hour, which no turn of a
conversation takes."""

MAX_TURNS: Final = 10_000_000
"""Turns of the loop after which a run is going in circles: a day of a watchdog that looks four
times a second has 345,600."""

WIND_DOWN_TURNS: Final = 100
"""Turns that cancelled tasks may take to end."""


MIN_TURNS: Final = 5
"""Turns in which everything ends that was about to."""


class Stuck(AssertionError):
    """A run that cannot, or does not, come to its end. Its message names the tasks that wait."""


class Deadlock(Stuck):
    """Nothing is ready and no timer is left, so nothing will ever happen again."""


class OutOfTime(Stuck):
    """The virtual clock went past the limit of the run."""


class Livelock(Stuck):
    """The loop turned too often: somebody is busy without end."""


class Leftovers(AssertionError):
    """A run that ended well and left tasks behind, or made its event loop complain."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without a selector: no socket, no thread, no waiting.

    It is asyncio's own in all else: callbacks run in the order in which they became ready, and
    everything that runs within one instant sees the same :meth:`time`.

    Args:
        seed: Decides in which order timers run that are due in the same instant. None runs them
            as asyncio happens to.
        limit_s: Where the clock stops with OutOfTime, in virtual seconds.
        max_turns: After how many turns it stops with Livelock.

    Attributes:
        turns: How often it turned.
        complaints: What its exception handler was called with, unless another one was set.
    """

    # Of the base class, which does not promise them, and has had them from 3.4 to 3.14.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool

    def __init__(
        self,
        *,
        seed: int | None = None,
        limit_s: float = LIMIT_S,
        max_turns: int = MAX_TURNS,
    ) -> None:
        super().__init__()
        self.turns: int = 0
        self.complaints: list[dict[str, Any]] = []
        self._now_s = 0.0
        self._limit_s = limit_s
        self._max_turns = max_turns
        # asyncio's own register is one for all loops, and dear to look through.
        self._born: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._shuffle = None if seed is None else random.Random(seed).shuffle  # noqa: S311
        self.set_exception_handler(_complain)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._now_s

    def block(self, seconds: float) -> None:
        """Let time pass while nothing runs, as a call that blocks the loop does."""
        self._now_s += max(0.0, seconds)

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """Timers that will still fire, in no order."""
        return [timer for timer in self._scheduled if not timer.cancelled()]

    @property
    def unfinished(self) -> list[asyncio.Task[Any]]:
        """Tasks of this loop that have not ended, by their names."""
        return sorted((t for t in self._born if not t.done()), key=lambda task: task.get_name())

    def create_task(self, *args: Any, **options: Any) -> asyncio.Task[Any]:
        """Create a task, and remember it while it lives."""
        task: asyncio.Task[Any] = super().create_task(*args, **options)
        self._born.add(task)
        return task

    def run_in_executor(  # type: ignore[override]  # the base returns a future of the same result
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call ``func`` at once, in the loop: a pool of threads would end in any order."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the future carries it
            future.set_exception(error)
        return future

    def wind_down(self) -> list[asyncio.Task[Any]]:
        """Cancel what is left and let it end, without time passing; return what was left."""
        left = self.unfinished
        for task in left:
            task.cancel()
        self._max_turns = self.turns + 2 * WIND_DOWN_TURNS
        if left or self._ready:
            with contextlib.suppress(Stuck):
                self.run_until_complete(_some_turns(left))
        return left

    # What the base class asks of a loop

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        if not ready and not self._stopping:
            self._jump()
        if scheduled and scheduled[0].when() <= self._now_s:
            self._due()
        self.turns += 1
        if self.turns > self._max_turns:
            raise Livelock(f"no end after {self.turns} turns at {self._now_s:.3f} s{_waits(self)}")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _jump(self) -> None:
        """Move the clock to the next timer."""
        scheduled = self._scheduled
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)
        if not scheduled:
            raise Deadlock(f"nothing will ever happen after {self._now_s:.3f} s{_waits(self)}")
        when = scheduled[0].when()
        if when > self._limit_s:
            raise OutOfTime(f"not over after {self._limit_s:g} virtual seconds{_waits(self)}")
        self._now_s = max(self._now_s, when)

    def _due(self) -> None:
        """Make ready what is due now."""
        scheduled, now = self._scheduled, self._now_s
        due = []
        while scheduled and scheduled[0].when() <= now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]  # as the base class has it
            if not timer.cancelled():
                due.append(timer)
        if self._shuffle is not None and len(due) > 1:
            self._shuffle(due)
        self._ready.extend(due)

    def _process_events(self, event_list: object) -> None:
        """Process no events: there is no selector."""

    def _write_to_self(self) -> None:
        """Wake nobody: the loop never sleeps."""


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    seed: int = 0,
    limit_s: float = LIMIT_S,
    max_turns: int = MAX_TURNS,
) -> T:
    """Run ``main()`` in virtual time and return what it returns; the same seed, the same run.

    The global :mod:`random` is seeded for the time of the run. Not to be called in a running loop.

    Raises:
        Deadlock: Nobody will ever do what it waits for.
        OutOfTime: It took more than ``limit_s`` virtual seconds.
        Livelock: It took more than ``max_turns`` turns of the loop.
        Leftovers: It ended well, but left tasks behind or made the loop complain.
    """
    loop = VirtualLoop(seed=seed, limit_s=limit_s, max_turns=max_turns)
    try:
        with seeded(seed):
            result = loop.run_until_complete(main())
            left = loop.wind_down()
        if left or loop.complaints:
            raise Leftovers(f"left behind: {left}; complaints: {loop.complaints}")
        return result
    finally:
        close(loop)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global :mod:`random` for the block, and put it back behind it."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def close(loop: VirtualLoop) -> None:
    """End what is left, close generators that nobody closed, and close the loop."""
    if loop.is_closed():
        return
    loop.wind_down()
    if getattr(loop, "_asyncgens", None):
        with contextlib.suppress(Stuck):
            loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def at(when_s: float, call: Callable[[], Awaitable[T]]) -> T:
    """Call at an instant of the running loop's clock, in seconds; at once if it has passed."""
    await asyncio.sleep(max(0.0, when_s - asyncio.get_running_loop().time()))
    return await call()


async def _some_turns(tasks: list[asyncio.Task[Any]]) -> None:
    """Let tasks end that were cancelled, and what they have called."""
    for turn in range(WIND_DOWN_TURNS):
        if turn > MIN_TURNS and all(task.done() for task in tasks):
            return
        await asyncio.sleep(0)


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(loop, VirtualLoop):
        loop.complaints.append(context)


def _waits(loop: VirtualLoop) -> str:
    """Say who waits, and where."""
    lines = [f"\n  {task.get_name()} in {_where(task.get_coro())}" for task in loop.unfinished]
    return "".join(lines) or ", and nobody waits"


def _where(coroutine: Any) -> str:
    """Return the innermost place where a coroutine waits."""
    where = "nowhere"
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        where = f"{coroutine.__qualname__}:{frame.f_lineno}"
        coroutine = coroutine.cr_await
    return where
