"""Server-sent events, read as they come. Pure.

Source: HTML standard, section 9.2.6, "Interpreting an event stream".
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
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
    """Makes events of a stream that is cut anywhere. Reconnection times are ignored.

    Takes time and memory in proportion to what comes, however small the pieces are.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = StringIO()  # the beginning of a line
        self._begun = False  # whether a byte order mark can come no more
        self._after_return = False  # whether a line feed belongs to the last line's end
        self._name = ""
        self._data = StringIO()  # its lines, each with a line feed
        self._id = ""

    @property
    def unfinished(self) -> bool:
        """Whether the stream, if it ended now, would end in the middle of an event.

        The standard drops such an event; whoever needs all of them has to ask.
        """
        line = self._line.getvalue()
        begun = bool(line) and not line.startswith(":")
        return begun or bool(self._name or self._data.tell() or self._decoder.getstate()[0])

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that are complete now. An unfinished one at the end is none.

        Raises:
            ProtocolError: It is not UTF-8.
            MessageTooLarge: An event of more than MAX_EVENT_CHARS.
        """
        broken: UnicodeDecodeError | None = None
        try:
            text = self._decoder.decode(piece)
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
            yield self._ended(line)
        self._line.write(rest)
        self._check(self._line.tell())

    def _ended(self, line: str) -> str:
        """Return a line with the beginning of it that came before."""
        if not self._line.tell():
            return line
        self._line.write(line)
        whole, self._line = self._line.getvalue(), StringIO()
        return whole

    def _take(self, line: str) -> Event | None:
        """Read one line; return the event that it completes."""
        if not line:
            return self._complete()
        name, colon, value = line.partition(":")
        if colon and not name:
            return None  # a comment
        value = value.removeprefix(" ")
        if name == "data":
            self._check(self._data.tell() + len(value) + 1)
            self._data.write(value)
            self._data.write("\n")
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _complete(self) -> Event | None:
        name, self._name = self._name or "message", ""
        if not self._data.tell():
            return None
        data, self._data = self._data.getvalue(), StringIO()
        return Event(name, data[:-1], self._id)

    def _check(self, chars: int) -> None:
        if chars > MAX_EVENT_CHARS:
            raise MessageTooLarge(f"an event of more than {MAX_EVENT_CHARS} characters")
