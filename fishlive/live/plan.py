"""What an utterance is to be, and on which terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fishlive.errors import FishLiveError
from fishlive.flow.retry import RetryPolicy, TokenBucket
from fishlive.flow.watchdog import Deadlines
from fishlive.limits import CREDIT_S
from fishlive.models.tts import TTSRequest


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


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every utterance of a channel.

    Attributes:
        credit_s: Seconds of audio allowed ahead of the listener; None for no limit.
        deadlines: How long the service may owe something.
        retry: How stubborn to be before the first audio.
        bucket: What keeps everybody from retrying at once.
        on_retry: Asked before each further attempt.
    """

    credit_s: float | None = CREDIT_S
    deadlines: Deadlines = field(default_factory=Deadlines)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    bucket: TokenBucket = field(default_factory=TokenBucket)
    on_retry: OnRetry | None = None


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
