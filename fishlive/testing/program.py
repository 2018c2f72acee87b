"""Plays a schedule with the real client and keeps what both sides saw.

The client is an ordinary program: tasks that send, one that reads, one that interrupts. Nothing
here reaches into the channel; what it learns it learns as a caller does.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fishlive.errors import FishLiveError
from fishlive.live.channel import LiveTTS
from fishlive.live.stats import Outcome, UtteranceStats
from fishlive.live.utterance import Utterance
from fishlive.session import Session
from fishlive.testing.lockstep import Threads
from fishlive.testing.model import Service
from fishlive.testing.schedule import BY_HAND, TAG, Listener, Schedule, Step, Stop, Turn

CANARY: Final = "canary-5e1f"
"""How every key of a simulation begins; it must not show anywhere."""

GRACE_S: Final = 1.0
"""How long an utterance that nobody ends, or nobody reads, is left alone, in virtual seconds."""

MOST_RETURNS: Final = 10
"""How often a listener without patience gives up waiting for one chunk."""

PLAYER_S: Final = 0.3
"""What a player has buffered, in seconds."""

BYTES_PER_S: Final = {"pcm": 48_000, "mp3": 16_000}
"""What a second of audio takes, by format: 24 kHz PCM, and mp3 of 128 kbit/s."""

_KEYS: Final = itertools.count()
"""Each conversation is an account of its own, so that none learns from another."""


class SourceError(Exception):
    """What a text source raises; must come out as it is."""


@dataclass(slots=True)
class Told:
    """One utterance as its caller saw it.

    Attributes:
        number: Which turn, from 1.
        turn: What it was to be.
        said: Text that was handed over, in order.
        chunks: Audio that was read, in order.
        first_read_s: When the first of it was read, by the loop's clock; None before.
        ended: How reading ended: ``end``, ``left``, ``cancelled``, ``error`` or None.
        raised: What the listener was told.
        error: What the utterance says went wrong.
        outcome: How it stood at the end.
        stats: Its numbers at the end.
        source_error: What its own source raised.
        after: What reading once more gave after the end.
        odd: What a call raised that no caller expects.
        complete: Whether the caller's text was ended.
    """

    number: int
    turn: Turn
    said: list[str] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    first_read_s: float | None = None
    ended: str | None = None
    raised: BaseException | None = None
    error: BaseException | None = None
    outcome: Outcome | None = None
    stats: UtteranceStats | None = None
    source_error: SourceError | None = None
    after: str | None = None
    odd: list[BaseException] = field(default_factory=list)
    complete: bool = False


@dataclass(slots=True)
class History:
    """A conversation, as both sides saw it.

    Attributes:
        schedule: What it was to be.
        service: The service's side.
        told: The caller's side, turn by turn.
        key: The API key.
        running: Slots still held at the end.
        waiting: Who still waited for one.
        errors: Every error anybody saw.
    """

    schedule: Schedule
    service: Service
    told: list[Told]
    key: str
    running: int = 0
    waiting: int = 0
    errors: list[BaseException] = field(default_factory=list)


async def play(schedule: Schedule, threads: Threads, begun: Callable[[History], object]) -> History:
    """Play a schedule to its end; ``begun`` gets the history as soon as there is one."""
    service = Service(
        schedule.manner, faults=schedule.faults, weather=schedule.weather, seed=schedule.seed
    )
    key = f"{CANARY}-{next(_KEYS)}"
    history = History(schedule, service, [], key)
    begun(history)
    try:
        async with Session(
            key,
            base_url="http://127.0.0.1:9",
            transport=service.connect,
            concurrency=schedule.concurrency,
        ) as fish:
            live = fish.live(
                credit_s=schedule.credit_s,
                timestamps=schedule.timestamps,
                format=schedule.format,
            )
            await _converse(live, history, threads)
            for _ in range(10):
                await asyncio.sleep(0)
            history.running, history.waiting = fish.governor.running, fish.governor.waiting
    finally:
        await service.aclose()
    return history


async def _converse(live: LiveTTS, history: History, threads: Threads) -> None:
    """Speak every turn, and leave when the schedule says so."""
    schedule = history.schedule
    speakers: list[Speaker] = []
    async with live:
        talk = asyncio.create_task(_talk(live, history, threads, speakers), name="program")
        await asyncio.wait([talk], timeout=schedule.leave_after_s)
        talk.cancel()
    await asyncio.wait([talk])
    for speaker in speakers:
        await speaker.over()


async def _talk(live: LiveTTS, history: History, threads: Threads, speakers: list[Speaker]) -> None:
    for number, turn in enumerate(history.schedule.turns, 1):
        speaker = Speaker(live, Told(number, turn), history, threads)
        speakers.append(speaker)
        history.told.append(speaker.told)
        if not speaker.begin():
            continue
        if turn.next_after_s is None:
            await speaker.over()
        else:
            await asyncio.sleep(turn.next_after_s)


class Speaker:
    """One turn of the caller: begins an utterance, feeds it, hears it, stops it."""

    def __init__(self, live: LiveTTS, told: Told, history: History, threads: Threads) -> None:
        self.told = told
        self._turn = told.turn
        self._live = live
        self._history = history
        self._threads = threads
        self._utterance: Utterance | None = None
        self._listening: asyncio.Task[None] | None = None
        self._feeding: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> bool:
        """Begin the utterance; False if the channel does not let it."""
        turn, live = self._turn, self._live
        extra = {TAG: self.told.number}
        try:
            if turn.way in BY_HAND:
                self._utterance = live.utterance(flush=turn.flush, extra=extra)
            else:
                self._utterance = live.speak(self._source(), flush=turn.flush, extra=extra)
        except FishLiveError as error:
            self._see(error)
            return False
        self._note("begins")
        if turn.listener is not None:
            self._listening = self._start(self._listen(), "listener")
        if turn.way in BY_HAND:
            self._feeding = [self._start(self._feed(p), "producer") for p in turn.producers]
        for stop in turn.stops:
            self._start(self._stop(stop), f"stop {stop.verb}")
        return True

    async def over(self) -> None:
        """Wait until it is over, ending it if nobody else does."""
        if self._feeding:
            await asyncio.wait(self._feeding)
        if self._listening is None or (self._feeding and not self.told.complete):
            await asyncio.sleep(GRACE_S)
            if self._utterance is not None:
                self._utterance.interrupt()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._look()

    def _start(self, coroutine: Coroutine[Any, Any, None], who: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._careful(coroutine), name=f"{who} {self.told.number}")
        self._tasks.append(task)
        return task

    async def _careful(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except FishLiveError as error:
            self._see(error)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self.told.odd.append(error)

    def _look(self) -> None:
        """Note how the utterance stands."""
        utterance, told = self._utterance, self.told
        if utterance is not None:
            told.outcome, told.error = utterance.outcome, utterance.error
            told.stats = utterance.stats
            self._note(f"is {told.outcome}, {type(told.error).__name__}")
            self._utterance = None

    def _see(self, error: BaseException) -> None:
        self._history.errors.append(error)
        self._note(f"sees {type(error).__name__}: {error}")

    def _note(self, what: str) -> None:
        self._history.service.network.journal.note(f"turn {self.told.number}", what)

    # Listening

    async def _listen(self) -> None:
        told, listener, utterance = self.told, self._turn.listener, self._utterance
        assert listener is not None and utterance is not None  # noqa: S101, PT018 - it was begun
        chunks = (self._live if self._turn.way == "channel" else utterance).__aiter__()
        del utterance
        try:
            await self._read(chunks, listener)
        except asyncio.CancelledError:
            told.ended = "cancelled"
            raise
        except (FishLiveError, SourceError) as error:
            told.ended, told.raised = "error", error
            self._see(error)
        except StopAsyncIteration:
            told.ended = "end"
        if told.ended != "left":
            await self._read_again(chunks)

    async def _read(self, chunks: AsyncIterator[bytes], listener: Listener) -> None:
        told, naps, read_bytes = self.told, dict(listener.naps), 0
        bytes_per_s = BYTES_PER_S[self._history.schedule.format]
        while True:
            chunk = await self._next(chunks, listener.patience_s)
            told.chunks.append(chunk)
            if told.first_read_s is None:
                told.first_read_s = asyncio.get_running_loop().time()
            self._note(f"reads {len(chunk)} bytes")
            number = len(told.chunks)
            if number == listener.leave_after:
                told.ended = "left"
                return
            read_bytes += len(chunk)
            if listener.marks_every:
                self._marks(read_bytes / bytes_per_s, now=number % listener.marks_every == 0)
            if number in naps:
                await asyncio.sleep(naps[number])

    async def _read_again(self, chunks: AsyncIterator[bytes]) -> None:
        """Note what comes behind the end: nothing."""
        try:
            await chunks.__anext__()
        except StopAsyncIteration:
            self.told.after = "end"
        except FishLiveError as error:
            self.told.after = type(error).__name__
        else:
            self.told.after = "audio"

    async def _next(self, chunks: AsyncIterator[bytes], patience_s: float | None) -> bytes:
        """Wait for a chunk; with little patience, by giving up and coming back."""
        for _ in range(MOST_RETURNS if patience_s is not None else 0):
            step = asyncio.ensure_future(chunks.__anext__())
            try:
                await asyncio.wait([step], timeout=patience_s)
            finally:
                if not step.done():
                    step.cancel()
                    await asyncio.wait([step])
            if not step.cancelled():
                return step.result()
        return await chunks.__anext__()

    def _marks(self, played_s: float, *, now: bool) -> None:
        """Mark as played now, or as a player does that goes on."""
        if now:
            self._mark(played_s)
        else:
            asyncio.get_running_loop().call_later(PLAYER_S, self._mark, played_s)

    def _mark(self, played_s: float) -> None:
        if self._utterance is not None:
            self._utterance.mark_played(played_s)

    # Feeding

    async def _feed(self, steps: tuple[Step, ...]) -> None:
        voice: Any = self._live if self._turn.way == "channel" else self._utterance
        for step in steps:
            if step.verb == "wait":
                await asyncio.sleep(step.seconds)
            elif step.verb == "say":
                await self._send(voice, step.text)
            elif step.verb == "flush":
                await voice.flush()
            elif step.verb == "end":
                await self._wait_for_others()
                await voice.end()
                self.told.complete = True

    async def _wait_for_others(self) -> None:
        if others := set(self._feeding) - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def _send(self, voice: Any, text: str) -> None:
        # It counts from the call on: cancelling a send that waits leaves the text queued.
        said = self.told.said
        said.append(text)
        place = len(said) - 1
        try:
            await voice.send(text)
        except FishLiveError:
            said[place] = ""  # refused
            raise

    def _source(self) -> Any:
        steps, way = self._turn.producers[0], self._turn.way
        pieces = [step.text for step in steps if step.verb == "say"]
        if way in {"text", "list"}:
            self.told.said.extend(pieces)
            return "".join(pieces) if way == "text" else pieces
        return self._pull(steps) if way == "sync" else self._stream(steps)

    async def _stream(self, steps: tuple[Step, ...]) -> AsyncIterator[Any]:
        for step in steps:
            if step.verb == "wait":
                await asyncio.sleep(step.seconds)
            else:
                yield self._item(step)

    def _pull(self, steps: tuple[Step, ...]) -> Iterator[Any]:
        for step in steps:
            if step.verb == "wait":
                self._threads.sleep(step.seconds)
            else:
                yield self._item(step)

    def _item(self, step: Step) -> Any:
        if step.verb == "raise":
            self.told.source_error = SourceError("the source failed")
            raise self.told.source_error
        if step.verb == "bad":
            return 7
        self.told.said.append(step.text)
        return step.text

    # Stopping

    async def _stop(self, stop: Stop) -> None:
        await asyncio.sleep(stop.at_s)
        self._note(f"stop: {stop.verb}")
        utterance = self._utterance
        if utterance is None:
            return
        if stop.verb == "interrupt":
            utterance.interrupt()
        elif stop.verb == "channel":
            self._live.interrupt()
        elif stop.verb == "close":
            await utterance.aclose()
        elif stop.verb == "cancel" and self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            await utterance.aclose()
        elif stop.verb == "forget":
            self._forget()

    def _forget(self) -> None:
        """Let go of it, as a program does that loses interest."""
        self._utterance = None
        if self._listening is not None:
            self._listening.cancel()
