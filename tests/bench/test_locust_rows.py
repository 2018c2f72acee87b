"""What Locust shows of utterances."""

from __future__ import annotations

import pytest

from fishlive.bench.locust_rows import described, is_hopeless, rows, summary
from fishlive.bench.summary import cell_of
from tests.bench.samples import COLD, record


def test_an_utterance_has_a_row_for_each_interval() -> None:
    """In milliseconds, under the user's class; what was not measured has none."""
    found = list(rows("Caller", record(0.25, connect_s=0.005, audio_bytes=9)))

    assert {row["name"]: row["response_time"] for row in found} == {
        "utterance": 250.0,
        "latency": 250.0,
        "queue": 0.0,
        "connect": 5.0,
        "first audio": 250.0,
    }
    assert {row["request_type"] for row in found} == {"Caller"}
    assert found[0]["response_length"] == 9


def test_only_the_utterance_carries_its_record() -> None:
    """A listener of Locust's request event hears of each utterance once."""
    one = record(0.25)

    assert [row["response"] for row in rows("Caller", one) if row["response"]] == [one]


def test_a_failure_stands_by_its_class() -> None:
    """The error's class and numbers, and none of its intervals."""
    failed = record(0.1, ending="failed", failure="ServerError", failure_detail="status 503")

    (row,) = rows("Caller", failed)
    assert (row["name"], repr(row["exception"])) == ("utterance", "ServerError (status 503)")


def test_what_we_stopped_is_apart() -> None:
    """It is no failure, and in no row of those that were spoken."""
    (row,) = rows("Caller", record(0.1, ending="cancelled"))

    assert (row["name"], row["exception"]) == ("cancelled", None)


def test_warming_up_is_not_shown() -> None:
    """Statistics do not count it, here nor there."""
    assert not list(rows("Caller", record(0.1, warmup=True)))


@pytest.mark.parametrize(
    ("failure", "hopeless"),
    [
        ("AuthenticationError", True),
        ("InsufficientCreditsError", True),
        ("ServerError", False),
        ("ConnectError", False),
        ("TimeoutError", False),
        (None, False),
    ],
)
def test_some_failures_come_again_for_certain(failure: str | None, hopeless: bool) -> None:
    """Those that end `fishlive bench` too."""
    assert is_hopeless(record(0.1, ending="failed", failure=failure)) is hopeless


def test_failures_are_described_by_class_and_numbers() -> None:
    """Nobody's text is in it."""
    assert described(record(0.1, failure="ServerError")) == "ServerError"


def test_a_line_has_no_percentile_without_samples_enough() -> None:
    """Twenty for the median, two hundred for p95."""
    few = summary(cell_of(COLD, [record(0.1)] * 20))
    many = summary(cell_of(COLD, [record(0.1)] * 200))

    broken = summary(cell_of(COLD, [record(0.1)], partial="stopped"))

    assert broken.endswith("0 cancelled (partial)")
    assert few == "picows, 1 at once: 20 finished, 0 failed, 0 cancelled, p50 100 ms"
    assert many.endswith("p50 100 ms, p95 100 ms")
