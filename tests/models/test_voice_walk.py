"""models/voice_walk.py: every voice once, and an end, whatever the list does meanwhile."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fishlive.models.voice import Voice, VoicePage
from fishlive.models.voice_walk import MOST_STALE_PAGES, Walk

IDS = st.lists(st.sampled_from("abcdefgh"), max_size=4)


def page(ids: list[str], **facts: Any) -> VoicePage:
    """Return a page of these voices."""
    items = [{"_id": one, "title": one, "state": "trained"} for one in ids]
    return VoicePage.read({"total": len(ids), "items": items, **facts})


def ids_of(voices: list[Voice]) -> list[str]:
    """Return their ids."""
    return [voice.id for voice in voices]


def test_the_total_decides_if_nothing_else_does() -> None:
    """As many voices as there are, and the walk is over."""
    walk = Walk()
    assert ids_of(walk.take(page(["a", "b"], total=3))) == ["a", "b"]
    assert (walk.number, walk.over) == (2, False)
    assert ids_of(walk.take(page(["c"], total=3))) == ["c"]
    assert walk.over


def test_a_guessed_total_decides_nothing() -> None:
    """Only a page without voices ends it then."""
    walk = Walk()
    walk.take(page(["a"], total=1, total_is_exact=False))
    assert not walk.over
    walk.take(page([], total=1, total_is_exact=False))
    assert walk.over


def test_a_voice_twice_on_a_page_is_one() -> None:
    """Nobody meets it twice."""
    assert ids_of(Walk().take(page(["a", "b", "a"]))) == ["a", "b"]


def test_pages_in_a_row_without_news_end_it() -> None:
    """A new voice between them starts the count again."""
    walk = Walk()
    known = page(["a"], has_more=True)
    for _ in range(MOST_STALE_PAGES):
        walk.take(known)
    assert not walk.over
    walk.take(page(["b"], has_more=True))
    for _ in range(MOST_STALE_PAGES):
        assert not walk.over
        walk.take(known)
    assert walk.over


@given(pages=st.lists(IDS, min_size=1, max_size=6), more=st.sampled_from([True, False, None]))
def test_nothing_is_met_twice_and_it_ends(pages: list[list[str]], more: bool | None) -> None:
    """Whatever pages come: the last one for ever, as of a service that is stuck."""
    walk = Walk()
    met: list[str] = []
    seen: set[str] = set()
    asked = 0
    while not walk.over:
        ids = pages[min(asked, len(pages) - 1)]
        met += ids_of(walk.take(page(ids, total=99, has_more=more)))
        seen |= set(ids)
        asked += 1
        assert asked <= len(pages) + len("abcdefgh") * MOST_STALE_PAGES
    assert len(met) == len(set(met))
    assert set(met) == seen


@given(
    start=st.integers(1, 12),
    size=st.integers(1, 4),
    moment=st.integers(1, 12),
    pages=st.floats(0, MOST_STALE_PAGES - 1),
)
def test_voices_put_in_front_hide_none_behind(
    start: int, size: int, moment: int, pages: float
) -> None:
    """A list that grows at its front, by fewer pages than MOST_STALE_PAGES: all others are met."""
    voices = [str(number) for number in range(start)]
    there = set(voices)
    walk = Walk()
    met: list[str] = []
    while not walk.over:
        if walk.number == moment:
            voices = [f"new{number}" for number in range(int(pages * size))] + voices
        at = (walk.number - 1) * size
        more = at + size < len(voices)
        met += ids_of(walk.take(page(voices[at : at + size], total=len(voices), has_more=more)))
    assert there <= set(met)
    assert len(met) == len(set(met))
