"""text/matching.py: words are placed with certainty or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fishlive.text.matching import MIN_SIMILARITY, Match, borders, match_words
from fishlive.wire.words import Word
from tests.text.speaking import Said, anything, clean, literal, speech


def words(spoken: str) -> list[Word]:
    """Return words that follow each other every 0.4 s."""
    return [Word(word, at * 0.4, at * 0.4 + 0.3) for at, word in enumerate(spoken.split())]


def placed(text: str, spoken: str, *, complete: bool = False) -> list[str | None]:
    """Return what of the text each word was said for."""
    match = match_words(words(spoken), text, complete=complete)
    return [None if span is None else text[span[0] : span[1]] for span in match.spans]


@given(st.lists(literal, max_size=60), st.booleans())
def test_every_word_of_plain_text_is_placed(said: list[Said], upper: bool) -> None:
    """Case, accents, punctuation, tags, emoji and scripts do not matter."""
    spoken = speech([*said, Said("afterwards", ("afterwards",))], upper=upper)
    match = match_words(spoken.words, spoken.text)

    assert match.similarity == 1.0
    for span, (start, end) in zip(match.spans, spoken.places, strict=True):
        assert span is not None
        assert start <= span[0]
        assert spoken.text[span[0] : end].strip("…—") == spoken.text[start:end].strip("…—")
        assert end <= span[1]


@given(st.lists(anything, max_size=80), st.integers(0, 2**64 - 1), st.integers(0, 200))
def test_a_border_is_never_a_guess(said: list[Said], joins: int, heard: int) -> None:
    """However text is read, joined and cut off: what a border parts was read apart."""
    for joined in (joins & joins >> 1 & joins >> 2, 0):
        spoken = speech(said, joined)
        some = spoken.words[:heard]
        complete = len(some) == len(spoken.words)
        for border in borders(some, match_words(some, spoken.text, complete=complete)):
            assert clean(spoken, border.char, round((border.end_s - 0.3) / 0.4) + 1)


@given(st.text(max_size=300), st.lists(st.text(max_size=12), max_size=40), st.booleans())
def test_any_text_and_words_are_taken(text: str, said: list[str], complete: bool) -> None:
    """Nothing raises; spans are in order, inside the text, and absent below the limit."""
    spoken = [Word(word, at, at + 1) for at, word in enumerate(said)]
    match = match_words(spoken, text, complete=complete)
    spans = [span for span in match.spans if span is not None]

    assert len(match.spans) == len(said)
    assert 0.0 <= match.similarity <= 1.0
    assert match.aligned == bool(spans)
    assert spans == sorted(spans)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert not spans or match.similarity >= MIN_SIMILARITY


def test_numbers_are_one_group_with_all_their_words() -> None:
    """No border lies inside of what one number was read as."""
    text = "It costs $42, or so they have told us yesterday evening."
    spoken = "It costs forty two dollars or so they have told us yesterday evening"

    assert placed(text, spoken)[:6] == ["It", "costs", "$42,", "$42,", "$42,", "or"]


def test_a_number_at_the_end_is_open_until_enough_follows_it() -> None:
    """Of "five" nobody knows yet whether "million" follows; at the end of all words it is known."""
    text = "It costs $5 million."

    assert placed(text, "It costs five") == ["It", "costs", None]
    assert placed(text, "It costs five million dollars", complete=True)[2:] == ["$5 million."] * 3


def test_a_reading_is_not_taken_for_the_words_behind_it() -> None:
    """The reading of 777 may end with "seventy seven", though that comes next in the text."""
    text = "777. Seventy seven apples too."

    assert placed(text, "seven hundred and seventy seven") == [None] * 5
    assert placed("5 apples or five apples", "five apples") == [None] * 2
    assert placed("125. Twenty five people", "one hundred twenty five") == [None] * 4
    text = "777 apples. Seven hundred and seventy seven apples."
    assert placed(text, "seven hundred and seventy seven apples") == [None] * 6


def test_what_agrees_must_outweigh_what_was_strange() -> None:
    """One familiar word behind many strange ones is no place to go on."""
    text = "They have told us more than once that they saw a grey mouse and an elephant."
    spoken = "They have told us more than once that they saw a gray elephant"

    assert placed(text, spoken)[-2:] == [None, None]


def test_a_sign_is_not_taken_for_silent_too_early() -> None:
    """It may have been read as the very word behind it."""
    assert placed("you & and Dr. Who", "you and") == ["you", None]
    assert placed("and? & and. Dr. hundred", "and and and doctor hundred")[1] is None
    text = "and 3.5 no, and and, & hundred apples went one by one to the market"
    spoken = "and three point five no and and and hundred apples went one by one to the market"
    assert "&" in (placed(text, spoken)[7] or "&")


def test_a_repeated_word_beside_a_number_belongs_to_the_difference() -> None:
    """Which "and" was part of the number is not known, so no border lies among them."""
    text = "101 and 5 and six people went home to sleep at night."
    spoken = "one hundred and one and five and six people went home to sleep at night"

    assert placed(text, spoken)[6:8] == ["101 and 5 and", "six"]


def test_words_that_end_early_do_not_claim_the_rest() -> None:
    """That no more words come does not mean that all of the text was said."""
    text = "It costs $5 in all of these shops."

    assert placed(text, "It costs five", complete=True) == ["It", "costs", None]


def test_split_and_joined_words_share_what_they_were_said_for() -> None:
    """The service need not part words where the text does."""
    assert placed("I've an ice-cream now", "Ive an ice cream now")[2:4] == ["ice-cream"] * 2
    assert placed("an ice cream now", "an icecream now") == ["an", "ice cream", "now"]


def test_a_word_that_is_missing_leaves_its_neighbours_open() -> None:
    """Of three "no" two were said: which two, nobody knows; what follows is certain again."""
    found = placed("no no no stop right there", "no no stop right there")

    assert found == [None, None, "stop", "right", "there"]


def test_another_text_is_not_aligned() -> None:
    """Below the limit no word is placed, not even one that happens to agree."""
    match = match_words(words("the weather is fine today"), "the quarterly figures disappoint")

    assert match.similarity < MIN_SIMILARITY
    assert not match.aligned


def test_a_word_in_other_letters_is_left_out() -> None:
    """A difference costs its own words only, once enough agrees behind it."""
    text = "We like the colour of it, and we have told them so more than once, in the long run."
    spoken = "We like the color of it and we have told them so more than once in the long run"
    found = placed(text, spoken)

    assert found[2:5] == ["the", None, "of"]
    assert found[-1] == "run."


def test_phonemes_and_signs_may_be_silent_or_said() -> None:
    """What stands in phoneme marks is read as one word, under any name."""
    text = "Say <|phoneme_start|>T AH0 M EY1<|phoneme_end|> for everybody here"

    assert placed(text, "Say for everybody here") == ["Say", "for", "everybody", "here"]
    assert placed(text, "Say tomato for everybody here")[2:] == ["for", "everybody", "here"]


def test_repetition_far_away_does_not_matter() -> None:
    """A long text that says the same again and again is placed to its end."""
    text = "The quick brown fox number 42 jumps over Dr. Who at noon, as ever it did before. " * 20
    spoken = (
        "The quick brown fox number forty two jumps over doctor who at noon as ever it did before "
    )
    match = match_words(words(spoken * 20), text)

    assert match.similarity == 1.0
    assert None not in match.spans


def test_borders_know_what_comes_next() -> None:
    """The next word bounds the pause, placed or not; the last border knows of none."""
    said = words("It costs five")
    match = match_words(said, "It costs $5 million.")

    assert [border.next_s for border in borders(said, match)] == [0.4, 0.8]
    assert borders(said[:2], Match(((0, 2), (3, 8)), 1.0))[-1].next_s is None
