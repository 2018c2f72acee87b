"""The voice of one server: espeak-ng and the encoders, none of it on the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from fishlive.server.request import Order
from fishlive.server.voice.catalogue import Catalogue, Voice
from fishlive.server.voice.encode import Encoder
from fishlive.server.voice.engine import Engine, Speech
from fishlive.server.voice.threads import EncodingThreads

T = TypeVar("T")


class Keeper(Protocol):
    """Has voices besides the engine's."""

    def __contains__(self, reference_id: object) -> bool:
        """Return whether an id is its business, even if it has no voice for it now."""

    def find(self, reference_id: str) -> Voice | None:
        """Return the voice of an id, None if it cannot speak."""


class Studio:
    """Finds voices, speaks and encodes. Used once: start, close.

    Args:
        keeper: Has the voices that were made here.
    """

    def __init__(self, keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        self._engine = Engine()
        self._catalogue = Catalogue()
        self._threads = EncodingThreads()

    async def start(self) -> None:
        """Get ready. Raises ConfigError, with the command to run, if the extra is missing."""
        try:
            await self._threads.run(partial(_warm_up, self._catalogue))
            await self._engine.start()
        except BaseException:
            await self._threads.aclose()
            raise

    async def aclose(self) -> None:
        """Drop what is unsaid; waits a few milliseconds for what is being made. Idempotent."""
        await self._engine.aclose()
        await self._threads.aclose()

    def find(self, reference_id: str | None) -> Voice | None:
        """Return the voice of an id: made here, or the engine's; None if there is none."""
        if reference_id is not None and self._keeper and reference_id in self._keeper:
            return self._keeper.find(reference_id)
        return self._catalogue.find(reference_id)

    def timbres(self) -> tuple[Voice, ...]:
        """Return voices that could be persons', to design others from."""
        return self._catalogue.natural()

    async def work(self, job: Callable[[], T]) -> T:
        """Do a job of some length in one of the threads that encode."""
        return await self._threads.run(job)

    async def say(self, text: str, *, voice: Voice, speed: float) -> Speech:
        """Return ``text`` spoken. Cancelling stops at once."""
        return await self._engine.say(text, voice=voice, speed=speed)

    async def encoder(self, order: Order) -> Encoder:
        """Return an encoder for one utterance: one container."""
        return await self._threads.run(
            partial(
                Encoder,
                format=order.format,
                sample_rate_hz=order.sample_rate_hz,
                mp3_bitrate_kbps=order.mp3_bitrate_kbps,
                opus_bitrate_bps=order.opus_bitrate_bps,
                volume_db=order.volume_db,
            )
        )

    async def encode(self, encoder: Encoder, pieces: Sequence[bytes]) -> list[bytes]:
        """Return what ``encoder`` makes of each piece of PCM. One call at a time an encoder."""
        return await self._threads.run(lambda: [encoder.feed(piece) for piece in pieces])

    async def finish(self, encoder: Encoder) -> bytes:
        """Return the end of the container."""
        return await self._threads.run(encoder.finish)


def _warm_up(catalogue: Catalogue) -> None:
    """Read the catalogue and load PyAV, so that no request waits for either, or fails for it."""
    catalogue.find(None)
    Encoder(format="mp3", sample_rate_hz=44_100).finish()
