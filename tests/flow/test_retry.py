"""retry.py: when to try again, and after how long."""

from __future__ import annotations

import gc
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    FishLiveError,
    HostNotFoundError,
    InvalidRequestError,
    ProtocolError,
    RateLimitError,
    ServerError,
    StallTimeout,
    TLSError,
    UpgradeError,
)
from fishlive.flow.retry import (
    BUCKET_TOKENS,
    RetryPolicy,
    TokenBucket,
    may_repeat,
    shared_bucket,
)

LOST = ConnectionLost("")
STALL = StallTimeout("", phase="first_byte")


def status(code: int, wait_s: float | None = None) -> FishLiveError:
    """Return a refusal."""
    return ServerError("", status=code, retry_after_s=wait_s)


# error, safe and sent, unsafe and sent, unsafe and not sent
TABLE = [
    (ConnectError(""), True, False, True),
    (ConnectTimeout(""), True, False, True),
    (DNSError(""), True, False, True),
    (HostNotFoundError(""), False, False, False),
    (TLSError(""), False, False, False),
    (UpgradeError("", status=302), False, False, False),
    (LOST, True, False, True),
    (STALL, True, False, True),
    (ProtocolError(""), False, False, False),
    (status(408), True, False, False),
    (status(425), True, False, False),
    (status(500), True, False, False),
    (status(501), False, False, False),
    (status(502), True, False, False),
    (status(503), True, False, False),
    (status(503, 1.0), True, True, True),
    (status(504), True, False, False),
    (status(504, 1.0), True, False, False),
    (RateLimitError("", status=429), True, True, True),
    (ConcurrencyLimitError("", status=429), True, True, True),
    (AuthenticationError("", status=401), False, False, False),
    (InvalidRequestError("", status=400), False, False, False),
    (InvalidRequestError("", status=422), False, False, False),
]


@pytest.mark.parametrize(("error", "safe", "unsafe", "unsent"), TABLE, ids=lambda each: repr(each))
def test_what_may_be_repeated(
    error: FishLiveError, *, safe: bool, unsafe: bool, unsent: bool
) -> None:
    """A safe call after what may pass; another one only if it cannot have been carried out."""
    assert may_repeat(error, safe=True, sent=True) is safe
    assert may_repeat(error, safe=False, sent=True) is unsafe
    assert may_repeat(error, safe=False, sent=False) is unsent


@pytest.mark.parametrize(
    ("attempt", "most_s"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (2000, 5.0)]
)
def test_the_longest_wait_doubles_up_to_a_cap(attempt: int, most_s: float) -> None:
    """Base 0.1 s, cap 5 s; no number of attempts overflows."""
    policy = RetryPolicy(attempts=10_000)
    waits = [
        policy.delay_s(LOST, attempt=attempt, elapsed_s=0, jitter=lambda part=part: part)  # type: ignore[misc]  # mypy cannot type a default
        for part in (0.0, 0.5, 1.0)
    ]
    assert waits == pytest.approx([0.0, most_s / 2, most_s])


def test_a_throttled_call_waits_longer() -> None:
    """A slot is free when an utterance has ended, which takes seconds."""
    wait_s = RetryPolicy().delay_s(
        RateLimitError("", status=429), attempt=1, elapsed_s=0, jitter=lambda: 1.0
    )
    assert wait_s == 1.0


def test_attempts_end() -> None:
    """The last one has no successor."""
    policy = RetryPolicy(attempts=3)
    assert policy.delay_s(LOST, attempt=2, elapsed_s=0) is not None
    assert policy.delay_s(LOST, attempt=3, elapsed_s=0) is None
    assert RetryPolicy(attempts=1).delay_s(LOST, attempt=1, elapsed_s=0) is None


