"""wire/events.py: golden messages from the documents, and every way to be malformed."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import MessageTooLarge, ProtocolError
from fishlive.limits import MAX_ERROR_TEXT_CHARS, MAX_MAP_KEYS, MAX_MESSAGE_BYTES
from fishlive.wire import events
from fishlive.wire.events import (
    FLUSH,
    STOP,
    Alignment,
    Failure,
    Finish,
    Segment,
    TimedAudio,
    decode,
    encode,
    encode_start,
)

# Written by hand from asyncapi.yml (2026-08-21) and the page of live/with-timestamp (2026-09),
# byte by byte: 8n map of n, a.. short text, c4 binary, cb float64, c0 nil, 9n array of n.
AUDIO = "82 a5 6576656e74 a5 617564696f  a5 617564696f c4 04 00010203"
FINISH_STOP = "82 a5 6576656e74 a6 66696e697368  a6 726561736f6e a4 73746f70"
FINISH_ERROR = (
    "84 a5 6576656e74 a6 66696e697368  a6 726561736f6e a5 6572726f72"
    "a7 6d657373616765 a4 6f6f7073  a4 74696d65 cd 04d2"
)
ERROR = (
    "83 a5 6576656e74 a5 6572726f72"
    "a5 6572726f72 ba 436f6e63757272656e6379206c696d6974206578636565646564"
    "af 6d61785f636f6e63757272656e6379 08"
)
TIMED_AUDIO = (
    "86 a5 6576656e74 a5 617564696f  a5 617564696f c4 02 0102"
    "a7 636f6e74656e74 a9 48656c6c6f2068692e"
    "a9 616c69676e6d656e74 82 a8 7365676d656e7473 92"
    "  83 a4 74657874 a5 48656c6c6f  a5 7374617274 cb 0000000000000000"
    "     a3 656e64 cb 3fe0000000000000"
    "  83 a4 74657874 a2 6869  a5 7374617274 cb 3fe0000000000000"
    "     a3 656e64 cb 3ff0000000000000"
    "  ae 617564696f5f6475726174696f6e cb 3ff4000000000000"
    "a9 6368756e6b5f736571 01"
    "b6 6368756e6b5f617564696f5f6f66667365745f736563 cb 4000000000000000"
)
NO_NEWS = (
    "86 a5 6576656e74 a5 617564696f  a5 617564696f c4 00"
    "a7 636f6e74656e74 a0  a9 616c69676e6d656e74 c0"
    "a9 6368756e6b5f736571 00  b6 6368756e6b5f617564696f5f6f66667365745f736563 00"
)


def message(golden: str) -> bytes:
    """Return the bytes of a golden message."""
    return bytes.fromhex(golden)


@pytest.mark.parametrize(
    ("golden", "event"),
    [
        (AUDIO, b"\x00\x01\x02\x03"),
        (FINISH_STOP, Finish("stop")),
        (FINISH_ERROR, Finish("error", "oops")),
        (ERROR, Failure("Concurrency limit exceeded", 8)),
        (
            TIMED_AUDIO,
            TimedAudio(
                b"\x01\x02",
                1,
                2.0,
                "Hello hi.",
                Alignment((Segment("Hello", 0.0, 0.5), Segment("hi", 0.5, 1.0)), 1.25),
            ),
        ),
        (NO_NEWS, TimedAudio(b"", 0, 0.0, "", None)),
    ],
    ids=["audio", "finish", "finish with message and time", "error", "timed audio", "no news"],
)
@pytest.mark.parametrize("view", [bytes, memoryview])
def test_reads_what_the_documents_show(golden: str, event: object, view: type) -> None:
    """Each documented message becomes its event, from bytes and from a view alike."""
    assert decode(view(message(golden))) == event


@pytest.mark.parametrize(
    ("written", "golden"),
    [
        (FLUSH, "81 a5 6576656e74 a5 666c757368"),
        (STOP, "81 a5 6576656e74 a4 73746f70"),
        (
            encode("text", text="Hé "),
            "82 a5 6576656e74 a4 74657874  a4 74657874 a4 48c3a920",
        ),
        (
            encode_start({"text": "", "format": "pcm"}),
            (
                "82 a5 6576656e74 a5 7374617274  a7 72657175657374"
                "82 a4 74657874 a0  a6 666f726d6174 a3 70636d"
            ),
        ),
    ],
    ids=["flush", "stop", "text", "start"],
)
def test_writes_what_the_documents_show(written: bytes, golden: str) -> None:
    """Each client event is the documented map, byte for byte."""
    assert written == message(golden)


def generally(message: bytes) -> object:
    """Return what a message is to the general reader, or its error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "_PLAIN_BYTES", len(message) + 1)
        return outcome(message)


def outcome(message: bytes) -> object:
    """Return what a message is, or its error."""
    try:
        return decode(message)
    except ProtocolError as error:
        return type(error), str(error)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 4096, 65_535, 65_536])
