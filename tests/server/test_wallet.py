"""``/wallet``: what is left, exactly."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import anyio.to_thread
import pytest
from fishaudio import FishAudio  # type: ignore[import-untyped]  # it ships no py.typed

from fishlive.server import LocalServer
from tests.server.talk import answer, posting, talking

CREDIT = "/wallet/self/api-credit"


async def credit(server: LocalServer) -> Decimal:
    """Return what is left."""
    status, wallet = await answer(server, "GET", CREDIT)
    assert status == 200
    assert isinstance(wallet["credit"], str)
    return Decimal(wallet["credit"])


async def test_text_takes_its_price_off() -> None:
    """Every byte of UTF-8 costs $0.000015, over HTTP and WebSocket alike, to the last digit."""
    async with LocalServer(credit=0.1) as server:
        assert await credit(server) == Decimal("0.1")
        async with posting(server, json={"text": "né", "format": "pcm"}) as response:
            await response.read()
        assert await credit(server) == Decimal("0.099955")
        async with talking(server) as talk:
            await talk.say("né", "é")
            await talk.audio()
        assert await credit(server) == Decimal("0.09988")


async def test_an_empty_wallet_can_be_read() -> None:
    """Without credit speech is a 402, but the wallet and the voices are not paid for."""
    async with LocalServer(credit=0.0) as server:
        assert await credit(server) == 0
        assert (await answer(server, "GET", "/model"))[0] == 200
        async with posting(server, json={"text": "x"}) as response:
            assert response.status == 402


@pytest.mark.parametrize(
    "path", ["/v1/tts", "/v1/tts/stream/with-timestamp", "/v1/asr", "/v1/voice-design"]
)
@pytest.mark.parametrize("model", ["s1", "transcribe-1", "voice-design-1", "nonsense"])
async def test_402_before_anything_is_read(path: str, model: str) -> None:
    """Without credit even a bad request is a 402, on every paid endpoint."""
    async with (
        LocalServer(credit=0.0) as server,
        posting(server, path=path, data=b"{", headers={"model": model}) as response,
    ):
        assert response.status == 402
        assert (await response.json())["status"] == 402


@pytest.mark.parametrize(
    ("query", "free"),
    [("", None), ("?check_free_credit=false", None), ("?check_free_credit=true", False)],
)
async def test_free_credit_only_if_asked(
    server: LocalServer, query: str, free: bool | None
) -> None:
    """``has_free_credit`` is null unless it was asked for; a team is the same account."""
    status, wallet = await answer(server, "GET", CREDIT + query)
    assert (status, wallet["has_free_credit"]) == (200, free)
    status, team = await answer(server, "GET", f"{CREDIT}{query or '?'}&team_id=t1")
    assert (status, team["credit"]) == (200, wallet["credit"])


async def test_the_whole_wallet(server: LocalServer) -> None:
    """Every documented field is there; an account without an end shows a large sum."""
    _, wallet = await answer(server, "GET", CREDIT)
    assert set(wallet) == {
        "_id", "user_id", "credit", "cumulative_top_up", "created_at", "updated_at",
        "has_phone_sha256", "has_free_credit",
    }  # fmt: skip
    assert wallet["credit"] == wallet["cumulative_top_up"] == "1000000"
    assert datetime.fromisoformat(wallet["created_at"]).tzinfo is not None
    by_id = await answer(server, "GET", f"/wallet/{wallet['user_id']}/api-credit")
    assert by_id[0] == 200


async def test_the_package(server: LocalServer) -> None:
    """It is a free plan without units, with every documented field."""
    status, package = await answer(server, "GET", "/wallet/self/package")
    assert status == 200
    assert (package["type"], package["total"], package["balance"]) == ("free", 0, 0)
    assert len(package) == 20
    assert package["created_at"] < package["finished_at"]


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/wallet/somebody/api-credit", "local", 401),
        ("/wallet/somebody/package", "local", 401),
        (CREDIT, "other", 401),
        (CREDIT, None, 401),
        ("/wallet/self/package", None, 401),
        (CREDIT + "?check_free_credit=perhaps", "local", 422),
        ("/wallet//api-credit", "local", 404),
    ],
)
async def test_refusals(server: LocalServer, path: str, key: str | None, status: int) -> None:
    """Others' wallets and missing keys are a 401, a query that cannot be read a 422."""
    got, body = await answer(server, "GET", path, key=key)
    assert got == status
    if status == 422:
        assert [(item["loc"], item["in"]) for item in body] == [(["check_free_credit"], "query")]
    else:
        assert body["status"] == status


async def test_the_official_sdk_reads_it() -> None:
    """fish-audio-sdk finds both halves of the account in order."""
    async with LocalServer(credit=2.5) as server:

        def use() -> tuple[Any, Any]:
            with FishAudio(api_key="local", base_url=server.url) as client:
                return client.account.get_credits(), client.account.get_package()

        credits_, package = await anyio.to_thread.run_sync(use)
    assert credits_.credit == Decimal("2.5")
    assert package.balance == 0
