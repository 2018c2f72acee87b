"""Reads a TTS request as the service does, leniently or by the letter of its documents.

Source of fields, ranges and defaults: OpenAPI description (2026-09) and asyncapi.yml
(2026-08-21). Sentences of refusals: as third parties saw them (api notes, 2026-10).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from fishlive.server.fields import Fields
from fishlive.server.refusal import bad_request
from fishlive.server.voice.catalogue import Voice
from fishlive.server.voice.encode import OPUS_AUTO_BPS, Format

Find: TypeAlias = Callable[["str | None"], "Voice | None"]
"""Looks a voice up by its id; None is the default voice."""


class Container(NamedTuple):
    """What the service offers in one ``format``."""

    rates_hz: tuple[int, ...]
    default_rate_hz: int
    mime: str


_PCM_RATES_HZ: Final = (8000, 16000, 24000, 32000, 44100)
FORMATS: Final[dict[Format, Container]] = {
    "wav": Container(_PCM_RATES_HZ, 44100, "audio/wav"),
    "pcm": Container(_PCM_RATES_HZ, 44100, "audio/pcm"),
    "mp3": Container((32000, 44100), 44100, "audio/mpeg"),
    "opus": Container((48000,), 48000, "audio/opus"),
}
"""Formats of the service (text-to-speech page, 2026-08)."""

LATENCIES: Final = ("low", "normal", "balanced")
MP3_BITRATES_KBPS: Final = (64, 128, 192)
OPUS_BITRATES_BPS: Final = (24000, 32000, 48000, 64000)

KBPS_BELOW: Final = 1000
"""An Opus bitrate under this is kbit/s: no voice codec runs at 1000 bit/s, and the unit was
kbit/s until 2026 (SDK 1.3.0 still sends 32)."""

NOT_FOUND: Final = "Reference not found"
BAD_AUDIO: Final = "Reference Audio is not valid"
ONE_SPEAKER: Final = "s1 does not support MultiSpeakerReference: use one reference_id"

_DICTIONARY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX_DICTIONARIES: Final = 3
"""Pronunciation dictionaries in one request (OpenAPI description, 2026-09)."""

MAX_RULES: Final = 5000
"""Rules in one dictionary (OpenAPI description, inline dictionaries, 2026-09)."""

_MAX_KEY_CHARS: Final = 256
_MAX_VALUE_CHARS: Final = 1024
_MARK: Final = "<|"
"""Begins a marker, which no rule may hold (pronunciation-dictionaries page, 2026-10)."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be spoken, and how. ``text`` may be empty: more may follow on a live socket.

    Attributes:
        voices: One for each speaker, at least one.
        opus_bitrate_bps: OPUS_AUTO_BPS for automatic.
        speed: 0.5 to 2; 1 is normal.
        volume_db: -20 to 20.
        chunk_length: Characters in a piece of text, 100 to 300.
        min_chunk_length: Characters before a piece may end, 0 to 100.
    """

    text: str
    model: str
    voices: tuple[Voice, ...]
    format: Format
    sample_rate_hz: int
    mp3_bitrate_kbps: int
    opus_bitrate_bps: int
    speed: float
    volume_db: float
    chunk_length: int
    min_chunk_length: int

    @property
    def mime(self) -> str:
        """The media type of the audio."""
        return FORMATS[self.format].mime


def read_order(
    raw: Mapping[str, Any],
    *,
    model: str,
    find: Find,
    strict: bool,
    live: bool = False,
    binary: bool = True,
) -> Order:
    """Return what ``raw`` orders.

    Leniently, as deployed clients need it: nulls and empty lists count as absent; numbers that
    only tune a neural voice are not looked at; lengths, volume and bitrates are brought into
    range; any 32-digit hexadecimal voice id speaks. What the service was seen to refuse is
    refused all the same: a format, latency, sample rate or speed that it has not, an unknown
    voice. Strictly, everything outside the documents is refused. Unknown fields never matter.

    Args:
        raw: The body of ``POST /v1/tts``, or ``start.request``.
        live: Whether it is the latter: then text may come later, and leniently be absent.
        binary: Whether the request came as MessagePack, which alone can carry reference audio.

    Raises:
        Refusal: 400.
    """
    fields = Fields(raw, strict=strict)
    text = fields.text("text", required=strict or not live)
    name = fields.choice("format", tuple(FORMATS), "mp3")
    fields.choice("latency", LATENCIES, "normal")
    if strict:
        _check_tuning(fields)
        _check_dictionaries(fields)
    prosody = fields.inner("prosody")
    return Order(
        text=text,
        model=model,
        voices=_voices(fields, model=model, find=find, binary=binary),
        format=name,
        sample_rate_hz=_sample_rate(fields, name),
        mp3_bitrate_kbps=_mp3_bitrate(fields, used=name == "mp3"),
        opus_bitrate_bps=_opus_bitrate(fields, used=name == "opus"),
        speed=prosody.number("speed", 1.0, least=0.5, most=2.0, clamp=False),
        volume_db=prosody.number("volume", 0.0, least=-20.0, most=20.0),
        chunk_length=fields.integer("chunk_length", 300, least=100, most=300),
        min_chunk_length=fields.integer("min_chunk_length", 50, least=0, most=100),
    )


def _check_tuning(fields: Fields) -> None:
    for name in ("temperature", "top_p", "early_stop_threshold"):
        fields.number(name, 1.0, least=0.0, most=1.0)
    fields.number("repetition_penalty", 1.2)
    fields.integer("max_new_tokens", 1024)
    for name in ("normalize", "condition_on_previous_chunks"):
        fields.flag(name)
    fields.inner("prosody").flag("normalize_loudness")
    if not all(isinstance(feature, str) for feature in fields.sequence("features")):
        raise bad_request("features: expected an array of strings", plain=True)


def _check_dictionaries(fields: Fields) -> None:
    entries = fields.sequence("pronunciation_dictionary")
    if len(entries) > MAX_DICTIONARIES:
        raise bad_request(f"pronunciation_dictionary: at most {MAX_DICTIONARIES} entries")
    kinds = {_dictionary_kind(entry) for entry in entries}
    if len(kinds) > 1:
        raise bad_request("pronunciation_dictionary: references and inline items do not mix")


def _dictionary_kind(entry: object) -> str:
    match entry:
        case {"id": str(name), "version": str(version)}:
            if _DICTIONARY_ID.fullmatch(name) and _DICTIONARY_ID.fullmatch(version):
                return "reference"
        case {"items": list() | tuple() as rules} if len(rules) <= MAX_RULES:
            if all(map(_is_rule, rules)):
                return "inline"
        case _:
            pass
    raise bad_request(
        "pronunciation_dictionary: expected {id, version} or {items: [{key, value}, …]}"
    )


def _is_rule(rule: object) -> bool:
    if not isinstance(rule, Mapping):
        return False
    key, value, case = rule.get("key"), rule.get("value"), rule.get("case_sensitive", False)
    texts = _is_bare(key, _MAX_KEY_CHARS) and _is_bare(value, _MAX_VALUE_CHARS)
    return texts and isinstance(case, bool)


def _is_bare(text: object, most_chars: int) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= most_chars and _MARK not in text


def _sample_rate(fields: Fields, name: Format) -> int:
    container = FORMATS[name]
    rate_hz = fields.integer("sample_rate", container.default_rate_hz)
    if rate_hz not in container.rates_hz:
        supported = ", ".join(map(str, container.rates_hz))
        raise bad_request(
            f"Invalid sample rate {rate_hz} for format {name}. Supported sample rates: {supported}"
        )
    return rate_hz


def _mp3_bitrate(fields: Fields, *, used: bool) -> int:
    if not used and not fields.strict:
        return 128
    kbps = fields.integer("mp3_bitrate", 128)
    if kbps not in MP3_BITRATES_KBPS and fields.strict:
        known = ", ".join(map(str, MP3_BITRATES_KBPS))
        raise bad_request(f"mp3_bitrate: expected one of {known}, got {kbps}")
    return min(MP3_BITRATES_KBPS, key=lambda known: abs(known - kbps))


def _opus_bitrate(fields: Fields, *, used: bool) -> int:
    if not used and not fields.strict:
        return OPUS_AUTO_BPS
    given = fields.integer("opus_bitrate", OPUS_AUTO_BPS)
    if fields.strict and given not in (OPUS_AUTO_BPS, *OPUS_BITRATES_BPS):
        known = ", ".join(map(str, (OPUS_AUTO_BPS, *OPUS_BITRATES_BPS)))
        raise bad_request(f"opus_bitrate: expected one of {known}, got {given}")
    if given <= 0:
        return OPUS_AUTO_BPS
    bps = given * 1000 if given < KBPS_BELOW else given
    return min(OPUS_BITRATES_BPS, key=lambda known: abs(known - bps))


def _voices(fields: Fields, *, model: str, find: Find, binary: bool) -> tuple[Voice, ...]:
    references = fields.sequence("references")
    given = fields.raw("reference_id")
    if fields.strict:
        _check_references(references, binary=binary)
        if model == "s1" and isinstance(given, (list, tuple)):
            raise bad_request(ONE_SPEAKER, plain=True)
    if references:
        # The samples are the voice; then an id may be any string (OpenAPI description, 2026-09).
        speakers = references if _is_list(references[0]) else [references]
        return tuple(_known(find, _fingerprint(samples)) for samples in speakers)
    if given is None:
        return (_known(find, None),)
    ids = given if _is_list(given) else [given]
    if not ids or not all(isinstance(one, str) for one in ids):
        raise bad_request("reference_id: expected a string or an array of strings", plain=True)
    return tuple(_by_id(find, one, strict=fields.strict) for one in ids)


def _by_id(find: Find, reference_id: str, *, strict: bool) -> Voice:
    if not reference_id and not strict:
        return _known(find, None)
    voice = _known(find, reference_id)
    if strict and voice.invented:
        raise bad_request(NOT_FOUND)
    return voice


def _known(find: Find, reference_id: str | None) -> Voice:
    voice = find(reference_id)
    if voice is None:
        raise bad_request(NOT_FOUND)
    return voice


def _check_references(references: list[Any], *, binary: bool) -> None:
    for sample in references:
        if _is_list(sample):
            _check_references(list(sample), binary=binary)
            continue
        match sample:
            case {"audio": bytes(audio), "text": str()} if audio and binary:
                continue
        raise bad_request(BAD_AUDIO)


def _fingerprint(samples: object) -> str:
    """Return a voice id for reference audio: the same samples always sound the same."""
    digest = hashlib.sha256()
    for sample in samples if isinstance(samples, (list, tuple)) else [samples]:
        audio = sample.get("audio") if isinstance(sample, Mapping) else None
        if isinstance(audio, str):  # base64 in JSON; this voice only tells samples apart
            audio = audio.encode()
        if not isinstance(audio, bytes) or not audio:
            raise bad_request(BAD_AUDIO)
        digest.update(audio)
    return digest.hexdigest()[:32]


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))
