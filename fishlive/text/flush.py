# ruff: noqa: RUF001  # stops, quotes and words of many scripts are meant
"""Where to flush: early for the first sound, at sentence ends after it, never at a bad place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fishlive.limits import FIRST_FLUSH_CHARS, FIRST_FLUSH_S, FLUSH_AHEAD_S
from fishlive.text.speakable import has_speech
from fishlive.text.stops import WORD_CHARS, stops_end, word_before
from fishlive.text.tags import (
    CLOSING_TAG,
    LETTER,
    OPEN_PHONEMES,
    OPEN_TAG,
    OVERLONG,
    PHONEMES,
    TAG,
)

_CONTEXT_CHARS: Final = 128
"""Sent text that is remembered while a decision is open, in characters: the longest is a word, its
stop and four closing tags, 8 + 1 + 4 x 19."""

_SPACE: Final = r"[ \t\n\r\f\v\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]"
"""White space where a line may break: not U+00A0, U+2007 and U+202F, which hold words together."""

_SPACED_STOPS: Final = r".!?…‥؟"
_ENDINGS: Final = ".!?"
_FULL_STOPS: Final = "。！？｡।॥۔։።។။"
"""Stops that end a sentence whatever follows."""

_CJK: Final = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_AFTER: Final = rf"(?={_SPACE}|[\[{_CJK}]|<[|A-Za-z])"
_CLOSER: Final = rf"(?:[\"'”’»›)\]}}*_~」』）】》〉]|{CLOSING_TAG})"
_STOPPED: Final = rf"(?<![{_SPACED_STOPS}])(?P<stops>[{_SPACED_STOPS}]+){_CLOSER}{{0,4}}"
_item: Final = re.compile(
    rf"(?P<phonemes>{PHONEMES})|(?P<open>{OPEN_PHONEMES})|(?P<overlong>{OVERLONG})"
    rf"|(?P<closing>{CLOSING_TAG})|(?P<tag>{TAG})|(?P<half>{OPEN_TAG})"
    rf"|(?P<end>{_STOPPED}{_AFTER}|[{_FULL_STOPS}]|\n[ \t\r]{{0,64}}\n)"
).match
_RESTING: Final = re.compile(rf"(?:{_STOPPED}|[{_FULL_STOPS}]{_CLOSER}{{0,4}}){_SPACE}*\Z")
_BORDER: Final = re.compile(rf"(?<!\d){_SPACE}|[、，；：]")
_special: Final = re.compile(rf"[\[<\n{_SPACED_STOPS}{_FULL_STOPS}]").search
_letter: Final = LETTER.search


class FlushPolicy:
    """Says where to flush one utterance's text. No clock and no I/O; text is never altered.

    Give every piece of text to :meth:`cut` just before sending it. In use::

        while text:
            cut = policy.cut(text, waited_s=..., ahead_s=...)
            if cut < 0:
                send(text)
                break
            send(text[:cut])          # nothing to send if it is 0
            flush()
            text = text[cut:]

    :meth:`passes` is a shorter way for the many pieces that cannot bring a flush.

    **Sentence ends.** ``.``, ``!``, ``?`` with the quotes, brackets and closing tags that follow
    them end a sentence once white space, a tag or a CJK character follows; the flush goes before
    that. So a stop at the very end of a piece is decided by the next one, whose ``cut`` is then 0:
    flush what was sent, then send. ``。！？``, danda and the like end one at once, and so does an
    empty line. No ends are: abbreviations, initials, ``U.S.``, numbers of one or two digits with a
    full stop (``3. Mai``, ``1. First``), ellipses.

    **The first flush** goes to the first sentence end; or, once FIRST_FLUSH_CHARS wait and
    FIRST_FLUSH_S have passed, behind the last white space (or CJK comma) in hand. What was sent
    cannot be divided any more: if it ended on such a border, :meth:`overdue` says so at any time
    and the next ``cut`` is at least 0; if it ended inside a word, the piece that completes the
    word is cut there.

    **Later flushes** go to every sentence end while less than FLUSH_AHEAD_S is unplayed.

    A flush is never bare (a letter, a digit or a phoneme outside tags precedes it), and never
    inside a tag, a phoneme region, a word or a number. An open ``[`` or ``<|`` stops being a tag
    after MAX_OPEN_TAG_CHARS. Sentence ends do not depend on how the text was divided, except at
    ``stop<``: with the ``<`` at the end of a piece it is too late to flush before it.

    Time is linear in the text; at most MAX_OPEN_TAG_CHARS and some of it are remembered.
    """

    __slots__ = (
        "_calm",
        "_chars",
        "_context",
        "_easy",
        "_first",
        "_open_chars",
        "_speech",
        "_stopped",
    )

    def __init__(self) -> None:
        self._first = True  # no flush yet
        self._speech = False  # something to hear was sent since the last flush
        self._chars = 0  # sent since the last flush
        self._context = ""  # the end of what was sent, as far as it may matter
        self._open_chars = 0  # how much at the end of that belongs to a tag that is still open
        self._calm = True  # no decision about it is open: plain text cannot make an end of it
        self._easy = False  # calm, and something to hear was sent: plain text needs no look
        self._stopped = False  # a word and one stop came last: what follows them decides

    def passes(self, text: str) -> bool:
        """Take a piece that brings no flush, by a quick look; return whether it was such.

        If not, nothing was taken: ask :meth:`cut`. Most tokens pass here.

        Args:
            text: What is to be sent next; not empty.
        """
        if not (text.strip(" ").isalnum() or _special(text) is None):
            return self._easy and self._takes_stop(text)
        if not self._easy:
            return self._begins(text)
        if self._first:
            chars = self._chars + len(text)
            if chars >= FIRST_FLUSH_CHARS:  # whether it is late is known to `cut`
                return False
            self._chars = chars
        context = self._context + text
        self._context = context if len(context) < _CONTEXT_CHARS else context[-WORD_CHARS:]
        return True

    def cut(self, text: str, *, waited_s: float, ahead_s: float) -> int:
        """Return how much of ``text`` to send before a flush, or -1 to send all without one.

        After a cut the rest has to be given again, alone or with more text behind it.

        Args:
            text: What is to be sent next; not empty.
            waited_s: Seconds since the utterance's first text was sent.
            ahead_s: Seconds of audio that are not played yet.
        """
        if self._stopped:
            self._stopped = False
            if (self._first or ahead_s < FLUSH_AHEAD_S) and self._stop_ends(text):
                self.flushed()
                return 0
        if self._calm:
            found = _special(text)
            if found is None:
                return self._cut_plain(text, waited_s, ahead_s)
            if self._first or ahead_s < FLUSH_AHEAD_S:
                end = _simple_end(self._context, text, found.start())
                if end:
                    self.flushed()
                    return end
        self._chars += len(text)
        return self._look(text, waited_s, ahead_s)

    def _cut_plain(self, text: str, waited_s: float, ahead_s: float) -> int:
        """Decide about text without stops, tags and line breaks, where no decision is open."""
        if self._first:
            self._chars += len(text)
            if self._chars >= FIRST_FLUSH_CHARS and waited_s >= FIRST_FLUSH_S:
                return self._look(text, waited_s, ahead_s)
        self._take_plain(text)
        return -1

    def _begins(self, text: str) -> bool:
        """Take plain text at the beginning of a later sentence; return whether it stands there."""
        if self._first or not self._calm:
            return False
        self._take_plain(text)
        return True

    def _take_plain(self, text: str) -> None:
        self._easy = self._speech = self._speech or _letter(text) is not None
        self._context = (self._context + text)[-WORD_CHARS:]

    def _takes_stop(self, text: str) -> bool:
        """Take a stop, or a word with one behind it; return whether it was such.

        What follows it decides whether that ends a sentence. Most sentences come this way and by
        :meth:`_stop_ends`, which together take a fifth of what a look takes.
        """
        word = text[:-1].lstrip(" ") if len(text) > 1 else self._context[-1:]
        if text[-1] not in _ENDINGS or not word.isalnum():
            return False
        chars = self._chars + len(text)
        if self._first and chars >= FIRST_FLUSH_CHARS:  # it may be late: a border will do
            return False
        self._chars = chars
        self._context += text
        self._calm = self._easy = False
        self._stopped = True
        return True

    def _stop_ends(self, text: str) -> bool:
        """Return whether the word and the stop that came last end a sentence in front of this."""
        context = self._context
        return text[0] == " " and stops_end(context[-1], context, len(context) - 1, 0)

    def overdue(self) -> bool:
        """Return whether to flush now, behind the text already sent. True counts as that flush.

        For a timer FIRST_FLUSH_S after the first text: true if nothing was flushed yet,
        FIRST_FLUSH_CHARS wait and the text sent ends on a word border.
        """
        if (
            not (self._first and self._chars >= FIRST_FLUSH_CHARS and self._speech)
            or self._open_chars
        ):
            return False
        context = self._context
        if _BORDER.match(context, max(0, len(context) - 1)) is None:
            return False
        self.flushed()
        return True

    def at_rest(self) -> bool:
        """Return whether to flush now because the source pauses. True counts as that flush.

        For a source that has been silent for a while, as before a tool call: true if the text
        sent ends with a sentence end that lacks at most the white space behind it, and was not
        flushed. Not called for a source that is merely between two tokens: ``example.`` may go on.
        """
        if self._open_chars or not self._speech:
            return False
        match = _RESTING.search(self._context)
        if match is None or not _ends_sentence(match, 0):
            return False
        if match["stops"] == "." and word_before(match.string, match.start(), 0)[-1:].isdigit():
            return False
        self.flushed()
        return True

    def flushed(self) -> None:
        """Note a flush behind the text sent so far that was somebody else's idea."""
        self._first = self._speech = self._easy = self._stopped = False
        self._chars = 0
        self._calm = not self._open_chars
        if not self._open_chars:
            self._context = ""

    def _look(self, text: str, waited_s: float, ahead_s: float) -> int:
        """Decide with all that is known; the way of the few pieces that matter."""
        base = len(self._context)
        whole = self._context + text
        wanted = self._first or ahead_s < FLUSH_AHEAD_S
        scan = _Scan(whole, base - self._open_chars, speech=self._speech)
        end = scan.run(base if wanted else len(whole) + 1)
        if end < 0 and self._first and waited_s >= FIRST_FLUSH_S:
            end = self._border(scan, base)
        if end >= 0:
            self._open_chars = 0
            self.flushed()
            return end - base
        self._speech = scan.speech
        self._open_chars = 0 if scan.open_at is None else len(whole) - scan.open_at
        self._calm = scan.calm
        self._easy = self._calm and self._speech
        self._context = whole[scan.needed_from :]
        return -1

    def _border(self, scan: _Scan, base: int) -> int:
        """Return the last word border from ``base`` on that may be flushed, or -1."""
        if self._chars < FIRST_FLUSH_CHARS:
            return -1
        border = scan.last_border(base)
        if border < 0 or not (self._speech or has_speech(scan.whole[:border])):
            return -1
        return border


class _Scan:
    """One look over the remembered text and the new piece.

    Args:
        whole: Both, joined.
        heard_to: How much of it an earlier look has searched for speech.
        speech: Whether that found any.

    Attributes:
        whole: Both, joined.
        speech: Whether anything in it, or sent before it, can be heard.
        open_at: Where the tag begins that is still open at the end, or None.
    """

    __slots__ = ("_heard_to", "_plain", "_settled", "open_at", "speech", "whole")

    def __init__(self, whole: str, heard_to: int, *, speech: bool) -> None:
        self.whole = whole
        self.speech = speech
        self.open_at: int | None = None
        self._heard_to = heard_to
        self._settled = 0  # nothing before it matters any more
        self._plain: list[tuple[int, int]] = []  # stretches outside tags

    @property
    def needed_from(self) -> int:
        """Where the text begins that a later look still needs."""
        end = len(self.whole) if self.open_at is None else self.open_at
        return max(self._settled, end - _CONTEXT_CHARS)

    @property
    def calm(self) -> bool:
        """Whether text without stops, tags and line breaks cannot make an end of this."""
        if self.open_at is not None:
            return False
        last = self.whole[-1:]
        return last.isalnum() or last == "," or (last == " " and not self._line_ends())

    def run(self, lowest: int) -> int:
        """Return the first sentence end from ``lowest`` on with speech before it, or -1."""
        at = 0
        for match in _items(self.whole):
            start, end = match.span()
            self._listen(start)
            if match.lastgroup == "end":
                if not _ends_sentence(match, self._settled):
                    self._settled = end
                elif self.speech and end >= lowest:
                    return end
                continue
            self._plain.append((at, start))
            if match.lastgroup in {"open", "half"}:
                self.open_at = start
                return -1
            at = self._pass(match)
        self._listen(len(self.whole))
        self._plain.append((at, len(self.whole)))
        return -1

    def last_border(self, lowest: int) -> int:
        """Return the last word border outside tags from ``lowest`` on, or -1."""
        for start, end in reversed(self._plain):
            if end < lowest:
                break
            borders = [m.end() for m in _BORDER.finditer(self.whole, max(start, lowest - 1), end)]
            if borders:
                return borders[-1]
        return -1

    def _listen(self, end: int) -> None:
        """Look for speech in the text up to ``end``, which is outside tags."""
        if not self.speech:
            self.speech = _letter(self.whole, self._heard_to, end) is not None
        self._heard_to = max(self._heard_to, end)

    def _pass(self, tag: re.Match[str]) -> int:
        """Go behind a tag, or what turned out to be none, and return where that is."""
        kind, end = tag.lastgroup, tag.end()
        if kind == "overlong":
            self._listen(end)
        self.speech = self.speech or kind == "phonemes"
        self._heard_to = max(self._heard_to, end)
        if kind != "closing":  # that one may stand between a stop and its white space
            self._settled = end
        return end

    def _line_ends(self) -> bool:
        return self.whole.rstrip(" \t\r").endswith("\n")


def _items(text: str) -> Iterator[re.Match[str]]:
    """Yield tags and sentence ends, looking closely only at characters that begin one."""
    at = 0
    while (special := _special(text, at)) is not None:
        at = special.start()
        item = _item(text, at)
        if item is None:
            at += 1
        else:
            at = item.end()
            yield item


def _simple_end(context: str, text: str, at: int) -> int:
    """Return where the first sentence of plain words ends; 0 if that takes a closer look.

    It takes a fifth of what a look takes. The ``context`` is what came before, and calm; ``at``
    is where the first character stands that may matter.
    """
    base = len(context)
    whole = context + text
    at += base
    while True:
        stop, after = whole[at], whole[at + 1 : at + 2]
        if stop not in _ENDINGS:
            return 0
        if after == " " and at and whole[at - 1].isalnum():
            if stops_end(stop, whole, at, 0):
                return at + 1 - base
        elif not (after.isascii() and after.isalnum()):
            return 0
        found = _special(whole, at + 1)
        if found is None:
            return 0
        at = found.start()


def _ends_sentence(match: re.Match[str], settled: int) -> bool:
    """Return whether these stops end a sentence, going by the word before them."""
    stops = match["stops"]
    return stops is None or stops_end(stops, match.string, match.start(), settled)
