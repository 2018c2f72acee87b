"""``/v1/pronunciation-dictionaries``: dictionaries in versions that never change.

Of the service's pages only the openings could be read (2026-10): a dictionary begins empty, a
version holds the complete list of rules, and ``expected_latest_version_id`` (null at first) must
name the newest one, else 409. Fields beyond that are kept and given back as they came.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from http import HTTPStatus
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from fishlive.server.bodies import FormText, checked, read_json, wrong
from fishlive.server.desk import Desk
from fishlive.server.refusal import Refusal
from fishlive.server.request import MAX_RULES
from fishlive.server.store import dumps, loads, timestamp


def _named(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("string_too_short", "String should not be blank")
    return value


class _New(BaseModel):
    name: Annotated[FormText, AfterValidator(_named)]
    description: FormText | None = None


class _NewVersion(BaseModel):
    rules: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_RULES)
    items: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_RULES)
    expected_latest_version_id: FormText | None = None


async def create(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer 201 with a new dictionary, which has no version yet.

    Raises:
        Refusal: 400 for what is no JSON, 422 without a name.
    """
    del model  # none here
    fields = await read_json(request)
    checked(_New, fields)
    dictionary_id, now_s = uuid.uuid4().hex, time.time()

    def add(connection: sqlite3.Connection) -> dict[str, Any]:
        connection.execute(
            "INSERT INTO dictionaries VALUES (?, ?, NULL, ?, ?)",
            (dictionary_id, dumps(fields), now_s, now_s),
        )
        return _dictionary(connection, dictionary_id)

    return web.json_response(await desk.store.run(add), status=HTTPStatus.CREATED)


async def get(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a dictionary, without its rules. Raises a 404 Refusal."""
    del model  # none here
    dictionary_id = request.match_info["id"]
    return web.json_response(
        await desk.store.run(lambda connection: _dictionary(connection, dictionary_id))
    )


async def create_version(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer 201 with the version that is the newest now.

    Whether the list of rules is called ``rules`` or ``items`` could not be read: both are taken,
    and given back under their name.

    Raises:
        Refusal: 400 for what is no JSON, 404, 409 if another version came first, 422.
    """
    del model  # none here
    dictionary_id = request.match_info["id"]
    fields = await read_json(request)
    version = checked(_NewVersion, fields)
    if version.rules is None and version.items is None:
        raise wrong("rules", "Field required", kind="missing")
    expected = version.expected_latest_version_id
    fields.pop("expected_latest_version_id", None)
    version_id, now_s = uuid.uuid4().hex, time.time()

    def add(connection: sqlite3.Connection) -> dict[str, Any]:
        if _dictionary(connection, dictionary_id)["latest_version_id"] != expected:
            raise Refusal(HTTPStatus.CONFLICT, "expected_latest_version_id is not the latest")
        connection.execute(
            "INSERT INTO dictionary_versions VALUES (?, ?, ?, ?)",
            (version_id, dictionary_id, dumps(fields), now_s),
        )
        connection.execute(
            "UPDATE dictionaries SET latest_version_id = ?, updated_s = ? WHERE id = ?",
            (version_id, now_s, dictionary_id),
        )
        return _version(connection, dictionary_id, version_id)

    return web.json_response(await desk.store.run(add), status=HTTPStatus.CREATED)


async def get_version(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a version and its rules. Raises a 404 Refusal."""
    del model  # none here
    dictionary_id, version_id = request.match_info["id"], request.match_info["version_id"]
    return web.json_response(
        await desk.store.run(lambda connection: _version(connection, dictionary_id, version_id))
    )


def _dictionary(connection: sqlite3.Connection, dictionary_id: str) -> dict[str, Any]:
    row = connection.execute(
        "SELECT fields, latest_version_id, created_s, updated_s FROM dictionaries WHERE id = ?",
        (dictionary_id,),
    ).fetchone()
    if row is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Dictionary not found")
    fields, latest, created_s, updated_s = row
    return {
        "description": None,
        **loads(fields),
        "id": dictionary_id,
        "latest_version_id": latest,
        "created_at": timestamp(created_s),
        "updated_at": timestamp(updated_s),
    }


def _version(connection: sqlite3.Connection, dictionary_id: str, version_id: str) -> dict[str, Any]:
    row = connection.execute(
        "SELECT fields, created_s FROM dictionary_versions WHERE id = ? AND dictionary_id = ?",
        (version_id, dictionary_id),
    ).fetchone()
    if row is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Dictionary version not found")
    fields, created_s = row
    return {
        **loads(fields),
        "id": version_id,
        "dictionary_id": dictionary_id,
        "created_at": timestamp(created_s),
    }
