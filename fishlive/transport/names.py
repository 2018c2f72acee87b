"""Names to addresses, by the system's resolver, and nobody waits for one that hangs.

A look-up is a call that cannot be cancelled: it may take half a minute. In the event loop's own
pool of threads it would outlive its deadline and hold up the end of ``asyncio.run()`` and of the
interpreter, which both wait for that pool. Here it runs in a daemon thread, which reports if
anybody still listens, and is forgotten if not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

MOST_THREADS: Final = 16
"""Look-ups at once in one process; more wait. What begins at the same moment mostly asks for one
name, which takes milliseconds; a resolver that hangs holds so many threads until it gives up."""

Address: TypeAlias = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]
]
"""One answer of getaddrinfo. As aiohappyeyeballs' AddrInfoType, which leaves out the last type."""


async def look_up(host: str, port: int, family: int = socket.AF_UNSPEC) -> Sequence[Address]:
    """Return the TCP addresses of a name, in the order of the system's preference.

    It has no deadline of its own. Cancelling waits for nothing: the answer is forgotten, and what
    waits for a thread is not asked.

    Args:
        host: A name, or a literal.
        port: Put into every address.
        family: ``AF_INET`` or ``AF_INET6`` for addresses of one kind only.

    Raises:
        OSError: What the resolver raised, or there is no thread to ask it in.
        UnicodeError: There cannot be such a name.
    """
    desk, question = _desk, _Question(host, port, family)
    desk.ask(question)
    try:
        return await question.answer
    finally:
        if question.answer.cancelled():
            desk.withdraw(question)


class _Question:
    """One look-up, and the future of whoever asks."""

    def __init__(self, host: str, port: int, family: int) -> None:
        self._asked = (host, port, family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Sequence[Address]] = self._loop.create_future()

    def work(self) -> None:
        """Ask, and report to the loop. Runs in a thread; never raises."""
        found: Sequence[Address] = ()
        error: Exception | None = None
        try:
            found = socket.getaddrinfo(*self._asked)
        except Exception as raised:  # noqa: BLE001 - handed to whoever asked, as it is
            error = raised
        with suppress(RuntimeError):  # the loop was closed: nobody listens
            self._loop.call_soon_threadsafe(self._report, found, error)

    def _report(self, found: Sequence[Address], error: Exception | None) -> None:
        if self.answer.done():  # cancelled meanwhile
            return
        if error is None:
            self.answer.set_result(found)
        else:
            self.answer.set_exception(error)


class _Desk:
    """Hands questions to threads: a new one for each, up to MOST_THREADS.

    A thread that is done takes the question that has waited longest, and ends if there is none: an
    idle process has no such thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Question] = deque()
        self._threads = 0

    def ask(self, question: _Question) -> None:
        """Have a question answered. Raises OSError if no thread can be had for it."""
        with self._lock:
            if self._threads >= MOST_THREADS:
                self._waiting.append(question)
                return
            self._threads += 1
        thread = threading.Thread(
            target=self._serve, args=(question,), name="fishlive names", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system allows no more
            with self._lock:
                self._threads -= 1
            raise OSError(errno.EAGAIN, "no thread for the resolver") from error

    def withdraw(self, question: _Question) -> None:
        """Do not ask what has not been asked yet."""
        with self._lock, suppress(ValueError):
            self._waiting.remove(question)

    def _serve(self, first: _Question) -> None:
        question: _Question | None = first
        while question is not None:
            question.work()
            question = self._next()

    def _next(self) -> _Question | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None


_desk = _Desk()


def _begin_anew() -> None:
    """Forget, in the child of a fork, threads that stayed behind, perhaps with the lock."""
    global _desk  # noqa: PLW0603 - the process has one
    _desk = _Desk()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
