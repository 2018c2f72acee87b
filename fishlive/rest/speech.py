"""Speech that still comes over HTTP: as audio, or as events with words."""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final

from fishlive.audio.pcm import SampleAligner
from fishlive.errors import (
    ConcurrentIterationError,
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    SynthesisError,
    UsageError,
)
from fishlive.limits import MAX_ERROR_BODY_BYTES
from fishlive.models.tts import TTSRequest
from fishlive.text.speakable import has_speech
from fishlive.transport.http import AnswerStream
from fishlive.transport.sse import Event, EventParser
from fishlive.wire.events import plain_text, timed_audio
from fishlive.wire.shape import MAX_VALUES
from fishlive.wire.words import Word, WordTrack

EVENT_STREAM: Final = "text/event-stream"

_NO_AUDIO: Final = ("application/json", "application/xml", "text/")
"""Beginnings of media types that are no speech: a gateway's answer, a page of a proxy's."""

_NO_AUDIO_SUFFIXES: Final = ("+json", "+xml")
"""Their other spellings (RFC 6839), such as ``application/problem+json`` of a proxy's."""


class SpeechStream:
    """Audio while it is being made. Enter it, then iterate it once.

    With ``format="pcm"`` every chunk is whole 16-bit samples. Leaving early closes the connection,
    which stops the service; what it had made may be billed. Cancelling loses no audio. After an
    error every further step raises the same one.

    Raises, when entered or iterated:
        APIStatusError: The service refused; its subclass says why.
        ConnectError, ConnectionLost, StallTimeout: The network failed; what arrived came first.
        SlotTimeout: Other calls kept all of the account's slots.
        UsageError: The answer is a gateway's, or it was entered twice.
        ConcurrentIterationError: Another task is reading it; that one is not affected.
        ProtocolError: The answer is not what it must be, or has no audio.
    """

    def __init__(
        self, opening: AbstractAsyncContextManager[AnswerStream], request: TTSRequest
    ) -> None:
        self._opening = opening
        self._request = request
        self._answer: AnswerStream | None = None
        self._aligner = SampleAligner() if request.is_pcm else None
        self._entered = False
        self._reading = False
        self._audio_bytes = 0
        self._failure: FishLiveError | None = None

    @property
    def content_type(self) -> str:
        """The media type, as the service names it."""
        return self._opened().content_type

    @property
    def trace_id(self) -> str | None:
        """What the service calls the request, if it said so."""
        return self._opened().trace_id

    async def __aenter__(self) -> SpeechStream:
        if self._entered:
            raise UsageError("the stream was entered before: make the call again")
        self._entered = True
        answer = await self._opening.__aenter__()
        try:
            await self._check(answer)
        except BaseException as error:
            await self._opening.__aexit__(type(error), error, error.__traceback__)
            raise
        self._answer = answer
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._opening.__aexit__(kind, error, traceback)

    def __aiter__(self) -> SpeechStream:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk, never empty; what it stands for is known by then."""
        answer = self._opened()
        if self._reading:
            raise ConcurrentIterationError("another task is already reading this stream")
        if self._failure is not None:
            raise self._failure
        self._reading = True
        try:
            chunk = await self._chunk(answer)
        except FishLiveError as error:
            error.trace_id = answer.trace_id
            error.audio_bytes = self._audio_bytes
            self._failure = error
            raise
        finally:
            self._reading = False
        if not chunk:
            raise StopAsyncIteration
        self._audio_bytes += len(chunk)
        return chunk

    async def _chunk(self, answer: AnswerStream) -> bytes:
        """Return the next chunk; empty at the end."""
        while piece := await answer.piece():
            if chunk := self._aligned(piece):
                return chunk
        self._check_end()
        return b""

    async def _check(self, answer: AnswerStream) -> None:
        if not is_speech(answer.content_type):
            raise await not_speech(answer)

    def _aligned(self, audio: bytes) -> bytes:
        return audio if self._aligner is None else self._aligner.feed(audio)

    def _check_end(self) -> None:
        if self._aligner is not None and self._aligner.holds_half:
            raise ProtocolError("PCM audio ended in the middle of a sample (an odd byte is left)")
        if not self._audio_bytes:
            check_heard(self._request.text)

    def _opened(self) -> AnswerStream:
        if self._answer is None:
            raise UsageError("the stream is not open: use it inside `async with`")
        return self._answer


class TimedSpeechStream(SpeechStream):
    """As :class:`SpeechStream`, with the words that belong to the audio."""

    def __init__(
        self, opening: AbstractAsyncContextManager[AnswerStream], request: TTSRequest
    ) -> None:
        super().__init__(opening, request)
        self._parser = EventParser()
        self._waiting: deque[Event] = deque()
        self._words = WordTrack()
        self._broken: ProtocolError | None = None

    @property
    def words(self) -> tuple[Word, ...]:
        """Words aligned so far, on the clock of the whole speech."""
        return self._words.words()

    async def __aenter__(self) -> TimedSpeechStream:
        await super().__aenter__()
        return self

    async def _chunk(self, answer: AnswerStream) -> bytes:
        """Return the next chunk, empty at the end; its words are in :attr:`words` by then."""
        while True:
            while self._waiting:
                if chunk := self._aligned(self._take(self._waiting.popleft())):
                    return chunk
            if self._broken is not None:
                raise self._broken
            piece = await answer.piece()
            if not piece:
                break
            self._read(piece)
        if self._parser.unfinished:
            raise ConnectionLost("the event stream ended in the middle of an event")
        self._check_end()
        return b""

    def _read(self, piece: bytes) -> None:
        """Queue a piece's events; what breaks it comes behind them."""
        try:
            self._waiting.extend(self._parser.feed(piece))
        except ProtocolError as error:
            self._broken = error

    async def _check(self, answer: AnswerStream) -> None:
        if answer.content_type != EVENT_STREAM:
            raise await not_speech(answer)

    def _take(self, event: Event) -> bytes:
        """Return an event's audio, and note its words; empty for events we do not know."""
        fields = _fields(event)
        if event.name == "error" or "audio_base64" not in fields:
            if event.name in {"error", "message"} and (failure := _failure(event, fields)):
                raise failure
            return b""
        audio = _audio(fields["audio_base64"])
        self._words.add(timed_audio(audio, fields))
        return audio


