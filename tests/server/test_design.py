"""``POST /v1/voice-design``, over real sockets."""

from __future__ import annotations

import base64
import wave
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest

from fishlive.errors import SynthesisError
from fishlive.server import LocalServer
from fishlive.server.design import cast
from fishlive.server.voice.encode import Encoder
from tests.server.talk import answer, posting

PATH = "/v1/voice-design"
MODEL = {"model": "voice-design-1"}


async def designed(server: LocalServer, **body: Any) -> list[dict[str, Any]]:
    """Return the candidates for a description."""
    body = {"instruction": "a calm narrator", **body}
    async with posting(server, path=PATH, json=body, headers=MODEL) as response:
        assert response.status == 200, await response.text()
        candidates: list[dict[str, Any]] = (await response.json())["candidates"]
        return candidates


async def test_candidates_can_be_heard(server: LocalServer) -> None:
    """Two unless told: whole WAV files as long as they say, of the text asked for."""
    candidates = await designed(server, reference_text="Good evening.")
    assert [c["index"] for c in candidates] == [0, 1]
    assert len({c["id"] for c in candidates}) == 2
    for candidate in candidates:
        with wave.open(BytesIO(base64.b64decode(candidate["audio_base64"]))) as audio:
            assert audio.getframerate() == candidate["sample_rate"]
            duration_ms = 1000 * audio.getnframes() / audio.getframerate()
        assert duration_ms == pytest.approx(candidate["duration_ms"], abs=2)
        assert duration_ms > 300
        assert candidate["text"] == "Good evening."


async def test_a_seed_fixes_the_voices(server: LocalServer) -> None:
    """The same seed and description have the same ids; another seed has others."""
    first, again, other = [
        [c["id"] for c in await designed(server, seed=seed, n=4)] for seed in (1, 1, 2)
    ]
    assert first == again
    assert not set(first) & set(other)


async def test_plain_words_choose_the_timbre(server: LocalServer) -> None:
    """A deep man is lower than a bright woman, whatever the seed."""
    desk = server._desk
    assert desk is not None
    for seed in range(20):
        men = cast("A deep, male voice", seed, desk, None)
        women = cast("a bright young woman", seed, desk, None)
        assert {man.gender for man in men} == {"male"}
        assert {woman.gender for woman in women} == {"female"}
        assert max(man.pitch for man in men) < min(woman.pitch for woman in women)


async def test_candidates_are_different_persons(server: LocalServer) -> None:
    """No two have one timbre, and asking for fewer gives the first of them."""
    desk = server._desk
    assert desk is not None
    for seed in range(20):
        voices = cast("anybody", seed, desk, None)
        assert len({voice.variant for voice in voices}) == len(voices) == 4
    two, four = [
        [c["id"] for c in await designed(server, seed=7, n=n, reference_text="Hi.")] for n in (2, 4)
    ]
    assert two == four[:2]


async def test_a_language_is_no_voice(server: LocalServer) -> None:
    """What finds a voice elsewhere, an id or a timbre, is no language here."""
    for name in ("802e3bc2b27e49c2995d23ef70e6ac89", "German", "f3", "en-us+f3", ""):
        (candidate,) = await designed(server, language=name, n=1, reference_text="Hi.")
        assert candidate["language"] == "en-us"


async def test_numbers_may_be_written_with_a_point(server: LocalServer) -> None:
    """JSON knows one kind of number: 1.0 is a whole one."""
    assert len(await designed(server, n=1.0, seed=2.0, num_step=8.0, reference_text="Hi.")) == 1


async def test_a_failing_voice_is_a_503(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing, and gives its slot back."""

    def broken(_encoder: Encoder, _pcm: bytes) -> bytes:
        raise SynthesisError("error", "broken")

    monkeypatch.setattr(Encoder, "feed", broken)
    async with posting(server, path=PATH, json={"instruction": "x"}, headers=MODEL) as response:
        assert response.status == 503
        assert await response.json() == {"status": 503, "message": "the voice failed"}
    assert server.running == 0
    _, wallet = await answer(server, "GET", "/wallet/self/api-credit")
    assert wallet["credit"] == wallet["cumulative_top_up"]


async def test_the_language_is_spoken(server: LocalServer) -> None:
    """A hint that espeak-ng knows is followed; one that it does not is none."""
    assert (await designed(server, language="de", n=1))[0]["language"] == "de"
    assert (await designed(server, language="tlh", n=1))[0]["language"] == "en-us"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"instruction": ""}, {"instruction": "x" * 2001}, {"instruction": "x", "n": 5},
        {"instruction": "x", "n": 0}, {"instruction": "x", "speed": 0},
        {"instruction": "x", "speed": 3.1}, {"instruction": "x", "num_step": 129},
        {"instruction": "x", "reference_text": "x" * 151}, {"instruction": "x", "colour": "red"},
        {"instruction": "x", "guidance_scale": -1}, {"instruction": 1}, {"instruction": "\ud800"},
        {"instruction": "x", "n": 1.5}, {"instruction": "x", "n": "2"}, {"instruction": None},
        {"instruction": "x", "n": True}, {"instruction": "x", "seed": "1"},
        {"instruction": "x", "guidance_scale": 10**400},
    ],
)  # fmt: skip
async def test_what_is_out_of_range_is_a_400(server: LocalServer, body: dict[str, Any]) -> None:
    """Fields that do not exist are refused too."""
    async with posting(server, path=PATH, json=body, headers=MODEL) as response:
        assert response.status == 400
        assert set(await response.json()) >= {"status", "message"}


async def test_the_model_is_required(server: LocalServer) -> None:
    """Its header has one value."""
    for given in ({}, {"model": "s2-pro"}):
        async with posting(server, path=PATH, json={"instruction": "x"}, headers=given) as response:
            assert response.status == 400


async def test_a_design_costs_a_cent() -> None:
    """Only one that succeeds does."""
    async with LocalServer(credit=1.0) as server:
        await designed(server)
        async with posting(server, path=PATH, json={}, headers=MODEL):
            pass
        _, wallet = await answer(server, "GET", "/wallet/self/api-credit")
        assert Decimal(wallet["credit"]) == Decimal("0.99")
