"""Speech into what the service sends: wav, pcm, mp3, Ogg Opus, as it streams.

Source: API facts on formats (create-speech page and OpenAPI description, 2026-08 and 2026-09).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from fishlive.errors import ConfigError, SynthesisError, UsageError
from fishlive.server.voice.speech import SAMPLE_BYTES, SPEECH_RATE_HZ

Format: TypeAlias = Literal["wav", "pcm", "mp3", "opus"]

SAMPLE_RATES_HZ: Final = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
"""Every rate that the service has with some format (create-speech page, 2026-08)."""

LOUDEST_DB: Final = 20.0
"""Range of ``prosody.volume``, up and down (API introduction, 2026-08)."""

OPUS_AUTO_BPS: Final = -1000
"""``opus_bitrate`` that leaves the choice to the encoder (OpenAPI description, 2026-09)."""

_OPUS_USUAL_BPS: Final = 48_000  # near what libopus itself takes for mono at 48 kHz

_RIFF_BYTES: Final = 4_294_967_076
_DATA_BYTES: Final = 4_294_967_040
"""Sizes in a streamed wav header: the service's own placeholders (OpenAI-compatible page, 2026-08;
seen by others). The length is not known yet, so readers count bytes instead."""

_TYPES: Final[dict[str, str]] = {
    "wav": "audio/wav", "pcm": "audio/pcm", "mp3": "audio/mpeg", "opus": "audio/opus",
}  # fmt: skip


class _Recipe(NamedTuple):
    """How PyAV makes one format."""

    muxer: str
    codec: str
    sample_format: str
    muxer_options: dict[str, str]
    codec_options: dict[str, str]


_RECIPES: Final = {
    "mp3": _Recipe(
        "mp3",
        "libmp3lame",
        "s16p",
        # A Xing frame would be written last, an ID3 tag first: both only cost a stream time.
        {"write_xing": "0", "id3v2_version": "0"},
        # Without the bit reservoir a frame needs none of the next ones: sound after 80 ms. The
        # fastest of lame's algorithms, as encoding is what limits how many can speak at once, and
        # nothing above what the voice has: 5 % less work.
        {"reservoir": "0", "compression_level": "9", "cutoff": str(SPEECH_RATE_HZ // 2)},
    ),
    "opus": _Recipe(
        "ogg",
        "libopus",
        "s16",
        # In microseconds. The muxer would hold back a second or two for fuller pages; a page for
        # each packet of 20 ms would add 11 kbit/s of headers, three packets add 4.
        {"page_duration": "60000"},
        # From complexity 7 on, analysing the sound costs three times the rest of the work.
        {"compression_level": "5", "vbr": "constrained"},
    ),
}


class Encoder:
    """Encodes one utterance: feed it speech, send what comes back, finish it once.

    Not for two threads at a time. Speech is resampled and made louder or softer on the way;
    what becomes too loud is clipped.

    Args:
        format: ``wav`` and ``pcm`` are signed 16-bit little-endian mono.
        sample_rate_hz: One of SAMPLE_RATES_HZ; Opus takes 8, 16, 24 and 48 kHz.
        mp3_bitrate_kbps: 64, 128 or 192.
        opus_bitrate_bps: In bits a second; OPUS_AUTO_BPS leaves the choice here.
        volume_db: From -20 to 20.

    Raises:
        ConfigError: PyAV is missing, or does not take the combination.
    """

    def __init__(
        self,
        *,
        format: Format,  # noqa: A002 - the API's own name
        sample_rate_hz: int,
        mp3_bitrate_kbps: int = 128,
        opus_bitrate_bps: int = OPUS_AUTO_BPS,
        volume_db: float = 0.0,
    ) -> None:
        if format not in _TYPES:
            raise ConfigError(f"unknown format {format!r}", argument="format")
        if sample_rate_hz not in SAMPLE_RATES_HZ:
            raise ConfigError(f"unknown sample rate {sample_rate_hz}", argument="sample_rate")
        if not -LOUDEST_DB <= volume_db <= LOUDEST_DB:
            raise ConfigError(f"volume {volume_db}: expected -20 to 20 dB", argument="volume")
        self.format = format
        self._finished = False
        self._rest = b""
        recipe = _RECIPES.get(format)
        sample_format = recipe.sample_format if recipe else "s16"
        self._shaper = _Shaper(sample_rate_hz, sample_format, volume_db)
        self._packer: _Packer
        if recipe is None:
            self._packer = _Raw(_wav_header(sample_rate_hz) if format == "wav" else b"")
        else:
            auto = _OPUS_USUAL_BPS if opus_bitrate_bps == OPUS_AUTO_BPS else opus_bitrate_bps
            bitrate_bps = mp3_bitrate_kbps * 1000 if format == "mp3" else auto
            self._packer = _Container(recipe, sample_rate_hz, bitrate_bps)

    @property
    def content_type(self) -> str:
        """The media type, as the service names it."""
        return _TYPES[self.format]

    def feed(self, pcm: bytes) -> bytes:
        """Take speech at SPEECH_RATE_HZ, cut anywhere; return what can be sent by now.

        Raises:
            UsageError: It was finished.
            SynthesisError: PyAV failed.
        """
        if self._finished:
            raise UsageError("the encoder was finished")
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % SAMPLE_BYTES
        self._rest = pcm[whole:]
        try:
            return self._packer.pack(self._shaper.shape(pcm[:whole]))
        except _av().FFmpegError as error:
            raise SynthesisError("error", f"encoding {self.format} failed") from error

    def finish(self) -> bytes:
        """Return the tail, after which the container is complete. Errors as in feed.

        Half a sample that was left over is dropped.
        """
        if self._finished:
            raise UsageError("the encoder was finished")
        self._finished = True
        try:
            return self._packer.pack(self._shaper.flush()) + self._packer.close()
        except _av().FFmpegError as error:
            raise SynthesisError("error", f"encoding {self.format} failed") from error


class _Shaper:
    """Turns samples at SPEECH_RATE_HZ into frames of another rate, format and loudness."""

    def __init__(self, rate_hz: int, sample_format: str, volume_db: float) -> None:
        self._av = av = _av()
        self._resampler = av.AudioResampler(format=sample_format, layout="mono", rate=rate_hz)
        self._volume = _volume_graph(volume_db) if volume_db else None
        self._samples = 0

    def shape(self, pcm: bytes) -> list[Any]:
        if not pcm:
            return []
        count = len(pcm) // SAMPLE_BYTES
        frame = self._av.AudioFrame(format="s16", layout="mono", samples=count)
        frame.planes[0].update(pcm)
        frame.sample_rate = SPEECH_RATE_HZ
        frame.time_base = Fraction(1, SPEECH_RATE_HZ)
        frame.pts = self._samples
        self._samples += count
        if self._volume is not None:
            self._volume.push(frame)
            frame = self._volume.pull()
        resampled: list[Any] = self._resampler.resample(frame)
        return resampled

    def flush(self) -> list[Any]:
        """Return what the resampler still holds: some 20 samples that needed a future."""
        flushed: list[Any] = self._resampler.resample(None) if self._samples else []
        return flushed


def _volume_graph(volume_db: float) -> Any:
    """Return a filter that gives a frame for each frame: floats, so that clipping comes last."""
    graph = _av().filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SPEECH_RATE_HZ,
        format="s16",
        layout="mono",
        time_base=Fraction(1, SPEECH_RATE_HZ),
    )
    volume = graph.add("volume", f"volume={volume_db}dB:precision=float")
    graph.link_nodes(source, volume, graph.add("abuffersink")).configure()
    return graph


class _Packer(Protocol):
    def pack(self, frames: Iterable[Any]) -> bytes: ...

    def close(self) -> bytes: ...


class _Raw:
    """Samples as they are, behind a header if there is one."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def pack(self, frames: Iterable[Any]) -> bytes:
        header, self._header = self._header, b""
        # A plane may be longer than its samples.
        planes = (memoryview(f.planes[0])[: f.samples * SAMPLE_BYTES] for f in frames)
        return b"".join((header, *planes))

    def close(self) -> bytes:
        return b""


