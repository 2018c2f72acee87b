"""Holds requests, answers and events to the merged descriptions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

import msgpack
from jsonschema import ValidationError  # type: ignore[import-untyped]  # it has no types
from jsonschema.validators import extend  # type: ignore[import-untyped]  # it has no types
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from fishlive.server.multipart import boundary_of, read_parts
from tests.contract.merged import asyncapi, closed, openapi


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as they were on the wire.

    Attributes:
        path: Without its query, still percent-encoded.
        headers: Names in lower case; so ``answer_headers``.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status}"


@dataclass(frozen=True)
class Frame:
    """One message on a live socket. Its address is that of a channel."""

    address: str
    from_client: bool
    data: bytes = field(repr=False)


def template_of(method: str, path: str) -> str:
    """Return the described path that a path is one of."""
    for template, item in openapi()["paths"].items():
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
        if method.lower() in item and re.fullmatch(pattern, path):
            return str(template)
    raise AssertionError(f"not described: {method} {path}")


def check_answer(exchange: Exchange) -> None:
    """Raise an AssertionError unless the answer is described: status, headers, type and body."""
    template = template_of(exchange.method, exchange.path)
    responses = _closed()["paths"][template][exchange.method.lower()]["responses"]
    assert str(exchange.status) in responses, f"undescribed status: {exchange}"
    response = _resolved(responses[str(exchange.status)])
    for name, header in response.get("headers", {}).items():
        if (value := exchange.answer_headers.get(name.lower())) is not None:
            schema = _resolved(header)["schema"]
            _check(_closed(), schema, _spoken(value, schema), f"{exchange}: {name}")
    _check_answer_body(exchange, response.get("content"))


def request_names(method: str, template: str) -> set[str]:
    """Return the described parameters of an operation, and the fields of its body."""
    operation = _closed()["paths"][template][method]
    names = {_resolved(parameter)["name"] for parameter in operation.get("parameters", ())}
    for kind in operation.get("requestBody", {}).get("content", {}).values():
        names |= set(_resolved(kind["schema"])["properties"])
    return names


def check_request(exchange: Exchange, *, extra: Iterable[str] = ()) -> set[str]:
    """Return the names of what was sent, or raise an AssertionError unless it is described.

    Args:
        exchange: What was sent.
        extra: Fields of the body that may be there without being described.
    """
    template = template_of(exchange.method, exchange.path)
    operation = _closed()["paths"][template][exchange.method.lower()]
    if operation.get("security"):
        assert re.fullmatch(r"Bearer \S+", exchange.headers.get("authorization", "")), "no key"
    parameters = [_resolved(parameter) for parameter in operation.get("parameters", ())]
    names = {name for name, _ in exchange.query}
    _check_query(exchange, [each for each in parameters if each["in"] == "query"])
    for name, text in _given(exchange, template, parameters):
        schema = next(each["schema"] for each in parameters if each["name"] == name)
        _check(_closed(), schema, _spoken(text, schema), f"{exchange}: {name}")
        names.add(name)
    return names | _check_request_body(exchange, operation.get("requestBody"), extra)


def event_names(address: str, event: str) -> set[str]:
    """Return the described fields of the request that an event carries."""
    document = _closed_live()
    for schema in _payloads(document, address, "receive"):
        if schema["properties"]["event"]["const"] == event:
            return set(_resolved(schema["properties"]["request"], document)["properties"])
    raise AssertionError(f"{address}: {event} is not described")


def check_event(frame: Frame) -> dict[str, Any]:
    """Return a live message, or raise an AssertionError unless its sender may send such."""
    document = _closed_live()
    event = msgpack.unpackb(frame.data)
    assert isinstance(event, dict), "not a map"
    action = "receive" if frame.from_client else "send"  # of the service
    for schema in _payloads(document, frame.address, action):
        if schema["properties"]["event"]["const"] == event.get("event"):
            _check(document, schema, event, f"{frame.address}: {event['event']}", binary=True)
            return event
    raise AssertionError(f"{frame.address}: {event.get('event')} is not described")


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the payloads of a stream of server-sent events (HTML standard, section 9.2)."""
    *blocks, rest = stream.decode().split("\n\n")
    assert rest == "", "the stream ends inside an event"
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def _check_answer_body(exchange: Exchange, content: Mapping[str, Any] | None) -> None:
    if content is None:
        assert not exchange.answer, f"{exchange}: a body where none is described"
        return
    kind = _media_type(exchange.answer_headers)
    assert kind in content, f"{exchange}: {kind} is not described"
    schema = content[kind]["schema"]
    if kind == "application/json":
        bodies: list[Any] = [json.loads(exchange.answer)]
    elif kind == "text/event-stream":
        bodies = list(events_of(exchange.answer))
    else:
        bodies = [exchange.answer.decode() if kind.startswith("text/") else exchange.answer]
    for body in bodies:
        _check(_closed(), schema, body, str(exchange), binary=isinstance(body, bytes))


