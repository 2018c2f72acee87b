"""Secrets of webhooks, kept as keyed hashes: they can be used, and not read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable

from fishlive.errors import ConfigError
from fishlive.secret import Secret

Secrets = str | Secret | Iterable[str | Secret]
"""One secret, or several while they are rotated."""


class Mac:
    """Computes HMAC-SHA256 with one secret. No attribute has it, nor does a traceback."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes) -> None:
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def of(self, *parts: bytes) -> hmac.HMAC:
        """Return the code of what the parts are together."""
        mac = self._keyed.copy()
        for part in parts:
            mac.update(part)
        return mac


def keyed(
    given: Secrets, read: Callable[[str], bytes], *, rule: str, argument: str
) -> tuple[Mac, ...]:
    """Return what computes codes with each secret.

    Args:
        given: At least one.
        read: Returns a secret's bytes, or raises ValueError if it is none.
        rule: What a secret is, for the error.
        argument: What the caller calls them, for the error.

    Raises:
        ConfigError: There is none, or one breaks the rule. Neither its sentence nor the locals of
            its frames have any of them.
    """
    try:
        macs = [_mac(secret, read) for secret in _each(given)]
    finally:
        del given  # tracebacks are printed with their locals
    found = tuple(mac for mac in macs if mac is not None)
    if not found or len(found) < len(macs):
        raise ConfigError(f"at least one secret, and {rule}", argument=argument)
    return found


def _each(given: object) -> tuple[object, ...]:
    if isinstance(given, (str, Secret)):
        return (given,)
    return tuple(given) if isinstance(given, Iterable) else ()


def _mac(secret: object, read: Callable[[str], bytes]) -> Mac | None:
    text = secret.reveal() if isinstance(secret, Secret) else secret
    # What a file or a copy put around it would make other codes than the other side's.
    if not isinstance(text, str) or text != text.strip() or not text.isprintable():
        return None
    try:
        return Mac(read(text))
    except ValueError:
        return None
