"""What reads foreign bytes, how, and what must hold of everything it makes of them.

Each reader catches what its docstring names, and nothing else; the corpora are the golden messages.
"""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from collections.abc import Callable, Iterator
from math import inf, isfinite
from typing import Any, Final

from fishlive.errors import (
    APIStatusError,
    FishLiveError,
    ProtocolError,
    StreamInterrupted,
    SynthesisError,
    UpgradeError,
)
from fishlive.gateways.refusals import gateway_refusal, refusal_in
from fishlive.limits import KIB, MAX_ERROR_TEXT_CHARS
from fishlive.models.tts import TTSRequest
from fishlive.rest.speech import TimedSpeechStream
from fishlive.transport.answer import parse_head, unchunk
from fishlive.transport.fragments import Fragments
from fishlive.transport.frames import FrameReader, Opcode, encode_frame, parse_close
from fishlive.transport.refusal import MAX_RETRY_AFTER_S, refusal, retry_after_s, server_closed
from fishlive.transport.sse import Event, EventParser
from fishlive.wire.events import Alignment, Failure, Finish, TimedAudio, decode, encode
from fishlive.wire.serving import Flush, Start, Stop, Text, decode_client
from fishlive.wire.words import WordTrack
from tests.adversity.fuzz.growing import RAW_JSON, RAW_VALUES, jsoned, of_parts, packed
from tests.adversity.fuzz.hunting import Subject
from tests.wire import test_events as golden
from tests.wire import test_serving as golden_serving

FRAME_BYTES: Final = 1_000
"""Longest frame, so that fuzzed lengths fall on both sides of it."""

_REQUEST: Final = TTSRequest(text="Hello")


# The wire


def read_event(message: bytes) -> None:
    """Documented: ProtocolError. What is accepted reads the same from a view."""
    try:
        event = decode(message)
    except ProtocolError as error:
        check_words(error)
        return
    assert decode(memoryview(message)) == event
    if isinstance(event, bytes):
        assert len(event) <= len(message)
        assert decode(encode("audio", audio=event)) == event
    elif isinstance(event, TimedAudio):
        check_timed(event)
    elif isinstance(event, Finish):
        assert event.reason
        assert event.reason.isprintable()
        assert event.message.isprintable() or not event.message
    elif isinstance(event, Failure):
        assert 0 < len(event.message) <= MAX_ERROR_TEXT_CHARS
        assert event.max_concurrency is None or event.max_concurrency > 0
    else:
        assert event is None


def check_timed(event: TimedAudio) -> None:
    """Check that every time is a time, and that the words of it can be had."""
    assert type(event.audio) is bytes
    assert type(event.content) is str
    assert event.chunk_seq >= 0
    assert isfinite(event.chunk_audio_offset_s)
    if isinstance(event.alignment, Alignment):
        assert all(0 <= s.start_s <= s.end_s < inf for s in event.alignment.segments)
    track = WordTrack()
    track.add(event)
    assert len(track.settled(newest=True)) <= len(track.words())


def read_client_event(message: bytes) -> None:
    """Documented: ProtocolError."""
    try:
        event = decode_client(message)
    except ProtocolError as error:
        check_words(error)
        return
    if isinstance(event, Text):
        assert decode_client(encode("text", text=event.text)) == event
    else:
        assert event is None or isinstance(event, (Start, Flush, Stop))


# Answers


def read_wait(data: bytes) -> None:
    """Documented: nothing. It is no number, or one from zero to a day."""
    values = data.decode("latin-1").split("\n")
    names = ("retry-after", "retry-after-ms", "date")
    headers = {name: value for name, value in zip(names, values, strict=False) if value}
    wait_s = retry_after_s(headers)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S
    text = headers.get("retry-after", "").strip(" ")
    if "retry-after-ms" not in headers and text.isascii() and text.isdigit():
        assert wait_s == min(float(text), MAX_RETRY_AFTER_S)


def read_refusal(data: bytes) -> None:
    """Documented: nothing. Whatever the status and the body, it is one error with one sentence."""
    status, body = 100 + int.from_bytes(data[:2], "big") % 900, data[2:]
    error = refusal(status, {}, body)
    assert isinstance(error, APIStatusError if _refuses(status) else UpgradeError)
    check_words(error)


def read_gateway_refusal(data: bytes) -> None:
    """Documented: nothing. As :func:`read_refusal`, whatever a gateway wraps it in."""
    status, body = 100 + int.from_bytes(data[:2], "big") % 900, data[2:]
    error = gateway_refusal(status, {}, body)
    # A gateway's 426 with a body of its own is a refusal too.
    expected = (APIStatusError, UpgradeError) if status == 426 else APIStatusError
    assert isinstance(error, expected if 400 <= status <= 599 else UpgradeError)
    check_words(error)


