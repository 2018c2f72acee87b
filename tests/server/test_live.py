"""The live endpoint, as any client sees it: over real sockets, with messages made by hand."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import aiohttp
import av
import msgpack
import pytest

from fishlive.server import LocalServer, Settings
from tests.server.talk import HOURS, LIVE, TIMED, Talk, headers, talking, until

TEXT = "This is a sentence of some length, which is spoken. "

# Written by hand from asyncapi.yml (2026-08-21); format bytes from the MessagePack specification.
EVENT = "a5 6576656e74"  # "event"
START = (
    f"82 {EVENT} a5 7374617274"  # start
    " a7 72657175657374 82 a4 74657874 a0 a6 666f726d6174 a3 70636d"  # request: text "", format pcm
)
SAY_HI = f"82 {EVENT} a4 74657874 a4 74657874 a9 48692074686572652e"  # text: "Hi there."
FLUSH = f"81 {EVENT} a5 666c757368"
STOP = f"81 {EVENT} a4 73746f70"
AUDIO = bytes.fromhex(f"82 {EVENT} a5 617564696f a5 617564696f")  # and the audio, binary
FINISH = bytes.fromhex(f"{EVENT} a6 66696e697368 a6 726561736f6e a4 73746f70")  # reason: stop


async def test_golden_messages(server: LocalServer) -> None:
    """The documented events are understood, and answered with documented ones, byte for byte."""
    async with talking(server) as talk:
        for message in (START, SAY_HI, FLUSH, STOP):
            await talk.socket.send_bytes(bytes.fromhex(message))
        answers = [message.data async for message in talk.socket]
    *audio, finish = answers
    assert len(audio) > 1
    assert all(answer.startswith(AUDIO) for answer in audio)
    assert all(answer[len(AUDIO)] in (0xC4, 0xC5, 0xC6) for answer in audio)  # bin 8, 16, 32
    assert finish[1:].startswith(FINISH)
    assert talk.socket.close_code == 1000


async def test_text_may_ride_in_start(server: LocalServer) -> None:
    """start.request.text is spoken before what follows."""
    async with talking(server, TIMED) as talk:
        await talk.say(" and two", text="One")
        events = await talk.rest()
    assert events[0]["content"] == "One and two"


async def test_nothing_to_say(server: LocalServer) -> None:
    """No text, or none that has a sound, is a finish without audio."""
    async with talking(server, TIMED) as talk:
        for texts in ((), ("",), ("...", " [laughing] ")):
            await talk.say(*texts)
            assert [event["event"] for event in await talk.rest()] == ["finish"]


async def test_text_is_cut_by_chunk_length(server: LocalServer) -> None:
    """Text is spoken once chunk_length characters wait, cut after a sentence."""
    async with talking(server, TIMED) as talk:
        await talk.say(TEXT, TEXT, stop=False, chunk_length=100)
        first = await talk.next()
        assert first["content"] == TEXT
        await talk.send("text", text="The end.")
        await talk.send("stop")
        events = await talk.rest()
    contents = dict.fromkeys(str(event["content"]) for event in events[:-1])
    assert "".join(contents) == TEXT + TEXT + "The end."


async def test_a_flush_speaks_what_is_there(server: LocalServer) -> None:
    """A flush gives the audio of text however short, no finish, and the session goes on."""
    async with talking(server, TIMED) as talk:
        await talk.start()
        for text in ("Hi.", "You."):
            await talk.send("text", text=text)
            await talk.send("flush")
            while (event := await talk.next())["audio"]:
                assert event["content"] == text
        await talk.send("flush")
        await talk.send("stop")
        # Resampling keeps some 30 samples until it knows that no more come.
        assert len(await talk.audio()) < 100


@pytest.mark.parametrize("path", [LIVE, TIMED])
@pytest.mark.parametrize("closes", [True, False])
async def test_after_finish(path: str, closes: bool) -> None:
    """Finish comes once; then the socket closes, or takes another start with other options."""
    async with LocalServer(close_after_finish=closes) as server, talking(server, path) as talk:
        await talk.say("One.")
        slow = await talk.audio()
        if closes:
            assert await talk.next() == {}
            assert talk.socket.close_code == 1000
            return
        await talk.say("One.", prosody={"speed": 2.0}, sample_rate=8000)
        assert 0 < len(await talk.audio()) < len(slow) / 8


async def test_by_default_only_the_plain_endpoint_closes(server: LocalServer) -> None:
    """As documented: asyncapi.yml closes, the timestamp page reuses the socket."""
    async with talking(server) as talk, talking(server, TIMED) as timed:
        for each in (talk, timed):
            await each.say("One.")
            await each.audio()
        await timed.say("Two.")
        assert await timed.audio()
        assert await talk.next() == {}


async def test_alignment(server: LocalServer) -> None:
    """Snapshots grow, times are the chunk's own, offsets add up, and the last has no audio."""
    texts = ["It's the first one, isn't it? ", "And [sighing] this is the second."]
    async with talking(server, TIMED) as talk:
        await talk.start(sample_rate=8000)
        for text in texts:
            await talk.send("text", text=text)
            await talk.send("flush")
        await talk.send("stop")
        *events, finish = await talk.rest()
    assert finish["reason"] == "stop"
    offset_s = 0.0
    for number, text in enumerate(texts):
        chunk = [event for event in events if event["chunk_seq"] == number]
        assert {event["content"] for event in chunk} == {text}
        assert {event["chunk_audio_offset_sec"] for event in chunk} == {round(offset_s, 3)}
        snapshots = [event["alignment"] for event in chunk if event["alignment"]]
        for before, after in pairwise(snapshots):
            assert after["segments"][: len(before["segments"])] == before["segments"]
        assert chunk[-1]["audio"] == b""
        last = chunk[-1]["alignment"]
        assert last == snapshots[-1]
        segments = last["segments"]
        assert all(a["end"] <= b["start"] + 0.002 for a, b in pairwise(segments))
        assert segments[-1]["end"] <= last["audio_duration"] + 0.001
        duration_s = sum(len(event["audio"]) for event in chunk) / 16000
        assert last["audio_duration"] == pytest.approx(duration_s, abs=0.02)
        offset_s += last["audio_duration"]
        said = " ".join(segment["text"] for segment in segments)
        assert said == ["Its the first one isnt it", "And this is the second"][number]
    assert any(event["alignment"] is None for event in events)
    assert all(set(event) == KEYS for event in events)


