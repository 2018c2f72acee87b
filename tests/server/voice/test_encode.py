"""What the encoders write, a real decoder reads."""

from __future__ import annotations

import gc
import random
import sys
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishlive.errors import ConfigError, UsageError
from fishlive.server.voice.encode import Encoder, Format
from fishlive.server.voice.speech import SPEECH_RATE_HZ
from tests.server.voice.conftest import decode, rms, tone

PCM_RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
STREAMS: tuple[tuple[Format, int], ...] = (
    ("wav", 44_100),
    ("pcm", 24_000),
    ("mp3", 32_000),
    ("mp3", 44_100),
    ("opus", 48_000),
)


def encode(pcm: bytes, kind: Format, rate: int, *, step: int = 4410, volume_db: float = 0) -> bytes:
    """Encode in pieces of ``step`` bytes."""
    encoder = Encoder(format=kind, sample_rate_hz=rate, volume_db=volume_db)
    pieces = [encoder.feed(pcm[at : at + step]) for at in range(0, len(pcm), step)]
    return b"".join((*pieces, encoder.finish()))


@pytest.mark.parametrize("rate", PCM_RATES)
def test_pcm_has_the_right_length_at_every_rate(rate: int) -> None:
    """Resampling neither loses nor adds more than 2 ms."""
    pcm = encode(tone(1.5), "pcm", rate)
    assert len(pcm) % 2 == 0
    assert len(pcm) / 2 / rate == pytest.approx(1.5, abs=0.002)


