"""A running voice, and what the tests ask of sound."""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import AsyncIterator

import av
import pytest

from fishlive.server.voice.catalogue import Catalogue
from fishlive.server.voice.engine import Engine
from fishlive.server.voice.speech import SPEECH_RATE_HZ


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Run a voice for one test."""
    async with Engine() as running:
        yield running


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Return the catalogue of the installed espeak-ng."""
    return Catalogue()


def tone(seconds: float, *, amplitude: int = 8000, hertz: float = 440.0) -> bytes:
    """Return a sine at the rate of speech."""
    step = 2 * math.pi * hertz / SPEECH_RATE_HZ
    count = round(seconds * SPEECH_RATE_HZ)
    return array("h", [round(amplitude * math.sin(step * i)) for i in range(count)]).tobytes()


def rms(pcm: bytes) -> float:
    """Return the root mean square of 16-bit samples."""
    samples = array("h", pcm)
    return math.sqrt(sum(sample * sample for sample in samples) / max(len(samples), 1))


def decode(encoded: bytes) -> tuple[bytes, int, int]:
    """Return what a player hears: 16-bit mono samples, their rate, and the number of channels."""
    with av.open(io.BytesIO(encoded)) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.rate, stream.layout.nb_channels
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        heard = bytearray()
        for frame in [*container.decode(stream), None]:
            for part in resampler.resample(frame):
                heard += memoryview(part.planes[0])[: part.samples * 2]
    return bytes(heard), rate, channels
