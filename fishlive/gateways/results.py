"""What the gateways give: a link to audio, or a voice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fishlive.errors import ProtocolError
from fishlive.gateways.download import Download, Writer, download
from fishlive.models.voice import Voice


@dataclass(frozen=True, slots=True)
class Cost:
    """What was charged. Never computed here: only the gateway knows.

    Attributes:
        amount: In ``currency``.
        currency: ``credit``, which costs what the account's package says.
        list_amount: Before a discount; None if not told.
    """

    amount: float
    currency: str
    list_amount: float | None = None


@dataclass(frozen=True, slots=True)
class AudioLink:
    """Where the audio is. Some links live an hour: download at once.

    Attributes:
        audio_url: The link. Its ending may lie about what is behind it.
        cost: What was charged, if told (newest era).
        latency_ms: How long the service worked, if told.
        task_id: Of the task that made it; None for an immediate answer.
        trace_id: What support knows the request by.
        raw: The whole answer, as it was.
    """

    audio_url: str
    cost: Cost | None = None
    latency_ms: float | None = None
    task_id: str | None = None
    trace_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    async def download(self, target: str | os.PathLike[str] | Writer, **options: Any) -> Download:
        """Fetch the audio into a file or a writer; options and errors as :func:`download`."""
        return await download(self.audio_url, target, **options)


@dataclass(frozen=True, slots=True)
class MadeVoice:
    """A voice that was made.

    Attributes:
        id: What ``voice`` and ``voice_id`` take.
        voice: All about it.
        cost: What was charged, if told.
        task_id: Of the task that made it; None for an immediate answer.
        trace_id: What support knows the request by.
        raw: The whole answer, as it was.
    """

    id: str
    voice: Voice
    cost: Cost | None = None
    task_id: str | None = None
    trace_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


Result = AudioLink | MadeVoice


def read_result(bare: Mapping[str, Any], whole: Mapping[str, Any], trace_id: str | None) -> Result:
    """Return the result that a bare outcome is.

    Args:
        bare: With ``audio_url``, or a voice's fields.
        whole: The answer or record it was in.
        trace_id: From the answer's headers, if its body has none.

    Raises:
        ProtocolError: Neither audio nor a voice.
    """
    inner = whole.get("response")
    response: Mapping[str, Any] = inner if isinstance(inner, Mapping) else whole
    task_id = (
        _text(response.get("task_id")) or _text(whole.get("task_id")) or _text(whole.get("id"))
    )
    trace = _text(whole.get("trace_id")) or _text(response.get("trace_id")) or trace_id
    cost = _cost(bare.get("cost")) or _cost(response.get("cost"))
    if url := _text(bare.get("audio_url")):
        return AudioLink(url, cost, _number(bare.get("latency_ms")), task_id, trace, whole)
    if bare.get("_id"):
        voice = Voice.read({"state": "created", **bare})
        return MadeVoice(voice.id, voice, cost, task_id, trace, whole)
    raise ProtocolError("the answer has neither audio_url nor a voice")


def _cost(value: object) -> Cost | None:
    if not isinstance(value, Mapping):
        return None
    amount = _number(value.get("amount"))
    if amount is None:
        return None
    return Cost(amount, _text(value.get("currency")) or "credit", _number(value.get("list_amount")))


def _number(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]  # it is one


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
