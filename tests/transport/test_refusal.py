"""Every answer and every close code has one meaning, and none can make the reader raise."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

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
    RateLimitError,
    ServerClosed,
    ServerError,
    ServerRejected,
    UpgradeError,
)
from fishlive.limits import MAX_ERROR_TEXT_CHARS
from fishlive.transport.refusal import MAX_RETRY_AFTER_S, refusal, retry_after_s, server_closed

NOON = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
HEADER = st.text(max_size=40) | st.from_regex(r"-?[0-9]{1,400}(\.[0-9]+)?(e[0-9]+)?")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": "Invalid Token", "status": 401}', "Invalid Token"),
        (b'{"detail": "not here"}', "not here"),
        (b'{"error": {"message": "nested"}}', "nested"),
        (b'{"reason": "only_a_reason"}', "only_a_reason"),
        (b'{"detail": [{"loc": ["body", "text"], "msg": "field required"}]}', "body.text: field"),
        (b'[{"loc": ["a", 0], "msg": "x", "type": "t"}, {"msg": "y"}]', "a.0: x; y"),
        (b"plain words", "plain words"),
        (b"", "Bad Request"),
        (b"{}", "Bad Request"),
        (b"null", "Bad Request"),
        (b"[1, null]", "Bad Request"),
        (b"<html><head><TITLE>502\n Bad</TITLE></head><body>no</body></html>", "HTML page '502 Ba"),
        (b"  <!DOCTYPE html><p>long</p>", "HTML page"),
        (b"\xff\xfe\x00", "\N{REPLACEMENT CHARACTER}"),
        (b"two\r\nlines\x1b[31m", "two  lines"),
    ],
)
def test_every_form_of_body_becomes_a_sentence(body: bytes, message: str) -> None:
    """JSON of any shape, validation lists, text and HTML are readable; an empty one says so."""
    error = refusal(400, {}, body)

    assert isinstance(error, InvalidRequestError)
    assert error.message.startswith(message)
    assert "<" not in error.message
    assert error.message.isprintable()


def test_a_long_body_is_capped() -> None:
    """A megabyte of words is 512 characters of message."""
    error = refusal(500, {}, b"x" * 1_000_000)

    assert isinstance(error, ServerError)
    assert len(error.message) == MAX_ERROR_TEXT_CHARS


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"message": "slow down"}', RateLimitError),
        (b'{"message": "Concurrency limit exceeded"}', ConcurrencyLimitError),
        (b'{"message": "no", "reason": "concurrency_limit"}', ConcurrencyLimitError),
        (b"too many concurrent requests", ConcurrencyLimitError),
    ],
)
def test_concurrency_is_told_from_rate(body: bytes, kind: type[RateLimitError]) -> None:
    """429 is one of two things, by its words."""
    assert type(refusal(429, {}, body)) is kind


@pytest.mark.parametrize(("said", "limit"), [(5, 5), (0, None), ("5", None), (True, None)])
def test_only_a_real_limit_is_taken(said: object, limit: int | None) -> None:
    """The number of allowed requests is a positive integer or nothing."""
    body = json.dumps({"message": "concurrency", "max_concurrency": said}).encode()
    error = refusal(429, {}, body)

    assert isinstance(error, ConcurrencyLimitError)
    assert error.max_concurrency == limit


def test_reason_and_trace_are_kept() -> None:
    """The machine-readable reason and the service's name for the request are attributes."""
    headers = {"x-generation-id": "g-1"}
    error = refusal(402, headers, b'{"message": "Insufficient API credit", "reason": "credit"}')

    assert isinstance(error, InsufficientCreditsError)
    assert (error.reason, error.trace_id) == ("credit", "g-1")
    both = refusal(402, {**headers, "x-fish-trace-id": "t-1"}, b"")
    assert both.trace_id == "t-1"


@pytest.mark.parametrize("status", [100, 101, 200, 204, 301, 399, 426, 600, 999])
def test_what_is_no_refusal_is_no_endpoint(status: int) -> None:
    """Only 4xx and 5xx are the service's own; redirects say why they are not followed."""
    error = refusal(status, {"location": "https://elsewhere.example/?secret"}, b"body")

    assert isinstance(error, UpgradeError)
    assert error.status == status
    assert ("redirect" in str(error)) is (300 <= status < 400)
    assert "elsewhere" not in str(error)


