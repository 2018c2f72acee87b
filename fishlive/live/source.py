"""Text sources: whatever ``speak`` is given, carried into an utterance by one task."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Any, Final, TypeAlias

from fishlive.errors import ConfigError, InvalidTextError, UsageError
from fishlive.limits import CLOSE_TIMEOUT_S
from fishlive.live.sender import TOKEN_CHARS
from fishlive.live.turn import Turn
from fishlive.text.llm import text_of

TextSource: TypeAlias = str | Iterable[Any] | AsyncIterable[Any]
"""Text, or what yields text or the events of a known LLM stream."""

STEP_TOKENS: Final = 64
"""Tokens that a source may bring within one step before their size is looked at: with the above
that is 4 Ki characters at most, a sixteenth of the queue."""

_END: Final = object()


def check_source(source: object) -> None:
    """Raise ConfigError unless ``source`` can be read as text."""
    if isinstance(source, (str, AsyncIterable, Iterable)) and not isinstance(
        source, (bytes, bytearray, memoryview, dict)
    ):
        return
    hint = ""
    if asyncio.iscoroutine(source) or hasattr(source, "__await__"):
        hint = "; it must be awaited first"
    elif hasattr(source, "__aenter__"):
        hint = "; enter it with `async with` and pass what that gives"
    kind = type(source).__name__
    raise ConfigError(
        f"speak() takes text, or an iterable or async iterable of text, not {kind}{hint}",
        argument="source",
    )


class Feeder:
    """Carries one source into one utterance, and closes it if that ends early.

    Owned by the channel, which waits for its task when it is left.
    """

    def __init__(self, source: TextSource) -> None:
        self._source = source
        self._over = False
        self._begun = False
        self.task: asyncio.Task[None] | None = None

    def start(self, turn: Turn) -> None:
        """Begin to read the source, in a task of the running loop."""
        steps = _Steps(self._run(turn), turn)
        self.task = turn.loop.create_task(steps, name="fishlive text")

    def stop(self) -> None:
        """Read no further; the task closes the source. Idempotent."""
        if not self._over:
            self._over = True
            # A task that is cancelled before its first step never takes it, and closes nothing.
            if self.task is not None and self._begun:
                self.task.cancel()

    async def _run(self, turn: Turn) -> None:
        self._begun = True
        if self._over:
            await _close_unread(self._source)
            return
        try:
            items, to_close = self._opened()
            try:
                await _add_all(turn, items)
            except BaseException:
                await _close(*to_close)
                raise
            self._over = True
            turn.end_text()
        except asyncio.CancelledError as error:
            if self._over:  # we were stopped; else the source itself gave up
                return
            self._over = True
            cancelled = UsageError("the text source was cancelled")
            cancelled.__cause__ = error
            turn.fail(cancelled)
        except BaseException as error:
            if self._over:  # its last words after it was stopped interest nobody
                return
            self._over = True
            turn.fail(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):  # the loop's, and not ours alone
                raise

    def _opened(self) -> tuple[AsyncIterator[Any], tuple[object, ...]]:
        """Return the iterator of the source, and what to close if it is not read to its end."""
        source = self._source
        if isinstance(source, str):
            source = (source,)
        if isinstance(source, (list, tuple)):
            return _Listed(source), ()
        if isinstance(source, AsyncIterable):
            items: AsyncIterator[Any] = source.__aiter__()
            return items, (items, source)
        pull = Pull(iter, source)
        return pull, (pull,)  # the thread closes the source itself, where it runs


class _Steps(Coroutine[Any, None, None]):
    """A coroutine that lets its utterance know when each of its steps begins and ends.

    A step is what happens until the source waits for something. So what a source yields without
    waiting leaves in one message, what it waits for leaves at once (bursts excepted, see
    :class:`~fishlive.live.sender.Sender`), and neither needs a callback of the loop for each
    token (1.5 µs of 6, measured).
    """

    def __init__(self, inner: Coroutine[Any, None, None], turn: Turn) -> None:
        self._inner = inner
        self._send = inner.send
        self._step = turn.sender.step

    def send(self, value: None) -> Any:
        """Take one step."""
        try:
            return self._send(value)
        finally:
            self._step()

    def throw(self, *error: Any) -> Any:
        """Take one step with an exception, as a cancellation does."""
        try:
            return self._inner.throw(*error)
        finally:
            self._step()

    def close(self) -> None:
        """End it where it stands."""
        self._inner.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self._inner.__await__()


async def _add_all(turn: Turn, items: AsyncIterator[Any]) -> None:
    """Add every item, waiting where there is no room. Raises InvalidTextError with its index."""
    sender, outbox = turn.sender, turn.sender.outbox
    fresh = outbox.fresh
    bring = fresh.append
    try:
        async for item in items:
            text = item if item.__class__ is str else text_of(item)
            bring(text)
            big = len(text) > TOKEN_CHARS or len(fresh) > STEP_TOKENS
            if (big or sender.look) and not turn.gather():
                await turn.room()
        if fresh:
            turn.gather()
    except InvalidTextError as error:
        if error.index is not None:
            raise
        index = outbox.gathered + len(fresh)
        raise InvalidTextError(str(error), index=index) from error


class _Listed:
    """The items of a sequence, one after the other, without a pause."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = iter(items)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


