"""gateways/verdict.py: what became of a task, in the shapes of all eras."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import (
    APIStatusError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    SynthesisError,
)
from fishlive.gateways.verdict import TaskState, classify, when

URL = "https://cdn.example/a.mp3"
VOICE = {"_id": "a" * 32, "type": "tts", "title": "me", "state": "training"}
TTS = {"audio_url": URL}
AUDIOS = {"success": True, "task_id": "t", "trace_id": "x", "data": [{"audio_url": URL}]}
VOICES = {"success": True, "task_id": "t", "trace_id": "x", "data": VOICE}


def record(response: Any = None, **more: Any) -> dict[str, Any]:
    """Return a task's record."""
    return {"id": "t", "request": {}, "created_at": 1.5, "response": response, **more}


DONE = {"finished_at": 2.5, "elapsed": 1.0}


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (None, "unknown"),
        ({}, "unknown"),
        ([], "unknown"),
        (record(), "pending"),
        ({"id": "t", "request": {}}, "pending"),
        (record({"progress": 0.5}), "pending"),  # a response may be progress only
        (record(TTS, **DONE), "succeeded"),
        (record(TTS), "succeeded"),
        (record(AUDIOS, **DONE), "succeeded"),
        (record(VOICES, **DONE), "succeeded"),
        (record(VOICE, **DONE), "succeeded"),
        (record({}, **DONE), "failed"),
        (record(None, **DONE), "failed"),
        (record({"status": 400, "message": "no", "task_id": "t"}), "failed"),
        (record({"status": 400, "message": "no"}, **DONE), "failed"),
        (record({"success": False, "error": {"code": "api_error", "message": "x"}}), "failed"),
        (record({"success": False, "error": "x"}), "failed"),
        (record({"status": "failed"}), "failed"),
        (record({"state": "Cancelled", "audio_url": URL}), "failed"),
        (record({"status": "succeeded", "audio_url": URL}), "succeeded"),
        (record({"status": "completed"}), "failed"),  # a success without anything to show
        (record({"status": "processing", "audio_url": URL}), "pending"),
        (TTS, "succeeded"),
        ({"task_id": "t", **TTS}, "succeeded"),
        (AUDIOS, "succeeded"),
        (VOICES, "succeeded"),
        ({"task_id": "t", "started_at": 1.5}, "pending"),
        ({"success": False, "task_id": "t", "error": {"code": "api_error"}}, "failed"),
        ({"success": True, "data": {"task_id": "t", "status": "x", "audio_url": URL}}, "succeeded"),
    ],
)
def test_every_shape_has_its_state(document: object, state: str) -> None:
    """Records, callbacks and answers; pending is whatever does not say that it is over."""
    verdict = classify(document)
    assert verdict.state.value == state
    assert (verdict.error is not None) is (state == "failed")
    assert (verdict.result is not None) is (state == "succeeded")


@pytest.mark.parametrize(
    ("outcome", "error", "says"),
    [
        ({"error": {"code": "used_up", "message": "empty"}}, InsufficientCreditsError, "empty"),
        ({"error": {"code": "api_error", "message": "fetch failed"}}, ServerError, "fetch failed"),
        ({"status": 400, "message": "Model not found"}, NotFoundError, "Model not found"),
        (
            {"status": 422, "message": '[{"loc": ["body", "format"], "msg": "bad"}]'},
            InvalidRequestError,
            r"body\.format: bad",
        ),
        (
            {"status": 400, "message": '{"status": 400, "message": "inner"}'},
            APIStatusError,
            "inner",
        ),
        ({"status": "failed", "message": "gave up"}, SynthesisError, "gave up"),
        ({"success": False, "error": "plain words"}, SynthesisError, "plain words"),
        ({}, SynthesisError, "without a result"),
    ],
)
def test_a_failure_says_why(outcome: dict[str, Any], error: type[Exception], says: str) -> None:
    """By its code, its status, or at least its sentence, however deep that is wrapped."""
    failure = classify(record(outcome, **DONE)).error
    assert isinstance(failure, error)
    with pytest.raises(error, match=says):
        raise failure


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "state",
                    "success",
                    "error",
                    "message",
                    "response",
                    "finished_at",
                    "data",
                    "audio_url",
                    "_id",
                    "title",
                    "type",
                    "request",
                    "code",
                    "trace_id",
                    "task_id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_judged(document: object) -> None:
    """Nothing that a gateway or a stranger sends raises, and failures always say why."""
    verdict = classify(document)
    assert (verdict.state is TaskState.FAILED) is (verdict.error is not None)
    assert (verdict.state is TaskState.SUCCEEDED) is (verdict.result is not None)


@pytest.mark.parametrize(
    "value",
    [1747053296.789, "2025-05-12T12:34:56.789Z", "2025-05-12T12:34:56.789+00:00"],
)
def test_times_are_read_in_both_forms(value: object) -> None:
    """Unix seconds and ISO 8601 are the same moment in UTC."""
    expected = datetime(2025, 5, 12, 12, 34, 56, 789000, tzinfo=timezone.utc)
    assert when(value) == expected


@pytest.mark.parametrize("value", [None, "soon", True, 1e30, [], "9999999"])
def test_what_is_no_time_is_none(value: object) -> None:
    """It is no error: nobody's task fails for it."""
    assert when(value) is None
