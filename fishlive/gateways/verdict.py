"""What became of a task: one function for polls, callbacks and immediate answers. Pure.

The rule is the gateways' own clients', in their order (api notes §3.8, 2026-09): no ``status`` is
documented, records of four eras differ, and a response that is there may be only progress.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from fishlive.errors import APIStatusError, FishLiveError, SynthesisError
from fishlive.gateways.refusals import code_of, message_of, refusal_in
from fishlive.wire.events import plain_text


class TaskState(str, enum.Enum):
    """How a task stands."""

    UNKNOWN = "unknown"
    """The gateway does not know it: not yet, not any more, or never."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether it will not change any more."""
        return self in (TaskState.SUCCEEDED, TaskState.FAILED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a document says about a task.

    Attributes:
        state: How it stands.
        result: The bare result, once it succeeded: with ``audio_url``, or a voice's fields.
        error: Why it failed.
    """

    state: TaskState
    result: Mapping[str, Any] | None = field(default=None, repr=False)
    error: FishLiveError | None = None


_FAILED: Final = frozenset({"failed", "failure", "error", "cancelled", "canceled", "rejected"})
_SUCCEEDED: Final = frozenset(
    {"succeed", "succeeded", "success", "complete", "completed", "finished"}
)

_PENDING: Final = Verdict(TaskState.PENDING)
_UNKNOWN: Final = Verdict(TaskState.UNKNOWN)


def classify(document: object) -> Verdict:
    """Return what a document says: a task's record, a callback's body, or a whole answer.

    A record has its outcome under ``response``; a callback and an answer are the outcome.
    """
    if not isinstance(document, Mapping) or not document:
        return _UNKNOWN  # {} and null are how an unknown id is answered
    is_record = "request" in document or "response" in document or "finished_at" in document
    outcome = document.get("response") if is_record else document
    finished = document.get("finished_at") is not None
    if not isinstance(outcome, Mapping):
        return _without_outcome(document) if finished else _PENDING
    return _judge(outcome, finished=finished)


def result_of(outcome: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the bare result in an outcome of any era; None if there is none.

    The envelope of audios holds a list, that of voices an object; the others have none.
    """
    data = outcome.get("data")
    if isinstance(data, list):
        data = next((item for item in data if isinstance(item, Mapping)), None)
    for candidate in (outcome, data):
        if isinstance(candidate, Mapping) and (_audio(candidate) or _voice(candidate)):
            return candidate
    return None


def when(value: object) -> datetime | None:
    """Return a time that is ISO 8601 or Unix seconds, in UTC; None if it is neither."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, timezone.utc)
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _judge(outcome: Mapping[str, Any], *, finished: bool) -> Verdict:
    result, word = result_of(outcome), _word(outcome)
    if word in _FAILED:
        return _failed(outcome)
    if word in _SUCCEEDED:
        return _succeeded(result) if result is not None else _failed(outcome)
    if word:
        return _PENDING
    said = code_of(outcome) or message_of(outcome) or result is not None
    if outcome.get("success") is False and said:
        return _failed(outcome)
    # Fish's own form of a failure, whose status is a number: before `finished_at`, which
    # failures have too.
    if type(outcome.get("status")) is int and outcome["status"] >= 400 and "message" in outcome:
        return _failed(outcome)
    if finished:
        return _succeeded(result) if result is not None else _failed(outcome)
    done = result is not None and (_audio(result) or outcome.get("success") is True)
    return _succeeded(result) if done else _PENDING


def _without_outcome(document: Mapping[str, Any]) -> Verdict:
    return _failed(document) if document.get("error") else _failed({})


def _succeeded(result: Mapping[str, Any] | None) -> Verdict:
    return Verdict(TaskState.SUCCEEDED, result)


def _failed(outcome: Mapping[str, Any]) -> Verdict:
    error: FishLiveError | None = refusal_in(outcome)
    if error is None or _says_nothing(error):
        reason = code_of(outcome) or "error"
        error = SynthesisError(reason, message_of(outcome) or "the task ended without a result")
    error.trace_id = plain_text(outcome.get("trace_id")) or None
    return Verdict(TaskState.FAILED, error=error)


def _says_nothing(error: FishLiveError) -> bool:
    return isinstance(error, APIStatusError) and error.reason is None and error.status is None


def _word(outcome: Mapping[str, Any]) -> str:
    for name in ("status", "state"):
        value = outcome.get(name)
        # A voice's own state is no task's: `trained`.
        if isinstance(value, str) and not _voice(outcome):
            return value.strip().lower()
    return ""


def _audio(outcome: Mapping[str, Any]) -> bool:
    url = outcome.get("audio_url")
    return isinstance(url, str) and bool(url)


def _voice(outcome: Mapping[str, Any]) -> bool:
    return isinstance(outcome.get("_id"), str) and "title" in outcome and "type" in outcome
