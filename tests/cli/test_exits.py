"""Every error has a code and a line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive import errors
from fishlive.cli.exits import MEANINGS, ExitCode, Failure, explain, one_line

CODES = {
    "APIStatusError": 1,
    "AuthenticationError": 3,
    "BudgetExceeded": 3,
    "ConcurrencyLimitError": 5,
    "ConfigError": 2,
    "ConflictError": 1,
    "ConnectError": 4,
    "ConnectTimeout": 4,
    "ConnectionLost": 4,
    "DNSError": 4,
    "HostNotFoundError": 4,
    "InsufficientCreditsError": 3,
    "InvalidRequestError": 2,
    "InvalidTextError": 2,
    "MessageTooLarge": 1,
    "NotFoundError": 2,
    "PermissionDeniedError": 3,
    "ProtocolError": 1,
    "RateLimitError": 5,
    "ServerClosed": 1,
    "ServerError": 1,
    "ServerRejected": 1,
    "SlotTimeout": 5,
    "StallTimeout": 1,
    "StreamInterrupted": 1,
    "SynthesisError": 1,
    "TaskTimeout": ExitCode.FAILED,
    "TLSError": 4,
    "UpgradeError": 4,
}
BUGS = {
    "ConcurrentIterationError",
    "FishLiveError",
    "ForkedProcessError",
    "SignatureError",
    "StoreError",
    "StreamClosedError",
    "TextSourceError",
    "UsageError",
    "UtteranceInterrupted",
    "WrongLoopError",
}
"""What a command never meets: it would be its own fault."""


def made(name: str) -> BaseException:
    """Return an error of that class."""
    needed: dict[str, dict[str, Any]] = {
        "StallTimeout": {"phase": "audio"},
        "BudgetExceeded": {"spent": 1.0, "limit": 1.5, "asked": 1.0, "unit": "usd"},
        "SlotTimeout": {"limit": 5, "waited_s": 1.0},
        "TaskTimeout": {"task_id": "t"},
    }
    facts = needed.get(name, {})
    what: Any = 1011 if name in {"ServerClosed", "ServerRejected"} else "it went wrong"
    error: BaseException = getattr(errors, name)(what, **facts)
    return error


def test_the_tables_know_every_error() -> None:
    """A new error class has to be given a code, or named as one that cannot come."""
    assert sorted(CODES.keys() | BUGS) == errors.__all__


@pytest.mark.parametrize("name", CODES)
def test_errors_become_codes(name: str) -> None:
    """Each class of error has its code, and a line that repeats what happened."""
    failure = explain(made(name))

    assert failure is not None
    assert failure.code == CODES[name]
    assert ("code 1011" if "Server" in name and "Error" not in name else "it went wrong") in (
        failure.message
    )


@pytest.mark.parametrize("name", sorted(BUGS))
def test_bugs_keep_their_traceback(name: str) -> None:
    """What only a mistake of ours can cause is not dressed up as the user's."""
    assert explain(made(name)) is None
    assert explain(ZeroDivisionError()) is None


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("sample_rate", "--sample-rate: too low"),
        ("prosody.speed", "--speed: too low"),
        ("api_key", "the key: too low"),
        ("rules[3]", "the rules: too low"),
        (None, "too low"),
    ],
)
def test_an_argument_is_named_as_the_option(argument: str | None, said: str) -> None:
    """A ConfigError says which option to change."""
    failure = explain(errors.ConfigError("too low", argument=argument))

    assert failure is not None
    assert failure.message == said


def test_what_is_not_built_in_is_no_failure_that_passes() -> None:
    """A 501 says what to install; trying again later would not help."""
    failure = explain(errors.ServerError("install fishlive[asr]", status=501))

    assert failure is not None
    assert (failure.code, failure.message) == (ExitCode.USAGE, "501 install fishlive[asr]")


def test_an_error_of_the_system_without_words_is_named() -> None:
    """No failure is silent because the system said nothing."""
    failure = explain(TimeoutError())

    assert failure is not None
    assert failure.message == "TimeoutError"


def test_every_code_has_a_meaning() -> None:
    """The help lists them all."""
    assert set(MEANINGS) == set(ExitCode)


def test_a_silent_failure_stays_silent() -> None:
    """What is added to a failure without a message is not said either."""
    assert Failure(ExitCode.READER_GONE, "").adding("more").message == ""


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    """Nothing that is said can steer a terminal or begin another line."""
    shown = one_line(text)

    assert shown.isprintable()


def test_escaping_shows_what_was_there() -> None:
    """Escape sequences and marks of direction are shown as what they are."""
    assert one_line("a\x1b[2J\u202eb\n c é") == "a\\x1b[2J\\u202eb c é"
