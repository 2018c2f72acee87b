"""Ctrl-C, SIGTERM and SIGHUP end a command in order: what is open is closed, what came is kept."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final, TypeVar

from fishlive.cli.exits import ExitCode, Failure

_T = TypeVar("_T")

_ENDS: Final = {
    signal.SIGINT: Failure(ExitCode.INTERRUPTED, "interrupted"),
    signal.SIGTERM: Failure(ExitCode.TERMINATED, "terminated"),
}
if sys.platform != "win32":  # which has none
    _ENDS[signal.SIGHUP] = Failure(ExitCode.HUNG_UP, "the terminal went away")


def run(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine in a loop of its own.

    The first SIGINT, SIGTERM or SIGHUP (an ssh that drops) cancels it; the second meets Python's
    own handlers, but a second SIGHUP is ignored from then on. A signal that whoever started us
    wants ignored (nohup, or a shell for what runs in its background) stays ignored, and outside the
    main thread all are left alone.

    Raises:
        Failure: It was cancelled by a signal.
        Exception: What it raised.
    """
    return asyncio.run(_watched(work))


async def _watched(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    seen: list[signal.Signals] = []
    with _handling(asyncio.get_running_loop(), asyncio.current_task(), seen):
        try:
            return await work()
        except asyncio.CancelledError:
            if not seen:
                raise
            end = _ENDS[seen[0]]
            raise Failure(end.code, end.message) from None


@contextlib.contextmanager
def _handling(
    loop: asyncio.AbstractEventLoop,
    task: asyncio.Task[Any] | None,
    seen: list[signal.Signals],
) -> Iterator[None]:
    assert task is not None  # noqa: S101  # we are in a coroutine
    before: dict[signal.Signals, Any] = {}

    def stop(number: int) -> None:
        seen.append(signal.Signals(number))
        _restore(before)
        if seen[0] not in {signal.SIGINT, signal.SIGTERM}:
            # The shell says it and the system too; the second must not end what the first began.
            signal.signal(number, signal.SIG_IGN)
        task.cancel()

    def handler(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop, number)  # which wakes the loop, on Windows too

    with contextlib.suppress(ValueError):  # not in the main thread
        for number in _ENDS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        _restore(before)


def _restore(before: dict[signal.Signals, Any]) -> None:
    while before:
        number, handler = before.popitem()
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
