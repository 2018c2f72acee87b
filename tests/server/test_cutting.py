"""Text is cut as documented, and nothing of it is lost."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server.cutting import TextBuffer, sentences

WORDS = st.sampled_from(
    ["Hello", "it", "costs", "$3.50", "now.", "Really?", "[laughing]", "<|speaker:1|>", "你好。",
     "\n", "[a long direction, said. slowly]", "<whisper>", "</whisper>", "x" * 120, "3 < 4",
     "[open", "<|phoneme_start|>HH AH0 L OW1<|phoneme_end|>"]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=120).map(" ".join)
TAGS = re.compile(r"\[[^\[\]]*\]|<\|phoneme_start\|>.*?<\|phoneme_end\|>|<\|?/?[a-z][^<> ]*>")


def parts(text: str, cuts: list[int]) -> list[str]:
    """Cut ``text`` at ``cuts``, as a client would send it."""
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(at)]


def cut(events: list[str], *, chunk: int, least: int) -> tuple[list[str], list[str]]:
    """Return the pieces handed out while text came, and those of the flush."""
    buffer = TextBuffer(chunk_length=chunk, min_chunk_length=least)
    early = [piece for event in events for piece in buffer.add(event)]
    return early, buffer.flush()


LENGTHS = {"chunk": st.integers(100, 300), "least": st.integers(0, 100)}
CUTS = st.lists(st.integers(0, 10_000), max_size=40)


@given(text=st.one_of(TEXTS, st.text(max_size=2000)), cuts=CUTS, **LENGTHS)
def test_nothing_is_lost(text: str, cuts: list[int], chunk: int, least: int) -> None:
    """The pieces, joined, are the text, however it came and whatever is in it."""
    early, late = cut(parts(text, cuts), chunk=chunk, least=least)
    assert "".join(early + late) == text
    assert all(early + late)


@given(text=TEXTS, cuts=CUTS, **LENGTHS)
def test_no_tag_is_cut(text: str, cuts: list[int], chunk: int, least: int) -> None:
    """No piece ends inside a closed direction, tag or run of phonemes."""
    early, late = cut(parts(text, cuts), chunk=chunk, least=least)
    ends, at = set(), 0
    for piece in early + late:
        ends.add(at := at + len(piece))
    for tag in TAGS.finditer(text):
        assert not any(tag.start() < end < tag.end() for end in ends), tag[0]


@given(text=TEXTS, cuts=CUTS, **LENGTHS)
def test_the_longest_piece(text: str, cuts: list[int], chunk: int, least: int) -> None:
    """A piece has at most chunk_length characters, unless one tag is longer."""
    early, late = cut(parts(text, cuts), chunk=chunk, least=least)
    assert max(map(len, early + late), default=0) <= chunk


@given(count=st.integers(1, 299))
def test_text_waits_until_it_is_long_enough(count: int) -> None:
    """Under chunk_length characters nothing is handed out; a flush hands it out."""
    buffer = TextBuffer(chunk_length=300, min_chunk_length=50)
    assert buffer.add("a" * count) == []
    assert buffer.waiting_chars == count
    assert buffer.flush() == ["a" * count]
    assert buffer.flush() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One sentence ends here. " + "word " * 20, "One sentence ends here. "),
        ("Is this one? " + "Yes! " * 20, "Is this one? " + "Yes! " * 17),
        ("word " * 30, "word " * 20),
        ("x" * 130, "x" * 100),
        ("你好吗。" * 30, "你好吗。" * 25),
        ("word " * 18 + "[a direction that crosses the border]" + "word " * 5, "word " * 18),
    ],
)
def test_where_it_is_cut(text: str, expected: str) -> None:
    """Best after a sentence, else after a word, else before a tag, else anywhere."""
    buffer = TextBuffer(chunk_length=100, min_chunk_length=20)
    assert buffer.add(text)[0] == expected


def test_pieces_are_not_shorter_than_asked() -> None:
    """A sentence shorter than min_chunk_length does not end a piece while more follows."""
    buffer = TextBuffer(chunk_length=100, min_chunk_length=50)
    assert buffer.add("Hi. " + "word " * 30)[0] == "Hi. " + "word " * 19


def test_an_open_tag_is_waited_for() -> None:
    """A tag that fills the piece and is still open holds it back until it closes."""
    buffer = TextBuffer(chunk_length=100, min_chunk_length=0)
    assert buffer.add("[" + "slowly " * 20) == []
    assert buffer.add("now] Hello") == ["[" + "slowly " * 20 + "now]"]


def test_an_endless_tag_is_no_tag() -> None:
    """A bracket that never closes holds nothing back for ever."""
    buffer = TextBuffer(chunk_length=100, min_chunk_length=0)
    assert sum(map(len, buffer.add("[" + "slowly " * 100))) > 500


def test_much_text_at_once() -> None:
    """A whole book in one event is cut in a blink, not in quadratic time."""
    text = "All work and no play makes Jack a dull boy. " * 20_000
    early, late = cut([text], chunk=200, least=50)
    assert "".join(early + late) == text


@given(text=TEXTS)
def test_sentences(text: str) -> None:
    """Sentences, joined, are the text; each but the last ends where one ends."""
    found = list(sentences(text))
    assert "".join(found) == text
    assert all(found)
