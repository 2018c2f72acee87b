"""Text from arguments, files and pipes."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.cli.exits import ExitCode, Failure
from fishlive.cli.texts import pieces, read_text

SPOKEN = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


class Dripping(io.RawIOBase):
    """Gives one piece a read, as a pipe does that is written slowly."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece, or the end."""
        return self._parts.pop(0) if self._parts else b""


@given(SPOKEN, st.lists(st.integers(0, 400)), st.booleans())
def test_text_survives_however_its_bytes_are_cut(text: str, cuts: list[int], mark: bool) -> None:
    """Cut anywhere, also within a character, the pieces are the text; a byte order mark goes."""
    text = text.lstrip("\ufeff") or "x"
    data = b"\xef\xbb\xbf" * mark + text.encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[a:b] for a, b in pairwise(edges)]

    assert "".join(pieces(Dripping(*parts))) == text


def test_text_is_passed_on_at_once() -> None:
    """What one read gives is yielded before the next: nothing waits for a line or a buffer."""
    source = Dripping(b"Hel", b"lo \xc3", b"\xa9t\xc3\xa9")
    heard = pieces(source)

    assert next(heard) == "Hel"
    assert len(source._parts) == 2
    assert list(heard) == ["lo ", "été"]


@pytest.mark.parametrize(
    ("parts", "heard", "offset"),
    [
        ((b"ab\xffcd",), "ab", 2),
        ((b"ab", b"c\xc3", b"x"), "abc", 3),
        ((b"\xef\xbb\xbfab", b"\xff"), "ab", 5),
        ((b"\xef\xbb\xbfab\xff",), "ab", 5),
        ((b"ab\xc3",), "ab", 2),
    ],
)
def test_what_is_no_utf8_is_placed(parts: tuple[bytes, ...], heard: str, offset: int) -> None:
    """What came before is passed on; the message names the first bad byte, from 0."""
    found = ""
    with pytest.raises(Failure, match=rf"\(byte {offset}\)") as caught:
        for piece in pieces(Dripping(*parts)):
            found += piece

    assert caught.value.code is ExitCode.USAGE
    assert found == heard


@pytest.mark.parametrize("parts", [(), (b"",), (b" \n", b"\t")])
def test_a_pipe_without_text_is_a_failure(parts: tuple[bytes, ...]) -> None:
    """An LLM that wrote nothing does not end as a success."""
    with pytest.raises(Failure, match="nothing to say"):
        list(pieces(Dripping(*parts)))


@pytest.mark.parametrize(
    "text", ["hello", "and/or", "example.com", "e.g.", "Mind notes.txt.", "x" * 5000, "..."]
)
def test_words_are_words(text: str) -> None:
    """What does not look like a file's name is what is said."""
    assert read_text(text) == text


def test_a_file_is_read(tmp_path: Path) -> None:
    """The name of a file that exists stands for its text, whatever it looks like."""
    file = tmp_path / "some page"
    file.write_bytes("\ufeffGrüße".encode())

    assert read_text(str(file)) == "Grüße"


@pytest.mark.parametrize("name", ["notes.txt", "./notes", "../x", "/nowhere/to/be/found", "~/x.md"])
def test_a_missing_file_is_not_spoken(name: str, monkeypatch: Any, tmp_path: Path) -> None:
    """What looks like a file's name, and is none, is a failure."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="no such file") as caught:
        read_text(name)

    assert caught.value.code is ExitCode.USAGE


def test_a_folder_is_not_spoken(tmp_path: Path) -> None:
    """Nor is a folder's name."""
    with pytest.raises(Failure, match="is a folder"):
        read_text(str(tmp_path))


def test_a_file_in_another_encoding_is_placed(tmp_path: Path) -> None:
    """The message names the file, the first bad byte, and what to do."""
    file = tmp_path / "old.txt"
    file.write_bytes(b"\xef\xbb\xbfcaf\xe9")
    with pytest.raises(Failure, match=r"old\.txt is not UTF-8 text \(byte 6\): convert it"):
        read_text(str(file))


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_text_is_a_failure(text: str) -> None:
    """Nothing is asked of the service for nothing."""
    with pytest.raises(Failure, match="nothing to say"):
        read_text(text)


def test_an_argument_that_is_no_unicode_is_refused() -> None:
    """Bytes that the terminal could not decode do not reach the wire."""
    with pytest.raises(Failure, match="not UTF-8"):
        read_text("caf\udce9")