KEYS = {"event", "audio", "content", "alignment", "chunk_seq", "chunk_audio_offset_sec"}


async def test_alignment_is_true(server: LocalServer) -> None:
    """Where an alignment has a pause there is silence, and where it has a word there is sound."""
    async with talking(server, TIMED) as talk:
        await talk.say("Hello. [break] World.", sample_rate=8000)
        *events, _ = await talk.rest()
    pcm = memoryview(b"".join(event["audio"] for event in events)).cast("h")
    hello, world = events[-1]["alignment"]["segments"]

    def loudest(start_s: float, end_s: float) -> int:
        return max(map(abs, pcm[round(start_s * 8000) : round(end_s * 8000)]))

    assert loudest(hello["start"], hello["end"]) > 3000
    assert loudest(world["start"], world["end"]) > 3000
    assert world["start"] - hello["end"] > 0.1
    assert loudest(hello["end"] + 0.03, world["start"] - 0.03) < 300


@pytest.mark.parametrize(
    ("name", "rate_hz", "codec"),
    [("wav", 16000, "pcm_s16le"), ("mp3", 32000, "mp3"), ("opus", 48000, "opus")],
)
async def test_containers_are_real(
    server: LocalServer, name: str, rate_hz: int, codec: str
) -> None:
    """wav, mp3 and Ogg Opus decode to the speech that pcm has."""
    async with talking(server) as plain, talking(server) as talk:
        await plain.say(TEXT, sample_rate=16000)
        duration_s = len(await plain.audio()) / 32000
        await talk.say(TEXT, format=name, sample_rate=rate_hz)
        audio = await talk.audio()
    if name == "wav":  # the sizes of a stream whose end nobody knows yet
        assert int.from_bytes(audio[4:8], "little") == 4294967076
        assert int.from_bytes(audio[40:44], "little") == 4294967040
    with av.open(io.BytesIO(audio)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.name.startswith(codec)
        assert (stream.rate, stream.channels) == (rate_hz, 1)
    decoded_s = sum(frame.samples for frame in frames) / rate_hz
    assert decoded_s == pytest.approx(duration_s, abs=0.15)


@pytest.mark.parametrize("name", ["wav", "mp3", "opus", "pcm"])
async def test_encoded_as_it_streams(server: LocalServer, name: str) -> None:
    """A flush brings audio while the utterance is open; nobody waits for a container's end."""
    async with talking(server) as talk:
        await talk.say(TEXT, stop=False, format=name)
        await talk.send("flush")
        first = await talk.next()
        assert len(first["audio"]) > 1024
        await talk.send("stop")
        assert await talk.audio()


async def test_prosody_and_rate_are_honoured(server: LocalServer) -> None:
    """Speed makes it shorter, volume louder, the rate finer."""

    async def spoken(**request: Any) -> memoryview:
        async with talking(server) as talk:
            await talk.say(TEXT, **request)
            return memoryview(await talk.audio()).cast("h")

    usual = await spoken(sample_rate=16000)
    assert len(await spoken(sample_rate=32000)) == pytest.approx(2 * len(usual), rel=0.02)
    assert len(await spoken(sample_rate=16000, prosody={"speed": 2.0})) < 0.7 * len(usual)
    quiet = await spoken(sample_rate=16000, prosody={"volume": -20})
    assert max(quiet) == pytest.approx(max(usual) / 10, rel=0.1)


async def test_voices_differ(server: LocalServer) -> None:
    """A language, a variant and a 32-hex id each sound their own way."""
    sounds = set()
    for voice in (None, "de", "en-us+f3", "802e3bc2b27e49c2995d23ef70e6ac89"):
        async with talking(server) as talk:
            await talk.say("Hello, my name is Anna.", reference_id=voice)
            sounds.add(await talk.audio())
    assert len(sounds) == 4


async def test_speakers_take_turns(server: LocalServer) -> None:
    """A speaker tag changes the voice to that of the list's."""

    async def spoken(text: str, voices: Any) -> int:
        async with talking(server) as talk:
            await talk.say(text, reference_id=voices)
            return len(await talk.audio())

    mixed = await spoken("<|speaker:0|>Hello there.<|speaker:1|>Hello there.", ["en-us", "fr"])
    one, other = await spoken("Hello there.", "en-us"), await spoken("Hello there.", "fr")
    assert one != other
    assert mixed == pytest.approx(one + other, rel=0.02)


async def test_pings_are_answered_while_it_speaks() -> None:
    """A heartbeat gets its pong although audio is owed, and text frames are ignored."""
    async with LocalServer(**HOURS) as server, talking(server, autoping=False) as talk:
        await talk.say(TEXT)
        await talk.socket.send_str("noise")
        await talk.socket.ping(b"there?")
        message = await talk.socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_unknown_events_are_ignored(server: LocalServer) -> None:
    """An event of the future changes nothing."""
    async with talking(server) as talk:
        await talk.send("cancel")
        await talk.say("Hi.", stop=False)
        await talk.send("dance", tempo=3)
        await talk.send("stop")
        assert await talk.audio()


async def test_out_of_order_is_ignored_when_lenient() -> None:
    """Text before start, a second start and text after stop change nothing."""
    async with LocalServer(close_after_finish=False) as server, talking(server, TIMED) as talk:
        for event in ("flush", "stop"):
            await talk.send(event)
        await talk.send("text", text="Lost. ")
        await talk.say("One.", stop=False)
        await talk.start(text="Two.")
        await talk.send("stop")
        await talk.send("text", text="Three.")
        await talk.send("stop")
        events = await talk.rest()
        assert {event["content"] for event in events[:-1]} == {"One."}
        assert events[-1]["event"] == "finish"


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (["text"], "text is not allowed while opened"),
        (["flush"], "flush is not allowed while opened"),
        (["stop"], "stop is not allowed while opened"),
        (["start", "start"], "start is not allowed while speaking"),
        (["start", "stop", "text"], "text is not allowed while draining"),
        (["start", "stop", "flush"], "flush is not allowed while draining"),
        (["start", "stop", "stop"], "stop is not allowed while draining"),
        (["start", "stop", "start"], "start is not allowed while draining"),
    ],
    ids=" ".join,
)
async def test_out_of_order_is_refused_when_strict(steps: list[str], sentence: str) -> None:
    """A step out of order is an error event, and the socket closes."""
    fields: dict[str, dict[str, Any]] = {
        "text": {"text": "x"},
        "start": {"request": {"text": "Hello.", "format": "pcm"}},
    }
    async with LocalServer(strict=True, **HOURS) as server, talking(server) as talk:
        for step in steps:
            await talk.send(step, **fields.get(step, {}))
        assert await talk.rest() == [{"event": "error", "error": sentence}]
        assert await talk.next() == {}
        await until(lambda: not server.running)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("path", [LIVE, TIMED])
