"""What is asked about a recording, and what was heard in it.

Source: openapi.json, ``POST /v1/asr`` (2026-09); ``speaker_turns`` and ``request_id`` were seen by
others (api notes, 2026-10).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from fishlive.errors import ConfigError
from fishlive.models.answer import Answer
from fishlive.models.base import Request, Text
from fishlive.models.form import form_extra
from fishlive.models.nested import each

MAX_LANGUAGE_CHARS: Final = 35
"""Longest language tag, in characters: what every reader must take (RFC 5646, section 4.4.1)."""

_TAG_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_FILES: Final = frozenset({"audio"})

Seconds: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


def _tag(value: str) -> str:
    if not 0 < len(value) <= MAX_LANGUAGE_CHARS or not _TAG_CHARS.issuperset(value):
        raise ConfigError("language must be a tag like en or zh-TW", argument="language")
    return value


class TranscriptionRequest(Request):
    """One request for a transcript, but for its recording.

    Attributes:
        timestamps: Whether to align words; ``ignore_timestamps`` says the opposite on the wire.
        language: BCP-47 tag, a hint; None for none.
        filename: What the upload is called; None for the path's own name. Not empty.
        extra: Fields this version does not know, merged last. Not ``audio``.
    """

    timestamps: bool = False
    language: Annotated[str, AfterValidator(_tag)] | None = None
    filename: Annotated[Text, Field(min_length=1)] | None = None
    extra: Annotated[
        dict[str, object], BeforeValidator(lambda value: form_extra(value, files=_FILES))
    ] = Field(default_factory=dict, repr=False)

    def payload(self) -> dict[str, object]:
        """Return what goes on the wire beside the recording. Timestamps are always sent."""
        fields: dict[str, object] = {"ignore_timestamps": not self.timestamps}
        if self.language is not None:
            fields["language"] = self.language
        return {**fields, **self.extra}


class Segment(Answer):
    """A piece of what was said, mostly a word (observed, 2026-10).

    Attributes:
        text: What.
        start_s: From when, in seconds of the recording.
        end_s: Until when.
    """

    text: str = Field(repr=False)
    start_s: Seconds = Field(validation_alias="start")
    end_s: Seconds = Field(validation_alias="end")


def _turns(value: object) -> object:
    """Return the objects of a list: nobody's transcript fails for what is not documented."""
    return [turn for turn in value if isinstance(turn, dict)] if isinstance(value, list) else ()


def _id(value: object) -> str | None:
    return str(value) if isinstance(value, (str, int)) else None


class Transcript(Answer):
    """A transcript.

    Attributes:
        text: Everything; transcribe-1-pro marks speakers, emotions and events in it.
        duration_s: How long the recording is, in seconds.
        segments: Pieces with their times; empty unless timestamps were asked for, and where they
            cannot be aligned.
        language: Name of the language that was heard, for display; None if not told.
        language_code: Its ISO 639-1 code; None if not told.
        speaker_turns: Who spoke when, as the service says it (undocumented); mostly empty.
        request_id: What the service calls the request, if it said so (undocumented).
    """

    text: str = Field(repr=False)
    duration_s: Seconds = Field(validation_alias="duration")
    segments: Annotated[tuple[Segment, ...], each(Segment)] = Field(default=(), repr=False)
    language: str | None = None
    language_code: str | None = None
    speaker_turns: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_turns)] = Field(
        default=(), repr=False
    )
    request_id: Annotated[str | None, BeforeValidator(_id)] = None
