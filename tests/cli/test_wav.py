"""WAV headers, read by the standard library."""

from __future__ import annotations

import io
import struct
import wave

import pytest

from fishlive.cli.wav import HEADER_BYTES, UNKNOWN_BYTES, header


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100])
def test_the_header_describes_what_follows(rate_hz: int) -> None:
    """Channels, width, rate and length are what a reader finds."""
    with wave.open(io.BytesIO(header(rate_hz, 10) + bytes(10))) as opened:
        assert opened.getparams()[:4] == (1, 2, rate_hz, 5)


def test_an_unknown_end_is_as_far_as_it_goes() -> None:
    """A stream says the sizes that players take for endless; so does what is too large."""
    streaming = header(24_000)

    assert len(streaming) == HEADER_BYTES
    assert struct.unpack("<I", streaming[4:8]) == (4_294_967_076,)
    assert struct.unpack("<I", streaming[40:44]) == (4_294_967_040,)
    assert header(24_000, UNKNOWN_BYTES + 2) == streaming