async def test_a_bad_start_is_refused(path: str, strict: bool) -> None:
    """What HTTP answers with a 400 is an error event here, before any audio."""
    async with LocalServer(strict=strict) as server, talking(server, path) as talk:
        await talk.say("Hi.", reference_id="nobody")
        assert await talk.rest() == [{"event": "error", "error": "Reference not found"}]
        assert await talk.next() == {}
        assert talk.socket.close_code == 1000


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xc1", 1007),
        (b"", 1007),
        (msgpack.packb([1]), 1007),
        (msgpack.packb({"text": "x"}), 1007),
        (msgpack.packb({"event": "start"}), 1007),
        (msgpack.packb({"event": "text", "text": 5}), 1007),
        (b"{\"event\": \"stop\"}", 1007),
    ],
    ids=repr,
)  # fmt: skip
async def test_unreadable_messages(server: LocalServer, message: bytes, code: int) -> None:
    """What is no event is answered with an error event, and the close code for bad data."""
    async with talking(server) as talk:
        await talk.socket.send_bytes(message)
        assert [event["event"] for event in await talk.rest()] == ["error"]
        assert await talk.next() == {}
        assert talk.socket.close_code == code


async def test_messages_have_a_size() -> None:
    """A message over the setting closes the socket with 1009."""
    async with LocalServer(max_message_bytes=1000) as server, talking(server) as talk:
        await talk.send("start", request={"text": "x" * 1000})
        assert await talk.next() == {}
        assert talk.socket.close_code == 1009


