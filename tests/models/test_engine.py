"""Tests of fishlive.models.engine."""

from __future__ import annotations

import warnings

import pytest

from fishlive.errors import ConfigError
from fishlive.models import RequestWarning
from fishlive.models.engine import KNOWN, check_cues, check_model


@pytest.fixture(autouse=True)
def warnings_are_errors() -> None:
    """Rely on the project's filter: a warning nobody expects fails the test."""
    assert ("error", None, Warning, None, 0) in warnings.filters


@pytest.mark.parametrize("model", sorted(KNOWN - {"s1"}))
def test_known_models_pass(model: str) -> None:
    """The documented models need no comment."""
    check_model(model)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("s1", "2026-12-31"), ("speech-1.5", "deprecated"), ("speech-1.6", "deprecated"),
        ("s2-por", "did you mean s2-pro"), ("brand-new", "unknown"),
    ],
)  # fmt: skip
def test_models_that_are_replaced_warn(model: str, said: str) -> None:
    """The service would serve, and bill, another model without a word."""
    with pytest.warns(RequestWarning, match=said) as caught:
        check_model(model)
    assert caught[0].filename == __file__


def test_an_unknown_model_may_be_meant() -> None:
    """Who passes it on purpose is not told twice."""
    check_model("brand-new", on_purpose=True)


@pytest.mark.parametrize("model", ["a\r\nb", "", " ", "a b", "é", "x" * 200])
def test_a_model_no_header_can_carry_is_refused(model: str) -> None:
    """On purpose or not."""
    with pytest.raises(ConfigError) as caught:
        check_model(model, on_purpose=True)
    assert caught.value.argument == "model"


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("(happy) Hello!", "s2-pro"), ("Oh. (very sad) No.", "drama-3-preview"),
        ("[happy] Hello!", "s1"),
    ],
)  # fmt: skip
def test_cues_in_the_other_models_style_warn(text: str, model: str) -> None:
    """The listener would hear the cue instead of the mood."""
    with pytest.warns(RequestWarning, match="cues"):
        check_cues(text, model)


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("[happy] Hello!", "s2-pro"), ("(happy) Hello!", "s1"), ("I came (late) home.", "s2-pro"),
        ("(As he said to me before) no.", "s2-pro"), ("See [1].", "s1"), ("(hi)", "brand-new"),
    ],
)  # fmt: skip
def test_other_brackets_pass(text: str, model: str) -> None:
    """Asides, footnotes and models nobody knows get no warning."""
    check_cues(text, model)


def test_a_speaker_without_a_voice_warns() -> None:
    """Speakers count from 0."""
    check_cues("<|speaker:0|>a<|speaker:1|>b", "s2-pro", voices=2)
    with pytest.warns(RequestWarning, match="speaker 2"):
        check_cues("<|speaker:0|>a<|speaker:2|>b", "s2-pro", voices=2)
