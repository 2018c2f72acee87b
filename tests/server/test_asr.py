"""``POST /v1/asr``, over real sockets and with a real recogniser."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
import msgpack
import pytest

from fishlive.server import LocalServer, hearing
from fishlive.server.voice.encode import Format
from tests.server.recording import SENTENCE, WORDS, recorded, speech, wav
from tests.server.talk import HOURS, answer, posting, until

PATH = "/v1/asr"
PACKED = {"Content-Type": "application/msgpack"}

needs_recogniser = pytest.mark.skipif(
    not hearing.is_installed(), reason="the extra asr is not installed"
)


def silence(seconds: int) -> bytes:
    """Return a WAV file without a sound."""
    return wav(bytes(32_000 * seconds))


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
async def test_speech_is_heard_in_any_container(server: LocalServer, name: Format) -> None:
    """There are words, in order, within a duration that is the recording's."""
    heard = await transcript(server, data=form(recorded(name), ignore_timestamps="false"))
    assert heard["text"]
    assert (heard["language_code"], heard["language"]) == ("en", "English")
    times = [time for word in heard["segments"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert set(heard["text"].split()) >= WORDS
    assert 2 < heard["duration"] < 5
    assert times[-1] <= heard["duration"] + 0.1
    assert heard["text"] == " ".join(word["text"] for word in heard["segments"])


@needs_recogniser
async def test_words_are_heard_when_they_are_said(server: LocalServer) -> None:
    """Their times are those that the voice gives, to a quarter of a second."""
    said = {word.text.strip("."): word.start_s for word in speech().words}
    heard = await transcript(server, data=form(recorded("wav"), ignore_timestamps="false"))
    starts = {word["text"]: word["start"] for word in heard["segments"] if word["text"] in WORDS}
    assert starts == {word: pytest.approx(said[word], abs=0.25) for word in WORDS}


@needs_recogniser
async def test_a_stream_s_header_is_taken(server: LocalServer) -> None:
    """Its sizes are 0xFFFFFFFF as long as nobody knows them; a size of 0 is no audio."""
    audio = bytearray(recorded("wav"))
    at = audio.index(b"data") + 4
    for size, status in ((0xFFFFFFFF, 200), (0, 400)):
        audio[4:8] = audio[at : at + 4] = size.to_bytes(4, "little")
        async with posting(server, path=PATH, data=form(bytes(audio))) as response:
            assert response.status == status


@needs_recogniser
async def test_timestamps_are_left_out_unless_asked_for(server: LocalServer) -> None:
    """``ignore_timestamps`` is true by default, and true when it says so."""
    audio = recorded("wav")
    for fields in ({}, {"ignore_timestamps": "true"}):
        assert (await transcript(server, data=form(audio, **fields)))["segments"] == []


@needs_recogniser
async def test_messagepack_is_taken(server: LocalServer) -> None:
    """Raw bytes in a map, with flags as booleans."""
    body = msgpack.packb({"audio": recorded("wav"), "ignore_timestamps": False})
    heard = await transcript(server, data=body, headers=PACKED)
    assert heard["segments"]


@needs_recogniser
async def test_pro_marks_the_speaker(server: LocalServer) -> None:
    """Inline, and as turns."""
    heard = await transcript(
        server, data=form(recorded("wav")), headers={"model": "transcribe-1-pro"}
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
        (msgpack.packb({"audio": [b"x", b"y"]}), PACKED),
        (msgpack.packb({"audio": silence(0)}), PACKED),
        (b"\xc1", PACKED),
        (b"audio=x", {"Content-Type": "application/x-www-form-urlencoded"}),
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


@needs_recogniser
async def test_only_the_first_sound_counts_of_what_is_damaged(server: LocalServer) -> None:
    """A file that was cut off is heard up to there."""
    audio = recorded("mp3")
    heard = await transcript(server, data=form(audio[: len(audio) // 2] + b"rubbish" * 100))
    assert 0.5 < heard["duration"] < 2.5


@needs_recogniser
async def test_one_too_many_is_a_429() -> None:
    """Transcripts and speech share the account's slots."""
    async with LocalServer(concurrency=1, **HOURS) as server:

        async def speak() -> None:
            async with posting(server, json={"text": SENTENCE}):
                raise AssertionError("audio came after all")

        speaking = asyncio.ensure_future(speak())
        await until(lambda: server.running == 1)
        async with posting(server, path=PATH, data=form(silence(1))) as response:
            assert response.status == 429
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await until(lambda: server.running == 0)


@needs_recogniser
async def test_a_client_that_leaves_gives_its_slot_back(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody hears a recording to its end for nobody, and nobody pays for it."""
    monkeypatch.setattr(hearing, "_RUN", "import threading; threading.Event().wait()")

    async def wait() -> None:
        async with posting(server, path=PATH, data=form(silence(1))):
            raise AssertionError("there was an answer after all")

    leaving = asyncio.ensure_future(wait())
    await until(lambda: server.running == 1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await until(lambda: server.running == 0)
    _, wallet = await answer(server, "GET", "/wallet/self/api-credit")
    assert wallet["credit"] == wallet["cumulative_top_up"]


@needs_recogniser
async def test_a_recogniser_that_fails_is_a_503(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, costs nothing, and gives its slot back."""
    monkeypatch.setattr(hearing, "_RUN", "raise SystemExit(1)")
    async with posting(server, path=PATH, data=form(silence(1))) as response:
        assert response.status == 503
        assert await response.json() == {"status": 503, "message": "the recogniser failed"}
    assert server.running == 0


@pytest.mark.parametrize("body", [b"", b"--b--", b"--b\r\n\r\nx"])
async def test_a_form_that_is_none_is_a_400(server: LocalServer, body: bytes) -> None:
    """Nor is one without audio."""
    given = {"Content-Type": "multipart/form-data; boundary=b"}
    async with posting(server, path=PATH, data=body, headers=given) as response:
        assert (response.status, response.content_type) == (400, "text/plain")


async def test_credit_comes_before_everything_but_the_key() -> None:
    """Without credit even a bad request is a 402, and transcripts are never free."""
    async with LocalServer(credit=0.0) as server:
        for key, status in (("local", 402), ("other", 401)):
            free = {"model": "s2.1-pro-free"}
            async with posting(server, path=PATH, key=key, data=b"{", headers=free) as response:
                assert response.status == status


async def test_without_a_recogniser_it_says_what_to_install(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """501, with the command."""
    monkeypatch.setattr(hearing, "is_installed", lambda: False)
    async with posting(server, path=PATH, data=form(b"RIFF")) as response:
        assert response.status == 501
        assert 'pip install "fishlive[asr]"' in (await response.json())["message"]