async def test_text_has_an_end() -> None:
    """More text in one session than the setting is refused, and frees the slot at once."""
    async with LocalServer(max_text_bytes=100) as server, talking(server) as talk:
        await talk.start(text="é" * 51)
        (error,) = await talk.rest()
        assert error["error"] == "text too long: at most 100 bytes"
        assert await talk.next() == {}
        await until(lambda: not server.running)


@pytest.mark.parametrize("path", [LIVE, TIMED])
@pytest.mark.parametrize("how", ["close", "cut"])
async def test_a_client_that_leaves_frees_its_slot(path: str, how: str) -> None:
    """Closing or cutting the socket while it speaks stops the voice and gives the slot back."""
    async with LocalServer(concurrency=1, **HOURS) as server:
        async with talking(server, path) as talk:
            await talk.say(TEXT)
            await until(lambda: server.running == 1)
            if how == "cut":
                connection = talk.socket._conn  # there is no public way to cut
                assert connection is not None
                assert connection.transport is not None
                connection.transport.abort()
            else:
                await talk.socket.close()
        await until(lambda: server.running == 0)


async def test_concurrency_by_event() -> None:
    """One utterance too many is an error event that names the limit; the socket closes."""
    async with (
        LocalServer(concurrency=1, **HOURS) as server,
        talking(server) as first,
        talking(server) as second,
    ):
        await first.start()
        await until(lambda: server.running == 1)
        await second.start()
        (error,) = await second.rest()
        assert error["error"] == "Concurrency limit exceeded"
        assert error["max_concurrency"] == 1
        assert await second.next() == {}


