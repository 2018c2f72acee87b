"""What became of every character of an utterance: sent, spoken, received, heard, paid for.

Nothing is counted while tokens fly. Whoever runs an utterance keeps a few facts; the ledger is made
of them when somebody asks. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Literal

from fishlive.models.prices import speech_usd
from fishlive.text.matching import Border, SpokenWord, borders, match_words
from fishlive.text.units import Unit, units
from fishlive.text.walk import WIDE

LETTERS_PER_S: Final = 12.5
"""Letters an ordinary voice says in a second: 15 characters with spaces (150 words a minute)."""

WIDE_LETTERS: Final = 3
"""What an ideograph or kana takes to say, in letters: some four a second."""

DIGIT_LETTERS: Final = 4
"""What a digit takes to say, in letters: "seven"."""

LEARNED: Final = 0.7
"""Confidence in a place that was found by the pace of this very utterance."""

ASSUMED: Final = 0.4
"""Confidence in a place that was found by the pace of an ordinary voice."""

_SLOWEST: Final = 0.1
"""Slowest voice that is reckoned with, as a share of an ordinary one; the service ends at 0.5."""

_TOLERANCE_S: Final = 1e-6
"""Rounding of seconds that were made from samples."""

Playing = Literal["marked", "consumed", "unknown"]
Basis = Literal["aligned", "proportional", "none"]

PLAYING_CONFIDENCE: Final[dict[Playing, float]] = {"marked": 1.0, "consumed": 0.5, "unknown": 0.0}
"""How far ``played_s`` can be trusted: a mark is the caller's own measurement; what was read may
still wait in a player; without either nothing is known."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What has to be known about an utterance, at any instant.

    Attributes:
        pieces: The text that was queued, in order.
        sent_chars: How many characters of it were sent.
        words: Aligned words on the utterance's clock, settled ones, without a hole before them.
        received_s: Audio received, in seconds.
        played_s: Audio heard, in seconds.
        playing: How ``played_s`` is known.
        stop_sent: Whether the service was told that no text follows.
        finished: Whether it finished with success.
        speed: The voice's speed; 1 is ordinary.
        model: The engine, for its price.
        replayed_bytes: UTF-8 bytes of text that were sent once more.
    """

    pieces: Sequence[str] = field(repr=False)
    sent_chars: int
    words: Sequence[SpokenWord] = field(default=(), repr=False)
    received_s: float = 0.0
    played_s: float = 0.0
    playing: Playing = "unknown"
    stop_sent: bool = False
    finished: bool = False
    speed: float = 1.0
    model: str | None = None
    replayed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every character's fate. Counts are ends of prefixes of ``text``.

    played_chars <= received_chars <= sent_chars <= queued_chars; spoken_chars <= received_chars.

    Attributes:
        text: All text that was queued.
        sent_chars: Sent to the service.
        spoken_chars: Known to be spoken: its audio arrived.
        received_chars: Received as audio, as far as can be told.
        played_chars: Heard, as far as can be told; on a word border.
        received_s: Audio received, in seconds.
        played_s: Audio heard, in seconds.
        playing: How ``played_s`` is known: ``marked``, ``consumed`` or ``unknown``.
        basis: How text was found for audio: ``aligned`` (timestamps), ``proportional`` (by the
            pace of the voice) or ``none`` (there was no audio).
        confidence: How far ``heard_text`` can be trusted, 0 to 1.
        stop_sent: Whether the service was told that no text follows.
        billed_utf8_bytes: Text sent, as the service bills it, replays included. Whether it bills
            text that it did not come to speak is not documented: an upper bound.
        replayed_bytes: How much of that was sent once more.
        cost_usd: An estimate of its price in US dollars; None if the model's is not known.
    """

    text: str = field(repr=False)
    sent_chars: int
    spoken_chars: int
    received_chars: int
    played_chars: int
    received_s: float
    played_s: float
    playing: Playing
    basis: Basis
    confidence: float
    stop_sent: bool
    billed_utf8_bytes: int
    replayed_bytes: int
    cost_usd: float | None

    @property
    def queued_chars(self) -> int:
        """Length of the text that was queued."""
        return len(self.text)

    @property
    def maybe_spoken_chars(self) -> int:
        """How many characters were sent whose audio is not known to have arrived."""
        return self.sent_chars - self.spoken_chars

    @property
    def heard_text(self) -> str:
        """What was heard, up to a word border; with timestamps exact to the word."""
        return self.text[: self.played_chars]

    @property
    def unheard_text(self) -> str:
        """What was not. Behind ``heard_text`` it makes the whole text."""
        return self.text[self.played_chars :]

    @property
    def spoken(self) -> str:
        """Text whose audio is known to have arrived."""
        return self.text[: self.spoken_chars]

    @property
    def maybe_spoken(self) -> str:
        """Text that was sent, and may or may not have been spoken."""
        return self.text[self.spoken_chars : self.sent_chars]

    @property
    def unsent(self) -> str:
        """Text that never left."""
        return self.text[self.sent_chars :]


