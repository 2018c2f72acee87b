"""The wallet: exact amounts, and where to look when it is empty."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from fishlive.errors import (
    AuthenticationError,
    ConfigError,
    InsufficientCreditsError,
    ProtocolError,
)
from fishlive.rest.wallet import Wallet
from tests.rest.canned import canned

CREDIT: dict[str, Any] = {
    "_id": "5f0c",
    "user_id": "u1",
    "credit": "12.340000000000000000000000000001",
    "cumulative_top_up": "100.00",
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-09-01T10:00:00.123456",
    "has_phone_sha256": True,
    "has_free_credit": None,
    "a_new_field": [1],
}
PACKAGE: dict[str, Any] = {
    "user_id": "u1",
    "type": "a-new-type",
    "total": 8000,
    "balance": 7654,
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T03:04:05Z",
    "finished_at": "2027-01-02T03:04:05Z",
    "stripe_subscription_id": None,
    "extra_balance": None,
    "scheduled_change": {"to": "plus"},
    "has_used_trial": False,
}


async def test_credit_is_exact() -> None:
    """Every digit that the service wrote is there, and what is new is in raw."""
    async with canned(CREDIT) as service:
        credit = await Wallet(service.http).credit()

    assert credit.credit == Decimal("12.340000000000000000000000000001")
    assert credit.cumulative_top_up == 100
    assert (credit.id, credit.user_id) == ("5f0c", "u1")
    assert credit.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert credit.raw["a_new_field"] == [1]
    asked = service.asked[0]
    assert (asked.method, asked.path) == ("GET", "/wallet/self/api-credit")
    assert asked.headers["authorization"] == "Bearer sesame"


async def test_an_amount_as_a_number_is_the_decimal_that_was_written() -> None:
    """0.1 in JSON is a tenth, not the nearest binary fraction."""
    async with canned({"credit": 0.1}) as service:
        assert (await Wallet(service.http).credit()).credit == Decimal("0.1")


async def test_credit_asks_for_what_it_is_told_to() -> None:
    """Arguments become the documented query; what is not given is not sent."""
    async with canned(CREDIT) as service:
        await Wallet(service.http).credit("u 1", check_free_credit=True, team_id="t&1")

    assert service.asked[0].path == "/wallet/u%201/api-credit?check_free_credit=true&team_id=t%261"


async def test_the_package_is_read() -> None:
    """A plan of a kind nobody knows is a plan; nulls are what the service leaves out."""
    async with canned(PACKAGE) as service:
        package = await Wallet(service.http).package()

    assert (package.type, package.total, package.balance) == ("a-new-type", 8000, 7654)
    assert package.extra_balance == 0
    assert package.scheduled_change == {"to": "plus"}
    assert service.asked[0].path == "/wallet/self/package"


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": "../model"}, "user_id"),
        ({"user_id": "a\r\nX: y"}, "user_id"),
        ({"team_id": ""}, "team_id"),
        ({"team_id": "a\nb"}, "team_id"),
        ({"team_id": 7}, "team_id"),
    ],
)
async def test_an_id_that_cannot_be_one_is_named(arguments: dict[str, Any], argument: str) -> None:
    """It is a ConfigError, and nothing is sent."""
    async with canned(CREDIT) as service:
        with pytest.raises(ConfigError) as caught:
            await Wallet(service.http).credit(**arguments)

    assert caught.value.argument == argument
    assert service.asked == []


async def test_an_empty_wallet_says_where_to_look() -> None:
    """A 402 names the page where credit is bought."""
    body = {"status": 402, "message": "Insufficient API credit."}
    async with canned(body, status=402) as service:
        with pytest.raises(InsufficientCreditsError, match=r"https://fish\.audio/app/billing"):
            await Wallet(service.http).credit()


async def test_a_wrong_key_is_one() -> None:
    """A 401 is an AuthenticationError with the service's sentence."""
    async with canned({"status": 401, "message": "Invalid Token"}, status=401) as service:
        with pytest.raises(AuthenticationError, match="Invalid Token"):
            await Wallet(service.http).package()


@pytest.mark.parametrize("credit", [None, "a lot", "NaN", "Infinity", [], True])
async def test_an_amount_that_is_none_is_a_protocol_error(credit: object) -> None:
    """What is no number is never taken for one, and not repeated."""
    async with canned({**CREDIT, "credit": credit}) as service:
        with pytest.raises(ProtocolError, match="credit") as caught:
            await Wallet(service.http).credit()
    assert "a lot" not in str(caught.value)
