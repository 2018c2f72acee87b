"""Tokens in callback addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.webhooks.tokens import Tokens

OLD, NEW = "an old secret, long enough", "a new secret, long enough"


def tokens(*secrets: str, purpose: str = "acedata") -> Tokens:
    """Return what knows tokens by these secrets."""
    return Tokens(secrets or (NEW,), purpose=purpose)


def test_a_token_proves_its_ticket() -> None:
    """Each is another, of a fixed shape that needs no quoting in an address."""
    made = [tokens().mint() for _ in range(50)]
    assert len({ticket for ticket, _ in made}) == 50
    for ticket, token in made:
        assert tokens().ticket(token) == ticket
        assert len(token) == 24 + 1 + 43


def test_secrets_can_be_replaced() -> None:
    """The first makes tokens; all are known."""
    _, old = tokens(OLD).mint()
    _, new = tokens(NEW, OLD).mint()
    assert tokens(NEW, OLD).ticket(old)
    assert tokens(NEW).ticket(old) is None
    assert tokens(NEW).ticket(new)


def test_a_token_has_one_purpose() -> None:
    """That of another gateway is nothing."""
    _, token = tokens(purpose="xhuo").mint()
    assert tokens().ticket(token) is None


@given(st.data())
def test_a_changed_token_is_nothing(data: st.DataObject) -> None:
    """Whichever character is another."""
    _, token = tokens().mint()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[at]))
    assert tokens().ticket(token[:at] + other + token[at + 1 :]) is None


@given(st.text(max_size=80))
def test_anything_else_is_nothing(text: str) -> None:
    """And raises nothing."""
    assert tokens().ticket(text) is None


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [NEW, "short"], ["with\nbreaks in it"]])
def test_bad_secrets_are_refused(secrets: list[str]) -> None:
    """Before anything is made with them, and they are not repeated."""
    with pytest.raises(ConfigError) as caught:
        Tokens(secrets, purpose="acedata")
    assert "short" not in str(caught.value)
    assert NEW not in repr(tokens().__dict__)
