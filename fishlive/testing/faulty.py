"""How :class:`fishlive.testing.model.Service` plays the faults of :mod:`fishlive.faults`."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import fishlive.wire.events as wire
from fishlive.faults import Fault, Place
from fishlive.limits import MAX_MESSAGE_BYTES
from fishlive.testing.network import Link
from fishlive.wire.serving import encode_audio, encode_finish

OK: Final = 1000
"""What a close frame says unless told (RFC 6455, section 7.4.1)."""

TOO_MUCH_BYTES: Final = MAX_MESSAGE_BYTES + 1
"""A message that is just too large, however large a fault would have it."""

FLOOD_MESSAGE_BYTES: Final = 64 * 1024
"""Audio in one message of a flood: what a service sends that does not wait."""

_AUDIO: Final = encode_audio(b"\x01\x02")

WRONG: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        "truncated": _AUDIO[:-1],
        "trailing": _AUDIO + b"\x00",
        "deep": b"\x91" * 5_000 + b"\xc0",
        "empty": b"",
        "extension": b"\xc7\x02\x05\x00\x00",
        "not-map": b"\x92\x01\x02",
        "no-event": b"\x81\xa5audio\xc4\x01\x00",
        "event-number": b"\x81\xa5event\x07",
        "audio-missing": wire.encode("audio"),
        "audio-text": wire.encode("audio", audio="text"),
        "audio-number": wire.encode("audio", audio=7),
        "audio-null": wire.encode("audio", audio=None),
        "audio-list": wire.encode("audio", audio=[1, 2]),
        "error-number": wire.encode("error", error=7),
        "error-missing": wire.encode("error"),
        "finish-number": wire.encode("finish", reason=7),
        "finish-missing": wire.encode("finish"),
    }
)
"""What may come in place of audio, and ends an utterance."""

HARMLESS: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        "unknown-event": wire.encode("weather", sun=True),
        "audio-empty": encode_audio(b""),
    }
)
"""What may come beside audio, and changes nothing."""

LATE_AUDIO: Final = b"\x01\x02"
"""Audio that is nobody's: no voice of these services begins so."""

AFTER_FAULT: Final[Mapping[str, bytes]] = MappingProxyType(
    {"late-audio": encode_audio(LATE_AUDIO), "second-finish": encode_finish()}
)
"""What may come behind ``finish``, and is nobody's."""

PLAYED: Final = frozenset(
    {
         "hang", "status", "delay", "close", "rst", "fin", "half-open", "stall", "deaf",
        "message", "error", "finish", "giant", "flood", "text-frame", "late-audio", "second-finish",
    }
)  # fmt: skip
"""Kinds of :data:`fishlive.faults.KINDS` that this service plays; others are a ValueError."""

SILENT: Final = frozenset({"half-open", "stall", "deaf"})
"""Kinds after which only a deadline can end an utterance."""


class Next(enum.Enum):
    """What a fault leaves to be done."""

    GO_ON = "go on"  # as if nothing had been
    END = "end"  # nothing more is said


class FaultBook:
    """Faults that have not happened yet."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._left: list[tuple[Fault, int | None]] = []
        for fault in faults:
            if fault.kind not in PLAYED:
                raise ValueError(f"the model does not play {fault.kind}")
            self._left.append((fault, fault.times))

    def take(self, connection: int, place: Place, number: int | None = None) -> Fault | None:
        """Return the next fault at a place of a connection, if there is one."""
        for index, (fault, _) in enumerate(self._left):
            if (
                fault.at is place
                and fault.kind not in AFTER_FAULT
                and (number is None or fault.number == number)
                and fault.connection in {None, connection}
            ):
                return self._take(index)
        return None

    def late(self, connection: int) -> Fault | None:
        """Return the next fault behind ``finish``."""
        for index, (fault, _) in enumerate(self._left):
            if fault.kind in AFTER_FAULT and fault.connection in {None, connection}:
                return self._take(index)
        return None

    def _take(self, index: int) -> Fault:
        fault, times = self._left[index]
        if times is not None:
            if times > 1:
                self._left[index] = (fault, times - 1)
            else:
                del self._left[index]
        return fault


def answer(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a refused upgrade."""
    status = int(fault.amount or 503)
    return status, dict(fault.headers), (fault.body or "").encode()


def play(fault: Fault, link: Link) -> Next:
    """Do to a connection what a fault says; all but a flood."""
    kind = fault.kind
    if kind == "text-frame":
        link.send("hello")
    elif kind == "message" and fault.amount in HARMLESS:
        link.send(HARMLESS[str(fault.amount)])
    else:
        _end(fault, link)
        return Next.END
    return Next.GO_ON


def _end(fault: Fault, link: Link) -> None:
    ending = _ENDINGS.get(fault.kind)
    if ending is not None:  # a stall does nothing at all
        ending(fault, link)


def _close(fault: Fault, link: Link) -> None:
    link.close(int(fault.value or OK), fault.reason)
    if not fault.held:
        link.fin()


def _refuse(fault: Fault, link: Link) -> None:
    limit: Any = fault.max_concurrency
    fields = {} if limit is None else {"max_concurrency": limit}
    link.send(wire.encode("error", error=str(fault.amount), **fields))
    if not fault.held:
        link.close(OK)
        link.fin()


_ENDINGS: Final[Mapping[str, Callable[[Fault, Link], object]]] = {
    "close": _close,
    "error": _refuse,
    "rst": lambda _fault, link: link.rst(),
    "fin": lambda _fault, link: link.fin(),
    "half-open": lambda _fault, link: link.go_silent(),
    "deaf": lambda _fault, link: link.pause_reading(),
    "message": lambda fault, link: link.send(WRONG[str(fault.amount)]),
    "giant": lambda fault, link: link.send(bytes(min(int(fault.amount or 0), TOO_MUCH_BYTES))),
    "finish": lambda fault, link: link.send(encode_finish(str(fault.amount))),
}
