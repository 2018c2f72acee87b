"""What an utterance remembers beyond its present leg: text said, words heard, time lost.

From this and the leg come the facts of the ledger, its numbers, and what a continuation has to
know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fishlive.errors import FishLiveError
from fishlive.flow.buffer import AudioBuffer
from fishlive.flow.credit import Credit
from fishlive.live.leg import Leg
from fishlive.live.outbox import Order
from fishlive.live.plan import Plan, Resumed
from fishlive.live.resume import MAX_RESUMES, Scene
from fishlive.live.sender import Sender
from fishlive.live.stats import Outcome, UtteranceStats
from fishlive.text.ledger import Facts, Ledger, Playing, make_ledger
from fishlive.transport.endings import complain
from fishlive.wire.words import Word

WAV_HEADER_BYTES: Final = 44
"""What a WAV container adds once, in bytes."""

_TOLERANCE_S: Final = 1e-6
"""Rounding of seconds that were made from samples."""


class Past:
    """Sums over the legs that are over.

    Args:
        plan: What the utterance is to be.
        sender: Who writes its text.
        buffer: Where its audio goes.
        credit: Who knows how much of that was heard.
        bytes_per_s: Encoded bytes of a second of it.

    Attributes:
        resumes: How it went on after losses.
        attempts: Attempts at segments and continuations that are over.
    """

    __slots__ = (
        "_buffer", "_bytes_per_s", "_credit", "_first_audio_s", "_leading_silence_s", "_messages",
        "_plan", "_prefix_chars", "_said", "_sender", "_slot_wait_s", "_sure", "_words",
        "attempts", "resumes",
    )  # fmt: skip

    def __init__(
        self, plan: Plan, sender: Sender, buffer: AudioBuffer, credit: Credit, bytes_per_s: float
    ) -> None:
        self._plan = plan
        self._sender = sender
        self._buffer = buffer
        self._credit = credit
        self._bytes_per_s = bytes_per_s
        self._said: list[str] = []  # text that no leg will say again
        self._prefix_chars = 0  # how much at the head of the script is not the caller's text
        self._words: list[Word] = []  # of audio that stays
        self._sure: list[Word] = []  # those of them that were said for the text that stays
        self._messages = 0
        self._slot_wait_s = 0.0
        self._first_audio_s: float | None = None
        self._leading_silence_s: float | None = None
        self.resumes: list[Resumed] = []
        self.attempts: int = 0

    def words(self, leg: Leg) -> tuple[Word, ...]:
        """Return the words aligned so far, on the utterance's clock."""
        return (*self._words, *self._on_clock(leg, leg.intake.words.words()))

    def end(self, leg: Leg) -> None:
        """Take the sums of a leg that is over, before the buffer loses any of its audio."""
        self._slot_wait_s += leg.waiting_s()
        self._messages += leg.heard + leg.intake.empty

    def close(self, leg: Leg, char: int, prefix: str, said_s: float) -> None:
        """Take the text and words of a leg whose audio stays, as far as the buffer holds it.

        Args:
            leg: Which.
            char: In its text, from where on another leg will say it again.
            prefix: Tags that leg has to begin with.
            said_s: Until when its words were said for the text before that.
        """
        if self._first_audio_s is None:
            self._first_audio_s = leg.intake.first_audio_s
            self._leading_silence_s = leg.intake.leading_silence_s
        until_s = self._credit.received_s + _TOLERANCE_S
        words = self._on_clock(leg, leg.intake.words.words())
        self._words += [word for word in words if word.end_s <= until_s]
        until_s = min(until_s, self._origin_s(leg) + said_s + _TOLERANCE_S)
        words = self._on_clock(leg, leg.intake.words.settled(newest=True))
        self._sure += [word for word in words if word.end_s <= until_s]
        self._said.append(self._sender.script.text[self._prefix_chars : char])
        self._prefix_chars = len(prefix)

    def went_on(self, resumed: Resumed) -> None:
        """Note a continuation, and tell the hook."""
        self.resumes.append(resumed)
        hook = self._plan.terms.on_resume
        if hook is not None:
            try:
                hook(resumed)
            except Exception as error:  # noqa: BLE001 - reported, and speech goes on
                complain(error)

    def scene(self, leg: Leg) -> Scene:
        """Return what a continuation has to know."""
        track, origin_s = leg.intake.words, self._origin_s(leg)
        return Scene(
            text=self._sender.script.text,
            head_chars=self._prefix_chars,
            words=track.settled(newest=False),
            latest=track.settled(newest=True),
            audio=self._buffer.queued(),
            read_s=self._buffer.read_bytes / self._bytes_per_s - origin_s,
            played_s=self._credit.played_s - origin_s,
            sample_rate_hz=self._plan.request.effective_sample_rate_hz,
            speed=self._speed,
        )

    def facts(self, leg: Leg, *, text_ended: bool, finished: bool) -> Facts:
        """Return what the ledger is made of."""
        sender = self._sender
        said = "".join([*self._said, sender.script.text[self._prefix_chars :]])
        words = self._on_clock(leg, leg.intake.words.settled(newest=True))
        stop_sent = text_ended and Order.STOP in sender.script.items[-1:]
        played_s, playing = _playhead(self._credit)
        return Facts(
            (said, sender.unsent),
            len(said),
            words=(*self._sure, *words),
            received_s=self._credit.received_s,
            played_s=played_s,
            playing=playing,
            stop_sent=finished or (stop_sent and not sender.unsent),
            finished=finished,
            speed=self._speed,
            model=self._plan.terms.model,
            replayed_bytes=sender.replayed_bytes,
        )

    def tell(self, error: FishLiveError, facts: Facts, *, attempts: int) -> None:
        """Tell a failure what came before it: its text stands still, its listener may read on."""
        error._account = Account(facts, self._credit)
        error.audio_bytes = self._buffer.received_bytes
        error.attempts = error.attempts or self.attempts + attempts

    @property
    def may_go_on(self) -> bool:
        """Whether one more continuation is allowed."""
        return self._plan.terms.resume is not None and len(self.resumes) < MAX_RESUMES

    def stats(
        self, leg: Leg, *, began_s: float, ended_s: float, attempts: int, outcome: Outcome
    ) -> UtteranceStats:
        """Return the numbers so far; instants are by the loop's clock.

        Args:
            leg: The present one.
            began_s: When the utterance began.
            ended_s: When it ended; now, if it has not.
            attempts: Attempts that :attr:`attempts` does not count yet.
            outcome: How it stands.
        """
        buffer, sender, intake = self._buffer.stats(), self._sender, leg.intake
        first, text_s, audio_s = self._first_audio_s, sender.first_text_s, intake.first_audio_s
        audio_s = audio_s if first is None else first
        silence_s = intake.leading_silence_s if first is None else self._leading_silence_s
        header_bytes = WAV_HEADER_BYTES if self._plan.request.effective_format == "wav" else 0
        payload_bytes = max(0, buffer.received_bytes - header_bytes)
        # Only PCM goes on over another leg: what says its own length is all of this one.
        length_s = intake.audio_s
        return UtteranceStats(
            connect_s=None if leg.handshake is None else leg.handshake.connect_s,
            slot_wait_s=self._slot_wait_s + leg.waiting_s(),
            socket_reused=leg.reused,
            first_text_s=None if text_s is None else text_s - began_s,
            first_audio_s=None if text_s is None or audio_s is None else audio_s - text_s,
            leading_silence_s=silence_s,
            audio_s=payload_bytes / self._bytes_per_s if length_s is None else length_s,
            wall_s=ended_s - began_s,
            messages=self._messages + leg.heard + leg.intake.empty,
            audio_bytes=buffer.received_bytes,
            text_utf8_bytes=sender.text_bytes,
            peak_buffer_bytes=buffer.peak_bytes,
            text_wait_s=sender.waited_s,
            pauses=buffer.socket_pauses,
            attempts=self.attempts + attempts,
            outcome=outcome,
        )

    @property
    def _speed(self) -> float:
        prosody = self._plan.request.prosody
        return 1.0 if prosody is None or prosody.speed is None else prosody.speed

    def _on_clock(self, leg: Leg, words: tuple[Word, ...]) -> tuple[Word, ...]:
        origin_s = self._origin_s(leg)
        if not origin_s:
            return words
        return tuple(Word(w.text, origin_s + w.start_s, origin_s + w.end_s) for w in words)

    def _origin_s(self, leg: Leg) -> float:
        return leg.origin_bytes / self._bytes_per_s


