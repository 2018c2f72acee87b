"""Bodies in the four encodings of the management endpoints, and the service's 422."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, TypeVar

import msgpack
from aiohttp import web
from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from fishlive.server.multipart import Part, boundary_of, read_parts
from fishlive.server.refusal import Refusal, bad_request

MESSAGEPACK: Final = frozenset(
    {"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"}
)
"""Names that MessagePack goes by."""

MAX_ERRORS: Final = 100
"""Wrong fields one answer names: enough for any form, and no megabytes for a list of rubbish."""

MAX_DEPTH: Final = 64
"""Levels of maps and lists in a body. No documented one has more than three."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class Invalid(Refusal):
    """A 422: an array that names every field that is wrong, ``{loc, type, msg, ctx, in}`` each.

    Source: errors of the raw API (stored skill sheet, 2026), seen on management endpoints.
    """

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, "validation failed")
        self.items = items

    def response(self) -> web.Response:
        """Return the HTTP answer."""
        return web.json_response(self.items, status=self.status)


class Upload(NamedTuple):
    """A file as it was sent."""

    name: str
    data: bytes


def wrong(field: str, message: str, *, kind: str = "value_error", where: str = "body") -> Invalid:
    """Return a 422 about one field."""
    return Invalid([{"loc": [field], "type": kind, "msg": message, "ctx": {}, "in": where}])


def checked(model: type[ModelT], fields: Mapping[str, Any], *, where: str = "body") -> ModelT:
    """Return the fields as a model.

    Raises:
        Invalid: At least one is missing or wrong.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise Invalid(
            [
                {
                    "loc": list(item["loc"]),
                    "type": item["type"],
                    "msg": item["msg"],
                    "ctx": {name: str(value) for name, value in item.get("ctx", {}).items()},
                    "in": where,
                }
                for item in error.errors(include_url=False, include_input=False)[:MAX_ERRORS]
            ]
        ) from error


def grouped(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return every field once: a list of what came more than once."""
    values: dict[str, list[Any]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    return {name: many[0] if len(many) == 1 else many for name, many in values.items()}


async def read_fields(request: web.Request) -> dict[str, Any]:
    """Return the fields of a body: a form, multipart or MessagePack, else JSON.

    Files are Uploads in multipart, and bytes or text elsewhere.

    Raises:
        Refusal: 400 in plain text if it cannot be read (errors page, 2026-08), 413.
    """
    try:
        if request.content_type == "multipart/form-data":
            return _form(await request.read(), request.headers["Content-Type"])
        if request.content_type == "application/x-www-form-urlencoded":
            return grouped((await request.post()).items())
        return parsed(await request.read(), binary=request.content_type in MESSAGEPACK)
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large() from error
    except (LookupError, ValueError) as error:  # a charset without a name, or broken by its text
        raise _no_form() from error


async def read_json(request: web.Request) -> dict[str, Any]:
    """Return the fields of a body that is JSON, whatever it is called.

    Raises:
        Refusal: 400 in plain text if it cannot be read (errors page, 2026-08), 413.
    """
    try:
        return parsed(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large() from error


def _form(body: bytes, content_type: str) -> dict[str, Any]:
    parts = read_parts(body, boundary_of(content_type))
    return grouped((part.name, _value(part)) for part in parts)


def _value(part: Part) -> str | Upload:
    if part.filename is None and part.text and (text := _decoded(part)) is not None:
        return text
    # A file name may spell surrogates, which no table can hold.
    return Upload((part.filename or "").encode("utf-8", "replace").decode(), part.data)


def _decoded(part: Part) -> str | None:
    """Return a part's text; None if it is a file without a name, which RFC 7578 allows."""
    try:
        return part.data.decode(part.charset)
    except UnicodeDecodeError:
        return None


def _no_form() -> Refusal:
    return bad_request("the request body is not a form", plain=True)


def _too_large() -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Payload too large", plain=True)


def parsed(body: bytes, *, binary: bool = False) -> dict[str, Any]:
    """Return the map that a JSON or MessagePack body is, or raise a 400 in plain text."""
    try:
        fields = msgpack.unpackb(body) if binary else _JSON.decode(body.decode())
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        kind = "MessagePack" if binary else "JSON"
        raise bad_request(f"the request body is not {kind}", plain=True) from error
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise bad_request("invalid type: expected a map", plain=True)
    if _is_deep(fields):
        raise bad_request("the request body is nested too deep", plain=True)
    return fields


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise ValueError("a number is out of range")
    return value


_JSON: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def _is_deep(value: object) -> bool:
    """Return whether maps and lists are nested deeper than they can be written again."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _listed(value: object) -> object:
    # An Upload is a tuple, but one file.
    many = isinstance(value, (list, tuple)) and not isinstance(value, Upload)
    return value if many or value is None else [value]


def _file(value: object) -> Upload:
    match value:
        case Upload():
            return value
        case bytes():
            return Upload("", value)
        case str():
            return Upload("", _from_text(value))
        case _:
            raise PydanticCustomError("bytes_type", "Input should be a file")


def _from_text(value: str) -> bytes:
    """Read a file in a text field: base64 if it is that, else the text itself."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode("utf-8", "replace")


def _text(value: object) -> object:
    # A form's file where text belongs is text that was sent with a file name.
    return value.data if isinstance(value, Upload) else value


def _encodable(value: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise PydanticCustomError("string_unicode", "Input should be a valid Unicode string")
    return value


OneOrMore: Final = BeforeValidator(_listed)
"""Takes one value for a list of one: the service takes both for files, texts and tags."""

File: TypeAlias = Annotated[Upload, BeforeValidator(_file)]
FormText: TypeAlias = Annotated[str, BeforeValidator(_text), AfterValidator(_encodable)]
"""Text without lone surrogates: JSON can spell them, but no table can hold them."""
