"""rest/tts.py: a text in, its speech out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import pytest
from aiohttp import web

from fishlive.errors import (
    ConcurrentIterationError,
    ConfigError,
    ConnectionLost,
    FishLiveError,
    InsufficientCreditsError,
    InvalidRequestError,
    ProtocolError,
    ServerError,
    SynthesisError,
    UsageError,
)
from fishlive.flow.governor import Governor
from fishlive.models.tts import ReferenceAudio
from fishlive.models.warning import RequestWarning
from fishlive.rest.tts import TTS
from fishlive.secret import Secret
from fishlive.server import LocalServer
from fishlive.session import Session
from fishlive.transport.http import Http
from tests.conftest import settle

Handler = Callable[[web.Request], Any]
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@contextlib.asynccontextmanager
async def against(handler: Handler, *, governor: Governor | None = None) -> AsyncIterator[TTS]:
    """Yield a client of a service that answers every POST with one function."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    http = Http(base_url=url, key=Secret("sesame"), governor=governor)
    try:
        yield TTS(http)
    finally:
        await http.aclose()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def local(**settings: Any) -> AsyncIterator[Session]:
    """Yield a session with the local server and its real voice."""
    async with LocalServer(**settings) as server, Session("local", base_url=server.url) as fish:
        yield fish


def answering(body: bytes, content_type: str = "audio/mpeg", **headers: str) -> Handler:
    """Return a handler that answers with a body."""

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": content_type, **headers})

    return handle


class Kept:
    """A handler that keeps the request."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""

    async def __call__(self, request: web.Request) -> web.Response:
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = await request.read()
        return web.Response(body=b"\0\0", content_type="audio/pcm")


# What is sent


async def test_json_carries_what_was_set_and_nothing_else() -> None:
    """Defaults are the service's; the model is a header, and always there."""
    kept = Kept()
    async with against(kept) as tts:
        await tts.create("Hello", voice="v1", format="wav", traceparent=TRACE, extra={"new": 1})
    assert json.loads(kept.body) == {
        "text": "Hello", "reference_id": "v1", "format": "wav", "new": 1,
    }  # fmt: skip
    assert kept.headers["content-type"] == "application/json"
    assert kept.headers["model"] == "s2-pro"
    assert kept.headers["traceparent"] == TRACE
    assert kept.headers["authorization"] == "Bearer sesame"


async def test_raw_audio_is_sent_as_messagepack() -> None:
    """JSON cannot carry samples of a voice."""
    kept = Kept()
    async with against(kept) as tts:
        await tts.create("Hello", references=[ReferenceAudio(audio=b"RIFF", text="Hi")])
    assert kept.headers["content-type"] == "application/msgpack"
    fields = msgpack.unpackb(kept.body)
    assert fields == {"text": "Hello", "references": [{"audio": b"RIFF", "text": "Hi"}]}


async def test_bytes_in_extra_are_sent_as_messagepack_too() -> None:
    """However deep they are in it: fields of later versions may hold audio."""
    kept = Kept()
    async with against(kept) as tts:
        await tts.create("Hello", extra={"styles": [{"audio": b"RIFF"}]})
    assert kept.headers["content-type"] == "application/msgpack"
    assert msgpack.unpackb(kept.body) == {"text": "Hello", "styles": [{"audio": b"RIFF"}]}


async def test_a_dictionary_is_sent_as_it_was_named() -> None:
    """One version of a stored one, in JSON."""
    kept = Kept()
    async with against(kept) as tts:
        await tts.create("Hello", pronunciation_dictionary=[{"id": "d1", "version": "v2"}])
    assert json.loads(kept.body)["pronunciation_dictionary"] == [{"id": "d1", "version": "v2"}]
    assert kept.headers["content-type"] == "application/json"


async def test_samples_of_several_speakers_are_lists_of_lists() -> None:
    """One list for each, in the order of their numbers; the ids beside them are free names."""
    kept = Kept()
    samples = [[ReferenceAudio(audio=b"a", text="A")], [ReferenceAudio(audio=b"b", text="B")]]
    async with against(kept) as tts:
        await tts.create("<|speaker:1|>Hi", voice=["x", "y"], references=samples)
    assert msgpack.unpackb(kept.body) == {
        "text": "<|speaker:1|>Hi",
        "reference_id": ["x", "y"],
        "references": [[{"audio": b"a", "text": "A"}], [{"audio": b"b", "text": "B"}]],
    }


