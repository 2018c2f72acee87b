"""Typed reading of a request's fields, and the service's sentences when they are wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from fishlive.server.refusal import Refusal, bad_request

_Number = TypeVar("_Number", int, float)
_Choice = TypeVar("_Choice", bound=str)

_NULLABLE: Final = frozenset(
    {"references", "reference_id", "prosody", "sample_rate", "pronunciation_dictionary"}
)
"""Fields whose null is documented (OpenAPI description, 2026-09)."""


class Fields:
    """A map of a request.

    Lenient: null and empty lists are absent, a number may be a whole float, ranges are clamped.
    Strict: nulls only where documented, ranges are refused.
    """

    def __init__(self, fields: Mapping[str, Any], *, strict: bool) -> None:
        self._fields = fields
        self.strict = strict

    def raw(self, name: str) -> Any:
        """Return a field as it is, None if it is absent.

        Raises:
            Refusal: Null where the documents have none, and strict.
        """
        value = self._fields.get(name)
        if value is None and name in self._fields and self.strict and name not in _NULLABLE:
            raise _wrong_type(name, None, "a value")
        if not self.strict and isinstance(value, (list, tuple)) and not value:
            return None
        return value

    def text(self, name: str, *, required: bool = False) -> str:
        """Return a string; empty if it is absent and not required."""
        value = self.raw(name)
        if value is None and required and name not in self._fields:
            raise bad_request(f"missing field `{name}`", plain=True)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a string")
        return value

    def choice(self, name: str, known: tuple[_Choice, ...], default: _Choice) -> _Choice:
        """Return one of ``known``."""
        value = self.raw(name)
        if value is None:
            return default
        for choice in known:
            if value == choice:
                return choice
        listed = ", ".join(f"`{one}`" for one in known)
        raise bad_request(f"unknown variant `{value}`, expected one of {listed}", plain=True)

    def number(
        self,
        name: str,
        default: float,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        clamp: bool = True,
    ) -> float:
        """Return a finite number in range; ``clamp`` False refuses one outside, lenient or not."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong_type(name, value, "a number")
        return self._ranged(name, _finite(name, value), least, most, clamp=clamp)

    def integer(
        self, name: str, default: int, *, least: int | None = None, most: int | None = None
    ) -> int:
        """Return a whole number in range."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer() and not self.strict:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, value, "an integer")
        return self._ranged(name, value, least, most, clamp=True)

    def flag(self, name: str) -> None:
        """Refuse a field that is there and neither true nor false."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            raise _wrong_type(name, value, "a boolean")

    def sequence(self, name: str) -> list[Any]:
        """Return a list; empty if it is absent."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            raise _wrong_type(name, value, "a sequence")
        return list(value)

    def inner(self, name: str) -> Fields:
        """Return a map within the map; an empty one if it is absent."""
        value = self.raw(name)
        if value is not None and not isinstance(value, Mapping):
            raise _wrong_type(name, value, "a map")
        return Fields(value or {}, strict=self.strict)

    def _ranged(
        self, name: str, value: _Number, least: _Number | None, most: _Number | None, *, clamp: bool
    ) -> _Number:
        low = value if least is None else max(value, least)
        inside = low if most is None else min(low, most)
        if inside != value and (self.strict or not clamp):
            raise bad_request(f"{name}: {value} is out of range, expected {least} to {most}")
        return inside


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise _wrong_type(name, value, "a finite number")
    return number


def _wrong_type(name: str, value: object, expected: str) -> Refusal:
    kind = "null" if value is None else type(value).__name__
    return bad_request(f"{name}: invalid type: {kind}, expected {expected}", plain=True)
