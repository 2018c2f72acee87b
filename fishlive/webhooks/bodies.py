"""What a stranger's body may be before anything is done with it. Pure."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import anyio

from fishlive.limits import MIB

MAX_BODY_BYTES: Final = 1 * MIB
"""Largest body that is looked at. Real ones have a few KiB; an agent's transcript may have more."""

READ_S: Final = 5.0
"""How long a body may take to arrive, in seconds: senders wait 10 for the whole answer."""

MOST_READ_BYTES: Final = 16 * MIB
"""How much of a larger one is read and thrown away, so that its sender reads our answer instead of
a reset connection."""

MAX_DEPTH: Final = 32
"""How deep values may be nested. Real ones reach 4."""

MAX_DIGITS: Final = 32
"""Digits of a whole number. Reading long ones takes quadratic time in old Pythons."""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
"""Names in any case. Pairs can say what a mapping cannot: that a header came twice."""


@dataclass(frozen=True, slots=True)
class Body:
    """What arrived.

    Attributes:
        raw: The body; its beginning, longer than MAX_BODY_BYTES, if it is larger; empty if it was
            cut off or too slow.
        complete: Whether all of it was read: otherwise the connection cannot be used again.
    """

    raw: bytes
    complete: bool


class MalformedBody(ValueError):
    """A body is not what it should be. Its sentence repeats nothing of it."""


async def collected(next_chunk: Callable[[], Awaitable[bytes | None]]) -> Body:
    """Return a body that comes in chunks, within READ_S.

    Args:
        next_chunk: Returns None at the end. Whatever it raises, the body was cut off.
    """
    raw, read_bytes = bytearray(), 0

    async def read() -> bool:
        nonlocal read_bytes
        while read_bytes <= MOST_READ_BYTES:
            chunk = await next_chunk()
            if chunk is None:
                return True
            read_bytes += len(chunk)
            raw.extend(chunk[: MAX_BODY_BYTES + 1 - len(raw)])
        return False

    try:
        with anyio.fail_after(READ_S):
            complete = await read()
    except Exception:  # noqa: BLE001 - too slow, cut off or not HTTP: all the same, worth nothing
        return Body(b"", complete=False)
    return Body(bytes(raw), complete)


def parsed(raw_body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        MalformedBody: It is over MAX_BODY_BYTES, is not UTF-8 or no JSON, has a name twice, NaN
            or Infinity, a whole number of more than MAX_DIGITS, is nested deeper than MAX_DEPTH,
            or is no object.
    """
    if len(raw_body) > MAX_BODY_BYTES:
        raise MalformedBody("it is too large")
    try:
        document = json.loads(
            raw_body.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_refuse,
            parse_int=_whole,
        )
    except MalformedBody:
        raise
    except (ValueError, RecursionError):
        raise MalformedBody("it is not JSON") from None
    if not isinstance(document, dict):
        raise MalformedBody("it is no object")
    _check_depth(document)
    return document


def header_lines(headers: Headers, *names: str) -> list[list[str]]:
    """Return every line of each header; names in lower case."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    return [[value for given, value in pairs if given.lower() == name] for name in names]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedBody("a name is there twice")
    return found


def _refuse(_constant: str) -> NoReturn:
    raise MalformedBody("it has a number that JSON has not")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedBody("a number is too long")
    return int(digits)


def _check_depth(document: object) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise MalformedBody("it is nested too deep")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
