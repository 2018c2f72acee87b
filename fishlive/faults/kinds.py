"""The table of kinds: what can go wrong, where, and how much of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from fishlive.limits import MIB

Endpoint = Literal["live", "timed", "rest"]
"""``/v1/tts/live``, ``/v1/tts/live/with-timestamp``, and every HTTP call."""

Value: TypeAlias = int | float | str | None


class Place(enum.Enum):
    """Where on its way a connection meets a fault."""

    CONNECT = "connect"  # TCP is up; nothing was read
    TLS = "tls"  # the first byte of a TLS handshake arrived
    UPGRADE = "upgrade"  # a request's head arrived; nothing was answered
    START = "start"  # `start` arrived; over HTTP, the body
    TEXT = "text"  # the nth text of an utterance arrived
    AUDIO = "audio"  # the nth audio of an utterance is due
    BYTE = "byte"  # n bytes were sent behind the answer's head
    FINISH = "finish"  # `finish` is due; over HTTP, the end of the body


COUNTED: Final[Mapping[Place, int]] = {Place.TEXT: 1, Place.AUDIO: 1, Place.BYTE: 0}
"""Places with a number, and the least of it."""


class Amount(NamedTuple):
    """What may stand behind a kind's colon.

    Attributes:
        unit: What it is, in words; for a text, what it says.
        type: Its type: int, float (finite) or str.
        default: What it is if it is left out.
        least: Smallest number.
        most: Largest number.
        names: The only texts, each with what it does; empty for any.
    """

    unit: str
    type: type[int | float | str]
    default: Value = None
    least: int = 0
    most: int = 2**64 - 1
    names: Mapping[str, str] = {}


class Kind(NamedTuple):
    """One way to break.

    Attributes:
        line: What the client sees.
        places: Where it can happen.
        amount: What its value means; None if it has none.
        options: Its own options.
        http: Whether it can happen to an HTTP call, too.
    """

    line: str
    places: frozenset[Place]
    amount: Amount | None = None
    options: frozenset[str] = frozenset()
    http: bool = False


MESSAGES: Final[Mapping[str, str]] = {
    "truncated": "MessagePack without its last byte",
    "trailing": "MessagePack with a byte behind it",
    "deep": "5,000 arrays in each other",
    "bomb": "a small message that unpacks to a million empty lists",
    "empty": "no bytes at all",
    "extension": "an extension type, which the protocol has none of",
    "not-map": "an array where a map belongs",
    "no-event": "a map without `event`",
    "event-number": "`event` is a number",
    "unknown-event": "an event of a later version, beside the audio",
    "unknown-field": "a field of a later version in the audio",
    "audio-missing": "no `audio`",
    "audio-text": "`audio` is text",
    "audio-number": "`audio` is a number",
    "audio-null": "`audio` is null",
    "audio-list": "`audio` is a list of numbers",
    "audio-empty": "no audio in an `audio` event, beside the real one",
    "time-text": "`time` is text",
    "time-nan": "`time` is not a number",
    "keys-twice": "every key twice, the true value last",
    "keys-numbers": "a number as a key beside the others",
    "alignment-null": "`alignment` is null",
    "alignment-missing": "no `alignment`",
    "alignment-text": "`alignment` is text",
    "alignment-backwards": "a word that ends before it begins",
    "alignment-nan": "a word at no time at all",
    "seq-negative": "`chunk_seq` is -1",
    "seq-huge": "`chunk_seq` is 2^63",
    "seq-repeated": "`chunk_seq` is 0 again",
    "offset-text": "`chunk_audio_offset_sec` is text",
    "error-number": "an `error` event whose sentence is a number",
    "error-missing": "an `error` event without a sentence",
    "finish-number": "a `finish` whose reason is a number",
    "finish-missing": "a `finish` without a reason",
}
"""What may come in place of an audio event. Those about times and words need the timed endpoint to
mean anything, and are played on both."""

_STREAM: Final = frozenset({Place.START, Place.TEXT, Place.AUDIO, Place.FINISH})
_SPOKEN: Final = frozenset({Place.AUDIO, Place.FINISH})
_AUDIO: Final = frozenset({Place.AUDIO})
_UPGRADE: Final = frozenset({Place.UPGRADE})
_BYTE: Final = frozenset({Place.BYTE})
_CONNECT: Final = frozenset({Place.CONNECT})
_EARLY: Final = frozenset({Place.CONNECT, Place.TLS, Place.UPGRADE})

_HELD: Final = frozenset({"held"})


def _seconds(default: float) -> Amount:
    return Amount("seconds", float, default)


def _bytes(default: int, most: int = 2**40) -> Amount:
    return Amount("bytes", int, default, most=most)


KINDS: Final[Mapping[str, Kind]] = {
    # TCP
    "refuse": Kind(
        "the port is closed, for so long or until healed", _CONNECT, Amount("seconds", float)
    ),
    "rst": Kind("a TCP reset", _EARLY | _STREAM | _BYTE, http=True),
    "fin": Kind("TCP ends, without a close frame", _EARLY | _STREAM | _BYTE, http=True),
    "hang": Kind("TCP is accepted, and not a byte comes", _EARLY, http=True),
    "half-open": Kind("nothing is read or written any more, not even pongs", _STREAM | _BYTE,
                      http=True),
    "restart": Kind("every connection is reset, and the port closed for so long",
                    _UPGRADE | _STREAM, _seconds(0.1), http=True),
    "cut-rst": Kind("so many bytes of what is due, then a TCP reset", _SPOKEN, _bytes(3),
                    http=True),
    "cut-fin": Kind("so many bytes of what is due, then TCP ends", _SPOKEN, _bytes(3), http=True),
    # Time
    "stall": Kind("pings are answered, and nothing is said any more", _STREAM, http=True),
    "deaf": Kind("nothing is read any more", frozenset({Place.START, Place.TEXT})),
    "delay": Kind("a pause of so long", _UPGRADE | _STREAM, _seconds(0.1), http=True),
    "round-trip": Kind("a network so far away", _CONNECT, _seconds(0.04), http=True),
    "drip": Kind("from there on so many bytes a second", _UPGRADE | _SPOKEN,
                 Amount("bytes a second", float, 1.0), http=True),
    "burst": Kind("what is due in so long comes at once, at its end", _AUDIO, _seconds(0.1),
                  http=True),
    "odd": Kind("from there on the audio is cut at odd bytes, 1, 3, 5 and so on", _AUDIO,
                http=True),
    # The answer to a request
    "status": Kind("an HTTP answer with this status", _UPGRADE,
                   Amount("status", int, 503, least=200, most=599),
                   frozenset({"body", "headers"}), http=True),
    "header-flood": Kind("a head of so many bytes that does not end", _UPGRADE, _bytes(2**30),
                         http=True),
    "garbage": Kind("bytes that are no protocol; behind the answer's head, if there is one",
                    frozenset({Place.TLS, Place.UPGRADE, Place.AUDIO}), http=True),
    "bad-accept": Kind("a 101 whose Sec-WebSocket-Accept is wrong", _UPGRADE),
    "unasked-extension": Kind("a 101 with a compression nobody offered", _UPGRADE),
    # Events
    "message": Kind("a wrong message instead of the audio", _AUDIO,
                    Amount("name", str, "truncated", names=MESSAGES)),
    "error": Kind("an `error` event, then the close; held, the socket stays open", _STREAM,
                  Amount("sentence", str, "Internal error"),
                  _HELD | {"max_concurrency"}),
    "finish": Kind("an early or different `finish`", _SPOKEN, Amount("reason", str, "error"),
                   frozenset({"reason"})),
    "late-audio": Kind("an audio event behind `finish`", frozenset({Place.FINISH})),
    "second-finish": Kind("`finish` twice", frozenset({Place.FINISH})),
    "flood": Kind("so many bytes of silence, as fast as they are taken", _AUDIO, _bytes(300 * MIB),
                  http=True),
    "giant": Kind("one audio event of so many bytes", _AUDIO, _bytes(17 * MIB, most=2**30)),
    # Frames
    "close": Kind("a close frame with this code, without one if left out; held, TCP stays open",
                  _UPGRADE | _STREAM, Amount("code", int, most=0xFFFF), _HELD | {"reason"}),
    "text-frame": Kind("a text frame besides", _STREAM),
    "split": Kind("a message in fragments of so many bytes", _SPOKEN,
                  Amount("bytes", int, 1, least=1)),
    "empty-fragments": Kind("a message that begins with so many empty fragments", _SPOKEN,
                            Amount("fragments", int, 10**6, most=2**32)),
    "continuation": Kind("a continuation of nothing", _STREAM),
    "length": Kind("the head of a frame of so many bytes, and nothing behind it", _STREAM,
                   Amount("bytes", int, 2**63)),
    "compressed": Kind("a compressed message that nobody agreed on", _SPOKEN),
    "reserved-bit": Kind("a frame with RSV3 set", _SPOKEN),
    "reserved-opcode": Kind("a frame of a kind that does not exist", _STREAM),
    "masked": Kind("a masked frame, which only clients send", _SPOKEN),
    "pings": Kind("so many pings", _STREAM, Amount("pings", int, 10_000, most=2**32)),
    "long-ping": Kind("a ping longer than control frames are", _STREAM),
    "pong": Kind("a pong that nobody asked for", _STREAM),
}  # fmt: skip
"""Every kind, by name."""
