"""The descriptions, their overlays, and the checks themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package that nothing else needs
from openapi_schema_validator import OAS31Validator

from fishlive.server.routes import LIVE, LIVE_TIMED, ROUTES
from tests.contract.checking import Exchange, Frame, check_answer, check_event, check_request
from tests.contract.merged import SPEC, asyncapi, closed, openapi, overlaid, selected

DOCUMENT: dict[str, Any] = {"paths": {"/a": {"get": {"tags": ["x"]}}, "/b": {"get": {"tags": []}}}}
PAGE = Exchange(
    "GET",
    "/model",
    (("page_size", "5"), ("tag", "a"), ("tag", "b")),
    {"authorization": "Bearer local"},
    b"",
    200,
    {"content-type": "application/json; charset=utf-8"},
    b'{"total": 0, "items": []}',
)
SPEECH = Exchange(
    "POST",
    "/v1/tts",
    (),
    {"authorization": "Bearer local", "content-type": "application/json", "model": "s1"},
    b'{"text": "Hello"}',
    429,
    {"content-type": "application/json"},
    b'{"status": 429, "message": "exceeded"}',
)


def action(target: str, update: Any) -> dict[str, Any]:
    """Return an overlay of one action."""
    return {"actions": [{"target": target, "update": update, "x-source": "here"}]}


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Yield whatever stands where a description has a schema."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if name in {"schema", "payload"}:
            yield value
        elif name == "schemas":
            yield from value.values()
        elif isinstance(value, (dict, list)) and name not in {"examples", "example"}:
            yield from schemas(value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.paths.*.get", 2),
        ("$.paths['/a','/b','/c'].get", 2),
        ("$.paths['/a'].get.tags[0]", 1),
        ("$.paths['/b'].get.tags[0]", 0),
    ],
)
def test_a_path_selects_what_is_there(path: str, expected: int) -> None:
    """Names, unions, wildcards and indexes select; what is missing does not."""
    assert len(list(selected(DOCUMENT, path))) == expected


@pytest.mark.parametrize("path", ["paths", "$.paths[?@.get]", "$..get"])
def test_a_path_that_is_not_understood_is_refused(path: str) -> None:
    """An overlay cannot miss its target for a selector that we lack."""
    with pytest.raises(ValueError, match="not "):
        list(selected(DOCUMENT, path))


def test_objects_merge_lists_grow_and_values_are_replaced() -> None:
    """As Overlay 1.0.0 has it; the document itself stays as it was."""
    update = {"tags": ["y"], "summary": "new"}
    merged = overlaid(DOCUMENT, action("$.paths.*.get", update))
    assert merged["paths"]["/a"]["get"] == {"tags": ["x", "y"], "summary": "new"}
    assert merged["paths"]["/b"]["get"]["tags"] == ["y"]
    assert DOCUMENT["paths"]["/a"]["get"] == {"tags": ["x"]}


def test_an_update_of_a_list_is_one_more_entry() -> None:
    """As Overlay 1.0.0 has it."""
    merged = overlaid(DOCUMENT, action("$.paths['/a'].get.tags", {"$ref": "#/y"}))
    assert merged["paths"]["/a"]["get"]["tags"] == ["x", {"$ref": "#/y"}]


def test_an_action_that_hits_nothing_is_an_error() -> None:
    """A renewed description cannot make an overlay silently useless."""
    with pytest.raises(ValueError, match="no such target"):
        overlaid(DOCUMENT, action("$.paths['/c']", {}))


def test_an_action_without_a_source_is_an_error() -> None:
    """Nothing is described that nobody said."""
    with pytest.raises(ValueError, match="no source"):
        overlaid(DOCUMENT, {"actions": [{"target": "$.paths", "update": {}}]})


def test_nothing_of_the_services_descriptions_is_lost() -> None:
    """Overlays add; what they replace is a parameter that no path can be without."""
    originals = (
        (json.loads((SPEC / "openapi.json").read_text(encoding="utf-8")), openapi()),
        (yaml.safe_load((SPEC / "asyncapi.yml").read_text(encoding="utf-8")), asyncapi()),
    )
    lost = [path for old, new in originals for path in missing(old, new, "$")]
    assert sorted(lost) == [
        "$.paths./wallet/{user_id}/api-credit.get.parameters[2].required",
        "$.paths./wallet/{user_id}/package.get.parameters[0].required",
    ]


def missing(old: Any, new: Any, path: str) -> Iterator[str]:
    """Yield where a description has something that another lacks."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            yield from missing(value, new.get(name), f"{path}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        for at, value in enumerate(old):
            yield from missing(value, new[at], f"{path}[{at}]")
    elif old != new:
        yield path


