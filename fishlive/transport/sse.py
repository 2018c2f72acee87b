"""Server-sent events, read as they come. Pure.

Source: HTML standard, section 9.2.6, "Interpreting an event stream".
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from fishlive.errors import MessageTooLarge, ProtocolError
from fishlive.limits import MIB

MAX_EVENT_CHARS: Final = 24 * MIB
"""Longest event, in characters: the largest live message, 16 MiB, in base64, and its words."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: ``message`` unless the stream said otherwise.
        data: Its lines, joined by line feeds.
        id: The last id that the stream gave; empty if none.
    """

    name: str
    data: str = field(repr=False)
    id: str = ""


class EventParser:
    """Makes events of a stream that is cut anywhere. Reconnection times are ignored."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._line = ""  # the beginning of a line
        self._begun = False  # whether a byte order mark can come no more
        self._after_return = False  # whether a line feed belongs to the last line's end
        self._name = ""
        self._data: list[str] = []
        self._chars = 0
        self._id = ""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that are complete now. An unfinished one at the end is none.

        Raises:
            ProtocolError: It is not UTF-8.
            MessageTooLarge: An event of more than MAX_EVENT_CHARS.
        """
        broken: UnicodeDecodeError | None = None
        try:
            text = self._decode(piece)
        except UnicodeDecodeError as error:
            broken, text = error, error.object[: error.start].decode()
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        for line in self._lines(text):
            event = self._take(line)
            if event is not None:
                yield event
        if broken is not None:
            raise ProtocolError(f"an event stream is UTF-8: {broken.reason}") from broken

    def _lines(self, text: str) -> Iterator[str]:
        """Yield whole lines, which end with CR, LF or CRLF, without their ends."""
        if not text:
            return
        if self._after_return:
            text = text.removeprefix("\n")
        self._after_return = text.endswith("\r")
        *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            yield self._line + line
            self._line = ""
        self._line += rest
        self._check(len(self._line))

    def _take(self, line: str) -> Event | None:
        """Read one line; return the event that it completes."""
        if not line:
            return self._complete()
        name, colon, value = line.partition(":")
        if colon and not name:
            return None  # a comment
        value = value.removeprefix(" ")
        if name == "data":
            self._chars += len(value) + 1
            self._check(self._chars)
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _complete(self) -> Event | None:
        name, data = self._name or "message", self._data
        self._name, self._data, self._chars = "", [], 0
        return Event(name, "\n".join(data), self._id) if data else None

    def _check(self, chars: int) -> None:
        if chars > MAX_EVENT_CHARS:
            raise MessageTooLarge(f"an event of more than {MAX_EVENT_CHARS} characters")