def test_what_the_service_asks_for_is_the_least() -> None:
    """Our own part comes on top, so that those who were told the same do not come together."""
    asked = RateLimitError("", status=429, retry_after_s=2.0)
    policy = RetryPolicy()
    assert policy.delay_s(asked, attempt=1, elapsed_s=0, jitter=lambda: 0.0) == 2.0
    assert policy.delay_s(asked, attempt=1, elapsed_s=0, jitter=lambda: 0.5) == 2.5


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    """Neither when the service asks for it, nor when time has passed."""
    policy = RetryPolicy(total_s=10)
    asked = RateLimitError("", status=429, retry_after_s=11.0)
    assert policy.delay_s(asked, attempt=1, elapsed_s=0, jitter=lambda: 0.0) is None
    assert policy.delay_s(LOST, attempt=1, elapsed_s=10.1, jitter=lambda: 0.0) is None
    assert policy.delay_s(LOST, attempt=1, elapsed_s=10.0, jitter=lambda: 0.0) == 0.0


@given(
    attempt=st.integers(1, 50),
    elapsed_s=st.floats(0, 100),
    part=st.floats(0, 1),
    asked_s=st.none() | st.floats(0, 86_400),
    total_s=st.floats(0, 1000),
)
def test_no_wait_leaves_its_bounds(
    attempt: int, elapsed_s: float, part: float, asked_s: float | None, total_s: float
) -> None:
    """At least what was asked, at most the cap beyond it, and never past the budget."""
    policy = RetryPolicy(attempts=40, total_s=total_s)
    error = status(503, asked_s)
    wait_s = policy.delay_s(error, attempt=attempt, elapsed_s=elapsed_s, jitter=lambda: part)
    if wait_s is None:
        return
    assert attempt < 40
    assert (asked_s or 0) <= wait_s <= (asked_s or 0) + policy.cap_s
    assert elapsed_s + wait_s <= total_s


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempts", 0), ("attempts", 1.5), ("attempts", True), ("attempts", None)]
    + [
        (name, value)
        for name in ("total_s", "base_s", "cap_s", "throttle_base_s")
        for value in (-1, math.nan, math.inf, "1", None)
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(name: str, value: object) -> None:
    """The argument is named."""
    facts: dict[str, object] = {name: value}
    with pytest.raises(ConfigError) as caught:
        RetryPolicy(**facts)  # type: ignore[arg-type]  # that is the point
    assert caught.value.argument == name


def test_a_bucket_allows_a_few_retries_in_a_row() -> None:
    """Below half of its tokens nobody tries again."""
    bucket = TokenBucket()
    assert [bucket.fail() for _ in range(6)] == [True, True, True, True, False, False]


def test_successes_fill_it_again() -> None:
    """Ten of them pay for one failure, and never more than full."""
    bucket = TokenBucket()
    for _ in range(20):
        bucket.fail()
    assert bucket.tokens == 0
    for _ in range(1000):
        bucket.succeed()
    assert bucket.tokens == BUCKET_TOKENS


@given(st.lists(st.booleans(), max_size=300))
def test_a_bucket_keeps_retries_under_a_tenth_of_successes(history: list[bool]) -> None:
    """Whatever happens, retries allowed are at most half a bucket and a tenth of the successes."""
    bucket = TokenBucket()
    allowed = 0
    for well in history:
        if well:
            bucket.succeed()
        else:
            allowed += bucket.fail()
    assert allowed <= BUCKET_TOKENS / 2 + 0.1 * sum(history)
    assert 0 <= bucket.tokens <= BUCKET_TOKENS


def test_sessions_of_an_account_share_a_bucket() -> None:
    """By origin and key, wherever in the origin they point."""
    bucket = shared_bucket("https://api.fish.audio", "key")
    assert shared_bucket("HTTPS://API.fish.audio/v1", "key") is bucket
    assert shared_bucket("https://api.fish.audio:8443", "key") is not bucket
    assert shared_bucket("http://api.fish.audio", "key") is not bucket
    assert shared_bucket("https://api.fish.audio", "other") is not bucket


def test_a_bucket_lives_as_long_as_somebody_uses_it() -> None:
    """A process that makes sessions for many keys does not collect them."""
    bucket = shared_bucket("https://api.fish.audio", "short-lived")
    bucket.fail()
    del bucket
    gc.collect()
    assert shared_bucket("https://api.fish.audio", "short-lived").tokens == BUCKET_TOKENS
