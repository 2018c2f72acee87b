"""The head and body of an HTTP answer, read from raw bytes. Pure; never raises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_STATUS_LINE: Final = re.compile(r"HTTP/\d\.\d +([1-9]\d\d)(?: |$)", re.ASCII)

_SIZE: Final = re.compile(rb"0*([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")
"""Size of a chunk, in hexadecimal digits, before its extensions (RFC 9112, section 7.1). No honest
chunk has more than eight."""


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


def unchunk(body: bytes) -> bytes:
    """Return what a chunked body says, as far as it has arrived."""
    parts = []
    at = 0
    while (end := body.find(b"\r\n", at)) >= 0:
        size = _SIZE.match(body, at, end)
        size_bytes = int(size[1], 16) if size else 0
        if not size_bytes:
            break
        at = end + 2
        parts.append(body[at : at + size_bytes])
        at += size_bytes + 2
    return b"".join(parts)
