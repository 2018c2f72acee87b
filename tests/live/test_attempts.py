"""live/attempts.py: whether another attempt follows, and when."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    FishLiveError,
    HostNotFoundError,
    InsufficientCreditsError,
    InvalidRequestError,
    MessageTooLarge,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerClosed,
    ServerError,
    ServerRejected,
    SlotTimeout,
    StallTimeout,
    SynthesisError,
    TLSError,
    UpgradeError,
)
from fishlive.flow.retry import RetryPolicy, TokenBucket
from fishlive.live.attempts import MAX_STILLBORN, Attempts
from fishlive.live.plan import Attempt, Terms
from fishlive.text.budget import Budget
from fishlive.transport.refusal import refusal, server_closed

STUBBORN = RetryPolicy(attempts=10, total_s=1000.0)

AGAIN: list[Any] = [
    ConnectError("refused"),
    ConnectError("cut", phase="tls"),
    ConnectTimeout("slow", phase="upgrade"),
    DNSError("for now"),
    StallTimeout("silent", phase="first_audio"),
    StallTimeout("full", phase="send"),
    ConnectionLost("reset"),
    *[server_closed(code) for code in (1000, 1001, 1005, 1006, 1011, 1012, 1013)],
    *[refusal(status, {}, b"") for status in (408, 425, 429, 500, 502, 503, 504)],
    RateLimitError("slow down"),
    ConcurrencyLimitError("too many", max_concurrency=5),
    ConcurrencyLimitError("too many"),
    ServerError("oops"),
    ProtocolError("damaged"),
]

NEVER = [
    HostNotFoundError("no such host"),
    TLSError("certificate"),
    UpgradeError("not an endpoint", status=200),
    *[server_closed(code) for code in (1002, 1003, 1007, 1008, 1009, 1010)],
    server_closed(1008, "Insufficient API credit"),
    *[refusal(status, {}, b"") for status in (301, 400, 401, 402, 403, 404, 405, 409, 415, 422)],
    AuthenticationError("key"),
    InsufficientCreditsError("empty"),
    PermissionDeniedError("no"),
    NotFoundError("none"),
    InvalidRequestError("bad"),
    SynthesisError("error"),
    MessageTooLarge("huge"),
    SlotTimeout("our own queue", limit=5, waited_s=30),
]


def name(error: object) -> str:
    """Name a case."""
    detail = getattr(error, "close_code", None) or getattr(error, "status", None) or ""
    return f"{type(error).__name__}{detail}"


def attempts(
    policy: RetryPolicy = STUBBORN, bucket: TokenBucket | None = None, **terms: Any
) -> Attempts:
    """Return the attempts of an utterance on such terms."""
    return Attempts(Terms(retry=policy, bucket=bucket or TokenBucket(1000), **terms))


def fail(
    made: Attempts, error: FishLiveError, now: float = 0.0, *, stillborn: bool = False
) -> float | None:
    """Make one attempt that fails at once."""
    made.begin(now)
    return made.wait_s(error, now, stillborn=stillborn)


# By class


@pytest.mark.parametrize("error", AGAIN, ids=name)
def test_what_may_pass_is_tried_again(error: FishLiveError) -> None:
    """Within its first longest wait, and a second more for a service that restarts."""
    wait_s = fail(attempts(), error)
    assert wait_s is not None
    throttled = isinstance(error, RateLimitError)
    restarting = isinstance(error, ServerClosed) and error.close_code in {1012, 1013}
    assert 0 <= wait_s <= (1.0 if throttled else 1.1 if restarting else 0.1)


@pytest.mark.parametrize("error", NEVER, ids=name)
def test_what_will_end_the_same_is_not_tried_again(error: FishLiveError) -> None:
    """And it costs the bucket nothing, nor is the hook asked."""
    asked: list[Attempt] = []
    bucket = TokenBucket(10)
    assert fail(attempts(bucket=bucket, on_retry=asked.append), error) is None
    assert bucket.tokens == 10
    assert not asked


def test_a_malformed_message_is_tried_again_once() -> None:
    """Once it may be damage on the way; twice it is the service."""
    made = attempts()
    assert fail(made, ProtocolError("damaged")) is not None
    assert fail(made, ProtocolError("damaged")) is None


def test_other_failures_do_not_count_as_malformed_messages() -> None:
    """After a refused connection the first malformed message is still the first."""
    made = attempts()
    assert fail(made, ConnectError("refused")) is not None
    assert fail(made, ProtocolError("damaged")) is not None
    assert fail(made, ConnectError("refused")) is not None
    assert fail(made, ProtocolError("damaged")) is None


@pytest.mark.parametrize("times", [1, 5])
def test_429_without_a_time_waits_longer_than_the_rest(times: int) -> None:
    """Its base is a second, doubling, where it is 0.1 s for what is no overload."""
    longest = {}
    for error in (RateLimitError("slow down"), ConnectError("refused")):
        waits: list[float] = []
        for _ in range(200):
            made = attempts()
            waits = [*waits, *[fail(made, error) or 0.0 for _ in range(times)][-1:]]
        longest[type(error)] = max(waits)
    doubled = 2 ** (times - 1)
    assert 0.8 * min(doubled, 5) < longest[RateLimitError] <= min(doubled, 5)
    assert 0.08 * doubled < longest[ConnectError] <= 0.1 * doubled


@pytest.mark.parametrize("code", [1012, 1013])
def test_a_restart_is_waited_out_with_jitter(code: int) -> None:
    """Everybody was told at once, so up to a second is added: all do not come together."""
    waits = [fail(attempts(), server_closed(code)) or 0.0 for _ in range(300)]
    assert max(waits) > 0.9
    assert min(waits) < 0.2
    others = [fail(attempts(), server_closed(1011)) or 0.0 for _ in range(300)]
    assert max(others) <= 0.1


# How long


@pytest.mark.parametrize("asked_s", [0.0, 1.5, 7.0])
def test_the_services_own_time_is_waited_at_least(asked_s: float) -> None:
    """``Retry-After`` is the least; jitter comes on top of it."""
    error = refusal(429, {"retry-after": str(asked_s)}, b"")
    wait_s = fail(attempts(RetryPolicy()), error)
    assert wait_s is not None
    assert asked_s <= wait_s <= asked_s + 1


@pytest.mark.parametrize(("status", "header"), [(429, "retry-after"), (503, "retry-after")])
def test_a_time_that_does_not_fit_is_no_reason_to_wait(status: int, header: str) -> None:
    """The error goes to the caller at once, who knows better what to do with a minute."""
    error = refusal(status, {header: "11"}, b"")
    assert fail(attempts(RetryPolicy()), error) is None
    assert error.retry_after_s == 11  # type: ignore[attr-defined]


def test_a_time_has_to_fit_into_what_is_left() -> None:
    """Five seconds fit into ten, and do not after six have gone."""
    made = attempts(RetryPolicy())
    assert fail(made, ConnectError("refused"), 100.0) is not None
    made.begin(106.0)
    error = refusal(503, {"retry-after": "5"}, b"")
    assert made.wait_s(error, 106.0, stillborn=False) is None


@pytest.mark.parametrize("total_s", [0.0, 0.5])
def test_a_restart_has_to_fit_too(total_s: float) -> None:
    """What is added to the wait counts."""
    policy = RetryPolicy(total_s=total_s, base_s=0.0)
    waits = [fail(attempts(policy), server_closed(1012)) for _ in range(300)]
    assert None in waits
    assert all(wait <= total_s for wait in waits if wait is not None)


# How often


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_there_are_as_many_attempts_as_the_policy_says(most: int) -> None:
    """The first included."""
    made = attempts(RetryPolicy(attempts=most, total_s=1000))
    for number in range(1, most + 1):
        wait_s = fail(made, ConnectError("refused"))
        assert made.made == number
        assert (wait_s is None) is (number == most)


def test_a_socket_that_was_dead_before_does_not_count() -> None:
    """Swapping is no attempt."""
    made = attempts(RetryPolicy(attempts=2))
    made.begin(0)
    made.swapped()
    assert made.made == 0
    assert fail(made, ConnectError("refused")) is not None
    assert made.made == 1


def test_connecting_in_advance_counts_once_it_fails() -> None:
    """Nobody asked for it, but that was an attempt."""
    made = attempts(RetryPolicy(attempts=1))
    assert made.wait_s(ConnectError("refused"), 0.0, stillborn=False) is None
    assert made.made == 1


# Time


def test_time_counts_from_asking_for_a_connection_until_there_is_one() -> None:
    """Ten seconds of connecting in all; a failure later than that is the last."""
    made = attempts(RetryPolicy(total_s=10))
    made.begin(0)
    assert made.wait_s(ConnectError("refused"), 9.8, stillborn=False) is not None
    made = attempts(RetryPolicy(total_s=10))
    made.begin(0)
    assert made.wait_s(ConnectError("refused"), 10.1, stillborn=False) is None


def test_a_connection_stops_the_clock() -> None:
    """However long it spoke before it failed without audio, there is another attempt."""
    made = attempts(RetryPolicy(total_s=10))
    made.begin(0)
    made.connected()
    assert made.wait_s(StallTimeout("silent", phase="first_audio"), 500, stillborn=False)


def test_the_clock_is_not_stopped_twice() -> None:
    """After a failure, time counts on: a service that stalls is asked once more, not for ever."""
    made = attempts(RetryPolicy(total_s=10))
    stall = StallTimeout("silent", phase="first_audio")
    made.begin(0)
    made.connected()
    assert made.wait_s(stall, 10, stillborn=False) is not None
    made.begin(10.1)
    made.connected()
    assert made.wait_s(stall, 20.1, stillborn=False) is None


# The bucket


def test_an_empty_bucket_ends_it() -> None:
    """Below half of the tokens nobody tries again; successes refill it slowly."""
    bucket = TokenBucket(10)
    made = attempts(bucket=bucket)
    waits = [fail(made, ConnectError("refused")) for _ in range(6)]
    assert [wait is None for wait in waits] == [False] * 4 + [True] * 2
    for _ in range(50):
        attempts(bucket=bucket).succeed()
    assert fail(attempts(bucket=bucket), ConnectError("refused")) is not None


def test_the_last_attempt_costs_a_token_too() -> None:
    """What failed has failed, whether or not another one follows."""
    bucket = TokenBucket(10)
    assert fail(attempts(RetryPolicy(attempts=1), bucket), ConnectError("refused")) is None
    assert bucket.tokens == 9


# Stillborn connections


def test_three_stillborn_connections_in_a_row_are_the_last() -> None:
    """However stubborn the policy."""
    made = attempts(RetryPolicy(attempts=10))
    waits = [fail(made, ConnectionLost("cut"), stillborn=True) for _ in range(MAX_STILLBORN)]
    assert [wait is None for wait in waits] == [False, False, True]


def test_only_those_in_a_row_count() -> None:
    """A connection that was refused or that lived begins the count anew."""
    made = attempts(RetryPolicy(attempts=20, total_s=1000))
    pattern = [True, True, False] * 3 + [True, True, True]
    waits = [fail(made, ConnectionLost("cut"), stillborn=young) for young in pattern]
    assert [wait is None for wait in waits] == [False] * 11 + [True]


# The hook


def test_the_hook_sees_number_cause_and_delay() -> None:
    """Of every attempt that is to be followed by another, and of no other."""
    seen: list[Attempt] = []
    made = attempts(RetryPolicy(attempts=3), on_retry=seen.append)
    errors = [ConnectError("one"), ServerError("two"), ConnectError("three")]
    waits = [fail(made, error) for error in errors]
    assert [(a.number, a.cause, a.delay_s) for a in seen] == [
        (1, errors[0], waits[0]),
        (2, errors[1], waits[1]),
    ]
    assert waits[2] is None


@pytest.mark.parametrize("answer", [None, True, 0, "", []])
def test_only_false_forbids(answer: object) -> None:
    """A hook that returns nothing, or nothing in particular, is a listener."""
    assert fail(attempts(on_retry=lambda _: answer), ConnectError("refused")) is not None


def test_false_forbids() -> None:
    """The error goes to the listener."""
    assert fail(attempts(on_retry=lambda _: False), ConnectError("refused")) is None


async def test_a_hook_that_raises_forbids_and_is_heard_of() -> None:
    """The event loop's exception handler gets what it raised, and nobody else does."""
    loop = asyncio.get_running_loop()
    usual, heard = loop.get_exception_handler(), []
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
    bug = ValueError("a bug of the caller")

    def hook(_attempt: Attempt) -> None:
        raise bug

    assert fail(attempts(on_retry=hook), ConnectError("refused")) is None
    loop.set_exception_handler(usual)
    assert heard == [bug]