def read_record(data: bytes) -> None:
    """Documented: nothing. A task's record, which has no status of its own."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return
    error = refusal_in(said) if isinstance(said, dict) else None
    if error is not None:
        check_words(error)


def _refuses(status: int) -> bool:
    return 400 <= status <= 599 and status != 426


def read_upgrade(data: bytes) -> None:
    """Documented: nothing. A head and a body, chunked or not, as they came."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, headers = parse_head(head)
    assert status is None or 100 <= status <= 999
    assert all(name == name.lower() for name in headers)
    plain, _ = unchunk(body)
    assert len(plain) <= len(body)
    if status is not None and status != 101:
        error = refusal(status, headers, plain)
        check_words(error)
        assert error.trace_id is None or error.trace_id.isprintable()


# Streams


def read_events(stream: bytes) -> None:
    """Documented: ProtocolError. Wherever the stream is cut, its events are the same."""
    whole, end = _events([stream])
    assert (whole, end) == _events(_cut(stream))
    assert sum(len(event.data) for event in whole) <= len(stream)
    if end is None:
        assert [(e.name, e.data) for e in whole] == list(_second_opinion(stream))


def read_speech(stream: bytes) -> None:
    """Documented: ProtocolError, SynthesisError. Of each event, its audio and its words."""
    events, _ = _events([stream])
    speech: Any = TimedSpeechStream(contextlib.nullcontext(), _REQUEST)  # type: ignore[arg-type]
    for event in events:
        try:
            assert type(speech._take(event)) is bytes
        except (ProtocolError, SynthesisError) as error:  # noqa: PERF203 - each event has its own
            check_words(error)
    assert all(isfinite(word.end_s) for word in speech.words)


def read_frames(stream: bytes) -> None:
    """Documented: ProtocolError. Wherever the stream is cut, its messages are the same."""
    assert _messages([stream]) == _messages(_cut(stream))


def _events(pieces: list[bytes]) -> tuple[list[Event], str | None]:
    parser, found = EventParser(), []
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                found.append(event)  # noqa: PERF402 - those before an error count
    except ProtocolError as error:
        check_words(error)
        return found, type(error).__name__
    return found, str(parser.unfinished) if parser.unfinished else None


def _second_opinion(stream: bytes) -> Iterator[tuple[str, str]]:
    """Yield what the standard makes of a stream that is there as a whole, and ended whole."""
    name, data = "", ""
    lines = stream.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name or "message", data[:-1]
            name = data = ""
        elif field == "event":
            name = value
        elif field == "data":
            data += value + "\n"


def _messages(pieces: list[bytes]) -> list[object]:
    """Return the whole messages of a WebSocket's bytes, and how they end."""
    reader, fragments = FrameReader(FRAME_BYTES), Fragments(FRAME_BYTES)
    found: list[object] = []
    try:
        for piece in pieces:
            for frame in reader.feed(piece):
                if frame.opcode is Opcode.CLOSE:
                    code, reason = parse_close(frame.payload)
                    check_words(server_closed(code, reason))
                    found.append((code, reason))
                elif frame.opcode < Opcode.CLOSE:
                    found.append(fragments.add(frame.opcode, frame.payload, fin=frame.fin))
                    assert len(found[-1] or b"") <= FRAME_BYTES  # type: ignore[arg-type]
    except (ProtocolError, StreamInterrupted) as error:
        check_words(error)
        found.append(type(error))
    return [*found, fragments.ignored]


