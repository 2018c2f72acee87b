"""Speech to text."""

from __future__ import annotations

import re
from typing import Final, Literal

from fishlive.errors import ConfigError
from fishlive.models.asr import Transcript
from fishlive.models.engine import safe_model
from fishlive.models.trace import checked_traceparent
from fishlive.transport.http import Call, Http, Timeouts, msgpack_body
from fishlive.transport.upload import Multipart, OnProgress, Part, Source, size_bytes

PATH: Final = "/v1/asr"
MODEL: Final = "transcribe-1"
"""The service's own default (openapi.json, 2026-09); always sent, because defaults change."""

_LANGUAGE: Final = re.compile(r"[A-Za-z0-9-]{1,35}")
"""A language tag, of the length that every reader must take (RFC 5646, section 4.4.1)."""


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
        traceparent: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> Transcript:
        """Return what is said in a recording.

        Files and byte sources are uploaded as they are read, never held whole. Costs $0.36 an
        hour of audio, rounded up to the second (pricing page, 2026-08), so it is never repeated
        once it may have been carried out. Holds one of the account's slots. Cancelling closes the
        connection. Source: openapi.json, ``POST /v1/asr`` (2026-09).

        Args:
            audio: Bytes, the path of a file, or an async iterable of bytes.
            language: BCP-47 tag such as ``en``: a hint, the language is still detected.
            timestamps: Whether to align words; slower for recordings under 30 s.
            model: ``transcribe-1``, or ``transcribe-1-pro``, which marks speakers and events.
            filename: What the upload is called; the path's own name unless given.
            encoding: ``msgpack`` sends bytes in one message, without the frame of a form.
            on_progress: Called after each piece with the bytes sent so far, and all there are if
                that is known. What it raises ends the call.
            traceparent: W3C trace context for the service's own traces.
            timeouts: Other than the session's.

        Raises:
            ConfigError: An argument is wrong, or the file is missing, unreadable or empty; it
                names which, and nothing was sent.
            APIStatusError: The service refused; its subclass says why.
            ConnectError, ConnectionLost, StallTimeout: The network failed.
            ProtocolError: The answer is not what it must be.
        """
        fields = _fields(language, timestamps=timestamps)
        headers = {"model": safe_model(model), **checked_traceparent(traceparent)}
        part = Part.file("audio", audio, filename=filename)
        if await size_bytes(audio, "audio") == 0:
            raise ConfigError("audio is empty", argument="audio")
        call = Call(method="POST", path=PATH, headers=headers, slot=True, timeouts=timeouts)
        if encoding == "msgpack":
            call = _packed(call, audio, fields)
        elif encoding == "multipart":
            plain = (Part.text(name, _as_text(value)) for name, value in fields.items())
            call = call.with_body(Multipart((*plain, part), on_progress))
        else:
            raise ConfigError("encoding is multipart or msgpack", argument="encoding")
        return Transcript.read(await self._http.json(call))


def _fields(language: str | None, *, timestamps: bool) -> dict[str, object]:
    fields: dict[str, object] = {"ignore_timestamps": not timestamps}
    if language is not None:
        if not _LANGUAGE.fullmatch(language):
            raise ConfigError("language is a tag such as en or zh-TW", argument="language")
        fields["language"] = language
    return fields


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _packed(call: Call, audio: Source, fields: dict[str, object]) -> Call:
    if not isinstance(audio, (bytes, bytearray, memoryview)):
        raise ConfigError("encoding='msgpack' takes bytes only", argument="encoding")
    body, content_type = msgpack_body({"audio": bytes(audio), **fields})
    return call.with_body(body, content_type)
