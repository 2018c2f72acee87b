"""The engines that synthesise speech (``model`` in the API), and which can do what.

Source: models overview and pricing (2026-08), openapi.json (2026-09), migrate-from-s1 and
deprecations (2026-09). It is a header, fixed when connecting.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from fishlive.errors import ConfigError
from fishlive.models.warning import warn

S2_FAMILY: Final = frozenset({"s2-pro", "s2.1-pro", "s2.1-pro-free"})
DRAMA: Final = frozenset({"drama-3-preview"})
KNOWN: Final = frozenset({"s1"}) | S2_FAMILY | DRAMA

_GONE: Final = frozenset({"speech-1.5", "speech-1.6"})
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_SPEAKER: Final = re.compile(r"<\|speaker:(\d{1,4})\|>")
_MOST_WORDS: Final = 3
"""Words in a parenthesis that may be a cue; longer ones are asides."""

_PAREN_CUE: Final = re.compile(
    rf"(?:^|[.!?]\s*)\((?P<cue>[a-z]+(?: [a-z]+){{0,{_MOST_WORDS - 1}}})\)"
)
_BRACKET_CUE: Final = re.compile(r"\[[A-Za-z][A-Za-z ,'-]{0,60}\]")


def check_model(model: str, *, on_purpose: bool = False) -> None:
    """Warn about a model the service will replace; refuse one no header can carry.

    Args:
        model: Id of the engine.
        on_purpose: Whether the caller knows that this version has not heard of it.

    Raises:
        ConfigError: It is no string of ASCII letters, digits and ``._:/-``.
    """
    safe_model(model)
    if model == "s1":
        warn("model s1 retires on 2026-12-31; s2.1-pro, with other cues, is served afterwards")
    elif model in _GONE:
        warn(f"model {model} was deprecated on 2026-02-28; the paid s2.1-pro may be served instead")
    elif model not in KNOWN and not on_purpose:
        near = difflib.get_close_matches(model, KNOWN, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        warn(f"model {model} is unknown{hint}: the service serves the paid s2.1-pro for any such")


def safe_model(model: object) -> str:
    """Return a model id that a header can carry. Raises ConfigError for others."""
    if not isinstance(model, str) or not _SAFE.fullmatch(model):
        raise ConfigError("model must be an id like s2-pro", argument="model")
    return model


def speaks_many(model: str) -> bool:
    """Return whether the model takes several voices. Unknown ones may."""
    return model != "s1" and model not in _GONE


def check_cues(text: str, model: str, *, voices: int | None = None) -> None:
    """Warn about cues in ``text`` that the model speaks aloud or ignores.

    Args:
        text: Whole text, if it is known before it is sent.
        model: Id of the engine.
        voices: How many voices the request names; None if that is not known.
    """
    if model == "s1":
        if _BRACKET_CUE.search(text):
            warn("model s1 takes cues in (parentheses), not in [brackets]")
    elif model in KNOWN and _PAREN_CUE.search(text):
        warn(f"model {model} takes cues in [brackets]; it speaks (parentheses) as text")
    if voices is not None:
        highest = max((int(number) for number in _SPEAKER.findall(text)), default=-1)
        if highest >= voices:
            warn(f"text names speaker {highest}, but there are {voices} voices, from 0")
