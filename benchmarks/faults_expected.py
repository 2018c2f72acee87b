"""What is right for each row: the table that every client is judged by.

By group (the first word of a row's name), and by row where a group has several. The source is the
table of faults that ``tests/adversity/rows.py`` plays, and the decisions of fishlive where they
are weaker than it; a row with several meanings takes any of them. Clients of others are held to
the meaning, and by the word of their own documentation, not to a name.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from fishlive.faults import Fault
from fishlive.faults import Place as WhereTo
from tests.adversity.rows import CLIENT_SIDE, ROWS

TEXT: Final = "One two three four five six."
"""Speech of some twenty audio events."""


class SourceFailed(Exception):
    """What a text source raises: an error of the caller's own program."""


@dataclass(frozen=True)
class Place:
    """Where and how a client shall speak.

    Attributes:
        budget_s: Every public deadline, in seconds; None for each client's own.
        way: What the caller does besides: ``listen`` to the end, ``break`` behind the first chunk,
            be told to ``cancel`` there, or have a ``source`` that fails behind the text.
    """

    url: str
    budget_s: float | None
    rate_hz: int
    way: str = "listen"

    async def source(self) -> AsyncIterator[str]:
        """Yield the text, as an LLM does."""
        yield TEXT
        if self.way == "source":
            raise SourceFailed("the model went away")


class Meaning(enum.Enum):
    """What an end says to whoever has to do something about it."""

    FINISHED = "finished"
    CONNECT = "no connection"
    CONNECT_TIMEOUT = "connecting took too long"
    TLS = "tls"
    NO_ENDPOINT = "no live endpoint"
    KEY = "401"
    CREDIT = "402"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    INVALID = "invalid request"
    RATE = "too much at once"
    SERVER = "the service failed"
    REFUSED = "the service refused"
    LOST = "connection lost"
    STALL = "the service is silent"
    CLOSED = "closed by the service"
    REJECTED = "closed for good"
    CUT_SHORT = "cut short"
    SYNTHESIS = "synthesis failed"
    PROTOCOL = "protocol broken"
    TOO_LARGE = "message too large"
    SOURCE = "the text source's own error"
    CANCELLED = "cancelled, as asked"


BROKEN: Final = frozenset(
    {
        Meaning.CONNECT,
        Meaning.LOST,
        Meaning.STALL,
        Meaning.CLOSED,
        Meaning.REJECTED,
        Meaning.CUT_SHORT,
        Meaning.SYNTHESIS,
        Meaning.REFUSED,
        Meaning.PROTOCOL,
        Meaning.TOO_LARGE,
    }
)
"""What an exception stands for that is documented for everything about a live connection."""

_STATUS: Final = {
    401: Meaning.KEY,
    402: Meaning.CREDIT,
    403: Meaning.FORBIDDEN,
    404: Meaning.NOT_FOUND,
    408: Meaning.SERVER,
    425: Meaning.SERVER,
    429: Meaning.RATE,
}


def of_status(status: int) -> frozenset[Meaning]:
    """Return what an exception means that carries an HTTP status."""
    if status < 400 or status == 426:
        return frozenset({Meaning.NO_ENDPOINT})
    usual = Meaning.SERVER if status >= 500 else Meaning.INVALID
    return frozenset({_STATUS.get(status, usual)})


def of_close_code(code: int) -> frozenset[Meaning]:
    """Return what an exception means that carries a close code, the peer's or its own."""
    closed = {Meaning.CLOSED, Meaning.REJECTED}
    if code == 1006:
        closed.add(Meaning.LOST)
    if code in (1002, 1003, 1007):
        closed.add(Meaning.PROTOCOL)
    if code == 1009:
        closed.add(Meaning.TOO_LARGE)
    return frozenset(closed)


def _any(*meanings: Meaning) -> frozenset[Meaning]:
    return frozenset(meanings)


