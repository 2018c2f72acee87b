"""A thread that writes, so that a slow reader never stops the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import io
import queue
import select
import threading
from typing import TypeAlias

_Job: TypeAlias = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class ThreadedWriter:
    """Writes to an unbuffered file in a daemon thread, one chunk at a time.

    A player that reads at its own pace blocks whoever writes to it, and a blocked loop answers no
    pings. The thread is a daemon, so that a reader which never reads on cannot keep the process.

    Args:
        raw: Where to; its ``write`` may take less than it is given.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.written_bytes: int = 0

    async def write(self, data: bytes) -> None:
        """Write all of it. Cancelling does not stop the thread. Raises OSError."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fishlive out", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._jobs.put((data, loop, done))
        await done

    def stop(self, *, wait: bool) -> None:
        """End the thread behind what it is writing. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            if wait:
                thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            data, loop, done = job
            error: BaseException | None = None
            try:
                write_all(self._raw, data)
                self.written_bytes += len(data)
            except Exception as raised:  # noqa: BLE001  # handed to the one who waits, as it is
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_settle, done, error)


def write_all(raw: io.RawIOBase, data: bytes) -> None:
    """Write until all is written, also to a file that is set not to block."""
    view = memoryview(data)
    while view:
        count = raw.write(view)
        if count is None:  # not blocking, and full
            select.select([], [raw], [])
            continue
        view = view[count:]


def _settle(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
