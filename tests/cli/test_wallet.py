"""``fishlive wallet``: a few lines for people, exact amounts for scripts."""

from __future__ import annotations

import json

import pytest

from fishlive.cli.exits import ExitCode
from tests.cli.command import call
from tests.rest.canned import Asked, answering
from tests.rest.test_wallet import CREDIT, PACKAGE


def has_both(asked: Asked) -> tuple[int, object]:
    """Answer as the wallet of an account with a plan."""
    return 200, PACKAGE if asked.path.endswith("/package") else CREDIT


def has_no_plan(asked: Asked) -> tuple[int, object]:
    """Answer as the wallet of an account without a plan."""
    missing = {"status": 404, "message": "no package"}
    return (404, missing) if asked.path.endswith("/package") else (200, CREDIT)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FISH_API_KEY", "sesame")


async def test_people_see_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Credit and plan are a line each."""
    async with answering(has_both) as (url, _):
        assert await call("wallet", "--base-url", url) == ExitCode.DONE

    shown = capsys.readouterr()
    assert "API credit      $12.340000000000000000000000000001\n" in shown.out
    assert "a-new-type, 7654 of 8000 left" in shown.out
    assert shown.err == ""


async def test_scripts_see_the_same_keys_always(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is all there is; amounts are strings, so that no digit is lost; no plan is null."""
    async with answering(has_no_plan) as (url, asked):
        code = await call("wallet", "--json", "--team", "t1", "--free", "--base-url", url)

    shown = capsys.readouterr()
    assert (code, shown.err) == (ExitCode.DONE, "")
    assert json.loads(shown.out) == {
        "credit_usd": "12.340000000000000000000000000001",
        "cumulative_top_up_usd": "100.00",
        "has_free_credit": None,
        "updated_at": "2026-09-01T10:00:00.123456",
        "package": None,
    }
    assert asked[0].path == "/wallet/self/api-credit?check_free_credit=true&team_id=t1"


async def test_a_wrong_key_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, nothing on standard output, and the key nowhere."""
    refusal = {"status": 401, "message": "Invalid Token"}
    async with answering(lambda _: (401, refusal)) as (url, _):
        assert await call("wallet", "--base-url", url) == ExitCode.DENIED

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "set FISH_API_KEY" in shown.err
    assert "sesame" not in shown.err