@pytest.mark.parametrize(
    "voices",
    [
        {"voice": ["a", "b"]},
        {"voice": "a"},
        {"references": [ReferenceAudio(audio=b"a", text="A")]},
        {"references": [[ReferenceAudio(audio=b"a", text="A")]]},
    ],
)
async def test_a_speaker_without_a_voice_warns(voices: dict[str, Any]) -> None:
    """Text and voices are both known here, so that a number too high is seen before it is paid."""
    async with against(Kept()) as tts:
        with pytest.warns(RequestWarning, match="speaker 2"):
            tts.stream("<|speaker:2|>Hi", **voices)


async def test_speakers_are_not_counted_where_only_the_service_knows() -> None:
    """Without a voice of ours, or with one in ``extra``."""
    async with against(Kept()) as tts:
        tts.stream("<|speaker:2|>Hi")
        tts.stream("<|speaker:2|>Hi", voice="a", extra={"reference_id": ["a", "b", "c"]})


async def test_several_speakers_have_a_list_of_voices() -> None:
    """As the service wants it: in the order of their numbers."""
    kept = Kept()
    async with against(kept) as tts:
        await tts.create("<|speaker:0|>Hi<|speaker:1|>Ho", voice=["a", "b"])
    assert json.loads(kept.body)["reference_id"] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"text": ""}, "text"),
        ({"text": None}, "text"),
        ({"text": "\ud83d"}, "text"),
        ({"format": "flac"}, "format"),
        ({"format": "mp3", "sample_rate": 8000}, "sample_rate"),
        ({"speed": 1}, "speed"),
        ({"voice": ""}, "voice"),
        ({"model": "s2\r\nX: y"}, "model"),
        ({"traceparent": "x"}, "traceparent"),
        ({"traceparent": 5}, "traceparent"),
        ({"traceparent": "00-" + "0" * 32 + "-" + "b" * 16 + "-01"}, "traceparent"),
        ({"traceparent": "00-" + "a" * 32 + "-" + "0" * 16 + "-01"}, "traceparent"),
        ({"traceparent": "ff-" + "a" * 32 + "-" + "b" * 16 + "-01"}, "traceparent"),
        ({"extra": {"new": float("nan")}}, "extra"),
        ({"references": []}, "references"),
        ({"temprature": 1}, "temprature"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    arguments: dict[str, Any], argument: str
) -> None:
    """By all three calls; nobody was asked."""
    kept = Kept()
    async with against(kept) as tts:
        given = {"text": "Hello", **arguments}
        with pytest.raises(ConfigError) as caught:
            await tts.create(**given)
        assert caught.value.argument == argument
        for call in (tts.stream, tts.stream_timestamps):
            with pytest.raises(ConfigError):
                call(**given)
    assert kept.body == b""


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_call_that_may_have_been_paid_is_not_repeated(status: int) -> None:
    """By none of the three ways to ask: the service may have spoken before it failed."""
    asked = 0

    async def handle(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"status": status, "message": "sorry"}, status=status)

    async with against(handle) as tts:
        with pytest.raises(ServerError):
            await tts.create("Hello")
        for call in (tts.stream, tts.stream_timestamps):
            with pytest.raises(ServerError):
                async with call("Hello"):
                    pass
    assert asked == 3


async def test_each_call_holds_a_slot_of_the_account() -> None:
    """While it runs, and no longer, also if it was left early."""
    governor = Governor(limit=5)
    running: list[int] = []

    async def handle(request: web.Request) -> web.Response:
        running.append(governor.running)
        timed = request.path.endswith("timestamp")
        kind = "text/event-stream" if timed else "audio/mpeg"
        return web.Response(body=event(b"x"), content_type=kind)

    async with against(handle, governor=governor) as tts:
        await tts.create("Hello")
        for call in (tts.stream, tts.stream_timestamps):
            async with call("Hello"):
                assert governor.running == 1
    assert running == [1, 1, 1]
    assert governor.running == 0


# What comes back


