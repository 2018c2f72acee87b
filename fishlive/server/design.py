"""``POST /v1/voice-design``: voices from a description, as far as espeak-ng goes.

A seed chooses timbre and pitch, within what the description asks for in plain words: whether it
is a man or a woman, high or low. The same seed, description and language give the same voices,
however many are asked for; what guides diffusion is checked, and guides nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import random
import re
import secrets
import wave
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeAlias

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fishlive.errors import FishLiveError
from fishlive.server.bodies import read_json
from fishlive.server.desk import Desk
from fishlive.server.refusal import Refusal, bad_request
from fishlive.server.voice.catalogue import Voice
from fishlive.server.voice.encode import Encoder
from fishlive.server.voice.engine import FASTEST, SLOWEST

_log: Final = logging.getLogger("fishlive.server")

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

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
"""What is looked up as a language; espeak-ng's other names, and voices' ids, are none."""

MAX_CANDIDATES: Final = 4
"""Voices of one request (OpenAPI description, 2026-09)."""

_PITCH: Final = {"low": (25, 42), "middle": (40, 60), "high": (58, 75)}
"""Ranges of espeak-ng's pitch, of 0 to 100, that stay natural."""


def _whole(value: object) -> object:
    # JSON does not tell 2.0 from 2.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Integer: TypeAlias = Annotated[int, BeforeValidator(_whole)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    instruction: Annotated[str, Field(min_length=1, max_length=2000)]
    reference_text: Annotated[str, Field(max_length=150)] | None = None
    language: str | None = None
    n: Annotated[_Integer, Field(ge=1, le=MAX_CANDIDATES)] = 2
    speed: Annotated[float, Field(gt=0, le=3)] = 1.0
    num_step: Annotated[_Integer, Field(ge=1, le=128)] = 32
    guidance_scale: Annotated[float, Field(ge=0)] = 2.0
    instruct_guidance_scale: Annotated[float, Field(ge=0)] = 0.0
    seed: _Integer | None = None


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
        voices = cast(wanted.instruction, seed, desk, wanted.language)[: wanted.n]
        candidates = [await _candidate(wanted, desk, *voice) for voice in enumerate(voices)]
    except FishLiveError as error:
        _log.warning("designing failed", exc_info=error)
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the voice failed") from error
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


async def _candidate(wanted: _Request, desk: Desk, index: int, voice: Voice) -> dict[str, Any]:
    text = wanted.reference_text or PREVIEW
    speed = min(max(wanted.speed, SLOWEST), FASTEST)
    speech = await desk.studio.say(text, voice=voice, speed=speed)
    recording = await desk.studio.work(partial(_wav, speech.pcm))
    return {
        "id": voice.id,
        "index": index,
        "audio_base64": base64.b64encode(recording).decode(),
        "sample_rate": RATE_HZ,
        "duration_ms": round(1000 * speech.duration_s),
        "text": text,
        "instruct": wanted.instruction,
        "language": voice.language,
    }


def cast(instruction: str, seed: int, desk: Desk, language: str | None) -> list[Voice]:
    """Return MAX_CANDIDATES voices for a description; the seed chooses where it does not."""
    recipe = f"{seed}:{instruction}:{language}"
    chance = random.Random(recipe)  # noqa: S311 - to choose, not to hide
    words = instruction.lower()
    base = desk.studio.find(language) if language and _TAG.fullmatch(language) else None
    base = base or desk.studio.find(None)
    assert base is not None  # noqa: S101 - there is always a default
    gender = "female" if _FEMALE.search(words) else "male" if _MALE.search(words) else ""
    timbres = [v for v in desk.studio.timbres() if not gender or v.gender == gender]
    # All different, unless a later espeak-ng has fewer timbres than that.
    chosen = (chance.sample(timbres, len(timbres)) * MAX_CANDIDATES)[:MAX_CANDIDATES]
    height = "low" if _LOW.search(words) else "high" if _HIGH.search(words) else "middle"
    return [
        replace(
            base,
            id=hashlib.sha256(f"{index}:{recipe}".encode()).hexdigest()[:32],
            variant=timbre.variant,
            gender=timbre.gender,
            pitch=chance.randint(*_PITCH[height]),
        )
        for index, timbre in enumerate(chosen)
    ]


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