@pytest.mark.parametrize("document", [openapi(), asyncapi()], ids=["openapi", "asyncapi"])
def test_all_schemas_are_schemas(document: dict[str, Any]) -> None:
    """Every schema of the merge is one of OpenAPI 3.1, and there are some."""
    found = list(schemas(closed(document)))
    for schema in found:
        OAS31Validator.check_schema(schema)
    assert len(found) >= 10


def test_all_references_lead_somewhere() -> None:
    """Every ``$ref`` of the merge is resolved by walking its path."""
    for document in (openapi(), asyncapi()):
        for target in set(references(document)):
            node: Any = document
            for name in target.removeprefix("#/").split("/"):
                node = node[name.replace("~1", "/").replace("~0", "~")]


def references(node: Any) -> Iterator[str]:
    """Yield the targets of all references."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if name == "$ref":
            yield value
        elif isinstance(value, (dict, list)):
            yield from references(value)


def test_every_endpoint_of_the_service_is_described_and_no_other() -> None:
    """The server's table and the merge name the same methods of the same paths.

    But for the gateways that the server plays too: they are no part of the service.
    """
    served = {
        (route.method.lower(), route.path)
        for route in ROUTES
        if not route.path.startswith(("/fish/", "/v1/fish/", "/gateway/"))
    }
    served |= {("get", LIVE), ("get", LIVE_TIMED)}
    described = {(method, path) for path, item in openapi()["paths"].items() for method in item}
    assert served == described


def test_what_is_described_passes() -> None:
    """The exchanges that the tests below spoil are right as they are."""
    for exchange in (PAGE, SPEECH):
        check_request(exchange)
        check_answer(exchange)


@pytest.mark.parametrize(
    "exchange",
    [
        replace(PAGE, status=418),
        replace(PAGE, answer=b"{}"),
        replace(PAGE, answer=b'{"total": 0, "items": [], "more": 1}'),
        replace(PAGE, answer_headers={"content-type": "text/html"}),
        replace(PAGE, answer_headers={**PAGE.answer_headers, "ratelimit-limit-concurrency": "-1"}),
        replace(PAGE, path="/models"),
        replace(PAGE, method="DELETE"),
        replace(SPEECH, answer=b'{"status": "429", "message": "exceeded"}'),
    ],
    ids=["status", "fields", "more fields", "type", "header", "path", "method", "kind"],
)
def test_an_answer_that_is_not_described_is_found(exchange: Exchange) -> None:
    """The check is not blind to any part of an answer."""
    with pytest.raises(AssertionError):
        check_answer(exchange)


@pytest.mark.parametrize(
    "exchange",
    [
        replace(PAGE, query=(("page_size", "500"),)),
        replace(PAGE, query=(("page", "1"),)),
        replace(PAGE, headers={}),
        replace(PAGE, body=b"{}"),
        replace(SPEECH, body=b"{}"),
        replace(SPEECH, body=b'{"text": "Hello", "speed": 1}'),
        replace(SPEECH, body=b'{"text": "Hello", "temperature": 2}'),
        replace(SPEECH, headers={**SPEECH.headers, "model": "s9"}),
        replace(SPEECH, headers={**SPEECH.headers, "content-type": "text/plain"}),
    ],
    ids=["range", "query", "key", "body", "fields", "more fields", "value", "model", "type"],
)
def test_a_request_that_is_not_described_is_found(exchange: Exchange) -> None:
    """The check is not blind to any part of a request."""
    with pytest.raises(AssertionError):
        check_request(exchange)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(LIVE, from_client=True, data=b"\x81\xa5event\xa6finish"),
        Frame(LIVE, from_client=True, data=b"\x81\xa5event\xa4text"),
        Frame(LIVE, from_client=True, data=b"\x82\xa5event\xa4stop\xa1a\x01"),
        Frame(LIVE, from_client=False, data=b"\x82\xa5event\xa6finish\xa6reason\xa4done"),
        Frame(LIVE, from_client=False, data=b"\x82\xa5event\xa5audio\xa5audio\xa1a"),
        Frame(LIVE_TIMED, from_client=False, data=b"\x82\xa5event\xa5audio\xa5audio\xc4\x01a"),
        Frame("/v1/tts", from_client=True, data=b"\x81\xa5event\xa4stop"),
    ],
    ids=["sender", "missing", "more", "value", "no bytes", "untimed", "address"],
)
def test_an_event_that_is_not_described_is_found(frame: Frame) -> None:
    """The check is not blind to any part of an event."""
    with pytest.raises(AssertionError):
        check_event(frame)
