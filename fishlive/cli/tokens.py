"""Prose as an LLM writes it: in small pieces, at a steady pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Final

TOKENS_PER_S: Final = 50
"""Pace of the pretended LLM, in tokens a second: that of a fast hosted model."""

MAX_TOKEN_CHARS: Final = 7
"""Longest token, in characters; with sizes spread evenly from 1 they have 4 on average, as tokens
of English text do."""

SEED: Final = 7
"""Where the cuts fall, the same in every run."""


def cut(text: str) -> Iterator[str]:
    """Yield text in pieces of 1 to MAX_TOKEN_CHARS characters, wherever that cuts."""
    dice = random.Random(SEED)  # noqa: S311  # not a secret, only odd
    at = 0
    while at < len(text):
        size = dice.randint(1, MAX_TOKEN_CHARS)
        yield text[at : at + size]
        at += size


async def write(text: str, *, pace_per_s: float | None = TOKENS_PER_S) -> AsyncIterator[str]:
    """Yield text as an LLM that is writing it.

    Args:
        text: What it writes.
        pace_per_s: Tokens a second, kept on average, however long a token is waited for; None
            for as fast as they are taken.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    for index, token in enumerate(cut(text)):
        if pace_per_s is not None:
            await asyncio.sleep(began + index / pace_per_s - loop.time())
        yield token