# Money


def test_saying_it_again_is_paid_for_again() -> None:
    """The budget is asked before, in bytes of UTF-8."""
    budget = Budget(utf8_bytes=10)
    made = attempts(budget=budget)
    assert made.afford("ééé")
    assert not made.afford("ééé")
    assert made.afford("éé")
    assert budget.spent_bytes == 10
    assert attempts().afford("x" * 100_000)


# Anything


@given(
    st.lists(st.tuples(st.sampled_from(AGAIN[:-1]), st.floats(0, 3), st.booleans()), max_size=15),
    st.integers(1, 6),
    st.integers(0, 2**32),
)
def test_no_wait_breaks_any_limit(
    failures: list[tuple[FishLiveError, float, bool]], most: int, seed: int
) -> None:
    """Whatever fails and when: attempts, total time and tokens hold for every wait granted."""
    random.seed(seed)
    policy = RetryPolicy(attempts=most, total_s=8)
    bucket = TokenBucket(10)
    made = attempts(policy, bucket)
    now = 50.0
    for error, took_s, stillborn in failures:
        made.begin(now)
        now += took_s
        wait_s = made.wait_s(error, now, stillborn=stillborn)
        if wait_s is None:
            break
        assert made.made < most
        assert bucket.tokens > 5
        assert wait_s >= 0
        now += wait_s
        assert now - 50.0 <= 8 + 1e-9


def test_codes_that_blame_us_are_of_a_class_of_their_own() -> None:
    """The table above leans on it."""
    assert isinstance(server_closed(1008), ServerRejected)
    assert not isinstance(server_closed(1011), ServerRejected)
