"""What an utterance is to be, and on which terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from fishlive.errors import FishLiveError
from fishlive.flow.retry import RetryPolicy, TokenBucket
from fishlive.flow.watchdog import Deadlines
from fishlive.limits import CREDIT_S
from fishlive.models.tts import TTSRequest
from fishlive.text.budget import Budget


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that failed, and is about to be followed by another.

    Attributes:
        number: Which one failed, from 1.
        cause: How.
        delay_s: How long to wait before the next one, in seconds.
    """

    number: int
    cause: FishLiveError
    delay_s: float


OnRetry = Callable[[Attempt], object]
"""Sees each attempt that failed; returning False forbids the next one."""


Resume = Literal["aligned", "segment"]
"""How to go on after audio was heard and the connection was lost: from the latest place where text
and audio are known to meet, or segment by segment."""

Fallback = Literal["raise", "repeat", "skip"]
"""What to do where it is not known how to go on exactly: fail, say the sentence again, or leave the
rest of it out."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """An utterance went on after its connection was lost in the middle.

    Attributes:
        cause: How it was lost.
        how: ``exact``: every word is heard once. ``repeat``, ``skip``: as the fallback says.
        at_s: Where the continuation begins, on the utterance's clock, in seconds.
        resent_chars: Characters of text sent again.
        repeated_chars: How many of them are heard twice, at most.
        skipped_chars: Characters of text that are not heard in full, at most.
    """

    cause: FishLiveError
    how: Literal["exact", "repeat", "skip"]
    at_s: float
    resent_chars: int
    repeated_chars: int
    skipped_chars: int


OnResume = Callable[[Resumed], object]
"""Learns of each continuation, as soon as it was decided on."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every utterance of a channel.

    Attributes:
        credit_s: Seconds of audio allowed ahead of the listener; None for no limit.
        deadlines: How long the service may owe something.
        retry: How stubborn to be before the first audio.
        bucket: What keeps everybody from retrying at once.
        on_retry: Asked before each further attempt.
        resume: How to go on after the first audio was heard; None to fail.
        fallback: What to do where that cannot be exact.
        on_resume: Told of each continuation.
        budget: What may be spent on text; None for no limit.
        model: The engine, for its price.
    """

    credit_s: float | None = CREDIT_S
    deadlines: Deadlines = field(default_factory=Deadlines)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    bucket: TokenBucket = field(default_factory=TokenBucket)
    on_retry: OnRetry | None = None
    resume: Resume | None = None
    fallback: Fallback = "raise"
    on_resume: OnResume | None = None
    budget: Budget | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an utterance is to be.

    Attributes:
        request: The fields of ``start``.
        sentence_flush: Whether sentences are flushed for the caller.
        terms: What holds for it as for all others of its channel.
    """

    request: TTSRequest
    sentence_flush: bool
    terms: Terms
