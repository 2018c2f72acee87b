"""rest/asr.py: a recording in, its words out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from fishlive.errors import (
    ConfigError,
    InsufficientCreditsError,
    InvalidRequestError,
    ProtocolError,
    ServerError,
)
from fishlive.flow.governor import Governor
from fishlive.rest.asr import ASR
from fishlive.secret import Secret
from fishlive.server import LocalServer, hearing
from fishlive.session import Session
from fishlive.transport.http import Http
from tests.rest.canned import Asked, answering, canned
from tests.rest.test_voices import form

HEARD: dict[str, Any] = {
    "text": "hello there",
    "duration": 1.5,
    "segments": [
        {"text": "hello", "start": 0.1, "end": 0.5},
        {"text": "there", "start": 0.5, "end": 1},
    ],
    "language": "English",
    "language_code": "en",
}
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

needs_recogniser = pytest.mark.skipif(
    not hearing.is_installed(), reason="the extra asr is not installed"
)


async def source(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield bytes as a microphone would."""
    for piece in pieces:
        yield piece


async def test_a_transcript_is_read() -> None:
    """Times in seconds, under names that say so; what is new is in raw."""
    async with canned({**HEARD, "speaker_turns": [{"speaker": 0}], "new": 1}) as service:
        heard = await ASR(service.http).transcribe(b"RIFF", timestamps=True)
    assert (heard.text, heard.duration_s) == ("hello there", 1.5)
    assert [(s.text, s.start_s, s.end_s) for s in heard.segments] == [
        ("hello", 0.1, 0.5), ("there", 0.5, 1.0),
    ]  # fmt: skip
    assert (heard.language, heard.language_code) == ("English", "en")
    assert heard.speaker_turns == ({"speaker": 0},)
    assert heard.raw["new"] == 1


async def test_what_was_said_shows_in_no_repr() -> None:
    """Transcripts are personal data."""
    async with canned(HEARD) as service:
        assert "hello" not in repr(await ASR(service.http).transcribe(b"RIFF"))


async def test_nulls_and_absent_fields_are_the_same() -> None:
    """Only text and duration have to be there."""
    async with canned({"text": "", "duration": 0, "segments": None, "language": None}) as service:
        heard = await ASR(service.http).transcribe(b"RIFF")
    assert (heard.segments, heard.language, heard.speaker_turns) == ((), None, ())


@pytest.mark.parametrize("body", [[], {"duration": 1}, {"text": "x", "duration": "long"}, None])
async def test_an_answer_that_is_none_is_an_error(body: object) -> None:
    """It says what is missing."""
    async with canned(body) as service:
        with pytest.raises(ProtocolError, match="Transcript"):
            await ASR(service.http).transcribe(b"RIFF")


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "memoryview", "source"])
async def test_every_kind_of_recording_is_uploaded(kind: str, tmp_path: Path) -> None:
    """As the file ``audio`` of a form, with the flags beside it."""
    file = tmp_path / "talk.mp3"
    file.write_bytes(b"ID3data")
    audio: Any = {
        "path": file, "str": str(file), "bytes": b"ID3data", "memoryview": memoryview(b"ID3data"),
        "source": source(b"ID3", b"", b"data"),
    }[kind]  # fmt: skip
    async with canned(HEARD) as service:
        await ASR(service.http).transcribe(
            audio, language="en", timestamps=True, model="transcribe-1-pro", traceparent=TRACE
        )
    asked = service.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/asr")
    assert asked.headers["model"] == "transcribe-1-pro"
    assert asked.headers["traceparent"] == TRACE
    *plain, (name, filename, data) = form(asked)
    assert plain == [("ignore_timestamps", None, b"false"), ("language", None, b"en")]
    assert (name, data) == ("audio", b"ID3data")
    assert filename == ("talk.mp3" if kind in {"path", "str"} else "audio")
    assert ("content-length" in asked.headers) is (kind != "source")


async def test_the_models_name_is_always_sent() -> None:
    """transcribe-1 unless told; timestamps are left out unless asked for."""
    async with canned(HEARD) as service:
        await ASR(service.http).transcribe(b"RIFF", filename="a.wav")
    assert service.asked[0].headers["model"] == "transcribe-1"
    assert form(service.asked[0]) == [
        ("ignore_timestamps", None, b"true"), ("audio", "a.wav", b"RIFF"),
    ]  # fmt: skip


async def test_bytes_may_go_as_messagepack() -> None:
    """One map, without the frame of a form."""
    async with canned(HEARD) as service:
        await ASR(service.http).transcribe(b"RIFF", encoding="msgpack", language="de")
    assert service.asked[0].headers["content-type"] == "application/msgpack"
    assert msgpack.unpackb(service.asked[0].body) == {
        "audio": b"RIFF", "ignore_timestamps": True, "language": "de",
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["multipart", "msgpack"])
async def test_fields_of_later_versions_go_through(encoding: Any) -> None:
    """Over the others, in either encoding."""
    extra = {"diarize": True, "ignore_timestamps": False}
    async with canned(HEARD) as service:
        await ASR(service.http).transcribe(b"RIFF", encoding=encoding, extra=extra)
    asked = service.asked[0]
    if encoding == "msgpack":
        assert msgpack.unpackb(asked.body) == {**extra, "audio": b"RIFF"}
    else:
        plain = [(name, data) for name, file, data in form(asked) if file is None]
        assert plain == [("ignore_timestamps", b"false"), ("diarize", b"true")]


