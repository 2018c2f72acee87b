"""Answers that are read: tolerant of the new, clear about the missing, silent about values."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone

import pytest
from pydantic import ValidationError

from fishlive.errors import ProtocolError
from fishlive.models.answer import Answer, When


class Thing(Answer):
    """A value for these tests."""

    id: str
    size: int = 3
    made_at: When = None


def test_unknown_fields_are_kept_as_they_came() -> None:
    """What this version does not know is in raw, and breaks nothing."""
    document = {"id": "a", "colour": {"new": True}}

    thing = Thing.read(document)
    assert thing.id == "a"
    assert thing.raw == document
    assert "colour" not in repr(thing)


def test_a_null_is_a_field_that_was_left_out() -> None:
    """A field the service sends as null has its default."""
    assert Thing.read({"id": "a", "size": None, "made_at": None}).size == 3


def test_a_date_that_cannot_be_read_is_none() -> None:
    """Nobody's call fails because a date has a new form."""
    assert Thing.read({"id": "a", "made_at": "soon"}).made_at is None
    when = Thing.read({"id": "a", "made_at": "2026-09-01T10:00:00Z"}).made_at
    assert when == datetime(2026, 9, 1, 10, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ([], "the answer is a list, not an object"),
        (None, "the answer is a null, not an object"),
        ({"size": 1}, "Thing: no id in it"),
        ({"id": "a", "size": "secret"}, "Thing: size is not what it must be"),
    ],
)
def test_what_is_wrong_is_a_protocol_error(document: object, what: str) -> None:
    """The error names the field, and does not repeat what was in it."""
    with pytest.raises(ProtocolError, match=what) as caught:
        Thing.read(document)
    assert "secret" not in str(caught.value)


def test_an_answer_is_a_value() -> None:
    """It cannot be changed, equals itself, and survives pickling with all it came with."""
    thing = Thing.read({"id": "a", "x": 1})
    with pytest.raises(ValidationError):
        thing.size = 4

    again = pickle.loads(pickle.dumps(thing))  # our own bytes
    assert again == thing
    assert again.raw == {"id": "a", "x": 1}
