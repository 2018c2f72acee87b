"""Voices: by id, or by samples sent along."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field

from fishlive.errors import ConfigError
from fishlive.models.base import Request, Text

_MAX_ID_CHARS: Final = 256
"""Longest voice id, in characters. The service's own have 32; names for samples are free."""


class ReferenceAudio(Request):
    """A sample of a voice, with its transcript. Its audio shows in no repr.

    Source: openapi.json, ReferenceAudio (2026-09): WAV, MP3 or FLAC, best 10 to 30 s.

    Attributes:
        audio: The encoded sound.
        text: Exactly what is said in it.
    """

    audio: Annotated[bytes, Field(repr=False, min_length=1)]
    text: Annotated[Text, Field(repr=False)]


def _voice(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, str):
        return _voice_id(value)
    if isinstance(value, (bytes, bytearray)) or not isinstance(value, Iterable):
        raise ConfigError(
            f"voice must be an id, or a list of ids, not {type(value).__name__}", argument="voice"
        )
    voices = tuple(_voice_id(item) for item in value)
    if not voices:
        raise ConfigError("voice must name at least one voice, not an empty list", argument="voice")
    return voices


def _voice_id(value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(
            f"voice must be an id, or a list of ids, not {type(value).__name__}", argument="voice"
        )
    if not value or len(value) > _MAX_ID_CHARS or not value.isprintable():
        raise ConfigError(
            f"voice must be an id of 1 to {_MAX_ID_CHARS} printable characters", argument="voice"
        )
    return value


def _references(value: object) -> object:
    """Return samples as tuples, in one or two dimensions."""
    if value is None:
        return None
    items = _sequence(value)
    nested = [isinstance(item, (list, tuple)) for item in items]
    if not items or (any(nested) and not all(nested)):
        raise ConfigError(
            "references must be a list of samples, or one list of samples for each speaker",
            argument="references",
        )
    if not nested[0]:
        return tuple(_sample(item) for item in items)
    return tuple(tuple(_sample(item) for item in _sequence(speaker)) for speaker in items)


def _sequence(value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(
            f"references must be a list of samples, not {type(value).__name__}",
            argument="references",
        )
    return value


def _sample(value: object) -> ReferenceAudio:
    if isinstance(value, ReferenceAudio):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return ReferenceAudio(**value)
    raise ConfigError(
        f"references must hold ReferenceAudio, not {type(value).__name__}", argument="references"
    )


Voice: TypeAlias = Annotated[str | tuple[str, ...], BeforeValidator(_voice)]
"""One id, or one for each speaker."""

References: TypeAlias = Annotated[
    tuple[ReferenceAudio, ...] | tuple[tuple[ReferenceAudio, ...], ...],
    BeforeValidator(_references),
]
"""Samples of one voice, or of one for each speaker."""
