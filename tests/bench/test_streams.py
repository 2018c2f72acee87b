"""How texts come."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.bench.streams import Pace, cut, pace, timed, write
from fishlive.bench.workload import Prompt
from fishlive.errors import ConfigError
from tests.bench.virtual import run

LONG = Prompt("p", "Nine tokens, more or less, are in this sentence.", "en")


@given(st.text(max_size=80), st.sampled_from(["en", "zh"]), st.integers(0, 99))
def test_tokens_are_the_text(text: str, language: str, seed: int) -> None:
    """Nothing is lost or added, and the same seed cuts the same."""
    prompt = Prompt("p", text, language)
    assert "".join(cut(prompt, seed)) == text
    assert list(cut(prompt, seed)) == list(cut(prompt, seed))


def test_tokens_come_at_their_pace() -> None:
    """At 30 a second the n-th is due after n thirtieths."""
    times = [at_s for _, at_s in timed(LONG, pace("30"), 1)]
    assert times == pytest.approx([n / 30 for n in range(len(times))])


def test_bursts_come_together() -> None:
    """Ten at once, six times a second: 60 a second on average."""
    times = [at_s for _, at_s in timed(Prompt("p", "x" * 200, "en"), pace("burst"), 1)]
    assert times[:10] == [0.0] * 10
    assert times[10:20] == pytest.approx([1 / 6] * 10)


def test_whole_is_one_piece() -> None:
    """All of it, at once."""
    assert timed(LONG, pace("whole"), 1) == ((LONG.text, 0.0),)


def test_a_recording_is_kept() -> None:
    """As it was written."""
    tokens = (("Nine", 0.1), (" tokens", 0.3))
    assert timed(Prompt("p", "Nine tokens", "en", tokens), pace("recorded"), 1) == tokens


@pytest.mark.parametrize("name", ["0", "-3", "nan", "inf", "fast", ""])
def test_no_pace_is_refused(name: str) -> None:
    """Neither a name nor a number over 0."""
    with pytest.raises(ConfigError) as caught:
        pace(name)
    assert caught.value.argument == "stream"


def test_names_are_canonical() -> None:
    """60 and 60.0 are one pace."""
    assert pace("60.0") == pace("60") == Pace("60", 60.0)


def test_words_are_noted_when_they_can_be_spoken() -> None:
    """White space is no word; a token that was waited for too long is not waited for again."""
    noted: list[float] = []
    came: list[tuple[str, float]] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        tokens = ((" ", 0.0), ("Hello", 0.5), (", you", 0.6))
        async for token in write(tokens, lambda: noted.append(loop.time())):
            came.append((token, loop.time()))
            await asyncio.sleep(0.55 if token == " " else 0)

    run(work)
    assert noted == pytest.approx([0.55])
    assert [at_s for _, at_s in came] == pytest.approx([0.0, 0.55, 0.6])
