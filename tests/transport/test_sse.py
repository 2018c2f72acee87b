"""transport/sse.py: events out of a stream that is cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import MessageTooLarge, ProtocolError
from fishlive.transport import sse
from fishlive.transport.sse import Event, EventParser


def read(*pieces: bytes) -> list[tuple[str, str]]:
    """Return the names and data of all events."""
    parser = EventParser()
    return [(event.name, event.data) for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: x\n\n", [("message", "x")]),
        (b"data:x\r\rdata:  y\r\n\r\n", [("message", "x"), ("message", " y")]),
        (b"\xef\xbb\xbfdata: x\n\n", [("message", "x")]),
        (b"data: a\ndata: b\ndata\n\n", [("message", "a\nb\n")]),
        (b": comment\nevent: error\ndata: x\n\ndata: y\n\n", [("error", "x"), ("message", "y")]),
        (b"event: error\n\ndata: y\n\n", [("message", "y")]),
        (b"retry: 10\nwhatever: x\ndata: \xc3\xa4:b\n\n", [("message", "\xe4:b")]),
        (b"\n\n\n", []),
        (b"data: unfinished\n", []),
        (b"", []),
    ],
)
def test_the_standard_is_followed(stream: bytes, events: list[tuple[str, str]]) -> None:
    """Line ends, comments, names, joined lines and unfinished events are as HTML defines them."""
    assert read(stream) == events


@given(
    st.lists(
        st.sampled_from(
            [b"data: x\n", b"data:\xe2\x82\xac\r\n", b"\r\n", b"\n", b"\r", b"event: e\n", b":c\n"]
        ),
        max_size=30,
    ),
    st.integers(1, 7),
)
def test_it_does_not_matter_where_it_is_cut(lines: list[bytes], size: int) -> None:
    """Pieces of any length give the same events as the whole."""
    stream = b"".join(lines)
    assert read(*(stream[at : at + size] for at in range(0, len(stream), size))) == read(stream)


def test_the_last_id_stays() -> None:
    """It belongs to every event from then on; one with a NUL is none."""
    parser = EventParser()
    events = list(parser.feed(b"id: 1\ndata: a\n\nid: \x00\ndata: b\n\n"))
    assert events == [Event("message", "a", "1"), Event("message", "b", "1")]


def test_what_is_not_utf_8_is_an_error() -> None:
    """It says so, and is not replaced by question marks."""
    with pytest.raises(ProtocolError, match="UTF-8"):
        read(b"data: \xff\n\n")


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 20, b"data: xxxxx\n" * 3, b"x" * 20])
def test_events_are_bounded(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, or lines together, that grow beyond the limit are refused while they come."""
    monkeypatch.setattr(sse, "MAX_EVENT_CHARS", 15)
    with pytest.raises(MessageTooLarge):
        read(stream)


def test_data_shows_in_no_repr() -> None:
    """It is somebody's speech."""
    assert "secret" not in repr(Event("message", "secret"))
