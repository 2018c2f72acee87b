"""What every peer is asked to do: the text, the pace, the pauses, the places."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

PROFILE = "fish-balanced"

SAMPLE_RATE_HZ = 24_000
BYTES_A_SECOND = 2 * SAMPLE_RATE_HZ
"""16-bit PCM of one channel, which everybody is asked for."""

CHUNK_LENGTH = 100
LATENCY = "balanced"
"""What everybody is asked for, if it can be set: fishlive's and LiveKit's own default."""

KEY = "local"

TOKENS_HZ = 60.0
"""Tokens a second: a fast LLM."""

REPLY = "Sure, I can help you with that. It should arrive on Thursday, early in the morning."
TOKENS = re.findall(r" ?\w+|[^\w\s]", REPLY)
"""An answer as an LLM streams it, in a third of a second: a short sentence, and another."""

THINKING_S = 0.3
"""From the question to the first token, where a turn begins with the question."""

OPENED_S = 0.5
"""From the opening of a session to its first turn: whoever warms up has warmed up."""

QUIET_S = 0.5
"""So long without audio, behind the last token, and a reply was heard out. A sentence takes 0.3 s
until it sounds, so no gap inside one is as long."""

PAUSE_S = 0.3
"""Between what was heard out, or interrupted, and the next turn."""

LISTENED_S = 0.2
"""How long a reply is heard before it is interrupted."""

PATIENCE_S = 10.0
"""Longest wait for first audio; then the turn has failed."""

EVENT_S = 0.1
"""Length of an event of canned audio."""

PREBUFFER_S = 0.1
"""What a player holds before it begins: audio that comes later than this is an underrun."""

AHEAD_S = 0.5
"""Canned audio is so far ahead of real time: the service is faster than real time (its second
event, 464 ms, was seen 60 ms behind the first), and nobody's frames of 200 ms make gaps of it."""

CANNED = "canned"


@dataclass(frozen=True)
class Place:
    """A local server: how far away, and whether ``finish`` closes the socket, as documented."""

    name: str
    round_trip_s: float
    closes: bool


PLACES = (
    Place("closes-0", 0.0, closes=True),
    Place("closes-20", 0.02, closes=True),
    Place("closes-80", 0.08, closes=True),
    Place("stays-80", 0.08, closes=False),
)

Take = Callable[[bytes | memoryview], object]
"""Called with each chunk in the user's hands."""


class Source:
    """The tokens of one reply. The first is there ``thinking_s`` after now, at ``began_s``.

    A model does not wait for its reader, so each token is due at its time whenever it is asked
    for, and a client that asks late gets what is there at once.
    """

    def __init__(self, thinking_s: float, tokens: list[str] = TOKENS) -> None:
        self.began_s = time.perf_counter() + thinking_s
        self.over = False
        self._tokens = tokens

    async def stream(self) -> AsyncIterator[str]:
        """Yield each token when it is due."""
        for index, token in enumerate(self._tokens):
            left_s = self.began_s + index / TOKENS_HZ - time.perf_counter()
            if left_s > 0:
                await asyncio.sleep(left_s)
            yield token
        self.over = True


def underruns(arrivals: list[tuple[float, int]], prebuffer_s: float = PREBUFFER_S) -> int:
    """Return how often a player would have run dry.

    Args:
        arrivals: Seconds and bytes of each chunk, in order.
        prebuffer_s: The player begins so long after the first chunk; every time it runs dry it
            begins again with the chunk that was missing, prebuffering as at first.
    """
    count, dry_s = 0, None
    for arrived_s, size in arrivals:
        if dry_s is None:
            dry_s = arrived_s + prebuffer_s
        elif arrived_s > dry_s:
            count += 1
            dry_s = arrived_s + prebuffer_s
        dry_s += size / BYTES_A_SECOND
    return count
