"""Lists, percentages and limits."""

from __future__ import annotations

import pytest

from fishlive.cli.bench_options import fraction, limits, optional, precision, several
from fishlive.cli.exits import Failure


def test_lists_are_joined() -> None:
    """Commas and repetition are the same; each value counts once."""
    assert several(["1,10", " 50 ", "1"], "concurrency", int) == (1, 10, 50)
    assert several(None, "concurrency", int) == ()
    assert several(["low,default"], "latency", optional(str)) == ("low", None)


@pytest.mark.parametrize("given", [[","], [""], [" , "], ["", ","]])
def test_a_list_of_nothing_is_refused(given: list[str]) -> None:
    """It is none of the defaults; it names the option."""
    with pytest.raises(Failure, match="--rate: no value in"):
        several(given, "rate", float)


@pytest.mark.parametrize("text", ["0", "0%", "100%", "5", "7.5"])
def test_no_precision(text: str) -> None:
    """A p95 can be known to some per cent, not to none and not to several times itself."""
    with pytest.raises(Failure, match="over 0% and under 100%"):
        precision(text)


def test_a_precision_may_be_left_out() -> None:
    """Then nothing is asked for; else it is a fraction."""
    assert precision(None) is None
    assert precision("5%") == precision("0.05") == pytest.approx(0.05)


def test_a_value_that_is_none_names_its_option() -> None:
    """With the value."""
    with pytest.raises(Failure, match="--rate: fast"):
        several(["1,fast"], "rate", float)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), (" 12.5 % ", 0.125)])
def test_percentages(text: str, value: float) -> None:
    """With the sign or as a fraction."""
    assert fraction(text, "until-ci") == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "%", "x", "-1%", "nan", "inf"])
def test_no_percentage(text: str) -> None:
    """Anything else is refused, by the option's name."""
    with pytest.raises(Failure, match="--until-ci"):
        fraction(text, "until-ci")


def test_limits_name_percentiles() -> None:
    """Of the headline, or of a metric."""
    found = limits(["p95=10%,p50=0.05", "first_audio_s:p99.9=20%"])
    assert found == pytest.approx({"p95": 0.1, "p50": 0.05, "first_audio_s:p99.9": 0.2})


@pytest.mark.parametrize("text", ["p95", "p95=", "95=10%", "p95=x", "=5%", "latency=5%"])
def test_no_limit(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(Failure, match="--fail-over"):
        limits([text])
