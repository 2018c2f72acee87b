"""``GET /wallet/…``: what the account may still spend.

Fields: OpenAPI description (2026-09).
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from fishlive.server.accounts import USER_ID
from fishlive.server.bodies import FormText, checked, grouped
from fishlive.server.desk import Desk
from fishlive.server.refusal import Refusal
from fishlive.server.store import timestamp

SELF: Final = "self"

WALLET_ID: Final = "10ca1000000000000000000000000001"
PACKAGE_ID: Final = "10ca1000000000000000000000000002"

PACKAGE_S: Final = 365 * 24 * 3600.0
"""How long the plan of a local account lasts from its creation, in seconds: it is not paid for,
and a date is required."""


class _CreditQuery(BaseModel):
    check_free_credit: bool = False
    team_id: FormText | None = None


async def api_credit(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with what is left, exactly, as a decimal string.

    A local server has one account, and every team is that account. It never has free credit; null
    says that nobody asked.

    Raises:
        Refusal: 401 for somebody else's wallet, 422 for a query that cannot be read.
    """
    del model  # the wallet has none
    _check_user(request)
    query = checked(_CreditQuery, grouped(request.query.items()), where="query")
    return web.json_response(
        {
            "_id": WALLET_ID,
            "user_id": USER_ID,
            "credit": f"{desk.account.credit:f}",
            "cumulative_top_up": f"{desk.account.top_up:f}",
            "created_at": timestamp(desk.store.created_s),
            "updated_at": timestamp(time.time()),
            "has_phone_sha256": False,
            "has_free_credit": False if query.check_free_credit else None,
        }
    )


async def package(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a free plan without units: calls of the API are not paid from it.

    ``_id`` is not described, but the official SDK (1.3.0) cannot do without.

    Raises:
        Refusal: 401 for somebody else's.
    """
    del model  # the wallet has none
    _check_user(request)
    created_s = desk.store.created_s
    return web.json_response(
        {
            "_id": PACKAGE_ID,
            "user_id": USER_ID,
            "type": "free",
            "total": 0,
            "balance": 0,
            "created_at": timestamp(created_s),
            "updated_at": timestamp(created_s),
            "finished_at": timestamp(created_s + PACKAGE_S),
            "stripe_subscription_id": None,
            "stripe_price_id": None,
            "billing_period": None,
            "current_period_end": None,
            "cancel_at_period_end": None,
            "cancel_at": None,
            "scheduled_change": None,
            "last_synced_at": None,
            "subscription_currency": None,
            "subscription_status": None,
            "extra_balance": 0,
            "has_used_trial": False,
        }
    )


def _check_user(request: web.Request) -> None:
    if request.match_info["user_id"] not in (SELF, USER_ID):
        raise Refusal(HTTPStatus.UNAUTHORIZED, "No permission")
