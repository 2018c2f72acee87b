"""models/form.py: fields as text."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.models.form import form_extra, form_fields


def test_lists_repeat_their_name() -> None:
    """In order; an empty one says nothing."""
    fields = {"a": ["x", "y"], "b": (), "c": 1, "d": 0.5, "e": True, "f": [False]}
    assert form_fields(fields) == [
        ("a", "x"), ("a", "y"), ("c", "1"), ("d", "0.5"), ("e", "true"), ("f", "false"),
    ]  # fmt: skip


@pytest.mark.parametrize("value", [b"x", None, {"a": 1}, [["x"]], [b"x"]])
def test_what_a_form_cannot_carry_is_named(value: object) -> None:
    """By the field, without its value."""
    with pytest.raises(ConfigError, match="in a") as caught:
        form_fields({"a": value})
    assert caught.value.argument == "a"


@pytest.mark.parametrize("extra", [{"file": "x"}, {"a": b"x"}, {"a": {}}, {1: "x"}, "a", {"a": 1j}])
def test_extra_fields_that_cannot_go_are_an_error(extra: object) -> None:
    """It names the argument the caller wrote."""
    with pytest.raises(ConfigError) as caught:
        form_extra(extra, files=frozenset({"file"}))
    assert caught.value.argument == "extra"


def test_extra_fields_that_can_go_do() -> None:
    """None values do not."""
    assert form_extra({"a": 1, "b": None}, files=frozenset()) == {"a": 1}
    assert form_extra(None, files=frozenset()) == {}


@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=1)))
def test_text_comes_through_unchanged(fields: dict[str, list[str]]) -> None:
    """What is written is read again."""
    query = urlencode(form_fields(fields))
    pairs = [(name, value) for name, values in fields.items() for value in values]
    assert parse_qsl(query, keep_blank_values=True) == pairs
