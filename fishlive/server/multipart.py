"""Reads a whole ``multipart/form-data`` body (RFC 7578). Pure.

aiohttp's own reader warns of what aiohttp does inside, which breaks a server in a test suite that
takes warnings for errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Final, NamedTuple

MAX_PARTS: Final = 1000
"""Parts of one body. The largest documented form has under a hundred."""

_NEW_LINE: Final = b"\r\n"


class Part(NamedTuple):
    """One field.

    Attributes:
        filename: None for a field that is no file.
        text: Whether it says to be text, or says nothing.
        charset: Of text.
    """

    name: str
    filename: str | None
    text: bool
    charset: str
    data: bytes


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a header names. Raises ValueError if there is none."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise ValueError("no boundary")
    return boundary.encode()


def read_parts(body: bytes, boundary: bytes) -> Iterator[Part]:
    """Yield the parts of a body, in order; their data is exactly what was sent.

    Raises:
        ValueError: It is not complete, has a part without a name, or too many.
    """
    limit = MAX_PARTS + 2  # what stands before the first, and behind the last
    sections = (_NEW_LINE + body).split(_NEW_LINE + b"--" + boundary, limit)
    if len(sections) > limit:
        raise ValueError("too many parts")
    for section in sections[1:]:
        if section.startswith(b"--"):
            return
        head, found, data = section.partition(_NEW_LINE + _NEW_LINE)
        if not found:
            break
        yield _part(head, data)
    raise ValueError("the body is not complete")


def _part(head: bytes, data: bytes) -> Part:
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace").lstrip())
    name = headers.get_param("name", header="content-disposition")
    if not name:
        raise ValueError("a part has no name")
    return Part(
        collapse_rfc2231_value(name),
        headers.get_filename(),
        headers.get_content_maintype() == "text",
        headers.get_content_charset("utf-8"),
        data,
    )
