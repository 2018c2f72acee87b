"""Threads that take turns with a virtual loop: one of them runs at a time, in a known order.

A source that blocks is read in a thread of its own (``speak`` with a plain generator). Real threads
end in any order; these run only while the loop stands still for them.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from fishlive.testing.clock import VirtualLoop


class Threads:
    """Stands in for the module ``threading`` of a module that reads in threads.

    Args:
        loop: With whom they take turns.
        latency_s: Called for how long a thread takes to wake up, in virtual seconds.
    """

    def __init__(self, loop: VirtualLoop, latency_s: Callable[[], float] = lambda: 0.0) -> None:
        self._loop = loop
        self._latency_s = latency_s
        self._back = threading.Semaphore(0)  # released when the loop may go on
        self._strands: dict[int, Strand] = {}
        self._living: list[Strand] = []
        self.ended: bool = False
        self.Event: type[threading.Event] = threading.Event
        self.Thread: partial[Strand] = partial(Strand, self)
        self.Semaphore: partial[Semaphore] = partial(Semaphore, self)

    @contextlib.contextmanager
    def installed(self, module: ModuleType) -> Iterator[None]:
        """Have ``module`` use these threads within the block; behind it they have ended."""
        real = module.__dict__["threading"]
        module.__dict__["threading"] = self
        try:
            yield
        finally:
            self.end()
            module.__dict__["threading"] = real

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for so many virtual seconds, as ``time.sleep`` would."""
        strand = self.current()
        self._loop.call_later(seconds, self.resume, strand)
        self.pause(strand)

    def end(self) -> None:
        """Have every thread that still waits raise SystemExit there, and wait for its end."""
        self.ended = True
        while self._living:
            self.resume(self._living[0])

    # For strands

    def begin(self, strand: Strand) -> None:
        """Let a new thread run soon."""
        self._living.append(strand)
        self._loop.call_later(self._latency_s(), self.resume, strand)

    def wake(self, strand: Strand) -> None:
        """Let a thread that paused run soon."""
        if not self._loop.is_closed():
            self._loop.call_later(self._latency_s(), self.resume, strand)

    def resume(self, strand: Strand) -> None:
        """Let a thread run until it pauses or ends. Called in the loop's thread."""
        if strand in self._living:
            strand.go.release()
            self._back.acquire()

    def pause(self, strand: Strand) -> None:
        """Let the loop go on until :meth:`resume`. Called in the strand's thread."""
        self._back.release()
        strand.go.acquire()
        if self.ended:
            raise SystemExit

    def current(self) -> Strand:
        """Return the calling thread."""
        return self._strands[threading.get_ident()]

    def enter(self, strand: Strand) -> None:
        """Know a thread by its id."""
        self._strands[threading.get_ident()] = strand

    def leave(self, strand: Strand) -> None:
        """Forget a thread, and let the loop go on."""
        self._living.remove(strand)
        self._strands.pop(threading.get_ident(), None)
        self._back.release()


class Strand:
    """One thread, made as ``threading.Thread`` is."""

    def __init__(
        self,
        threads: Threads,
        *,
        target: Callable[..., object],
        args: tuple[Any, ...] = (),
        **_: object,
    ) -> None:
        self._threads = threads
        self._target, self._args = target, args
        self.go: threading.Semaphore = threading.Semaphore(0)

    def start(self) -> None:
        """Begin in a later turn of the loop."""
        threading.Thread(target=self._run, name="fishlive lockstep", daemon=True).start()
        self._threads.begin(self)

    def _run(self) -> None:
        self.go.acquire()
        self._threads.enter(self)
        try:
            if not self._threads.ended:
                with contextlib.suppress(SystemExit):
                    self._target(*self._args)
        finally:
            self._threads.leave(self)


class Semaphore:
    """A semaphore for strands; the loop may release it, and never waits for it."""

    def __init__(self, threads: Threads, value: int = 1) -> None:
        self._threads = threads
        self._value = value
        self._waiting: deque[Strand] = deque()

    def acquire(self) -> None:
        """Take one, pausing the calling strand until there is one."""
        if self._value:
            self._value -= 1
            return
        strand = self._threads.current()
        self._waiting.append(strand)
        self._threads.pause(strand)

    def release(self) -> None:
        """Give one back."""
        if self._waiting:
            self._threads.wake(self._waiting.popleft())
        else:
            self._value += 1
