"""What an utterance remembers beyond its present leg: text said, words heard, time lost.

From this and the leg come the facts of the ledger, and what a continuation has to know.
"""

from __future__ import annotations

from typing import Final

from fishlive.flow.buffer import AudioBuffer
from fishlive.flow.credit import Credit
from fishlive.live.leg import Leg
from fishlive.live.outbox import Order
from fishlive.live.plan import Plan, Resumed
from fishlive.live.resume import Scene
from fishlive.live.sender import Sender
from fishlive.text.ledger import Facts
from fishlive.transport.endings import complain
from fishlive.wire.words import Word

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
        merged: Audio messages that made no chunk.
        slot_wait_s: Waits for slots, in seconds.
        attempts: Attempts at segments and continuations that are over.
    """

    __slots__ = (
        "_buffer", "_bytes_per_s", "_credit", "_plan", "_prefix_chars", "_said", "_sender",
        "_words", "attempts", "merged", "resumes", "slot_wait_s",
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
        self.resumes: list[Resumed] = []
        self.merged: int = 0
        self.slot_wait_s: float = 0.0
        self.attempts: int = 0

    def words(self, leg: Leg) -> tuple[Word, ...]:
        """Return the words aligned so far, on the utterance's clock."""
        return (*self._words, *self._on_clock(leg, leg.intake.words.words()))

    def end(self, leg: Leg) -> None:
        """Take the sums of a leg that will be said again."""
        self.slot_wait_s += leg.waiting_s()
        self.merged += leg.intake.merged

    def close(self, leg: Leg, *, rest: str, prefix: str, attempts: int) -> None:
        """Take a leg whose audio stays, as far as it was received.

        Args:
            leg: Which.
            rest: The end of its text, which another leg will say again.
            prefix: Tags that leg has to begin with.
            attempts: How many it took.
        """
        until_s = self._credit.received_s + _TOLERANCE_S
        self._words = [word for word in self.words(leg) if word.end_s <= until_s]
        self.end(leg)
        self.attempts += attempts
        text = self._sender.script.text
        self._said.append(text[self._prefix_chars : len(text) - len(rest)])
        self._prefix_chars = len(prefix) if rest else 0

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
        )

    def facts(self, leg: Leg, *, finished: bool) -> Facts:
        """Return what the ledger is made of."""
        sender, credit = self._sender, self._credit
        said = "".join([*self._said, sender.script.text[self._prefix_chars :]])
        words = self._on_clock(leg, leg.intake.words.settled(newest=True))
        return Facts(
            (said, sender.outbox.text),
            len(said),
            words=[*self._words, *words],
            received_s=credit.received_s,
            played_s=credit.played_s,
            playing="consumed" if credit.marked_s is None else "marked",
            stop_sent=Order.STOP in sender.script.items[-1:],
            finished=finished,
            model=self._plan.terms.model,
            replayed_bytes=sender.replayed_bytes,
        )

    def _on_clock(self, leg: Leg, words: tuple[Word, ...]) -> tuple[Word, ...]:
        origin_s = self._origin_s(leg)
        if not origin_s:
            return words
        return tuple(Word(w.text, origin_s + w.start_s, origin_s + w.end_s) for w in words)

    def _origin_s(self, leg: Leg) -> float:
        return leg.origin_bytes / self._bytes_per_s
