"""``POST /v1/asr``: a recording in, its words out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from fishlive.server import hearing
from fishlive.server.accounts import ASR_MODELS
from fishlive.server.bodies import Upload, read_fields
from fishlive.server.desk import Desk
from fishlive.server.door import trace_id
from fishlive.server.refusal import Refusal, bad_request

MISSING: Final = (
    'this local server has no recogniser: stop it, pip install "fishlive[asr]", start it again'
)

NO_AUDIO: Final = "Audio is not valid"

_PRO: Final = ASR_MODELS[1]
_FORMS: Final = frozenset(
    {
        "multipart/form-data", "application/msgpack", "application/x-msgpack",
        "application/vnd.msgpack",
    }
)  # fmt: skip
"""Media types that are taken; JSON with base64 is not (speech-to-text page, 2026-08)."""

_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}
_SPEAKER: Final = "<|speaker:0|>"
"""How transcribe-1-pro marks who speaks (OpenAPI description, 2026-09). We hear one voice."""


async def transcribe(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer with the transcript.

    The language is always English, whatever the hint; the service hears which it is.

    Raises:
        Refusal: 400, 413, 429, or 501 without the extra ``asr``.
    """
    if request.content_type not in _FORMS:
        raise bad_request("the request body is neither multipart/form-data nor MessagePack")
    fields = await read_fields(request)
    audio = _audio(fields.get("audio"))
    _check_language(fields.get("language"))
    timed = not _flag(fields.get("ignore_timestamps"))
    if not hearing.is_installed():
        raise Refusal(HTTPStatus.NOT_IMPLEMENTED, MISSING)
    slot = desk.account.slot()
    try:
        heard = await hearing.hear(audio)
    except hearing.NoSound as error:
        raise bad_request(NO_AUDIO) from error
    finally:
        slot.release()
    desk.account.charge_asr(heard.duration_s)
    return web.json_response(
        _answer(heard, timed=timed, pro=model == _PRO, trace=trace_id(request))
    )


def _answer(heard: hearing.Hearing, *, timed: bool, pro: bool, trace: str) -> dict[str, Any]:
    words = [{"text": w.text, "start": w.start_s, "end": w.end_s} for w in heard.words]
    answer: dict[str, Any] = {
        "text": heard.text,
        "duration": round(heard.duration_s, 3),
        "segments": words if timed else [],
        "request_id": trace,
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
    if not isinstance(data, bytes) or not data:
        raise bad_request(NO_AUDIO)
    return data


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
