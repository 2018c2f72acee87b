"""Signed webhooks: Fish's own scheme, and Standard Webhooks. Pure, but for a clock handed in.

Fish: ``X-Fish-Webhook-Signature: t=<seconds>,v1=<hex HMAC-SHA256 of "{t}.{raw body}">`` (agents
pages, 2026-08). Standard Webhooks 1.0: ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature``, the HMAC-SHA256 of ``id.timestamp.body`` in base64 (specification, 2023).
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from fishlive.errors import SignatureError
from fishlive.webhooks.bodies import Headers, header_lines
from fishlive.webhooks.keys import Secrets, keyed

TOLERANCE_S: Final = 300.0
"""How far a signature's time may be from ours, either way, in seconds (both schemes)."""

MAX_HEADER_CHARS: Final = 1024
"""Longest signature header, in characters: dozens of signatures."""

FISH_HEADER: Final = "x-fish-webhook-signature"

_SECONDS: Final = re.compile(r"[0-9]{1,12}")  # not str.isdigit, which int() does not always take
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_ID: Final = re.compile(r"[!-~]{1,256}")
_WHSEC: Final = "whsec_"
_LEAST_SECRET_BYTES: Final = 16
"""Shortest secret that is taken, in bytes: 128 bits."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a valid signature says.

    Attributes:
        sent_s: When it was signed, in seconds since 1970.
        skew_s: How far that is from our clock, in seconds; positive if it lies in the past.
        key: Which of the secrets it was, from 0.
        id: The delivery's id, where the scheme has one.
    """

    sent_s: int
    skew_s: float
    key: int
    id: str | None = None


class Verifier(Protocol):
    """Checks who sent a webhook."""

    def verify(self, raw_body: bytes, headers: Headers) -> Signed:
        """Return what the signature says, or raise SignatureError.

        Args:
            raw_body: As it came, before it is parsed.
            headers: Names in any case. Pairs, if the framework has them: a header of ours that
                came twice is refused.
        """


class FishVerifier:
    """Checks ``X-Fish-Webhook-Signature``.

    Args:
        secrets: At least one; several while they are rotated.
        tolerance_s: How far the signature's time may be from ours, either way, in seconds.
        now_s: The wall clock, in seconds since 1970.

    Raises:
        ConfigError: No secret, or one too short: nothing is ever let through unsigned.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        tolerance_s: float = TOLERANCE_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._macs = keyed(secrets, _plain, rule=_RULE, argument="secrets")
        finally:
            del secrets  # tracebacks are printed with their locals
        self._tolerance_s = tolerance_s
        self._now_s = now_s

    def verify(self, raw_body: bytes, headers: Headers) -> Signed:
        """See :meth:`Verifier.verify`."""
        times, signatures = _elements(*_header_values(headers, FISH_HEADER))
        if len(times) != 1:
            raise SignatureError("not one time")
        sent_s = _time(times[0])
        offered = [one for one in signatures if _HEX.fullmatch(one)]
        if not offered:
            raise SignatureError("no signature of a known version")
        moment = times[0].encode()
        macs = [mac.of(moment, b".", raw_body).hexdigest().encode() for mac in self._macs]
        key = _match(macs, [one.encode() for one in offered])
        # The time is looked at last: a stranger learns nothing from it.
        return Signed(sent_s, _skew(sent_s, self._now_s(), self._tolerance_s), key)


class StandardVerifier:
    """Checks Standard Webhooks, symmetric signatures (``v1``).

    Args:
        secrets: ``whsec_`` and base64; several while they are rotated.
        tolerance_s: How far the signature's time may be from ours, either way, in seconds.
        now_s: The wall clock, in seconds since 1970.

    Raises:
        ConfigError: No secret, or one that is not base64 or too short.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        tolerance_s: float = TOLERANCE_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._macs = keyed(secrets, _decoded, rule=_WHSEC_RULE, argument="secrets")
        finally:
            del secrets
        self._tolerance_s = tolerance_s
        self._now_s = now_s

    def verify(self, raw_body: bytes, headers: Headers) -> Signed:
        """See :meth:`Verifier.verify`."""
        delivery, moment, signatures = _header_values(
            headers, "webhook-id", "webhook-timestamp", "webhook-signature"
        )
        if not _ID.fullmatch(delivery):
            raise SignatureError("an id that is none")
        sent_s = _time(moment)
        given = [one.removeprefix("v1,") for one in signatures.split(" ") if one[:3] == "v1,"]
        offered = [one for one in given if _BASE64.fullmatch(one)]
        if not offered:
            raise SignatureError("no signature of a known version")
        head = f"{delivery}.{moment}.".encode()
        macs = [base64.b64encode(mac.of(head, raw_body).digest()) for mac in self._macs]
        key = _match(macs, [one.encode() for one in offered])
        return Signed(sent_s, _skew(sent_s, self._now_s(), self._tolerance_s), key, delivery)


def _match(macs: Sequence[bytes], offered: Sequence[bytes]) -> int:
    """Return which secret fits. Every pair is compared, so that time tells nothing."""
    found = -1
    for key, mac in enumerate(macs):
        for signature in offered:
            if hmac.compare_digest(mac, signature):
                found = key
    if found < 0:
        raise SignatureError("no match")
    return found


def _header_values(headers: Headers, *names: str) -> list[str]:
    """Return the value of each header, which must have come exactly once."""
    lines = header_lines(headers, *names)
    for name, values in zip(names, lines, strict=True):
        if len(values) != 1 or not values[0]:
            raise SignatureError(f"not one {name}")
        if len(values[0]) > MAX_HEADER_CHARS:
            raise SignatureError(f"{name} is too long")
    return [values[0] for values in lines]


def _elements(header: str) -> tuple[list[str], list[str]]:
    """Return the times and the ``v1`` signatures; elements of other names are ignored."""
    times, signatures = [], []
    for element in header.split(","):
        name, equals, value = element.strip().partition("=")
        if not equals:
            raise SignatureError("an element without a value")
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(value)
        # Other names are of schemes to come.
    return times, signatures


def _time(text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise SignatureError("a time that is none")
    return int(text)


def _skew(sent_s: int, now_s: float, tolerance_s: float) -> float:
    skew_s = now_s - sent_s
    if abs(skew_s) > tolerance_s:
        raise SignatureError("too old, or from the future")
    return skew_s


_RULE: Final = f"each has {_LEAST_SECRET_BYTES} bytes or more, and no white space around it"
_WHSEC_RULE: Final = f"{_RULE}; in base64, with or without {_WHSEC} before it"


def _decoded(secret: str) -> bytes:
    text = secret.removeprefix(_WHSEC).rstrip("=")  # some are copied without their padding
    return _checked(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))


def _plain(secret: str) -> bytes:
    return _checked(secret.encode())


def _checked(secret: bytes) -> bytes:
    if len(secret) < _LEAST_SECRET_BYTES:
        raise ValueError(_RULE)
    return secret
