"""One sentence, recorded by a voice that has said nothing before: the same sound in every run.

What espeak-ng says depends on all that its process has said before (it goes on with the phase of
its wave), and a recogniser that hears one sound in thirty differently is luck: measured with this
sentence as Opus, 2 of 60 lost a word.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import wave
from functools import cache
from io import BytesIO
from typing import Final

from fishlive.server.voice.encode import Encoder, Format
from fishlive.server.voice.speech import Speech
from tests.cli.command import environment

SENTENCE: Final = "We are going to the market to buy some bread and milk."

WORDS: Final = frozenset({"going", "market", "buy", "bread", "milk"})
"""What must be heard of it."""

_SAY: Final = f"""
import pickle, sys
from fishlive.server.voice.catalogue import Catalogue
from fishlive.server.voice.speaker import Speaker
speech = Speaker().say({SENTENCE!r}, voice=Catalogue().find("en-us+reed"), speed=1.0)
sys.stdout.buffer.write(pickle.dumps(speech))
"""


@cache
def speech() -> Speech:
    """Return it in the timbre that is understood best."""
    done = subprocess.run(
        [sys.executable, "-c", _SAY], env=environment(), stdout=subprocess.PIPE, check=True
    )
    said: Speech = pickle.loads(done.stdout)
    return said


def recorded(name: Format) -> bytes:
    """Return it as a file of a format, as the server would send it."""
    encoder = Encoder(format=name, sample_rate_hz=48_000 if name == "opus" else 16_000)
    return encoder.feed(speech().pcm) + encoder.finish()


def wav(pcm: bytes, *, rate_hz: int = 16_000) -> bytes:
    """Return a WAV file of 16-bit mono samples."""
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(pcm)
    return file.getvalue()
