"""What must hold after every conversation, whatever went wrong in it.

:func:`check` compares what both sides saw and returns what does not fit, one sentence each:

1. it ends: that is the clock's to say (:class:`fishlive.testing.clock.Stuck`);
2. one outcome, errors of our own tree only, and nothing behind the end;
3. audio that came whole is read first, in order, once, and none is invented;
4. no task, timer, socket or slot is left, and the loop had nothing to complain about;
5. what waits for the listener stays within bounds;
6. a second attempt only before the first audio, and only where it makes sense;
7. text arrives as it was said: nothing lost, twice or in another order; errors count the audio;
8. the key shows nowhere.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from fishlive.errors import FishLiveError
from fishlive.limits import BUFFER_PAUSE_BYTES, CHUNK_OVERHEAD_BYTES
from fishlive.live.stats import Outcome
from fishlive.testing.clock import VirtualLoop
from fishlive.testing.desk import Attempt
from fishlive.testing.faulty import FLOOD_MESSAGE_BYTES, LATE_AUDIO
from fishlive.testing.program import CANARY, History, SourceError, Told
from fishlive.testing.schedule import TAG
from fishlive.testing.voice import heard

MAX_ATTEMPTS: Final = 6
"""Attempts at one utterance: three by default, and as many over sockets that had died idle."""

MOST_BUFFERED_BYTES: Final = BUFFER_PAUSE_BYTES + FLOOD_MESSAGE_BYTES + CHUNK_OVERHEAD_BYTES
"""Where the socket is paused, and the message that crosses that mark."""

LOOK_DEEPER_EVERY: Final = 20
"""Tracebacks with local variables take a millisecond to write, so few are."""

ROUNDING_S: Final = 1e-6
"""What sums of seconds may be off by."""

FINAL_FAULTS: Final = ("finish:", "giant:")
"""Endings that would be the same the next time."""


def check(history: History) -> list[str]:
    """Return what does not hold, as sentences; none if all is well."""
    found = [f"the service complains: {what}" for what in history.service.desk.complaints]
    delay_s = history.schedule.weather.delay_s
    late = any(fault.kind == "late-audio" for fault in history.schedule.faults)
    for told in history.told:
        attempts = [a for a in history.service.attempts if a.request.get(TAG) == told.number]
        problems = chain(
            _ending(told),
            _audio(told, attempts, late=late),
            _text(told, attempts),
            _attempts(told, attempts, delay_s),
            _bounds(told),
        )
        found += [f"turn {told.number}: {problem}" for problem in problems]
    if history.running or history.waiting:
        found.append(f"slots: {history.running} held, {history.waiting} awaited at the end (I4)")
    taps = history.service.network.taps
    found += [
        f"connection {tap.number} is open at the end (I4)"
        for tap in taps
        if tap.socket is not None and not tap.closed
    ]
    found += _secrets(history.errors)
    if history.schedule.seed % LOOK_DEEPER_EVERY == 0 and any(
        map(_shown_with_locals, history.errors)
    ):
        found.append("the key shows in a traceback with local variables (I8)")
    return found


def check_loop(loop: VirtualLoop, left: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Return what a conversation left behind in its loop."""
    found = [f"a task is left: {task.get_name()} (I4)" for task in left]
    found += [f"a timer is left: {timer!r} (I4)" for timer in loop.timers if not _ours(timer)]
    found += [f"the loop complained: {complaint} (I4)" for complaint in loop.complaints]
    return found


def _ours(timer: asyncio.TimerHandle) -> bool:
    """Return whether a timer is the simulation's own, or a message that travels to nobody."""
    call = getattr(timer, "_callback", None)
    owner = type(getattr(call, "__self__", call)).__module__
    return owner.startswith("fishlive.testing") or owner == "fishlive.transport.pipe"


def _ending(told: Told) -> Iterator[str]:
    yield from (f"a call raised {error!r} (I2)" for error in told.odd)
    if told.outcome is Outcome.RUNNING and told.ended == "end":
        yield "its audio ended, and it still runs (I2)"
    if told.after not in {None, "end", "StreamClosedError"}:
        yield f"reading behind the end gave {told.after} (I2)"
    if told.ended == "end" and told.outcome is Outcome.FAILED:
        yield f"it failed ({told.error!r}), and its listener heard nothing of it (I2)"
    if told.ended == "error" and told.raised is not told.error and told.error is not None:
        yield f"its listener heard {told.raised!r}, its error is {told.error!r} (I2)"
    if told.outcome is Outcome.FAILED and told.error is None:
        yield "it failed without an error (I2)"
    if isinstance(told.error, SourceError) and told.error is not told.source_error:
        yield "its source's error is not the one that was raised (I2)"
    if told.error is not None and not isinstance(told.error, (FishLiveError, SourceError)):
        yield f"its error is none of ours: {told.error!r} (I2)"


