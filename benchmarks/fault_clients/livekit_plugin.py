"""LiveKit's plugin for Fish Audio, used as an agent uses it, outside of a job.

Its ping every 30 seconds is no option; ``timeout`` is for connecting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit.agents import (  # type: ignore[import-not-found]
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
)
from livekit.agents.types import NOT_GIVEN  # type: ignore[import-not-found]
from livekit.plugins import fishaudio  # type: ignore[import-not-found]

from benchmarks.faults_expected import TEXT, Meaning, Place, of_close_code, of_status

TITLE = "LiveKit plugin"
WAYS = frozenset({"listen", "break", "cancel"})
"""Text is pushed by the caller, so that a source that fails is the caller's own matter."""

REPORTED = frozenset(
    {Meaning.SYNTHESIS, Meaning.REFUSED, Meaning.LOST, Meaning.CLOSED, Meaning.CUT_SHORT}
)
"""What the status -1 stands for: the service reported an error, or closed without a code."""


def meanings(error: BaseException) -> frozenset[Meaning] | None:
    """Return what the class and its status say, None if it is not of LiveKit's tree."""
    if isinstance(error, APIStatusError):
        if error.status_code < 0:
            return REPORTED
        if error.status_code >= 1000:
            return of_close_code(error.status_code)
        return of_status(error.status_code)
    if isinstance(error, APITimeoutError):
        return frozenset({Meaning.CONNECT_TIMEOUT, Meaning.STALL})
    if isinstance(error, APIConnectionError):
        return frozenset({Meaning.CONNECT, Meaning.TLS, Meaning.NO_ENDPOINT, Meaning.LOST})
    return frozenset() if isinstance(error, APIError) else None


async def _bytes(stream: Any) -> AsyncIterator[bytes]:
    async for event in stream:
        yield bytes(event.frame.data)


@asynccontextmanager
async def stream(place: Place) -> AsyncIterator[AsyncIterator[Any]]:
    hurry = {} if place.budget_s is None else {"timeout": place.budget_s}
    once = APIConnectOptions(max_retry=0, **hurry)
    async with aiohttp.ClientSession() as http:
        tts = fishaudio.TTS(
            api_key="local",
            base_url=place.url,
            voice_id=NOT_GIVEN,
            output_format="pcm",
            sample_rate=place.rate_hz,
            http_session=http,
        )
        try:
            async with tts.stream(conn_options=once) as speaking:
                speaking.push_text(TEXT)
                speaking.end_input()
                yield _bytes(speaking)
        finally:
            await tts.aclose()
