"""Clients that are deployed against the service work against this server, unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import aiohttp
import anyio.to_thread
import fish_audio_sdk
import msgpack
import pytest
from fishaudio import (  # type: ignore[import-untyped]  # it ships no py.typed
    AsyncFishAudio,
    FishAudio,
)
from fishaudio.exceptions import (  # type: ignore[import-untyped]  # as above
    AuthenticationError,
    FishAudioError,
)
from fishaudio.types import (  # type: ignore[import-untyped]  # as above
    FlushEvent,
    Prosody,
    ReferenceAudio,
    TTSConfig,
)

from fishlive.server import LocalServer, hearing
from tests.server.talk import LIVE, TIMED, headers, until

needs_recogniser = pytest.mark.skipif(
    not hearing.is_installed(), reason="the extra asr is not installed"
)
VOICE = "802e3bc2b27e49c2995d23ef70e6ac89"
Formats = Literal["wav", "pcm", "mp3", "opus"]
FORMATS: tuple[Formats, ...] = ("wav", "pcm", "mp3", "opus")
MAGIC = {"wav": b"RIFF", "pcm": b"", "mp3": b"\xff", "opus": b"OggS"}


@pytest.mark.parametrize("name", FORMATS)
async def test_official_sdk(server: LocalServer, name: Formats) -> None:
    """fish-audio-sdk speaks over HTTP and WebSocket, in every format, with all its defaults."""

    def use() -> tuple[bytes, bytes]:
        def texts() -> Iterator[Any]:
            yield "Hello, "
            yield FlushEvent()
            yield "this is streamed."

        with FishAudio(api_key="local", base_url=server.url) as client:
            whole = client.tts.convert(text="Hello.", reference_id=VOICE, format=name)
            live = b"".join(client.tts.stream_websocket(texts(), format=name, speed=1.2))
            return whole, live

    for audio in await anyio.to_thread.run_sync(use):
        assert len(audio) > 2000
        assert audio.startswith(MAGIC[name])


async def test_official_sdk_asynchronously(server: LocalServer) -> None:
    """Its asynchronous client does, with prosody and reference audio."""

    async def texts() -> AsyncIterator[str]:
        for word in ("One ", "two ", "three."):
            yield word

    config = TTSConfig(
        format="pcm",
        sample_rate=16000,
        prosody=Prosody(speed=0.8, volume=3),
        references=[ReferenceAudio(audio=b"sound", text="sound")],
    )
    async with AsyncFishAudio(api_key="local", base_url=server.url) as client:
        chunks = [chunk async for chunk in client.tts.stream_websocket(texts(), config=config)]
        assert len(chunks) > 5
        assert await client.tts.convert(text="Hello.", config=config)


async def test_official_sdk_sees_refusals(server: LocalServer) -> None:
    """A wrong key and an unknown voice are errors there too."""

    def use() -> None:
        stranger = FishAudio(api_key="other", base_url=server.url)
        friend = FishAudio(api_key="local", base_url=server.url)
        with stranger, pytest.raises(AuthenticationError):
            stranger.tts.convert(text="Hello.")
        with friend, pytest.raises(FishAudioError, match="Reference not found"):
            friend.tts.convert(text="Hello.", reference_id="nobody")

    await anyio.to_thread.run_sync(use)


@needs_recogniser
async def test_official_sdk_transcribes(server: LocalServer) -> None:
    """Both its clients send MessagePack, and read words with their times."""

    def use() -> tuple[bytes, Any]:
        with FishAudio(api_key="local", base_url=server.url) as client:
            audio = client.tts.convert(text="We are going to the market.", format="mp3")
            return audio, client.asr.transcribe(audio=audio, language="en")

    audio, heard = await anyio.to_thread.run_sync(use)
    assert heard.text
    assert heard.text == " ".join(segment.text for segment in heard.segments)
    async with AsyncFishAudio(api_key="local", base_url=server.url) as client:
        again = await client.asr.transcribe(audio=audio, include_timestamps=False)
    assert (again.text, again.duration, again.segments) == (heard.text, heard.duration, [])


async def test_official_sdk_sees_what_is_no_audio(server: LocalServer) -> None:
    """A recording of nothing is an error there too."""

    def use() -> None:
        friend = FishAudio(api_key="local", base_url=server.url)
        with friend, pytest.raises(FishAudioError, match="Audio is not valid"):
            friend.asr.transcribe(audio=b"")

    await anyio.to_thread.run_sync(use)


async def test_the_official_sdk_s_older_face(server: LocalServer) -> None:
    """Its package ``fish_audio_sdk`` speaks, clones, lists, changes, deletes and shows credit."""

    def use() -> None:
        with fish_audio_sdk.Session("local", base_url=server.url) as session:
            request = fish_audio_sdk.TTSRequest(text="Hello.", format="wav")
            audio = b"".join(session.tts(request))
            assert audio.startswith(b"RIFF")
            model = session.create_model(title="Old", voices=[audio], texts=["Hello."])
            assert (model.title, model.state, model.visibility) == ("Old", "trained", "private")
            assert [one.id for one in session.list_models(self_only=True).items] == [model.id]
            session.update_model(model.id, title="Older", tags=["a", "b"])
            assert session.get_model(model.id).tags == ["a", "b"]
            cloned = fish_audio_sdk.TTSRequest(text="Hello.", reference_id=model.id)
            assert b"".join(session.tts(cloned))
            session.delete_model(model.id)
            with pytest.raises(fish_audio_sdk.HttpCodeErr):
                session.get_model(model.id)
            assert session.get_api_credit().credit > 0
            assert session.get_package().type == "free"

    await anyio.to_thread.run_sync(use)


@needs_recogniser
async def test_the_older_face_transcribes(server: LocalServer) -> None:
    """Its nulls count as absent."""

    def use() -> Any:
        with fish_audio_sdk.Session("local", base_url=server.url) as session:
            request = fish_audio_sdk.TTSRequest(text="We are going to the market.", format="wav")
            audio = b"".join(session.tts(request))
            return session.asr(fish_audio_sdk.ASRRequest(audio=audio))

    heard = await anyio.to_thread.run_sync(use)
    assert heard.text
    assert heard.segments == []


LIVEKIT: dict[str, Any] = {
    "text": "", "chunk_length": 100, "format": "wav", "sample_rate": 24000, "mp3_bitrate": None,
    "opus_bitrate": None, "references": [], "reference_id": VOICE, "normalize": True,
    "latency": "balanced", "prosody": None, "top_p": 0.7, "temperature": 0.7,
    "features": ["quality-guard"],
}  # fmt: skip
"""The habits of a pooled client: nulls, a heartbeat, a flush a sentence, one socket for turns."""

PIPECAT: dict[str, Any] = {
    "text": "", "latency": "normal", "format": "opus", "sample_rate": 48000, "opus_bitrate": 32,
    "mp3_bitrate": None, "normalize": True, "prosody": {"speed": 1.0, "volume": 0},
    "reference_id": VOICE, "chunk_length": 200, "temperature": None, "top_p": None,
}  # fmt: skip
"""The habits of a client that starts once, flushes after each sentence and never stops."""


async def test_a_pooled_socket() -> None:
    """Turn after turn on one socket, each a whole container of its own."""
    async with (
        LocalServer(close_after_finish=False) as server,
        aiohttp.ClientSession(headers=headers(model="s2-pro")) as session,
        session.ws_connect(server.url + LIVE, heartbeat=30.0) as socket,
    ):
        for turn in ("How are you? ", "I am well. "):
            await socket.send_bytes(msgpack.packb({"event": "start", "request": LIVEKIT}))
            for word in turn.split(" "):
                await socket.send_bytes(msgpack.packb({"event": "text", "text": word + " "}))
            await socket.send_bytes(msgpack.packb({"event": "flush"}))
            await socket.send_bytes(msgpack.packb({"event": "stop"}))
            audio = b""
            while (event := msgpack.unpackb(await socket.receive_bytes()))["event"] == "audio":
                audio += event["audio"]
            assert event["reason"] == "stop"
            assert audio.startswith(b"RIFF")
            assert audio.count(b"RIFF") == 1


async def test_one_endless_session(server: LocalServer) -> None:
    """Sentences with a flush each are heard without a stop; no chunk is too small to be."""
    async with (
        aiohttp.ClientSession(headers=headers(model="s2-pro")) as session,
        session.ws_connect(server.url + LIVE) as socket,
    ):
        await socket.send_bytes(msgpack.packb({"event": "start", "request": PIPECAT}))
        for _ in range(3):
            text = "This is a sentence, long enough to be heard. "
            await socket.send_bytes(msgpack.packb({"event": "text", "text": text}))
            await socket.send_bytes(msgpack.packb({"event": "flush"}))
            heard = 0
            while heard < 6000:  # bytes of 3 s of Opus at 32 kbit/s, pauses taken off
                event = msgpack.unpackb(await socket.receive_bytes())
                assert event["event"] == "audio"
                heard += len(event["audio"]) if len(event["audio"]) > 1024 else 0
        await socket.close()
    await until(lambda: server.running == 0)


@pytest.mark.parametrize(("name", "sentences"), [("pcm", 3), ("mp3", 1)])
async def test_a_hundred_at_once(name: str, sentences: int) -> None:
    """100 utterances, sent word by word on both endpoints, all finish with all their audio."""
    text = "The quick brown fox jumps over the lazy dog, again and again. " * sentences
    durations = set()

    async def one(session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(url) as socket:
            request = {"text": "", "format": name, "sample_rate": 32000, "prosody": {"speed": 2}}
            await socket.send_bytes(msgpack.packb({"event": "start", "request": request}))
            for word in text.split(" "):
                await socket.send_bytes(msgpack.packb({"event": "text", "text": word + " "}))
            await socket.send_bytes(msgpack.packb({"event": "stop"}))
            audio = 0
            while (event := msgpack.unpackb(await socket.receive_bytes()))["event"] == "audio":
                audio += len(event["audio"])
            assert event["reason"] == "stop"
            durations.add(audio)

    async with (
        LocalServer() as server,
        aiohttp.ClientSession(
            headers=headers(), connector=aiohttp.TCPConnector(limit=0)
        ) as session,
    ):
        urls = [server.url + path for path in (LIVE, TIMED)] * 50
        await asyncio.gather(*(one(session, url) for url in urls))
    assert max(durations) < 1.1 * min(durations)
