"""fish-audio-sdk, through its public names.

It opens a socket for each utterance. Its default pool of 100 connections would refuse the scale
runs, so it gets an httpx client without that limit.
"""

# ruff: noqa: D101, D102  # what a channel owes is said once, in benchmarks/clients/__init__.py

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fishaudio import AsyncFishAudio  # type: ignore[import-untyped]  # no py.typed
from fishaudio.types import TTSConfig  # type: ignore[import-untyped]  # likewise

from benchmarks.plans import SAMPLE_RATE_HZ, Server, Take

TITLE = "fish-audio-sdk"
OPENS_LATE = True
CONFIG = TTSConfig(format="pcm", sample_rate=SAMPLE_RATE_HZ, latency="balanced")


class Channel:
    def __init__(self, client: AsyncFishAudio) -> None:
        self._client = client

    async def speak(self, plan: str, source: AsyncIterable[str], take: Take) -> None:
        async for chunk in self.listen(plan, source):
            take(chunk)

    def listen(self, plan: str, source: AsyncIterable[str]) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = self._client.tts.stream_websocket(
            source, reference_id=plan, config=CONFIG
        )
        return chunks


@asynccontextmanager
async def channels(server: Server, count: int) -> AsyncIterator[list[Channel]]:
    http = httpx.AsyncClient(
        base_url=server.http_url,
        verify=server.tls() or True,
        limits=httpx.Limits(max_connections=None),
        timeout=240.0,
    )
    async with AsyncFishAudio(api_key="local", httpx_client=http) as client:
        yield [Channel(client)] * count