_M = Meaning
_FINISHED: Final = _any(_M.FINISHED)
_CLOSED: Final = _any(_M.CLOSED)
_SILENT: Final = _any(_M.LOST, _M.STALL)
_UNANSWERED: Final = _any(_M.CONNECT_TIMEOUT)
_BROKEN_FRAME: Final = _any(_M.PROTOCOL)
_REFUSED: Final = _any(_M.REFUSED, _M.SERVER, _M.SYNTHESIS)

GROUPS: Final[dict[str, frozenset[Meaning]]] = {
    "C1": _any(_M.CONNECT),
    "C5": _any(_M.CONNECT),
    "C6": _any(_M.KEY),
    "C7": _any(_M.CREDIT),
    "C8": _any(_M.INVALID),
    "C9": _any(_M.RATE),
    "C10": _any(_M.SERVER),
    "C11": _any(_M.NO_ENDPOINT),
    "C12": _UNANSWERED,
    "M1": _any(_M.STALL),
    "M2": _SILENT,
    "M3": _any(_M.LOST),
    "M4": _any(_M.LOST),
    "M5": _CLOSED,
    "M6": _CLOSED,
    "M7": _any(_M.CLOSED, _M.REJECTED),
    "M8": _CLOSED,
    "M9": _any(_M.SYNTHESIS),
    "M10": _any(_M.SYNTHESIS, _M.PROTOCOL),
    "M11": _REFUSED,
    "M12": _FINISHED,
    "M13": _BROKEN_FRAME,
    "M14": _FINISHED,
    "M15": _BROKEN_FRAME,
    "M16": _FINISHED,
    "M17": _any(_M.TOO_LARGE),
    "M18": _BROKEN_FRAME,
    "M19": _BROKEN_FRAME,
    "M20": _any(_M.LOST),
    "cadence": _FINISHED,
    "F1": _FINISHED,
    "F2": _any(_M.STALL),
    "F4": _CLOSED,
    "F17": _SILENT,
    "F18": _SILENT,
    "F20": _CLOSED,
}
"""What is right for a group of rows."""

EXCEPTIONS: Final[dict[str, frozenset[Meaning]]] = {
    "C5 hello unanswered": _UNANSWERED,
    "C5 no tls": _any(_M.TLS, _M.CONNECT),
    "C7 403": _any(_M.FORBIDDEN),
    "C7 404": _any(_M.NOT_FOUND),
    # A cap on headers may speak before the clock does.
    "C12 headers": _any(_M.CONNECT_TIMEOUT, _M.NO_ENDPOINT, _M.CONNECT, _M.TOO_LARGE, _M.PROTOCOL),
    "C12 reset": _any(_M.CONNECT),
    "C12 cut": _any(_M.CONNECT),
    # The head of the answer may or may not have been read when the reset comes.
    "M3 behind the head": _any(_M.LOST, _M.CONNECT),
    # Whoever speaks at once may notice it by writing.
    "M6 at once": _any(_M.CLOSED, _M.LOST),
    "M7 1008": _any(_M.CLOSED, _M.REJECTED, _M.KEY),
    "M7 1009": _any(_M.CLOSED, _M.REJECTED, _M.TOO_LARGE),
    "M8 1008": _any(_M.CLOSED, _M.REJECTED),
    # Nobody can know that more was to come once all text was sent.
    "M10 early": _any(_M.FINISHED, _M.CUT_SHORT, _M.SYNTHESIS),
    "M11 concurrency": _any(_M.RATE),
    "M11 concurrency open": _any(_M.RATE),
    "M11 claim of wrong type": _any(_M.RATE),
    "M11 number": _REFUSED | _BROKEN_FRAME,
    "M11 missing": _REFUSED | _BROKEN_FRAME,
    # What is optional may be dropped, what is doubled or foreign may be refused.
    **dict.fromkeys(
        (name for name in ROWS if name.startswith(("M15 time-", "M15 alignment-", "M15 seq-"))),
        _FINISHED,
    ),
    "M15 offset-text": _FINISHED,
    "M15 audio-empty": _FINISHED,
    "M15 keys-twice": _FINISHED | _BROKEN_FRAME,
    "M15 keys-numbers": _FINISHED | _BROKEN_FRAME,
    # The service's description has text frames ignored; a protocol without them may refuse.
    "M16 text": _FINISHED | _BROKEN_FRAME,
    "M16 pings": _FINISHED | _BROKEN_FRAME,
    # A cap on fragments is wanted; so is whoever can do without.
    "M16 one byte": _any(_M.PROTOCOL, _M.TOO_LARGE, _M.FINISHED),
    "M16 empty fragments": _any(_M.PROTOCOL, _M.TOO_LARGE, _M.FINISHED),
    **dict.fromkeys(
        (
            f"M16 {what}"
            for what in (
                "long ping",
                "reserved bit",
                "reserved opcode",
                "masked",
                "continuation",
            )
        ),
        _BROKEN_FRAME,
    ),
    # A length whose highest bit is set is no length (RFC 6455, 5.2).
    "M17 2^63": _any(_M.TOO_LARGE, _M.PROTOCOL),
    # The limit is the client's to choose; what a message costs is not judged here.
    "M17 17 MiB": _any(_M.TOO_LARGE, _M.FINISHED),
    "M17 40 MiB": _any(_M.TOO_LARGE, _M.FINISHED),
    "M17 drip": _any(_M.STALL),
    # A short text may come with `start`, before the service is deaf; then it can be spoken.
    "F2": _any(_M.STALL, _M.FINISHED),
    "M18 unasked": _any(_M.PROTOCOL, _M.NO_ENDPOINT),
}
"""What is right for single rows."""

