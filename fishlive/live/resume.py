"""Where an utterance goes on after its connection was lost in the middle. Pure.

The service has no session to come back to, and the same text never sounds the same twice: bytes of
two attempts cannot be laid on one another. So what is unheard is cut back to a place where text and
audio are known to meet, and the text behind that is spoken anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fishlive.audio.fade import Pauses, fade_out
from fishlive.audio.pcm import SAMPLE_BYTES
from fishlive.live.plan import Fallback
from fishlive.text.ledger import Facts, make_ledger
from fishlive.text.seam import NoSeam, Seam, find_seam, sentence_ends, tags_in_force
from fishlive.wire.words import Word

MAX_RESUMES: Final = 2
"""Continuations an utterance may have: a listener who has heard three cuts wants an error."""


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

    text: str
    head_chars: int
    words: Sequence[Word]
    latest: Sequence[Word]
    audio: bytes
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
        repeated_chars: See Resumed.
        skipped_chars: See Resumed.
    """

    how: Literal["exact", "repeat", "skip"]
    audio: bytes
    char: int
    prefix: str
    repeated_chars: int = 0
    skipped_chars: int = 0


def continue_aligned(scene: Scene, fallback: Fallback) -> Continuation | None:
    """Return where every word is heard once, else what the fallback says; None to fail."""
    pauses = Pauses(scene.audio, scene.sample_rate_hz, origin_s=scene.read_s)
    seam = find_seam(
        scene.text,
        scene.words,
        played_s=max(scene.played_s, scene.read_s),  # what was read cannot be taken back
        received_s=scene.received_s,
        sample_rate_hz=scene.sample_rate_hz,
        find_pause=pauses.first,
    )
    if isinstance(seam, NoSeam):
        return _inexact(scene, fallback)
    return _exact(scene, seam)


def continue_segment(scene: Scene, fallback: Fallback) -> Continuation | None:
    """Return how to go on when a segment was lost of which some was heard; None to fail."""
    whole = len(scene.text)
    if fallback == "repeat":
        return Continuation("repeat", scene.audio, 0, "", repeated_chars=whole)
    if fallback == "skip":
        return Continuation("skip", scene.audio, whole, "", skipped_chars=whole)
    return None


def _exact(scene: Scene, seam: Seam) -> Continuation:
    read = round(scene.read_s * scene.sample_rate_hz)
    kept = scene.audio[: max(0, seam.at_sample - read) * SAMPLE_BYTES]
    audio = fade_out(kept, scene.sample_rate_hz)
    return Continuation("exact", audio, seam.resume_char, seam.prefix)


def _inexact(scene: Scene, fallback: Fallback) -> Continuation | None:
    if fallback == "raise":
        return None
    ledger = make_ledger(
        Facts(
            [scene.text],
            len(scene.text),
            words=scene.latest,
            received_s=scene.received_s,
            played_s=scene.received_s,
            playing="consumed",
            speed=scene.speed,
        )
    )
    ends = list(sentence_ends(scene.text))
    if fallback == "repeat":
        ends = [scene.head_chars, *ends]
        char = max(end for end in ends if end <= max(ledger.spoken_chars, scene.head_chars))
        repeated = max(0, ledger.received_chars - char)
        prefix = tags_in_force(scene.text, char)
        return Continuation("repeat", scene.audio, char, prefix, repeated_chars=repeated)
    char = min((end for end in ends if end >= ledger.received_chars), default=len(scene.text))
    skipped = max(0, char - ledger.spoken_chars)
    prefix = tags_in_force(scene.text, char)
    return Continuation("skip", scene.audio, char, prefix, skipped_chars=skipped)
