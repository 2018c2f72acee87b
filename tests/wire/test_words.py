"""Words and their times: snapshots that replace each other, on the utterance's clock."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from fishlive.limits import ALIGNMENT_GRID_S
from fishlive.wire.events import Alignment, Segment, TimedAudio
from fishlive.wire.words import Word, WordTrack


def event(seq: int, *words: str, offset_s: float | None = None) -> TimedAudio:
    """Return an event whose snapshot has these words, of half a second each; none for None."""
    segments = tuple(Segment(word, at / 2, at / 2 + 0.5) for at, word in enumerate(words))
    alignment = Alignment(segments, len(words) / 2) if words else None
    return TimedAudio(b"", seq, 9.0 * seq if offset_s is None else offset_s, "", alignment)


def track(*events: TimedAudio) -> WordTrack:
    """Return what has taken these events."""
    made = WordTrack()
    for each in events:
        made.add(each)
    return made


def texts(words: tuple[Word, ...]) -> list[str]:
    """Return the words without their times."""
    return [word.text for word in words]


def test_words_are_on_the_clock_of_the_utterance() -> None:
    """The service counts from the start of the chunk; both ends of a word are moved by that."""
    made = track(event(0, "one"), event(1, "two", "three", offset_s=2.0))
    assert made.words() == (
        Word("one", 0.0, 0.5),
        Word("two", 2.0, 2.5),
        Word("three", 2.5, 3.0),
    )


def test_a_later_snapshot_replaces() -> None:
    """It never adds: what it does not have is no word any more."""
    assert texts(track(event(0, "won", "to"), event(0, "one")).words()) == ["one"]


def test_nothing_new_erases_nothing() -> None:
    """An event without a snapshot leaves the words as they are."""
    assert texts(track(event(0, "one"), event(0)).words()) == ["one"]


def test_chunks_have_their_own_order() -> None:
    """Whichever is spoken of first, words come in the order of their chunks."""
    assert texts(track(event(1, "two"), event(0, "one")).words()) == ["one", "two"]


def test_settled_words_end_before_a_chunk_that_is_not_aligned() -> None:
    """Behind a hole nothing is settled, although there are words."""
    made = track(event(0, "one"), event(1), event(2, "three"))
    assert texts(made.settled(newest=True)) == ["one"]
    assert texts(made.words()) == ["one", "three"]


def test_settled_words_end_before_a_chunk_that_nothing_was_heard_of() -> None:
    """A number that was left out is a hole, too."""
    made = track(event(0, "one"), event(2, "three"))
    assert texts(made.settled(newest=True)) == ["one"]


def test_settled_words_begin_with_the_first_chunk_there_is() -> None:
    """Chunks may be counted from any number."""
    assert texts(track(event(7, "one"), event(8, "two")).settled(newest=True)) == ["one", "two"]


def test_the_newest_chunk_is_settled_if_one_says_so() -> None:
    """Its snapshot may still be replaced."""
    made = track(event(0, "one"), event(1, "two"))
    assert texts(made.settled(newest=False)) == ["one"]
    assert texts(made.settled(newest=True)) == ["one", "two"]


def test_words_behind_their_own_audio_are_not_settled() -> None:
    """A snapshot that contradicts itself is shown, and not built on; a later one may be right."""
    right = event(0, "one", "two")
    assert right.alignment is not None
    wrong = replace(right, alignment=replace(right.alignment, audio_duration_s=0.9))
    made = track(event(0, "one"), wrong)
    assert texts(made.words()) == ["one", "two"]
    assert texts(made.settled(newest=True)) == []
    made.add(right)
    assert texts(made.settled(newest=True)) == ["one", "two"]


def test_words_within_the_next_chunk_are_not_settled() -> None:
    """Two chunks do not speak at the same time; a step of the grid is no contradiction."""
    close = track(event(0, "one", "two"), event(1, "three", offset_s=1.0 - ALIGNMENT_GRID_S))
    assert texts(close.settled(newest=True)) == ["one", "two", "three"]
    wrong = track(event(0, "one", "two"), event(1, "three", offset_s=0.9))
    assert texts(wrong.settled(newest=True)) == []


def test_nothing_is_settled_of_nothing() -> None:
    """Without any event there are no words."""
    assert WordTrack().settled(newest=True) == WordTrack().words() == ()


class Said(NamedTuple):
    """What one event said."""

    seq: int
    words: list[str]


SAID = st.lists(
    st.builds(Said, st.integers(0, 5), st.lists(st.sampled_from("abc"), max_size=3)), max_size=12
)


@given(SAID)
def test_words_are_those_of_the_newest_snapshots(said: list[Said]) -> None:
    """Whatever comes: the last snapshot of each chunk counts, and what is settled comes first."""
    made = track(*(event(each.seq, *each.words) for each in said))
    newest = {each.seq: each.words for each in said if each.words}
    expected = [word for seq in sorted(newest) for word in newest[seq]]
    assert texts(made.words()) == expected

    settled = texts(made.settled(newest=True))
    assert expected[: len(settled)] == settled
    assert texts(made.settled(newest=False)) == settled[: len(texts(made.settled(newest=False)))]
