"""``/fish/…`` and ``/v1/fish/…``: what the gateways answer, in the guides' own words."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from fishlive.server.bodies import read_json
from fishlive.server.desk import Desk
from fishlive.server.door import trace_id
from fishlive.server.gateway.eras import (
    GatewayRefusal,
    Record,
    acknowledgement,
    answer,
    document,
    unknown,
)
from fishlive.server.gateway.work import speech, voice
from fishlive.server.refusal import Refusal
from fishlive.server.request import Order, read_order

Handler = Callable[..., Awaitable[web.StreamResponse]]

MODELS: Final = {
    "2025": ("s1", "s2-pro"),
    "2026-05": ("s1", "s2-pro"),
    "2026-06": ("s1", "s2-pro"),
    "2026-09": ("s1", "s2-pro", "s2.1-pro"),
}
DEFAULT_MODEL: Final = "s2-pro"

ACTIONS: Final = ("generate", "speech")
"""Words for speech in ``audios``: the guide's, and the other documents'."""

MAX_BATCH: Final = 50
"""Tasks in one question (first-party clients, 2026)."""

_ID: Final = re.compile(r"[0-9a-f-]{36}")


def _gateway(handler: Handler) -> Handler:
    """Have every refusal of a handler say no as the gateways do."""

    @wraps(handler)
    async def handle(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
        trace = trace_id(request)
        try:
            _admit(request, desk)
            response = await handler(request, desk=desk, model=model)
        except GatewayRefusal as refusal:
            refusal.trace_id = refusal.trace_id or trace
            raise
        except Refusal as refusal:
            raise _translated(refusal, desk, trace) from refusal
        if not response.prepared:
            response.headers["x-trace-id"] = trace
        return response

    return handle


@_gateway
async def audios(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``POST /fish/audios``."""
    del model  # it is a field here
    fields = await read_json(request)
    prompt, voice_id = _text(fields, "prompt", desk), _text(fields, "voice_id", desk)
    if fields.get("action") not in ACTIONS:
        raise _bad(desk, "action is invalid.")
    if fields.get("model", "fish-tts") != "fish-tts":
        raise _bad(desk, "model is invalid.")
    order = _order({"text": prompt, "reference_id": voice_id}, DEFAULT_MODEL, desk)
    return await _paid(request, desk, "audios", fields, partial(speech, desk, order))


