"""One walk along what was said and what was written, in step as far as both agree."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Final, NamedTuple

from fishlive.text.units import Unit

STRONG_CHARS: Final = 8
"""Letters that must agree behind a difference before the walk goes on: one long word or two short
ones, which seldom occur twice in two sentences."""

WIDE: Final = "\u2e80"
"""From here on (ideographs, kana) a letter says as much as two of an alphabet."""

FIGURES_FACTOR: Final = 3
"""So many times more must agree behind a number: of "777. Seventy seven" the first may be read so
that its end looks like the second."""

WINDOWS_CHARS: Final = (40, 100, 600)
"""How far a place to go on is searched for, in letters: as far as a number takes to read, a long
one, then two of the service's longest chunks. The near ones let a text repeat itself."""

AHEAD_WORDS: Final = 8
"""How many words behind a place where the walk ended may be about the words before it."""

WORDS_A_SIGN: Final = 5
"""Words that one character of a number or sign may be read as ("7" in the millions: three)."""


class Group(NamedTuple):
    """Words ``w0`` to ``w1`` were said for units ``t0`` to ``t1``.

    Attributes:
        exact: Letter by letter.
        sure: Whether all of these units were said there; some may be missing from the words.
    """

    w0: int
    w1: int
    t0: int
    t1: int
    exact: bool
    sure: bool = True


class Gap(NamedTuple):
    """A difference: how many numbers it holds, how many words may be their readings.

    ``unheard`` and ``unwritten`` count the letters on either side that nothing explains.
    """

    figures: int
    readings: int
    unheard: int
    unwritten: int


def _letters(words: Counter[str]) -> int:
    return sum(len(key) * times for key, times in words.items())


class Stream:
    """Folded words in a row, and where each begins."""

    __slots__ = ("grams", "keys", "letters", "starts")

    def __init__(self, keys: list[str]) -> None:
        self.keys: list[str] = keys
        self.letters: str = "".join(keys)
        self.starts: list[int] = [0]
        for key in keys:
            self.starts.append(self.starts[-1] + len(key))
        self.grams: list[str] = [self._gram(at) for at in range(len(keys))]

    def _gram(self, at: int) -> str:
        """Return the letters that stand for a place; none if too few are left.

        Nor if a sign stands among them, which may have been read as one of the words behind it.
        """
        if not self.keys[at]:
            return ""
        start = self.starts[at]
        gram = self.letters[start : start + STRONG_CHARS]
        size = STRONG_CHARS if max(gram) < WIDE else STRONG_CHARS // 2
        last = bisect_left(self.starts, start + size)
        return gram[:size] if len(gram) >= size and all(self.keys[at:last]) else ""

    def border(self, at: int) -> int:
        """Return the last border that is not behind the letter ``at``."""
        return self.starts[bisect_right(self.starts, at) - 1]

    def places(self, first: int, window: int) -> dict[str, int]:
        """Return where each gram begins within ``window`` letters; -1 for one that comes twice."""
        found: dict[str, int] = {}
        last = bisect_left(self.starts, self.starts[first] + window)
        for at in range(first, min(last, len(self.keys))):
            gram = self.grams[at]
            if gram:
                found[gram] = -1 if gram in found else at
        return found


