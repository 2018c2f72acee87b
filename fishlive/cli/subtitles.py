"""Subtitles from words and their times: SRT and WebVTT. Pure.

SRT has no standard; this is what players agree on. WebVTT: W3C Candidate Recommendation (2019-04).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

LINE_CELLS: Final = 42
"""Widest line, in cells of a fixed-width screen: what broadcasters allow for Latin script; a CJK
character takes two, which makes 21 of them."""

MAX_LINES: Final = 2
"""Lines on the screen at once, as broadcasters have them."""

MAX_CUE_S: Final = 6.0
"""Longest time a cue made of several pieces covers, in seconds: two full lines, read slowly."""

PAUSE_S: Final = 1.0
"""Silence that ends a cue, in seconds: nobody takes what comes behind it for the same sentence."""

MIN_CUE_S: Final = 0.01
"""Shortest cue, in seconds: players drop empty ones, and rounding to milliseconds must not make
any."""

MAX_TIME_S: Final = 100 * 3600.0
"""Where subtitles end, in seconds: players read two digits of hours."""

SHORT_CELLS: Final = 20
"""A sentence shorter than this does not end its cue: "Yes." or "Dr." alone would only flicker."""

_SENTENCE_END: Final = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001  # meant
_NO_START: Final = frozenset("。、，．！？：；」』）】》…～ー")  # noqa: RUF001  # meant
"""Characters that do not begin a line in Chinese and Japanese."""

_SPEAKER: Final = re.compile(r"<\|speaker:(\d{1,4})\|>")
_MARKUP: Final = re.compile(r"(?<=<)(?=[/A-Za-z])|(?<=\{)(?=\\)|(?<=--)(?=>)")
_JOINER: Final = "\u2060"
"""WORD JOINER: invisible, and keeps players from seeing markup that SRT has no escape for."""

_ESCAPES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


@dataclass(frozen=True, slots=True)
class Cue:
    """Text, and when it is said.

    Attributes:
        start_s: In seconds.
        end_s: In seconds.
        text: One or several words.
        speaker: Who says it, as a number from 0; None if not known.
    """

    start_s: float
    end_s: float
    text: str
    speaker: int | None = None


def srt(pieces: Iterable[Cue]) -> str:
    """Return pieces of speech as SRT. Words become cues of at most two lines."""
    return "".join(
        f"{number}\n{_time(cue.start_s, ',')} --> {_time(cue.end_s, ',')}\n{_srt_text(cue)}\n\n"
        for number, cue in enumerate(cues(pieces), 1)
    )


def vtt(pieces: Iterable[Cue]) -> str:
    """Return pieces of speech as WebVTT. Words become cues of at most two lines."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n{_vtt_text(cue)}\n\n"
        for cue in cues(pieces)
    )


def cues(pieces: Iterable[Cue]) -> list[Cue]:
    """Return what is shown at once: in order, without overlap, none longer than fits.

    A cue ends with a sentence, a pause, a speaker, after MAX_CUE_S, or when its lines are full. A
    piece that does not fit is cut, and its time with it.
    """
    made: list[Cue] = []
    for piece in _in_order(pieces):
        if made and _goes_on(made[-1], piece):
            last = made[-1]
            made[-1] = replace(last, end_s=piece.end_s, text=joined(last.text, piece.text))
        else:
            made.extend(_fitting(piece))
    return made


def joined(before: str, after: str) -> str:
    """Return two pieces of text as one, without a space where the script has none."""
    if not before or not after or _is_spaceless(before[-1]) or _is_spaceless(after[0]):
        return before + after
    if after[0] in ".,;:!?%)]}’”" or before[-1] in "([{“":  # noqa: RUF001  # meant
        return before + after
    return f"{before} {after}"


def wrapped(text: str, cells: int = LINE_CELLS) -> list[str]:
    """Return text in lines at most that wide, cut at spaces where there are any."""
    lines, line = [], ""
    for word in _words(text, cells):
        longer = line + word
        if line and width(longer.rstrip()) > cells:
            lines.append(line.rstrip())
            longer = word.lstrip()
        line = longer
    return [*lines, line.rstrip()] if line.strip() else lines


def width(text: str) -> int:
    """Return how many cells of a fixed-width screen a text takes."""
    return sum(_cells(character) for character in text)


