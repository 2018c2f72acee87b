"""Keys, credit and slots."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fishlive.server.accounts import FREE_MODEL, Account, asr_model, known_model
from fishlive.server.refusal import Refusal
from fishlive.server.settings import Settings


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "this route requires an api-key"),
        ("", "this route requires an api-key"),
        ("Bearer ", "this route requires an api-key"),
        ("Basic local", "this route requires an api-key"),
        ("Bearer Local", "Invalid Token"),
        ("Bearer localhost", "Invalid Token"),
        ("Bearer clé", "Invalid Token"),
        ("Bearer \udcff", "Invalid Token"),
    ],
)
def test_other_keys_are_refused(authorization: str | None, message: str) -> None:
    """Anything but a key of the settings is a 401, in the service's words."""
    with pytest.raises(Refusal) as refused:
        Account(Settings()).admit(authorization, "s1")
    assert (refused.value.status, refused.value.message) == (401, message)


def test_every_key_opens() -> None:
    """All keys of the settings open the one account."""
    account = Account(Settings(keys=("one", "two")))
    account.admit("Bearer one", "s1")
    account.admit("bearer two", "s1")


def test_text_costs_its_bytes() -> None:
    """UTF-8 bytes are charged at $15 a million; the free model costs nothing."""
    account = Account(Settings(credit=1.0))
    account.charge("né", "s2-pro")
    assert account.credit == Decimal("0.999955")
    account.charge("free " * 1000, FREE_MODEL)
    assert account.credit == Decimal("0.999955")


def test_seconds_and_designs_cost() -> None:
    """Transcripts cost begun seconds at $0.36 an hour, a voice design costs one cent."""
    account = Account(Settings(credit=0.5))
    account.charge_asr(2.001)
    assert account.credit == Decimal("0.4997")
    account.charge_design()
    assert account.credit == Decimal("0.4897")


def test_without_an_end() -> None:
    """An account without an end counts what it spends, and is never refused."""
    account = Account(Settings())
    before = account.credit
    account.charge("x" * 1_000_000, "s1")
    assert before - account.credit == 15
    account._spent = before + 1
    account.check_credit("s1")


def test_a_key_is_enough_for_what_is_not_paid() -> None:
    """Authentication alone does not look at the credit."""
    Account(Settings(credit=0)).authenticate("Bearer local")


@pytest.mark.parametrize("header", [None, "", "transcribe-2", "s1"])
def test_models_of_transcripts(header: str | None) -> None:
    """They have a default of their own, so that no free voice makes a transcript free."""
    assert asr_model(header) == "transcribe-1"
    assert asr_model("transcribe-1-pro") == "transcribe-1-pro"


def test_an_empty_account() -> None:
    """No credit is a 402 for every model but the free one, a misspelt one included."""
    account = Account(Settings(credit=0))
    account.admit("Bearer local", FREE_MODEL)
    with pytest.raises(Refusal) as refused:
        account.admit("Bearer local", known_model("s2.1-pro-fre"))
    assert refused.value.status == 402
    assert refused.value.message.startswith("Insufficient API credit.")


def test_a_slot_is_given_back_once() -> None:
    """Releasing twice frees one place, and a full account refuses with its limit."""
    account = Account(Settings(concurrency=2, retry_after_s=1.5))
    first, _second = account.slot(), account.slot()
    with pytest.raises(Refusal) as refused:
        account.slot()
    assert (refused.value.status, refused.value.max_concurrency) == (429, 2)
    assert refused.value.headers == {"Retry-After": "1.5"}
    first.release()
    first.release()
    assert account.running == 1


@pytest.mark.parametrize("header", [None, "", "s3", "S1"])
def test_unknown_models_are_the_default(header: str | None) -> None:
    """A missing or unknown model header silently means s2.1-pro."""
    assert known_model(header) == "s2.1-pro"
