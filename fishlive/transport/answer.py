"""The head and body of an HTTP answer, read from raw bytes. Pure; never raises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from fishlive.limits import MAX_ERROR_BODY_BYTES

_STATUS_LINE: Final = re.compile(r"HTTP/\d\.\d +([1-9]\d\d)(?: |$)", re.ASCII)

_SIZE: Final = re.compile(rb"0*([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")
"""Size of a chunk, in hexadecimal digits, before its extensions (RFC 9112, section 7.1). No honest
chunk has more than eight."""

_LENGTH: Final = re.compile(r"[0-9]{1,18}")
"""A Content-Length that can be meant: 18 digits are more bytes than there are."""


def parse_head(head: bytes) -> tuple[int | None, dict[str, str]]:
    """Return status and headers; status None if this is not HTTP.

    Any HTTP/x.y and any three-digit status will do, with or without a phrase. Header names are in
    lower case; unreadable lines are left out.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = lower_case((name.strip(), value.strip()) for name, colon, value in pairs if colon)
    status = _STATUS_LINE.match(first)
    return int(status[1]) if status else None, headers


def lower_case(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in lower case, repeated ones joined by commas."""
    headers: dict[str, list[str]] = {}
    for name, value in pairs:
        headers.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(values) for name, values in headers.items()}


def refusal_body(headers: Mapping[str, str], raw: bytes) -> tuple[bytes, bool]:
    """Return what a refusal's body says as far as it has arrived, and whether that will do.

    It will when it is whole, or MAX_ERROR_BODY_BYTES long. A body without a length lasts until
    the peer hangs up, and so is never whole here.

    Args:
        headers: Names in lower case.
        raw: What came behind the head.
    """
    enough = len(raw) >= MAX_ERROR_BODY_BYTES
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body, whole = unchunk(raw)
        return body, whole or enough
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        return raw, enough
    return raw[: int(length)], enough or len(raw) >= int(length)


def unchunk(body: bytes) -> tuple[bytes, bool]:
    """Return what a chunked body says as far as it has arrived, and whether that is all."""
    parts: list[bytes] = []
    at = 0
    while (end := body.find(b"\r\n", at)) >= 0:
        size = _SIZE.match(body, at, end)
        size_bytes = int(size[1], 16) if size else 0
        if not size_bytes:
            return b"".join(parts), True
        at = end + 2
        parts.append(body[at : at + size_bytes])
        at += size_bytes + 2
    return b"".join(parts), False
