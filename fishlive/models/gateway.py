"""What may be asked of the gateways.

Source: the gateways' guides (2025-05 to 2026-05) and the contract of the newest era (2026-09), as
far as they agree; where they do not, the docstring says what is sent.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fishlive.errors import ConfigError
from fishlive.models.base import Request, Text
from fishlive.models.engine import safe_model
from fishlive.models.extras import checked_extra
from fishlive.models.prosody import Prosody
from fishlive.models.reference import Voice

MODELS: Final = ("s1", "s2-pro", "s2.1-pro")
"""Engines of the gateways (newest era, 2026-09); the default is the second."""

MAX_URL_CHARS: Final = 2048
"""Longest address, in characters (contract of ``references``, 2026-09)."""


def _web_url(url: str) -> str:
    """Return an address that the gateway can fetch."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise ConfigError("is no URL") from error
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable():
        raise ConfigError("must be an http(s) URL")
    return url


WebURL = Annotated[Text, Field(max_length=MAX_URL_CHARS), AfterValidator(_web_url)]
Title = Annotated[Text, Field(min_length=1)]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Text, ...], Field(strict=False), BeforeValidator(_listed)]
URLs = Annotated[tuple[WebURL, ...], Field(strict=False, min_length=1), BeforeValidator(_listed)]


class GatewayRequest(Request):
    """What all requests to a gateway may carry.

    Attributes:
        callback_url: Where the gateway sends the result; makes it answer at once.
        extra: Fields this version does not know, merged over the others.
    """

    callback_url: WebURL | None = None
    extra: Annotated[dict[str, object], BeforeValidator(checked_extra)] = Field(
        default_factory=dict, repr=False
    )

    def fields(self, *, later: bool) -> dict[str, object]:
        """Return what goes on the wire.

        Args:
            later: Whether the gateway is to answer at once and work then (``async``).
        """
        body: dict[str, object] = self.payload()
        body.pop("extra", None)
        if later:
            body["async"] = True
        return {**body, **self.extra}


class AudiosRequest(GatewayRequest):
    """Speech in the oldest way: ``POST /fish/audios``.

    Attributes:
        prompt: What to say.
        voice_id: Id of the voice.
        model: Always ``fish-tts``.
        action: ``generate`` as the guide says; ``speech`` is what other documents say.
    """

    action: Literal["generate", "speech"] = "generate"
    prompt: Annotated[Text, Field(min_length=1, repr=False)]
    voice_id: Annotated[Text, Field(min_length=1)]
    model: Text = "fish-tts"

    def payload(self) -> dict[str, object]:
        """Return what was set, and the two that are always sent."""
        return {"action": self.action, "model": self.model, **super().payload()}


class VoicesRequest(GatewayRequest):
    """A voice from a recording: ``POST /fish/voices``.

    Attributes:
        voice_url: Where the recording is.
        title: What people call the voice.
        description: What it sounds like.
        image_url: A picture. One guide calls it ``image_urls``: pass that in ``extra``.
    """

    voice_url: WebURL
    title: Title | None = None
    description: Text | None = None
    image_url: WebURL | None = None


class LinkedReference(Request):
    """A recording of a voice that the gateway fetches.

    Attributes:
        audio: Where it is: MP3 or WAV of 10 to 270 s.
        text: Exactly what is said in it.
    """

    audio: WebURL
    text: Annotated[Text, Field(min_length=1, max_length=10_000, repr=False)]


class GatewayTTSRequest(GatewayRequest):
    """Speech: ``POST /fish/tts``.

    ``format`` is always sent, because one era requires it.

    Attributes:
        text: What to say; not empty.
        reference_id: Id of the voice, or one for each speaker; our callers know it as ``voice``.
        references: At most one recording to speak like; not together with ``reference_id``.
        format: ``mp3``, or ``wav`` and ``pcm``, which are both WAV files; ``opus`` of old.
        sample_rate: In Hz.
        mp3_bitrate: In kbit/s: 64, 128 or 192. Only with mp3.
        opus_bitrate: Of old.
        latency: ``normal`` unless told, by the gateway.
        chunk_length: Characters of text synthesised at once.
        min_chunk_length: Characters before a new chunk may begin.
        max_new_tokens: Audio tokens a chunk.
        temperature: 0 to 1.
        top_p: 0 to 1.
        repetition_penalty: More than 0.
        normalize: Whether numbers and the like are spelled out.
        prosody: Speed and loudness.
        model: Engine; goes into a header, not into the body.
    """

    text: Annotated[Text, Field(min_length=1, repr=False)]
    reference_id: Voice | None = None
    references: Annotated[tuple[LinkedReference, ...], Field(strict=False, max_length=1)] | None = (
        Field(default=None, repr=False)
    )
    format: Literal["mp3", "wav", "pcm", "opus"] = "mp3"
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] | None = None
    mp3_bitrate: Literal[64, 128, 192] | None = None
    opus_bitrate: int | None = None
    latency: Literal["low", "balanced", "normal"] | None = None
    chunk_length: Annotated[int, Field(ge=100, le=300)] | None = None
    min_chunk_length: Annotated[int, Field(ge=0, le=100)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    normalize: bool | None = None
    prosody: Prosody | None = None
    model: Annotated[str, BeforeValidator(safe_model)] = MODELS[1]

    @model_validator(mode="after")
    def _goes_together(self) -> GatewayTTSRequest:
        if self.reference_id is not None and self.references:
            raise ConfigError("voice and references exclude each other", argument="references")
        if self.mp3_bitrate is not None and self.format != "mp3":
            raise ConfigError("mp3_bitrate is for mp3 only", argument="mp3_bitrate")
        return self

    def payload(self) -> dict[str, object]:
        """Return what was set, and the format."""
        fields = {"text": self.text, "format": self.format, **super().payload()}
        fields.pop("model", None)
        return fields


class ModelRequest(GatewayRequest):
    """A voice in the newer way: ``POST /fish/model``. It answers at once.

    Attributes:
        title: What people call the voice.
        voices: Where its recordings are. Ace wants a string for one (newest era), others a list.
        description: What it sounds like.
        cover_image: A picture.
        tags: For those who look for it.
        texts: What is said in each recording.
        visibility: ``private`` by most documents.
        enhance_audio_quality: Whether the recordings are cleaned.
        generate_sample: Whether a recording to listen to is made.
    """

    title: Title
    voices: URLs
    description: Text | None = None
    cover_image: WebURL | None = None
    tags: Texts | None = None
    texts: Annotated[Texts | None, Field(repr=False)] = None
    visibility: Literal["public", "private", "unlist"] | None = None
    enhance_audio_quality: bool | None = None
    generate_sample: bool | None = None

    def body(self, *, lone_as_text: bool) -> dict[str, Any]:
        """Return what goes on the wire; a lone address as text where the gateway wants that."""
        fields: dict[str, Any] = self.fields(later=False)
        if lone_as_text and len(self.voices) == 1 and "voices" not in self.extra:
            fields["voices"] = self.voices[0]
        return fields
