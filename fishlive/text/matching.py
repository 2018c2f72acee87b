"""Where the spoken words stand in the text that was sent; never a guess.

The service says words as it spoke them: without punctuation, numbers and abbreviations read out,
split and joined in its own ways (page of ``/v1/tts/live/with-timestamp``, 2026-09). Both sides are
folded to letters and walked in step. Where they differ, the walk goes on at the next place where
STRONG_CHARS letters agree and occur once on either side within WINDOWS_CHARS; what lies between is
one group, without a border inside. Without such a place, the words that are left stay unplaced.

Time is linear: O(text + words + differences x WINDOWS_CHARS). 64 KiB with a number every
50 characters take some 0.4 s (measured, two busy cores).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from fishlive.text.units import Unit, fold, units
from fishlive.text.walk import STRONG_CHARS, Group, Walk

MIN_SIMILARITY: Final = 0.9
"""Share of letters that must agree; below it nothing is placed (a second reader would not vouch
for it either)."""

Span: TypeAlias = tuple[int, int]


class SpokenWord(Protocol):
    """A word and when it is heard, in seconds on the utterance's clock."""

    @property
    def text(self) -> str:
        """As the service says it."""

    @property
    def start_s(self) -> float:
        """When it begins."""

    @property
    def end_s(self) -> float:
        """When it ends."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where each word stands.

    Attributes:
        spans: For each word the characters of the text it was said for, or None if that is not
            certain. Words that share a span were said for it together: no border is between them.
        similarity: Share of letters that agree, 0 to 1. Below MIN_SIMILARITY all spans are None.
    """

    spans: tuple[Span | None, ...]
    similarity: float

    @property
    def aligned(self) -> bool:
        """Whether any word is placed."""
        return any(span is not None for span in self.spans)


class Border(NamedTuple):
    """A place where text and audio are known to meet: all before it was said, nothing behind it.

    Attributes:
        char: In the text, behind the punctuation of the word that ends there.
        end_s: When that word ends.
        next_s: When the next word begins, placed or not; None if it is not known.
    """

    char: int
    end_s: float
    next_s: float | None


def match_words(
    words: Sequence[SpokenWord],
    text: str,
    *,
    complete: bool = False,
    written: list[Unit] | None = None,
) -> Match:
    """Return where the words stand in the text. Pure; never raises.

    Args:
        words: From the first one of the utterance on, without a hole.
        text: All text that was sent, tags included.
        complete: Whether the words are all there will be, so that the last reach the end.
        written: The units of the text, if they are known already.
    """
    written = units(text) if written is None else written
    keys = [fold(word.text) for word in words]
    spoken = [index for index, key in enumerate(keys) if key]
    walk = Walk([keys[index] for index in spoken], written, complete=complete)
    walk.run()
    spans: list[Span | None] = [None] * len(keys)
    similarity = walk.similarity
    if similarity >= MIN_SIMILARITY:
        for group in _certain(walk, written):
            for at in range(group.w0, group.w1):
                spans[spoken[at]] = _span(group, written) if group.sure else None
    return Match(tuple(spans), similarity)


def borders(words: Sequence[SpokenWord], match: Match) -> list[Border]:
    """Return the places where text and audio meet, in order."""
    found: list[Border] = []
    open_span: Span | None = None
    for word, span in zip(words, match.spans, strict=True):
        if found and found[-1].next_s is None and span != open_span:
            found[-1] = found[-1]._replace(next_s=word.start_s)
        if span is None:
            continue
        if found and span == open_span:
            found.pop()
        found.append(Border(span[1], word.end_s, None))
        open_span = span
    return found


def _certain(walk: Walk, written: list[Unit]) -> list[Group]:
    """Return the groups with each difference widened over neighbours that it may be about.

    Of "no no no" two were heard: which two, nobody can say, so all three are one group.
    """
    found: list[Group] = []
    keys: set[str] = set()  # of the difference that comes last in `found`
    for group in walk.groups:
        whole = group
        if not group.exact:
            keys = walk.keys(group)
            while found and (not found[-1].exact or _ends_alike(walk.key(found[-1]), keys)):
                whole = _joined(found.pop(), whole)
        elif keys and _begins_alike(walk.key(group), keys):
            whole = _joined(found.pop(), group)
        else:
            keys = set()
        found.append(whole)
    keys = walk.keys_ahead()
    while found and found[-1].exact and _ends_alike(walk.key(found[-1]), keys):
        found.pop()
    return found[: _proved(walk, found, written)]


def _proved(walk: Walk, found: list[Group], written: list[Unit]) -> int:
    """Return how many groups are beyond doubt.

    A sign that seems silent may have been read as the word behind it ("& and"), and what a
    difference is followed by may be more of it: too few letters have agreed since to tell.
    """
    letters, proved = 0, len(found)
    for at in range(len(found) - 1, -1, -1):
        group = found[at]
        letters += len(walk.key(group)) if group.exact else 0
        if letters >= STRONG_CHARS or walk.complete:
            break
        if not (group.exact and all(unit.key for unit in written[group.t0 : group.t1])):
            proved = at
    return proved


def _ends_alike(key: str, keys: set[str]) -> bool:
    return key in keys or any(key.endswith(o) or o.startswith(key) for o in keys)


def _begins_alike(key: str, keys: set[str]) -> bool:
    return key in keys or any(key.startswith(o) or o.endswith(key) for o in keys)


def _joined(before: Group, after: Group) -> Group:
    sure = before.sure and after.sure
    return Group(before.w0, after.w1, before.t0, after.t1, exact=False, sure=sure)


def _span(group: Group, written: list[Unit]) -> Span:
    first, last = group.t0, group.t1
    while group.exact and first + 1 < last and not written[first].key:
        first += 1  # an emoji before the word was not said
    if first < last:
        return written[first].start, written[last - 1].end
    end = written[first - 1].end if first else 0
    return end, end
