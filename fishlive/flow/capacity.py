"""How many requests an account may run at once, as far as anybody has told us. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeGuard

from fishlive.errors import ConfigError

LIMIT_HEADER: Final = "ratelimit-limit-concurrency"
"""Where every answer of the service names the account's limit (observed 2026-10)."""

MAX_LIMIT: Final = 10_000
"""Largest limit believed, in requests. Tiers go to 50 (pricing page, 2026-08) and enterprises
further; more is a counter in the wrong place."""

GROW_AFTER: Final = 10
"""Requests that must end well before one more is tried than a refusal left us. At most one request
in eleven is then refused by probing, whatever others do with the account."""

_LIMIT: Final = re.compile(r"\s*([0-9]{1,5})\s*(?:[,;].*)?", re.DOTALL)


class Capacity:
    """The smallest of three numbers, each unknown until somebody names it.

    * *told*: by an argument. Never changes by itself.
    * *named*: by the service, in a header, a refusal or an event. The newest holds, so that it
      may grow.
    * *left*: after a refusal for concurrency although we kept within the other two. Others use
      the account too, then: what we ran besides the refused request is what we have. It grows by
      one with every GROW_AFTER requests that end well, and is forgotten once it is no smaller
      than the other two.

    Args:
        told: From 1 to MAX_LIMIT; None for no limit of our own.

    Attributes:
        limit: Requests that may run at once; None for no limit.

    Raises:
        ConfigError: ``told`` is no such number.
    """

    __slots__ = ("_good", "_left", "_named", "_told", "limit")

    def __init__(self, told: int | None = None) -> None:
        self._told: int | None = None
        self._named: int | None = None
        self._left: int | None = None
        self._good = 0
        self.limit: int | None = None
        if told is not None:
            self.tell(told)

    def admits(self, running: int) -> bool:
        """Return whether one more may run beside ``running``."""
        return self.limit is None or running < self.limit

    def tell(self, limit: int) -> None:
        """Set a limit of our own; of several, the smallest holds. Raises ConfigError."""
        if not _credible(limit):
            raise ConfigError(
                f"concurrency is a whole number from 1 to {MAX_LIMIT}, or None",
                argument="concurrency",
            )
        self._told = limit if self._told is None else min(limit, self._told)
        self._settle()

    def learn(self, limit: object) -> None:
        """Take the service's word; what is no limit is ignored."""
        if _credible(limit):
            self._named = limit
            self._settle()

    def refused(self, others: int) -> None:
        """Note a refusal for concurrency while ``others`` of ours ran."""
        self._good = 0
        left = max(1, others)
        self._left = left if self._left is None else min(left, self._left)
        self._settle()

    def went_well(self) -> None:
        """Note that a request ended without a failure."""
        if self._left is None:
            return
        self._good += 1
        if self._good >= GROW_AFTER:
            self._good = 0
            self._left += 1
            self._settle()

    def _settle(self) -> None:
        known = [limit for limit in (self._told, self._named) if limit is not None]
        if self._left is not None and known and self._left >= min(known):
            self._left = None
        if self._left is not None:
            known.append(self._left)
        self.limit = min(known, default=None)


def limit_of(headers: Mapping[str, str]) -> int | None:
    """Return the limit that an answer's headers name, if any. Names are in lower case."""
    found = _LIMIT.fullmatch(headers.get(LIMIT_HEADER, ""))
    return int(found[1]) if found is not None else None


def _credible(limit: object) -> TypeGuard[int]:
    # A bool is an int to Python, and never a limit.
    return isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= MAX_LIMIT
