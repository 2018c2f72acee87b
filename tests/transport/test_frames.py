"""Frames, fragments, HTTP heads: pure readers that take any bytes in any pieces."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ProtocolError
from fishlive.limits import MAX_ERROR_BODY_BYTES
from fishlive.transport.answer import parse_head, refusal_body, unchunk
from fishlive.transport.fragments import Fragments
from fishlive.transport.frames import (
    Frame,
    FrameReader,
    Opcode,
    encode_frame,
    mask,
    parse_close,
)
from tests.transport.peer import FIN, frame

LIMIT_BYTES = 100_000
FRAMES = st.lists(
    st.builds(
        Frame,
        st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.CONTINUATION]),
        st.booleans(),
        st.integers(0, 70_000).map(bytes) | st.binary(),
    ),
    max_size=5,
)


@given(FRAMES, st.lists(st.integers(0, 200_000), max_size=8))
def test_frames_do_not_depend_on_where_tcp_cuts(frames: list[Frame], cuts: list[int]) -> None:
    """The same frames come out, whatever pieces the bytes come in."""
    data = b"".join(
        frame(each.opcode, each.payload, flags=FIN if each.fin else 0) for each in frames
    )
    reader = FrameReader(LIMIT_BYTES)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [each for start, end in pairwise(edges) for each in reader.feed(data[start:end])]

    assert found == frames


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    """Nothing else is raised, and nothing over the limit comes out."""
    reader = FrameReader(100)
    with suppress(ProtocolError):
        assert all(len(each.payload) <= 125 for each in reader.feed(data))


@given(st.binary(max_size=70_000) | st.sampled_from([bytes(125), bytes(126), bytes(65_536)]))
def test_what_we_send_is_masked_and_whole(payload: bytes) -> None:
    """A server that unmasks gets the payload back."""
    sent = encode_frame(Opcode.BINARY, payload)
    head = len(sent) - len(payload) - 4
    key, masked = sent[head : head + 4], sent[head + 4 :]

    assert sent[0] == 0x82
    assert sent[1] & 0x80
    assert mask(masked, key) == payload


@given(st.binary(max_size=130))
def test_any_close_payload_is_read_or_refused(payload: bytes) -> None:
    """Code and reason may be sent, or it is a ProtocolError."""
    try:
        code, reason = parse_close(payload)
    except ProtocolError:
        assert payload
        return
    assert 1000 <= code < 5000
    assert reason.encode() == payload[2:]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20))
def test_fragments_are_joined_once(pieces: list[bytes]) -> None:
    """The message is its pieces in order, and the next one starts from nothing."""
    fragments = Fragments(LIMIT_BYTES)
    for _ in range(2):
        results = [
            fragments.add(
                Opcode.CONTINUATION if index else Opcode.BINARY,
                piece,
                fin=index == len(pieces) - 1,
            )
            for index, piece in enumerate(pieces)
        ]
        assert results == [None] * (len(pieces) - 1) + [b"".join(pieces)]
        assert not fragments.pending


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.1 520", 520),
        (b"HTTP/1.0 503 ", 503),
        (b"HTTP/2.0 999 x", 999),
        (b"HTTP/1.1 099 x", None),
        (b"HTTP/1.1 20 x", None),
        (b"HTTP/1.1 2000 x", None),
        (b"HTTP/1.1  200 x", 200),
        (b"SSH-2.0", None),
        (b"", None),
    ],
)
def test_status_lines(head: bytes, status: int | None) -> None:
    """Three digits after HTTP/x.y are a status; nothing else is."""
    assert parse_head(head)[0] == status


def test_headers_are_joined_in_lower_case() -> None:
    """Repeated headers are one, unreadable lines are none."""
    head = b"HTTP/1.1 200 OK\r\nA: 1\r\nbad line\r\na:2\r\nB-C:  x  "

    assert parse_head(head) == (200, {"a": "1, 2", "b-c": "x"})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;x=y\r\nhello\r\n3\r\n wo", b"hello wo"),
        (b"ff\r\nshort", b"short"),
        (b"-1\r\nx", b""),
        (b"not chunked", b""),
        (b"", b""),
    ],
)
def test_chunks_are_read_as_far_as_they_came(body: bytes, text: bytes) -> None:
    """A body that was cut off is what there is of it."""
    assert unchunk(body)[0] == text


@pytest.mark.parametrize(
    ("headers", "raw", "told"),
    [
        ({"content-length": "5"}, b"plain words", (b"plain", True)),
        ({"content-length": "5"}, b"plai", (b"plai", False)),
        ({"content-length": "0"}, b"", (b"", True)),
        ({"content-length": "-1"}, b"plain", (b"plain", False)),
        ({"content-length": "9" * 19}, b"plain", (b"plain", False)),
        ({}, b"", (b"", False)),
        ({}, b"x" * MAX_ERROR_BODY_BYTES, (b"x" * MAX_ERROR_BODY_BYTES, True)),
        ({"transfer-encoding": "gzip, Chunked"}, b"2\r\nok\r\n", (b"ok", False)),
        ({"transfer-encoding": "chunked"}, b"2\r\nok\r\n0\r\n\r\n", (b"ok", True)),
    ],
)
def test_a_body_is_whole_when_its_head_says_so(
    headers: dict[str, str], raw: bytes, told: tuple[bytes, bool]
) -> None:
    """By its length, by its last chunk, or once it is more than anybody reads."""
    assert refusal_body(headers, raw) == told


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise(data: bytes) -> None:
    """Heads and chunks come from whoever answers."""
    parse_head(data)
    assert len(unchunk(data)[0]) <= len(data)
