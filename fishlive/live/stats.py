"""What an utterance tells about itself."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, field
from typing import Final, Literal

from fishlive.text.ledger import Facts, Ledger, make_ledger


class Outcome(str, enum.Enum):
    """How an utterance stands, or ended. Compares equal to its own value, a str."""

    RUNNING = "running"  # not over yet
    FINISHED = "finished"  # all text was spoken, all audio was read
    INTERRUPTED = "interrupted"  # we stopped it
    FAILED = "failed"  # see the utterance's error
    ABANDONED = "abandoned"  # its text had ended, nobody read its audio

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class UtteranceStats:
    """One utterance in numbers. Seconds are floats; None where there is nothing to measure yet.

    Attributes:
        connect_s: What opening its socket cost, whenever that was.
        slot_wait_s: How long it waited for a slot of the account, which others held.
        socket_reused: Whether the socket had served an utterance before.
        first_text_s: From the beginning of the utterance to the first speakable text sent.
        first_audio_s: From the first speakable text sent to the first audio received.
        leading_silence_s: Silence the audio begins with (PCM only).
        audio_s: Audio received: exact for PCM, WAV and Opus, by the bitrate for MP3.
        wall_s: From the beginning to the end, or to now.
        messages: Audio messages received.
        audio_bytes: Audio received.
        text_utf8_bytes: Text sent, as the service bills it.
        peak_buffer_bytes: Most that waited for the listener, with the overhead of chunks.
        text_wait_s: How long text had to wait for the socket, the buffer or the credit.
        pauses: How often the socket was paused.
        attempts: How often it was tried; over 1 after failures before the first audio was read.
        outcome: How it stands or ended.
    """

    connect_s: float | None
    slot_wait_s: float
    socket_reused: bool
    first_text_s: float | None
    first_audio_s: float | None
    leading_silence_s: float | None
    audio_s: float
    wall_s: float
    messages: int
    audio_bytes: int
    text_utf8_bytes: int
    peak_buffer_bytes: int
    text_wait_s: float
    pauses: int
    attempts: int
    outcome: Outcome


Basis = Literal["marked", "consumed", "unknown"]


@dataclass(frozen=True)
class Interruption:
    """What was heard of an utterance when it was interrupted.

    The text is looked up when somebody asks (10 µs a word, 35 with timestamps), so that
    interrupting takes no longer for a long text.

    Attributes:
        played_s: Seconds of audio heard, by ``basis``.
        basis: ``marked`` (the caller said), ``consumed`` (what was read) or ``unknown``.
        read_bytes: Audio handed to the caller.
        dropped_bytes: Audio received and thrown away unread.
    """

    played_s: float
    basis: Basis
    read_bytes: int
    dropped_bytes: int
    facts: Facts = field(repr=False, compare=False)

    @functools.cached_property
    def ledger(self) -> Ledger:
        """What became of every character."""
        return make_ledger(self.facts)

    @property
    def heard_text(self) -> str:
        """What was heard, up to a word border; with timestamps exact to the word."""
        return self.ledger.heard_text

    @property
    def unheard_text(self) -> str:
        """What was not. Behind ``heard_text`` it makes the whole text."""
        return self.ledger.unheard_text

    @property
    def confidence(self) -> float:
        """How far ``heard_text`` can be trusted, 0 to 1."""
        return self.ledger.confidence


NOTHING_HEARD: Final = Interruption(0.0, "unknown", 0, 0, Facts((), 0))
"""The answer of an interruption with nothing to interrupt."""
