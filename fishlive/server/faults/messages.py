"""Audio events that went wrong, made of a real one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgpack

_DEEP: Final = 5_000
"""Arrays in each other: more than any decoder's stack allows, in as many bytes."""

_BOMB: Final = 1_000_000
"""Empty lists in one message of a megabyte: 56 bytes each once they are unpacked."""

_Fields = dict[str, Any]


def read(message: bytes) -> _Fields:
    """Return the fields of a message of ours."""
    fields: _Fields = msgpack.unpackb(message)
    return fields


def write(fields: Mapping[Any, Any]) -> bytes:
    """Return a message of fields."""
    message: bytes = msgpack.packb(fields)
    return message


def wrong(name: str, message: bytes) -> Iterator[bytes]:
    """Yield what comes instead of an audio message: a name of ``fishlive.faults.MESSAGES``."""
    yield from _WRONG[name](message)


def resized(message: bytes, size: int) -> bytes:
    """Return the beginning of an audio message whose audio has ``size`` bytes, which follow it."""
    fields = read(message)
    fields.pop("audio")
    return write({**fields, "audio": b""})[:-2] + b"\xc6" + size.to_bytes(4, "big")


def pieces(message: bytes) -> Iterator[bytes]:
    """Yield an audio message as several, cut after 1, 3, 5, … bytes of audio.

    The words stay with the last.
    """
    fields = read(message)
    *first, last = odd(fields["audio"])
    bare = {**fields, "alignment": None} if "alignment" in fields else fields
    for piece in first:
        yield write({**bare, "audio": piece})
    yield write({**fields, "audio": last})


def odd(data: bytes) -> Iterator[bytes]:
    """Yield data in pieces of 1, 3, 5, … bytes, and what is left."""
    size = 1
    while len(data) > size:
        yield data[:size]
        data, size = data[size:], size + 2
    yield data


def _with(**changes: Any) -> Callable[[bytes], Iterator[bytes]]:
    def make(message: bytes) -> Iterator[bytes]:
        yield write({**read(message), **changes})

    return make


def _without(name: str) -> Callable[[bytes], Iterator[bytes]]:
    def make(message: bytes) -> Iterator[bytes]:
        yield write({key: value for key, value in read(message).items() if key != name})

    return make


def _of(make: Callable[[bytes], bytes]) -> Callable[[bytes], Iterator[bytes]]:
    return lambda message: iter((make(message),))


def _beside(**fields: Any) -> Callable[[bytes], Iterator[bytes]]:
    return lambda message: iter((write(fields), message))


def _twice(message: bytes) -> bytes:
    fields = read(message)
    body = b"".join(
        write({key: value})[1:]
        for wanted in ("", None)
        for key, value in (
            (key, value if wanted is None else wanted) for key, value in fields.items()
        )
    )
    return bytes((0x80 | 2 * len(fields),)) + body


_NAN: Final = float("nan")
_BACKWARDS: Final = {"text": "word", "start": 2.0, "end": 1.0}
_TIMELESS: Final = {"text": "word", "start": _NAN, "end": _NAN}


def _aligned(segment: Mapping[str, Any]) -> Callable[[bytes], Iterator[bytes]]:
    return _with(alignment={"segments": [segment], "audio_duration": 1.0})


_WRONG: Final[Mapping[str, Callable[[bytes], Iterator[bytes]]]] = {
    "truncated": _of(lambda message: message[:-1]),
    "trailing": _of(lambda message: message + b"\xc0"),
    "deep": _of(lambda _: b"\x91" * _DEEP + b"\x90"),
    "bomb": _of(lambda _: b"\x81\xa5event\xdd" + _BOMB.to_bytes(4, "big") + b"\x90" * _BOMB),
    "empty": _of(lambda _: b""),
    "extension": _of(lambda _: write({"event": msgpack.ExtType(5, b"what")})),
    "not-map": _of(lambda message: msgpack.packb(["event", "audio", read(message)["audio"]])),
    "no-event": _without("event"),
    "event-number": _with(event=7),
    "unknown-event": _beside(event="applause", level=11),
    "unknown-field": _with(applause={"level": 11}),
    "audio-missing": _without("audio"),
    "audio-text": _with(audio="audio"),
    "audio-number": _with(audio=7),
    "audio-null": _with(audio=None),
    "audio-list": _of(lambda message: write({**read(message), "audio": [0, 1, 2, 3]})),
    "audio-empty": lambda message: iter((write({**read(message), "audio": b""}), message)),
    "time-text": _with(time="soon"),
    "time-nan": _with(time=_NAN),
    "keys-twice": _of(_twice),
    "keys-numbers": _of(lambda message: write({**read(message), 7: "seven"})),
    "alignment-null": _with(alignment=None),
    "alignment-missing": _without("alignment"),
    "alignment-text": _with(alignment="words"),
    "alignment-backwards": _aligned(_BACKWARDS),
    "alignment-nan": _aligned(_TIMELESS),
    "seq-negative": _with(chunk_seq=-1),
    "seq-huge": _with(chunk_seq=2**63),
    "seq-repeated": _with(chunk_seq=0),
    "offset-text": _with(chunk_audio_offset_sec="later"),
    "error-number": _of(lambda _: write({"event": "error", "error": 7})),
    "error-missing": _of(lambda _: write({"event": "error"})),
    "finish-number": _of(lambda _: write({"event": "finish", "reason": 7})),
    "finish-missing": _of(lambda _: write({"event": "finish"})),
}
