"""One text in one voice: the library set up, the sound evened out, the words placed."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from math import sqrt
from typing import Final

from fishlive.server.voice.catalogue import Voice
from fishlive.server.voice.espeak import FASTEST_WPM, NORMAL_RATE_WPM, SLOWEST_WPM, Espeak
from fishlive.server.voice.speech import Speech
from fishlive.server.voice.words import place

TARGET_RMS: Final = 3000
"""How loud every voice is made, as the root mean square of its samples: -21 dB of full scale,
what espeak-ng's own voices have. Its timbres lie between -31 and -10 dB, and the loud ones clip."""

_PROBE_TEXT: Final = "1 2 3 4 5"  # every language can say digits
_PROBE_VOLUME: Final = 50  # so that loud timbres do not clip while they are measured
_VOLUMES: Final = (10, 250)  # percent of normal; the faintest timbre needs 3 times
_PROBE_STRIDE: Final = 8  # samples; 0.4 ms of work for a second of speech

_CLAUSE_ENDS: Final = frozenset(
    ".!?:;,\u2026"
    "\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f"  # East Asian
    "\u060c\u061b\u061f\u0964\u0965\u1362"  # Arabic, Devanagari, Ethiopic
)
_CLOSERS: Final = "\"')]}\u00bb\u2019\u201d\u300d\u300f\u3011\uff09"


class Speaker:
    """Speaks, remembering what was set last. As espeak-ng itself, for one thread only."""

    def __init__(self) -> None:
        self._espeak = Espeak()
        self._loaded = ""
        self._volumes: dict[str, int] = {}

    def say(
        self, text: str, *, voice: Voice, speed: float, stopped: Callable[[], bool] = bool
    ) -> Speech:
        """Say ``text``, as ``words.clean`` leaves it; cut short once ``stopped`` says so.

        Raises:
            ConfigError: The voice does not load.
            SynthesisError: espeak-ng failed.
        """
        volume = self._load(voice.espeak_name)
        rate_wpm = min(max(round(NORMAL_RATE_WPM * speed), SLOWEST_WPM), FASTEST_WPM)
        self._espeak.set_manner(rate_wpm=rate_wpm, pitch=voice.pitch, volume=volume)
        # Without the flag a text's last pause is dropped; it is wanted where a clause ends.
        end_pause = text.rstrip().rstrip(_CLOSERS)[-1:] in _CLAUSE_ENDS
        pcm, marks = self._espeak.speak(text, end_pause=end_pause, stopped=stopped)
        if stopped():
            self._loaded = ""  # what an aborted text leaves behind is set anew
            return Speech()
        return Speech(pcm, place(text, marks, pcm))

    def _load(self, name: str) -> int:
        if name != self._loaded:
            self._loaded = ""
            self._espeak.set_voice(name)
            if name not in self._volumes:
                self._volumes[name] = self._measure()
            self._loaded = name
        return self._volumes[name]

    def _measure(self) -> int:
        """Return the volume, in percent, at which the loaded voice is as loud as the others."""
        self._espeak.set_manner(rate_wpm=NORMAL_RATE_WPM, pitch=50, volume=_PROBE_VOLUME)
        samples = array("h", self._espeak.speak(_PROBE_TEXT).pcm)[::_PROBE_STRIDE]
        rms = sqrt(sum(sample * sample for sample in samples) / max(len(samples), 1))
        low, high = _VOLUMES
        return min(max(round(_PROBE_VOLUME * TARGET_RMS / max(rms, 1)), low), high)
