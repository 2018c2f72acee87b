"""``POST /v1/tts``, over real sockets."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import msgpack
import pytest

from fishlive.errors import SynthesisError
from fishlive.server import LocalServer
from fishlive.server.voice.encode import Encoder
from tests.server.talk import HOURS, answer, posting, until

TEXT = "This is a sentence of some length, which is spoken. "
PACKED = {"Content-Type": "application/msgpack"}


@pytest.mark.parametrize(
    ("name", "mime", "magic"),
    [
        ("wav", "audio/wav", b"RIFF"),
        ("pcm", "audio/pcm", b""),
        ("mp3", "audio/mpeg", b"\xff\xfb"),
        ("opus", "audio/opus", b"OggS"),
    ],
)
async def test_json_and_messagepack(
    server: LocalServer, name: str, mime: str, magic: bytes
) -> None:
    """Both bodies give chunked audio of the format asked for."""
    body = {"text": TEXT, "format": name, "reference_id": None}
    async with posting(server, json=body) as response:
        audio = await response.read()
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert (response.status, response.content_type) == (200, mime)
    async with posting(server, data=msgpack.packb(body), headers=PACKED) as response:
        packed = await response.read()
    assert audio.startswith(magic)
    assert packed.startswith(magic)
    assert len(audio) == pytest.approx(len(packed), rel=0.1)


async def test_first_audio_comes_while_it_speaks(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk is with the client before the end of the text is encoded."""
    finished: list[bool] = []
    finish = Encoder.finish

    def watched(encoder: Encoder) -> bytes:
        finished.append(True)
        return finish(encoder)

    monkeypatch.setattr(Encoder, "finish", watched)
    async with posting(server, json={"text": TEXT * 2000, "format": "pcm"}) as response:
        assert await response.content.readany()
        assert not finished
    await until(lambda: server.running == 0)


