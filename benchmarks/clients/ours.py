"""fishlive, through its public names."""

# ruff: noqa: D101, D102  # what a channel owes is said once, in benchmarks/clients/__init__.py

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import fishlive
from benchmarks.plans import SAMPLE_RATE_HZ, Server, Take

TITLE = "fishlive"
OPENS_LATE = False


class Channel:
    def __init__(self, live: fishlive.LiveTTS) -> None:
        self._live = live

    async def speak(self, plan: str, source: AsyncIterable[str], take: Take) -> None:
        async for chunk in self._live.speak(source, voice=plan):
            take(chunk)

    def listen(
        self, plan: str | None, source: AsyncIterable[str], **options: Any
    ) -> AsyncIterator[bytes]:
        return aiter(self._live.speak(source, voice=plan, **options))


@asynccontextmanager
async def channels(server: Server, count: int) -> AsyncIterator[list[Channel]]:
    async with AsyncExitStack() as stack:
        session = fishlive.Session(api_key="local", base_url=server.http_url, tls=server.tls())
        fish = await stack.enter_async_context(session)
        lives = [
            await stack.enter_async_context(fish.live(format="pcm", sample_rate=SAMPLE_RATE_HZ))
            for _ in range(count)
        ]
        for live in lives:
            await live.ready()
        yield [Channel(live) for live in lives]
