"""Messages of the live protocol, as the client writes and reads them.

Source: asyncapi.yml of ``/v1/tts/live`` (2026-08-21) and the OpenAPI description and page of
``/v1/tts/live/with-timestamp`` (2026-09). Every message is one MessagePack map in one binary
WebSocket message, with the key ``event``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from struct import Struct
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import msgpack

from fishlive.errors import MessageTooLarge, ProtocolError
from fishlive.limits import (
    MAX_ERROR_TEXT_CHARS,
    MAX_MESSAGE_BYTES,
)
from fishlive.wire.shape import SMALL_MESSAGE_BYTES, check_shape, check_values


class Segment(NamedTuple):
    """One aligned piece of text: a word, or a character in languages without spaces.

    ``start_s`` and ``end_s`` are seconds from the start of the *chunk*.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """Everything aligned so far in one chunk. A snapshot: it replaces, it never adds."""

    segments: tuple[Segment, ...]
    audio_duration_s: float


@dataclass(frozen=True, slots=True)
class TimedAudio:
    """An ``audio`` event of the timestamp endpoint.

    ``audio`` may be empty (a trailing, alignment-only event). It must not be attributed to
    ``chunk_seq``: an event can carry the next chunk's audio under the previous number.
    ``alignment`` None means nothing new, and erases nothing.
    """

    audio: bytes
    chunk_seq: int
    chunk_audio_offset_s: float
    content: str
    alignment: Alignment | None


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of an utterance. Only ``reason == "stop"`` is success."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An ``error`` event: the request failed before, or instead of, synthesis."""

    message: str
    max_concurrency: int | None = None


ServerEvent: TypeAlias = bytes | TimedAudio | Finish | Failure
"""Plain audio is its ``bytes``: the hot path pays for no object around them."""


_unpackb: Final = msgpack.unpackb
"""It caps every length by the size of the message, and whatever is not plain audio passes
``check_values``."""

_MANY: Final = 512
"""Items of an array that are read without a look at the whole message first. msgpack makes room for
what an array claims to hold, and 4 KiB of nested claims would take 32 MiB; so they take 4 at most.
One limit costs 0.03 µs a message."""

_PLAIN: Final = b"\x82\xa5event\xa5audio\xa5audio\xc5"
"""How plain audio of 256 B to 64 KiB begins, but for its length: a map of two, in the order of the
documents. Nearly every message is that, and to know it by its bytes saves 0.45 of 1.05 µs."""

_plain_head: Final = Struct(f"!{len(_PLAIN)}sH").unpack_from
_PLAIN_BYTES: Final = len(_PLAIN) + 2

_UNREADABLE: Final = (ValueError, RecursionError, msgpack.UnpackException)

SUCCESS: Final = "stop"
"""The one ``finish`` reason that means all text was spoken."""

_PREFIX_BYTES: Final = 16
"""How much of an unreadable message its error shows, in bytes: enough to recognise HTML or JSON."""


def encode(event: str, **fields: object) -> bytes:
    """Write one message. Raises ProtocolError for a value MessagePack cannot hold."""
    try:
        message: bytes = msgpack.packb({"event": event, **fields})
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"{event} cannot be written as MessagePack: {error}") from error
    return message


FLUSH: Final = encode("flush")
STOP: Final = encode("stop")


def encode_start(request: Mapping[str, object]) -> bytes:
    """Write ``start``; ``request`` has the fields of the HTTP request, ``text`` may be empty."""
    return encode("start", request=dict(request))


def decode(message: bytes | memoryview) -> ServerEvent | None:
    """Read one message of the service; None for an event this version does not know.

    Unknown events and fields are ignored because the service asks clients to (asyncapi.yml,
    sendAudio). Malformed *optional* metadata of an audio event is dropped and the audio kept: a
    listener should not lose speech to a bad timestamp. A ``finish`` without a readable reason is
    a Finish whose reason says so, hence never success.

    Args:
        message: One whole binary message; may be a view that dies after the call.

    Raises:
        MessageTooLarge: Over MAX_MESSAGE_BYTES.
        ProtocolError: Not one MessagePack map with a text ``event``, too many or too deeply
            nested values, an extension type, trailing bytes, or ``audio`` without binary audio.
    """
    size = len(message)
    if size > _PLAIN_BYTES:
        head, audio_bytes = _plain_head(message)
        if head == _PLAIN and audio_bytes == size - _PLAIN_BYTES:
            return bytes(message[_PLAIN_BYTES:])
    if size > SMALL_MESSAGE_BYTES:
        # Small messages cannot grow to much; large ones must be large because of their audio.
        _check_large(message)
    try:
        fields = _unpackb(message, max_array_len=_MANY)
    except _UNREADABLE as error:
        fields = _unpack_long(message, error)
    if fields.__class__ is dict and len(fields) == 2:
        audio = fields.get("audio")
        if audio.__class__ is bytes and fields.get("event") == "audio":
            return audio
    return _event(fields)


