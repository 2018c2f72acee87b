"""HTTP calls as data: what is asked, how long to wait for it, what came back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

import msgpack

from fishlive.errors import ConfigError
from fishlive.flow.governor import Priority
from fishlive.limits import CONNECT_TIMEOUT_S
from fishlive.transport.upload import Upload

FIRST_BYTE_S: Final = 120.0
"""From the request's last byte to the answer's first, in seconds. The service's own limit on its
compatible endpoints is 300 (compat pages, 2026-08); nobody waits for more than two minutes."""

BETWEEN_S: Final = 30.0
"""From one piece of a body to the next, in seconds, either way: speech comes faster than it is
spoken, so that half a minute of silence is a dead connection."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Names of headers (RFC 9110, section 5.6.2)."""

MAX_ID_CHARS: Final = 256
"""Longest id that a path is made of, in characters. Documented ids have 24 to 128."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase of a call may take, in seconds; None for as long as it takes.

    Attributes:
        connect_s: DNS, TCP and TLS together.
        first_byte_s: From the end of the request to the head of the answer.
        between_s: Between two pieces of a body, sent or received.
        total_s: The whole call with all its attempts, but for its wait for a slot.

    Raises:
        ConfigError: A number that is no time; it names which.
    """

    connect_s: float | None = CONNECT_TIMEOUT_S
    first_byte_s: float | None = FIRST_BYTE_S
    between_s: float | None = BETWEEN_S
    total_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        for name in ("connect_s", "first_byte_s", "between_s", "total_s"):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, (int, float)) and 0 < value < float("inf")
            ):
                raise ConfigError(f"{name} is a number of seconds over 0, or None", argument=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        method: Of HTTP.
        path: Begins with a slash; ids in it come from :func:`quote_id`.
        query: Names and values, in order, not encoded.
        headers: Beside the key's.
        body: What is sent.
        content_type: Of bytes; an upload has its own.
        safe: Whether carrying it out twice does no harm, so that it may be repeated after any
            failure. Others are repeated only if they cannot have been carried out.
        slot: Whether it counts against the account's concurrency.
        priority: Who goes first when slots are short.
        timeouts: Other than the client's.

    Raises:
        ConfigError: A header or a query that cannot be sent as it is.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | Upload | None = field(default=None, repr=False)
    content_type: str | None = None
    safe: bool = False
    slot: bool = False
    priority: Priority = Priority.BATCH
    timeouts: Timeouts | None = None

    def __post_init__(self) -> None:
        """Refuse headers and queries that would break the request, without repeating them."""
        timeouts: object = self.timeouts  # callers without a type checker exist
        if timeouts is not None and not isinstance(timeouts, Timeouts):
            raise ConfigError("timeouts is a Timeouts, or None", argument="timeouts")
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise ConfigError(f"header {name!r} cannot be sent as it is", argument="headers")
        for name, value in self.query:
            if not value.isprintable():  # nor are lone surrogates
                raise ConfigError(f"{name} cannot be sent as it is", argument=name)

    def with_body(self, body: bytes | Upload, content_type: str | None = None) -> Call:
        """Return the same call with a body."""
        return replace(self, body=body, content_type=content_type)

    @property
    def repeatable(self) -> bool:
        """Whether its body can be sent once more."""
        return self.body is None or isinstance(self.body, bytes) or self.body.replayable


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        status: 2xx.
        headers: Names in lower case.
        body: As it came.
        trace_id: What the service calls the request, if it said so.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    trace_id: str | None = None

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; empty if there is none."""
        return media_type(self.headers)


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type without parameters, in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def quote_id(value: object, *, argument: str) -> str:
    """Return an id as one segment of a path.

    Raises:
        ConfigError: No id, or one that could lead elsewhere: empty, ``.``, ``..``, with slashes,
            control characters or white space around it. It names the argument.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ConfigError(f"{argument} is a string, not {kind}", argument=argument)
    plain = value.isprintable() and value == value.strip() and len(value) <= MAX_ID_CHARS
    if not value or value in {".", ".."} or not plain or "/" in value or "\\" in value:
        raise ConfigError(f"{argument} is no id", argument=argument)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ConfigError(f"{argument} is no id", argument=argument) from error


def json_body(fields: Mapping[str, object]) -> tuple[bytes, str]:
    """Return fields as JSON, and its media type.

    Raises:
        ConfigError: Something in them that JSON cannot hold.
    """
    try:
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        # The message may quote what users say, and so may the cause.
        kind = type(error).__name__
        raise ConfigError(f"a field cannot be sent as JSON ({kind})") from None


def msgpack_body(fields: Mapping[str, object]) -> tuple[bytes, str]:
    """Return fields as MessagePack, and its media type.

    Raises:
        ConfigError: Something in them that MessagePack cannot hold.
    """
    try:
        packed: bytes = msgpack.packb(fields)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        kind = type(error).__name__
        raise ConfigError(f"a field cannot be sent as MessagePack ({kind})") from None
    return packed, "application/msgpack"
