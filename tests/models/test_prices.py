"""models/prices.py: an estimate for what has a published price."""

from __future__ import annotations

import pytest

from fishlive.models.engine import DRAMA, KNOWN
from fishlive.models.prices import USD_PER_MILLION_BYTES, speech_usd


@pytest.mark.parametrize(
    ("model", "usd"),
    [("s2-pro", 15.0), ("s2.1-pro-free", 0.0), ("drama-3-preview", None), ("", None), (None, None)],
)
def test_a_million_bytes(model: str | None, usd: float | None) -> None:
    """15 dollars, nothing, or nobody knows."""
    assert speech_usd(model, 1_000_000) == usd


def test_every_known_model_has_a_price_or_none_is_published() -> None:
    """A model that is added needs a price, or a word why not."""
    assert set(USD_PER_MILLION_BYTES) == KNOWN - DRAMA
