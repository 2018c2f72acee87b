"""``POST /v1/tts/stream/with-timestamp``, over real sockets."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import msgpack
import pytest

from fishlive.errors import SynthesisError
from fishlive.server import LocalServer
from fishlive.server.voice.encode import Encoder
from tests.server.talk import TIMED, posting, talking, until

PATH = "/v1/tts/stream/with-timestamp"
FIELDS = {"audio_base64", "content", "alignment", "chunk_seq", "chunk_audio_offset_sec"}


def parsed(body: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, read by hand: one line of data each."""
    events = body.decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def test_events_carry_audio_and_words(server: LocalServer) -> None:
    """All five fields are always there; the last snapshot has every word."""
    async with posting(server, path=PATH, json={"text": "One two three.", "format": "pcm"}) as got:
        body = await got.read()
        assert (got.status, got.content_type) == (200, "text/event-stream")
    events = parsed(body)
    assert all(set(event) == FIELDS for event in events)
    audio = b"".join(base64.b64decode(event["audio_base64"]) for event in events)
    words = events[-1]["alignment"]["segments"]
    assert [word["text"] for word in words] == ["One", "two", "three"]
    assert words[-1]["end"] <= len(audio) / 2 / 44_100 + 0.001
    assert events[-1]["audio_base64"] == ""


async def test_snapshots_are_cumulative(server: LocalServer) -> None:
    """Each alignment of a chunk begins with what the one before it had."""
    async with posting(
        server, path=PATH, json={"text": "One two three four.", "format": "pcm"}
    ) as got:
        events = parsed(await got.read())
    seen: list[Any] = []
    for event in events:
        if event["alignment"] is not None:
            assert event["alignment"]["segments"][: len(seen)] == seen
            seen = event["alignment"]["segments"]
    assert len(seen) == 4


async def test_long_text_comes_in_chunks_that_follow_each_other(server: LocalServer) -> None:
    """Each has its number, and begins where the one before it ended."""
    text = "This is a sentence of some length, which is spoken. " * 8
    async with posting(server, path=PATH, json={"text": text, "chunk_length": 100}) as got:
        events = parsed(await got.read())
    chunks: dict[int, dict[str, Any]] = {}
    for event in events:
        chunks.setdefault(event["chunk_seq"], event)
    assert sorted(chunks) == list(range(len(chunks)))
    offsets = [chunks[number]["chunk_audio_offset_sec"] for number in sorted(chunks)]
    assert len(offsets) > 2
    assert offsets[0] == 0
    assert offsets == sorted(set(offsets))


async def test_the_first_event_comes_while_it_speaks(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is with the client before the end of the text is encoded."""
    finished: list[bool] = []
    finish = Encoder.finish

    def watched(encoder: Encoder) -> bytes:
        finished.append(True)
        return finish(encoder)

    monkeypatch.setattr(Encoder, "finish", watched)
    body = {"text": "This is a sentence of some length. " * 2000, "format": "pcm"}
    async with posting(server, path=PATH, json=body) as got:
        assert await got.content.readany()
        assert not finished
    await until(lambda: server.running == 0)


async def test_the_words_are_those_of_the_timed_socket(server: LocalServer) -> None:
    """One text has the same pieces, words and numbers on both."""
    text = "One two three four five. Six seven eight nine ten. " * 6
    async with posting(server, path=PATH, json={"text": text, "chunk_length": 100}) as got:
        events = parsed(await got.read())
    async with talking(server, TIMED) as talk:
        await talk.say(text, chunk_length=100)
        heard = [event for event in await talk.rest() if event["event"] == "audio"]

    def told(events: list[dict[str, Any]]) -> dict[int, tuple[str, list[str]]]:
        last = {e["chunk_seq"]: e for e in events if e["alignment"] is not None}
        return {
            number: (e["content"], [word["text"] for word in e["alignment"]["segments"]])
            for number, e in last.items()
        }

    assert told(events) == told(heard)
    assert len(told(events)) > 2


async def test_messagepack_is_taken(server: LocalServer) -> None:
    """As by the endpoint without times."""
    body = msgpack.packb({"text": "Hi.", "references": [{"audio": b"x", "text": "y"}]})
    given = {"Content-Type": "application/msgpack"}
    async with posting(server, path=PATH, data=body, headers=given) as got:
        assert parsed(await got.read())[-1]["content"] == "Hi."


async def test_no_text_is_an_empty_stream(server: LocalServer) -> None:
    """Nothing to say is no error."""
    async with posting(server, path=PATH, json={"text": ""}) as got:
        assert (got.status, got.content_type, await got.read()) == (200, "text/event-stream", b"")


async def test_text_stays_as_it_was(server: LocalServer) -> None:
    """Line breaks and characters of any plane survive, each event on one line of UTF-8."""
    text = "\u65e5\u672c\u8a9e, \U0001f600\nand\u2028a third line."
    body = {"text": text, "reference_id": "ja"}
    async with posting(server, path=PATH, json=body) as got:
        events = parsed(await got.read())
    assert "".join({e["chunk_seq"]: e["content"] for e in events}.values()) == text


async def test_a_stream_that_fails_is_cut_off(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never ends as one that is whole does."""

    def broken(_encoder: Encoder) -> bytes:
        raise SynthesisError("error", "broken")

    monkeypatch.setattr(Encoder, "finish", broken)
    async with posting(server, path=PATH, json={"text": "One two three.", "format": "pcm"}) as got:
        assert got.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()
    assert server.running == 0


async def test_it_is_refused_as_speech_is(server: LocalServer) -> None:
    """A key, and a format that the service has."""
    async with posting(server, path=PATH, key=None, json={"text": "x"}) as got:
        assert got.status == 401
    async with posting(server, path=PATH, json={"text": "x", "format": "flac"}) as got:
        assert got.status == 400


async def test_an_empty_account_is_told_before_the_request_is_read() -> None:
    """402 comes before anything that is wrong with the body."""
    async with LocalServer(credit=0.0) as server, posting(server, path=PATH, data=b"{") as got:
        assert got.status == 402
