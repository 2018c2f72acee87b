"""Multipart bodies are read exactly, or not at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fishlive.server.multipart import MAX_PARTS, Part, boundary_of, read_parts

HEAD = b'Content-Disposition: form-data; name="x"'


def body(*parts: bytes) -> bytes:
    """Return a complete body of parts, heads included."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


@given(data=st.lists(st.binary(max_size=80)))
def test_data_arrives_exactly(data: list[bytes]) -> None:
    """Whatever a field holds comes out again, byte by byte, in order."""
    assume(not any(b"--b" in one for one in data))
    parts = read_parts(body(*(HEAD + b"\r\n\r\n" + one for one in data)), b"b")
    assert [part.data for part in parts] == data


@given(rubbish=st.binary(max_size=200))
def test_rubbish_is_a_value_error(rubbish: bytes) -> None:
    """Nothing else is ever raised, whatever stands in heads and bodies."""
    heads = (HEAD + b"\r\n" + rubbish, HEAD[:-1] + rubbish, HEAD + b"; filename*=" + rubbish)
    for given_ in (rubbish, body(rubbish), *(body(head + b"\r\n\r\nx") for head in heads)):
        with contextlib.suppress(ValueError):
            list(read_parts(given_, b"b"))


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (HEAD, Part("x", None, True, "utf-8", b"d")),
        (HEAD + b'; filename="a.wav"', Part("x", "a.wav", True, "utf-8", b"d")),
        (HEAD + '; filename="é.wav"'.encode(), Part("x", "é.wav", True, "utf-8", b"d")),
        (HEAD + b"; filename*=utf-8''%C3%A9", Part("x", "é", True, "utf-8", b"d")),
        (HEAD.lower().replace(b'"', b""), Part("x", None, True, "utf-8", b"d")),
        (HEAD + b"\r\nContent-Type: audio/wav", Part("x", None, False, "utf-8", b"d")),
        (HEAD + b"\r\nContent-Type: text/plain; charset=latin-1",
         Part("x", None, True, "latin-1", b"d")),
    ],
)  # fmt: skip
def test_heads(head: bytes, part: Part) -> None:
    """Names, file names and kinds are read as browsers and clients write them."""
    assert list(read_parts(body(head + b"\r\n\r\nd"), b"b")) == [part]


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"--b", b"--b\r\n" + HEAD, b"--b\r\n" + HEAD + b"\r\n\r\nd", body(b"\r\nno head"),
        body(HEAD.replace(b"name", b"title") + b"\r\n\r\nd"),
        body(*[HEAD + b"\r\n\r\nd"] * (MAX_PARTS + 1)),
    ],
    ids=lambda wrong: repr(wrong)[:30],
)  # fmt: skip
def test_what_is_refused(wrong: bytes) -> None:
    """A body that breaks off, parts without a name, and too many of them are no form."""
    with pytest.raises(ValueError, match=r"not complete|no name|too many"):
        list(read_parts(wrong, b"b"))


def test_as_many_as_allowed() -> None:
    """The limit itself is allowed; what stands before the first and behind the last is skipped."""
    many = body(*[HEAD + b"\r\n\r\nd"] * MAX_PARTS)
    assert len(list(read_parts(b"before\r\n" + many + b"behind", b"b"))) == MAX_PARTS


@pytest.mark.parametrize(
    ("header", "boundary"),
    [("multipart/form-data; boundary=b", b"b"), ('multipart/form-data; boundary="a b"', b"a b")],
)
def test_boundaries(header: str, boundary: bytes) -> None:
    """The boundary may be quoted; without one there is a ValueError."""
    assert boundary_of(header) == boundary
    with pytest.raises(ValueError, match="no boundary"):
        boundary_of("multipart/form-data")