@pytest.mark.parametrize("view", [bytes, memoryview])
def test_plain_audio_of_any_size_is_its_bytes(size: int, view: type) -> None:
    """Whichever width its length is written in, and never a view of memory that dies."""
    audio = bytes(range(256)) * (size // 256) + bytes(size % 256)
    found = decode(view(encode("audio", audio=audio)))

    assert found == audio
    assert type(found) is bytes


@given(st.data())
def test_what_is_known_by_its_bytes_is_what_it_is_to_the_general_reader(
    data: st.DataObject,
) -> None:
    """With any byte of its head changed, cut short, or with something behind it."""
    plain = encode("audio", audio=bytes(300))
    at, byte = data.draw(st.integers(0, 24)), data.draw(st.integers(0, 255))
    change = data.draw(st.sampled_from(["change", "cut", "add", "nothing"]))
    message = {
        "change": plain[:at] + bytes([byte]) + plain[at + 1 :],
        "cut": plain[: -1 - at],
        "add": plain + bytes([byte]),
        "nothing": plain,
    }[change]

    assert outcome(message) == generally(message)


def test_time_alone_does_not_make_audio_timed() -> None:
    """A `time` field was observed on the plain endpoint; its audio stays plain bytes."""
    assert decode(msgpack.packb({"event": "audio", "audio": b"ab", "time": 12})) == b"ab"


@pytest.mark.parametrize("name", ["pong", "", "AUDIO", "audio2"])
def test_unknown_events_are_nothing(name: str) -> None:
    """Events of other names are ignored, as the service asks."""
    assert decode(msgpack.packb({"event": name, "audio": b"x"})) is None


def test_unknown_fields_are_ignored() -> None:
    """A field from the future does not hide the audio."""
    assert decode(msgpack.packb({"event": "audio", "audio": b"x", "new": {"a": [1]}})) == b"x"


@pytest.mark.parametrize("audio", ["text", 1, None, [1], {"a": 1}])
def test_audio_that_is_not_binary_is_refused(audio: object) -> None:
    """The error names the field, what was expected and what came; not the value."""
    with pytest.raises(ProtocolError, match=r"audio\.audio: expected binary, got \w+"):
        decode(msgpack.packb({"event": "audio", "audio": audio}))


@pytest.mark.parametrize("event", [None, 1, b"audio", ["audio"], 1.5])
def test_an_event_without_a_name_is_refused(event: object) -> None:
    """The name of an event is text, and nothing else."""
    with pytest.raises(ProtocolError, match="event: expected text"):
        decode(msgpack.packb({"event": event}))


@pytest.mark.parametrize("value", [[], 1, None, "audio", b"", True])
def test_only_maps_are_messages(value: object) -> None:
    """A message that is not a map is refused."""
    with pytest.raises(ProtocolError, match="expected a map"):
        decode(msgpack.packb(value))


@pytest.mark.parametrize("cut", range(1, len(message(AUDIO))))
def test_truncated_messages_are_refused(cut: int) -> None:
    """Wherever a message is cut off, it is refused and its start is shown in hex."""
    with pytest.raises(ProtocolError, match="starting 82"):
        decode(message(AUDIO)[:cut])


def test_an_empty_message_is_refused() -> None:
    """Nothing is no map."""
    with pytest.raises(ProtocolError):
        decode(b"")


def test_trailing_bytes_are_refused() -> None:
    """One message is one map; what follows it would be a second parser's guess."""
    with pytest.raises(ProtocolError, match="extra"):
        decode(message(AUDIO) + b"\xc0")


@pytest.mark.parametrize(
    "ext", [msgpack.ExtType(5, b""), msgpack.ExtType(5, b"1234"), msgpack.Timestamp(1)]
)
@pytest.mark.parametrize("padding", [0, 70_000], ids=["small", "large"])
def test_extension_types_are_refused(ext: object, padding: int) -> None:
    """No extension type is read, empty ones and timestamps included, in small and large ones."""
    with pytest.raises(ProtocolError):
        decode(msgpack.packb({"event": "x", "value": ext, "pad": b"\0" * padding}))


def test_integer_keys_are_refused() -> None:
    """Keys are text."""
    with pytest.raises(ProtocolError):
        decode(msgpack.packb({"event": "audio", "audio": b"", 1: 2}))


def test_invalid_utf8_is_refused() -> None:
    """Text that is not UTF-8 is no text."""
    with pytest.raises(ProtocolError):
        decode(message("81 a5 6576656e74 a2 c328"))


def test_a_message_over_the_limit_is_refused() -> None:
    """One byte over the ceiling is too large, and the error has the numbers."""
    with pytest.raises(MessageTooLarge, match=str(MAX_MESSAGE_BYTES)):
        decode(bytes(MAX_MESSAGE_BYTES + 1))


def test_a_message_at_the_limit_is_read() -> None:
    """The ceiling itself is allowed."""
    header = message("82 a5 6576656e74 a5 617564696f  a5 617564696f c6")
    size = MAX_MESSAGE_BYTES - len(header) - 4
    audio = decode(header + struct.pack(">I", size) + bytes(size))
    assert isinstance(audio, bytes)
    assert len(audio) == size


def test_too_many_keys_are_refused() -> None:
    """A map of more than MAX_MAP_KEYS keys is no event."""
    with pytest.raises(ProtocolError):
        decode(msgpack.packb({"event": "x", **{str(i): i for i in range(MAX_MAP_KEYS)}}))


@pytest.mark.parametrize("padding", [0, 70_000], ids=["small", "large"])
def test_deep_nesting_is_refused(padding: int) -> None:
    """Values nested deeper than the protocol ever does are refused, in small and large ones."""
    value: Any = 1
    for _ in range(12):
        value = [value]
    with pytest.raises(ProtocolError, match="nested"):
        decode(msgpack.packb({"event": "x", "value": value, "pad": b"\0" * padding}))


def test_a_bomb_of_empty_containers_is_refused_before_it_is_built() -> None:
    """A megabyte of one-byte containers is refused by counting, not by building it."""
    rows = msgpack.packb([{}] * 10_000)
    bomb = message("82 a5 6576656e74 a1 78 a1 62") + b"\xdc\x00\x69" + rows * 105
    with pytest.raises(ProtocolError, match="too many"):
        decode(bomb)


@pytest.mark.parametrize(
    "change",
    [
        {"chunk_seq": -1},
        {"chunk_seq": "1"},
        {"chunk_seq": True},
        {"chunk_audio_offset_sec": float("nan")},
        {"chunk_audio_offset_sec": -1},
        {"chunk_audio_offset_sec": None},
        {"alignment": {"segments": [], "audio_duration": "1"}},
        {"alignment": {"segments": {}, "audio_duration": 1}},
        {"alignment": {"segments": [1], "audio_duration": 1}},
        {"alignment": {"segments": [{"text": 1, "start": 0, "end": 1}], "audio_duration": 1}},
        {"alignment": {"segments": [{"text": "a", "start": 2, "end": 1}], "audio_duration": 3}},
        {"alignment": {"segments": [{"text": "a", "start": 0}], "audio_duration": 3}},
        {"alignment": "none"},
    ],
    ids=str,
)
def test_bad_metadata_is_dropped_and_its_audio_kept(change: dict[str, object]) -> None:
    """A listener does not lose speech to a timestamp that makes no sense."""
    fields: dict[str, object] = {
        "event": "audio",
        "audio": b"ab",
        "content": "a",
        "chunk_seq": 3,
        "chunk_audio_offset_sec": 1.0,
        "alignment": None,
    }
    event = decode(msgpack.packb(fields | change))
    assert isinstance(event, TimedAudio)
    assert (event.audio, event.alignment) == (b"ab", None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "no reason given"),
        ({"reason": 5}, "unreadable reason of type int"),
        ({"reason": ""}, "unreadable"),
        ({"reason": "stop "}, "'stop '"),
        ({"reason": "\x1bstop\0"}, "'\\x1bstop\\x00'"),
        ({"reason": "\u200bstop"}, "'\\u200bstop'"),
    ],
)
def test_a_finish_without_a_readable_reason_is_no_success(
    fields: dict[str, object], reason: str
) -> None:
    """It still ends the utterance, but never as a success, however much it looks like one."""
    event = decode(msgpack.packb({"event": "finish", **fields}))
    assert isinstance(event, Finish)
    assert event.reason.startswith(reason)
    assert event.reason != events.SUCCESS


