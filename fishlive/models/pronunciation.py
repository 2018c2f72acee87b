"""Pronunciation dictionaries as a request names them.

Source: openapi.json (2026-09) and fine-grained-control/pronunciation-dictionaries (2026-10).
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field, field_validator

from fishlive.errors import ConfigError
from fishlive.models.base import Request, Text

MAX_DICTIONARIES: Final = 3
"""Dictionaries one request may use."""

MAX_RULES: Final = 5000
"""Rules one inline dictionary may hold."""

_Id: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class DictionaryRef(Request):
    """One version of a stored dictionary. There is no implicit newest one.

    The service drops a reference it cannot resolve without a word.
    """

    id: _Id
    version: _Id


class PronunciationRule(Request):
    """How a piece of text is said. It matches inside words; the longest match wins.

    Attributes:
        key: The text, 1 to 256 characters.
        value: Its phonemes, 1 to 1024 characters, without phoneme marks.
        case_sensitive: False if None; case is folded for ASCII only.
    """

    key: Annotated[Text, Field(min_length=1, max_length=256, repr=False)]
    value: Annotated[Text, Field(min_length=1, max_length=1024, repr=False)]
    case_sensitive: bool | None = None

    @field_validator("key", "value")
    @classmethod
    def _has_no_marks(cls, text: str) -> str:
        if "<|" in text:
            raise ConfigError("key and value hold no <|marks|>; value is the bare phonemes")
        return text


class InlineDictionary(Request):
    """Rules sent along with the request. Earlier ones win."""

    items: Annotated[
        tuple[PronunciationRule, ...], Field(strict=False, min_length=1, max_length=MAX_RULES)
    ]


def _dictionaries(value: object) -> object:
    if value is None:
        return None
    items = value if isinstance(value, (list, tuple)) else (value,)
    made = tuple(_dictionary(item) for item in items)
    if not made:
        return None
    if len({type(item) for item in made}) > 1 or len(made) > MAX_DICTIONARIES:
        raise ConfigError(
            f"pronunciation_dictionary must be at most {MAX_DICTIONARIES} dictionaries, "
            "all stored or all inline",
            argument="pronunciation_dictionary",
        )
    return made


def _dictionary(value: object) -> DictionaryRef | InlineDictionary:
    if isinstance(value, (DictionaryRef, InlineDictionary)):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return InlineDictionary(**value) if "items" in value else DictionaryRef(**value)
    raise ConfigError(
        "pronunciation_dictionary must hold DictionaryRef or InlineDictionary, "
        f"not {type(value).__name__}",
        argument="pronunciation_dictionary",
    )


Dictionaries: TypeAlias = Annotated[
    tuple[DictionaryRef, ...] | tuple[InlineDictionary, ...], BeforeValidator(_dictionaries)
]