@pytest.mark.parametrize("rate", PCM_RATES)
def test_resampling_keeps_the_tone_without_clicks(rate: int) -> None:
    """Across the borders of pieces the sine stays a sine of the same size and pitch."""
    amplitude, hertz = 8000, 220.0
    samples = array("h", encode(tone(1.0, hertz=hertz), "pcm", rate, step=1002))
    # No two neighbours are further apart than the steepest part of the sine, but at both ends,
    # where it begins and stops at once.
    steepest = 2 * 3.1416 * hertz / rate * amplitude
    inner = samples[rate // 100 : -rate // 100]
    assert max(abs(b - a) for a, b in pairwise(inner)) < steepest * 1.05 + 2
    assert rms(samples.tobytes()) == pytest.approx(amplitude / 2**0.5, rel=0.01)
    rises = sum(a < 0 <= b for a, b in pairwise(samples))
    assert rises == pytest.approx(hertz, abs=1)


@pytest.mark.parametrize(("kind", "rate"), STREAMS)
def test_a_decoder_hears_what_was_said(kind: Format, rate: int) -> None:
    """Duration, rate, channels and loudness survive."""
    encoded = encode(tone(2.0), kind, rate)
    if kind == "pcm":
        heard = encoded
    else:
        heard, decoded_rate, channels = decode(encoded)
        assert (decoded_rate, channels) == (rate, 1)
    # mp3 has no way to say that its first and last frames are not full.
    slack_s = 3 * 1152 / rate if kind == "mp3" else 0.002
    assert len(heard) / 2 / rate == pytest.approx(2.0, abs=slack_s)
    middle = heard[len(heard) // 4 & ~1 : len(heard) * 3 // 4 & ~1]
    assert rms(middle) == pytest.approx(8000 / 2**0.5, rel=0.1)


@pytest.mark.parametrize(("kind", "rate"), STREAMS)
def test_bytes_come_while_it_is_fed(kind: Format, rate: int) -> None:
    """After 200 ms of speech there is something to send, and at most 200 ms are held back."""
    encoder = Encoder(format=kind, sample_rate_hz=rate)
    assert encoder.feed(tone(0.2))
    early = sum(len(encoder.feed(tone(0.05))) for _ in range(40))
    tail = len(encoder.finish())
    assert tail < early / 8


@pytest.mark.parametrize(("kind", "content_type"), [
    ("wav", "audio/wav"), ("pcm", "audio/pcm"), ("mp3", "audio/mpeg"), ("opus", "audio/opus"),
])  # fmt: skip
def test_content_types_are_those_of_the_service(kind: Format, content_type: str) -> None:
    """As seen from the real service."""
    assert Encoder(format=kind, sample_rate_hz=48_000).content_type == content_type


def test_the_wav_header_is_the_services() -> None:
    """44 bytes, with the placeholder sizes 4294967076 and 4294967040."""
    header = encode(b"", "wav", 44_100)
    assert header == bytes.fromhex(
        "52494646 24ffffff 57415645"  # RIFF, size, WAVE
        "666d7420 10000000 0100 0100"  # fmt, 16 bytes, PCM, mono
        "44ac0000 88580100 0200 1000"  # 44100, 88200 bytes a second, 2 a sample, 16 bits
        "64617461 00ffffff"  # data, size
    )
    assert encode(tone(0.1), "wav", 44_100).startswith(header)


def test_mp3_begins_with_sound() -> None:
    """No ID3 tag and no Xing frame: the first bytes are an MPEG 1 layer III frame, 44.1 kHz."""
    encoded = encode(tone(0.3), "mp3", 44_100)
    assert encoded[:3] == b"\xff\xfb\x90"
    assert b"Xing" not in encoded
    assert b"Info" not in encoded


def test_opus_is_one_complete_ogg() -> None:
    """The stream begins with its header pages and its last page says it is the last."""
    encoded = encode(tone(0.5), "opus", 48_000)
    assert encoded.startswith(b"OggS\x00\x02")
    last = encoded.rindex(b"OggS")
    assert encoded[last + 5] & 0x04


@pytest.mark.parametrize(("kbps", "expected"), [(64, 8_000), (128, 16_000), (192, 24_000)])
def test_mp3_bitrate_is_honoured(kbps: int, expected: int) -> None:
    """A second has as many bytes as the rate says."""
    encoder = Encoder(format="mp3", sample_rate_hz=44_100, mp3_bitrate_kbps=kbps)
    size = len(encoder.feed(tone(3.0)) + encoder.finish())
    assert size / 3 == pytest.approx(expected, rel=0.05)


def test_opus_bitrate_is_honoured() -> None:
    """More bits a second give more bytes, near what was asked."""
    rng = random.Random(1)  # noqa: S311 - noise, to fill the bits
    noise = array("h", [rng.randint(-8000, 8000) for _ in range(2 * SPEECH_RATE_HZ)]).tobytes()
    sizes = []
    for bps in (24_000, 32_000, 48_000, 64_000):
        encoder = Encoder(format="opus", sample_rate_hz=48_000, opus_bitrate_bps=bps)
        sizes.append(len(encoder.feed(noise) + encoder.finish()) / 2 * 8 / bps)
    # 4 kbit/s of it are the headers of pages.
    assert all(0.8 < size < 1.35 for size in sizes), sizes


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_six_decibels_double_the_sound(rate: int) -> None:
    """Volume is in decibels of amplitude."""
    normal, louder, softer, softest = (
        rms(encode(tone(1.0), "pcm", rate, volume_db=db)) for db in (0.0, 6.0206, -6.0206, -20.0)
    )
    assert louder / normal == pytest.approx(2, rel=0.005)
    assert softer / normal == pytest.approx(0.5, rel=0.005)
    assert softest / normal == pytest.approx(0.1, rel=0.005)


@pytest.mark.parametrize("volume_db", [20.0, 13.0, -20.0, 0.0])
def test_too_loud_is_clipped_and_never_wraps(volume_db: float) -> None:
    """A full-scale square wave stays on its side of zero, as loud as it can be at most."""
    half = SPEECH_RATE_HZ // 100
    square = array("h", ([32_767] * half + [-32_768] * half) * 25).tobytes()
    samples = array("h", encode(square, "pcm", 44_100, volume_db=volume_db))
    period = 44_100 // 50
    # The middles of both halves, away from the edges where a resampler swings.
    highs = [samples[at + period // 4] for at in range(0, len(samples) - period, period)]
    lows = [samples[at + period * 3 // 4] for at in range(0, len(samples) - period, period)]
    gain = min(10 ** (volume_db / 20), 1)
    assert min(highs) > 0.9 * gain * 32_767
    assert max(lows) < -0.9 * gain * 32_767


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 4000), max_size=12),
    rate=st.sampled_from(PCM_RATES),
    volume_db=st.sampled_from([0.0, 4.5]),
)
def test_how_speech_is_cut_does_not_matter(cuts: list[int], rate: int, volume_db: float) -> None:
    """Pieces of any size, odd and empty ones too, give the same samples as one piece."""
    speech = tone(0.1)[:4000]
    encoder = Encoder(format="pcm", sample_rate_hz=rate, volume_db=volume_db)
    edges = [0, *sorted(cuts), len(speech)]
    pieces = [encoder.feed(speech[start:end]) for start, end in pairwise(edges)]
    whole = encode(speech, "pcm", rate, step=len(speech), volume_db=volume_db)
    assert b"".join((*pieces, encoder.finish())) == whole


@pytest.mark.parametrize(
    ("kind", "start"), [("wav", b"RIFF"), ("pcm", b""), ("mp3", b""), ("opus", b"OggS")]
)
def test_no_speech_is_at_most_a_header(kind: Format, start: bytes) -> None:
    """Nothing fed is nothing heard, not a failure."""
    encoded = encode(b"", kind, 48_000)
    assert encoded.startswith(start)
    assert len(encoded) < 200
    assert bool(encoded) == bool(start)


def test_half_a_sample_is_kept_for_the_next_piece() -> None:
    """An odd byte waits; one left over at the end is dropped."""
    encoder = Encoder(format="pcm", sample_rate_hz=44_100)
    assert len(encoder.feed(tone(0.1) + b"\x01") + encoder.finish()) % 2 == 0


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_nothing_follows_the_end(kind: Format) -> None:
    """A finished encoder is finished."""
    encoder = Encoder(format=kind, sample_rate_hz=44_100)
    encoder.finish()
    with pytest.raises(UsageError):
        encoder.feed(tone(0.1))
    with pytest.raises(UsageError):
        encoder.finish()


@pytest.mark.parametrize(
    ("kind", "rate", "volume_db", "argument"),
    [
        ("flac", 44_100, 0.0, "format"),
        ("pcm", 22_050, 0.0, "sample_rate"),
        ("opus", 44_100, 0.0, "sample_rate"),
        ("pcm", 44_100, 20.5, "volume"),
        ("pcm", 44_100, float("nan"), "volume"),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    kind: Format, rate: int, volume_db: float, argument: str
) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigError) as caught:
        Encoder(format=kind, sample_rate_hz=rate, volume_db=volume_db)
    assert caught.value.argument == argument


def test_a_missing_package_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyAV the error says what to install."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r'pip install "fishlive\[local\]"'):
        Encoder(format="mp3", sample_rate_hz=44_100)


def test_an_encoder_may_be_dropped_unfinished(capfd: pytest.CaptureFixture[str]) -> None:
    """An interrupted utterance leaves its container open, quietly."""
    for kind, rate in STREAMS:
        Encoder(format=kind, sample_rate_hz=rate).feed(tone(0.3))
    gc.collect()
    assert capfd.readouterr() == ("", "")
