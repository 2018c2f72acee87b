"""Speech to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from fishlive.errors import ConfigError
from fishlive.models.asr import Transcript, TranscriptionRequest
from fishlive.models.engine import safe_model
from fishlive.models.form import form_fields
from fishlive.models.trace import checked_traceparent
from fishlive.transport.http import Call, Http, Timeouts, msgpack_body
from fishlive.transport.upload import Multipart, OnProgress, Part, Source, size_bytes

PATH: Final = "/v1/asr"
MODEL: Final = "transcribe-1"
"""The service's own default (openapi.json, 2026-09); always sent, because defaults change."""


class ASR:
    """Writes down what is said."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def transcribe(
        self,
        audio: Source,
        *,
        language: str | None = None,
        timestamps: bool = False,
        model: str = MODEL,
        filename: str | None = None,
        encoding: Literal["multipart", "msgpack"] = "multipart",
        on_progress: OnProgress | None = None,
        extra: Mapping[str, object] | None = None,
        traceparent: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> Transcript:
        """Return what is said in a recording.

        Files and byte sources are uploaded as they are read, never held whole; a source of
        unknown length goes out while it is still being made, as from a microphone. Costs $0.36 an
        hour of audio, rounded up to the second (pricing page, 2026-08), so it is never repeated
        once it may have been carried out. Holds one of the account's slots. Cancelling closes the
        connection. Source: openapi.json, ``POST /v1/asr`` (2026-09).

        Args:
            audio: Bytes, the path of a file, or an iterable of bytes, async or not, which an open
                file is too. The service's limits are undocumented (20 MB and 60 min in 2026-08).
            language: BCP-47 tag such as ``en``: a hint, the language is still detected.
            timestamps: Whether to align words; slower for recordings under 30 s.
            model: ``transcribe-1``, or ``transcribe-1-pro``, which marks speakers and events.
            filename: What the upload is called; the path's own name unless given.
            encoding: ``msgpack`` sends bytes in one message, without the frame of a form; it
                holds them whole, and knows neither ``filename`` nor ``on_progress``.
            on_progress: Called after each piece with the bytes sent so far, and all there are if
                that is known. What it raises ends the call.
            extra: Fields this version does not know, merged last.
            traceparent: W3C trace context for the service's own traces.
            timeouts: Other than the session's.

        Raises:
            ConfigError: An argument is wrong, or the file is missing, unreadable or empty; it
                names which, and nothing was sent.
            APIStatusError: The service refused; its subclass says why.
            ConnectError, ConnectionLost, StallTimeout: The network failed.
            ProtocolError: The answer is not what it must be.
        """
        given: dict[str, Any] = {"language": language, "filename": filename, "extra": extra}
        request = TranscriptionRequest(timestamps=timestamps, **given)
        headers = {"model": safe_model(model), **checked_traceparent(traceparent)}
        part = Part.file("audio", audio, filename=request.filename)
        call = Call(method="POST", path=PATH, headers=headers, slot=True, timeouts=timeouts)
        if encoding == "msgpack":
            alone = {"filename": filename, "on_progress": on_progress}
            call = _packed(call, audio, request, alone)
        elif encoding == "multipart":
            plain = [Part.text(*field) for field in form_fields(request.payload())]
            call = call.with_body(Multipart((*plain, part), on_progress))
        else:
            raise ConfigError("encoding must be multipart or msgpack", argument="encoding")
        if await size_bytes(audio, "audio") == 0:
            raise ConfigError("audio is empty", argument="audio")
        return Transcript.read(await self._http.json(call))


def _packed(
    call: Call, audio: Source, request: TranscriptionRequest, alone: Mapping[str, object]
) -> Call:
    """Return the call with a body of MessagePack, which has no place for the options of a form."""
    for name, value in alone.items():
        if value is not None:
            raise ConfigError(f"{name} goes with encoding='multipart' only", argument=name)
    if not isinstance(audio, (bytes, bytearray, memoryview)):
        raise ConfigError("encoding='msgpack' takes bytes only", argument="encoding")
    return call.with_body(*msgpack_body({**request.payload(), "audio": bytes(audio)}))