def _cut(stream: bytes) -> list[bytes]:
    """Return the stream in pieces, some of them empty, in a way that depends on it alone."""
    chance = random.Random(zlib.crc32(stream))  # noqa: S311 - not a secret
    size = len(stream)
    most = chance.choice((2, 5, 50) if size < 100 else (size // 20, size // 4))
    pieces, at = [], 0
    while at < len(stream):
        size = chance.randrange(most)
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def check_words(error: FishLiveError) -> None:
    """Check that what an error says is short, and can be printed."""
    said = str(error)
    assert said.isprintable()
    assert len(said) <= MAX_ERROR_TEXT_CHARS + 100


# What they are given


def _fixed(extra_bytes: int, each: float) -> Callable[[int], int]:
    return lambda size: extra_bytes + int(each * size)


_TOKENS: Final = (
    *RAW_VALUES, b"\x80", b"\x90", b"\x91", b"\x81\xa1a", b"\xc0", b"\xc3", b"\xa5event",
    b"\xa5audio", b"\xa6finish", b"\xa6reason", b"\xc4\x01x", b"\xcb\x7f\xf8\0\0\0\0\0\0",
    b"\xcb\x7f\xf0\0\0\0\0\0\0", b"\xcf" + b"\xff" * 8, b"\xa9chunk_seq", b"\xd3\x80" + b"\0" * 7,
)  # fmt: skip
_SERVER: Final[list[bytes]] = [
    golden.message(said)
    for said in (
        golden.AUDIO, golden.FINISH_STOP, golden.FINISH_ERROR, golden.ERROR, golden.TIMED_AUDIO,
        golden.NO_NEWS,
    )
]  # fmt: skip
_INFINITE: Final = b"\xcb\x7f\xf0" + bytes(6)
_SERVER.extend(
    _SERVER[4].replace(time, _INFINITE)
    for time in map(bytes.fromhex, ("cb4000000000000000", "cb3ff0000000000000"))
)
_CLIENT: Final = [
    bytes.fromhex(golden_serving.START),
    bytes.fromhex(golden_serving.TEXT),
    encode("flush"),
    encode("stop"),
]
_WAITS: Final = [
    b"3", b" 1.5 ", b"0", b"\n250", b"9\nsoon", b"Tue, 01 Sep 2026 12:00:10 GMT",
    b"Tue, 01 Sep 2026 12:00:10 GMT\n\nTue, 01 Sep 2026 12:00:00 GMT",
    b"Tuesday, 01-Sep-26 12:00:10 GMT", b"Tue Sep  1 12:00:10 2026", b"1 Sep 2026 12:00 -0000",
]  # fmt: skip
_WAIT_PARTS: Final = (
    b"-", b"+", b".", b"1e9", b"1_0", b"0x10", b"9" * 400, b"9" * 4500, b"NaN", b"inf", b" ", b"\t",
    b"\0", b"\n", b",", b":", b"/", b"Tue", b"Sep", b"Feb", b"GMT", b"EST", b"+9999", b"-2360",
    b"0", b"1", b"99", b"2026", b"0000", b"10000", b"\xb2", b"\xa0", b"\x1c", b"(", b"60",
)  # fmt: skip
_STATUSES: Final = [(status - 100).to_bytes(2, "big") for status in (400, 401, 422, 429, 503)]
_BODIES: Final = [
    b'{"message": "Invalid Token", "status": 401}', b'{"error": {"message": "nested"}}',
    b'[{"loc": ["a", 0], "msg": "x", "type": "t"}, {"msg": "y"}]', b"plain words", b"",
    b'{"detail": [{"loc": ["body", "text"], "msg": "field required"}]}',
    b"<html><head><TITLE>502\n Bad</TITLE></head><body>no</body></html>",
    b'{"error": {"code": "used_up", "message": "[{\\"loc\\": [1], \\"msg\\": \\"m\\"}]"}}',
    b'{"success": false, "error": {"code": "api_error", "message": "no"}, "trace_id": "t"}',
    b'{"message": "concurrency", "max_concurrency": 5}', b"\xff\xfe{\0}\0",
]  # fmt: skip
_TEXT_TOKENS: Final = (
    *(raw.encode() for raw in RAW_JSON), b"{", b"[", b'"', b":", b",", b"\\u", b"<title",
    b"<title>", b"</title", b"<html>", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\0", b"\x1b",
    b'"message":', b'"loc":',
)  # fmt: skip
_HEADS: Final = [
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n" + _BODIES[0],
    b"HTTP/1.1 429 \r\nRetry-After: 3\r\nX-Fish-Trace-Id: t\r\n\r\n5\r\nplain\r\n0\r\n\r\n",
    b"HTTP/1.0 520\r\na: 1\r\nA: 2\r\nno colon\r\n\r\n4;ext=1\r\nslow\r\n6\r\n down.\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
]
_HEAD_TOKENS: Final = (
    b"HTTP/1.1 ", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b": ", b":", b"retry-after: ", b"0\r\n\r\n",
    b"ffffffff\r\n", b"-1\r\n", b"0x5\r\n", b"1_0\r\n", b"00000000001\r\nx\r\n", b"\xff", b"\0",
    b"x-fish-trace-id: \x1b[31m\r\n", b"ratelimit-limit-concurrency: 99999\r\n", b"1\r\nx\r\n",
)  # fmt: skip
_STREAM_PARTS: Final = (
    b"data: x\n", b"data:\xe2\x82\xac\r\n", b"data\n", b"data:\n", b"\r\n", b"\n", b"\r", b"\n\n",
    b"event: e\n", b"event: error\n", b"event\n", b":c\n", b"datax: y\n", b" data: y\n",
    b"\xef\xbb\xbf", b"data: \xf0\x9f\x98\x80", b"id: 1\n", b"id: \0\n", b":", b" ", b"retry: 1\n",
    b"\xff", b"\xf0\x9f", b"data: {}\n\n",
)  # fmt: skip
_STREAMS: Final = [
    b"\xef\xbb\xbfdata: x\n\n",
    b": comment\nevent: error\ndata: x\n\ndata: y\n\n",
    b"data:x\r\rdata:  y\r\n\r\n",
    (
        b'data: {"audio_base64": "AAEC", "content": "Hi.", "chunk_seq": 0,\n'
        b'data:  "chunk_audio_offset_sec": 0, "alignment": {"audio_duration": 0.5,\n'
        b'data:  "segments": [{"text": "Hi", "start": 0, "end": 0.5}]}}\n\n'
    ),
    b'event: error\ndata: {"error": {"message": "the voice failed"}, "reason": "voice"}\n\n',
]


def _speech_event(chance: random.Random) -> bytes:
    name = chance.choice((b"", b"", b"event: error\n", b"event: log\n"))
    return name + b"data: " + jsoned(chance).replace(b"\n", b"\ndata: ") + b"\n\n"


def _with_status(grow: Callable[[random.Random], bytes]) -> Callable[[random.Random], bytes]:
    return lambda chance: chance.choice(_STATUSES) + grow(chance)


def _frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame of a server's."""
    size = len(payload)
    head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([(0x80 if fin else 0) | opcode]) + head + payload


_FRAMES: Final = [
    _frame(2, _SERVER[0]), _frame(2, b"a", fin=False), _frame(0, b"b", fin=False), _frame(0, b"c"),
    _frame(1, "text \u20ac".encode()), _frame(9, b"ping"), _frame(10, b""), _frame(8, b""),
    _frame(8, (1011).to_bytes(2, "big") + b"internal"), _frame(8, b"\x03\xf0Invalid Token"),
    _frame(2, bytes(300)), _frame(2, bytes(FRAME_BYTES)), encode_frame(Opcode.BINARY, b"masked"),
]  # fmt: skip
_FRAME_TOKENS: Final = (
    *_FRAMES, b"\x82\x7e", b"\x82\x7f", b"\x82\x7f\x80" + bytes(7), b"\x82\x7e\0\x05", b"\xc2\0",
    b"\x88\x02\x03\xed", b"\x88\x01\0", b"\x88\x04\x03\xe8\xff\xff", b"\x02\0", b"\0\0", b"\x80\0",
)  # fmt: skip

_JSON_COST: Final = _fixed(400 * KIB, 80.0)
"""JSON: an empty list of three bytes takes 64 and its place in a list; an error its sentence."""

SUBJECTS: Final = {
    subject.name: subject
    for subject in (
        # Objects of 72 times a message, and 512 places for each of 1,023 open arrays.
        Subject("decoder", read_event, _SERVER, _TOKENS, packed, _fixed(4200 * KIB, 80.0)),
        Subject("serving", read_client_event, _CLIENT, _TOKENS, packed, _fixed(4200 * KIB, 80.0)),
        Subject(
            "retry-after", read_wait, _WAITS, _WAIT_PARTS,
            of_parts(_WAIT_PARTS, 8), _fixed(64 * KIB, 20.0),
        ),
        Subject(
            "refusal", read_refusal, [s + b for s in _STATUSES for b in _BODIES], _TEXT_TOKENS,
            _with_status(jsoned), _JSON_COST,
        ),
        Subject(
            "gateway", read_gateway_refusal, [s + b for s in _STATUSES for b in _BODIES],
            _TEXT_TOKENS, _with_status(jsoned), _JSON_COST,
        ),
        Subject("record", read_record, _BODIES, _TEXT_TOKENS, jsoned, _JSON_COST),
        Subject(
            "upgrade", read_upgrade, _HEADS, _HEAD_TOKENS,
            of_parts((*_HEADS, *_HEAD_TOKENS), 9, grow=jsoned), _JSON_COST,
        ),
        Subject(
            "events", read_events, _STREAMS, _STREAM_PARTS,
            of_parts(_STREAM_PARTS, 30), _fixed(64 * KIB, 200.0),
        ),
        Subject("speech", read_speech, _STREAMS, _TEXT_TOKENS, _speech_event, _JSON_COST),
        Subject(
            "frames", read_frames, _FRAMES, _FRAME_TOKENS,
            of_parts(_FRAMES, 8), _fixed(64 * KIB, 200.0),
        ),
    )
}  # fmt: skip
