"""The pretended LLM writes the page, whole, in odd pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fishlive.cli.demo import page
from fishlive.cli.tokens import MAX_TOKEN_CHARS, TOKENS_PER_S, cut, write


@given(st.text())
def test_the_pieces_are_the_text(text: str) -> None:
    """Nothing is lost, nothing is empty, nothing is long."""
    tokens = list(cut(text))

    assert "".join(tokens) == text
    assert all(1 <= len(token) <= MAX_TOKEN_CHARS for token in tokens)


def test_the_page_is_cut_in_odd_places() -> None:
    """A good part of the cuts falls inside words, and each run cuts the same."""
    tokens = list(cut(page()))
    inside = sum(a[-1].isalpha() and b[0].isalpha() for a, b in pairwise(tokens))

    assert inside > len(tokens) / 3
    assert tokens == list(cut(page()))


def test_the_page_is_a_page() -> None:
    """It is about a minute and a half of speech, and several seconds of writing."""
    assert 220 <= len(page().split()) <= 320
    assert len(list(cut(page()))) > 5 * TOKENS_PER_S


async def test_writing_without_pace_gives_all_of_it() -> None:
    """The writer yields the pieces of the text."""
    assert [token async for token in write("Some words.", pace_per_s=None)] == list(
        cut("Some words.")
    )
