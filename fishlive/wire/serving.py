"""The same messages from the service's side: what the local server reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fishlive.errors import ProtocolError
from fishlive.wire.events import Segment, encode, unpack


@dataclass(frozen=True, slots=True)
class Start:
    """Opens an utterance."""

    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """Adds text, verbatim."""

    text: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Asks for audio of what is there."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Promises that no more text follows."""


ClientEvent: TypeAlias = Start | Text | Flush | Stop


def decode_client(message: bytes | memoryview) -> ClientEvent | None:
    """Read one message of a client; None for an event this version does not know.

    Raises:
        ProtocolError: Not one MessagePack map with a text ``event``, or a required field is
            missing or of another type.
    """
    fields = unpack(message)
    match fields:
        case {"event": "text", "text": str(text)}:
            return Text(text)
        case {"event": "start", "request": dict(request)}:
            return Start(request)
        case {"event": "flush"}:
            return Flush()
        case {"event": "stop"}:
            return Stop()
        case {"event": "text" | "start" as event}:
            raise ProtocolError(f"incomplete event {event}")
        case {"event": str()}:
            return None
        case _:
            raise ProtocolError("event: expected text")


def encode_audio(audio: bytes) -> bytes:
    """Write ``audio`` as ``/v1/tts/live`` does."""
    return encode("audio", audio=audio)


def encode_timed_audio(
    audio: bytes,
    *,
    chunk_seq: int,
    chunk_audio_offset_s: float,
    content: str,
    alignment: tuple[Iterable[Segment], float] | None,
) -> bytes:
    """Write ``audio`` as ``/v1/tts/live/with-timestamp`` does.

    ``alignment`` is the segments so far and the duration of their chunk in seconds, or None for
    nothing new; the key is always present (text-to-speech-live-with-timestamps, 2026-09).
    """
    return encode(
        "audio",
        audio=audio,
        content=content,
        alignment=snapshot(alignment),
        chunk_seq=chunk_seq,
        chunk_audio_offset_sec=chunk_audio_offset_s,
    )


def snapshot(alignment: tuple[Iterable[Segment], float] | None) -> dict[str, object] | None:
    """Return an alignment as it goes on the wire, over WebSocket and SSE alike."""
    if alignment is None:
        return None
    segments, duration_s = alignment
    rows = [{"text": s.text, "start": s.start_s, "end": s.end_s} for s in segments]
    return {"segments": rows, "audio_duration": duration_s}


def encode_finish(
    reason: str = "stop", *, message: str | None = None, time_ms: int | None = None
) -> bytes:
    """Write ``finish``; ``message`` and ``time`` are left out unless given."""
    optional = {"message": message, "time": time_ms}
    return encode("finish", reason=reason, **{k: v for k, v in optional.items() if v is not None})


def encode_error(error: str, *, max_concurrency: int | None = None) -> bytes:
    """Write ``error``; ``max_concurrency`` is left out unless given."""
    if max_concurrency is None:
        return encode("error", error=error)
    return encode("error", error=error, max_concurrency=max_concurrency)
