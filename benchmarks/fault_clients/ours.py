"""fishlive, through its public names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import fishlive
from benchmarks.faults_expected import Meaning, Place

TITLE = "fishlive"

MEANINGS: dict[str, frozenset[Meaning]] = {
    name: frozenset(meanings)
    for name, meanings in {
        "ConnectTimeout": (Meaning.CONNECT_TIMEOUT,),
        "TLSError": (Meaning.TLS,),
        "UpgradeError": (Meaning.NO_ENDPOINT,),
        "ConnectError": (Meaning.CONNECT,),
        "AuthenticationError": (Meaning.KEY,),
        "InsufficientCreditsError": (Meaning.CREDIT,),
        "PermissionDeniedError": (Meaning.FORBIDDEN,),
        "NotFoundError": (Meaning.NOT_FOUND,),
        "InvalidRequestError": (Meaning.INVALID,),
        "ConcurrencyLimitError": (Meaning.RATE,),
        "RateLimitError": (Meaning.RATE,),
        "ServerError": (Meaning.SERVER,),
        "APIStatusError": (Meaning.REFUSED,),
        "ConnectionLost": (Meaning.LOST,),
        "StallTimeout": (Meaning.STALL,),
        "ServerRejected": (Meaning.CLOSED, Meaning.REJECTED),
        "ServerClosed": (Meaning.CLOSED,),
        "StreamInterrupted": (Meaning.CUT_SHORT,),
        "SynthesisError": (Meaning.SYNTHESIS,),
        "MessageTooLarge": (Meaning.TOO_LARGE,),
        "ProtocolError": (Meaning.PROTOCOL,),
    }.items()
}


def meanings(error: BaseException) -> frozenset[Meaning] | None:
    """Return what the class says, None if it is not of fishlive's tree."""
    if not isinstance(error, fishlive.FishLiveError):
        return None
    return MEANINGS.get(type(error).__name__, frozenset())


def hurry(budget_s: float | None) -> dict[str, Any]:
    """Return every deadline there is."""
    if budget_s is None:
        return {}
    deadlines = fishlive.Deadlines(
        first_audio_s=budget_s,
        stall_s=budget_s,
        send_s=budget_s,
        ping_every_s=budget_s,
        pong_s=budget_s / 2,
    )
    return {"connect_timeout_s": budget_s, "deadlines": deadlines}


@asynccontextmanager
async def stream(place: Place) -> AsyncIterator[AsyncIterator[Any]]:
    once = fishlive.RetryPolicy(attempts=1)
    async with (
        fishlive.Session(
            "local", base_url=place.url, retry=once, standby=0, **hurry(place.budget_s)
        ) as fish,
        fish.live(format="pcm", sample_rate=place.rate_hz) as live,
        aclosing(live.speak(place.source())) as utterance,
    ):
        yield aiter(utterance)
