"""``POST /v1/asr``: a recording in, its words out."""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from fishlive.server import hearing
from fishlive.server.accounts import ASR_MODELS
from fishlive.server.bodies import MESSAGEPACK, Upload, read_fields
from fishlive.server.desk import Desk
from fishlive.server.refusal import Refusal, bad_request

_log: Final = logging.getLogger("fishlive.server")

MISSING: Final = 'this local server has no recogniser: pip install "fishlive[asr]"'

NO_AUDIO: Final = "Audio is not valid"

_PRO: Final = ASR_MODELS[1]
_FORMS: Final = MESSAGEPACK | {"multipart/form-data"}
"""Media types that are taken; JSON with base64 is not (speech-to-text page, 2026-08)."""

_HEADER_BYTES: Final = 512
"""Where a WAV file's samples have begun, in bytes: 44 as a rule, more if it has tags."""

_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}
_SPEAKER: Final = "<|speaker:0|>"
"""How transcribe-1-pro marks who speaks (OpenAPI description, 2026-09). We hear one voice."""


async def transcribe(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer with the transcript.

    The language is always English, whatever the hint; the service hears which it is. Silence is a
    transcript without words here, and was seen to be a 503 there (2026-09).

    Raises:
        Refusal: 400, 413, 429, 501 without the extra ``asr``, or 503.
    """
    if request.content_type not in _FORMS:
        raise bad_request("the request body is neither multipart/form-data nor MessagePack")
    fields = await read_fields(request)
    audio = _audio(fields.get("audio"))
    _check_language(fields.get("language"))
    timed = not _flag(fields.get("ignore_timestamps"))
    slot = desk.account.slot()
    try:
        heard = await _heard(audio)
    finally:
        slot.release()
    desk.account.charge_asr(heard.duration_s)
    return web.json_response(_answer(heard, timed=timed, pro=model == _PRO))


async def _heard(audio: bytes) -> hearing.Hearing:
    try:
        return await hearing.hear(audio)
    except hearing.NoSound as error:
        raise bad_request(NO_AUDIO) from error
    except hearing.NoRecogniser as error:
        raise Refusal(HTTPStatus.NOT_IMPLEMENTED, MISSING) from error
    except hearing.Deaf as error:
        _log.warning("the recogniser failed", exc_info=error)
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the recogniser failed") from error


def _answer(heard: hearing.Hearing, *, timed: bool, pro: bool) -> dict[str, Any]:
    words = [{"text": w.text, "start": w.start_s, "end": w.end_s} for w in heard.words]
    answer: dict[str, Any] = {
        "text": heard.text,
        "duration": round(heard.duration_s, 3),
        "segments": words if timed else [],
        "request_id": secrets.token_hex(16),
    }
    if words:
        answer |= {"language_code": "en", "language": "English"}
    if pro and words:
        answer["text"] = f"{_SPEAKER}{heard.text}"
        turn = {"speaker": 0, "start": words[0]["start"], "end": words[-1]["end"]}
        answer["speaker_turns"] = [{**turn, "text": heard.text}]
    return answer


def _audio(value: object) -> bytes:
    if value is None:
        raise bad_request("missing field `audio`", plain=True)
    data = value.data if isinstance(value, Upload) else value
    if not isinstance(data, bytes) or not data or _is_empty_wave(data):
        raise bad_request(NO_AUDIO)
    return data


def _is_empty_wave(data: bytes) -> bool:
    """Return whether a WAV header says that nothing follows, as streams' headers may.

    Their other habit, sizes of 0xFFFFFFFF, is taken (both observed, api notes, 2026-10).
    """
    at = data.find(b"data", 12, _HEADER_BYTES)
    return data.startswith(b"RIFF") and at > 0 and data[at + 4 : at + 8] == bytes(4)


def _check_language(value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise bad_request("language: expected a string", plain=True)


def _flag(value: object) -> bool:
    """Return whether timestamps are to be ignored: a boolean, or a form's word for one."""
    if value is None:
        return True
    known = _TRUTH.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise bad_request("ignore_timestamps: expected a boolean", plain=True)
    return known
