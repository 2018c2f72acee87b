"""A fault: what goes wrong, where, and how often. Checked, and without behaviour."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, get_args

from fishlive.errors import ConfigError
from fishlive.faults.kinds import COUNTED, KINDS, Endpoint, Kind, Place, Value
from fishlive.faults.spelling import OWN, SPELLED, spelled, split_line, split_table, wrong

MAX_REASON_BYTES: Final = 123
"""UTF-8 bytes of a close frame's reason: with its code, a control frame's 125 (RFC 6455, 5.5)."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, where, and how often. Raises ConfigError unless it can be.

    Attributes:
        kind: What happens: a key of KINDS.
        at: Where.
        n: Which text, audio or byte, for places that are counted; None is the first.
        value: How much, how long or which: the kind's own; None for its default.
        times: How often in all; None for always.
        every: Only on each so-manieth connection (request, over HTTP) that could meet it.
        connection: Only on this one of them, from 1.
        on: Only on this endpoint; None for all that it can happen to.
        reason: What a close frame or ``finish`` says besides.
        held: Whether the socket stays open behind it.
        body: What a status says; None for what the service says.
        headers: What a status carries besides.
        max_concurrency: What an ``error`` event claims; a text for a wrong type.
    """

    kind: str
    at: Place
    n: int | None = None
    value: Value = None
    times: int | None = 1
    every: int = 1
    connection: int | None = None
    on: Endpoint | None = None
    reason: str = ""
    held: bool = False
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())
    max_concurrency: int | str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        kind = KINDS.get(str(self.kind))
        if kind is None:
            raise wrong("kind", f"no kind {self.kind!r}: see fishlive.faults.KINDS")
        if self.at not in kind.places:
            places = ", ".join(place.value for place in Place if place in kind.places)
            raise wrong(
                "at",
                f"{self.kind} happens at {places}, not at {getattr(self.at, 'value', self.at)}",
            )
        if self.at in COUNTED and self.n is None:
            object.__setattr__(self, "n", COUNTED[self.at])
        _check_number(self)
        _check_value(self, kind)
        _check_frequency(self)
        _check_endpoint(self, kind)
        _check_options(self, kind)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read one line. Raises ConfigError that names what is wrong with it."""
        try:
            return cls(**split_line(text))
        except ConfigError as error:
            raise ConfigError(f"fault {text!r}: {error}", argument=error.argument) from error

    @classmethod
    def of(cls, given: Fault | str | Mapping[str, Any]) -> Fault:
        """Return a fault of itself, of its line, or of a table of its parts.

        A table has ``kind`` and ``at`` (``"audio:2"``), and ``value`` and the options by their
        names in a line, ``headers`` (a table) for ``header``.
        """
        if isinstance(given, Fault):
            return given
        if isinstance(given, str):
            return cls.parse(given)
        if isinstance(given, Mapping):
            return cls(**split_table(given))
        raise wrong("fault", f"a line or a table, not {type(given).__name__}")

    def __str__(self) -> str:
        """Return its line, as short as it can be."""
        return spelled(self)

    @property
    def number(self) -> int:
        """Which text, audio or byte; 0 for places that are not counted."""
        return self.n or 0

    @property
    def amount(self) -> Value:
        """The value, or its kind's default."""
        amount = KINDS[self.kind].amount
        return amount.default if self.value is None and amount is not None else self.value

    def concerns(self, endpoint: Endpoint) -> bool:
        """Return whether it can happen there."""
        if self.on is not None:
            return self.on == endpoint
        return endpoint != "rest" or KINDS[self.kind].http


def _is_whole(value: object, least: int, most: int = 2**64 - 1) -> bool:
    return type(value) is int and least <= value <= most


def _check_number(fault: Fault) -> None:
    if fault.n is None:
        return
    if fault.at not in COUNTED:
        raise wrong("at", f"{fault.at.value} has no number")
    if not _is_whole(fault.n, COUNTED[fault.at]):
        raise wrong("at", f"{fault.at.value} counts from {COUNTED[fault.at]}")


