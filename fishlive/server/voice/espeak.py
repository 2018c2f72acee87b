"""espeak-ng through ctypes: one text at a time, samples and word marks out.

The library keeps process-wide state and crashes when two threads are inside it, so one thread
must own what this module returns (``owner.py`` sees to that). It is licensed under GPL-3.0 and
loaded at run time, from the ``espeakng-loader`` wheel; no part of it is copied or linked here.

Source: ``speak_lib.h`` of espeak-ng 1.52.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from ctypes import POINTER, c_char, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p
from pathlib import Path
from typing import Any, Final, NamedTuple

from fishlive.errors import ConfigError, SynthesisError
from fishlive.server.voice.speech import SAMPLE_BYTES, SPEECH_RATE_HZ

BUFFER_MS: Final = 1000
"""Speech handed over at a time, in milliseconds. Each hand-over waits for the interpreter's lock,
up to 5 ms beside a busy event loop, so few are wanted; a second is made in 1 ms, which is also
how long a cancelled text goes on."""

NORMAL_RATE_WPM: Final = 175
"""Words a minute at speed 1: espeak-ng's own default."""

SLOWEST_WPM: Final = 80
FASTEST_WPM: Final = 449
"""Bounds of the rate, in words a minute: below 80 the library refuses, from 450 on it changes to
another way of speeding up that shortens pauses to nothing."""

_SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS: Synth returns when all was handed over
_DO_NOT_EXIT: Final = 0x8000  # otherwise missing data ends the process
_UTF8: Final = 0x0001
_END_PAUSE: Final = 0x1000
_BY_CHARACTER: Final = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_EVENT_END: Final = 0
_EVENT_WORD: Final = 1

_ADVICE: Final = 'the local voice needs espeak-ng: pip install "fishlive[local]"'
_NO_MUSL: Final = (
    " (espeakng-loader has no wheel for musl, such as Alpine Linux: use an image with glibc)"
)


class _EventId(ctypes.Union):
    _fields_ = [("number", c_int), ("name", c_char_p), ("string", c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class Mark(NamedTuple):
    """A word espeak-ng begins: characters ``start`` to ``end`` of the text, at a sample."""

    start: int
    end: int
    sample: int


class Utterance(NamedTuple):
    """What came of one text; cut short if it was stopped."""

    pcm: bytes
    marks: list[Mark]


def data_path() -> Path:
    """Return the folder of voices and dictionaries. Raises ConfigError if there is none."""
    try:
        return Path(_loader().get_data_path())
    except RuntimeError as error:
        raise ConfigError(_ADVICE) from error


class Espeak:
    """The library. Make and use it in one thread, and make it once a process.

    Raises:
        ConfigError: The package is missing, or its library or data cannot be loaded.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(str(_loader().get_library_path()))
        except OSError as error:
            raise ConfigError(f"{_ADVICE}{_musl()}; its library does not load") from error
        self._declare()
        folder = os.fsencode(data_path())
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, BUFFER_MS, folder, _DO_NOT_EXIT)
        if rate != SPEECH_RATE_HZ:
            raise ConfigError(f"{_ADVICE}; its data in {data_path()} does not load ({rate})")
        self._pcm = bytearray()
        self._marks: list[Mark] = []
        self._stopped: Callable[[], bool] = bool
        # The library keeps the pointer, so the object must live as long.
        self._callback = _Callback(self._on_speech)
        self._library.espeak_SetSynthCallback(self._callback)

    def set_voice(self, name: str) -> None:
        """Choose a voice file, with ``+variant`` if wanted. Raises ConfigError if it cannot."""
        if status := self._library.espeak_SetVoiceByName(name.encode()):
            raise ConfigError(
                f"espeak-ng cannot load the voice {name} ({status})", argument="reference_id"
            )

    def set_manner(self, *, rate_wpm: int, pitch: int, volume: int) -> None:
        """Choose words a minute, pitch (0 to 100) and amplitude (percent of its normal one)."""
        for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_VOLUME, volume)):
            self._library.espeak_SetParameter(parameter, value, 0)

    def speak(
        self, text: str, *, end_pause: bool = False, stopped: Callable[[], bool] = bool
    ) -> Utterance:
        """Say ``text``, which has no NUL. ``stopped`` is asked every BUFFER_MS of speech.

        Raises:
            SynthesisError: The library says it failed.
        """
        self._pcm, self._marks, self._stopped = bytearray(), [], stopped
        # A lone surrogate becomes one "?", so that positions still count characters.
        encoded = text.encode("utf-8", "replace") + b"\0"
        flags = _UTF8 | (_END_PAUSE if end_pause else 0)
        status = self._library.espeak_Synth(
            encoded, len(encoded), 0, _BY_CHARACTER, 0, flags, None, None
        )
        if status:
            raise SynthesisError("error", f"espeak-ng failed with status {status}")
        return Utterance(bytes(self._pcm), self._marks)

    def _on_speech(self, wave: Any, count: int, events: Any) -> int:
        if self._stopped():
            return 1
        if wave and count > 0:
            self._pcm += ctypes.string_at(wave, count * SAMPLE_BYTES)
        at = 0
        while (event := events[at]).type != _EVENT_END:
            if event.type == _EVENT_WORD:
                start = max(event.text_position - 1, 0)
                self._marks.append(Mark(start, start + event.length, event.sample))
            at += 1
        return 0

    def _declare(self) -> None:
        self._library.espeak_Synth.argtypes = [
            c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p,
        ]  # fmt: skip
        self._library.espeak_Initialize.argtypes = [c_int, c_int, c_char_p, c_int]
        self._library.espeak_SetVoiceByName.argtypes = [c_char_p]
        self._library.espeak_SetParameter.argtypes = [c_int, c_int, c_int]
        self._library.espeak_SetSynthCallback.argtypes = [_Callback]
        self._library.espeak_SetSynthCallback.restype = None


def _loader() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise ConfigError(_ADVICE + _musl()) from error
    return espeakng_loader


def _musl() -> str:
    on_musl = sys.platform == "linux" and not _has_glibc()
    return _NO_MUSL if on_musl else ""


def _has_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False
