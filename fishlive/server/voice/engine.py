"""The voice as the server sees it: text in, speech out, the loop never blocked."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final

from fishlive.errors import ConfigError, StreamClosedError, UsageError
from fishlive.server.voice.catalogue import Voice
from fishlive.server.voice.owner import PROCESS, Job, Owner
from fishlive.server.voice.speech import SPEECH_RATE_HZ, Speech, SpokenWord
from fishlive.server.voice.words import clean, is_speakable

__all__ = ["SPEECH_RATE_HZ", "Engine", "Speech", "SpokenWord"]

SLOWEST, FASTEST = 0.5, 2.0
"""Range of ``prosody.speed`` (OpenAPI description, 2026-09); espeak-ng has twice as much."""

_SILENCE: Final = Speech()


class Engine:
    """Speaks. Any number may exist in a process; one thread behind them does all the work.

    The thread begins with the first engine that starts and ends with the last that closes. Texts
    take turns of a sentence or so, first come, first served, whichever engine they came through.
    """

    def __init__(self) -> None:
        self._owner: Owner | None = None
        self._closed = False
        self._jobs: set[Job] = set()

    async def start(self) -> None:
        """Take a share in the thread, and have espeak-ng and the catalogue loaded by it.

        Raises:
            ConfigError: espeak-ng is missing or does not load.
            StreamClosedError: The engine was closed.
        """
        if self._closed:
            raise StreamClosedError("the voice was closed")
        if self._owner is not None:
            return
        self._owner = PROCESS.owner
        self._owner.take()
        try:
            if not self._owner.warm:
                await self._do(self._owner, Job(""))
        except BaseException:  # cancelled, too: nobody would close an engine that did not start
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Drop what is unsaid; its waiters get StreamClosedError. Idempotent.

        The last engine waits until the thread has left espeak-ng, a matter of milliseconds.
        """
        self._closed = True
        owner, self._owner = self._owner, None
        if owner is None:
            return
        for job in self._jobs:
            job.dropped = True
            job.fail(StreamClosedError("the voice was closed"))
        loop = asyncio.get_running_loop()
        left = asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(left.set)

        owner.give_back(tell)
        await left.wait()

    async def __aenter__(self) -> Engine:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def say(self, text: str, *, voice: Voice, speed: float = 1.0) -> Speech:
        """Say ``text``, with every word's time; silent if there is no letter or digit in it.

        Control characters and emoji are left out. Cancelling stops espeak-ng at once and serves
        the next text. The same text sounds a little different each time.

        Args:
            text: Plain text, without directions or tags; best no longer than 300 characters.
            voice: From the Catalogue.
            speed: 0.5 to 2.

        Raises:
            ConfigError: espeak-ng is missing, the voice does not load, or speed is out of range.
            SynthesisError: espeak-ng failed.
            StreamClosedError: The engine was closed before the text was said.
            UsageError: The engine was not started; ForkedProcessError, if in the parent process.
        """
        if self._owner is None:
            wrong = StreamClosedError if self._closed else UsageError
            raise wrong("the voice is not running: use it inside `async with`")
        if not SLOWEST <= speed <= FASTEST:
            raise ConfigError(f"speed {speed}: expected {SLOWEST} to {FASTEST}", argument="speed")
        speakable = clean(text)
        if not is_speakable(speakable):
            return _SILENCE
        return await self._do(self._owner, Job(speakable, voice=voice, speed=speed))

    async def _do(self, owner: Owner, job: Job) -> Speech:
        self._jobs.add(job)
        owner.put(job)
        try:
            return await job.done
        finally:
            job.dropped = True
            self._jobs.discard(job)
