"""``/v1/pronunciation-dictionaries``: versions that never change."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from fishlive.server import LocalServer
from tests.server.talk import answer, posting

PATH = "/v1/pronunciation-dictionaries"
RULES = [{"key": "Fish", "value": "F IH1 SH"}, {"key": "é", "value": "x", "kind": [1, None]}]


async def made(server: LocalServer, **fields: Any) -> dict[str, Any]:
    """Return a new dictionary."""
    status, dictionary = await answer(server, "POST", PATH, json={"name": "mine", **fields})
    assert status == 201
    body: dict[str, Any] = dictionary
    return body


async def published(server: LocalServer, dictionary: str, **fields: Any) -> tuple[int, Any]:
    """Publish a version; return the status and the answer."""
    return await answer(server, "POST", f"{PATH}/{dictionary}/versions", json=fields)


async def test_a_dictionary_begins_empty(server: LocalServer) -> None:
    """A new one has an id that requests accept, and no version; it can be read again."""
    dictionary = await made(server, description="for tests")
    assert re.fullmatch("[A-Za-z0-9_-]{1,128}", dictionary["id"])
    assert (dictionary["name"], dictionary["description"]) == ("mine", "for tests")
    assert dictionary["latest_version_id"] is None
    assert await answer(server, "GET", f"{PATH}/{dictionary['id']}") == (200, dictionary)


@pytest.mark.parametrize("name", ["rules", "items"])
async def test_versions_follow_each_other(server: LocalServer, name: str) -> None:
    """Each names the one before it; the dictionary knows the newest; old ones stay."""
    dictionary = (await made(server))["id"]
    before = None
    for rules in (RULES, RULES[:1], []):
        status, version = await published(
            server, dictionary, **{name: rules}, expected_latest_version_id=before
        )
        assert (status, version[name], version["dictionary_id"]) == (201, rules, dictionary)
        before = version["id"]
        read = await answer(server, "GET", f"{PATH}/{dictionary}/versions/{before}")
        assert read == (200, version)
    _, latest = await answer(server, "GET", f"{PATH}/{dictionary}")
    assert latest["latest_version_id"] == before


async def test_a_conflict_changes_nothing(server: LocalServer) -> None:
    """Who does not know the newest version gets a 409, and publishes nothing."""
    dictionary = (await made(server))["id"]
    status, first = await published(server, dictionary, rules=RULES)
    assert status == 201
    for expected in (None, "0" * 32):
        status, body = await published(
            server, dictionary, rules=[], expected_latest_version_id=expected
        )
        assert (status, body["status"]) == (409, 409)
    _, read = await answer(server, "GET", f"{PATH}/{dictionary}")
    assert read["latest_version_id"] == first["id"]


async def test_of_many_at_once_one_wins(server: LocalServer) -> None:
    """Versions that race for the same place give one 201, and a 409 to all others."""
    dictionary = (await made(server))["id"]
    raced = await asyncio.gather(*(published(server, dictionary, rules=[]) for _ in range(8)))
    assert sorted(status for status, _ in raced) == [201, *[409] * 7]


async def test_unknown_fields_pass_through(server: LocalServer) -> None:
    """What is not documented is kept and given back, but cannot replace what is."""
    odd = {"rule_type": {"deep": [1.5, None, "\ud800"]}, "id": "mine", "latest_version_id": "x"}
    dictionary = await made(server, **odd)
    assert dictionary["rule_type"] == odd["rule_type"]
    assert dictionary["id"] != "mine"
    assert dictionary["latest_version_id"] is None


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"name": NaN}', 400, None),
        (b'{"name": "x", "y": 1e999}', 400, None),
        (b'{"name": "x", "y": ' + b"[" * 500 + b"]" * 500 + b"}", 400, None),
        (b"\xff", 400, None),
        (b"{}", 422, ["name"]),
        (b'{"name": " "}', 422, ["name"]),
        (b'{"name": null}', 422, ["name"]),
        (b'{"name": "\\ud800"}', 422, ["name"]),
        (b'{"name": "x", "description": 1}', 422, ["description"]),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_bad_bodies(server: LocalServer, body: bytes, status: int, where: Any) -> None:
    """What is no JSON is a 400 in plain text; a wrong field is a 422 that names it."""
    async with posting(server, path=PATH, data=body) as response:
        assert response.status == status
        if where is None:
            assert response.content_type == "text/plain"
        else:
            assert [item["loc"] for item in await response.json()] == [where]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, ["rules"]),
        ({"rules": "x"}, ["rules"]),
        ({"rules": ["x"]}, ["rules", 0]),
        ({"items": [{}] * 5001}, ["items"]),
        ({"rules": [], "expected_latest_version_id": 1}, ["expected_latest_version_id"]),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_bad_versions(server: LocalServer, fields: dict[str, Any], where: list[Any]) -> None:
    """A version needs a list of at most 5000 objects."""
    status, body = await published(server, (await made(server))["id"], **fields)
    assert (status, [item["loc"] for item in body]) == (422, [where])


async def test_what_is_not_there(server: LocalServer) -> None:
    """Unknown dictionaries and versions are a 404, also another dictionary's version."""
    one, two = (await made(server))["id"], (await made(server))["id"]
    _, version = await published(server, one, rules=[])
    for path in ("nobody", f"{two}/versions/{version['id']}", f"{one}/versions/none", "%FF%00"):
        status, body = await answer(server, "GET", f"{PATH}/{path}")
        assert (status, body["status"]) == (404, 404)
    assert (await published(server, "nobody", rules=[]))[0] == 404


async def test_they_survive_a_restart(tmp_path: Path) -> None:
    """With a folder, dictionaries and versions are there again."""
    async with LocalServer(data=tmp_path) as server:
        dictionary = (await made(server))["id"]
        _, version = await published(server, dictionary, rules=RULES)
    async with LocalServer(data=tmp_path) as server:
        path = f"{PATH}/{dictionary}/versions/{version['id']}"
        assert await answer(server, "GET", path) == (200, version)