@pytest.mark.parametrize("limit", ["8", -1, 0, True, 1.5, None])
def test_an_error_with_a_strange_limit_is_still_an_error(limit: object) -> None:
    """A limit that is no positive integer is dropped; the error is not."""
    packed = msgpack.packb({"event": "error", "error": "no", "max_concurrency": limit})
    assert decode(packed) == Failure("no", None)


def test_hostile_sentences_are_capped_and_cleaned() -> None:
    """Control and bidirectional characters become spaces; length is bounded."""
    hostile = "a\x1b[31m\u202eb\n" + "x" * 10_000
    event = decode(msgpack.packb({"event": "error", "error": hostile}))
    assert isinstance(event, Failure)
    assert event.message.startswith("a [31m b x")
    assert len(event.message) <= MAX_ERROR_TEXT_CHARS


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever comes, the answer is an event, nothing, or a ProtocolError."""
    with contextlib.suppress(ProtocolError):
        decode(data)


_KEYS = (
    *("audio", "content", "alignment", "chunk_seq", "chunk_audio_offset_sec", "time"),
    *("reason", "message", "error", "max_concurrency"),
)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()
_VALUES = st.recursive(
    _SCALARS | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {"event": st.sampled_from(["audio", "finish", "error", "new"])},
        optional=dict.fromkeys(_KEYS, _VALUES),
    ),
    st.booleans(),
)
def test_no_map_raises_anything_else(fields: dict[str, Any], large: bool) -> None:
    """Any values under the known keys give an event, nothing, or a ProtocolError."""
    if large:
        fields["pad"] = b"\0" * 70_000
    with contextlib.suppress(ProtocolError):
        decode(msgpack.packb(fields))
