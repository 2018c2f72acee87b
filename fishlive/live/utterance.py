"""The public face of one utterance."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Coroutine
from types import TracebackType
from typing import Any

from fishlive.errors import ConcurrentIterationError, ConfigError, StreamClosedError, UsageError
from fishlive.limits import CLOSE_TIMEOUT_S
from fishlive.live.plan import Resumed
from fishlive.live.source import Feeder
from fishlive.live.stats import Interruption, Outcome, UtteranceStats
from fishlive.live.turn import Turn
from fishlive.text.ledger import Ledger
from fishlive.text.llm import text_of
from fishlive.wire.words import Word


class Utterance:
    """One utterance: text goes in, audio comes out, from ``start`` to ``finish``.

    Made by :meth:`LiveTTS.speak` and :meth:`LiveTTS.utterance`, never directly. Iterate it once
    to read its audio: chunks of bytes, in order. With ``format="pcm"`` each chunk is whole
    16-bit samples. Leaving it unfinished interrupts it, whichever way it is left: ``break``,
    :meth:`aclose`, ``async with``, or by dropping the last reference.
    """

    __slots__ = ("__weakref__", "_feeder", "_turn")

    def __init__(self, turn: Turn, feeder: Feeder | None) -> None:
        self._turn = turn
        self._feeder = feeder

    @property
    def outcome(self) -> Outcome:
        """``running``, ``finished``, ``interrupted``, ``failed`` or ``abandoned``.

        It is finished when all text was spoken and all audio was read.
        """
        return self._turn.outcome

    @property
    def error(self) -> BaseException | None:
        """Why it failed: known as soon as it happens, before the audio that came first is read."""
        return self._turn.error

    @property
    def stats(self) -> UtteranceStats:
        """Its numbers so far, frozen."""
        return self._turn.stats()

    @property
    def words(self) -> tuple[Word, ...]:
        """Words aligned so far, on the utterance's own clock. Needs ``timestamps=True``."""
        return self._turn.words

    @property
    def ledger(self) -> Ledger:
        """What became of every character so far: sent, spoken, heard, paid for.

        Made anew at each look: 10 µs a word, 35 with timestamps.
        """
        return self._turn.ledger

    @property
    def resumes(self) -> tuple[Resumed, ...]:
        """How it went on after its connection was lost in the middle; see ``live(resume=)``."""
        return self._turn.resumes

    @property
    def text_ended(self) -> bool:
        """Whether no more text is taken because :meth:`end` was called."""
        return self._turn.text_ended

    async def send(self, text: object) -> None:
        """Add text, verbatim, or an event of a known LLM stream; the empty string is nothing.

        Waits only for room among the text that is not sent yet. Cancelling while it waits leaves
        the text queued: it counts as sent.

        Raises:
            InvalidTextError: Not text.
            BudgetExceeded: It would cost more than the channel's budget has left.
            UtteranceInterrupted: It was interrupted.
            StreamClosedError: It failed; the cause is why.
            UsageError: Its text has ended, or this call would wait for ever because nobody reads
                the audio.
        """
        turn = self._turn
        if turn.sender.full and not turn.iterated:
            raise UsageError("no room for text: read the audio in another task")
        if not turn.add_text(text if text.__class__ is str else text_of(text)) and turn.iterated:
            await turn.room()

    async def flush(self) -> None:
        """Ask for audio of all text so far. Nothing happens without text since the last flush.

        Never waits. Raises as :meth:`send`.
        """
        self._turn.add_flush()

    async def end(self) -> None:
        """Promise that no more text follows, so that the last words are spoken.

        Never waits. Raises as :meth:`send`.
        """
        self._turn.end_text()

    def mark_played(self, played_s: float) -> None:
        """Note that the first ``played_s`` seconds were heard; smaller values are ignored.

        From the first call on, marks (not reading) decide how far audio may run ahead. Raises
        ConfigError unless it is a finite number of seconds from 0.
        """
        self._turn.mark_played(played_s)

    def interrupt(self, played_s: float | None = None) -> Interruption:
        """Stop it now: silence, no more text. Idempotent, never waits, never raises.

        Of an utterance that is over it tells what was heard by now: players lag behind.

        Args:
            played_s: As :meth:`mark_played`, if the caller knows; nonsense is ignored.
        """
        return interrupt(self._turn, played_s)

    async def aclose(self) -> None:
        """Interrupt it if it is unfinished, and wait until its text source is closed.

        Waits twice CLOSE_TIMEOUT_S at most for a source that will not close. Cancelling leaves the
        closing to the channel.
        """
        self._turn.stop()
        task = self._feeder.task if self._feeder is not None else None
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task], timeout=2 * CLOSE_TIMEOUT_S)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Begin to read the audio.

        Raises:
            ConcurrentIterationError: Somebody reads it already; that reader is not affected.
            UsageError: It was read before.
        """
        return UtteranceIterator(self)

    async def __aenter__(self) -> Utterance:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it as :meth:`aclose` does; unread audio after the end of the text is a warning."""
        abandoned = leave(self._turn)
        await self.aclose()
        if abandoned and error is None:
            warn_abandoned()

    def __del__(self) -> None:
        drop(self._turn)

    def __repr__(self) -> str:
        return f"<fishlive.Utterance {self.outcome.value}>"


class UtteranceIterator:
    """The one reader of an utterance. Ends it when it goes away, as ``break`` makes it do."""

    __slots__ = ("_get", "_utterance")

    def __init__(self, utterance: Utterance) -> None:
        turn = utterance._turn
        if turn.iterated:
            if turn.running:
                raise ConcurrentIterationError("another task is already reading this utterance")
            raise UsageError("an utterance is read once, and this one was")
        turn.iterated = True
        self._utterance = utterance
        self._get = turn.buffer.get

    def __aiter__(self) -> UtteranceIterator:
        return self

    def __anext__(self) -> Coroutine[Any, Any, bytes]:
        """Return the next chunk. Cancelling loses none.

        Raises:
            StopAsyncIteration: All was read, or it was interrupted.
            FishLiveError: It failed; what arrived before was returned first.
            Exception: What the text source raised, the very object.
        """
        return self._get()

    async def aclose(self) -> None:
        """Close the utterance."""
        await self._utterance.aclose()

    def __del__(self) -> None:
        utterance = getattr(self, "_utterance", None)
        if utterance is not None:
            drop(utterance._turn)


def interrupt(turn: Turn, played_s: float | None) -> Interruption:
    """Stop a turn, as :meth:`Utterance.interrupt`."""
    if played_s is not None:
        with contextlib.suppress(ConfigError, TypeError, OverflowError):
            turn.mark_played(played_s)
    return turn.stop() or turn.heard()


def drop(turn: Turn) -> None:
    """Interrupt an utterance that nobody holds any more; from any thread, never raises."""
    if not turn.running or turn.loop.is_closed():
        return
    if asyncio._get_running_loop() is turn.loop:
        turn.stop()
    else:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            turn.loop.call_soon_threadsafe(turn.stop)


def leave(turn: Turn) -> bool:
    """Stop an utterance whose block is left; return whether its audio was left unread."""
    if not turn.running:
        return False
    if not turn.text_ended:
        turn.stop()
        return False
    unread = StreamClosedError("closed before all of the audio was read")
    turn.stop(Outcome.ABANDONED, unread)
    return True


def warn_abandoned() -> None:
    """Say that speech was paid for and not read."""
    warnings.warn(
        "the text of an utterance had ended, but its audio was not read to the end; "
        "read it, or call interrupt() to say that it is not wanted",
        ResourceWarning,
        stacklevel=3,
    )
