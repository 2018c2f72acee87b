"""Who may speak, how much, and how many at once."""

from __future__ import annotations

import hmac
import math
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from fishlive.server.guard import looks_real
from fishlive.server.refusal import Refusal
from fishlive.server.settings import Settings

DEFAULT_MODEL: Final = "s2.1-pro"
"""What a missing or unknown ``model`` header means (openapi.json and asyncapi.yml, 2026-08)."""

FREE_MODEL: Final = "s2.1-pro-free"

MODELS: Final = frozenset({"s1", "s2-pro", DEFAULT_MODEL, FREE_MODEL, "drama-3-preview"})
"""Models of the service (OpenAPI description, 2026-09)."""

ASR_MODELS: Final = ("transcribe-1", "transcribe-1-pro")
"""Models of ``POST /v1/asr``, the default first (OpenAPI description, 2026-09)."""

PRICE_PER_BYTE: Final = Decimal("0.000015")
"""US dollars for one UTF-8 byte of text: $15 a million (pricing page, 2026-08-21)."""

ASR_PRICE_PER_S: Final = Decimal("0.0001")
"""US dollars for one second of audio that is transcribed: $0.36 an hour, rounded up to the second
(pricing page, 2026-08-21)."""

DESIGN_PRICE: Final = Decimal("0.01")
"""US dollars for one voice design that succeeds (pricing page, 2026-08-21)."""

ENDLESS_TOP_UP: Final = Decimal(1_000_000)
"""US dollars that an account without an end shows as paid in: its credit falls like any other, but
nothing is refused when it is spent."""

USER_ID: Final = "10ca1000000000000000000000000000"
"""Who every key of a local server belongs to. Looks like an id of the service, and like no real
one."""

# Sentences of the service, as third parties saw them (api notes, 2026-10).
NO_KEY: Final = "this route requires an api-key"
BAD_KEY: Final = "Invalid Token"
REAL_KEY: Final = (
    "Invalid Token. This is a local server, and that looks like a real key: do not send it here"
)
NO_CREDIT: Final = "Insufficient API credit. Add credit to this account to go on."
TOO_MANY: Final = "exceeded your current concurrency limit"
# The example of the timestamp endpoint's description (OpenAPI, 2026-09).
TOO_MANY_EVENT: Final = "Concurrency limit exceeded"


def known_model(header: str | None) -> str:
    """Return the model that a header means: an unknown one silently becomes the default."""
    return header if header in MODELS else DEFAULT_MODEL


def asr_model(header: str | None) -> str:
    """Return the model of a transcript that a header means, by the same rule."""
    return header if header in ASR_MODELS else ASR_MODELS[0]


def given_model(header: str | None) -> str:
    """Return the header as it is, empty if it is missing: for endpoints that require it."""
    return header or ""


class Account:
    """The one account behind all keys of a server. Not shared between event loops.

    Its credit is a setting, not a state: every start of a server begins with all of it.

    Attributes:
        limit: How many requests may run at once.
        running: Requests and utterances that hold a slot.
        top_up: US dollars paid in.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = [key.encode() for key in settings.keys]
        self._any_key = settings.accept_any_key
        self.limit: int = settings.concurrency
        self.running: int = 0
        self._endless = settings.credit is None
        # The shortest decimal of a float is what was typed; its binary value is not.
        self.top_up: Decimal = (
            ENDLESS_TOP_UP if settings.credit is None else Decimal(str(settings.credit))
        )
        self._spent = Decimal(0)
        self._retry_after_s = settings.retry_after_s

    @property
    def credit(self) -> Decimal:
        """US dollars left, exactly. May fall below 0 by the requests that ran."""
        return self.top_up - self._spent

    def authenticate(self, authorization: str | None) -> None:
        """Return if a key of the settings is shown, or raise a 401."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refusal(HTTPStatus.UNAUTHORIZED, NO_KEY)
        # What is no UTF-8 in a header arrives as surrogates: still only a wrong key.
        offered = key.strip().encode("utf-8", "surrogateescape")
        if self._any_key or any(hmac.compare_digest(offered, known) for known in self._keys):
            return
        raise Refusal(HTTPStatus.UNAUTHORIZED, REAL_KEY if looks_real(key.strip()) else BAD_KEY)

    def admit(self, authorization: str | None, model: str) -> None:
        """Let a paid request in, or raise its Refusal: 401 without a key, 402 without credit.

        Both come before the request itself is looked at (observed, 2026-10).
        """
        self.authenticate(authorization)
        self.check_credit(model)

    def check_credit(self, model: str) -> None:
        """Raise a 402 if the account is empty and the model is not free."""
        if not self._endless and self.credit <= 0 and model != FREE_MODEL:
            raise Refusal(HTTPStatus.PAYMENT_REQUIRED, NO_CREDIT)

    def charge(self, text: str, model: str) -> None:
        """Take the price of speaking ``text`` off the credit."""
        if model != FREE_MODEL:
            self._spent += len(text.encode("utf-8", "replace")) * PRICE_PER_BYTE

    def charge_asr(self, audio_s: float) -> None:
        """Take the price of transcribing so many seconds off the credit, begun ones in full."""
        self._spent += math.ceil(audio_s) * ASR_PRICE_PER_S

    def charge_design(self) -> None:
        """Take the price of one successful voice design off the credit."""
        self._spent += DESIGN_PRICE

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
