"""What was heard in a recording.

Source: openapi.json, ``POST /v1/asr`` (2026-09); ``speaker_turns`` and ``request_id`` were seen by
others (api notes, 2026-10).
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from fishlive.models.answer import Answer


def _some(value: object) -> object:
    return () if value is None else value


Seconds: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class Segment(Answer):
    """A piece of what was said, mostly a word (observed, 2026-10).

    Attributes:
        text: What.
        start_s: From when, in seconds of the recording.
        end_s: Until when.
    """

    text: str
    start_s: Seconds = Field(validation_alias="start")
    end_s: Seconds = Field(validation_alias="end")


class Transcript(Answer):
    """A transcript.

    Attributes:
        text: Everything; transcribe-1-pro marks speakers, emotions and events in it.
        duration_s: How long the recording is, in seconds.
        segments: Pieces with their times; empty unless timestamps were asked for, and where they
            cannot be aligned.
        language: Name of the language that was heard; None if not told.
        language_code: Its code; None if not told.
        speaker_turns: Who spoke when, as the service says it (undocumented); mostly empty.
        request_id: What the service calls the request, if it said so.
    """

    text: str = Field(repr=False)
    duration_s: Seconds = Field(validation_alias="duration")
    segments: Annotated[tuple[Segment, ...], BeforeValidator(_some)] = Field(default=(), repr=False)
    language: str | None = None
    language_code: str | None = None
    speaker_turns: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_some)] = Field(
        default=(), repr=False
    )
    request_id: str | None = None