@pytest.mark.parametrize(
    ("name", "magic"), [("wav", b"RIFF"), ("mp3", b"\xff"), ("opus", b"OggS"), ("pcm", b"")]
)
async def test_the_local_server_speaks(name: str, magic: bytes) -> None:
    """Real audio of each format, whole or as it comes."""
    async with local() as fish:
        whole = await fish.tts.create("Hello there.", format=name)
        async with fish.tts.stream("Hello there.", format=name) as chunks:
            streamed = b"".join([chunk async for chunk in chunks])
    assert whole.startswith(magic)
    assert streamed.startswith(magic)
    assert len(whole) == pytest.approx(len(streamed), rel=0.2)


async def test_the_first_chunk_comes_while_the_service_works() -> None:
    """It is in the caller's hands before the service is allowed to go on."""
    go = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        await response.prepare(request)
        await response.write(b"first")
        await go.wait()
        await response.write(b"second")
        return response

    async with against(handle) as tts, tts.stream("Hello") as chunks:
        assert await anext(chunks) == b"first"
        go.set()
        assert [chunk async for chunk in chunks] == [b"second"]


async def test_a_reader_that_stops_holds_the_service_back() -> None:
    """What was not read is not taken from the network: the service cannot go on writing."""
    written, stuck = 0, asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        await response.prepare(request)
        for _ in range(3200):  # 200 MiB
            writing = asyncio.ensure_future(response.write(bytes(65536)))
            done, _ = await asyncio.wait({writing}, timeout=0.5)
            if not done:
                stuck.set()
            await writing
            written += 65536
        return response

    async with against(handle) as tts:
        async with tts.stream("Hello") as chunks:
            await anext(chunks)
            await stuck.wait()
            assert written < 100 * 1024 * 1024
        await asyncio.sleep(0)


async def test_pcm_chunks_are_whole_samples() -> None:
    """An odd byte waits for the next chunk."""
    go = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        await response.write(b"\1\2\3")
        await go.wait()
        await response.write(b"\4\5\6")
        return response

    async with against(handle) as tts, tts.stream("Hello", format="pcm") as chunks:
        assert await anext(chunks) == b"\1\2"
        go.set()
        assert await anext(chunks) == b"\3\4\5\6"


async def test_half_a_sample_at_the_end_is_an_error() -> None:
    """Whole or streamed: PCM that ends with an odd byte was cut."""
    async with against(answering(b"\1\2\3", "audio/pcm", **{"X-Fish-Trace-Id": "t1"})) as tts:
        with pytest.raises(ProtocolError, match="middle of a sample") as caught:
            await tts.create("Hello", format="pcm")
        assert caught.value.trace_id == "t1"
        assert caught.value.audio_bytes == 3
        async with tts.stream("Hello", format="pcm") as chunks:
            assert await anext(chunks) == b"\1\2"
            with pytest.raises(ProtocolError, match="middle of a sample"):
                await anext(chunks)


async def test_leaving_early_ends_the_call() -> None:
    """The connection is closed, so that the service stops."""
    left = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1000))
                await asyncio.sleep(0)
        finally:
            left.set()

    async with against(handle) as tts:
        async with tts.stream("Hello") as chunks:
            await anext(chunks)
        await left.wait()


async def test_what_arrived_comes_before_the_cut() -> None:
    """A body that breaks off is an error behind its audio, never an end."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        await response.prepare(request)
        await response.write(b"first")
        assert request.transport is not None
        request.transport.close()
        return response

    async with against(handle) as tts, tts.stream("Hello") as chunks:
        assert await anext(chunks) == b"first"
        with pytest.raises(ConnectionLost):
            await anext(chunks)


async def test_refusals_have_their_class() -> None:
    """Of the service's status and sentence, whole and streamed."""
    async with local() as fish:
        with pytest.raises(InvalidRequestError, match="Reference not found") as caught:
            await fish.tts.create("Hello", voice="nobody")
        assert caught.value.trace_id
        with pytest.raises(InvalidRequestError):
            async with fish.tts.stream("Hello", voice="nobody"):
                pass
    async with local(credit=0.0) as fish:
        with pytest.raises(InsufficientCreditsError, match="top up"):
            await fish.tts.create("Hello")


