"""Tokens in callback addresses: the only proof of origin where a gateway signs nothing."""

from __future__ import annotations

import base64
import hmac
import re
import secrets as randomness
from typing import Final

from fishlive.webhooks.keys import Mac, Secrets, keyed

_TICKET_BYTES: Final = 18
"""Chance in a ticket, in bytes: 144 bits, which are 24 characters of base64 without padding."""

_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]{24})\.([A-Za-z0-9_-]{43})", re.ASCII)

LEAST_SECRET_CHARS: Final = 16
"""Shorter secrets can be guessed. ``secrets.token_urlsafe(32)`` makes a good one."""


class Tokens:
    """Makes tokens that nobody else can make, and knows them again.

    Args:
        secrets: The first makes tokens; all are known, so that a secret can be replaced.
        purpose: Tokens of one purpose are worth nothing for another.

    Raises:
        ConfigError: No secret, or a short one.
    """

    def __init__(self, secrets: Secrets, *, purpose: str) -> None:
        try:
            self._macs = keyed(secrets, _long, rule=_RULE, argument="secret")
        finally:
            del secrets  # tracebacks are printed with their locals
        self._purpose = purpose

    def mint(self) -> tuple[str, str]:
        """Return a new ticket, and the token that proves it."""
        ticket = randomness.token_urlsafe(_TICKET_BYTES)
        return ticket, f"{ticket}.{self._proof(self._macs[0], ticket)}"

    def ticket(self, token: str) -> str | None:
        """Return the ticket of a token; None if we did not make it. In constant time."""
        match = _SHAPE.fullmatch(token)
        if match is None:
            return None
        ticket, given = match.groups()
        known = [
            hmac.compare_digest(self._proof(mac, ticket).encode(), given.encode())
            for mac in self._macs
        ]
        return ticket if any(known) else None

    def _proof(self, mac: Mac, ticket: str) -> str:
        digest = mac.of(f"fishlive callback\0{self._purpose}\0{ticket}".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


_RULE: Final = f"each has {LEAST_SECRET_CHARS} characters or more, and no white space around it"


def _long(secret: str) -> bytes:
    if len(secret) < LEAST_SECRET_CHARS:
        raise ValueError(_RULE)
    return secret.encode()