def _fields(event: Event) -> dict[str, Any]:
    """Return an event's fields; none of one with a name we do not know that is no JSON."""
    # Audio is base64, which has none of these; what has very many would cost much memory.
    if sum(map(event.data.count, "[{,")) > MAX_VALUES:
        raise ProtocolError(f"an event of more than {MAX_VALUES} values")
    try:
        fields = json.loads(event.data)
    except (ValueError, RecursionError) as error:
        if event.name != "message":
            return {}
        raise ProtocolError(f"an event is not JSON ({type(error).__name__})") from None
    if isinstance(fields, dict):
        return fields
    if event.name == "message":
        raise ProtocolError(f"an event is JSON, but no object ({type(fields).__name__})")
    return {}


def _failure(event: Event, fields: dict[str, Any]) -> SynthesisError | None:
    """Return what an event says went wrong. Its form is not documented: any of these will do."""
    for name in ("error", "message", "detail"):
        said = fields.get(name)
        said = said.get("message") if isinstance(said, dict) else said
        if sentence := plain_text(said):
            return SynthesisError(plain_text(fields.get("reason")) or "error", sentence)
    return SynthesisError("error", plain_text(event.data)) if event.name == "error" else None


def _audio(value: object) -> bytes:
    if not isinstance(value, str):
        raise ProtocolError(f"audio_base64: expected a string, got {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"audio_base64 is not base64 ({type(error).__name__})") from None


async def not_speech(answer: AnswerStream) -> ProtocolError | UsageError:
    """Return the error for an answer that is a success, and no speech."""
    body = b""
    while len(body) < MAX_ERROR_BODY_BYTES and (piece := await answer.piece()):
        body += piece
    return about_no_speech(answer.content_type, body, trace_id=answer.trace_id)


def about_no_speech(
    content_type: str, body: bytes, *, trace_id: str | None
) -> ProtocolError | UsageError:
    """Return the error for a body that is no speech; a gateway's says where to turn."""
    error: ProtocolError | UsageError
    if b'"audio_url"' in body:
        error = UsageError(
            "base_url is a gateway, which answers with links: use fishlive.gateways.AceData or "
            "fishlive.gateways.Xhuo instead of Session"
        )
    else:
        error = ProtocolError(f"the answer is {content_type or 'of no media type'}, not speech")
    error.trace_id = trace_id
    return error


def is_speech(content_type: str) -> bool:
    """Return whether a media type can be speech."""
    return not (content_type.startswith(_NO_AUDIO) or content_type.endswith(_NO_AUDIO_SUFFIXES))


def check_heard(text: str) -> None:
    """Raise ProtocolError for a text that can be heard; call it when there was no audio."""
    if has_speech(text):
        raise ProtocolError("the answer ended without any audio")
