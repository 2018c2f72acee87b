"""One utterance at work: its text, its audio, its legs, its end.

A Turn owns no task. It acts when it is called: by its leg, by whoever adds text, by the listener,
by one timer. Its public face is :class:`fishlive.live.utterance.Utterance`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf

from fishlive.errors import FishLiveError, StreamClosedError, UsageError, UtteranceInterrupted
from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.flow.credit import Credit
from fishlive.live.attempts import Attempts
from fishlive.live.leg import Leg
from fishlive.live.line import Line
from fishlive.live.outbox import Order
from fishlive.live.past import Past
from fishlive.live.plan import Plan, Resumed
from fishlive.live.resume import continue_aligned, continue_segment
from fishlive.live.sender import Sender
from fishlive.live.stats import Interruption, Outcome, UtteranceStats
from fishlive.models.tts import audio_bytes_per_second
from fishlive.text.flush import FlushPolicy
from fishlive.text.ledger import Facts, Ledger, make_ledger
from fishlive.text.seam import tags_in_force
from fishlive.text.speakable import has_speech
from fishlive.wire.words import Word


class Turn:
    """One utterance, from its first text to its last chunk.

    Args:
        line: Where its socket comes from, and goes.
        plan: What it is to be.
        on_stop: Called once when it stops before its end: to stop its text source.
    """

    def __init__(self, line: Line, plan: Plan, on_stop: Callable[[], None]) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.error: BaseException | None = None
        self.iterated: bool = False
        self.text_ended: bool = False
        self._line = line
        self._plan = plan
        self._on_stop = on_stop
        self._began_s = self.loop.time()
        self._ended_s: float | None = None
        self._outcome = Outcome.RUNNING
        self._complete = False
        self._interruption: Interruption | None = None

        self.buffer: AudioBuffer = AudioBuffer(on_level=self._on_level)
        self._bytes_per_s = audio_bytes_per_second(plan.request)
        self.credit: Credit = Credit(self.buffer, self._bytes_per_s, plan.terms.credit_s)
        segmented = plan.terms.resume == "segment"
        budget, model = plan.terms.budget, plan.terms.model
        self.sender: Sender = Sender(
            plan.request,
            FlushPolicy() if plan.sentence_flush else None,
            buffer=self.buffer,
            credit=self.credit,
            segmented=segmented,
            charge=None if budget is None else partial(budget.spend, model=model),
            want_socket=self._ask,
            reject=self.fail,
        )
        self._put_text = self.sender.outbox.put_text
        self._open = True  # whether text may be added

        self._attempts = Attempts(plan.terms)
        self._pause: asyncio.TimerHandle | None = None  # before the next attempt
        self._segmented = segmented
        self._past = Past(plan, self.sender, self.buffer, self.credit, self._bytes_per_s)
        self._stash = b""  # of the last leg, in case that no other brings audio
        self._leg = self._new_leg()

    # How it stands

    @property
    def outcome(self) -> Outcome:
        """How it stands, or ended."""
        if self._outcome is Outcome.RUNNING and self._complete and self.buffer.drained:
            return Outcome.FINISHED
        return self._outcome

    @property
    def running(self) -> bool:
        """Whether it may still be interrupted."""
        return self.outcome is Outcome.RUNNING

    @property
    def words(self) -> tuple[Word, ...]:
        """Words aligned so far."""
        return self._past.words(self._leg)

    @property
    def resumes(self) -> tuple[Resumed, ...]:
        """How it went on after losses."""
        return tuple(self._past.resumes)

    @property
    def ledger(self) -> Ledger:
        """What became of every character so far."""
        return make_ledger(self._facts())

    def stats(self) -> UtteranceStats:
        """Return its numbers so far."""
        return self._past.stats(
            self._leg,
            began_s=self._began_s,
            ended_s=self.loop.time() if self._ended_s is None else self._ended_s,
            attempts=self._attempts.made,
            outcome=self.outcome,
        )

    # Text in

    def add_text(self, text: str) -> bool:
        """Queue text; return whether there is room for more.

        Raises:
            InvalidTextError: A lone surrogate.
            BudgetExceeded: It would cost too much; nothing of it was sent.
            UtteranceInterrupted, StreamClosedError, UsageError: It takes no more text.
        """
        if not self._open:
            self._check_open()
        if not text:
            return True
        sender = self.sender
        if sender.outbox.fresh:
            self.gather()
        self.wake()
        return self._put_text(text) or sender.fill()

    def gather(self) -> bool:
        """Queue what the source brought, which stands in front of anything added from now on.

        Returns whether there is room for more. Raises as :meth:`add_text`.
        """
        if not self._open:
            self._check_open()
        return self.sender.outbox.gather() or self.sender.fill()

    def add_flush(self) -> None:
        """Queue a flush, dropped if no text came since the last one. Raises as add_text."""
        self._check_open()
        if self.sender.outbox.fresh:
            self.gather()
        self.sender.outbox.put(Order.FLUSH)
        self.wake()

    def end_text(self) -> None:
        """Queue the end of the text. Raises as add_text; a failed utterance ends all the same."""
        try:
            self._check_open()
        except StreamClosedError:
            self.text_ended = True
            raise
        if self.sender.outbox.fresh:
            self.gather()
        self.text_ended = True
        self._open = False
        if self.sender.silent:
            self._leg.leave()
            self.finished()  # nothing was said, so there is nothing to ask the service for
            return
        self.sender.outbox.put(Order.STOP)
        self.wake()

    async def room(self) -> None:
        """Wait until text has room, or until waiting is pointless. Cancelling is harmless."""
        await self.sender.room.wait()

    def wake(self) -> None:
        """Pump at the end of this turn of the loop, so that what comes within it is joined."""
        if not self.sender.due:
            self.sender.due = True
            self.loop.call_soon(self.sender.pump)

    def mark_played(self, played_s: float) -> None:
        """Note what was heard, on the utterance's own clock. Raises ConfigError."""
        self.credit.mark(played_s)
        self.sender.detour()
        self.wake()

    def prepare(self) -> None:
        """Have a socket opened before there is text, so that the first text finds it."""
        self._line.expect(self._leg)

    # The Owner of a leg

    def connected(self) -> None:
        """Note that there is a socket."""
        self._attempts.connected()

    def spoke(self) -> None:
        """Note the first audio of a leg."""
        self._stash = b""
        self._attempts.succeed()

    def finished(self) -> None:
        """End well, once all audio is read; or go on with the next segment."""
        if self._segmented and not (self.text_ended and not has_speech(self.sender.outbox.text)):
            self._next_segment()
            return
        self._complete = True
        self._ended_s = self.loop.time()
        self._stop_pause()
        self.sender.close()
        self.buffer.end()

    def stumbled(self, error: FishLiveError, *, stale: bool) -> None:
        """Try again if nothing was heard yet and it may help; else fail."""
        if not self.running or self._complete:
            return
        leg = self._leg
        if leg.handshake is not None and leg.unsaid and self.sender.idle:
            self._restart()  # it closed while we had nothing to say: text asks for another
            return
        heard = self.buffer.read_bytes > leg.origin_bytes
        if not self.sender.replayable or (heard and not self._past.may_go_on):
            self.fail(error)
            return
        if stale and not heard:
            self._attempts.swapped()
            self._restart()
            self._ask()
            return
        if heard:  # a continuation has attempts of its own, of which this was the first
            self._past.attempts += self._attempts.made - 1
            self._attempts = Attempts(self._plan.terms)
        wait_s = self._attempts.wait_s(error, self.loop.time(), stillborn=leg.stillborn)
        if self._outcome is not Outcome.RUNNING:  # the hook interrupted us
            return
        if wait_s is None:
            self.fail(error)
            return
        if not (self._go_on(error) if heard else self._start_over(error)):
            return
        self._pause = self.loop.call_later(wait_s, self._again)

    # Endings

    def fail(self, error: BaseException) -> None:
        """End with an error: what has arrived is read first. The first ending wins."""
        if self._outcome is not Outcome.RUNNING or self._complete:
            return
        self.error = error
        if self._stash:
            self.buffer.put(self._stash)
        if isinstance(error, FishLiveError):
            self._past.tell(error, self._facts(), attempts=self._attempts.made)
            error.trace_id = error.trace_id or self._leg.trace_id
        self.buffer.end(error)
        self._stop(Outcome.FAILED)

    def stop(
        self, outcome: Outcome = Outcome.INTERRUPTED, error: BaseException | None = None
    ) -> Interruption | None:
        """End it now, throwing away what was not read; None if it is over already.

        Args:
            outcome: How it ends.
            error: What a listener in the middle of it should see; None for a plain end.
        """
        if self.running:
            self._interruption = self.heard(self.buffer.queued_bytes)
            self.buffer.discard(error)
            self._stop(outcome)
        return self._interruption

    def heard(self, dropped_bytes: int = 0) -> Interruption:
        """Return what was heard of it by now."""
        facts, read_bytes = self._facts(), self.buffer.read_bytes
        return Interruption(facts.played_s, facts.playing, read_bytes, dropped_bytes, facts)

    def _stop(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._open = False
        self._ended_s = self.loop.time()
        self.sender.close()
        self._leg.cut(self.error)
        self._stop_pause()
        self._on_stop()

    # Inside

    def _new_leg(self) -> Leg:
        return Leg(
            self,
            self._line,
            self._plan.request,
            buffer=self.buffer,
            sender=self.sender,
            deadlines=self._plan.terms.deadlines,
        )

    def _facts(self) -> Facts:
        return self._past.facts(self._leg, text_ended=self.text_ended, finished=self._complete)

    def _stop_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _start_over(self, error: FishLiveError) -> bool:
        """Begin again, or fail if that is too dear; return whether it began."""
        if not self._attempts.afford(self.sender.script.text):
            self.fail(error)
            return False
        self._restart()
        return True

    def _restart(self) -> None:
        """Begin again: what came is forgotten, what was said will be said again."""
        unheard = self.buffer.queued()
        kept = len(unheard) - (self.buffer.received_bytes - self._leg.origin_bytes)
        self._stash = unheard[kept:] or self._stash
        self._past.end(self._leg)
        self.buffer.requeue(unheard[:kept])
        self._leg = self._new_leg()

    def _next_segment(self) -> None:
        """Say the text that follows over another socket."""
        text = self.sender.script.text
        self._past.end(self._leg)
        self._past.attempts += self._attempts.made
        self._attempts = Attempts(self._plan.terms)
        self._begin_anew(len(text), tags_in_force(text, len(text)))
        if self.sender.outbox.queued_bytes:
            self._ask()

    def _go_on(self, error: FishLiveError) -> bool:
        """Cut what is unheard where text and audio meet, to say the rest again; or fail.

        Returns whether there is a rest.
        """
        scene = self._past.scene(self._leg)
        how = continue_segment if self._segmented else continue_aligned
        plan = how(scene, self._plan.terms.fallback)
        rest = "" if plan is None else scene.text[plan.char :]
        if plan is None or not self._attempts.afford(plan.prefix + rest if rest else ""):
            self.fail(error)
            return False
        self._past.end(self._leg)
        self.buffer.requeue(plan.audio)
        at_s = self.credit.received_s
        self._begin_anew(plan.char, plan.prefix, plan.said_s)
        self._past.went_on(
            Resumed(error, plan.how, at_s, len(rest), plan.repeated_chars, plan.skipped_chars)
        )
        if self._outcome is not Outcome.RUNNING:  # the hook interrupted us
            return False
        if self.text_ended and not has_speech(rest + self.sender.outbox.text):
            self._segmented = False
            self.finished()  # nothing is missing but the service's word for it
            return False
        return True

    def _begin_anew(self, char: int, prefix: str, said_s: float = inf) -> None:
        """Put what was said before ``char`` behind us: the next leg says the rest again."""
        self._past.close(self._leg, char, prefix, said_s)
        self._stash = b""
        self.sender.rewrite(char, prefix)
        self._leg = self._new_leg()

    def _ask(self) -> None:
        """Ask for a socket, unless it is too early for the next attempt, or too late."""
        if self._pause is None and self._outcome is Outcome.RUNNING and not self._complete:
            if not self._leg.asked:
                self._attempts.begin(self.loop.time())
            self._leg.ask()

    def _again(self) -> None:
        self._pause = None
        if self.sender.idle:
            self.prepare()
        else:
            self._ask()

    def _on_level(self, level: Level) -> None:
        self.sender.detour()
        self._leg.level(level)
        if level is Level.FREE:
            self.wake()

    def _check_open(self) -> None:
        """Raise unless text may be added."""
        if self._outcome in {Outcome.INTERRUPTED, Outcome.ABANDONED}:
            raise UtteranceInterrupted("this utterance was interrupted: stop producing text for it")
        if self._outcome is Outcome.FAILED:
            raise StreamClosedError(f"this utterance failed: {self.error}") from self.error
        if self.text_ended:
            raise UsageError("the text of this utterance has ended; begin another one")
