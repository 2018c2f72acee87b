"""The Fish Audio plugin of LiveKit Agents: one TTS a voice session, prewarmed, a stream a reply."""

# ruff: noqa: D101, D102  # what a speaker owes is said once, in benchmarks/peer_clients/__init__.py

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from livekit.agents import NOT_GIVEN
from livekit.plugins import fishaudio

from benchmarks.peer_plans import CHUNK_LENGTH, KEY, LATENCY, SAMPLE_RATE_HZ, Take

TITLE = "LiveKit plugin"
PACKAGE = "livekit-plugins-fishaudio"
OWN_WAY = "sends whole sentences, each when the next one begins, and flushes each"


class Speaker:
    def __init__(self, tts: fishaudio.TTS) -> None:
        self._tts = tts
        self._stream: fishaudio.SynthesizeStream | None = None

    async def speak(self, stream: AsyncIterator[str], take: Take) -> None:
        async with self._tts.stream() as out:
            self._stream = out

            async def push() -> None:
                async for token in stream:
                    out.push_text(token)
                out.end_input()

            pushing = asyncio.ensure_future(push())
            try:
                async for audio in out:
                    take(audio.frame.data.cast("B"))
            finally:
                pushing.cancel()

    async def heard(self) -> None:
        pass

    async def interrupt(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


@asynccontextmanager
async def session(port: int, voice: str | None) -> AsyncIterator[Speaker]:
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        tts = fishaudio.TTS(
            api_key=KEY,
            base_url=f"http://127.0.0.1:{port}",
            voice_id=voice or NOT_GIVEN,
            output_format="pcm",
            sample_rate=SAMPLE_RATE_HZ,
            latency_mode=LATENCY,
            chunk_length=CHUNK_LENGTH,
            http_session=http,
        )
        stack.push_async_callback(tts.aclose)
        tts.prewarm()
        yield Speaker(tts)


async def leave() -> None:
    pass
