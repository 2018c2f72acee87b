"""What utterances cost, and the budget that stops before it is exceeded."""

from __future__ import annotations

from typing import Final

from fishlive.errors import ConfigError

USD_PER_BYTE: Final = 15 / 1_000_000
"""US dollars for a byte of UTF-8 text: $15 a million (pricing page, 2026-08-21)."""

FREE: Final = frozenset({"s2.1-pro-free"})
"""Models that cost nothing (models overview, 2026-08)."""


def price_usd(text_utf8_bytes: int, model: str) -> float:
    """Return what so much text costs, in US dollars.

    Models without a published price (drama-3-preview) count as the others. Gateways bill in
    their own points; they count as the service does, for want of a list.
    """
    return 0.0 if model in FREE else text_utf8_bytes * USD_PER_BYTE


class Budget:
    """Says whether one more utterance may begin.

    A text is paid for when it is sent: what was begun counts whole, whatever became of it.

    Args:
        limit_usd: Most that may be spent, in US dollars; None for no limit.

    Raises:
        ConfigError: A negative limit.
    """

    def __init__(self, limit_usd: float | None) -> None:
        if limit_usd is not None and not 0 <= limit_usd < float("inf"):
            raise ConfigError("budget is a number of US dollars, from 0", argument="budget")
        self._limit_usd = limit_usd
        self.spent_usd: float = 0.0

    def take(self, cost_usd: float) -> bool:
        """Spend; or return False, with nothing spent, if that would be too much."""
        if self._limit_usd is not None and self.spent_usd + cost_usd > self._limit_usd:
            return False
        self.spent_usd += cost_usd
        return True
