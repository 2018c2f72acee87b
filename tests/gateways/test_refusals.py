"""gateways/refusals.py: code first, status second."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConcurrencyLimitError,
    FishLiveError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UpgradeError,
)
from fishlive.gateways.refusals import gateway_refusal, refusal_in


def refused(status: int, body: Any, **headers: str) -> FishLiveError:
    """Return the error for a JSON body."""
    return gateway_refusal(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "token_mismatched", InvalidRequestError),
        (401, "token_mismatched", AuthenticationError),
        (400, "api_not_implemented", InvalidRequestError),
        (400, "bad_request", InvalidRequestError),
        (400, "no_token", AuthenticationError),
        (401, "no_token", AuthenticationError),
        (401, "invalid_token", AuthenticationError),
        (401, "token_expired", AuthenticationError),
        (400, "disabled", PermissionDeniedError),
        (403, "disabled", PermissionDeniedError),
        (403, "used_up", InsufficientCreditsError),
        (402, "insufficient_balance", InsufficientCreditsError),
        (403, "forbidden", PermissionDeniedError),
        (404, "no_api", NotFoundError),
        (404, "not_found", NotFoundError),
        (404, "task_not_found", NotFoundError),
        (429, "too_many_requests", RateLimitError),
        (429, "rate_limited", ConcurrencyLimitError),
        (500, "api_error", ServerError),
        (504, "timeout", ServerError),
        (502, "upstream_error", ServerError),
        (504, "upstream_timeout", ServerError),
        (503, "busy", ServerError),
        (500, "unknown", ServerError),
        (500, "task_failed", ServerError),
        (401, "unauthorized", AuthenticationError),
        (403, "not_applied", PermissionDeniedError),
        (403, "content_moderation", PermissionDeniedError),
        (400, "invalid_request", InvalidRequestError),
        (400, "duplication", InvalidRequestError),
        (400, "canceled", InvalidRequestError),
        (413, "content_too_large", InvalidRequestError),
        (418, "brand_new", InvalidRequestError),
        (599, "brand_new", ServerError),
    ],
)
@pytest.mark.parametrize("envelope", [{}, {"success": False}])
def test_every_documented_code_has_its_class(
    status: int, code: str, error: type[APIStatusError], envelope: dict[str, Any]
) -> None:
    """With and without ``success``, in the forms of both generations of documents."""
    found = refused(status, {**envelope, "error": {"code": code, "message": "m"}, "trace_id": "t"})
    assert type(found) is error
    assert (found.status, found.reason, found.message, found.trace_id) == (status, code, "m", "t")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "no Route matched with those values"}, "no Route matched with those values"),
        ({"error": "plain"}, "plain"),
        ({"detail": "why"}, "why"),
        ({"status": 404, "message": "Model not found"}, "Model not found"),
        ({"status": 404, "message": '[{"loc": ["a", 0], "msg": "x"}]'}, "a.0: x"),
        ({"error": {"message": {"message": "deep"}}}, "deep"),
    ],
)
def test_sentences_are_found_wherever_they_are(body: dict[str, Any], message: str) -> None:
    """In all six shapes of the documents."""
    found = refused(404, body)
    assert isinstance(found, NotFoundError)
    assert found.message == message


def test_a_validation_error_in_a_sentence_names_its_field() -> None:
    """As the newest page prints it: a JSON list as text, under a status that is a number."""
    rows = (
        '[{"type":"literal_error","loc":["format"],'
        '"msg":"Input should be \'pcm\' or \'mp3\'","input":"wav"}]'
    )
    found = refused(400, {"status": 400, "message": rows})
    assert isinstance(found, InvalidRequestError)
    assert found.message == "format: Input should be 'pcm' or 'mp3'"


def test_a_call_that_has_to_be_paid_for_is_short_of_credit() -> None:
    """A real 402 with a plain string, as the host that takes payment by the call answers."""
    found = refused(402, {"error": "X-PAYMENT header is required"})
    assert isinstance(found, InsufficientCreditsError)
    assert found.message == "X-PAYMENT header is required"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"success": False, "error": {"code": "used_up", "message": "m"}},
            InsufficientCreditsError,
        ),
        ({"error": {"code": "invalid_token"}}, AuthenticationError),
        ({"error": "plain"}, ServerError),
        ({"success": False}, ServerError),
        ({"status": 400, "message": "Model not found"}, NotFoundError),
    ],
)
def test_a_refusal_under_status_200_is_one(
    body: dict[str, Any], error: type[APIStatusError]
) -> None:
    """By its code, or by the number it has in its body."""
    assert type(refusal_in(body)) is error


def test_an_unknown_voice_is_not_found_whatever_the_status() -> None:
    """The document says 404, others measured a 400."""
    assert isinstance(refused(400, {"status": 400, "message": "Model not found"}), NotFoundError)


def test_a_trace_id_may_be_in_the_headers() -> None:
    """Support asks for it."""
    assert refused(500, {"error": "x"}, **{"x-trace-id": "t"}).trace_id == "t"


def test_retry_after_is_kept() -> None:
    """It is documented nowhere, and honoured where it comes."""
    found = refused(429, {"error": {"code": "too_many_requests"}}, **{"retry-after": "3"})
    assert isinstance(found, RateLimitError)
    assert found.retry_after_s == 3


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"busy", b"", b"[1]"])
def test_what_is_no_object_goes_by_its_status(body: bytes) -> None:
    """A proxy's page or plain text."""
    assert isinstance(gateway_refusal(503, {}, body), ServerError)


def test_a_redirect_is_no_refusal() -> None:
    """It would lose the token; it is not followed."""
    assert isinstance(gateway_refusal(301, {}, b'{"error": "x"}'), UpgradeError)


@pytest.mark.parametrize("body", [{"audio_url": "x"}, {"success": True}, {"state": "trained"}])
def test_a_success_is_none(body: dict[str, Any]) -> None:
    """Nothing in it reports a failure."""
    assert refusal_in(body) is None


@given(st.dictionaries(st.sampled_from(["error", "message", "status", "success", "detail"]),
                       st.none() | st.booleans() | st.integers() | st.text(max_size=20)
                       | st.lists(st.text(max_size=5), max_size=3)),
       st.integers(400, 599))  # fmt: skip
def test_every_body_becomes_one_of_ours(body: dict[str, Any], status: int) -> None:
    """And its text is short and plain."""
    found = refused(status, body)
    assert isinstance(found, APIStatusError)
    assert found.message.isprintable()
