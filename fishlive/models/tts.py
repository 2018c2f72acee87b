"""What may be asked of speech synthesis, and how it is asked.

Source: openapi.json, TTSRequest (2026-09); audio formats from the text-to-speech pages (2026-08).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from fishlive.errors import ConfigError
from fishlive.limits import DEFAULT_MODEL
from fishlive.models.base import Request, Text
from fishlive.models.engine import check_cues, check_model, safe_model, speaks_many
from fishlive.models.extras import checked_extra
from fishlive.models.pronunciation import Dictionaries
from fishlive.models.prosody import Prosody
from fishlive.models.reference import ReferenceAudio, References, Voice
from fishlive.models.warning import warn

__all__ = [
    "Prosody",
    "ReferenceAudio",
    "TTSRequest",
    "audio_bytes_per_second",
    "check_cues",
    "check_model",
    "speech_request",
]

AudioFormat: TypeAlias = Literal["wav", "pcm", "mp3", "opus"]
Latency: TypeAlias = Literal["low", "balanced", "normal"]

SAMPLE_BYTES: Final = 2
"""PCM and WAV are 16-bit mono."""

_PCM_RATES_HZ: Final = (8000, 16000, 24000, 32000, 44100)
_RATES_HZ: Final[Mapping[str, tuple[int, ...]]] = {
    "pcm": _PCM_RATES_HZ,
    "wav": _PCM_RATES_HZ,
    "mp3": (32000, 44100),
    "opus": (48000,),
}
_DEFAULT_CHUNK_CHARS: Final = 300
"""The service's own, where the request names none (asyncapi.yml, 2026-08-21)."""

_DEFAULT_RATE_HZ: Final = 44100
_OPUS_RATE_HZ: Final = 48000

_DEFAULT_MP3_KBPS: Final = 128
_OPUS_AUTO: Final = -1000
_AUTO_OPUS_BPS: Final = 32000
"""What ``auto`` is taken for, in bits a second: the opus section of the text-to-speech page says
32 kbps is the default, where the schema says -1000 (auto). An estimate, used for credit only."""

_OPUS_KBPS: Final = frozenset({24, 32, 48, 64})
_NOT_SENT: Final = frozenset({"model", "extra"})
_NOT_OPTIONS: Final[Mapping[str, str]] = {
    "text": "give it to speak() or send()",
    "model": "it is fixed when connecting",
    "extra": "it is an argument of its own",
    "reference_id": "it is called voice here",
}


def _opus_bps(value: object) -> object:
    """Convert the kilobits that older clients and documents use."""
    if isinstance(value, int) and not isinstance(value, bool) and value in _OPUS_KBPS:
        warn(f"opus_bitrate is in bits a second: {value} is sent as {value * 1000}")
        return value * 1000
    return value


_Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class TTSRequest(Request):
    """One request for speech. A field that is None is not sent: the service's default holds.

    Raises ConfigError, which names the argument, for a value out of range and for values that do
    not go together; warns with RequestWarning about what is allowed and has no effect.

    Attributes:
        text: What to say; empty where it follows by itself, as in a live session.
        reference_id: Id of the voice, or one for each speaker; our callers know it as ``voice``.
        references: Samples of a voice, or one list of samples for each speaker.
        temperature: Variety, 0 to 1; 0.7 if None.
        top_p: Nucleus sampling, 0 to 1; 0.7 if None.
        prosody: Speed and loudness.
        chunk_length: Characters of text synthesised at once, 100 to 300; 300 if None.
        min_chunk_length: Characters before a new chunk may begin, 0 to 100; 50 if None.
        normalize: Whether numbers and the like are spelled out (English, Chinese); True if None.
        format: Of the audio; mp3 if not set.
        sample_rate: In Hz; 44100 if None, 48000 for opus.
        mp3_bitrate: In kbit/s; 128 if None. Only with mp3.
        opus_bitrate: In bit/s; -1000, automatic, if None. Only with opus.
        latency: ``normal``, the best quality, if None.
        max_new_tokens: Audio tokens a chunk, at least 1; 1024 if None.
        repetition_penalty: More than 0; 1.2 if None. No effect on s2.1-pro.
        condition_on_previous_chunks: Whether earlier audio is context; True if None.
        early_stop_threshold: 0 to 1; 1 if None.
        features: Flags handed to the backend as they are, such as ``quality-guard``.
        pronunciation_dictionary: At most three dictionaries, all stored or all inline.
        model: Engine; goes into a header, not into the payload.
        extra: Fields this version does not know, merged over the others.
    """

    text: Annotated[Text, Field(repr=False)] = ""
    reference_id: Voice | None = None
    references: Annotated[References | None, Field(repr=False)] = None
    temperature: _Fraction | None = None
    top_p: _Fraction | None = None
    prosody: Prosody | None = None
    chunk_length: Annotated[int, Field(ge=100, le=300)] | None = None
    min_chunk_length: Annotated[int, Field(ge=0, le=100)] | None = None
    normalize: bool | None = None
    format: AudioFormat = "mp3"
    sample_rate: int | None = None
    mp3_bitrate: Literal[64, 128, 192] | None = None
    opus_bitrate: (
        Annotated[Literal[-1000, 24000, 32000, 48000, 64000], BeforeValidator(_opus_bps)] | None
    ) = None
    latency: Latency | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    condition_on_previous_chunks: bool | None = None
    early_stop_threshold: _Fraction | None = None
    features: Annotated[tuple[Text, ...], Field(strict=False)] | None = None
    pronunciation_dictionary: Dictionaries | None = None
    model: Annotated[str, BeforeValidator(safe_model)] = DEFAULT_MODEL
    extra: Annotated[dict[str, object], BeforeValidator(checked_extra)] = Field(
        default_factory=dict, repr=False
    )

    @model_validator(mode="after")
    def _goes_together(self) -> TTSRequest:
        self._check_audio()
        self._check_voices()
        if self.repetition_penalty is not None and self.model.startswith("s2.1-pro"):
            warn(f"repetition_penalty has no effect on {self.model}")
        return self

    def payload(self) -> dict[str, object]:
        """Return what goes on the wire: text, what was set, and ``extra`` over it."""
        fields: dict[str, object] = {"text": self.text, **super().payload()}
        for name in _NOT_SENT:
            fields.pop(name, None)
        return {**fields, **self.extra}

    @property
    def effective_format(self) -> str:
        """Format of the audio that will come, with ``extra`` and the default counted in."""
        asked = self.extra.get("format")
        return asked if isinstance(asked, str) else self.format

    @property
    def is_pcm(self) -> bool:
        """Whether the audio is bare samples."""
        return self.effective_format == "pcm"

    @property
    def effective_chunk_length(self) -> int:
        """Characters synthesised at once; the service's default where none was set."""
        return _DEFAULT_CHUNK_CHARS if self.chunk_length is None else self.chunk_length

    @property
    def effective_sample_rate_hz(self) -> int:
        """Samples a second of the audio that will come."""
        asked = self.extra.get("sample_rate")
        if isinstance(asked, int):
            return asked
        if self.sample_rate is not None:
            return self.sample_rate
        return _OPUS_RATE_HZ if self.effective_format == "opus" else _DEFAULT_RATE_HZ

    def _check_audio(self) -> None:
        rates = _RATES_HZ[self.format]
        if self.sample_rate is not None and self.sample_rate not in rates:
            known = ", ".join(map(str, rates))
            raise ConfigError(
                f"sample_rate must be one of {known} for {self.format}, not {self.sample_rate}",
                argument="sample_rate",
            )
        for name, of in (("mp3_bitrate", "mp3"), ("opus_bitrate", "opus")):
            if getattr(self, name) is not None and self.format != of:
                raise ConfigError(
                    f"{name} goes with format {of} only, not {self.format}", argument=name
                )

    def _check_voices(self) -> None:
        voices, samples = self.reference_id, self.references
        speakers = samples is not None and isinstance(samples[0], tuple)
        if not (speakers or isinstance(voices, tuple)):
            return
        if not speaks_many(self.model):
            raise ConfigError(f"model {self.model} speaks with one voice only", argument="voice")
        if samples is None or voices is None:
            return
        if not speakers or isinstance(voices, str) or len(samples) != len(voices):
            raise ConfigError(
                "voice and references must be for equally many speakers", argument="voice"
            )


_OPTIONS: Final = frozenset(TTSRequest.model_fields) - frozenset(_NOT_OPTIONS)


def speech_request(
    *,
    model: str,
    voice: str | Sequence[str] | None,
    options: Mapping[str, object],
    extra: Mapping[str, object] | None,
    text: str = "",
) -> TTSRequest:
    """Return a request in our callers' words: one that begins a live utterance, or a whole text.

    Args:
        model: Engine of the connection.
        voice: Id of the voice, or one for each speaker; None for the service's own.
        options: Other fields, by the API's names; None for the service's default.
        extra: Fields this version does not know, merged last.
        text: What to say; empty where it follows by itself.

    Raises:
        ConfigError: A field is unknown, out of range, or does not go with another.
    """
    if not options.keys() <= _OPTIONS:
        raise _unknown(next(name for name in options if name not in _OPTIONS))
    fields: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    if voice is not None:
        fields["reference_id"] = voice
    if extra:
        fields["extra"] = extra
    return TTSRequest(text=text, model=model, **fields)


def audio_bytes_per_second(request: TTSRequest) -> float:
    """Return how many bytes one second of the audio has.

    Exact for pcm and wav (its header aside) and near for mp3. For opus it is the bitrate that was
    asked for, or 32 kbit/s if none was, which may be off by half: how long it plays is told by
    its pages only, see :mod:`fishlive.audio.ogg`.
    """
    kind = request.effective_format
    if kind == "mp3":
        return (request.mp3_bitrate or _DEFAULT_MP3_KBPS) * 1000 / 8
    if kind == "opus":
        bps = request.opus_bitrate
        return (_AUTO_OPUS_BPS if bps is None or bps == _OPUS_AUTO else bps) / 8
    return float(request.effective_sample_rate_hz * SAMPLE_BYTES)


def _unknown(name: str) -> ConfigError:
    if name in _NOT_OPTIONS:
        return ConfigError(f"{name} is no option: {_NOT_OPTIONS[name]}", argument=name)
    near = difflib.get_close_matches(name, [*_OPTIONS, "voice"], n=1)
    hint = f"did you mean {near[0]}?" if near else "pass what this version does not know in extra"
    return ConfigError(f"{name} is no option: {hint}", argument=name)