def _audio(told: Told, attempts: list[Attempt], *, late: bool) -> Iterator[str]:
    audio = b"".join(told.chunks)
    if not all(told.chunks):
        yield "an empty chunk was read (I3)"
    if late and audio.startswith(LATE_AUDIO):
        # It came while the next utterance spoke over the same socket, where nothing says whose it
        # is (no message has an id); 1 schedule in 50,000.
        audio = audio[len(LATE_AUDIO) :]
        if not any(attempt.delivered.startswith(audio) for attempt in attempts):
            yield f"behind late audio, what nobody sent was read: {_flaw(audio)} (I3)"
        return
    attempt = next((a for a in attempts if audio and a.delivered.startswith(audio[:16])), None)
    if audio and attempt is None:
        yield f"audio was read that nobody sent: {audio[:16]!r} (I3)"
        return
    if attempt is None:
        if told.outcome is Outcome.FAILED and told.ended == "error" and attempts:
            yield from _whole(told, b"", attempts[-1])
        return
    if not attempt.delivered.startswith(audio):
        yield f"what was read is not what attempt {attempt.number} said: {_flaw(audio)} (I3)"
    elif attempt is not attempts[-1] and attempts[-1].delivered:
        yield f"audio of attempt {attempt.number} was read, although a later one spoke (I3)"
    elif told.ended in {"error", "end"} and told.outcome in {Outcome.FAILED, Outcome.FINISHED}:
        yield from _whole(told, audio, attempt)


def _whole(told: Told, audio: bytes, attempt: Attempt) -> Iterator[str]:
    """Say whether everything was read that came."""
    came = attempt.delivered
    if told.outcome is Outcome.FAILED:
        came = came[: len(came) - len(came) % 2] if len(came) - len(audio) == 1 else came
    if len(audio) < len(came):
        yield f"{len(came)} bytes came, {len(audio)} were read before it ended {told.outcome} (I3)"
    error = told.error
    if isinstance(error, FishLiveError) and error.audio_bytes != len(audio):
        yield f"its error counts {error.audio_bytes} bytes of audio, {len(audio)} were read (I7)"


def _flaw(audio: bytes) -> str:
    try:
        heard(audio)
    except ValueError as error:
        return str(error)
    return "too much, or another attempt's"


def _text(told: Told, attempts: list[Attempt]) -> Iterator[str]:
    said = "".join(told.said)
    for attempt in attempts:
        if not said.startswith(attempt.text):
            yield f"attempt {attempt.number} got text that was not said so: {attempt.text!r} (I7)"
        if attempt.stopped and attempt.text != said:
            yield f"attempt {attempt.number} was stopped before all was said (I7)"
    if told.outcome is Outcome.FINISHED and attempts:
        last = attempts[-1]
        # A service may say that it is done while the rest is on its way to it: if all was sent by
        # then, that is what it says when it is; 1 schedule in 80,000.
        done = (last.ending or "").startswith("finish:stop") and _all_sent(told, said)
        if last.text != said and not done:
            yield f"finished, and attempt {last.number} got only {last.text!r} of {said!r} (I7)"
        if last.ending not in {"stop", None} and not last.ending.startswith("finish:stop"):
            yield f"finished, although attempt {last.number} ended with {last.ending} (I2)"
    if told.outcome is Outcome.FINISHED and not attempts and said.strip():
        yield "finished, and nothing was ever sent (I7)"


def _all_sent(told: Told, said: str) -> bool:
    return told.stats is not None and told.stats.text_utf8_bytes == len(said.encode())


def _attempts(told: Told, attempts: list[Attempt], delay_s: float) -> Iterator[str]:
    if len(attempts) > MAX_ATTEMPTS:
        yield f"it was tried {len(attempts)} times (I6)"
    yield from _repeats(told, attempts, delay_s)
    for attempt in attempts[:-1]:
        ending = attempt.ending or ""
        if not attempt.end_delivered:
            continue
        final = ending.startswith(FINAL_FAULTS) and not ending.startswith("finish:stop")
        if attempt.first and final:
            yield f"it was tried again after {ending} (I6)"
        if ending == "stop":
            yield f"it was tried again after attempt {attempt.number} had finished (I6)"


def _repeats(told: Told, attempts: list[Attempt], delay_s: float) -> Iterator[str]:
    """Say whether anything was said again after its audio was heard."""
    if told.first_read_s is None:
        return
    for attempt in attempts[1:]:
        # What was said took the delay, and a new connection is read at once.
        if attempt.first and attempt.began_s - delay_s > told.first_read_s + ROUNDING_S:
            yield f"audio was read, and then attempt {attempt.number} was made (I6)"


def _bounds(told: Told) -> Iterator[str]:
    if told.stats is not None and told.stats.peak_buffer_bytes > MOST_BUFFERED_BYTES:
        yield f"{told.stats.peak_buffer_bytes} bytes waited at once (I5)"


def _secrets(errors: Iterable[BaseException]) -> list[str]:
    """Return which errors show the key, in themselves or in what caused them."""
    found = []
    for error in errors:
        shown = f"{error!r} {error} {error.__dict__} {error.__cause__!r} {error.__context__!r}"
        if CANARY in shown:
            found.append(f"the key shows in {type(error).__name__} (I8)")
    return found


def _shown_with_locals(error: BaseException) -> bool:
    """Return whether a traceback with all local variables would show the key."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return any(CANARY in line for line in shown.format())
