"""Wrong messages: each is what its name says, and the stream goes on behind it."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest

from fishlive.faults import MESSAGES
from fishlive.server.faults.messages import odd, wrong
from fishlive.wire.serving import encode_timed_audio
from tests.server.faults.raw import PATHS, Raw, dialled, served

REAL = encode_timed_audio(
    b"\x01\x02\x03\x04", chunk_seq=3, chunk_audio_offset_s=1.0, content="Hi", alignment=None
)
UNREADABLE = {"truncated", "trailing", "deep", "empty"}
TWO = {"unknown-event", "audio-empty"}


def read(message: bytes) -> Any:
    """Return what any decoder makes of a message."""
    return msgpack.unpackb(message, strict_map_key=False)


def only(name: str) -> Any:
    """Return the one wrong message, read."""
    (message,) = wrong(name, REAL)
    return read(message)


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_unreadable(name: str) -> None:
    """No decoder reads it."""
    (message,) = wrong(name, REAL)
    with pytest.raises((ValueError, msgpack.UnpackException)):
        read(message)


def test_small_ways_to_be_wrong() -> None:
    """Each name changes what it names, and nothing else."""
    real = read(REAL)
    assert isinstance(only("not-map"), list)
    assert "event" not in only("no-event")
    assert only("event-number") == {**real, "event": 7}
    assert only("unknown-field").keys() - real.keys() == {"applause"}
    assert "audio" not in only("audio-missing")
    assert only("audio-text") == {**real, "audio": "audio"}
    assert only("audio-number") == {**real, "audio": 7}
    assert only("audio-null") == {**real, "audio": None}
    assert only("audio-list") == {**real, "audio": [0, 1, 2, 3]}
    assert only("time-text") == {**real, "time": "soon"}
    assert math.isnan(only("time-nan")["time"])
    assert only("keys-numbers") == {**real, 7: "seven"}
    assert only("alignment-null") == {**real, "alignment": None}
    assert "alignment" not in only("alignment-missing")
    assert only("alignment-text") == {**real, "alignment": "words"}
    assert only("seq-negative") == {**real, "chunk_seq": -1}
    assert only("seq-huge") == {**real, "chunk_seq": 2**63}
    assert only("seq-repeated") == {**real, "chunk_seq": 0}
    assert only("offset-text") == {**real, "chunk_audio_offset_sec": "later"}
    assert only("error-number") == {"event": "error", "error": 7}
    assert only("error-missing") == {"event": "error"}
    assert only("finish-number") == {"event": "finish", "reason": 7}
    assert only("finish-missing") == {"event": "finish"}


def test_words_at_no_time() -> None:
    """An alignment has the shape of one, and times that cannot be."""
    (word,) = only("alignment-backwards")["alignment"]["segments"]
    assert word["end"] < word["start"]
    (word,) = only("alignment-nan")["alignment"]["segments"]
    assert math.isnan(word["start"])


def test_keys_twice() -> None:
    """Every key is there twice, and the last one is the real one."""
    (message,) = wrong("keys-twice", REAL)
    assert message[0] == 0x80 | 2 * len(read(REAL))
    assert read(message) == read(REAL)
    pairs = msgpack.unpackb(message, object_pairs_hook=list)
    assert [key for key, _ in pairs] == 2 * list(read(REAL))


def test_bomb() -> None:
    """A megabyte unpacks to a million lists."""
    (message,) = wrong("bomb", REAL)
    assert len(message) < 1_100_000
    unpacker = msgpack.Unpacker()
    unpacker.feed(message)
    assert (unpacker.read_map_header(), unpacker.unpack()) == (1, "event")
    assert unpacker.read_array_header() == 1_000_000
    assert message.endswith(b"\x90" * 1_000_000)


def test_extension() -> None:
    """An extension type stands where text belongs."""
    assert isinstance(only("extension")["event"], msgpack.ExtType)


@pytest.mark.parametrize("name", TWO)
def test_two(name: str) -> None:
    """Something comes beside the real message, which is whole."""
    beside, real = wrong(name, REAL)
    assert beside != real == REAL


def test_odd_pieces() -> None:
    """Pieces are 1, 3, 5 bytes and so on; the last is what is left; nothing is lost."""
    assert [len(piece) for piece in odd(bytes(12))] == [1, 3, 5, 3]
    assert b"".join(odd(b"abcdefg")) == b"abcdefg"
    assert list(odd(b"")) == [b""]


@pytest.mark.parametrize("path", PATHS)
async def test_on_the_wire(path: str) -> None:
    """The second event is the wrong one, as one message, on both endpoints."""
    async with served() as server:
        for name in MESSAGES:
            server.play(f"message:{name}@audio:2")
            async with dialled(server, path) as raw:
                await raw.say()
                assert (await raw.next()).event["event"] == "audio"
                await see(name, raw)
            assert server.played[f"message:{name}@audio:2"] == 1


async def see(name: str, raw: Raw) -> None:
    """Check that a message is the wrong one, and what comes behind it."""
    frame = await raw.next()
    assert frame.first == 0x82
    if name in UNREADABLE:
        with pytest.raises((ValueError, msgpack.UnpackException)):
            read(frame.payload)
    if name.startswith("error-"):
        assert (frame.event["event"], (await raw.next()).opcode) == ("error", 8)
    elif name.startswith("finish-"):
        assert frame.event["event"] == "finish"
    else:
        assert (await raw.events())[-1]["reason"] == "stop"
