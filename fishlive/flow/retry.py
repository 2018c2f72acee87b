"""When to try again, and after how long. Pure: no clock, no I/O, randomness is handed in.

After what the best clients do (gRPC A6, AWS standard mode, the official SDKs of LLM services):
few attempts, full jitter, the service's own word on waiting, and a bucket of tokens that stops
everybody from retrying at once into an outage.
"""

from __future__ import annotations

import hashlib
import random
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fishlive.errors import APIStatusError, ConfigError, FishLiveError, RateLimitError

ATTEMPTS: Final = 3
"""How often a call is tried in all, the first time included (SRE book, chapter 21)."""

TOTAL_S: Final = 10.0
"""After so many seconds since the first attempt no further one begins: two connects that time
out."""

BASE_S: Final = 0.1
"""Longest wait before the second attempt, in seconds; it doubles from then on."""

CAP_S: Final = 5.0
"""Longest wait before any attempt, in seconds, unless the service asks for more."""

THROTTLE_BASE_S: Final = 1.0
"""As BASE_S, after a 429: a slot is free when an utterance has ended, which takes seconds."""

BUCKET_TOKENS: Final = 10.0
"""Tokens of a full bucket (gRPC A6, ``maxTokens``)."""

RETRY_COST: Final = 1.0
"""Tokens a failed attempt takes."""

SUCCESS_REFUND: Final = 0.1
"""Tokens a success gives back: so a steady failure rate over a tenth stops retrying."""

_MAX_DOUBLINGS: Final = 64
"""No cap is so high that more doublings would count, and a float holds no more than 1023."""

_REFUSED_UNDONE: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses that say a request was not begun."""

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How stubborn to be.

    Attributes:
        attempts: How often to try in all, from 1; 1 never tries again.
        total_s: Seconds after the first attempt began within which the last one may begin.
        base_s: Longest wait before the second attempt, in seconds; it doubles from then on.
        cap_s: Longest wait, in seconds.
        throttle_base_s: As ``base_s``, after a 429.

    Raises:
        ConfigError: A number that cannot be; it names which.
    """

    attempts: int = ATTEMPTS
    total_s: float = TOTAL_S
    base_s: float = BASE_S
    cap_s: float = CAP_S
    throttle_base_s: float = THROTTLE_BASE_S

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if type(self.attempts) is not int or self.attempts < 1:
            raise ConfigError("attempts is a whole number from 1", argument="attempts")
        for name in ("total_s", "base_s", "cap_s", "throttle_base_s"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ConfigError(f"{name} is a number of seconds from 0", argument=name)

    def delay_s(
        self,
        error: FishLiveError,
        *,
        attempt: int,
        elapsed_s: float,
        jitter: Callable[[], float] = random.random,
    ) -> float | None:
        """Return how long to wait before the next attempt; None if there is to be none.

        Args:
            error: How the last attempt ended. Whether it may be repeated at all is
                :func:`may_repeat`'s to say.
            attempt: Which one that was, from 1.
            elapsed_s: Seconds since the first one began.
            jitter: Gives a number from 0 to 1.
        """
        if attempt >= self.attempts:
            return None
        base_s = self.throttle_base_s if isinstance(error, RateLimitError) else self.base_s
        wait_s: float = jitter() * min(base_s * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS), self.cap_s)
        asked_s = error.retry_after_s if isinstance(error, APIStatusError) else None
        if asked_s is not None:
            wait_s += asked_s  # jitter on top: those who were told the same do not come together
        return wait_s if elapsed_s + wait_s <= self.total_s else None


def may_repeat(error: FishLiveError, *, safe: bool, sent: bool) -> bool:
    """Return whether a call that failed so may be made once more.

    Args:
        error: How it failed.
        safe: Whether carrying it out twice does no harm.
        sent: Whether any of the request may have reached the service.
    """
    if isinstance(error, APIStatusError):
        if safe:
            return error.status in _PASSING
        # Overload with a time to come back is a refusal; without one it may be half done
        # (observed: a transcription that timed out upstream is a 503).
        refused = error.status == HTTPStatus.SERVICE_UNAVAILABLE and error.retry_after_s is not None
        return refused or error.status in _REFUSED_UNDONE
    return error.retryable and (safe or not sent)


class TokenBucket:
    """What keeps everybody from retrying at once: below half of its tokens nobody does.

    Not safe across threads, and need not be exact.
    """

    __slots__ = ("__weakref__", "_most", "tokens")

    def __init__(self, most: float = BUCKET_TOKENS) -> None:
        self._most = most
        self.tokens: float = most

    def fail(self) -> bool:
        """Note a failed attempt; return whether another one is allowed."""
        self.tokens = max(0.0, self.tokens - RETRY_COST)
        return self.tokens > self._most / 2

    def succeed(self) -> None:
        """Note a success."""
        self.tokens = min(self._most, self.tokens + SUCCESS_REFUND)


_SHARED: Final[weakref.WeakValueDictionary[tuple[str, bytes], TokenBucket]] = (
    weakref.WeakValueDictionary()
)
"""Buckets by origin and key, as long as somebody uses them."""


def shared_bucket(base_url: str, key: str) -> TokenBucket:
    """Return the bucket of an origin and a key: the same one for every session of the process.

    Only a digest of the key is kept.
    """
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url.lower()))
    account = (origin, hashlib.sha256(key.encode()).digest())
    bucket = _SHARED.get(account)
    if bucket is None:
        bucket = _SHARED[account] = TokenBucket()
    return bucket