def make_ledger(facts: Facts) -> Ledger:
    """Return what became of every character. Pure, linear in the text, never raises.

    Some 10 µs a word, and three times that with timestamps (measured, two busy cores): make it
    when somebody looks, not while audio flows.
    """
    text = "".join(facts.pieces)
    sent = text[: max(0, facts.sent_chars)]
    received_s = max(0.0, facts.received_s)
    played_s = min(max(0.0, facts.played_s), received_s)
    timeline = _Timeline(sent, received_s, facts)
    received = max(timeline.known, timeline.char_at(received_s))
    billed = len(sent.encode("utf-8", "surrogatepass")) + facts.replayed_bytes
    return Ledger(
        text=text,
        sent_chars=len(sent),
        spoken_chars=timeline.known,
        received_chars=received,
        played_chars=min(received, timeline.char_at(played_s)),
        received_s=received_s,
        played_s=played_s,
        playing=facts.playing,
        basis=timeline.basis,
        confidence=_confidence(timeline, played_s, facts.playing),
        stop_sent=facts.stop_sent,
        billed_utf8_bytes=billed,
        replayed_bytes=facts.replayed_bytes,
        cost_usd=speech_usd(facts.model, billed),
    )


def _confidence(timeline: _Timeline, played_s: float, playing: Playing) -> float:
    if timeline.basis == "none" or (played_s <= 0 and playing != "unknown"):
        return 1.0  # nobody hears what did not arrive, or was not taken
    return PLAYING_CONFIDENCE[playing] * timeline.confidence_at(played_s)


class _Timeline:
    """Which text belongs to which audio: by alignment as far as it goes, then by pace.

    Args:
        sent: Text that was sent.
        received_s: Audio received.
        facts: The rest.

    Attributes:
        known: How much text is known to be spoken.
        basis: How it is known.
    """

    def __init__(self, sent: str, received_s: float, facts: Facts) -> None:
        self._units = units(sent)
        match = match_words(facts.words, sent, complete=facts.finished, written=self._units)
        latest_s = received_s + _TOLERANCE_S
        self._borders = [b for b in borders(facts.words, match) if b.end_s <= latest_s]
        self._ends_s = list(accumulate((b.end_s for b in self._borders), max))
        self._last = self._borders[-1] if self._borders else Border(0, 0.0, None)
        self._similarity = match.similarity
        self._received_s, self._whole = received_s, len(sent)
        self._finished = facts.finished
        self._letters = [0.0, *accumulate(map(_letters, self._units))]
        self._ends = [unit.end for unit in self._units]
        self.known: int = len(sent) if facts.finished else self._last.char
        self.basis: Basis = "proportional"
        if received_s <= 0 or not sent:
            self.basis = "none"
        elif self._borders:
            self.basis = "aligned"
        learned = self._learned_pace()
        self._rough = LEARNED if learned else ASSUMED
        self._pace = learned or LETTERS_PER_S * max(facts.speed, _SLOWEST)

    def char_at(self, at_s: float) -> int:
        """Return how much text was said by an instant; always on a word border."""
        if at_s <= 0 or self.basis == "none":
            return 0
        if self._finished and at_s >= self._received_s - _TOLERANCE_S:
            return self._whole
        index = bisect_right(self._ends_s, at_s + _TOLERANCE_S)
        if self._borders and index < len(self._borders):
            return self._borders[index - 1].char if index else 0
        said = self._letters_to(self._last.char) + (at_s - self._last.end_s) * self._pace
        count = bisect_right(self._letters, said + _TOLERANCE_S) - 1
        return max(self._last.char, self._ends[count - 1] if count else 0)

    def confidence_at(self, at_s: float) -> float:
        """Return how far :meth:`char_at` can be trusted, 0 to 1."""
        if self._finished and at_s >= self._received_s - _TOLERANCE_S:
            return 1.0
        if at_s <= 0:
            return self._rough
        exact_s = min(at_s, self._last.end_s)
        return (exact_s * self._similarity + (at_s - exact_s) * self._rough) / at_s

    def _learned_pace(self) -> float:
        """Return the letters a second of this utterance; 0 if it does not tell."""
        if self._finished and self._received_s > 0:
            return self._letters[-1] / self._received_s
        if self._last.end_s > 0:
            return self._letters_to(self._last.char) / self._last.end_s
        return 0.0

    def _letters_to(self, char: int) -> float:
        return self._letters[bisect_right(self._ends, char)]


def _letters(unit: Unit) -> float:
    """Return how long a word takes to say, in letters."""
    if unit.key.isascii() and unit.key.isalpha():
        return len(unit.key)
    return sum(_weight(char) for char in unit.key) or 1.0


def _weight(char: str) -> int:
    if char.isnumeric():
        return DIGIT_LETTERS
    return WIDE_LETTERS if char >= WIDE else 1