class _Container:
    """One codec in one container, written into memory and drained after each packet."""

    def __init__(self, recipe: _Recipe, rate_hz: int, bitrate_bps: int) -> None:
        av = _av()
        self._sink = _Sink()
        try:
            self._muxer = av.open(
                self._sink, "w", format=recipe.muxer, options=dict(recipe.muxer_options)
            )
            self._stream = self._muxer.add_stream(
                recipe.codec, rate=rate_hz, options=dict(recipe.codec_options)
            )
            self._stream.bit_rate = bitrate_bps
            self._stream.layout = "mono"
            self._stream.format = recipe.sample_format
            self._muxer.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise ConfigError(
                f"{recipe.codec} takes no {rate_hz} Hz at {bitrate_bps} bit/s",
                argument="sample_rate",
            ) from error

    def pack(self, frames: Iterable[Any]) -> bytes:
        for frame in frames:
            self._muxer.mux(self._stream.encode(frame))
        return self._sink.take()

    def close(self) -> bytes:
        self._muxer.mux(self._stream.encode(None))
        self._muxer.close()
        return self._sink.take()


class _Sink:
    """The file that PyAV believes it writes: it cannot seek, as a socket cannot."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


def _wav_header(rate_hz: int) -> bytes:
    """Return 44 bytes: RIFF, one `fmt ` chunk of PCM (1), mono, 16 bit, and the start of `data`."""
    layout = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * SAMPLE_BYTES, SAMPLE_BYTES, 16)
    return b"".join((
        b"RIFF", struct.pack("<I", _RIFF_BYTES), b"WAVE",
        b"fmt ", struct.pack("<I", len(layout)), layout,
        b"data", struct.pack("<I", _DATA_BYTES),
    ))  # fmt: skip


def _av() -> Any:
    try:
        import av
        import av.filter
    except ImportError as error:
        raise ConfigError('encoding needs PyAV: pip install "fishlive[local]"') from error
    return av
