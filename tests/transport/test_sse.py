"""transport/sse.py: events out of a stream that is cut anywhere."""

from __future__ import annotations

import re
from itertools import pairwise

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


def read_whole(stream: bytes) -> list[tuple[str, str]]:
    """Return what the standard makes of a stream that is there as a whole; our second opinion."""
    *lines, _cut_off = re.split("\r\n|\r|\n", stream.decode("utf-8-sig"))
    events, name, data = [], "", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append((name or "message", data[:-1]))
            name = data = ""
        elif field == "event":
            name = value
        elif field == "data":
            data += value + "\n"
    return events


PARTS = [
    b"data: x\n", b"data:\xe2\x82\xac\r\n", b"data\n", b"data:\n", b"\r\n", b"\n", b"\r", b"\n\n",
    b"event: e\n", b"event\n", b":c\n", b"datax: y\n", b" data: y\n", b"\xef\xbb\xbf",
    b"data: \xf0\x9f\x98\x80", b"id: 1\n", b":", b" ",
]  # fmt: skip
"""What streams are made of, well and badly formed."""

STREAMS = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)


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


@given(STREAMS, st.data())
def test_it_does_not_matter_where_it_is_cut(stream: bytes, draw: st.DataObject) -> None:
    """Pieces of any lengths, none among them, give the events that the standard defines."""
    places = st.lists(st.integers(0, len(stream)), max_size=8)
    cuts = [0, *sorted(draw.draw(places)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(cuts)]
    assert read(*pieces) == read_whole(stream)


@given(STREAMS)
def test_single_bytes_give_the_same_events(stream: bytes) -> None:
    """The smallest pieces there are."""
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == read_whole(stream)


@pytest.mark.parametrize(
    ("stream", "unfinished"),
    [
        (b"", False),
        (b"data: x\n\n", False),
        (b"data: x\r", True),
        (b"data: x\r\r", False),
        (b": still here", False),
        (b"data: x\n\n: still here\n", False),
        (b"dat", True),
        (b"data: x", True),
        (b"data: x\n", True),
        (b"event: error\n", True),
        (b"data: x\n\n\xe2", True),
    ],
)
def test_it_knows_whether_an_event_is_cut_off(stream: bytes, unfinished: bool) -> None:
    """A line, data, a name or half a character that waits for more; comments are no events."""
    parser = EventParser()
    list(parser.feed(stream))
    assert parser.unfinished is unfinished


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
