"""Inputs that only size makes bad: read in time and memory that grow no faster than they do.

Each is so large that reading parts of it again and again would take minutes.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from fishlive.errors import APIStatusError, ProtocolError
from fishlive.gateways.refusals import gateway_refusal
from fishlive.limits import KIB, MIB
from fishlive.transport.answer import parse_head, unchunk
from fishlive.transport.refusal import refusal, retry_after_s
from fishlive.transport.sse import EventParser
from fishlive.wire.events import Alignment, Segment, TimedAudio, decode
from fishlive.wire.serving import encode_timed_audio
from tests.adversity.fuzz.growing import RAW_VALUES


@pytest.fixture
def traced() -> Iterator[None]:
    """Watch memory."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak_mib() -> float:
    """Return the most memory that was held since the test began."""
    return tracemalloc.get_traced_memory()[1] / MIB


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("size", [4 * KIB, 16 * KIB, 64 * KIB])
@pytest.mark.parametrize(
    "head", [b"\xdc\xff\xff", b"\xdc\x10\x00", b"\xdc\x02\x00", b"\xdd\0\0\x80\0"]
)
def test_arrays_that_claim_much_take_little(head: bytes, size: int) -> None:
    """Room for what nested arrays claim to hold is not made: at most 4 MiB, and 72 bytes a byte."""
    message = (head * 1_023).ljust(size, b"\xc0")[:size]
    with pytest.raises(ProtocolError):
        decode(message)
    assert peak_mib() < 4.2 + 80 * size / MIB


@pytest.mark.usefixtures("traced")
def test_a_message_of_empty_containers_takes_what_is_documented() -> None:
    """72 times its size, once."""
    with pytest.raises(ProtocolError):
        decode(b"\xdc\xff\xf0" + b"\x80" * 0xFFF0)
    assert peak_mib() < 5.0


@pytest.mark.parametrize("words", [511, 512, 513, 1_000])
def test_long_alignments_are_read(words: int) -> None:
    """However many words a small message can hold, all of them are there."""
    segments = tuple(Segment("w", float(at), at + 0.5) for at in range(words))
    message = encode_timed_audio(
        b"a", chunk_seq=0, chunk_audio_offset_s=0.0, content="", alignment=(segments, 1.0)
    )
    assert decode(message) == TimedAudio(b"a", 0, 0.0, "", Alignment(segments, 1.0))


@pytest.mark.parametrize("depth", [5, 100, 400, 700, 850, 900, 930, 960, 980])
def test_no_depth_of_a_body_is_too_deep(depth: int) -> None:
    """Whether its JSON can just be read or just not, an error comes of it."""
    bodies = (
        b'{"error":' * depth + b'"x"' + b"}" * depth,
        b'[{"loc":[' + b"[" * depth + b"]" * depth + b'],"msg":1}]',
        b'{"detail":[{"msg":' + b"[" * depth + b"]" * depth + b"}]}",
    )
    for body in bodies:
        assert isinstance(refusal(400, {}, body), APIStatusError)
        assert isinstance(gateway_refusal(400, {}, body), APIStatusError)


def test_a_sentence_is_looked_for_so_deep_and_no_deeper() -> None:
    """Four objects, whatever the interpreter's own limit is."""
    for depth, message in ((4, "x"), (5, "Bad Request")):
        error = refusal(400, {}, b'{"error":' * depth + b'"x"' + b"}" * depth)
        assert isinstance(error, APIStatusError)
        assert error.message == message


def test_nested_places_are_not_shown() -> None:
    """Of a place and a message only words and numbers are repeated."""
    error = refusal(422, {}, b'[{"loc":["body",[[1]],0],"msg":{"a":1}}]')
    assert isinstance(error, APIStatusError)
    assert error.message == "body..0"


def test_bodies_of_titles_are_read_once() -> None:
    """A page of unfinished titles has none."""
    for page in (b"<title", b"<title>", b"<title></titl"):
        error = refusal(500, {}, b"<html>" + page * 1_400)
        assert isinstance(error, APIStatusError)
        assert error.message == "HTML page"


def test_very_many_chunks_are_put_together() -> None:
    """And as many lines of one header."""
    assert unchunk(b"1\r\nx\r\n" * 300_000) == (b"x" * 300_000, False)
    _, headers = parse_head(b"HTTP/1.1 400 Bad\r\n" + b"a:b\r\n" * 300_000)
    assert len(headers["a"]) == 900_000 - 2


@pytest.mark.parametrize("size", [b"-1", b"+1", b"0x1", b"1_0", b" 1", b"", b"g", b"1" * 9])
def test_only_hexadecimal_digits_are_a_size(size: bytes) -> None:
    """What else ``int`` takes for a number ends the body."""
    assert unchunk(b"2\r\nok\r\n" + size + b"\r\nx\r\n") == (b"ok", True)


def test_a_stream_of_single_bytes_is_read() -> None:
    """A quarter of a megabyte, one byte at a time, in one event."""
    parser = EventParser()
    stream = b"data: " + b"x" * (MIB // 4) + b"\n\n"
    events = [event for at in range(len(stream)) for event in parser.feed(stream[at : at + 1])]
    assert [len(event.data) for event in events] == [MIB // 4]


@pytest.mark.parametrize(
    "text", ["9" * 100_000, "Mon, " + "9" * 50_000, "," * 50_000, "a " * 50_000]
)
def test_a_long_header_is_no_wait(text: str) -> None:
    """A day, or nothing."""
    assert retry_after_s({"retry-after": text}) in {None, 86_400.0}


@pytest.mark.parametrize("value", RAW_VALUES, ids=bytes.hex)
def test_every_raw_value_is_read_or_refused(value: bytes) -> None:
    """Where an optional field has it, and where nobody expects it."""
    for message in (b"\x82\xa5event\xa5audio\xa5other" + value, value, b"\x81" + value):
        with pytest.raises(ProtocolError):
            decode(message)
