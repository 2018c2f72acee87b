"""What a stranger's body may be."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.webhooks.bodies import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MalformedBody,
    header_lines,
    parsed,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_malformed(raw_body: bytes) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(MalformedBody):
        assert isinstance(parsed(raw_body), dict)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9)))
def test_a_plain_object_is_itself(document: dict[str, Any]) -> None:
    """Every name and value."""
    try:
        assert parsed(json.dumps(document).encode()) == document
    except MalformedBody:
        assert any(isinstance(v, int) and len(str(v)) > 32 for v in document.values())


@pytest.mark.parametrize(("depth", "good"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_depth_has_a_limit(depth: int, *, good: bool) -> None:
    """Counted with the object itself and the innermost value."""
    inner = depth - 2
    raw_body = b'{"a": ' + b"[" * inner + b"1" + b"]" * inner + b"}"
    if good:
        assert parsed(raw_body)
        return
    with pytest.raises(MalformedBody, match="deep"):
        parsed(raw_body)


def test_size_has_a_limit() -> None:
    """A body of exactly the limit is read."""
    empty = len(b'{"a": ""}')
    full = b'{"a": "' + b"x" * (MAX_BODY_BYTES - empty) + b'"}'
    assert len(parsed(full)["a"]) == MAX_BODY_BYTES - empty
    with pytest.raises(MalformedBody, match="large"):
        parsed(full + b" ")


def test_errors_repeat_nothing() -> None:
    """Of what the stranger sent."""
    with pytest.raises(MalformedBody) as caught:
        parsed(b'{"private": 1, "private": 2}')
    assert "private" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_header_lines_are_all_found() -> None:
    """In any case, from a mapping or from pairs."""
    pairs = [("X-A", "1"), ("x-a", "2"), ("X-B", "3")]
    assert header_lines(pairs, "x-a", "x-b", "x-c") == [["1", "2"], ["3"], []]
    assert header_lines(iter(pairs), "x-b") == [["3"]]
    assert header_lines({"X-A": "1"}, "x-a") == [["1"]]
