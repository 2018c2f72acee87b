"""How a text comes: whole, or token by token at the pace of a model that is writing it."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from fishlive.bench.workload import Prompt, Token
from fishlive.errors import ConfigError
from fishlive.text.speakable import has_speech

WHOLE: Final = "whole"
BURST: Final = "burst"
RECORDED: Final = "recorded"

BURST_TOKENS: Final = 10
"""Tokens that come at once in ``burst``: what a proxy gathers that flushes six times a second."""

BURST_PER_S: Final = 60.0
"""Pace of ``burst``, in tokens a second, on average."""

MAX_TOKEN_CHARS: Final = 7
"""Longest token, in characters; with sizes spread evenly from 1 they have 4 on average, as tokens
of English text do."""

MAX_DENSE_CHARS: Final = 2
"""The same for scripts that write a word in one or two characters."""

_DENSE: Final = frozenset({"ja", "ko", "zh"})


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast tokens come.

    Attributes:
        name: ``whole``, ``burst``, ``recorded`` or a number of tokens a second.
        per_s: Tokens a second; None for all at once, or as recorded.
        together: How many come at once.
    """

    name: str
    per_s: float | None = None
    together: int = 1


def pace(name: str) -> Pace:
    """Return the pace of a name.

    Raises:
        ConfigError: Neither ``whole``, ``burst``, ``recorded`` nor a number over 0.
    """
    if name in (WHOLE, RECORDED):
        return Pace(name)
    if name == BURST:
        return Pace(name, BURST_PER_S, BURST_TOKENS)
    try:
        per_s = float(name)
    except ValueError:
        per_s = 0.0
    if not 0 < per_s < float("inf"):
        raise ConfigError(
            f"{name} is none of whole, burst, recorded or a number of tokens a second",
            argument="stream",
        )
    return Pace(f"{per_s:g}", per_s)


def cut(prompt: Prompt, seed: int) -> Iterator[str]:
    """Yield a text in pieces as a model writes them; the same ones for the same seed."""
    # Not hash(): that of a str is another one in each process.
    dice = random.Random(seed ^ zlib.crc32(prompt.id.encode()))  # noqa: S311  # no secret
    longest = MAX_DENSE_CHARS if prompt.language in _DENSE else MAX_TOKEN_CHARS
    at = 0
    while at < len(prompt.text):
        size = dice.randint(1, longest)
        yield prompt.text[at : at + size]
        at += size


def timed(prompt: Prompt, how: Pace, seed: int) -> tuple[Token, ...]:
    """Return a text's tokens and when each comes, in seconds from the beginning."""
    if how.name == RECORDED:
        return prompt.tokens
    if how.per_s is None:
        return ((prompt.text, 0.0),)
    period_s = how.together / how.per_s
    return tuple((t, n // how.together * period_s) for n, t in enumerate(cut(prompt, seed)))


async def write(tokens: tuple[Token, ...], on_words: Callable[[], None]) -> AsyncIterator[str]:
    """Yield tokens when they are due.

    Args:
        tokens: What, and when, in seconds from the first step of the iterator.
        on_words: Called when the first token that can be spoken is about to be yielded.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    silent = True
    for token, at_s in tokens:
        wait_s = began_s + at_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if silent and has_speech(token):
            silent = False
            on_words()
        yield token