CLOSE_GROUPS: Final = frozenset({"M5", "M6", "M7", "M8", "F4", "F20"})
"""Groups whose fault is a close frame: the error should follow it at once."""


@dataclass(frozen=True)
class Row:
    """One row: what is played, and what is right."""

    name: str
    fault: Fault | None
    way: str = "listen"

    @property
    def group(self) -> str:
        """The row of the table of faults."""
        return self.name.split()[0]

    @property
    def right(self) -> frozenset[Meaning]:
        """What is right."""
        return EXCEPTIONS.get(self.name) or GROUPS[self.group]

    @property
    def tls(self) -> bool:
        """Whether the client must speak TLS to meet it."""
        return self.fault is not None and self.fault.at is WhereTo.TLS

    @property
    def closes(self) -> bool:
        """Whether the fault is a close frame."""
        return self.group in CLOSE_GROUPS

    @property
    def due(self) -> bool:
        """Whether an error is due, whatever the client."""
        return Meaning.FINISHED not in self.right

    @property
    def timed(self) -> bool:
        """Whether a clock may be what notices it: public deadlines are short then."""
        return bool(self.right & {Meaning.STALL, Meaning.CONNECT_TIMEOUT})

    @property
    def silent(self) -> bool:
        """Whether nothing but a clock can notice it."""
        return self.timed and self.right <= {Meaning.STALL, Meaning.LOST, Meaning.CONNECT_TIMEOUT}


SMALLER: Final = {"F1": "flood:33554432@audio:1"}
"""What a flood costs is the suite ``slow``; how it ends shows in a tenth of it."""

OF_CALLERS: Final = (
    ("F3 source fails", "", "source", Meaning.SOURCE),
    ("F6 break", "", "break", Meaning.FINISHED),
    ("F7 cancelled", "stall@audio:2", "cancel", Meaning.CANCELLED),
)
"""Rows that no server can play, and every caller can."""

EXCEPTIONS.update({name: frozenset({meaning}) for name, _, _, meaning in OF_CALLERS})


def rows() -> list[Row]:
    """Return every row that a server can play, and three that the caller plays."""
    lines = {**ROWS, **SMALLER}
    played = [Row(name, Fault.parse(line)) for name, line in lines.items() if line != CLIENT_SIDE]
    own = [Row(name, Fault.parse(line) if line else None, way) for name, line, way, _ in OF_CALLERS]
    return played + own
