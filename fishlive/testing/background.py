"""The local server in a thread of its own: for tests of any kind, and for notebooks."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fishlive.errors import UsageError
from fishlive.faults import Fault

if TYPE_CHECKING:
    from fishlive.server import LocalServer, Settings

_T = TypeVar("_T")

WAIT_S: Final = 30.0
"""How long its thread may take to do what it is asked, in seconds; it takes milliseconds."""


class BackgroundServer:
    """A :class:`~fishlive.server.LocalServer` in a thread, used with ``with``.

    It goes on answering while your loop is blocked, and works for whatever loop, framework or
    process your code runs in. All of it may be called from any thread.

    Args:
        settings: What :class:`~fishlive.server.LocalServer` takes, ``faults`` among it.

    Raises:
        ConfigError: A setting or a fault that cannot be; on entering also a missing extra.
    """

    def __init__(self, **settings: Any) -> None:
        from fishlive.server import LocalServer

        self._server: LocalServer = LocalServer(**settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._url = self._ws_url = ""

    @property
    def url(self) -> str:
        """Its address, for ``base_url`` and FISH_BASE_URL. Empty before it runs."""
        return self._url

    @property
    def ws_url(self) -> str:
        """Its address for WebSocket clients. Empty before it runs."""
        return self._ws_url

    @property
    def settings(self) -> Settings:
        """What it does."""
        return self._server.settings

    @property
    def key(self) -> str:
        """A key that it accepts."""
        return self._server.key

    @property
    def running(self) -> int:
        """Utterances that hold a slot now."""
        return self._do(lambda: self._server.running)

    @property
    def played(self) -> Counter[str]:
        """How often each fault was played, by its line; 0 for any other."""
        return self._do(lambda: self._server.played)

    def play(self, *faults: Fault | str) -> None:
        """Let these go wrong from now on. Raises ConfigError if one cannot be."""
        self._do(lambda: self._server.play(*faults))

    def heal(self) -> None:
        """Let nothing go wrong any more; what a fault keeps open is reset."""
        self._do(self._server.heal)

    def __enter__(self) -> BackgroundServer:
        if self._thread is not None:
            raise UsageError("the server is running already")
        started: Future[asyncio.AbstractEventLoop] = Future()
        ready = threading.Thread(target=self._run, args=(started,), name="fishlive-server")
        ready.start()
        try:
            self._loop = started.result(WAIT_S)
        except BaseException:
            ready.join(WAIT_S)
            raise
        self._thread = ready
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(WAIT_S)
        self._loop = None

    def _run(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for it
            if not started.done():
                started.set_exception(error)

    async def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        self._stop = asyncio.Event()
        async with self._server as server:
            self._url, self._ws_url = server.url, server.ws_url
            started.set_result(asyncio.get_running_loop())
            await self._stop.wait()

    def _do(self, work: Callable[[], _T]) -> _T:
        if self._loop is None:
            return work()  # nobody else knows it yet, or any more
        return asyncio.run_coroutine_threadsafe(_called(work), self._loop).result(WAIT_S)


async def _called(work: Callable[[], _T]) -> _T:
    return work()