async def test_a_file_name_cannot_break_the_form() -> None:
    """It stays one parameter of one header."""
    async with canned(HEARD) as service:
        await ASR(service.http).transcribe(b"RIFF", filename='a"\r\nX-Evil: 1\r\n\r\n.wav')
    (_, (name, filename, data)) = form(service.asked[0])
    assert (name, data) == ("audio", b"RIFF")
    assert filename == "a%22%0D%0AX-Evil: 1%0D%0A%0D%0A.wav"


async def test_a_source_that_yields_nothing_is_an_error() -> None:
    """It can only be found while it is sent; the request is never completed."""
    async with canned(HEARD) as service:
        with pytest.raises(ConfigError, match="empty") as caught:
            await ASR(service.http).transcribe(source(b""))
        assert caught.value.argument == "audio"
        assert service.asked == []


async def test_progress_is_told(tmp_path: Path) -> None:
    """Up to the whole body; without a length the second number is None."""
    file = tmp_path / "talk.wav"
    file.write_bytes(bytes(1_000_000))
    told: list[tuple[int, int | None]] = []
    async with canned(HEARD) as service:
        asr = ASR(service.http)
        await asr.transcribe(file, on_progress=lambda *now: told.append(now))
        assert told[-1] == (len(service.asked[0].body),) * 2
        told.clear()
        await asr.transcribe(source(b"x" * 9), on_progress=lambda *now: told.append(now))
        assert told[-1] == (len(service.asked[1].body), None)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"audio": b""}, "audio"),
        ({"audio": "missing.wav"}, "audio"),
        ({"audio": "/"}, "audio"),
        ({"audio": "a\0b"}, "audio"),
        ({"audio": 7}, "audio"),
        ({"language": "en us"}, "language"),
        ({"language": "x" * 36}, "language"),
        ({"language": ""}, "language"),
        ({"language": 7}, "language"),
        ({"language": "en\r\n"}, "language"),
        ({"timestamps": "yes"}, "timestamps"),
        ({"filename": ""}, "filename"),
        ({"filename": 7}, "filename"),
        ({"extra": {"audio": "x"}}, "extra"),
        ({"extra": {"x": b"bytes"}}, "extra"),
        ({"extra": ["x"]}, "extra"),
        ({"model": "a\r\nX: y"}, "model"),
        ({"traceparent": "0"}, "traceparent"),
        ({"encoding": "json"}, "encoding"),
        ({"encoding": "msgpack", "audio": source(b"x")}, "encoding"),
        ({"encoding": "msgpack", "audio": b""}, "audio"),
        ({"encoding": "msgpack", "filename": "a.wav"}, "filename"),
        ({"encoding": "msgpack", "on_progress": print}, "on_progress"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    arguments: dict[str, Any], argument: str
) -> None:
    """Types, ranges, and files that cannot be read."""
    async with canned(HEARD) as service:
        with pytest.raises(ConfigError) as caught:
            await ASR(service.http).transcribe(**{"audio": b"RIFF", **arguments})
        assert caught.value.argument == argument
        assert service.asked == []


async def test_what_the_source_raises_comes_out() -> None:
    """The very object, and nothing is taken for a transcript."""
    boom = LookupError("microphone")

    async def broken() -> AsyncIterator[bytes]:
        yield b"RIFF"
        raise boom

    async with canned(HEARD) as service:
        with pytest.raises(LookupError) as caught:
            await ASR(service.http).transcribe(broken())
        assert caught.value is boom


async def test_a_transcription_that_may_have_run_is_not_repeated() -> None:
    """A 503 without a time to come back is seen after an upstream timeout, and costs."""
    async with canned({"status": 503, "message": "upstream timed out"}, status=503) as service:
        with pytest.raises(ServerError) as caught:
            await ASR(service.http).transcribe(b"RIFF")
        assert caught.value.attempts == 1
    assert len(service.asked) == 1


async def test_a_transcription_holds_a_slot() -> None:
    """One of the account's, until its answer is there."""
    governor = Governor(limit=1)
    running: list[int] = []

    def answer(_asked: Asked) -> tuple[int, object]:
        running.append(governor.running)
        return 200, HEARD

    async with answering(answer) as (url, _):
        http = Http(base_url=url, key=Secret("sesame"), governor=governor)
        await ASR(http).transcribe(b"RIFF")
        await http.aclose()
    assert (running, governor.running) == ([1], 0)


@needs_recogniser
async def test_speech_is_heard_for_real(tmp_path: Path) -> None:
    """The local server's own voice, through its own ears: words, in order, within the recording."""
    file = tmp_path / "talk.mp3"
    async with LocalServer() as server, Session("local", base_url=server.url) as fish:
        file.write_bytes(await fish.tts.create("Hello there. How are you today, my good friend?"))
        heard = await fish.asr.transcribe(file, timestamps=True)
        with pytest.raises(InvalidRequestError, match="Audio is not valid"):
            await fish.asr.transcribe(b"rubbish")
    assert heard.text
    assert 2 < heard.duration_s < 5
    times = [time for s in heard.segments for time in (s.start_s, s.end_s)]
    assert times == sorted(times)


async def test_an_empty_account_is_told() -> None:
    """402, before the recording is looked at."""
    async with LocalServer(credit=0.0) as server, Session("local", base_url=server.url) as fish:
        with pytest.raises(InsufficientCreditsError):
            await fish.asr.transcribe(b"rubbish")
