"""Pronunciation dictionaries: versions that never change, and a conflict that is one."""

from __future__ import annotations

from typing import Any

import pytest

from fishlive.errors import ConfigError, ConflictError, NotFoundError, ProtocolError
from fishlive.models.pronunciation import DictionaryRef, PronunciationRule
from fishlive.rest.dictionaries import Dictionaries
from tests.rest.canned import canned

DICTIONARY: dict[str, Any] = {
    "id": "9b2f",
    "name": "Product names",
    "description": None,
    "latest_version_id": "v1",
    "created_at": "2026-09-01T10:00:00Z",
    "team_id": "t1",
}
VERSION: dict[str, Any] = {
    "id": "v2",
    "rules": [{"key": "SQL", "value": "S IY1 K W AH0 L", "type": "phoneme"}],
    "created_at": "2026-09-01T10:00:00Z",
}


async def test_a_dictionary_is_made() -> None:
    """Its name and description are sent; a 201 is its answer; what is new is in raw."""
    async with canned(DICTIONARY, status=201) as service:
        made = await Dictionaries(service.http).create("Product names", description="Brands")

    assert (made.id, made.name, made.latest_version_id) == ("9b2f", "Product names", "v1")
    assert made.raw["team_id"] == "t1"
    asked = service.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/pronunciation-dictionaries")
    assert asked.json == {"name": "Product names", "description": "Brands"}


async def test_fields_of_a_later_api_pass() -> None:
    """What this version does not know is sent as it is."""
    async with canned(DICTIONARY, status=201) as service:
        await Dictionaries(service.http).create("x", extra={"language": "en", "none": None})

    assert service.asked[0].json == {"name": "x", "language": "en"}


async def test_a_dictionary_is_read() -> None:
    """Its id is part of the path."""
    async with canned(DICTIONARY) as service:
        found = await Dictionaries(service.http).get("9b2f")

    assert found.latest_version_id == "v1"
    assert service.asked[0].path == "/v1/pronunciation-dictionaries/9b2f"


async def test_a_version_is_read_with_its_rules() -> None:
    """The rules are as the service sent them, and the version can be used for speech."""
    async with canned(VERSION) as service:
        found = await Dictionaries(service.http).get_version("9b2f", "v2")

    assert found.rules == (VERSION["rules"][0],)
    assert found.ref == DictionaryRef(id="9b2f", version="v2")
    assert "SQL" not in repr(found)
    assert service.asked[0].path == "/v1/pronunciation-dictionaries/9b2f/versions/v2"


async def test_the_first_version_expects_null() -> None:
    """None is sent as null, which the service documents for a dictionary without a version."""
    async with canned(VERSION, status=201) as service:
        made = await Dictionaries(service.http).new_version(
            "9b2f",
            [PronunciationRule(key="SQL", value="S IY1"), {"key": "AWS", "value": "EY1"}],
            expected_latest_version_id=None,
        )

    assert made.id == "v2"
    asked = service.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/pronunciation-dictionaries/9b2f/versions")
    assert asked.json == {
        "rules": [{"key": "SQL", "value": "S IY1"}, {"key": "AWS", "value": "EY1"}],
        "expected_latest_version_id": None,
    }


async def test_rules_of_other_kinds_pass_under_either_name() -> None:
    """A rule with a field of its own is not judged; the list may be called items."""
    rule = {"key": "<|x|>", "type": "alias", "nested": {"a": [1, None, True]}}
    async with canned(VERSION, status=201) as service:
        await Dictionaries(service.http).new_version(
            "9b2f", items=[rule], expected_latest_version_id="v1", extra={"note": "n"}
        )

    assert service.asked[0].json == {
        "items": [rule],
        "expected_latest_version_id": "v1",
        "note": "n",
    }


async def test_a_conflict_is_its_own_error() -> None:
    """A 409 is a ConflictError, and the version is not published again behind one's back."""
    body = {"status": 409, "message": "a newer version exists"}
    async with canned(body, status=409) as service:
        with pytest.raises(ConflictError, match="newer version"):
            await Dictionaries(service.http).new_version(
                "9b2f", [], expected_latest_version_id="v0"
            )

    assert len(service.asked) == 1


async def test_what_is_not_there_is_not_found() -> None:
    """A 404 is a NotFoundError."""
    async with canned({"status": 404, "message": "no such dictionary"}, status=404) as service:
        with pytest.raises(NotFoundError):
            await Dictionaries(service.http).get("9b2f")


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"dictionary_id": "a/b"}, "dictionary_id"),
        ({"dictionary_id": ".."}, "dictionary_id"),
        ({"expected_latest_version_id": ""}, "expected_latest_version_id"),
        ({"rules": None}, "rules"),
        ({"items": []}, "rules"),
        ({"rules": "SQL"}, "rules"),
        ({"rules": {"key": "a"}}, "rules"),
        ({"rules": 7}, "rules"),
        ({"rules": ["secret"]}, "rules[0]"),
        ({"rules": [{"key": "a", "value": "b"}, {"key": "", "value": "secret"}]}, "rules[1]"),
        ({"rules": [{"key": "a", "value": "secret<|x|>"}]}, "rules[0]"),
        ({"rules": [{"key": "a", "new": b"secret"}]}, "rules"),
        ({"rules": [{"key": "a", "new": float("nan")}]}, "rules"),
        ({"rules": [{"key": "a", "new": object()}]}, "rules[0]"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    arguments: dict[str, Any], argument: str
) -> None:
    """It is a ConfigError about that argument, without the words of the rules in it."""
    given = {"dictionary_id": "9b2f", "rules": [], "expected_latest_version_id": None, **arguments}
    async with canned(VERSION) as service:
        with pytest.raises(ConfigError) as caught:
            await Dictionaries(service.http).new_version(**given)

    assert caught.value.argument == argument
    assert "secret" not in str(caught.value)
    assert service.asked == []


@pytest.mark.parametrize("name", ["", "  ", "half \ud800", 7])
async def test_a_dictionary_needs_a_name(name: Any) -> None:
    """It is a ConfigError about the name, and nothing is sent."""
    async with canned(DICTIONARY) as service:
        with pytest.raises(ConfigError) as caught:
            await Dictionaries(service.http).create(name)

    assert caught.value.argument == "name"
    assert service.asked == []


@pytest.mark.parametrize("answer", [[], {}, {"name": "x"}])
async def test_an_answer_without_an_id_is_a_protocol_error(answer: object) -> None:
    """A dictionary that cannot be named is of no use."""
    async with canned(answer) as service:
        with pytest.raises(ProtocolError):
            await Dictionaries(service.http).get("9b2f")
