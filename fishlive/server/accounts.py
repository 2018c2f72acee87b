"""Who may speak, how much, and how many at once."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Final

from fishlive.server.refusal import Refusal
from fishlive.server.settings import Settings

DEFAULT_MODEL: Final = "s2.1-pro"
"""What a missing or unknown ``model`` header means (openapi.json and asyncapi.yml, 2026-08)."""

FREE_MODEL: Final = "s2.1-pro-free"

MODELS: Final = frozenset({"s1", "s2-pro", DEFAULT_MODEL, FREE_MODEL, "drama-3-preview"})
"""Models of the service (OpenAPI description, 2026-09)."""

PRICE_PER_BYTE: Final = 15e-6
"""US dollars for one UTF-8 byte of text: $15 a million (pricing page, 2026-08-21)."""

# Sentences of the service, as third parties saw them (api notes, 2026-10).
NO_KEY: Final = "this route requires an api-key"
BAD_KEY: Final = "Invalid Token"
NO_CREDIT: Final = "Insufficient API credit. Add credit to this account to go on."
TOO_MANY: Final = "exceeded your current concurrency limit"
# The example of the timestamp endpoint's description (OpenAPI, 2026-09).
TOO_MANY_EVENT: Final = "Concurrency limit exceeded"


def known_model(header: str | None) -> str:
    """Return the model that a header means: an unknown one silently becomes the default."""
    return header if header in MODELS else DEFAULT_MODEL


class Account:
    """The one account behind all keys of a server. Not shared between event loops.

    Attributes:
        running: Utterances that hold a slot.
        credit: US dollars left; None for no end. May fall below 0 by the utterances that ran.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = [key.encode() for key in settings.keys]
        self.limit: int = settings.concurrency
        self.running: int = 0
        self.credit: float | None = settings.credit
        self._retry_after_s = settings.retry_after_s

    def admit(self, authorization: str | None, model: str) -> None:
        """Let a request in, or raise its Refusal: 401 without a key, 402 without credit."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refusal(HTTPStatus.UNAUTHORIZED, NO_KEY)
        offered = key.strip().encode()
        if not any(hmac.compare_digest(offered, known) for known in self._keys):
            raise Refusal(HTTPStatus.UNAUTHORIZED, BAD_KEY)
        self.check_credit(model)

    def check_credit(self, model: str) -> None:
        """Raise a 402 if the account is empty and the model is not free."""
        if self.credit is not None and self.credit <= 0 and model != FREE_MODEL:
            raise Refusal(HTTPStatus.PAYMENT_REQUIRED, NO_CREDIT)

    def charge(self, text: str, model: str) -> None:
        """Take the price of ``text`` off the credit."""
        if self.credit is not None and model != FREE_MODEL:
            self.credit -= len(text.encode("utf-8", "replace")) * PRICE_PER_BYTE

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return self.running >= self.limit

    def slot(self) -> Slot:
        """Take a slot, or raise a 429."""
        if self.full:
            raise self.too_many()
        return Slot(self)

    def too_many(self) -> Refusal:
        """Return the refusal of one more request."""
        wait = self._retry_after_s
        headers = {} if wait is None else {"Retry-After": f"{wait:g}"}
        return Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, max_concurrency=self.limit, headers=headers
        )


class Slot:
    """One utterance's place among those that may run at once."""

    __slots__ = ("_account",)

    def __init__(self, account: Account) -> None:
        self._account: Account | None = account
        account.running += 1

    def release(self) -> None:
        """Give the place back. Idempotent."""
        if self._account is not None:
            self._account.running -= 1
            self._account = None