def _check_value(fault: Fault, kind: Kind) -> None:
    value, amount = fault.value, kind.amount
    if value is None:
        return
    if amount is None:
        raise wrong("value", f"{fault.kind} has no value")
    if amount.type is str:
        if not isinstance(value, str) or (amount.names and value not in amount.names):
            known = ", ".join(amount.names) or "any text"
            raise wrong("value", f"{fault.kind} has no {amount.unit} {value!r}: {known}")
    elif amount.type is int and not _is_whole(value, amount.least, amount.most):
        raise wrong("value", f"{amount.unit}: a whole number from {amount.least} to {amount.most}")
    elif amount.type is float and not _is_real(value):
        raise wrong("value", f"{amount.unit}: a number, not negative")


def _is_real(value: object) -> bool:
    # A table may say 1 for 1.0; an hour is longer than any test, and every timer can count it.
    return type(value) in (int, float) and math.isfinite(value) and value >= 0  # type: ignore[arg-type,operator]


def _check_frequency(fault: Fault) -> None:
    for name in ("times", "every", "connection"):
        value = getattr(fault, name)
        if not _is_whole(value, 1) and not (value is None and name != "every"):
            raise wrong(name, f"{name} is a whole number, at least 1")
    if fault.kind == "refuse" and (fault.times, fault.every, fault.connection) != (1, 1, None):
        raise wrong("times", "nobody can count who was refused: heal() ends it, or its seconds")


def _check_endpoint(fault: Fault, kind: Kind) -> None:
    if fault.on is None:
        return
    if fault.on not in get_args(Endpoint):
        raise wrong("on", f"on is one of {', '.join(get_args(Endpoint))}")
    if fault.at in (Place.CONNECT, Place.TLS):
        raise wrong("on", f"at {fault.at.value} nobody knows the endpoint yet")
    if fault.on == "rest" and not kind.http:
        raise wrong("on", f"{fault.kind} cannot happen to an HTTP call")


def _check_options(fault: Fault, kind: Kind) -> None:
    defaults = {each.name: each.default for each in fields(fault)}
    for name in OWN:
        if name not in kind.options and getattr(fault, name) != defaults[name]:
            raise wrong(name, f"{fault.kind} has no {SPELLED.get(name, name)}")
        if not _OPTIONS[name](getattr(fault, name)):
            raise wrong(name, f"{SPELLED.get(name, name)}: {_EXPECTED[name]}")


def _is_reason(value: object) -> bool:
    return isinstance(value, str) and len(value.encode("utf-8", "replace")) <= MAX_REASON_BYTES


def _is_claim(value: object) -> bool:
    return (
        value is None or isinstance(value, str) or _is_whole(value, -_MOST_CLAIMED, _MOST_CLAIMED)
    )


def _are_headers(pairs: tuple[tuple[object, object], ...]) -> bool:
    return all(
        isinstance(name, str) and _TOKEN.fullmatch(name) is not None and _is_visible(value)
        for name, value in pairs
    )


def _is_visible(text: object) -> bool:
    if not isinstance(text, str):
        return False
    return text.isascii() and (not text or text.isprintable()) and text == text.strip()


_MOST_CLAIMED: Final = 10**18 - 1
"""Largest number that an event may claim: MessagePack holds it, and a line of 18 digits."""

_OPTIONS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "reason": _is_reason,
    "held": lambda value: type(value) is bool,
    "body": lambda value: value is None or isinstance(value, str),
    "headers": _are_headers,
    "max_concurrency": _is_claim,
}
_EXPECTED: Final[Mapping[str, str]] = {
    "reason": f"a text of at most {MAX_REASON_BYTES} bytes",
    "held": "true or false",
    "body": "a text",
    "headers": "names, and visible text",
    "max_concurrency": "a number, or a text for a wrong type",
}
