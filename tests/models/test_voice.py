"""models/voice.py: voices as they come, and what is asked and said about them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError, ProtocolError
from fishlive.models.voice import NewVoice, Voice, VoiceChanges, VoicePage, VoiceQuery, goes_on

LEAST: dict[str, Any] = {"_id": "a", "title": "Me", "state": "trained"}
WHOLE: dict[str, Any] = {
    **LEAST, "type": "tts", "description": "d", "cover_image": "c", "train_mode": "fast",
    "tags": ["x"], "samples": [{"title": "s", "text": "t", "task_id": "i", "audio": "u"}],
    "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
    "languages": ["en"], "visibility": "private", "lock_visibility": True, "default_text": "hi",
    "licensed": True, "like_count": 1, "mark_count": 2, "shared_count": 3, "task_count": 4,
    "author": {"_id": "u", "nickname": "n", "avatar": "v"}, "quality": {"audios": []},
}  # fmt: skip
ODD = st.one_of(st.none(), st.text(max_size=5))


def test_a_whole_voice_is_read() -> None:
    """Every documented field that has a name here."""
    voice = Voice.read(WHOLE)
    assert (voice.id, voice.default_text, voice.lock_visibility) == ("a", "hi", True)
    counts = (voice.like_count, voice.mark_count, voice.shared_count, voice.task_count)
    assert counts == (1, 2, 3, 4)
    assert voice.samples[0].audio == "u"
    assert voice.author is not None
    assert voice.author.id == "u"
    assert voice.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert voice.raw == WHOLE


@given(
    nulls=st.sets(st.sampled_from(sorted(WHOLE.keys() - LEAST.keys()))),
    odd=st.fixed_dictionaries({}, optional=dict.fromkeys(("state", "type", "visibility"), ODD)),
)
def test_nulls_and_new_values_are_no_errors(nulls: set[str], odd: dict[str, Any]) -> None:
    """Alone or on a page: only id, title and state have to be there."""
    document = {**WHOLE, **dict.fromkeys(nulls), **odd, "state": odd.get("state") or "new"}
    alone = Voice.read(document)
    (listed,) = VoicePage.read({"total": 1, "items": [document]}).items
    assert listed == alone
    assert listed.raw == alone.raw == document
    assert not alone.trained or document["state"] == "trained"


@pytest.mark.parametrize("missing", ["_id", "title", "state"])
def test_a_voice_without_what_it_is_is_none(missing: str) -> None:
    """The error names the field."""
    with pytest.raises(ProtocolError, match=f"Voice: no {missing}"):
        VoicePage.read({"total": 1, "items": [{k: v for k, v in WHOLE.items() if k != missing}]})


@pytest.mark.parametrize(
    ("facts", "read", "more"),
    [
        ({"total": 3}, 2, True),
        ({"total": 3}, 3, False),
        ({"total": 3, "total_is_exact": False}, 3, True),
        ({"total": 3, "has_more": True}, 3, True),
        ({"total": 3, "has_more": False}, 1, False),
        ({"total": 9, "has_more": True, "max_offset": 3}, 3, True),
        ({"total": 9, "has_more": True, "max_offset": 3}, 4, False),
    ],
)
def test_what_says_whether_there_is_more(facts: dict[str, Any], read: int, more: object) -> None:
    """has_more before the total, and no page beyond max_offset."""
    assert goes_on(VoicePage.read(facts), read) is more


def test_a_query_has_only_what_was_asked() -> None:
    """Booleans are words, and ``mine`` is called ``self``."""
    assert VoiceQuery().query() == ()
    query = VoiceQuery(mine=False, tag=("x", "y"), language=("en",), page_size=5)
    assert query.query() == (
        ("page_size", "5"), ("tag", "x"), ("tag", "y"), ("self", "false"), ("language", "en"),
    )  # fmt: skip


def test_a_new_voice_is_private_and_says_so() -> None:
    """The API's own default is public."""
    assert NewVoice(title="x").form() == [
        ("type", "tts"), ("train_mode", "fast"), ("title", "x"), ("visibility", "private"),
    ]  # fmt: skip


def test_what_only_we_know_is_not_sent() -> None:
    """Whether there is a picture is in the form's files; extra fields are by their own names."""
    form = NewVoice(title="x", visibility="public", covered=True, extra={"covered": "y"}).form()
    assert form[2:] == [("title", "x"), ("visibility", "public"), ("covered", "y")]


@pytest.mark.parametrize(
    ("fields", "argument"),
    [
        ({"title": ""}, "title"),
        ({"title": 7}, "title"),
        ({"visibility": "public"}, "cover_image"),
        ({"texts": ["x"] * 21}, "texts"),
        ({"texts": [7]}, "texts"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_new_voice_that_cannot_be_is_refused(fields: dict[str, Any], argument: str) -> None:
    """By the name the caller knows."""
    with pytest.raises(ConfigError) as caught:
        NewVoice(**{"title": "x", **fields})
    assert caught.value.argument == argument


def test_texts_show_in_no_repr() -> None:
    """What people say is theirs."""
    assert "secret" not in repr(NewVoice(title="x", texts=("secret",), extra={"x": "secret"}))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "title": st.text(min_size=1),
            "description": st.none() | st.text(),
            "visibility": st.sampled_from(["public", "unlist", "private"]),
            "tags": st.none() | st.text() | st.lists(st.text(), max_size=30),
        },
    )
)
def test_changes_are_what_was_given(given_fields: dict[str, Any]) -> None:
    """No more and no less; None clears, by what a form and JSON both can say."""
    changes = VoiceChanges(**given_fields).changes()
    assert changes.keys() == given_fields.keys()
    assert None not in changes.values()
    for name, value in given_fields.items():
        if value is None:
            assert changes[name] in ("", [])


@pytest.mark.parametrize("name", ["title", "visibility"])
def test_what_no_voice_can_be_without_is_not_cleared(name: str) -> None:
    """It is left out instead."""
    with pytest.raises(ConfigError, match="cannot be cleared") as caught:
        VoiceChanges(**{name: None})
    assert caught.value.argument == name
