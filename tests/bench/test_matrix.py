"""Every combination once, and those that cannot be left out with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from fishlive.bench.matrix import Matrix, varied
from fishlive.errors import ConfigError


def test_all_combine() -> None:
    """Two by three by two is twelve."""
    matrix = Matrix(
        model=("s1", "s2-pro"), socket=("cold", "standby", "reused"), concurrency=(1, 9)
    )
    combinations, notes = matrix.combinations()
    assert len(combinations) == len(set(combinations)) == 12
    assert notes == ()
    assert varied(combinations) == ("socket", "model", "load")


def test_loads_are_one_axis() -> None:
    """Concurrencies and rates stand side by side, for people in words."""
    combinations, _ = Matrix(concurrency=(1, 10), rate=(2.5,)).combinations()
    assert [c.load for c in combinations] == ["1 at once", "10 at once", "2.5/s"]


def test_what_cannot_be_is_left_out_and_told() -> None:
    """A call has no standby socket; the others are measured."""
    matrix = Matrix(transport=("picows", "rest"), socket=("cold", "standby"))
    combinations, notes = matrix.combinations()
    assert [(c.transport, c.socket) for c in combinations] == [
        ("picows", "cold"),
        ("picows", "standby"),
        ("rest", "cold"),
    ]
    assert notes == ("rest has no standby sockets: left out",)


def test_nothing_that_can_be_is_an_error() -> None:
    """With the reason."""
    with pytest.raises(ConfigError, match="no standby"):
        Matrix(transport=("sse",), socket=("standby",)).combinations()


def test_nothing_is_measured_twice() -> None:
    """Values that come to the same are one combination: flushing means nothing to a call."""
    matrix = Matrix(transport=("rest",), flush=("sentence", "never"), stream=("60", "60.0"))
    assert len(matrix.combinations()[0]) == 1


@pytest.mark.parametrize(
    ("given", "argument", "why"),
    [
        ({"model": ("s2-prp",)}, "model", "did you mean s2-pro"),
        ({"model": ("a b",)}, "model", "id like"),
        ({"latency": ("lowest",)}, "latency", "did you mean low"),
        ({"format": ("flac",)}, "format", "none of pcm"),
        ({"flush": ("always",)}, "flush", "none of sentence"),
        ({"transport": ("http",)}, "transport", "none of picows"),
        ({"socket": ("warm",)}, "socket", "none of cold"),
        ({"chunk_length": (99,)}, "chunk_length", "100 to 300"),
        ({"concurrency": (0,)}, "concurrency", "from 1"),
        ({"rate": (0.0,)}, "rate", "over 0"),
        ({"rate": (float("nan"),)}, "rate", "over 0"),
    ],
)
def test_a_wrong_value_names_its_argument(given: Any, argument: str, why: str) -> None:
    """What it is, what there is, and what may be meant."""
    with pytest.raises(ConfigError, match=why) as caught:
        Matrix(**given)
    assert caught.value.argument == argument


def test_an_unknown_model_may_be_meant() -> None:
    """Then it is measured under its name."""
    assert Matrix(model=("s9",), any_model=True).combinations()[0][0].model == "s9"


def test_too_many_are_a_slip() -> None:
    """Hundreds of combinations are refused, with their number."""
    with pytest.raises(ConfigError, match="600 combinations"):
        Matrix(concurrency=tuple(range(1, 301)), socket=("cold", "reused")).combinations()