def _in_order(pieces: Iterable[Cue]) -> Iterator[Cue]:
    """Yield pieces with clean text, by their times, none before the end of the one before."""
    at_s, speaker = 0.0, None
    for piece in sorted(filter(_has_times, pieces), key=lambda cue: cue.start_s):
        start_s = max(piece.start_s, at_s)
        texts = _SPEAKER.split(piece.text)
        speaker = piece.speaker if piece.speaker is not None else speaker
        said = [(speaker, texts[0])]
        said += [(int(who), text) for who, text in zip(texts[1::2], texts[2::2], strict=True)]
        speaker = said[-1][0]
        end_s = max(piece.end_s, start_s + MIN_CUE_S)
        shared = [(who, clean) for who, text in said if (clean := _clean(text))]
        for who, text, begin_s, until_s in _shares(shared, start_s, end_s):
            yield Cue(begin_s, until_s, text, who)
            at_s = until_s


def _shares(
    said: list[tuple[int | None, str]], start_s: float, end_s: float
) -> Iterator[tuple[int | None, str, float, float]]:
    """Yield what is said in one span of time, each with its share of it, by length."""
    total = sum(width(text) for _, text in said) or 1
    at_s, done = start_s, 0
    for who, text in said:
        done += width(text)
        until_s = max(start_s + (end_s - start_s) * done / total, at_s + MIN_CUE_S)
        yield who, text, at_s, until_s
        at_s = until_s


def _has_times(piece: Cue) -> bool:
    times = (piece.start_s, piece.end_s)
    return all(math.isfinite(time_s) and time_s < MAX_TIME_S for time_s in times)


def _clean(text: str) -> str:
    """Return text as one line without control characters: an empty line would end the cue."""
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cs"})


def _goes_on(cue: Cue, piece: Cue) -> bool:
    return (
        cue.speaker == piece.speaker
        and not _is_sentence(cue.text)
        and piece.start_s - cue.end_s < PAUSE_S
        and piece.end_s - cue.start_s <= MAX_CUE_S
        and _fits(joined(cue.text, piece.text))
    )


def _is_sentence(text: str) -> bool:
    return text.endswith(_SENTENCE_END) and width(text) >= SHORT_CELLS


def _fits(text: str) -> bool:
    return len(wrapped(text)) <= MAX_LINES


def _fitting(piece: Cue) -> Iterator[Cue]:
    """Yield a piece in parts that fit, the time shared out by their length."""
    lines = wrapped(piece.text)
    parts = [lines[at : at + MAX_LINES] for at in range(0, len(lines), MAX_LINES)]
    texts = [(piece.speaker, _one(part)) for part in parts]
    for who, text, start_s, end_s in _shares(texts, piece.start_s, piece.end_s):
        yield Cue(start_s, end_s, text, who)


def _one(lines: list[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        text = joined(text, line)
    return text


def _words(text: str, cells: int) -> Iterator[str]:
    """Yield what must stay on one line, each with the space in front of it."""
    for word in re.findall(r"\s*\S+", text):
        piece = ""
        for character in word:
            too_wide = width(piece.lstrip() + character) > cells
            if piece.strip() and (too_wide or _may_break_before(character)):
                yield piece
                piece = ""
            piece += character
        yield piece


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _is_spaceless(character: str) -> bool:
    """Return whether a character belongs to a script that writes no spaces between words.

    Korean does, and is as wide.
    """
    wide = unicodedata.east_asian_width(character) in "WF"
    return wide and not unicodedata.name(character, "").startswith("HANGUL")


def _may_break_before(character: str) -> bool:
    return _is_spaceless(character) and character not in _NO_START


def _srt_text(cue: Cue) -> str:
    who = "" if cue.speaker is None else f"[Speaker {cue.speaker}] "
    return "\n".join(_MARKUP.sub(_JOINER, line) for line in wrapped(who + cue.text, _room(who)))


def _vtt_text(cue: Cue) -> str:
    who = "" if cue.speaker is None else f"<v Speaker {cue.speaker}>"
    return who + "\n".join(line.translate(_ESCAPES) for line in wrapped(cue.text))


def _room(prefix: str) -> int:
    """Return a width in which a prefix does not push the text onto a third line."""
    return LINE_CELLS + len(prefix)


def _time(seconds: float, point: str) -> str:
    total_ms = math.floor(seconds * 1000 + 0.5)
    minutes, ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{ms // 1000:02d}{point}{ms % 1000:03d}"
