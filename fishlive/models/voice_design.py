"""Voices from a description: what may be asked, and the candidates that come back.

Source: openapi.json, VoiceDesignRequest and VoiceDesignCandidate (2026-09).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from fishlive.errors import ConfigError
from fishlive.models.answer import Answer
from fishlive.models.base import Request, Text

MODEL: Final = "voice-design-1"
"""The only model there is; the header is required (2026-09)."""

MAX_CANDIDATES: Final = 4
"""Most candidates of one request."""

_AUDIO: Final = "audio_base64"
_TAG: Final = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")


def _language(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise ConfigError("language must be a tag like en or zh-CN", argument="language")
    return value


def _said(value: str) -> str:
    if not value.strip():
        raise ConfigError("instruction must describe a voice", argument="instruction")
    return value


_Instruction: TypeAlias = Annotated[
    Text, Field(min_length=1, max_length=2000), AfterValidator(_said)
]
_Scale: TypeAlias = Annotated[float, Field(ge=0)]


class VoiceDesignRequest(Request):
    """One request for voices. A field that is None is not sent: the service's default holds.

    Attributes:
        instruction: What the voice is like, 1 to 2000 characters.
        reference_text: What it says, at most 150 characters (a features page says 300, 2026-08).
        language: BCP-47 tag, a hint.
        n: Candidates, 1 to 4; 2 if None.
        speed: Factor of the speaking rate, over 0 up to 3; 1 if None.
        num_step: Diffusion steps, 1 to 128; 32 if None.
        guidance_scale: How strongly it follows the description, from 0; 2 if None.
        instruct_guidance_scale: From 0; 0 if None.
        seed: The same one gives the same voices.
    """

    instruction: Annotated[_Instruction, Field(repr=False)]
    reference_text: Annotated[Text, Field(max_length=150)] | None = Field(default=None, repr=False)
    language: Annotated[str, AfterValidator(_language)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] | None = None
    speed: Annotated[float, Field(gt=0, le=3)] | None = None
    num_step: Annotated[int, Field(ge=1, le=128)] | None = None
    guidance_scale: _Scale | None = None
    instruct_guidance_scale: _Scale | None = None
    seed: int | None = None


def _decoded(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not base64")
    return base64.b64decode(value, validate=True)


def _seconds(value: object) -> object:
    return value / 1000 if isinstance(value, (int, float)) else value


class VoiceCandidate(Answer):
    """One voice that fits the description, speaking. The service keeps none of them.

    To use it, make a voice of its audio: ``voices.create(samples=[candidate.audio], …)``.

    Attributes:
        id: Of the candidate.
        index: Its place in the answer, from 0.
        audio: A WAV file. Shows in no repr, and is not in :attr:`raw`.
        sample_rate: In Hz.
        duration_s: Length of the audio in seconds.
        text: What it says.
        instruct: The description it follows.
        language: Detected or asked for.
    """

    id: str
    index: int
    audio: Annotated[bytes, BeforeValidator(_decoded)] = Field(validation_alias=_AUDIO, repr=False)
    sample_rate: int
    duration_s: Annotated[float, BeforeValidator(_seconds)] = Field(validation_alias="duration_ms")
    text: str | None = Field(default=None, repr=False)
    instruct: str | None = Field(default=None, repr=False)
    language: str | None = None

    @classmethod
    def _kept(cls, document: dict[str, Any]) -> Mapping[str, Any]:
        return {name: value for name, value in document.items() if name != _AUDIO}
