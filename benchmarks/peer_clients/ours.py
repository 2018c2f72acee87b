"""fishlive: one channel a voice session, one :class:`fishlive.Session` for all of a process."""

# ruff: noqa: D101, D102  # what a speaker owes is said once, in benchmarks/peer_clients/__init__.py

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fishlive
from benchmarks.peer_plans import CHUNK_LENGTH, KEY, LATENCY, SAMPLE_RATE_HZ, Take

TITLE = "fishlive"
PACKAGE = "fishlive"
OWN_WAY = "sends each token at once, flushes at the first sentence end and keeps warm sockets"

shared: dict[int, fishlive.Session] = {}


class Speaker:
    def __init__(self, live: fishlive.LiveTTS) -> None:
        self._live = live

    async def speak(self, stream: AsyncIterator[str], take: Take) -> None:
        async for chunk in self._live.speak(stream):
            take(chunk)

    async def heard(self) -> None:
        pass

    async def interrupt(self) -> None:
        self._live.interrupt()


@asynccontextmanager
async def session(port: int, voice: str | None) -> AsyncIterator[Speaker]:
    fish = shared.get(port) or fishlive.Session(KEY, base_url=f"http://127.0.0.1:{port}")
    shared[port] = fish
    async with fish.live(
        voice=voice,
        format="pcm",
        sample_rate=SAMPLE_RATE_HZ,
        latency=LATENCY,
        chunk_length=CHUNK_LENGTH,
    ) as live:
        yield Speaker(live)


async def leave() -> None:
    while shared:
        await shared.popitem()[1].aclose()
