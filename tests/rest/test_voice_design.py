"""Voice design: what is sent is checked, what comes is sound."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from fishlive.errors import ConfigError, InsufficientCreditsError, ProtocolError, ServerError
from fishlive.rest.voice_design import VoiceDesign
from tests.rest.canned import canned

WAV = b"RIFF\x24\x00\x00\x00WAVE" + bytes(range(256))
CANDIDATE: dict[str, Any] = {
    "id": "c0",
    "index": 0,
    "audio_base64": base64.b64encode(WAV).decode(),
    "sample_rate": 44100,
    "duration_ms": 2500,
    "text": "Welcome.",
    "instruct": "warm",
    "language": None,
    "loudness": -18.5,
}
ANSWER = {"candidates": [CANDIDATE, {**CANDIDATE, "id": "c1", "index": 1}]}


async def test_candidates_are_sound() -> None:
    """Each has its bytes, its length in seconds, and shows neither sound nor words."""
    async with canned(ANSWER) as service:
        first, second = await VoiceDesign(service.http).create("A warm narrator")

    assert (first.id, first.index, first.audio) == ("c0", 0, WAV)
    assert (first.sample_rate, first.duration_s) == (44100, 2.5)
    assert second.id == "c1"
    assert first.raw["loudness"] == -18.5
    assert "audio_base64" not in first.raw
    assert "RIFF" not in repr(first)
    assert "Welcome" not in repr(first)


async def test_only_what_was_asked_for_is_sent() -> None:
    """The model is a header; a field that is None is left out, as the service refuses others."""
    async with canned(ANSWER) as service:
        await VoiceDesign(service.http).create("A warm narrator")
        await VoiceDesign(service.http).create(
            "A warm narrator",
            reference_text="Welcome.",
            language="zh-CN",
            n=4,
            speed=1.5,
            num_step=64,
            guidance_scale=0.0,
            instruct_guidance_scale=1.5,
            seed=42,
        )

    plain, full = service.asked
    assert (plain.method, plain.path) == ("POST", "/v1/voice-design")
    assert plain.headers["model"] == "voice-design-1"
    assert plain.headers["content-type"].startswith("application/json")
    assert plain.json == {"instruction": "A warm narrator", "n": 2}
    assert full.json == {
        "instruction": "A warm narrator",
        "reference_text": "Welcome.",
        "language": "zh-CN",
        "n": 4,
        "speed": 1.5,
        "num_step": 64,
        "guidance_scale": 0.0,
        "instruct_guidance_scale": 1.5,
        "seed": 42,
    }


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"instruction": ""}, "instruction"),
        ({"instruction": "  \n"}, "instruction"),
        ({"instruction": "x" * 2001}, "instruction"),
        ({"instruction": "half \ud800"}, "instruction"),
        ({"instruction": b"bytes"}, "instruction"),
        ({"reference_text": "x" * 151}, "reference_text"),
        ({"language": "English, please"}, "language"),
        ({"n": 0}, "n"),
        ({"n": 5}, "n"),
        ({"n": True}, "n"),
        ({"speed": 0.0}, "speed"),
        ({"speed": 3.1}, "speed"),
        ({"speed": float("nan")}, "speed"),
        ({"num_step": 129}, "num_step"),
        ({"guidance_scale": -0.1}, "guidance_scale"),
        ({"instruct_guidance_scale": -1.0}, "instruct_guidance_scale"),
        ({"seed": 1.5}, "seed"),
        ({"model": "a\r\nb"}, "model"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    arguments: dict[str, Any], argument: str
) -> None:
    """It is a ConfigError about that argument, without the user's words in it."""
    async with canned(ANSWER) as service:
        with pytest.raises(ConfigError) as caught:
            await VoiceDesign(service.http).create(**{"instruction": "warm", **arguments})

    assert caught.value.argument == argument
    assert "xxx" not in str(caught.value)
    assert service.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"candidates": None},
        {"candidates": ["c0"]},
        {"candidates": [{**CANDIDATE, "audio_base64": "UklG!Rg=="}]},
        {"candidates": [{**CANDIDATE, "audio_base64": None}]},
        {"candidates": [{"id": "c0"}]},
    ],
)
async def test_an_answer_without_sound_is_a_protocol_error(answer: object) -> None:
    """What cannot be played is never handed on as if it could."""
    async with canned(answer) as service:
        with pytest.raises(ProtocolError):
            await VoiceDesign(service.http).create("warm")


async def test_a_paid_request_is_not_repeated() -> None:
    """A 500 may come behind the work: it is asked once, and the error says so."""
    async with canned({"status": 500, "message": "oops"}, status=500) as service:
        with pytest.raises(ServerError) as caught:
            await VoiceDesign(service.http).create("warm")

    assert len(service.asked) == 1
    assert caught.value.attempts == 1


async def test_without_credit_it_says_where_to_look() -> None:
    """A 402 names the page where credit is bought."""
    async with canned(
        {"status": 402, "message": "Insufficient API credit."}, status=402
    ) as service:
        with pytest.raises(InsufficientCreditsError, match="billing"):
            await VoiceDesign(service.http).create("warm")