class Walk:
    """One walk along words and text.

    Attributes:
        groups: What belongs together, in order.
        words: The spoken side.
        text: The written side.
        complete: Whether no more words will come.
    """

    def __init__(self, keys: list[str], written: list[Unit], *, complete: bool) -> None:
        self.words: Stream = Stream(keys)
        self.text: Stream = Stream([unit.key for unit in written])
        self.groups: list[Group] = []
        self.complete = complete
        self._written = written
        self._strange = 0  # letters on either side that nothing explains
        self._pending = 0  # letters at the end that say nothing yet
        self._w = self._t = 0  # the border where it stands

    @property
    def similarity(self) -> float:
        """Share of the letters passed, on both sides, that are explained."""
        passed = self.text.starts[self._t] + len(self.words.letters) - self._pending
        return max(0.0, 1.0 - self._strange / passed) if passed else 0.0

    def key(self, group: Group) -> str:
        """Return the letters of its words."""
        return "".join(self.words.keys[group.w0 : group.w1])

    def keys(self, group: Group) -> set[str]:
        """Return its words on both sides."""
        both = self.words.keys[group.w0 : group.w1] + self.text.keys[group.t0 : group.t1]
        return {key for key in both if key}

    def keys_ahead(self) -> set[str]:
        """Return the next words on both sides, if some could not be placed."""
        w, t = self._w, self._t
        if w == len(self.words.keys):
            return set()
        return self.keys(Group(w, w + AHEAD_WORDS, t, t + AHEAD_WORDS, exact=False))

    def run(self) -> None:
        """Walk to the end of the words, or to where nothing is certain any more."""
        size = len(self.words.keys)
        while True:
            self._step()
            if self._w == size:
                return
            place = self._place()
            if place is None:
                self._rest()
                return
            self._pass(*place)

    def _step(self) -> None:
        """Walk on while all letters agree, up to a border that both sides have."""
        words, text = self.words, self.text
        at_w, at_t = words.starts[self._w], text.starts[self._t]
        size = _agreeing(words.letters, at_w, text.letters, at_t)
        while size > 0:
            by_words = words.border(at_w + size) - at_w
            by_text = text.border(at_t + size) - at_t
            size = min(by_words, by_text)
            if by_words == by_text:
                break
        if size > 0:
            self._agree(bisect_left(words.starts, at_w + size), at_t + size)

    def _agree(self, w1: int, until: int) -> None:
        """Note groups up to word ``w1`` and letter ``until`` of the text, as small as can be."""
        words, text = self.words, self.text
        shift = text.starts[self._t] - words.starts[self._w]
        w0, t0 = self._w, self._t
        for w in range(w0 + 1, w1 + 1):
            at = words.starts[w] + shift
            t = bisect_left(text.starts, at)
            if text.starts[t] == at:
                self.groups.append(Group(w0, w, t0, t, exact=True))
                w0, t0 = w, t
        self._w, self._t = w1, bisect_left(text.starts, until)

    def _place(self) -> tuple[int, int] | None:
        """Return the nearest place, as word and unit, where the walk may go on."""
        for window in WINDOWS_CHARS:
            in_text = self.text.places(self._t, window)
            common = [
                (w - self._w + in_text[gram] - self._t, w, in_text[gram])
                for gram, w in self.words.places(self._w, window).items()
                if w >= 0 and in_text.get(gram, -1) >= 0
            ]
            for distance, w, t in sorted(common):
                if distance and self._holds(w, t):
                    return w, t
        return None

    def _holds(self, w: int, t: int) -> bool:
        """Return whether what agrees from a place on outweighs what is strange before it."""
        gap = self._gap(w, t)
        needed = len(self.words.grams[w])
        if gap.figures:
            # A number is never silent, and its reading must not be taken for what follows it.
            if gap.readings < gap.figures or gap.unheard:
                return False
            needed *= FIGURES_FACTOR
        words, text = self.words, self.text
        agreed = _agreeing(words.letters, words.starts[w], text.letters, text.starts[t])
        return agreed >= needed + gap.unheard + gap.unwritten

    def _gap(self, w: int, t: int) -> Gap:
        """Return what lies between here and a place."""
        passed = self._written[self._t : t]
        said = Counter(self.words.keys[self._w : w])
        plain = Counter(unit.key for unit in passed if not unit.wild)
        extra = said - plain
        readings = sum(extra.values())
        extra -= Counter(unit.key for unit in passed if unit.wild)
        room = sum(WORDS_A_SIGN * (unit.end - unit.start) for unit in passed if unit.wild)
        return Gap(
            sum(unit.figures for unit in passed),
            readings,
            unheard=_letters(plain - said),
            unwritten=_letters(extra) if sum(extra.values()) > room else 0,
        )

    def _pass(self, w: int, t: int) -> None:
        """Go to a place; what lies before it is one group."""
        gap = self._gap(w, t)
        self._strange += gap.unheard + gap.unwritten
        sure = not gap.unheard
        self.groups.append(Group(self._w, w, self._t, t, exact=False, sure=sure))
        self._w, self._t = w, t

    def _rest(self) -> None:
        """Judge the words that could not be placed."""
        size, end = len(self.words.keys), len(self._written)
        if self.complete and not self._gap(size, end).unheard:
            self._pass(size, end)
            return
        rest = self.words.letters[self.words.starts[self._w] :]
        goes_on = self.text.letters.startswith(rest, self.text.starts[self._t])
        wild = end > self._t and self._written[self._t].wild
        if goes_on or (wild and len(rest) <= WINDOWS_CHARS[1]):
            self._pending = len(rest)  # a word or a number whose end is still to come
        else:
            self._strange += len(rest)


def _agreeing(one: str, at: int, other: str, where: int) -> int:
    """Return how many letters agree from two places on."""
    most = min(len(one) - at, len(other) - where)
    size, step, growing = 0, 64, True
    while size < most:
        part = min(step, most - size)
        if one[at + size : at + size + part] == other[where + size : where + size + part]:
            size += part
            step = step * 2 if growing else step
        elif part == 1:
            break
        else:
            step, growing = part // 2, False
    return size