@given(st.integers(100, 999), st.dictionaries(st.text(), HEADER), st.binary() | st.text())
def test_nothing_makes_a_refusal_raise(
    status: int, headers: dict[str, str], body: bytes | str
) -> None:
    """Whatever the answer, there is one error of ours, with a printable sentence."""
    raw = body if isinstance(body, bytes) else json.dumps({"detail": body}).encode()
    error = refusal(status, headers, raw)

    assert isinstance(error, FishLiveError)
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "1000000000"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "9" * 5000}, MAX_RETRY_AFTER_S),
        ({"retry-after": "\N{ARABIC-INDIC DIGIT THREE}"}, None),
        ({"retry-after": "³"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 99 Sep 2026 12:00:00 GMT"}, None),
        ({"retry-after": "Tue, 01 Sep 0001 12:00:00 +2359"}, 0.0),
    ],
)
def test_waits_are_seconds_or_nothing(headers: dict[str, str], seconds: float | None) -> None:
    """Numbers count, absurd ones are a day, everything else is no wait at all."""
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize(("ahead_s", "expected"), [(90, 90.0), (-90, 0.0), (10**7, 86_400.0)])
def test_a_date_counts_from_the_answers_own(ahead_s: int, expected: float) -> None:
    """A wrong clock on this side changes nothing."""
    then = format_datetime(NOON + timedelta(seconds=ahead_s), usegmt=True)
    headers = {"retry-after": then, "date": format_datetime(NOON, usegmt=True)}

    assert retry_after_s(headers) == expected


def test_a_date_alone_counts_from_now() -> None:
    """Without a date of the answer, the wall clock has to do."""
    then = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=600), usegmt=True)
    wait_s = retry_after_s({"retry-after": then})

    assert wait_s is not None
    assert 0 < wait_s <= 600


@given(
    st.fixed_dictionaries(
        {}, optional={"retry-after": HEADER, "retry-after-ms": HEADER, "date": HEADER}
    )
)
def test_no_header_makes_the_wait_raise(headers: dict[str, str]) -> None:
    """The result is None, or finite and within a day."""
    wait_s = retry_after_s(headers)

    assert wait_s is None or (math.isfinite(wait_s) and 0 <= wait_s <= MAX_RETRY_AFTER_S)


@given(st.datetimes(), st.datetimes())
def test_no_pair_of_dates_makes_the_wait_raise(then: datetime, now: datetime) -> None:
    """Any two dates there are give a wait within a day."""
    headers = {"retry-after": format_datetime(then), "date": format_datetime(now)}
    wait_s = retry_after_s(headers)

    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010])
def test_codes_that_blame_us_are_final(code: int) -> None:
    """The same would happen again."""
    error = server_closed(code, "because")

    assert type(error) is ServerRejected
    assert not error.retryable
    assert (error.close_code, error.reason) == (code, "because")


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000, 4999])
def test_other_codes_may_be_tried_again(code: int) -> None:
    """A close is an error whatever its code, and retryable unless it blames us."""
    error = server_closed(code)

    assert type(error) is ServerClosed
    assert error.retryable


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Invalid Token", AuthenticationError),
        ("this route requires an api-key", AuthenticationError),
        ("Unauthorized", AuthenticationError),
        ("Insufficient API credit", InsufficientCreditsError),
        ("Concurrency limit exceeded", ConcurrencyLimitError),
    ],
)
def test_a_policy_close_may_be_a_refusal(reason: str, kind: type[APIStatusError]) -> None:
    """1008 with words of a refusal is that refusal; with any other code it is a close."""
    error = server_closed(1008, reason)

    assert type(error) is kind
    assert error.status is None
    assert type(server_closed(1011, reason)) is ServerClosed


def test_a_close_reason_is_capped_and_clean() -> None:
    """Control characters and length cannot come through."""
    error = server_closed(1011, "\x1b[2J" + "x" * 10_000)

    assert isinstance(error, ServerClosed)
    assert error.reason.isprintable()
    assert len(error.reason) <= MAX_ERROR_TEXT_CHARS