async def refused(server: LocalServer, path: str = LIVE, **given: str) -> tuple[int, Any, Any]:
    """Return status, body and headers of an upgrade that must be refused."""
    async with aiohttp.ClientSession() as session:
        upgrade = {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
        async with session.get(server.url + path, headers={**upgrade, **given}) as response:
            return response.status, await response.json(), response.headers


@pytest.mark.parametrize("path", [LIVE, TIMED])
async def test_keys_are_checked_at_the_upgrade(server: LocalServer, path: str) -> None:
    """No key and another key are a 401 instead of the 101."""
    status, body, _ = await refused(server, path)
    assert (status, body) == (401, {"status": 401, "message": "this route requires an api-key"})
    status, body, _ = await refused(server, path, **headers("secret"))
    assert (status, body) == (401, {"status": 401, "message": "Invalid Token"})


async def test_concurrency_at_the_upgrade() -> None:
    """With ``upgrade``, one socket too many is a 429; a start without a slot still an event."""
    settings = Settings(concurrency=1, concurrency_refusal="upgrade", retry_after_s=3)
    async with (
        LocalServer(settings, **HOURS) as server,
        talking(server) as first,
        talking(server) as second,
    ):
        await first.start()
        await until(lambda: server.running == 1)
        status, body, answer = await refused(server, **headers())
        assert (status, answer["Retry-After"]) == (429, "3")
        assert body == {"status": 429, "message": "exceeded your current concurrency limit"}
        await second.start()
        assert (await second.rest())[0]["max_concurrency"] == 1


@pytest.mark.parametrize("refusal", ["event", "upgrade"])
async def test_idle_sockets_may_count(refusal: Any) -> None:
    """With idle_sockets_count a socket that says nothing holds a slot until it closes."""
    server = LocalServer(concurrency=1, idle_sockets_count=True, concurrency_refusal=refusal)
    async with server, talking(server) as first:
        await until(lambda: server.running == 1)
        if refusal == "upgrade":
            assert (await refused(server, **headers()))[0] == 429
        else:
            async with talking(server) as second:
                assert (await second.rest())[0]["max_concurrency"] == 1
        await first.say("Hi.")
        assert await first.audio()
        await first.socket.close()
        await until(lambda: server.running == 0)


async def test_credit_is_used_up() -> None:
    """Bytes cost money; without it the next start is an error, the next upgrade a 402."""
    async with LocalServer(credit=1e-6, close_after_finish=False) as server:
        async with talking(server) as talk:
            await talk.say("Hi.")
            assert await talk.audio()
            await talk.start()
            (error,) = await talk.rest()
            assert error["error"].startswith("Insufficient API credit")
        status, body, _ = await refused(server, **headers())
        assert (status, body["status"]) == (402, 402)
        async with (
            aiohttp.ClientSession(headers=headers(model="s2.1-pro-free")) as session,
            session.ws_connect(server.url + LIVE) as socket,
        ):
            free = Talk(socket)
            await free.say("Hi.")
            assert await free.audio()


async def test_the_slot_is_free_when_finish_arrives() -> None:
    """Whoever has seen finish may start again at once, at a limit of one."""
    async with LocalServer(concurrency=1) as server:
        for _ in range(20):
            async with talking(server) as talk:
                await talk.say("Hi.")
                assert await talk.audio()


async def test_headers_of_the_101(server: LocalServer) -> None:
    """The upgrade's answer says the limit, what runs, and the caller's trace."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = headers(traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    async with (
        aiohttp.ClientSession(headers=sent) as session,
        session.ws_connect(server.url + LIVE) as socket,
    ):
        answer = socket._response.headers  # aiohttp shows them nowhere else
        assert answer["x-fish-trace-id"] == trace
        assert answer["ratelimit-limit-concurrency"] == "1000"
        assert answer["ratelimit-current-concurrency"] == "0"
