"""``POST /v1/asr``, over real sockets and with a real recogniser."""

from __future__ import annotations

import wave
from decimal import Decimal
from io import BytesIO
from typing import Any

import aiohttp
import msgpack
import pytest

from fishlive.server import LocalServer, hearing
from tests.server.talk import answer, posting

PATH = "/v1/asr"
PACKED = {"Content-Type": "application/msgpack"}

needs_recogniser = pytest.mark.skipif(
    not hearing.is_installed(), reason="the extra asr is not installed"
)


async def spoken(server: LocalServer, name: str = "wav") -> bytes:
    """Return a sentence in the server's own voice."""
    body = {"text": "Hello there. How are you today, my good friend?", "format": name}
    async with posting(server, json=body) as response:
        return await response.read()


def silence(seconds: int) -> bytes:
    """Return a WAV file without a sound."""
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(32_000 * seconds))
    return file.getvalue()


def form(audio: bytes, **fields: str) -> aiohttp.FormData:
    """Return what a multipart client sends."""
    data = aiohttp.FormData()
    data.add_field("audio", audio, filename="a.wav", content_type="audio/wav")
    for name, value in fields.items():
        data.add_field(name, value)
    return data


async def transcript(server: LocalServer, **request: Any) -> dict[str, Any]:
    """Return what the server hears."""
    async with posting(server, path=PATH, **request) as response:
        assert response.status == 200, await response.text()
        heard: dict[str, Any] = await response.json()
        return heard


@needs_recogniser
@pytest.mark.parametrize("name", ["wav", "mp3", "opus"])
async def test_speech_is_heard_in_any_container(server: LocalServer, name: str) -> None:
    """There are words, in order, within a duration that is the recording's."""
    heard = await transcript(
        server, data=form(await spoken(server, name), ignore_timestamps="false")
    )
    assert heard["text"]
    assert (heard["language_code"], heard["language"]) == ("en", "English")
    times = [time for word in heard["segments"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 2 < heard["duration"] < 5
    assert times[-1] <= heard["duration"] + 0.1
    assert heard["text"] == " ".join(word["text"] for word in heard["segments"])


@needs_recogniser
async def test_timestamps_are_left_out_unless_asked_for(server: LocalServer) -> None:
    """``ignore_timestamps`` is true by default, and true when it says so."""
    audio = await spoken(server)
    for fields in ({}, {"ignore_timestamps": "true"}):
        assert (await transcript(server, data=form(audio, **fields)))["segments"] == []


@needs_recogniser
async def test_messagepack_is_taken(server: LocalServer) -> None:
    """Raw bytes in a map, with flags as booleans."""
    body = msgpack.packb({"audio": await spoken(server), "ignore_timestamps": False})
    heard = await transcript(server, data=body, headers=PACKED)
    assert heard["segments"]


@needs_recogniser
async def test_pro_marks_the_speaker(server: LocalServer) -> None:
    """Inline, and as turns."""
    heard = await transcript(
        server, data=form(await spoken(server)), headers={"model": "transcribe-1-pro"}
    )
    assert heard["text"].startswith("<|speaker:0|>")
    assert len(heard["speaker_turns"]) == 1


@needs_recogniser
async def test_silence_has_no_words_and_no_language(server: LocalServer) -> None:
    """It is not an error, and it costs what sound costs."""
    heard = await transcript(server, data=form(silence(2)))
    assert (heard["text"], heard["segments"], heard["duration"]) == ("", [], 2.0)
    assert "language_code" not in heard


@needs_recogniser
async def test_begun_seconds_are_paid_in_full() -> None:
    """$0.36 an hour, rounded up to the second."""
    async with LocalServer(credit=1.0) as server:
        await transcript(server, data=form(silence(3)))
        _, wallet = await answer(server, "GET", "/wallet/self/api-credit")
        assert Decimal(wallet["credit"]) == Decimal("0.9997")


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b'{"audio": "UklGRg=="}', {"Content-Type": "application/json"}),
        (msgpack.packb({}), PACKED),
        (msgpack.packb({"audio": b""}), PACKED),
        (msgpack.packb({"audio": "text"}), PACKED),
        (msgpack.packb({"audio": b"x", "ignore_timestamps": "maybe"}), PACKED),
        (msgpack.packb({"audio": b"x", "language": 1}), PACKED),
        (b"\xc1", PACKED),
    ],
)
async def test_what_is_no_request_is_a_400(
    server: LocalServer, data: bytes, headers: dict[str, str]
) -> None:
    """JSON is not supported, and fields have types."""
    async with posting(server, path=PATH, data=data, headers=headers) as response:
        assert response.status == 400


@needs_recogniser
async def test_what_is_no_sound_is_a_400(server: LocalServer) -> None:
    """Decoding decides, not the name."""
    async with posting(server, path=PATH, data=form(b"RIFF rubbish")) as response:
        assert (response.status, (await response.json())["message"]) == (400, "Audio is not valid")


async def test_without_a_recogniser_it_says_what_to_install(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """501, with the command."""
    monkeypatch.setattr(hearing, "is_installed", lambda: False)
    async with posting(server, path=PATH, data=form(b"RIFF")) as response:
        assert response.status == 501
        assert 'pip install "fishlive[asr]"' in (await response.json())["message"]
