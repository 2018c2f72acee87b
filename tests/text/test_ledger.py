"""text/ledger.py: every character's fate adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.text.ledger import ASSUMED, LEARNED, Facts, Playing, make_ledger
from fishlive.wire.words import Word
from tests.text.speaking import Said, clean, literal, speech

seconds = st.floats(-1, 100)
words = st.lists(st.builds(Word, st.text(max_size=6), seconds, seconds), max_size=20)
facts = st.builds(
    Facts,
    pieces=st.lists(st.text(max_size=30), max_size=10),
    sent_chars=st.integers(-5, 350),
    words=words,
    received_s=seconds,
    played_s=seconds,
    playing=st.sampled_from(get_args(Playing)),
    stop_sent=st.booleans(),
    finished=st.booleans(),
    speed=st.floats(0, 2),
    model=st.sampled_from([None, "s2-pro", "drama-3-preview"]),
    replayed_bytes=st.integers(0, 99),
)
TEXT = "Hello there, my friend. It is a fine day."


def said(text: str) -> list[Word]:
    """Return the words of a text, one every 0.4 s, each of 0.3 s."""
    return [Word(word, at * 0.4, at * 0.4 + 0.3) for at, word in enumerate(text.split())]


@given(facts)
def test_every_character_is_counted_once(known: Facts) -> None:
    """Counts grow from played to queued, and the texts join to what was queued."""
    ledger = make_ledger(known)
    text = "".join(known.pieces)

    assert ledger.heard_text + ledger.unheard_text == text
    assert ledger.spoken + ledger.maybe_spoken + ledger.unsent == text
    assert 0 <= ledger.played_chars <= ledger.received_chars <= ledger.sent_chars
    assert ledger.spoken_chars <= ledger.received_chars
    assert ledger.sent_chars <= ledger.queued_chars == len(text)
    assert ledger.maybe_spoken_chars == len(ledger.maybe_spoken)
    assert 0.0 <= ledger.confidence <= 1.0
    sent = text[: ledger.sent_chars].encode("utf-8", "surrogatepass")
    assert ledger.billed_utf8_bytes == len(sent) + known.replayed_bytes


@given(facts, seconds)
def test_nothing_heard_is_ever_unheard_again(known: Facts, later_s: float) -> None:
    """With a later playhead more was heard, or as much."""
    before = make_ledger(known)
    after = make_ledger(replace(known, played_s=max(known.played_s, later_s)))

    assert before.played_chars <= after.played_chars


@given(st.lists(literal, max_size=40), st.floats(0, 20))
def test_with_timestamps_the_heard_text_is_exact_to_the_word(
    words_said: list[Said], played_s: float
) -> None:
    """A word was heard once it had ended, and not before."""
    spoken = speech([*words_said, Said("afterwards", ("afterwards",))])
    end_s = spoken.words[-1].end_s
    ledger = make_ledger(
        Facts([spoken.text], len(spoken.text), spoken.words, end_s, min(played_s, end_s), "marked")
    )
    heard = [word for word in spoken.words if word.end_s <= played_s]

    assert clean(spoken, ledger.played_chars, len(heard))
    assert ledger.basis == "aligned"
    assert ledger.confidence == 1.0


def test_an_interruption_knows_what_was_heard() -> None:
    """Text up to the word that ended last, with its punctuation; the rest was not heard."""
    ledger = make_ledger(Facts([TEXT, " And"], len(TEXT), said(TEXT), 4.1, 0.75, "marked"))

    assert (ledger.heard_text, ledger.unheard_text[:3]) == ("Hello there,", " my")
    assert (ledger.spoken, ledger.maybe_spoken, ledger.unsent) == (TEXT, "", " And")


def test_audio_behind_the_last_alignment_is_reckoned_by_pace() -> None:
    """What is known stays known, what lies behind is less certain."""
    ledger = make_ledger(Facts([TEXT], len(TEXT), said(TEXT)[:4], 3.0, 2.9, "marked"))

    assert ledger.spoken == "Hello there, my friend."
    assert ledger.heard_text.startswith("Hello there, my friend. It")
    assert LEARNED < ledger.confidence < 1.0


def test_without_alignment_an_ordinary_pace_is_assumed() -> None:
    """12.5 letters a second, cut at a word border, with little confidence."""
    ledger = make_ledger(Facts([TEXT], len(TEXT), (), 2.0, 1.0, "marked"))

    assert ledger.heard_text == "Hello there, my"
    assert ledger.received_chars == len("Hello there, my friend. It is a")
    assert (ledger.spoken, ledger.maybe_spoken) == ("", TEXT)
    assert (ledger.basis, ledger.confidence) == ("proportional", ASSUMED)
    slow = make_ledger(Facts([TEXT], len(TEXT), (), 2.0, 1.0, "marked", speed=0.5))
    assert slow.heard_text == "Hello"


def test_a_finished_utterance_teaches_its_own_pace() -> None:
    """All of the text is in all of the audio, so half of it is in half."""
    ledger = make_ledger(Facts([TEXT], len(TEXT), (), 10.0, 5.0, "marked", finished=True))

    assert ledger.heard_text == "Hello there, my"
    assert (ledger.spoken, ledger.confidence) == (TEXT, LEARNED)


def test_all_of_it_was_heard_when_all_of_its_audio_was() -> None:
    """A finished utterance played to its end leaves no doubt, and no white space."""
    ledger = make_ledger(Facts([TEXT, "\n"], 99, (), 10.0, 10.0, "marked", finished=True))

    assert (ledger.unheard_text, ledger.confidence) == ("", 1.0)


@pytest.mark.parametrize(("playing", "confidence"), [("consumed", 0.5), ("unknown", 0.0)])
def test_a_playhead_that_is_not_marked_is_trusted_less(playing: Playing, confidence: float) -> None:
    """What was read may wait in a player."""
    ledger = make_ledger(Facts([TEXT], len(TEXT), said(TEXT), 4.1, 2.0, playing))

    assert ledger.confidence == confidence


def test_nobody_hears_what_did_not_arrive() -> None:
    """Without audio nothing was heard, whatever is said about playing."""
    ledger = make_ledger(Facts([TEXT], 5, (), 0.0, 3.0, "unknown"))

    assert (ledger.heard_text, ledger.basis, ledger.confidence) == ("", "none", 1.0)


def test_ideographs_and_digits_take_longer() -> None:
    """A second of Chinese is some four characters."""
    ledger = make_ledger(Facts(["你好世界今天好"], 9, (), 9.0, 1.0, "marked"))

    assert ledger.heard_text == "你好世界"
    assert make_ledger(Facts(["1 2 3 4 5"], 9, (), 9.0, 1.0, "marked")).heard_text == "1 2 3"


def test_text_that_was_sent_is_paid_for() -> None:
    """By its UTF-8 bytes, replays included; without a price there is no estimate."""
    known = Facts(["né", "gligé"], 2, model="s2-pro", replayed_bytes=997)

    assert make_ledger(known).billed_utf8_bytes == 1000
    assert make_ledger(known).cost_usd == pytest.approx(0.015)
    assert make_ledger(replace(known, model="drama-3-preview")).cost_usd is None


def test_texts_are_not_shown() -> None:
    """The user's words are in no repr."""
    known = Facts(["secret"], 6, [Word("secret", 0, 1)], 1.0, 1.0, "marked")

    assert "secret" not in repr(known) + repr(make_ledger(known))
