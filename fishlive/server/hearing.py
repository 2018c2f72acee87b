"""A recogniser for the local server: PocketSphinx, whose wheel brings a model of US English.

Its quality is of its time: digits, names and noise come out wrong. It is here so that everything
around it can be tried for real.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from fishlive.server.samples import opened

RATE_HZ: Final = 16_000
"""What the model was trained at, in samples a second."""

_SAMPLE_BYTES: Final = 2
_FRAMES_HZ: Final = 100
"""Frames a second in which PocketSphinx counts time."""

_WORD: Final = re.compile(r"[a-z'.-]+", re.IGNORECASE)
"""Entries of its dictionary that are said; others are silence and noise, in brackets."""

_VARIANT: Final = re.compile(r"\(\d+\)$")
"""Which pronunciation of a word was heard."""


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


def is_installed() -> bool:
    """Return whether there is a recogniser."""
    try:
        import pocketsphinx  # noqa: F401  # asked for, not used
    except ImportError:
        return False
    return True


async def hear(recording: bytes) -> Hearing:
    """Return what is said in a recording of any container. Never blocks the loop.

    One recording is heard at a time in a process. Cancelling stops it within a second of sound.

    Raises:
        NoSound: It cannot be decoded.
    """
    stopped = threading.Event()
    try:
        return await asyncio.get_running_loop().run_in_executor(
            _worker(), _hear, recording, stopped
        )
    finally:
        stopped.set()


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="fishlive-asr")


@cache
def _decoder() -> Any:
    """Return the one decoder, which takes half a second to make. Only for its thread."""
    from pocketsphinx import Decoder

    return Decoder(samprate=RATE_HZ, loglevel="FATAL")


def _hear(recording: bytes, stopped: threading.Event) -> Hearing:
    from pocketsphinx import Endpointer

    endpointer = Endpointer(sample_rate=RATE_HZ)
    decoder, words = _decoder(), list[Heard]()
    begun_s: float | None = None
    samples, rest = 0, b""
    for pcm in _decoded(recording):
        if stopped.is_set():
            break
        samples += len(pcm) // _SAMPLE_BYTES
        rest += pcm
        while len(rest) > endpointer.frame_bytes:  # the last frame is the end of the stream's
            frame, rest = rest[: endpointer.frame_bytes], rest[endpointer.frame_bytes :]
            begun_s = _listen(decoder, endpointer, endpointer.process(frame), begun_s, words)
    if rest and not stopped.is_set():
        begun_s = _listen(decoder, endpointer, endpointer.end_stream(rest), begun_s, words)
    if begun_s is not None:
        decoder.end_utt()
        words += _words(decoder, begun_s)
    return Hearing(tuple(words), samples / RATE_HZ)


def _listen(
    decoder: Any, endpointer: Any, speech: bytes | None, begun_s: float | None, words: list[Heard]
) -> float | None:
    """Decode a frame if somebody speaks; return when the utterance began, None between two."""
    if speech is None:
        return begun_s
    if begun_s is None:
        begun_s = endpointer.speech_start
        decoder.start_utt()
    decoder.process_raw(speech)
    if endpointer.in_speech:
        return begun_s
    decoder.end_utt()
    words += _words(decoder, begun_s)
    return None


def _words(decoder: Any, begun_s: float) -> Iterator[Heard]:
    if decoder.hyp() is None:
        return
    for segment in decoder.seg():
        word = _VARIANT.sub("", segment.word)
        if _WORD.fullmatch(word):
            start_s = begun_s + segment.start_frame / _FRAMES_HZ
            end_s = begun_s + (segment.end_frame + 1) / _FRAMES_HZ
            yield Heard(word, round(start_s, 3), round(end_s, 3))


def _decoded(recording: bytes) -> Iterator[bytes]:
    """Yield the recording's sound as samples, piece by piece."""
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