@_gateway
async def tts(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``POST /fish/tts``."""
    era = desk.settings.era
    model = request.headers.get("model") or DEFAULT_MODEL
    if model not in MODELS[era]:
        raise _bad(desk, "model is invalid.")
    fields = await read_json(request)
    _text(fields, "text", desk)
    form = _format(fields, desk)
    if fields.get("latency") == "":
        raise _bad(desk, "latency: Input should be 'normal' or 'balanced'", native=True)
    if fields.get("references") and fields.get("reference_id"):
        raise _bad(desk, "references and reference_id exclude each other", native=True)
    links = [_link(one, "audio", desk) for one in fields.get("references") or ()]
    # One sounding of a link is like another: the voice comes of its address.
    spoken = {**fields, "format": "mp3" if form == "mp3" else "opus" if form == "opus" else "wav"}
    spoken["references"] = [{"audio": link, "text": "."} for link in links] or None
    order = _order(spoken, model, desk)
    return await _paid(request, desk, "tts", fields, partial(speech, desk, order))


@_gateway
async def voices(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``POST /fish/voices``; a picture may be ``image_url`` or ``image_urls``."""
    del model  # a header of synthesis
    fields = await read_json(request)
    link = _link(fields, "voice_url", desk)
    work = partial(_cloned, desk, [link], fields)
    return await _paid(request, desk, "voices", fields, work)


@_gateway
async def create_model(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``POST /fish/model``, at once."""
    del model  # a header of synthesis
    fields = await read_json(request)
    _text(fields, "title", desk)
    given = fields.get("voices")
    if isinstance(given, list) and desk.settings.era == "2026-09" and "/v1/" not in request.path:
        raise _bad(desk, "voices is required and must be an HTTP(S) URL pointing to an audio file")
    links = [{"voices": one} for one in (given if isinstance(given, list) else [given])]
    checked = [_link(one, "voices", desk) for one in links]
    if not checked:
        raise _bad(desk, "voices is required and must be an HTTP(S) URL pointing to an audio file")
    return web.json_response(await voice(desk, checked, fields))


@_gateway
async def list_models(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``GET /fish/model`` as the service itself does."""
    from fishlive.server.voices import list_voices

    return await list_voices(request, desk=desk, model=model)


@_gateway
async def get_model(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``GET /fish/model/{id}``; an unknown one is a 400, as was measured."""
    del model  # a header of synthesis
    found = await desk.shelf.get(request.match_info["id"])
    if found is None:
        raise GatewayRefusal(
            HTTPStatus.BAD_REQUEST, "not_found", "Model not found", era=desk.settings.era
        )
    return web.json_response(found)


@_gateway
async def tasks(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer ``POST /fish/tasks``: one, or several."""
    del model  # a header of synthesis
    fields = await read_json(request)
    action, era = fields.get("action", "retrieve"), desk.settings.era
    if action == "retrieve":
        record = desk.jobs.find(fields.get("id"))
        if record is None:
            return web.json_response(unknown(era, trace_id(request)))
        _check_mood(desk, [record])
        return web.json_response(document(record, era))
    ids = fields.get("ids")
    if action == "retrieve_batch" and ids is None and "created_at_min" in fields:
        ids = _listed(fields, desk)
    if action != "retrieve_batch" or not isinstance(ids, list) or len(ids) > MAX_BATCH:
        raise _bad(desk, "action is invalid.")
    known = [record for one in ids if (record := desk.jobs.find(one)) is not None]
    _check_mood(desk, known)
    items = [document(record, era) for record in known]
    return web.json_response({"items": items, "count": len(items)})


def _listed(fields: Mapping[str, Any], desk: Desk) -> list[str]:
    """Return a page of the tasks of a span of time, as the API of a sibling service has it."""
    numbers = [fields.get("created_at_min"), fields.get("created_at_max", float("inf"))]
    page = [fields.get("offset", 0), fields.get("limit", 12)]
    if not all(type(n) in (int, float) for n in numbers) or not all(type(n) is int for n in page):
        raise _bad(desk, "created_at_min is invalid.")
    made = desk.jobs.made_between(*numbers)
    return made[max(0, page[0]) :][: max(0, min(page[1], MAX_BATCH))]


async def get_audio(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer a link to audio, with ranges, to whoever has it. Raises a 404 Refusal."""
    del model  # a header of synthesis
    name = request.match_info["name"].partition(".")[0]
    audio = desk.jobs.audio(name) if _ID.fullmatch(name) else None
    if audio is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no such file")
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{name}"', "Content-Type": audio.mime}
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(None)
    start, stop, _ = asked.indices(len(audio.data))
    if asked == slice(None) or asked.start is None:
        return web.Response(body=audio.data, headers=headers)
    if start >= len(audio.data):
        headers["Content-Range"] = f"bytes */{len(audio.data)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(audio.data)}"
    return web.Response(status=206, body=audio.data[start:stop], headers=headers)


async def _cloned(
    desk: Desk, links: list[str], fields: Mapping[str, Any], _record: Record, _origin: str
) -> dict[str, Any]:
    return await voice(desk, links, fields)


async def _paid(
    request: web.Request,
    desk: Desk,
    kind: str,
    fields: Mapping[str, Any],
    work: Callable[[Record, str], Awaitable[dict[str, Any]]],
) -> web.StreamResponse:
    """Work now, or later if that is asked for; then answer in the words of the era."""
    jobs = desk.jobs
    record = jobs.record(kind, fields)
    record.trace_id = trace_id(request)
    origin = str(request.url.origin())
    callback_url = fields.get("callback_url")
    if callback_url is not None and not isinstance(callback_url, str):
        raise _bad(desk, "callback_url is invalid.")
    knows_async = desk.settings.era in {"2026-06", "2026-09"}
    job = partial(work, record, origin)
    if callback_url or (knows_async and fields.get("async") is True):
        await jobs.begin(record, job, callback_url)
        return web.json_response(acknowledgement(record, desk.settings.era))
    await jobs.finish(record, job)
    if record.failed:
        raise _bad(desk, str((record.outcome or {}).get("message") or "the voice failed"))
    return web.json_response(answer(record))


def _admit(request: web.Request, desk: Desk) -> None:
    era = desk.settings.era
    authorization = request.headers.get("Authorization")
    try:
        desk.account.authenticate(authorization)
    except Refusal as refusal:
        if not authorization:
            raise GatewayRefusal(400, "no_token", "no token in the request", era=era) from refusal
        raise GatewayRefusal(401, "invalid_token", "the token is invalid", era=era) from refusal
    try:
        desk.account.check_credit(DEFAULT_MODEL)
    except Refusal as refusal:
        raise GatewayRefusal(403, "used_up", "the balance is used up", era=era) from refusal


def _translated(refusal: Refusal, desk: Desk, trace: str) -> GatewayRefusal:
    """Return a refusal of the service in the words of the gateways."""
    era, status = desk.settings.era, refusal.status
    code = {413: "content_too_large", 429: "too_many_requests", 503: "api_error"}.get(
        status, "bad_request"
    )
    native = status == HTTPStatus.BAD_REQUEST
    return GatewayRefusal(
        500 if status == HTTPStatus.SERVICE_UNAVAILABLE else status, code, refusal.message,
        era=era, trace_id=trace, native=native, headers=refusal.headers,
    )  # fmt: skip


def _check_mood(desk: Desk, records: list[Record]) -> None:
    """Raise the guides' 500 where a question is to fail."""
    refused = [record for record in records if desk.jobs.refuses(record)]
    if refused:
        raise GatewayRefusal(500, "api_error", "fetch failed", era=desk.settings.era)


def _order(fields: Mapping[str, Any], model: str, desk: Desk) -> Order:
    return read_order(
        fields, model=model, find=desk.studio.find, strict=desk.settings.strict, binary=False
    )


def _format(fields: Mapping[str, Any], desk: Desk) -> str:
    era, given = desk.settings.era, fields.get("format")
    known = {"2026-06": ("mp3", "pcm"), "2026-09": ("mp3", "wav", "pcm")}.get(
        era, ("mp3", "wav", "pcm", "opus")
    )
    if given is None and era == "2026-06":
        raise _bad(desk, "format: Field required", native=True)
    if given is not None and given not in known:
        listed = " or ".join(repr(one) for one in known)
        raise _bad(desk, f"format: Input should be {listed}", native=True)
    return given or "mp3"


def _text(fields: Mapping[str, Any], name: str, desk: Desk) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(desk, f"{name} is required")
    return value


def _link(fields: Any, name: str, desk: Desk) -> str:
    value = fields.get(name) if isinstance(fields, Mapping) else None
    try:
        if isinstance(value, str):
            parts = urlsplit(value)
            if parts.scheme in {"http", "https"} and parts.hostname:
                return value
    except ValueError:
        pass
    raise _bad(desk, f"{name} is required and must be an HTTP(S) URL pointing to an audio file")


def _bad(desk: Desk, message: str, *, native: bool = False) -> GatewayRefusal:
    era = desk.settings.era
    code = "token_mismatched" if era in {"2025", "2026-05"} else "bad_request"  # the guides
    return GatewayRefusal(HTTPStatus.BAD_REQUEST, code, message, era=era, native=native)
