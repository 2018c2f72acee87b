"""A voice for tests: written words, how they are read, and where each stands."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from fishlive.wire.words import Word

PLAIN = [
    "the", "no", "and", "five", "seven", "one", "hundred", "apples", "Pears", "café", "well-known",
    "don't", "elephant", "yesterday", "I", "a", "you", "understand", "something", "tomorrow",
    "שלום", "עולם", "مرحبا", "हिन्दी", "안녕하세요", "straße", "Über",
]  # fmt: skip
IDEOGRAPHS = list("你好世界今天我们去公园")
READ = {
    "42": "forty two", "5": "five", "7": "seven", "101": "one hundred and one", "Dr.": "doctor",
    "3.5": "three point five", "50%": "fifty percent", "10:30": "ten thirty", "&": "and",
    "$5": "five dollars", "€7": "seven euros", "example.com": "example dot com",
    "777": "seven hundred and seventy seven",
}  # fmt: skip
SILENT = ["[happy]", "<|speaker:1|>", "<whisper>", "</whisper>", "😀", "—", "**"]
STOPS = ["", "", "", ",", ".", "!", '."', "?", "…"]


class Said(NamedTuple):
    """A word of the text, with its reading."""

    written: str
    read: tuple[str, ...]


plain = st.builds(
    lambda word, stop: Said(word + stop, (word.replace("'", ""),)),
    st.sampled_from(PLAIN),
    st.sampled_from(STOPS),
)
ideograph = st.sampled_from(IDEOGRAPHS).map(lambda char: Said(char, (char,)))
rewritten = st.sampled_from(sorted(READ)).map(lambda word: Said(word, tuple(READ[word].split())))
silent = st.sampled_from(SILENT).map(lambda word: Said(word, ()))
literal = st.one_of(plain, plain, plain, plain, ideograph, silent)
anything = st.one_of(plain, plain, plain, plain, plain, ideograph, silent, rewritten)


class Speech(NamedTuple):
    """A text and how it was said.

    Attributes:
        text: All of it.
        words: With times: a word begins every 0.4 s and lasts 0.3 s.
        places: For each word where the words it was read from begin and end.
    """

    text: str
    words: list[Word]
    places: list[tuple[int, int]]


def speech(said: list[Said], joins: int = 0, *, upper: bool = False) -> Speech:
    """Return a text, spoken; bit n of ``joins`` makes one word of word n and the next."""
    text = ""
    spoken: list[tuple[str, int, int]] = []
    for word in said:
        start = len(text)
        text += word.written
        spoken.extend((part, start, len(text)) for part in word.read)
        text += " "
    merged: list[tuple[str, int, int]] = []
    for index, (part, start, end) in enumerate(spoken):
        if merged and joins >> (index % 64) & 1:
            before = merged.pop()
            merged.append((before[0] + part, before[1], end))
        else:
            merged.append((part, start, end))
    words = [
        Word(part.upper() if upper else part, index * 0.4, index * 0.4 + 0.3)
        for index, (part, _, _) in enumerate(merged)
    ]
    return Speech(text, words, [(start, end) for _, start, end in merged])


def clean(spoken: Speech, char: int, count: int) -> bool:
    """Return whether the first ``count`` words are what was said of the text before ``char``."""
    before = all(end <= char for _, end in spoken.places[:count])
    return before and all(start >= char for start, _ in spoken.places[count:])
