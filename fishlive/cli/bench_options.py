"""What the options of ``fishlive bench`` mean: lists, percentages, limits of a comparison."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from fishlive.cli.exits import usage

_T = TypeVar("_T")

_LIMIT: Final = re.compile(r"failures|(?:[a-z0-9_]+[:.])?p\d{1,2}(?:\.\d+)?")
"""``p95``, ``first_audio_s:p95``, or ``failures``."""

DEFAULT: Final = "default"
"""In a list: the service's own choice."""

LATENCIES: Final = ("low", "balanced", "normal", DEFAULT)
"""What ``--latency`` takes."""

TRANSPORTS: Final = ("picows", "aiohttp", "rest", "sse")
"""What ``--transport`` takes: gateways have ``--gateway``."""


def several(
    given: Sequence[str] | None,
    option: str,
    make: Callable[[str], _T],
    known: Sequence[str] | None = None,
) -> tuple[_T, ...]:
    """Return the values of an option that takes lists, may be repeated, and may be left out.

    Args:
        given: What was given.
        option: Its name, without dashes.
        make: Reads one value.
        known: All that it takes; None for what ``make`` takes.

    Raises:
        Failure: A value that is none; it names the option.
    """
    words = [word.strip() for text in given or () for word in text.split(",")]
    if given and not any(words):
        raise usage(f"--{option}: no value in {','.join(given) or 'an empty text'}")
    for word in words:
        if known is not None and word and word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise usage(f"--{option}: {word} is none of {', '.join(known)}{hint}")
    return tuple(dict.fromkeys(_made(word, option, make) for word in words if word))


def _made(word: str, option: str, make: Callable[[str], _T]) -> _T:
    try:
        return make(word)
    except ValueError as error:
        raise usage(f"--{option}: {word} is no number that it takes") from error


def optional(make: Callable[[str], _T]) -> Callable[[str], _T | None]:
    """Return a reader that takes ``default`` for None."""
    return lambda word: None if word == DEFAULT else make(word)


def fraction(text: str | None, option: str) -> float | None:
    """Return ``5%`` or ``0.05`` as a fraction.

    Raises:
        Failure: Neither.
    """
    if text is None:
        return None
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError as error:
        raise usage(f"--{option}: a percentage such as 5%, not {text}") from error
    if not 0 <= value < float("inf"):
        raise usage(f"--{option}: a percentage from 0")
    return value


def precision(text: str | None) -> float | None:
    """Return what ``--until-ci`` asks for, as a fraction.

    Raises:
        Failure: Something that a p95 cannot be known to.
    """
    value = fraction(text, "until-ci")
    if value is not None and not 0 < value < 1:
        hint = f" (did you mean {text}%?)" if value >= 1 and "%" not in (text or "") else ""
        raise usage(f"--until-ci: over 0% and under 100%, not {text}{hint}")
    return value


def limits(given: Sequence[str] | None) -> dict[str, float]:
    """Return ``p95=10%`` and the like: how much worse each percentile may be, as a fraction.

    ``failures=1%`` is how many more utterances may fail, of all.

    Raises:
        Failure: Something else.
    """
    found = {}
    for word in several(given, "fail-over", str):
        name, equals, amount = word.partition("=")
        value = fraction(amount, "fail-over") if equals else None
        if value is None or not _LIMIT.fullmatch(name.strip()):
            raise usage(f"--fail-over: a limit such as p95=10%, not {word}")
        found[name.strip()] = value
    return found
