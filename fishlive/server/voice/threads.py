"""Encoding beside the event loop: a few threads, each encoder strictly in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from fishlive.errors import StreamClosedError, UsageError
from fishlive.server.voice.encode import OPUS_AUTO_BPS, Encoder, Format
from fishlive.server.voice.speech import SAMPLE_BYTES, SPEECH_RATE_HZ

WORKERS: Final = 2
"""Threads that encode. It is the dearest part of speaking, and frees the interpreter's lock."""

PIECE_S: Final = 0.25
"""Speech encoded in one turn, in seconds: 5 ms of work, so that a long text keeps nobody waiting
and its first sound leaves before its last is encoded."""

_PIECE_BYTES: Final = int(PIECE_S * SPEECH_RATE_HZ) * SAMPLE_BYTES

T = TypeVar("T")


class EncodingThreads:
    """Owns the threads. Close it when the server closes; its encoders end with it."""

    def __init__(self, *, workers: int = WORKERS) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="fishlive-encode")
        self._running: set[Future[Any]] = set()
        self._closed = False

    async def open(
        self,
        *,
        format: Format,  # noqa: A002 - the API's own name
        sample_rate_hz: int,
        mp3_bitrate_kbps: int = 128,
        opus_bitrate_bps: int = OPUS_AUTO_BPS,
        volume_db: float = 0.0,
    ) -> AsyncEncoder:
        """Return an encoder of these settings, made in a thread; see Encoder, errors included."""
        make = partial(
            Encoder,
            format=format,
            sample_rate_hz=sample_rate_hz,
            mp3_bitrate_kbps=mp3_bitrate_kbps,
            opus_bitrate_bps=opus_bitrate_bps,
            volume_db=volume_db,
        )
        return AsyncEncoder(self, await self.run(make))

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in a thread. Cancelling does not stop it once it has begun.

        Raises:
            StreamClosedError: The threads were closed, now or while it waited for one.
        """
        if self._closed:
            raise StreamClosedError("the encoding threads were closed")
        future = self._executor.submit(self._guarded, work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        """Refuse what has not begun, wait for what has (some 5 ms), end the threads. Idempotent."""
        self._closed = True
        running = [asyncio.wrap_future(future) for future in tuple(self._running)]
        try:
            # Failures are their callers' business; here they only count as ended.
            await asyncio.gather(*running, return_exceptions=True)
        finally:
            self._executor.shutdown(wait=False)

    def _guarded(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise StreamClosedError("the encoding threads were closed")
        return work()


class AsyncEncoder:
    """An Encoder whose work is done in a thread, one call after the other.

    A call that is cancelled or fails leaves a hole in the sound, so every later one raises
    UsageError.
    """

    def __init__(self, threads: EncodingThreads, encoder: Encoder) -> None:
        self._threads = threads
        self._encoder = encoder
        self._turn = asyncio.Lock()
        self._whole = True

    @property
    def content_type(self) -> str:
        """The media type, as the service names it."""
        return self._encoder.content_type

    async def feed(self, pcm: bytes) -> bytes:
        """Take speech as Encoder.feed does. Work grows with it: prefer ``stream`` for much."""
        return await self._next(partial(self._encoder.feed, pcm))

    async def stream(self, pcm: bytes) -> AsyncIterator[bytes]:
        """Feed speech of any length in turns of PIECE_S; yield what can be sent, never empty."""
        for at in range(0, len(pcm), _PIECE_BYTES):
            if encoded := await self.feed(pcm[at : at + _PIECE_BYTES]):
                yield encoded

    async def finish(self) -> bytes:
        """Return the tail, as Encoder.finish does."""
        return await self._next(self._encoder.finish)

    async def _next(self, work: Callable[[], bytes]) -> bytes:
        async with self._turn:
            if not self._whole:
                raise UsageError("an earlier call to this encoder was cancelled or failed")
            self._whole = False
            encoded = await self._threads.run(work)
            self._whole = True
            return encoded
