"""fish-audio-sdk: one client for all of a process; it opens a socket for each reply."""

# ruff: noqa: D102  # what a speaker owes is said once, in benchmarks/peer_clients/__init__.py

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fishaudio import AsyncFishAudio  # type: ignore[import-untyped]  # no py.typed
from fishaudio.types import TTSConfig  # type: ignore[import-untyped]  # likewise

from benchmarks.peer_plans import CHUNK_LENGTH, KEY, LATENCY, SAMPLE_RATE_HZ, Take

TITLE = "fish-audio-sdk"
PACKAGE = "fish-audio-sdk"
OWN_WAY = "sends each token and never flushes; the service speaks when a chunk is full"


shared: dict[int, AsyncFishAudio] = {}


class Speaker:
    """Its iterator must not be left early (it cancels the caller's task), so it has a task."""

    def __init__(self, client: AsyncFishAudio, voice: str | None) -> None:
        self._client = client
        self._voice = voice
        self._task: asyncio.Task[None] | None = None

    async def speak(self, stream: AsyncIterator[str], take: Take) -> None:
        self._task = asyncio.ensure_future(self._listen(stream, take))
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _listen(self, stream: AsyncIterator[str], take: Take) -> None:
        config = TTSConfig(
            format="pcm",
            sample_rate=SAMPLE_RATE_HZ,
            latency=LATENCY,
            chunk_length=CHUNK_LENGTH,
            reference_id=self._voice,
        )
        async for chunk in self._client.tts.stream_websocket(stream, config=config):
            take(chunk)

    async def heard(self) -> None:
        pass

    async def interrupt(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(BaseException):
                await asyncio.wait([self._task])


@asynccontextmanager
async def session(port: int, voice: str | None) -> AsyncIterator[Speaker]:
    if port not in shared:
        http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            limits=httpx.Limits(max_connections=None),  # its default of 100 would end the ramp
            timeout=240.0,
        )
        shared[port] = AsyncFishAudio(api_key=KEY, httpx_client=http)
    yield Speaker(shared[port], voice)


async def leave() -> None:
    while shared:
        await shared.popitem()[1].close()
