"""Hears recordings, with PocketSphinx, whose wheel brings a model of US English.

Its quality is of its time: of a book read aloud two words in three are right, of the server's own
voice fewer than half (its timbre ``reed`` is understood best), and names, digits and noise come
out wrong. It is here so that everything around it can be tried for real.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from fishlive.server import recogniser
from fishlive.server.recogniser import BYTES_A_SECOND, RATE_HZ
from fishlive.server.samples import opened

AT_ONCE: Final = 2
"""Recordings heard at a time in a process; others wait. Each takes half a core as long as it
lasts, and 160 MB."""

_RUN: Final = (
    "import runpy, sys; sys.path[:] = sys.argv[2:]; runpy.run_path(sys.argv[1], {}, '__main__')"
)
"""Runs a file with the modules that this process has, and without the packages around the file."""

_SAMPLE_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Heard:
    """One word, and when it is heard, in seconds of the recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is said in a recording."""

    words: tuple[Heard, ...]
    duration_s: float

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(word.text for word in self.words)


class NoSound(Exception):
    """What was sent is no recording."""


class NoRecogniser(Exception):
    """The extra ``asr`` is not installed, or does not load."""


class Deaf(Exception):
    """The recogniser failed."""


def is_installed() -> bool:
    """Return whether there is a recogniser. Does not load it."""
    return find_spec("pocketsphinx") is not None


async def hear(recording: bytes) -> Hearing:
    """Return what is said in a recording of any container. Never blocks the loop.

    Cancelling stops it at once.

    Raises:
        NoSound: It cannot be decoded.
        NoRecogniser: There is nobody to hear it.
        Deaf: The recogniser failed.
    """
    if not is_installed():
        raise NoRecogniser
    ear = _Ear(recording)
    try:
        return await asyncio.get_running_loop().run_in_executor(_workers(os.getpid()), ear.hear)
    finally:
        ear.stop()


@cache
def _workers(_process: int) -> ThreadPoolExecutor:
    # By process: threads do not survive a fork, though an executor looks as if they did.
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fishlive-asr")


class _Ear:
    """Hears one recording, in a thread that decodes it and a process that recognises."""

    def __init__(self, recording: bytes) -> None:
        self._recording = recording
        self._lock = threading.Lock()
        self._stopped = False
        self._child: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Make it stop, from any thread. Idempotent."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()

    def hear(self) -> Hearing:
        """Hear all of it; see the function ``hear``."""
        pieces = _decoded(self._recording)
        first = next(pieces)
        with self._process() as child:
            try:
                size = self._pour(child, first, pieces)
                answer, _ = child.communicate()
            except BaseException:
                child.kill()
                raise
        if child.returncode == recogniser.MISSING:
            raise NoRecogniser
        if child.returncode != 0:
            raise Deaf(child.returncode)
        words = (Heard(*word) for word in json.loads(answer))
        return Hearing(tuple(words), size / BYTES_A_SECOND)

    def _process(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise Deaf
            # Nothing of a request is in these arguments.
            self._child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", _RUN, recogniser.__file__, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            return self._child

    def _pour(self, child: subprocess.Popen[bytes], first: bytes, rest: Iterator[bytes]) -> int:
        """Give the recogniser the sound; return how much there was."""
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        size = len(first)
        # One that failed takes no more; its exit code says why.
        with contextlib.suppress(OSError):
            child.stdin.write(first)
            for pcm in rest:
                child.stdin.write(pcm)
                size += len(pcm)
        return size


def _decoded(recording: bytes) -> Iterator[bytes]:
    """Yield the recording's sound as samples, piece by piece; at least one."""
    import av
    from av.error import FFmpegError

    sounded = False
    try:
        with opened(recording) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    sounded = True
                    yield _bytes(piece)
            for piece in resampler.resample(None) if sounded else ():
                yield _bytes(piece)
    # PyAV refuses some of what is no audio with the errors of Python instead of its own.
    except (FFmpegError, ValueError, LookupError, OSError) as error:
        if not sounded:
            raise NoSound from error
        # What came before the damage is heard.
    if not sounded:
        raise NoSound


def _bytes(frame: Any) -> bytes:
    # A plane may be longer than its samples.
    return bytes(memoryview(frame.planes[0])[: frame.samples * _SAMPLE_BYTES])
