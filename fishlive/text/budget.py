"""A limit on what may be said, in dollars or in bytes, kept before anything is sent."""

from __future__ import annotations

from math import isfinite

from fishlive.errors import BudgetExceeded, ConfigError
from fishlive.models.prices import speech_usd


class Budget:
    """Refuses text that would cost more than is left. One budget may serve many utterances.

    What was sent is spent, also if it is cut off: the service may bill it (not documented).

    Args:
        usd: US dollars, by the table of :mod:`fishlive.models.prices`.
        utf8_bytes: UTF-8 bytes of text. With both, both hold.

    Raises:
        ConfigError: Neither is given, or one is no finite number from 0.
    """

    __slots__ = ("_limit_bytes", "_limit_usd", "spent_bytes", "spent_usd")

    def __init__(self, *, usd: float | None = None, utf8_bytes: int | None = None) -> None:
        if usd is None and utf8_bytes is None:
            raise ConfigError("a budget needs dollars or bytes", argument="usd")
        _check("usd", usd)
        _check("utf8_bytes", utf8_bytes)
        self._limit_usd = usd
        self._limit_bytes = utf8_bytes
        self.spent_bytes: int = 0
        """UTF-8 bytes of text sent."""
        self.spent_usd: float = 0.0
        """What they cost, in US dollars, as far as prices are known."""

    def check(self, more_bytes: int, model: str | None = None) -> None:
        """Raise if so much more text may not be sent. Nothing is spent by asking.

        Raises:
            BudgetExceeded: It would cost more than is left.
            ConfigError: The budget is in dollars, and no price of the model is known.
        """
        if self._limit_bytes is not None:
            _hold(self.spent_bytes, self._limit_bytes, more_bytes, "bytes")
        if self._limit_usd is not None:
            _hold(self.spent_usd, self._limit_usd, _price(model, more_bytes), "usd")

    def spend(self, more_bytes: int, model: str | None = None) -> None:
        """Note text that is sent now; checked first, and raising as :meth:`check`."""
        self.check(more_bytes, model)
        self.spent_bytes += more_bytes
        self.spent_usd += speech_usd(model, more_bytes) or 0.0

    def __repr__(self) -> str:
        limits = (f"{self._limit_usd} usd", f"{self._limit_bytes} bytes")
        return f"<fishlive.Budget of {', '.join(x for x in limits if x[:4] != 'None')}>"


def _check(name: str, limit: float | None) -> None:
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, (int, float)):
        raise ConfigError(f"{name} must be a number", argument=name)
    if not (isfinite(limit) and limit >= 0):
        raise ConfigError(f"{name} must be finite and not negative", argument=name)


def _price(model: str | None, more_bytes: int) -> float:
    price = speech_usd(model, more_bytes)
    if price is None:
        raise ConfigError(
            f"no price of {model or 'this model'} is known: give the budget in bytes",
            argument="budget",
        )
    return price


def _hold(spent: float, limit: float, asked: float, unit: str) -> None:
    if spent + asked > limit:
        raise BudgetExceeded(
            "this text would go over the budget", spent=spent, limit=limit, asked=asked, unit=unit
        )