async def test_a_gateway_is_recognised() -> None:
    """Its answer is a link in JSON; the error says which class to use."""
    body = json.dumps({"success": True, "data": [{"audio_url": "https://x/y.mp3"}]}).encode()
    async with against(answering(body, "application/json", **{"X-Fish-Trace-Id": "t1"})) as tts:
        with pytest.raises(UsageError, match=r"gateways\.AceData") as caught:
            await tts.create("Hello")
        assert caught.value.trace_id == "t1"
        with pytest.raises(UsageError, match=r"gateways\.Xhuo"):
            async with tts.stream("Hello"):
                pass
        with pytest.raises(UsageError, match="gateways"):
            async with tts.stream_timestamps("Hello"):
                pass


@pytest.mark.parametrize(
    "kind",
    [
        "application/json", "application/problem+json", "application/xml", "application/xhtml+xml",
        "text/html", "text/event-stream",
    ],
)  # fmt: skip
async def test_what_is_no_speech_is_an_error(kind: str) -> None:
    """A success with something else in it is named by its media type."""
    async with against(answering(b"{}", kind)) as tts:
        with pytest.raises(ProtocolError, match=re.escape(kind)):
            await tts.create("Hello")
        with pytest.raises(ProtocolError, match=re.escape(kind)):
            async with tts.stream("Hello"):
                pass


async def test_an_answer_without_audio_is_an_error() -> None:
    """Whole or streamed: a success with nothing in it is none, if there was something to say."""
    async with against(answering(b"", **{"X-Fish-Trace-Id": "t1"})) as tts:
        with pytest.raises(ProtocolError, match="without any audio") as caught:
            await tts.create("Hello")
        assert caught.value.trace_id == "t1"
        async with tts.stream("Hello") as chunks:
            with pytest.raises(ProtocolError, match="without any audio"):
                await anext(chunks)
        assert await tts.create("...") == b""


async def test_a_stream_is_entered_once() -> None:
    """The second time says so, and nothing is sent again."""
    async with against(answering(b"x")) as tts:
        stream = tts.stream("Hello")
        async with stream:
            pass
        with pytest.raises(UsageError, match="entered before"):
            async with stream:
                pass


async def test_a_second_reader_does_no_harm() -> None:
    """It is told; the first one gets the audio."""
    go = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        await response.prepare(request)
        await go.wait()
        await response.write(b"first")
        return response

    async with against(handle) as tts, tts.stream("Hello") as chunks:
        first = asyncio.ensure_future(anext(chunks))
        await settle()
        with pytest.raises(ConcurrentIterationError):
            await anext(chunks)
        go.set()
        assert await first == b"first"


async def test_a_stream_is_used_inside_a_block() -> None:
    """Iterating it outside says so."""
    async with against(answering(b"x")) as tts:
        with pytest.raises(UsageError, match="async with"):
            await anext(tts.stream("Hello"))


# With timestamps


def event(audio: bytes, *words: tuple[str, float, float], **fields: Any) -> bytes:
    """Return one event as the documents show it."""
    rows = [{"text": text, "start": start, "end": end} for text, start, end in words]
    alignment = {"segments": rows, "audio_duration": 9.0} if rows else None
    body = {
        "audio_base64": base64.b64encode(audio).decode(), "content": "c", "alignment": alignment,
        "chunk_seq": 0, "chunk_audio_offset_sec": 0.0, **fields,
    }  # fmt: skip
    return f"data: {json.dumps(body)}\n\n".encode()


def streaming(*events: bytes) -> Handler:
    """Return a handler that answers with an event stream."""
    return answering(b"".join(events), "text/event-stream", **{"X-Fish-Trace-Id": "t1"})


