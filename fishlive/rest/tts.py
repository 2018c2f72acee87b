"""Speech of a whole text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fishlive.audio.pcm import SAMPLE_BYTES
from fishlive.errors import ConfigError, ProtocolError
from fishlive.limits import DEFAULT_MODEL
from fishlive.models.engine import check_cues, check_model
from fishlive.models.reference import ReferenceAudio
from fishlive.models.trace import checked_traceparent
from fishlive.models.tts import TTSRequest, speech_request
from fishlive.rest.speech import (
    SpeechStream,
    TimedSpeechStream,
    about_no_speech,
    check_heard,
    is_speech,
)
from fishlive.transport.http import Call, Http, Timeouts, json_body, msgpack_body

PATH: Final = "/v1/tts"
TIMED_PATH: Final = "/v1/tts/stream/with-timestamp"

References = Sequence[ReferenceAudio] | Sequence[Sequence[ReferenceAudio]]


class TTS:
    """Speaks texts that are written already. For text that is still being written: ``live``."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(
        self,
        text: str,
        *,
        voice: str | Sequence[str] | None = None,
        model: str = DEFAULT_MODEL,
        references: References | None = None,
        traceparent: str | None = None,
        timeouts: Timeouts | None = None,
        extra: Mapping[str, object] | None = None,
        **options: object,
    ) -> bytes:
        """Return the audio of a text, all of it.

        Costs $15 a million bytes of UTF-8 text (pricing page, 2026-08), so it is never repeated
        once it may have been carried out. Holds one of the account's slots. Cancelling closes the
        connection. Source: openapi.json, ``POST /v1/tts`` (2026-09).

        Args:
            text: What to say; not empty.
            voice: Reference id of the voice, or one for each speaker; None for the service's own.
            model: Synthesis engine, a header. An unknown one is replaced by the paid default
                silently, so it warns.
            references: Samples of a voice, or a list of them for each speaker. Sent as
                MessagePack, as raw audio has to be, and as bytes in ``extra`` are.
            traceparent: W3C trace context for the service's own traces.
            timeouts: Other than the session's.
            extra: Request fields this version does not know, merged last.
            **options: Request fields by the API's names; see
                :class:`~fishlive.models.tts.TTSRequest`. The service's defaults hold for the
                others: mp3, 44.1 kHz, ``latency="normal"``.

        Raises:
            ConfigError: An argument is wrong; it names which, and nothing was sent.
            APIStatusError: The service refused; its subclass says why.
            ConnectError, ConnectionLost, StallTimeout: The network failed.
            SlotTimeout: Other calls kept all of the account's slots.
            UsageError: The answer is a gateway's.
            ProtocolError: The answer is not speech, has none, or ends in the middle of a sample.
        """
        request = _request(text, model, voice, references, options, extra)
        answer = await self._http.bytes(_call(PATH, request, traceparent, timeouts))
        if not is_speech(answer.content_type):
            raise about_no_speech(answer.content_type, answer.body, trace_id=answer.trace_id)
        try:
            _check_whole(answer.body, request)
        except ProtocolError as error:
            error.trace_id = answer.trace_id
            error.audio_bytes = len(answer.body)
            raise
        return answer.body

    def stream(
        self,
        text: str,
        *,
        voice: str | Sequence[str] | None = None,
        model: str = DEFAULT_MODEL,
        references: References | None = None,
        traceparent: str | None = None,
        timeouts: Timeouts | None = None,
        extra: Mapping[str, object] | None = None,
        **options: object,
    ) -> SpeechStream:
        """Return the audio of a text as it comes: ``async with … as chunks``, then iterate.

        The first chunk is there while the service still works; a reader who is slower than the
        service slows the service down. Arguments and errors as :meth:`create`; what is wrong with
        an argument is raised here.
        """
        request = _request(text, model, voice, references, options, extra)
        return SpeechStream(self._http.stream(_call(PATH, request, traceparent, timeouts)), request)

    def stream_timestamps(
        self,
        text: str,
        *,
        voice: str | Sequence[str] | None = None,
        model: str = DEFAULT_MODEL,
        references: References | None = None,
        traceparent: str | None = None,
        timeouts: Timeouts | None = None,
        extra: Mapping[str, object] | None = None,
        **options: object,
    ) -> TimedSpeechStream:
        """Return the audio of a text as it comes, with its words.

        As :meth:`stream`; ``words`` of what it gives are the words so far. Source: page
        stream-with-timestamps (2026-08), which recommends ``format="opus"``: mp3 frames and words
        line up worst.

        Raises, beside what :meth:`create` does:
            SynthesisError: The service gave up in the middle.
        """
        request = _request(text, model, voice, references, options, extra)
        return TimedSpeechStream(
            self._http.stream(_call(TIMED_PATH, request, traceparent, timeouts)), request
        )


def _check_whole(audio: bytes, request: TTSRequest) -> None:
    if not audio:
        check_heard(request.text)
    if request.is_pcm and len(audio) % SAMPLE_BYTES:
        raise ProtocolError("PCM audio ended in the middle of a sample (an odd byte is left)")


def _request(
    text: object,
    model: str,
    voice: str | Sequence[str] | None,
    references: References | None,
    options: Mapping[str, object],
    extra: Mapping[str, object] | None,
) -> TTSRequest:
    if not isinstance(text, str):
        raise ConfigError(f"text is a string, not {type(text).__name__}", argument="text")
    if not text:
        raise ConfigError("text is empty", argument="text")
    check_model(model)
    request = speech_request(
        model=model,
        voice=voice,
        extra=extra,
        text=text,
        options={"references": references, **options},
    )
    check_cues(text, model, voices=_speakers(request))
    return request


def _speakers(request: TTSRequest) -> int | None:
    """Return how many voices there are to speak; None if only the service knows."""
    voices, samples = request.reference_id, request.references
    if not request.extra.keys().isdisjoint({"reference_id", "references"}):
        return None
    if isinstance(voices, tuple):
        return len(voices)
    if samples is not None and isinstance(samples[0], tuple):
        return len(samples)
    return None if voices is None and samples is None else 1


def _call(
    path: str, request: TTSRequest, traceparent: str | None, timeouts: Timeouts | None
) -> Call:
    body, content_type = _body(request)
    return Call(
        method="POST",
        path=path,
        headers={"model": request.model, **checked_traceparent(traceparent)},
        body=body,
        content_type=content_type,
        slot=True,
        timeouts=timeouts,
    )


def _body(request: TTSRequest) -> tuple[bytes, str]:
    """Return what is sent, and its media type: JSON, unless there are bytes in it."""
    fields = request.payload()
    try:
        if request.references or _holds_bytes(request.extra):
            return msgpack_body(fields)
        return json_body(fields)
    except ConfigError as error:  # the other fields were checked, and can be sent
        raise ConfigError(f"extra: {error}", argument="extra") from None


def _holds_bytes(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_bytes(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_bytes(item) for item in value)
    return isinstance(value, bytes)