class Account:
    """Makes the ledger of an utterance that failed, when somebody looks at its error.

    What came before the failure is read after it, so how much was heard is looked at anew until
    all of it was read. Pickled it stands still.

    Args:
        facts: What was known when it failed.
        credit: Who knows how much was heard since; None if that does not change any more.
    """

    __slots__ = ("_credit", "_facts", "_ledger")

    def __init__(self, facts: Facts, credit: Credit | None = None) -> None:
        self._facts = facts
        self._credit = credit
        self._ledger: Ledger | None = None

    def __call__(self) -> Ledger:
        """Return the ledger as it stands; the same one while nothing has changed."""
        facts = self._now()
        if self._ledger is None or facts is not self._facts:
            self._facts, self._ledger = facts, make_ledger(facts)
        return self._ledger

    def __reduce__(self) -> tuple[Any, ...]:
        return Account, (self._now(),)

    def _now(self) -> Facts:
        facts, credit = self._facts, self._credit
        if credit is None:
            return facts
        played_s, playing = _playhead(credit)
        if (played_s, playing) == (facts.played_s, facts.playing):
            return facts
        return replace(facts, played_s=played_s, playing=playing)


def _playhead(credit: Credit) -> tuple[float, Playing]:
    return credit.played_s, "consumed" if credit.marked_s is None else "marked"