async def test_words_come_with_the_audio() -> None:
    """Snapshots replace each other, chunks follow each other, None erases nothing."""
    handler = streaming(
        event(b"one", ("Hel", 0.0, 0.2)),
        event(b"two", ("Hello", 0.0, 0.4), ("you", 0.4, 0.6)),
        event(b"three"),
        event(b"four", ("There", 0.1, 0.3), chunk_seq=1, chunk_audio_offset_sec=1.0),
        event(b"", ("There", 0.1, 0.3), ("!", 0.3, 0.4), chunk_seq=1, chunk_audio_offset_sec=1.0),
    )
    async with against(handler) as tts, tts.stream_timestamps("Hello you There") as chunks:
        assert await anext(chunks) == b"one"
        assert [word.text for word in chunks.words] == ["Hel"]
        assert [chunk async for chunk in chunks] == [b"two", b"three", b"four"]
        assert [word.text for word in chunks.words] == ["Hello", "you", "There", "!"]
        assert chunks.words[2].start_s == pytest.approx(1.1)


async def test_the_local_server_aligns() -> None:
    """Every word of the text, in order, within the audio."""
    async with (
        local() as fish,
        fish.tts.stream_timestamps("One two three.", format="pcm") as chunks,
    ):
        audio = b"".join([chunk async for chunk in chunks])
        words = chunks.words
    assert [word.text for word in words] == ["One", "two", "three"]
    assert words[-1].end_s <= len(audio) / 2 / 44_100 + 0.001


@pytest.mark.parametrize(
    ("broken", "error", "says"),
    [
        (b"data: {\n\n", ProtocolError, "not JSON"),
        (b"data: [1]\n\n", ProtocolError, "no object"),
        (b"data: [" + b"{}," * 50_001 + b"{}]\n\n", ProtocolError, "values"),
        (event(b"two")[:-1], ConnectionLost, "middle of an event"),
        (event(b"two")[:40], ConnectionLost, "middle of an event"),
        (b'data: {"audio_base64": "?"}\n\n', ProtocolError, "not base64"),
        (b'data: {"audio_base64": 1}\n\n', ProtocolError, "expected a string"),
        (b"data: \xff\n\n", ProtocolError, "UTF-8"),
        (b'data: {"message": "oom", "status": 500}\n\n', SynthesisError, "oom"),
        (b'event: error\ndata: {"error": {"message": "oom"}}\n\n', SynthesisError, "oom"),
        (b"event: error\ndata: sorry\n\n", SynthesisError, "sorry"),
    ],
)
async def test_what_breaks_in_the_middle_comes_behind_the_audio(
    broken: bytes, error: type[FishLiveError], says: str
) -> None:
    """What had arrived is heard first; then the error says what broke."""
    async with (
        against(streaming(event(b"one"), broken)) as tts,
        tts.stream_timestamps("Hello") as chunks,
    ):
        assert await anext(chunks) == b"one"
        with pytest.raises(error, match=says) as caught:
            await anext(chunks)
        assert caught.value.trace_id == "t1"
        assert caught.value.audio_bytes == 3
        with pytest.raises(error, match=says):
            await anext(chunks)


@pytest.mark.parametrize("field", ["start", "end"])
async def test_times_without_end_are_no_times(field: str) -> None:
    """JSON has whole numbers of any length; the words are dropped, and the audio kept."""
    row = {"text": "Hello", "start": 0, "end": 1, field: 10**400}
    handler = streaming(event(b"one", alignment={"segments": [row], "audio_duration": 1}))
    async with against(handler) as tts, tts.stream_timestamps("Hello") as chunks:
        assert [chunk async for chunk in chunks] == [b"one"]
        assert chunks.words == ()


@pytest.mark.parametrize("stream", [b": keep-alive\n\n", event(b""), b""])
async def test_a_stream_without_audio_is_an_error(stream: bytes) -> None:
    """Unless there was nothing to hear in the text."""
    async with against(streaming(stream)) as tts:
        async with tts.stream_timestamps("Hello") as chunks:
            with pytest.raises(ProtocolError, match="without any audio"):
                await anext(chunks)
        async with tts.stream_timestamps("...") as chunks:
            assert [chunk async for chunk in chunks] == []


async def test_events_we_do_not_know_are_ignored() -> None:
    """Names and fields of later versions do no harm."""
    unknown = b'event: progress\ndata: {"done": 0.5}\n\nevent: end\ndata: bye\n\ndata: {"x": 1}\n\n'
    handler = streaming(unknown, event(b"one", new=[1]))
    async with against(handler) as tts, tts.stream_timestamps("Hello") as chunks:
        assert [chunk async for chunk in chunks] == [b"one"]
