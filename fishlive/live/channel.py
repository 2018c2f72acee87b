"""The live channel: one connection's worth of speaking, utterance after utterance."""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal

from fishlive.errors import (
    ConcurrentIterationError,
    ConfigError,
    ForkedProcessError,
    StreamClosedError,
    UsageError,
    UtteranceInterrupted,
    WrongLoopError,
)
from fishlive.flow.governor import Governor
from fishlive.limits import CLOSE_TIMEOUT_S
from fishlive.live.line import Line
from fishlive.live.plan import Plan, Terms
from fishlive.live.source import Feeder, TextSource, check_source
from fishlive.live.standby import Standby
from fishlive.live.stats import NOTHING_HEARD, Interruption, UtteranceStats
from fishlive.live.turn import Turn
from fishlive.live.utterance import (
    Utterance,
    UtteranceIterator,
    interrupt,
    leave,
    warn_abandoned,
)
from fishlive.models.tts import TTSRequest
from fishlive.transport.socket import Connect, Target

FlushMode = Literal["sentence", "never"]
Voice = str | Sequence[str] | None

_FLUSH_MODES: Final = ("sentence", "never")


class LiveTTS:
    """Speaks text as it comes: ``async with session.live(...) as live``.

    Entering connects in the background at once. One utterance is spoken at a time, and beginning
    another interrupts it; the channel outlives them all. Leaving never waits for audio: what is
    unfinished then is interrupted, and if its text had ended unread it is ``abandoned``, with one
    ResourceWarning.

    Belongs to the event loop it was entered in; not safe for use from other threads.
    """

    def __init__(
        self,
        *,
        connect: Connect,
        target: Target,
        request: Callable[[Mapping[str, Any]], TTSRequest],
        terms: Terms,
        governor: Governor | None = None,
        standby: Callable[[], Standby] | None = None,
        standby_size: int = 0,
    ) -> None:
        self._connect = connect
        self._target = target
        self._make_request = request
        self._terms = terms
        # One of its own is learnt from all the same, and has next to nothing to govern.
        self._governor = Governor() if governor is None else governor
        self._find_standby = standby
        self._standby: Standby | None = None
        self._standby_size = standby_size
        self._line: Line | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._turn: Turn | None = None
        self._feeders: set[asyncio.Task[None]] = set()
        # Weak, so that an utterance nobody holds is interrupted; strong only for those that
        # `send` began, whose holder is the channel.
        self._current: weakref.ref[Utterance] | None = None
        self._own: Utterance | None = None
        self._interrupted = False
        self._begun = asyncio.Event()
        self._request = request({})

    # Speaking

    def speak(
        self,
        source: TextSource,
        *,
        flush: FlushMode = "sentence",
        voice: Voice = None,
        extra: Mapping[str, object] | None = None,
        **overrides: object,
    ) -> Utterance:
        """Begin an utterance that speaks ``source`` while it is still being written.

        An unfinished utterance is interrupted first. To queue instead, pass one iterator that
        yields both texts.

        Args:
            source: A str, or an iterable or async iterable of str or of the stream events of
                OpenAI, Anthropic, LangChain, LiteLLM or Pydantic AI. Iterables other than str,
                list and tuple are read in a thread of their own, one item ahead.
            flush: ``sentence``: speak from the first sentence end on, however slowly text
                comes; ``never``: let the service decide.
            voice: Another voice for this utterance (a reference id, or several).
            extra: Request fields this version does not know, merged last.
            **overrides: Any other request field, but not ``model``, which is fixed when
                connecting.

        Raises:
            ConfigError: An argument is wrong. Nothing was sent, nothing was interrupted.
            UsageError: The channel is not open, or belongs to another loop or process.
        """
        self._check_here()
        check_source(source)
        plan = self._plan(flush, voice, extra, overrides)
        feeder = Feeder(source)
        turn = self._begin(plan, feeder.stop)
        feeder.start(turn)
        if feeder.task is not None:
            self._feeders.add(feeder.task)
            feeder.task.add_done_callback(self._feeders.discard)
        return self._hand_out(Utterance(turn, feeder))

    def utterance(
        self,
        *,
        flush: FlushMode = "never",
        voice: Voice = None,
        extra: Mapping[str, object] | None = None,
        **overrides: object,
    ) -> Utterance:
        """Begin an utterance that is spoken by hand: ``send``, ``flush``, ``end``.

        Arguments, interruption of an unfinished one and errors as :meth:`speak`; sentences are
        not flushed unless told.
        """
        self._check_here()
        turn = self._begin(self._plan(flush, voice, extra, overrides), _nothing)
        return self._hand_out(Utterance(turn, None))

    async def send(self, text: object) -> None:
        """Add text to the current utterance; begin one if there is none, or if it was ended.

        Waiting, cancelling and errors as :meth:`Utterance.send`. After :meth:`interrupt` it
        raises UtteranceInterrupted until :meth:`speak` or :meth:`utterance` begins the next, so
        that a producer which was not told yet cannot speak into the new turn. After a failure
        it raises StreamClosedError until :meth:`end`, or the next turn.
        """
        self._check_here()
        self._check_not_interrupted()
        utterance = self._handle()
        if utterance is None or utterance.text_ended:
            turn = self._begin(self._plan("never", None, None, {}), _nothing)
            utterance = self._own = self._hand_out(Utterance(turn, None))
        await utterance.send(text)

    async def flush(self) -> None:
        """Flush the current utterance, as :meth:`Utterance.flush`."""
        await self._present().flush()

    async def end(self) -> None:
        """End the text of the current utterance, as :meth:`Utterance.end`."""
        await self._present().end()

    def mark_played(self, played_s: float) -> None:
        """Note what was heard of the current utterance, as :meth:`Utterance.mark_played`."""
        if self._turn is not None:
            self._turn.mark_played(played_s)

    def interrupt(self, played_s: float | None = None) -> Interruption:
        """Stop the current utterance now. Idempotent, never waits, never raises.

        Its iterator ends, in whichever task; its text source is closed; its socket is cut and
        another one opened, so that stale audio cannot come. Of an utterance that is over it tells
        what was heard by now: players lag behind.

        Args:
            played_s: How much was heard, in seconds, if the caller knows.
        """
        self._interrupted = True
        return NOTHING_HEARD if self._turn is None else interrupt(self._turn, played_s)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the current utterance; wait for it if it has not begun."""
        return ChannelIterator(self)

    @property
    def stats(self) -> UtteranceStats | None:
        """Numbers of the newest utterance; None before the first."""
        return None if self._turn is None else self._turn.stats()

    # Lifetime

    async def ready(self) -> None:
        """Wait until the connection is open. Cancelling does not stop the connecting.

        Raises:
            ConnectError: It could not be opened.
            APIStatusError: The service refused.
            UsageError: The channel is not open.
        """
        await self._open_line().ready()

    async def __aenter__(self) -> LiveTTS:
        if self._line is not None or self._closed:
            raise UsageError("a channel is entered once")
        self._loop = asyncio.get_running_loop()
        if self._find_standby is not None and self._standby_size:
            self._standby = self._find_standby()
            self._standby.join(self._standby_size)
        self._line = Line(self._connect, self._target, self._governor, self._standby)
        self._line.warm(keep_error=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        abandoned = await self.shut()
        if abandoned and error is None:
            warn_abandoned()

    async def aclose(self) -> None:
        """Leave the channel, as the end of ``async with`` does. Idempotent."""
        if await self.shut():
            warn_abandoned()

    async def shut(self) -> bool:
        """Leave without a warning; return whether speech was abandoned. Cancelling cuts at once."""
        if self._closed or self._line is None:
            self._closed = True
            return False
        self._closed = True
        self._begun.set()
        abandoned = self._turn is not None and leave(self._turn)
        self._own = None
        try:
            if self._feeders:
                # Twice their own bound: a source that will not close is left behind.
                await asyncio.wait(set(self._feeders), timeout=2 * CLOSE_TIMEOUT_S)
        finally:
            await self._hang_up(self._line)
        return abandoned

    async def _hang_up(self, line: Line) -> None:
        """Close the line, and meanwhile the reserve if nobody else needs it."""
        standby, self._standby = self._standby, None
        leaving = None
        if standby is not None:
            leaving = asyncio.get_running_loop().create_task(standby.leave(self._standby_size))
        try:
            await line.aclose()
            if leaving is not None:
                await asyncio.wait([leaving])
        finally:
            if leaving is not None:
                leaving.cancel()

    def __del__(self) -> None:
        line, loop = getattr(self, "_line", None), getattr(self, "_loop", None)
        if line is not None and loop is not None and not self._closed:
            if self._pid == os.getpid():
                with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                    loop.call_soon_threadsafe(line.cut)
            warnings.warn(
                "a LiveTTS was dropped open; use `async with`", ResourceWarning, stacklevel=1
            )

    def __repr__(self) -> str:
        state = "closed" if self._closed else "new" if self._line is None else "open"
        return f"<fishlive.LiveTTS {state}>"

    # Inside

    def _plan(
        self,
        flush: FlushMode,
        voice: Voice,
        extra: Mapping[str, object] | None,
        overrides: Mapping[str, object],
    ) -> Plan:
        if flush not in _FLUSH_MODES:
            raise ConfigError(
                f"flush is one of {', '.join(_FLUSH_MODES)}, not {flush!r}", argument="flush"
            )
        if "model" in overrides:
            raise ConfigError(
                "the model is fixed when connecting; open another channel for another model",
                argument="model",
            )
        changes = {**overrides}
        if voice is not None:
            changes["voice"] = voice
        if extra is not None:
            changes["extra"] = extra
        request = self._make_request(changes) if changes else self._request
        if self._terms.resume is not None and not request.is_pcm:
            raise ConfigError("only PCM can be joined: resume needs format=pcm", argument="format")
        return Plan(request, flush == "sentence", self._terms)

    def _begin(self, plan: Plan, on_stop: Callable[[], None]) -> Turn:
        line = self._open_line()
        if self._turn is not None:
            self._turn.stop()
        self._own = None
        self._interrupted = False
        self._turn = turn = Turn(line, plan, on_stop)
        turn.prepare()
        return turn

    def _hand_out(self, utterance: Utterance) -> Utterance:
        self._current = weakref.ref(utterance)
        self._begun.set()
        return utterance

    def _handle(self) -> Utterance | None:
        return None if self._current is None else self._current()

    def _present(self) -> Utterance:
        self._check_here()
        self._check_not_interrupted()
        utterance = self._handle()
        if utterance is None:
            raise UsageError("no utterance was begun")
        return utterance

    def _check_not_interrupted(self) -> None:
        if self._interrupted:
            raise UtteranceInterrupted(
                "the channel was interrupted: stop producing text; "
                "speak() or utterance() begins the next turn"
            )

    def _check_here(self) -> None:
        self._open_line()
        if self._pid != os.getpid():  # first: asyncio knows no running loop in a child of a fork
            raise ForkedProcessError("this channel was opened before a fork; open another here")
        if self._loop is not asyncio._get_running_loop():
            raise WrongLoopError("this channel was entered in another event loop")

    def _open_line(self) -> Line:
        if self._closed:
            raise StreamClosedError("the channel is closed")
        if self._line is None:
            raise UsageError("enter the channel first: `async with session.live(...) as live`")
        return self._line

    async def _next_iterator(self) -> UtteranceIterator:
        """Return a reader of the current utterance, as soon as there is one to read."""
        while True:
            utterance, turn = self._handle(), self._turn
            if utterance is not None and turn is not None:
                if not turn.iterated:
                    return UtteranceIterator(utterance)
                if turn.running:
                    raise ConcurrentIterationError("another task is already reading this channel")
            self._open_line()
            self._begun.clear()
            await self._begun.wait()


class ChannelIterator:
    """Reads one utterance of a channel: the current one, or else the next."""

    __slots__ = ("_channel", "_reader")

    def __init__(self, channel: LiveTTS) -> None:
        self._channel = channel
        self._reader: UtteranceIterator | None = None

    def __aiter__(self) -> ChannelIterator:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk; raises as :meth:`UtteranceIterator.__anext__`."""
        if self._reader is None:
            self._reader = await self._channel._next_iterator()
        return await self._reader.__anext__()


def _nothing() -> None:
    """Stop no text source: there is none."""
