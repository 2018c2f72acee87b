"""wire/serving.py: the service's side of the same messages."""

from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ProtocolError
from fishlive.wire.events import (
    Alignment,
    Failure,
    Finish,
    Segment,
    TimedAudio,
    decode,
    encode,
    encode_start,
)
from fishlive.wire.serving import (
    Flush,
    Start,
    Stop,
    Text,
    decode_client,
    encode_audio,
    encode_error,
    encode_finish,
    encode_timed_audio,
)

# By hand from asyncapi.yml (2026-08-21), the "Basic Configuration" example shortened.
START = (
    "82 a5 6576656e74 a5 7374617274  a7 72657175657374"
    "84 a4 74657874 a0  a6 666f726d6174 a3 6d7033  ac 6368756e6b5f6c656e677468 cd 012c"
    "a7 6c6174656e6379 a6 6e6f726d616c"
)
TEXT = (
    "82 a5 6576656e74 a4 74657874  a4 74657874"
    "bf 48656c6c6f2c20746869732069732073747265616d696e6720746578742e20"
)


@pytest.mark.parametrize(
    ("golden", "event"),
    [
        (START, Start({"text": "", "format": "mp3", "chunk_length": 300, "latency": "normal"})),
        (TEXT, Text("Hello, this is streaming text. ")),
        ("81 a5 6576656e74 a5 666c757368", Flush()),
        ("81 a5 6576656e74 a4 73746f70", Stop()),
    ],
)
def test_reads_what_the_documents_show(golden: str, event: object) -> None:
    """Each documented client message becomes its event."""
    assert decode_client(bytes.fromhex(golden)) == event


def test_unknown_events_are_nothing() -> None:
    """A client may be newer than the server."""
    assert decode_client(encode("cancel")) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "text"},
        {"event": "text", "text": b"bytes"},
        {"event": "start"},
        {"event": "start", "request": []},
        {"event": 1},
        {},
    ],
    ids=str,
)
def test_incomplete_events_are_refused(fields: dict[str, object]) -> None:
    """A required field that is missing, or of another type, is a ProtocolError."""
    with pytest.raises(ProtocolError):
        decode_client(msgpack.packb(fields))


@given(st.binary(max_size=100))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever a client sends, the answer is an event, nothing, or a ProtocolError."""
    with contextlib.suppress(ProtocolError):
        decode_client(data)


@given(st.dictionaries(st.text(), st.integers(0, 2**32) | st.text() | st.binary(), max_size=20))
def test_a_start_survives_the_wire(request: dict[str, object]) -> None:
    """What a client puts into a request is what the server reads."""
    assert decode_client(encode_start(request)) == Start(request)


def test_server_events_are_what_the_client_reads() -> None:
    """Each event of the service comes back as itself."""
    words = (Segment("Hi", 0.0, 0.4),)
    assert decode(encode_audio(b"ab")) == b"ab"
    assert decode(
        encode_timed_audio(
            b"ab", chunk_seq=2, chunk_audio_offset_s=1.5, content="Hi.", alignment=(words, 0.5)
        )
    ) == TimedAudio(b"ab", 2, 1.5, "Hi.", Alignment(words, 0.5))
    assert decode(encode_finish("error", message="no", time_ms=3)) == Finish("error", "no")
    assert decode(encode_error("busy")) == Failure("busy")


def test_alignment_is_always_present() -> None:
    """Nothing new is a null, not a missing key."""
    message = encode_timed_audio(
        b"", chunk_seq=0, chunk_audio_offset_s=0.0, content="", alignment=None
    )
    assert msgpack.unpackb(message)["alignment"] is None


def test_optional_fields_are_left_out_unless_given() -> None:
    """A plain finish has just its reason."""
    assert msgpack.unpackb(encode_finish()) == {"event": "finish", "reason": "stop"}
    assert msgpack.unpackb(encode_error("x")) == {"event": "error", "error": "x"}


def test_what_messagepack_cannot_hold_is_a_protocol_error() -> None:
    """No foreign exception comes out of writing."""
    with pytest.raises(ProtocolError, match="start cannot be written"):
        encode_start({"temperature": object()})
