"""What an account may spend. Amounts are decimals, exactly as the service writes them.

Source: openapi.json, ``/wallet/{user_id}/api-credit`` and ``/wallet/{user_id}/package`` (2026-09).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

from pydantic import AliasChoices, Field

from fishlive.models.answer import Answer, When

Amount: TypeAlias = Decimal
"""A finite decimal; what came as a number in JSON is the decimal that stood there."""


class Credit(Answer):
    """The API credit: what speech, transcripts and voice design are paid from.

    It is separate from the credits of the web site. Debits show 5 to 35 s late (observed, 2026-10).

    Attributes:
        credit: US dollars left.
        cumulative_top_up: US dollars ever paid in; they decide the tier (5, 15 or 50 requests at
            once; pricing page, 2026-08).
        has_free_credit: Whether free credit is left; None unless it was asked for.
        has_phone_sha256: Whether a telephone number was confirmed.
    """

    credit: Amount
    cumulative_top_up: Amount | None = None
    has_free_credit: bool | None = None
    has_phone_sha256: bool | None = None
    id: str | None = Field(default=None, validation_alias=AliasChoices("_id", "id"))
    user_id: str | None = None
    created_at: When = None
    updated_at: When = None


class Package(Answer):
    """The plan of the web site, and what is left of it. Not what API calls are paid from.

    Attributes:
        type: Name of the plan.
        total: Units of one period.
        balance: Units left.
        extra_balance: Units beside the plan's.
        finished_at: When the plan ends.
        billing_period: As the payment service names it.
        subscription_status: As the payment service names it.
        scheduled_change: What will change, as the service describes it.
    """

    type: str
    total: Amount
    balance: Amount
    extra_balance: Amount = Decimal(0)
    user_id: str | None = None
    created_at: When = None
    updated_at: When = None
    finished_at: When = None
    stripe_subscription_id: str | None = Field(default=None, repr=False)
    stripe_price_id: str | None = Field(default=None, repr=False)
    billing_period: str | None = None
    current_period_end: When = None
    cancel_at_period_end: bool | None = None
    cancel_at: When = None
    scheduled_change: dict[str, Any] | None = None
    last_synced_at: When = None
    subscription_currency: str | None = None
    subscription_status: str | None = None
    has_used_trial: bool = False