async def test_no_text_is_no_error(server: LocalServer) -> None:
    """An empty text is a 200 without audio."""
    async with posting(server, json={"text": ""}) as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (b"{", 400, "the request body is not JSON"),
        (b"[]", 400, "invalid type: expected a map"),
        (b"{}", 400, "missing field `text`"),
        (b"[" * 100_000, 400, "the request body is not JSON"),
        (b'{"text": "x", "format": "flac"}', 400,
         "unknown variant `flac`, expected one of `wav`, `pcm`, `mp3`, `opus`"),
        (b'{"text": "x", "reference_id": "nobody"}', 400,
         {"status": 400, "message": "Reference not found"}),
        (b'{"text": "%s"}' % (b"x" * 2000), 400,
         {"status": 400, "message": "text too long: at most 1000 bytes"}),
        (b" " * 400_000, 413, "Payload too large"),
        (b'{"text": "\\ud800"}', 400, "lone surrogate in hex escape"),
        (b'{"text": "x", "format": "\\uDFFF"}', 400, "lone surrogate in hex escape"),
        (b'{"text": "x", "references": [{"audio": "\\ud800"}]}', 400,
         "lone surrogate in hex escape"),
        (b'{"text": "x", "prosody": {"speed": 1%s}}' % (b"0" * 400), 400,
         "speed: invalid type: int, expected a finite number"),
        (b'{"text": "x", "prosody": {"speed": NaN}}', 400, "the request body is not JSON"),
        (b'{"text": "x", "prosody": %s}' % (b"[" * 900 + b"]" * 900), 400,
         "the request body is nested too deep"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
async def test_refusals(body: bytes, status: int, answer: Any) -> None:
    """Bad bodies are refused in the service's words: plain text, or JSON if it could be read."""
    json_body: dict[str, Any] = {"data": body, "headers": {"Content-Type": "application/json"}}
    async with (
        LocalServer(max_body_bytes=300_000, max_text_bytes=1000) as server,
        posting(server, **json_body) as response,
    ):
        text = await response.text()
        plain = isinstance(answer, str)
        assert response.status == status
        assert response.content_type == ("text/plain" if plain else "application/json")
        assert (text if plain else json.loads(text)) == answer


async def test_pairs_of_surrogates_are_text(server: LocalServer) -> None:
    """Clients may spell what is beyond the first plane in two escapes."""
    body = json.dumps({"text": "Well \U0001f600 said.", "format": "pcm"}).encode()
    assert b"\\ud83d" in body
    async with posting(server, data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 200
        assert await response.read()


@pytest.mark.parametrize("shape", [1, 2])
async def test_reference_audio_is_a_voice(server: LocalServer, shape: int) -> None:
    """MessagePack may bring samples, for one speaker or for each of several."""
    samples: Any = [{"audio": b"somebody's sound", "text": "what is said"}]
    body = {"text": "Hi.", "references": samples if shape == 1 else [samples, samples]}
    async with posting(server, data=msgpack.packb(body), headers=PACKED) as response:
        assert response.status == 200
        assert await response.read()


async def test_text_is_paid_by_its_bytes() -> None:
    """$15 for a million bytes of UTF-8; what is refused costs nothing, the free model neither."""
    async with LocalServer(credit=1.0) as server:
        for body, model in (
            ({"text": "Gr\u00fc\u00dfe"}, "s2-pro"),
            ({"text": "x", "format": "flac"}, "s2-pro"),
            ({"text": "Hello."}, "s2.1-pro-free"),
        ):
            async with posting(server, json=body, headers={"model": model}) as response:
                await response.read()
        _, wallet = await answer(server, "GET", "/wallet/self/api-credit")
        assert Decimal(wallet["credit"]) == 1 - 7 * Decimal("0.000015")


async def test_an_endless_body_is_too_large() -> None:
    """A chunked body is counted as it comes."""

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1000

    async with (
        LocalServer(max_body_bytes=10_000) as server,
        posting(server, data=endless()) as response,
    ):
        assert (response.status, await response.text()) == (413, "Payload too large")


async def test_bad_messagepack(server: LocalServer) -> None:
    """Unreadable MessagePack is a plain 400."""
    for body in (b"\xc1", b"", b"\xdf\xff\xff\xff\xff", msgpack.packb([1])):
        async with posting(server, data=body, headers=PACKED) as response:
            assert (response.status, response.content_type) == (400, "text/plain")


@pytest.mark.parametrize(
    ("key", "message"), [(None, "this route requires an api-key"), ("other", "Invalid Token")]
)
async def test_keys(server: LocalServer, key: str | None, message: str) -> None:
    """Anything but the key ``local`` is a 401."""
    async with posting(server, key=key, json={"text": "x"}) as response:
        assert response.status == 401
        assert await response.json() == {"status": 401, "message": message}


async def test_credit_comes_before_everything_but_the_key() -> None:
    """Without credit even a bad request is a 402."""
    async with LocalServer(credit=0.0) as server, posting(server, data=b"{") as response:
        assert response.status == 402
        assert (await response.json())["message"].startswith("Insufficient API credit.")


async def test_concurrency() -> None:
    """One request too many is a 429; the slot comes back when the client leaves."""
    async with LocalServer(concurrency=1, **HOURS) as server:

        async def forever() -> None:
            async with posting(server, json={"text": TEXT}):
                raise AssertionError("audio came after all")

        leaving = asyncio.ensure_future(forever())
        await until(lambda: server.running == 1)
        async with posting(server, json={"text": TEXT}) as response:
            assert response.status == 429
            assert response.headers["ratelimit-current-concurrency"] == "1"
            assert "Retry-After" not in response.headers
            message = "exceeded your current concurrency limit"
            assert await response.json() == {"status": 429, "message": message}
        leaving.cancel()
        await until(lambda: server.running == 0)
        await asyncio.gather(leaving, return_exceptions=True)


async def test_a_failing_voice_is_a_503(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure before any audio is a status; one after it cuts the body off, never ends it."""

    def broken(_encoder: Encoder, _pcm: bytes = b"") -> bytes:
        raise SynthesisError("error", "broken")

    with monkeypatch.context() as patched:
        patched.setattr(Encoder, "finish", broken)
        async with posting(server, json={"text": TEXT * 20, "format": "pcm"}) as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
    monkeypatch.setattr(Encoder, "feed", broken)
    async with posting(server, json={"text": TEXT}) as response:
        assert response.status == 503
        assert await response.json() == {"status": 503, "message": "the voice failed"}
    assert server.running == 0
