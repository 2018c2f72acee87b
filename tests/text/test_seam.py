"""text/seam.py: every word is heard exactly once, or there is no seam."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.text.seam import LEAD_S, NoSeam, Seam, find_seam, sentence_ends, tags_in_force
from fishlive.wire.words import Word
from tests.text.speaking import Said, anything, clean, speech

RATE_HZ = 24_000
TEXT = "Hello there. Dr. Smith is here today! He likes it, does he not? Yes"
SAID = "Hello there doctor Smith is here today he likes it does he not yes"


def words(spoken: str, count: int | None = None) -> list[Word]:
    """Return words that follow each other every 0.4 s and last 0.3 s."""
    parts = spoken.split()[:count]
    return [Word(word, at * 0.4, at * 0.4 + 0.3) for at, word in enumerate(parts)]


def pause_after_words(from_s: float, to_s: float) -> float | None:
    """Find the 0.1 s of quiet behind each word of this test's voice."""
    word = int(from_s / 0.4 + 1e-9)
    quiet_s = max(from_s, word * 0.4 + 0.3)
    if quiet_s > word * 0.4 + 0.32:
        quiet_s = (word + 1) * 0.4 + 0.3
    return quiet_s if quiet_s <= to_s + 1e-9 else None


def seam(
    text: str, said: list[Word], played_s: float, received_s: float = 99.0, *, pauses: bool = False
) -> Seam | NoSeam:
    """Return the seam in a text whose words are spoken by this test's voice."""
    return find_seam(
        text, said, played_s=played_s, received_s=received_s, sample_rate_hz=RATE_HZ,
        find_pause=pause_after_words if pauses else None,
    )  # fmt: skip


@given(
    st.lists(anything, max_size=50), st.integers(0, 100), st.floats(0, 30), st.floats(0, 3),
    st.booleans(),
)  # fmt: skip
def test_heard_and_resumed_text_hold_every_word_once(
    said: list[Said], settled: int, played_s: float, more_s: float, pauses: bool
) -> None:
    """What is kept was said of the text before the seam; what is said again lies behind it."""
    spoken = speech(said)
    settled = min(settled, len(spoken.words))
    end_s = spoken.words[settled - 1].end_s if settled else 0.0
    found = seam(spoken.text, spoken.words[:settled], played_s, end_s + more_s, pauses=pauses)
    if isinstance(found, NoSeam):
        return
    kept = [word for word in spoken.words if word.start_s < found.at_s]

    assert played_s + LEAD_S < found.at_s + 1 / RATE_HZ
    assert found.at_s <= end_s + more_s + 1 / RATE_HZ
    assert all(word.end_s <= found.at_s + 1 / RATE_HZ for word in kept)
    assert clean(spoken, found.resume_char, len(kept))


def test_the_latest_sentence_end_wins() -> None:
    """Not the nearest: the more is kept, the less is paid for twice."""
    found = seam(TEXT, words(SAID), played_s=0.0)

    assert isinstance(found, Seam)
    assert (TEXT[found.resume_char :], found.kind) == ("Yes", "sentence")
    assert found.at_sample == round(5.1 * RATE_HZ) == round(found.at_s * RATE_HZ)


def test_a_sentence_end_goes_before_a_later_word() -> None:
    """A join inside a sentence can be heard."""
    found = seam(TEXT, words(SAID, 10), played_s=0.0, pauses=True)

    assert isinstance(found, Seam)
    assert TEXT[found.resume_char :].startswith("He likes")
    assert found.at_s == pytest.approx(6 * 0.4 + 0.3 + 0.01, abs=1 / RATE_HZ)