def _check_request_body(
    exchange: Exchange, described: Mapping[str, Any] | None, extra: Iterable[str]
) -> set[str]:
    if described is None:
        assert not exchange.body, f"{exchange}: a body where none belongs"
        return set()
    kind = _media_type(exchange.headers)
    assert kind in described["content"], f"{exchange}: {kind} is not described"
    schema = described["content"][kind]["schema"]
    fields = _fields(exchange, kind, schema)
    for name in extra:
        assert fields.pop(name, None) is not None, f"{exchange}: {name} was not sent"
    _check(_closed(), schema, fields, str(exchange), binary=kind != "application/json")
    return set(fields)


def _check_query(exchange: Exchange, described: list[dict[str, Any]]) -> None:
    schemas = {each["name"]: each["schema"] for each in described}
    for name, value in _grouped(exchange.query).items():
        assert name in schemas, f"{exchange}: {name} is not described"
        _check(_closed(), schemas[name], _spoken(value, schemas[name]), f"{exchange}: {name}")


def _given(
    exchange: Exchange, template: str, parameters: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the headers and the parts of the path that are parameters."""
    names = re.findall(r"{([^}]*)}", template)
    parts = [
        part
        for part, slot in zip(exchange.path.split("/"), template.split("/"), strict=True)
        if slot.startswith("{")
    ]
    yield from zip(names, map(unquote, parts), strict=True)
    for each in parameters:
        if each["in"] == "header" and each["name"].lower() in exchange.headers:
            yield each["name"], exchange.headers[each["name"].lower()]
        elif each["in"] == "header":
            assert not each.get("required"), f"{exchange}: no {each['name']}"


def _fields(exchange: Exchange, kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any]
    if kind == "application/msgpack":
        fields = msgpack.unpackb(exchange.body)
    elif kind == "application/json":
        fields = json.loads(exchange.body)
    else:
        assert kind == "multipart/form-data", f"{exchange}: who sends {kind}?"
        parts = read_parts(exchange.body, boundary_of(exchange.headers["content-type"]))
        grouped = _grouped(
            (part.name, part.data if part.filename is not None else part.data.decode())
            for part in parts
        )
        known = _resolved(schema)["properties"]
        fields = {name: _spoken(value, known.get(name, {})) for name, value in grouped.items()}
    assert isinstance(fields, dict), f"{exchange}: not a map"
    return fields


def _grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    grouped: dict[str, list[Any]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return {name: many[0] if len(many) == 1 else many for name, many in grouped.items()}


def _spoken(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return what a text means where only texts can be sent: a boolean or a number."""
    kinds = {schema.get("type"), *(each.get("type") for each in schema.get("anyOf", ()))}
    if isinstance(value, str) and kinds & {"boolean", "integer", "number"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _payloads(document: dict[str, Any], address: str, action: str) -> Iterator[dict[str, Any]]:
    for operation in document["operations"].values():
        channel = _resolved(operation["channel"], document)
        if channel["address"] == address and operation["action"] == action:
            for message in operation["messages"]:
                yield _resolved(message, document)["payload"]


@cache
def _closed() -> dict[str, Any]:
    return closed(openapi())


@cache
def _closed_live() -> dict[str, Any]:
    return closed(asyncapi())


def _resolved(node: Any, document: dict[str, Any] | None = None) -> Any:
    while "$ref" in node:
        found: Any = _closed() if document is None else document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name.replace("~1", "/").replace("~0", "~")]
        node = found
    return node


def _is_bytes(
    validator: Any, types: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[Any]:
    """The keyword ``type`` where bytes can be sent as such: a binary string is bytes."""
    if schema.get("format") == "binary":
        if not isinstance(instance, bytes):
            yield ValidationError("not bytes")
        return
    yield from OAS31Validator.VALIDATORS["type"](validator, types, instance, schema)


_Binary: Final = extend(OAS31Validator, {"type": _is_bytes})


def _check(
    document: Mapping[str, Any],
    schema: Mapping[str, Any],
    instance: Any,
    about: str,
    *,
    binary: bool = False,
) -> None:
    # References in a schema start at the document's root.
    rooted = {**schema, "components": document["components"]}
    validator = (_Binary if binary else OAS31Validator)(rooted, format_checker=oas31_format_checker)
    problems = [f"{e.json_path}: {e.message[:300]}" for e in validator.iter_errors(instance)]
    assert not problems, f"{about}: {problems}"
