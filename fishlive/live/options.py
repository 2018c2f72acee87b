"""What a live request has unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fishlive.models.tts import TTSRequest, speech_request

LIVE_DEFAULTS: Final[Mapping[str, object]] = {
    "format": "pcm",
    "latency": "balanced",
    # The service's own 300 makes large bursts with audible gaps (LiveKit plugin, 2026-08).
    "chunk_length": 100,
}

PCM_RATE_HZ: Final = 24_000
"""Sample rate of live PCM and WAV unless told: what speech needs, half the bytes of 44.1 kHz."""


def requests(
    model: str, channel: Mapping[str, object]
) -> Callable[[Mapping[str, Any]], TTSRequest]:
    """Return what makes the request of an utterance, from what is different about it.

    Args:
        model: Synthesis engine.
        channel: ``voice``, ``extra`` and the request fields of the whole channel.
    """
    base: dict[str, Any] = {**LIVE_DEFAULTS, **channel}

    def request(changes: Mapping[str, Any]) -> TTSRequest:
        fields = _with_rate({**base, **changes})
        return speech_request(
            model=model, voice=fields.pop("voice"), extra=fields.pop("extra"), options=fields
        )

    return request


def _with_rate(fields: dict[str, Any]) -> dict[str, Any]:
    """Add the live sample rate where the format lets us choose and the caller did not."""
    if "sample_rate" not in fields and fields.get("format") in {"pcm", "wav"}:
        fields["sample_rate"] = PCM_RATE_HZ
    return fields