def test_a_word_without_a_length_is_no_border() -> None:
    """The aligner could not place it: it, or the word before it, may sound on behind its end."""
    said = words(SAID)
    said[6] = Word("today", said[6].start_s, said[6].start_s)  # which ends a sentence
    found = seam(TEXT, said[:9], played_s=0.0)
    assert isinstance(found, Seam)
    assert TEXT[found.resume_char :].startswith("Dr. Smith")

    said[6] = words(SAID)[6]
    said[7] = Word("he", said[7].start_s, said[7].start_s)
    found = seam(TEXT, said[:9], played_s=0.0)
    assert isinstance(found, Seam)
    assert TEXT[found.resume_char :].startswith("Dr. Smith")


def test_without_a_sentence_a_word_before_a_pause_will_do() -> None:
    """It needs somebody who listens for the pause."""
    found = seam(TEXT, words(SAID, 11), played_s=3.0, pauses=True)

    assert isinstance(found, Seam)
    assert (TEXT[found.resume_char :], found.kind) == ("he not? Yes", "word")
    assert seam(TEXT, words(SAID, 11), played_s=3.0) is NoSeam.NO_BORDER


def test_nothing_near_the_listener_is_thrown_away() -> None:
    """A border counts from LEAD_S ahead of the playhead."""
    text, said = "Hello there. And", words("Hello there", 2)

    assert isinstance(seam(text, said, played_s=0.7 - LEAD_S - 0.01), Seam)
    assert seam(text, said, played_s=0.7 - LEAD_S) is NoSeam.NO_BORDER


def test_a_border_must_have_been_received() -> None:
    """Alignments may run ahead of the audio."""
    assert seam("Hello there. And", words("Hello there"), 0.0, received_s=0.6) is NoSeam.NO_BORDER


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], NoSeam.NO_WORDS),
        (words("Something else was said"), NoSeam.UNALIGNED),
        ([Word("Hello", 0.4, 0.7), Word("there", 0.0, 0.3)], NoSeam.OUT_OF_ORDER),
    ],
)  # fmt: skip
def test_without_certainty_there_is_a_reason_instead(said: list[Word], why: NoSeam) -> None:
    """Words that are missing, strange or out of order allow no seam."""
    assert seam("Hello there. And", said, played_s=0.0) is why


def test_the_pause_of_a_word_ends_where_the_next_begins() -> None:
    """A next word without a place of its own bounds it all the same."""
    asked = []

    def find_pause(from_s: float, to_s: float) -> float | None:
        asked.append((round(from_s, 2), round(to_s, 2)))
        return None

    find_seam(
        "It costs $5 million.", words("It costs five"), played_s=-1.0, received_s=9.0,
        sample_rate_hz=RATE_HZ, find_pause=find_pause,
    )  # fmt: skip

    assert asked == [(0.7, 0.8), (0.3, 0.4)]


def test_what_was_not_said_yet_is_said_behind_the_seam() -> None:
    """Closing tags belong to what was said; an emoji may be yet to come, and is sent again."""
    said = words("Hello there")
    for text, rest in [
        ("<soft>Hello there.</soft> And", "And"),
        ("Hello there 😀. And", "😀. And"),
    ]:
        found = seam(text, said, played_s=0.0)

        assert isinstance(found, Seam)
        assert (found.prefix + text[found.resume_char :], found.kind) == (rest, "sentence")


def test_sentences_end_where_they_are_flushed() -> None:
    """Abbreviations and numbers end none; the end of the text may."""
    assert [TEXT[:end][-6:] for end in sentence_ends(TEXT)] == ["there.", "today!", "e not?"]
    assert list(sentence_ends("Bye. ")) == [4]
    assert list(sentence_ends("")) == []


def test_the_rest_is_said_by_the_same_voice() -> None:
    """The speaker and the pairs of tags that are open at the seam go before the rest."""
    text = "<|speaker:0|>Hi. <|speaker:1|><whisper>So <soft>be</soft> it. [sigh] Yes. </whisper>No"

    assert tags_in_force(text, text.index("Yes")) == "<|speaker:1|><whisper>"
    assert tags_in_force(text, text.index("No")) == "<|speaker:1|>"
    assert tags_in_force(text, 0) == ""
