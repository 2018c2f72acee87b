"""Marks inside text that are not spoken as written, and how to find them.

Source: developer guide, fine-grained control, and features/text-to-speech/drama-3 (2026-08):
``[direction]``, ``<|speaker:0|>``, ``<whisper>…</whisper>`` and
``<|phoneme_start|>…<|phoneme_end|>``. The ``(happy)`` of s1 is left to the text: parentheses are
ordinary there, too.
"""

from __future__ import annotations

import re
from typing import Final

from fishlive.limits import MAX_OPEN_TAG_CHARS

MAX_TAG_NAME_CHARS: Final = 16
"""Longest name in ``<name>``, in characters: ``portuguese`` and ``emphasis`` fit, and "a <b" does
not stay a tag for long."""

_BODY: Final = MAX_OPEN_TAG_CHARS - 3
"""Characters between the two ends of the longest tag, whichever ends it has."""

_NAME: Final = rf"[A-Za-z][A-Za-z0-9_-]{{0,{MAX_TAG_NAME_CHARS - 1}}}"
_START, _END = r"<\|phoneme_start\|>", r"<\|phoneme_end\|>"
_PART_OF_END: Final = r"<(?:\|(?:[a-z_]{0,11}\|?)?)?"

CLOSING_TAG: Final = rf"</{_NAME}>"
PHONEMES: Final = rf"{_START}[^<]{{0,{_BODY}}}{_END}"
TAG: Final = rf"\[[^\]]{{0,{_BODY}}}\]|<\|[^<>]{{0,{_BODY}}}>|</?{_NAME}>"
"""A whole tag. PHONEMES is to be tried first: its content is spoken."""

OPEN_PHONEMES: Final = rf"{_START}[^<]{{0,{_BODY}}}(?:{_PART_OF_END})?\Z"
OPEN_TAG: Final = rf"\[[^\]]{{0,{_BODY}}}\Z|<\|[^<>]{{0,{_BODY}}}\Z|</?(?:{_NAME})?\Z"
"""What may become a whole tag with more text."""

OVERLONG: Final = (
    rf"{_START}(?:[^<]{{0,{_BODY + 1}}}(?=<)|[^<]{{{_BODY + 1}}})"
    rf"|<\|(?:[^<>]{{0,{_BODY + 1}}}(?=<)|[^<>]{{{_BODY + 1}}})"
    rf"|\[[^\]]{{{_BODY + 1}}}"
)
"""What began like a tag and was not closed in time, or not before the next: text after all."""

LETTER: Final = re.compile(r"[^\W_]")
"""A letter or digit of any script."""
