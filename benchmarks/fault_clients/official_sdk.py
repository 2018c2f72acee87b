"""fish-audio-sdk's asynchronous live session, through its public names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fishaudio import AsyncFishAudio, WebSocketOptions  # type: ignore[import-untyped]
from fishaudio import exceptions as sdk
from fishaudio.types import TTSConfig  # type: ignore[import-untyped]

from benchmarks.faults_expected import BROKEN, Meaning, Place, of_status

TITLE = "fish-audio-sdk"


def meanings(error: BaseException) -> frozenset[Meaning] | None:
    """Return what the class says, None if it is not of the SDK's tree.

    ``WebSocketError`` is documented as "connection or streaming fails", so it counts for all that.
    """
    if isinstance(error, sdk.WebSocketError):
        return BROKEN
    if isinstance(error, sdk.APIError):
        return of_status(error.status)
    return frozenset() if isinstance(error, sdk.FishAudioError) else None


@asynccontextmanager
async def stream(place: Place) -> AsyncIterator[AsyncIterator[Any]]:
    budget_s = place.budget_s
    options = WebSocketOptions(
        keepalive_ping_interval_seconds=budget_s, keepalive_ping_timeout_seconds=budget_s
    )
    config = TTSConfig(format="pcm", sample_rate=place.rate_hz, latency="balanced")
    hurry = {} if budget_s is None else {"timeout": budget_s}
    async with AsyncFishAudio(api_key="local", base_url=place.url, **hurry) as client:
        chunks = client.tts.stream_websocket(place.source(), config=config, ws_options=options)
        async with aclosing(chunks):
            yield chunks