async def _close(*sources: object) -> None:
    """Close iterator and source, within CLOSE_TIMEOUT_S. Their failures interest nobody now."""
    import anyio

    for source in dict.fromkeys(sources):
        close = getattr(source, "aclose", None) or getattr(source, "close", None)
        if close is None:
            continue
        with contextlib.suppress(Exception):
            closing = close()
            if hasattr(closing, "__await__"):
                # In this very task: asyncio.wait_for makes another one before Python 3.12.
                with anyio.move_on_after(CLOSE_TIMEOUT_S):
                    await closing


async def _close_unread(source: TextSource) -> None:
    """Close a source that nobody began to read; a blocking one in a thread of its own."""
    if isinstance(source, AsyncIterable):
        await _close(source)
    elif not isinstance(source, (str, list, tuple)):
        close = getattr(source, "close", None)
        if close is not None:
            threading.Thread(target=close, name="fishlive text", daemon=True).start()


class Pull:
    """Reads a blocking iterable in a thread of its own, one item ahead of its reader.

    The event loop never calls ``next``. Nobody ever waits for the thread: after :meth:`close` it
    ends behind its current item and closes the iterator there. It is a daemon, so that a source
    which never yields cannot keep the interpreter alive.

    Args:
        begin: Makes the iterator, in the thread, because that may block too.
        source: What ``begin`` is given.
    """

    def __init__(self, begin: Callable[[Any], Iterator[Any]], source: Iterable[Any]) -> None:
        self._begin = begin
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Semaphore(1)
        self._stopped = threading.Event()
        self._slot: Any = _END
        self._error: BaseException | None = None
        self._ended = False
        self._arrived = asyncio.Event()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._work,), name="fishlive text", daemon=True
        )
        thread.start()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        """Return the next item. Cancelling loses none."""
        await self._arrived.wait()
        if self._ended:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        self._arrived.clear()
        item, self._slot = self._slot, _END
        self._wanted.release()
        return item

    def close(self) -> None:
        """Let the thread end behind its current item. Never waits."""
        self._stopped.set()
        self._wanted.release()

    def _work(self) -> None:
        iterator: Iterator[Any] | None = None
        error: BaseException | None = None
        try:
            self._wanted.acquire()
            iterator = self._begin(self._source)
            for item in iterator:
                self._tell(self._take, item)
                self._wanted.acquire()  # close() releases it too
                if self._stopped.is_set():
                    break
        except BaseException as raised:  # noqa: BLE001  # handed to the reader, as it is
            error = raised
        self._tell(self._end, error)
        close = getattr(iterator, "close", None)
        if self._stopped.is_set() and close is not None:
            with contextlib.suppress(Exception):  # nobody is left to hear of it
                close()

    def _tell(self, call: Callable[[Any], None], value: object) -> None:
        """Call back in the loop; without one there is nobody to read for."""
        try:
            self._loop.call_soon_threadsafe(call, value)
        except RuntimeError:  # the loop was closed
            self.close()

    def _take(self, item: object) -> None:
        self._slot = item
        self._arrived.set()

    def _end(self, error: BaseException | None) -> None:
        self._ended, self._error = True, error
        self._arrived.set()
