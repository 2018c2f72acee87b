"""The head and body of an HTTP answer, read from raw bytes. Pure; never raises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_STATUS_LINE: Final = re.compile(r"HTTP/\d\.\d +([1-9]\d\d)(?: |$)", re.ASCII)


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
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def unchunk(body: bytes) -> bytes:
    """Return what a chunked body says, as far as it has arrived."""
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        try:
            size_bytes = int(size.split(b";")[0], 16)
        except ValueError:
            break
        if size_bytes <= 0:
            break
        parts.append(rest[:size_bytes])
        body = rest[size_bytes + 2 :]
    return b"".join(parts)
