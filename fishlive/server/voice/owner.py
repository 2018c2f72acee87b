"""The one thread of this process that is ever inside espeak-ng, and what it is asked to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from fishlive.errors import FishLiveError, ForkedProcessError, SynthesisError
from fishlive.server.voice.catalogue import Catalogue, Voice
from fishlive.server.voice.speaker import Speaker
from fishlive.server.voice.speech import Speech, join

TURN_CHARS: Final = 300
"""Longest text said in one turn, in characters: the service's own longest chunk, some 20 s of
speech or 20 ms of work, so that a long text does not keep the others waiting."""

_TURN: Final = re.compile(
    rf".{{1,{TURN_CHARS}}}(?<=[.!?\n\u3002\uff01\uff1f])\s+"  # to a sentence's end, if there is one
    rf"|.{{1,{TURN_CHARS}}}(?<=\s)"  # or to a word's
    rf"|.{{1,{TURN_CHARS}}}",
    re.DOTALL,
)


class Job:
    """One text to say. Made and awaited on a loop, worked on by the owner, a turn at a time.

    Without a voice it is the catalogue's default, looked up by the owner: that reads files.

    Attributes:
        dropped: Nobody waits any more. Any thread may set it; espeak-ng stops within a second
            of speech, and the job takes no further turn.
        done: The speech, or why there is none.
    """

    def __init__(self, text: str, *, voice: Voice | None = None, speed: float = 1.0) -> None:
        self.dropped = False
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Speech] = self._loop.create_future()
        self._voice = voice
        self._speed = speed
        self._turns = deque(turns(text))
        self._said: list[Speech] = []

    def take_turn(self, speaker: Speaker) -> bool:
        """Say the next piece, in the owner's thread. Return whether more is left."""
        piece = self._turns.popleft()
        voice = self._voice or Catalogue().default
        self._said.append(
            speaker.say(piece, voice=voice, speed=self._speed, stopped=lambda: self.dropped)
        )
        if self._turns:
            return True
        self._tell(self.done.set_result, join(self._said))
        return False

    def fail(self, error: FishLiveError) -> None:
        """Pass on why there is no speech, from any thread."""
        self._tell(self.done.set_exception, error)

    def _tell(self, how: Callable[..., None], what: object) -> None:
        def tell() -> None:
            if not self.done.done():
                how(what)

        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is left to tell
            self._loop.call_soon_threadsafe(tell)


def turns(text: str) -> list[str]:
    """Cut a text into pieces of at most TURN_CHARS, where it sounds best; none is lost."""
    return [text] if len(text) <= TURN_CHARS else _TURN.findall(text)


class Owner:
    """The process's one thread in espeak-ng: there from the first user to the last.

    It is a daemon, and takes turns, first come, first served.

    Attributes:
        users: How many take and have not given back; the thread runs unless it is 0.
    """

    def __init__(self) -> None:
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        self._inside = threading.Lock()
        self.users: int = 0
        self._jobs: queue.SimpleQueue[Job | _Leave] = queue.SimpleQueue()
        self._speaker: Speaker | None = None

    @property
    def warm(self) -> bool:
        """Whether espeak-ng is loaded."""
        return self._speaker is not None

    def take(self) -> None:
        """Begin to use the thread; it starts if nobody did."""
        with self._lock:
            self.users += 1
            if self.users == 1:
                self._jobs = queue.SimpleQueue()
                threading.Thread(
                    target=self._run, args=(self._jobs,), name="fishlive-voice", daemon=True
                ).start()

    def put(self, job: Job) -> None:
        """Queue a job behind all others. Only between take and give_back.

        Raises:
            ForkedProcessError: The thread is in the parent process.
        """
        if self._process_id != os.getpid():
            raise ForkedProcessError("the voice was started before a fork, in the parent process")
        self._jobs.put(job)

    def give_back(self, then: Callable[[], None]) -> None:
        """End one use. ``then`` is called at once, or by the thread as it ends after the last."""
        # In a forked child there is no thread, and the lock may be held for ever.
        if self._process_id != os.getpid() or not self._was_last(then):
            then()

    def _was_last(self, then: Callable[[], None]) -> bool:
        with self._lock:
            self.users -= 1
            if not self.users:
                self._jobs.put(_Leave(then))
            return not self.users

    def _run(self, jobs: queue.SimpleQueue[Job | _Leave]) -> None:
        with self._inside:  # an earlier thread that is on its way out may still be in there
            while not isinstance(job := jobs.get(), _Leave):
                if not job.dropped and self._serve(job):
                    jobs.put(job)
        job.then()

    def _serve(self, job: Job) -> bool:
        """Give a job its turn; return whether it needs another."""
        try:
            # Once a process: the library stays loaded when the thread goes.
            self._speaker = self._speaker or Speaker()
            return job.take_turn(self._speaker)
        except FishLiveError as error:
            job.fail(error)
        except Exception as error:  # noqa: BLE001 - one text must not end everybody's voice
            failure = SynthesisError("error", f"the local voice failed: {type(error).__name__}")
            failure.__cause__ = error
            job.fail(failure)
        return False


class _Leave(NamedTuple):
    then: Callable[[], None]


class _Process:
    """Holds the owner. A forked child gets its own: the parent's thread is not in it."""

    def __init__(self) -> None:
        self.owner: Owner = Owner()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.owner = Owner()


PROCESS: Final = _Process()
