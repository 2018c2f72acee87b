"""The 44 bytes in front of PCM that make it a WAV file."""

from __future__ import annotations

import struct
from typing import Final

from fishlive.audio.pcm import SAMPLE_BYTES

HEADER_BYTES: Final = 44
"""RIFF header, ``fmt `` chunk and the head of the ``data`` chunk (Microsoft's RIFF, 1991)."""

UNKNOWN_BYTES: Final = 0xFFFF_FF00
"""Size of a stream whose end is not known, in bytes: close to the largest that fits, so that
players read on until the end, and a whole number of samples."""

_PCM: Final = 1
_MONO: Final = 1
_FORMAT_BYTES: Final = 16
_AFTER_RIFF_BYTES: Final = HEADER_BYTES - 8
"""What the RIFF size counts of the header: all behind itself."""


def header(rate_hz: int, data_bytes: int = UNKNOWN_BYTES) -> bytes:
    """Return the header of 16-bit mono PCM.

    Args:
        rate_hz: Samples a second.
        data_bytes: Size of the PCM that follows; what does not fit into 32 bits is "unknown".
    """
    size = min(data_bytes, UNKNOWN_BYTES)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        size + _AFTER_RIFF_BYTES,
        b"WAVE",
        b"fmt ",
        _FORMAT_BYTES,
        _PCM,
        _MONO,
        rate_hz,
        rate_hz * SAMPLE_BYTES,
        SAMPLE_BYTES,
        8 * SAMPLE_BYTES,
        b"data",
        size,
    )
