"""Where an utterance goes on after its connection was lost in the middle. Pure.

The service has no session to come back to, and the same text never sounds the same twice: bytes of
two attempts cannot be laid on one another. So what is unheard is cut back to a place where text and
audio are known to meet, and the text behind that is spoken anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from fishlive.audio.fade import Pauses, fade_out
from fishlive.audio.pcm import SAMPLE_BYTES
from fishlive.live.plan import Fallback
from fishlive.text.ledger import Facts, Ledger, make_ledger
from fishlive.text.matching import Border, borders, match_words
from fishlive.text.seam import BLIND_REACH_S, Seam, find_seam, sentence_ends, tags_in_force
from fishlive.text.speakable import has_speech
from fishlive.wire.words import Word

MAX_RESUMES: Final = 2
"""Continuations an utterance may have: a listener who has heard three cuts wants an error."""

_HASTE: Final = 2.0
"""How much faster than it seems a voice may be where no words are aligned: it stumbles over
numbers, and flies over "and so on"."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known when the connection is lost. Seconds count from the beginning of the leg.

    Attributes:
        text: What was sent over it.
        head_chars: How much of that the last continuation put there: tags.
        words: Aligned words that can be trusted.
        latest: The same and those of the newest chunk.
        audio: PCM of it that was not read yet.
        read_s: How much was read.
        played_s: How much was heard.
        sample_rate_hz: Of the PCM.
        speed: The voice's; 1 is ordinary.
    """

    text: str = field(repr=False)
    head_chars: int
    words: Sequence[Word] = field(repr=False)
    latest: Sequence[Word] = field(repr=False)
    audio: bytes = field(repr=False)
    read_s: float
    played_s: float
    sample_rate_hz: int
    speed: float = 1.0

    @property
    def received_s(self) -> float:
        """How much audio came."""
        return self.read_s + len(self.audio) / (SAMPLE_BYTES * self.sample_rate_hz)


@dataclass(frozen=True, slots=True)
class Continuation:
    """How to go on.

    Attributes:
        how: As in Resumed.
        audio: What is left for the listener of what was not read.
        char: Where in the text of the leg the rest begins.
        prefix: Tags to be sent before the rest.
        said_s: Until when the words of the leg were said for text before the rest.
        repeated_chars: See Resumed.
        skipped_chars: See Resumed.
    """

    how: Literal["exact", "repeat", "skip"]
    audio: bytes = field(repr=False)
    char: int
    prefix: str = field(repr=False)
    said_s: float
    repeated_chars: int = 0
    skipped_chars: int = 0


def continue_aligned(scene: Scene, fallback: Fallback) -> Continuation | None:
    """Return where every word is heard once, else what the fallback says; None to fail."""
    if _all_said(scene):
        whole = len(scene.text)
        prefix = tags_in_force(scene.text, whole)
        return Continuation("exact", scene.audio, whole, prefix, scene.received_s)
    pauses = Pauses(scene.audio, scene.sample_rate_hz, origin_s=scene.read_s)
    seam = find_seam(
        scene.text,
        scene.words,
        played_s=max(scene.played_s, scene.read_s),  # what was read cannot be taken back
        received_s=scene.received_s,
        sample_rate_hz=scene.sample_rate_hz,
        find_pause=pauses.first,
    )
    if isinstance(seam, Seam):
        return _exact(scene, seam)
    return {"raise": _nothing, "repeat": _repeat, "skip": _skip}[fallback](scene)


def continue_segment(scene: Scene, fallback: Fallback) -> Continuation | None:
    """Return how to go on when a segment was lost of which some was heard; None to fail."""
    head, whole = scene.head_chars, len(scene.text)
    chars = whole - head
    if fallback == "repeat":
        tags = scene.text[:head]
        return Continuation("repeat", scene.audio, head, tags, 0.0, repeated_chars=chars)
    if fallback == "skip":
        tags = tags_in_force(scene.text, whole)
        return Continuation("skip", scene.audio, whole, tags, scene.received_s, skipped_chars=chars)
    return None


def _all_said(scene: Scene) -> bool:
    """Return whether all text was said, and all of its audio came.

    The newest snapshot may yet be replaced, but not by one that moves a word by more than a step
    of the grid that times lie on.
    """
    match = match_words(scene.latest, scene.text)
    found = borders(scene.latest, match)
    if not found or has_speech(scene.text[found[-1].char :]):
        return False
    last, placed = found[-1], scene.latest[-1].end_s > scene.latest[-1].start_s
    return placed and last.next_s is None and last.end_s + BLIND_REACH_S <= scene.received_s


def _exact(scene: Scene, seam: Seam) -> Continuation:
    read = round(scene.read_s * scene.sample_rate_hz)
    kept = scene.audio[: max(0, seam.at_sample - read) * SAMPLE_BYTES]
    audio = fade_out(kept, scene.sample_rate_hz)
    return Continuation("exact", audio, seam.resume_char, seam.prefix, seam.at_s)


def _nothing(_scene: Scene) -> None:
    """Fail: what would follow is not known."""


def _repeat(scene: Scene) -> Continuation:
    """Say the sentence again in which it broke off."""
    found = _received(scene)
    ledger = _ledger(scene, found)
    ends = [end for end in sentence_ends(scene.text) if end <= ledger.spoken_chars]
    char = max([scene.head_chars, *ends])
    said_s = max((border.end_s for border in found if border.char <= char), default=0.0)
    return Continuation(
        "repeat",
        scene.audio,
        char,
        tags_in_force(scene.text, char),
        said_s,
        repeated_chars=max(0, ledger.received_chars - char),
    )


def _skip(scene: Scene) -> Continuation:
    """Leave out what is missing of the sentence in which it broke off."""
    ledger = _ledger(scene, _received(scene))
    ends = (end for end in sentence_ends(scene.text) if end >= ledger.received_chars)
    char = min(ends, default=len(scene.text))
    return Continuation(
        "skip",
        scene.audio,
        char,
        tags_in_force(scene.text, char),
        scene.received_s,
        skipped_chars=max(0, char - ledger.spoken_chars),
    )


def _received(scene: Scene) -> list[Border]:
    """Return where text and audio meet, as far as audio came."""
    found = borders(scene.latest, match_words(scene.latest, scene.text))
    return [border for border in found if border.end_s <= scene.received_s]


def _ledger(scene: Scene, found: list[Border]) -> Ledger:
    """Return what came, and rather more than less of it where only the pace of the voice tells."""
    aligned_s = found[-1].end_s if found else 0.0
    at_most_s = aligned_s + _HASTE * (scene.received_s - aligned_s)
    return make_ledger(
        Facts(
            [scene.text],
            len(scene.text),
            words=[word for word in scene.latest if word.end_s <= scene.received_s],
            received_s=at_most_s,
            speed=scene.speed,
        )
    )
