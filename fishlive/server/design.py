"""``POST /v1/voice-design``: voices from a description, as far as espeak-ng goes.

A seed chooses timbre, accent and pitch, within what the description asks for in plain words:
whether it is a man or a woman, high or low. The same seed and description give the same voices.
"""

from __future__ import annotations

import base64
import hashlib
import io
import random
import re
import secrets
import wave
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fishlive.server.bodies import read_json
from fishlive.server.desk import Desk
from fishlive.server.refusal import bad_request
from fishlive.server.voice.catalogue import Voice
from fishlive.server.voice.encode import Encoder
from fishlive.server.voice.engine import FASTEST, SLOWEST

MODEL: Final = "voice-design-1"
"""The one model of this endpoint; its header is required (OpenAPI description, 2026-09)."""

RATE_HZ: Final = 24_000
"""Of the candidates, in samples a second."""

PREVIEW: Final = "Hello. This is how I sound when I read a sentence to you."
"""What a voice says that was given nothing to say."""

_FEMALE: Final = re.compile(r"\b(female|woman|women|girl|lady|she|her|mother|grandmother)\b")
_MALE: Final = re.compile(r"\b(male|man|men|boy|gentleman|he|his|father|grandfather)\b")
_LOW: Final = re.compile(r"\b(deep|low|dark|bass|old|elderly|gravelly)\b")
_HIGH: Final = re.compile(r"\b(high|bright|young|child|thin)\b")

_PITCH: Final = {"low": (25, 42), "middle": (40, 60), "high": (58, 75)}
"""Ranges of espeak-ng's pitch, of 0 to 100, that stay natural."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    instruction: Annotated[str, Field(min_length=1, max_length=2000)]
    reference_text: Annotated[str, Field(max_length=150)] | None = None
    language: str | None = None
    n: Annotated[int, Field(ge=1, le=4)] = 2
    speed: Annotated[float, Field(gt=0, le=3)] = 1.0
    num_step: Annotated[int, Field(ge=1, le=128)] = 32
    guidance_scale: Annotated[float, Field(ge=0)] = 2.0
    instruct_guidance_scale: Annotated[float, Field(ge=0)] = 0.0
    seed: int | None = None


async def design(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer with candidates.

    Raises:
        Refusal: 400, 413, 429 or 503.
    """
    if model != MODEL:
        raise bad_request(f"model: expected {MODEL}")
    wanted = _checked(await read_json(request))
    slot = desk.account.slot()
    try:
        seed = secrets.randbits(32) if wanted.seed is None else wanted.seed
        candidates = [await _candidate(wanted, seed, index, desk) for index in range(wanted.n)]
    finally:
        slot.release()
    desk.account.charge_design()
    return web.json_response({"candidates": candidates})


def _checked(fields: dict[str, Any]) -> _Request:
    try:
        return _Request.model_validate(fields)
    except ValidationError as error:
        item = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in item["loc"])
        raise bad_request(f"{where}: {item['msg']}") from error


async def _candidate(wanted: _Request, seed: int, index: int, desk: Desk) -> dict[str, Any]:
    text = wanted.reference_text or PREVIEW
    recipe = f"{seed}:{index}:{wanted.instruction}:{wanted.language}"
    identity = hashlib.sha256(recipe.encode("utf-8", "replace")).hexdigest()[:32]
    voice = cast(wanted.instruction, identity, desk, wanted.language)
    speed = min(max(wanted.speed, SLOWEST), FASTEST)
    speech = await desk.studio.say(text, voice=voice, speed=speed)
    recording = await desk.studio.work(partial(_wav, speech.pcm))
    return {
        "id": identity,
        "index": index,
        "audio_base64": base64.b64encode(recording).decode(),
        "sample_rate": RATE_HZ,
        "duration_ms": round(1000 * speech.duration_s),
        "text": text,
        "instruct": wanted.instruction,
        "language": voice.language,
    }


def cast(instruction: str, identity: str, desk: Desk, language: str | None) -> Voice:
    """Return a voice for a description; the identity chooses where the description does not."""
    chance = random.Random(identity)  # noqa: S311 - to choose, not to hide
    words = instruction.lower()
    base = (desk.studio.find(language) if language else None) or desk.studio.find(None)
    assert base is not None  # noqa: S101 - there is always a default
    gender = "female" if _FEMALE.search(words) else "male" if _MALE.search(words) else ""
    timbres = [v for v in desk.studio.timbres() if not gender or v.gender == gender]
    chosen = chance.choice(timbres)
    height = "low" if _LOW.search(words) else "high" if _HIGH.search(words) else "middle"
    pitch = chance.randint(*_PITCH[height])
    return replace(base, id=identity, variant=chosen.variant, gender=chosen.gender, pitch=pitch)


def _wav(pcm: bytes) -> bytes:
    """Return speech as a whole WAV file at RATE_HZ."""
    encoder = Encoder(format="pcm", sample_rate_hz=RATE_HZ)
    samples = encoder.feed(pcm) + encoder.finish()
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(samples)
    return file.getvalue()
