"""What speech costs, as far as it is documented: an estimate beside the wallet, never a bill.

Source: pricing page (2026-08-21): 15 US dollars a million UTF-8 bytes of text, s2.1-pro-free
nothing. Whether tags count, and text whose synthesis was cut off, is not documented: here all text
that was sent counts, so an estimate is an upper bound. No price of drama-3-preview is published by
the service. After 2026-12-31 s1 is billed as s2.1-pro (migrate-from-s1, 2026-09): the same price.
"""

from __future__ import annotations

from typing import Final

AS_OF: Final = "2026-08-21"
"""Date of the page the table was taken from."""

USD_PER_MILLION_BYTES: Final[dict[str, float]] = {
    "s1": 15.0,
    "s2-pro": 15.0,
    "s2.1-pro": 15.0,
    "s2.1-pro-free": 0.0,
}
"""US dollars for a million UTF-8 bytes of text, by model."""

_MILLION: Final = 1_000_000


def speech_usd(model: str | None, utf8_bytes: int) -> float | None:
    """Return what so much text costs in US dollars; None for a model without a known price."""
    price = USD_PER_MILLION_BYTES.get(model or "")
    return None if price is None else price * utf8_bytes / _MILLION