def unpack(message: bytes | memoryview) -> dict[str, Any]:
    """Read one MessagePack map within our limits. Raises ProtocolError, MessageTooLarge."""
    if len(message) > SMALL_MESSAGE_BYTES:
        _check_large(message)
    try:
        fields = _unpackb(message, max_array_len=_MANY)
    except _UNREADABLE as error:
        fields = _unpack_long(message, error)
    return _checked(fields)


def _unpack_long(message: bytes | memoryview, error: Exception) -> object:
    """Read a message that may have long arrays, once it is known to hold what they claim."""
    try:
        check_shape(message)
        return _unpackb(message)
    except (*_UNREADABLE, ProtocolError):
        raise ProtocolError(_unreadable(message, error)) from error


def _event(value: object) -> ServerEvent | None:
    """Read whatever is not plain audio without further fields."""
    fields = _checked(value)
    event = fields.get("event")
    if event == "audio":
        audio = fields.get("audio")
        if type(audio) is not bytes:
            _malformed("audio.audio", "binary", audio)
        # Only the timestamp endpoint counts chunks; `time` alone does not make it timed.
        return timed_audio(audio, fields) if "chunk_seq" in fields else audio
    if event == "finish":
        return Finish(_reason(fields.get("reason")), plain_text(fields.get("message")))
    if event == "error":
        limit = fields.get("max_concurrency")
        return Failure(
            plain_text(fields.get("error")) or "the service gave no reason",
            limit if type(limit) is int and limit > 0 else None,
        )
    if type(event) is not str:
        _malformed("event", "text", event)
    return None


def _checked(fields: object) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise ProtocolError(f"expected a map with an event, got {type(fields).__name__}")
    check_values(fields)
    return fields


def _check_large(message: bytes | memoryview) -> None:
    if len(message) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(
            f"message of {len(message)} bytes, at most {MAX_MESSAGE_BYTES} allowed"
        )
    check_shape(message)


def plain_text(value: object) -> str:
    """Return what a service says as safe, capped text; empty if it is not text.

    Control, bidirectional and other invisible characters become spaces, so that a hostile
    sentence cannot drive a terminal or reorder a log line.
    """
    if not isinstance(value, str):
        return ""
    capped = value[:MAX_ERROR_TEXT_CHARS]
    return "".join(char if char.isprintable() else " " for char in capped).strip()


def _unreadable(message: bytes | memoryview, error: Exception) -> str:
    start = bytes(message[:_PREFIX_BYTES]).hex(" ")
    reason = plain_text(str(error)) or type(error).__name__
    return f"not one MessagePack map ({reason}): {len(message)} bytes, starting {start}"


def _malformed(where: str, expected: str, value: object) -> NoReturn:
    raise ProtocolError(f"{where}: expected {expected}, got {type(value).__name__}")


def _reason(value: object) -> str:
    if value is None:
        return "no reason given"
    if value != SUCCESS and plain_text(value) == SUCCESS:  # "stop" with something around it
        return plain_text(repr(value))
    return plain_text(value) or f"unreadable reason of type {type(value).__name__}"


def timed_audio(audio: bytes, fields: Mapping[str, Any]) -> TimedAudio:
    """Return audio with what is said about its words, over WebSocket and SSE alike.

    Metadata that is not what the documents say is dropped, and the audio kept.
    """
    sequence = fields.get("chunk_seq")
    offset = _seconds(fields.get("chunk_audio_offset_sec"))
    content = fields.get("content")
    usable = type(sequence) is int and sequence >= 0 and offset is not None
    return TimedAudio(
        audio,
        sequence if usable and sequence is not None else 0,
        offset if usable and offset is not None else 0.0,
        content if type(content) is str else "",
        _alignment(fields.get("alignment")) if usable else None,
    )


def _alignment(value: object) -> Alignment | None:
    """Return the snapshot, or None if any part of it is not what the documents say."""
    if type(value) is not dict:
        return None
    duration, rows = _seconds(value.get("audio_duration")), value.get("segments")
    if duration is None or type(rows) is not list:
        return None
    segments = []
    for row in rows:
        if type(row) is not dict or type(row.get("text")) is not str:
            return None
        start, end = _seconds(row.get("start")), _seconds(row.get("end"))
        if start is None or end is None or end < start:
            return None
        segments.append(Segment(row["text"], start, end))
    return Alignment(tuple(segments), duration)


def _seconds(value: object) -> float | None:
    """Return a number of seconds, or None unless it is finite and not negative."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:  # JSON, unlike MessagePack, has whole numbers of any length
            return None
        return seconds if isfinite(seconds) and seconds >= 0 else None
    return None
