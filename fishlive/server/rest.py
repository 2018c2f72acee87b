"""A text in, its audio out while it is still being spoken: ``POST /v1/tts`` and what is like it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import web

from fishlive.server.bodies import MESSAGEPACK, parsed
from fishlive.server.cutting import TextBuffer
from fishlive.server.desk import Desk
from fishlive.server.faults.stage import stage_of
from fishlive.server.refusal import Refusal, bad_request
from fishlive.server.request import Order, read_order
from fishlive.server.speaking import Inbox, Piece, Speaking, Spoken

_log: Final = logging.getLogger("fishlive.server")

_SURROGATE: Final = b"\\ud"
"""Begins every spelling of a surrogate in JSON, of pairs and of lone ones, but for its case."""


async def speak(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer with the audio, chunk by chunk, from the first one on. Raises as :func:`spoken`."""
    return await spoken(request, desk=desk, model=model, form=AUDIO)


class Form(NamedTuple):
    """What speech is sent as.

    Attributes:
        timed: Whether the alignment of each piece is completed by an event without audio.
        write: Makes bytes of an event.
        mime: Its media type; None for the audio's own.
    """

    timed: bool
    write: Callable[[Spoken], bytes]
    mime: str | None = None


def _audio(event: Spoken) -> bytes:
    return event.audio


AUDIO: Final = Form(timed=False, write=_audio)


async def spoken(request: web.Request, *, desk: Desk, model: str, form: Form) -> web.StreamResponse:
    """Answer with the text of the request, spoken, in a form.

    Raises:
        Refusal: 400, 413, 429 or 503, before any audio.
    """
    binary = request.content_type in MESSAGEPACK
    body = _parse(await _body(request, desk.settings.max_body_bytes), binary=binary)
    order = read_order(
        body, model=model, find=desk.studio.find, strict=desk.settings.strict, binary=binary
    )
    _check_length(order, desk.settings.max_text_bytes)
    slot = desk.account.slot()
    try:
        desk.account.charge(order.text, model)
        return await _stream(request, order, desk=desk, form=form)
    finally:
        slot.release()


async def _stream(
    request: web.Request, order: Order, *, desk: Desk, form: Form
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": form.mime or order.mime})

    stage = stage_of(request)

    async def say(data: bytes) -> None:
        if not response.prepared:
            await response.prepare(request)
        await response.write(data)

    async def emit(spoken: Spoken) -> None:
        await stage.audio(form.write(spoken))

    stage.say = say
    speaking = Speaking(
        order, studio=desk.studio, profile=desk.settings.pace, emit=emit, timed=form.timed
    )
    try:
        await stage.started()
        await speaking.run(_inbox(order))
        await stage.finishing(b"")
    except ConnectionError:
        return response  # the client is gone
    except Exception as error:  # whatever broke, the client must hear of it
        _log.warning("speaking failed", exc_info=error)
        if not response.prepared:
            sentence = "the voice failed"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from error
        # A body that just ended would look complete: cut it off instead.
        if request.transport is not None:
            request.transport.abort()
        return response
    if not response.prepared:
        await response.prepare(request)  # nothing to say is no error (observed, 2026-10)
    return response


def _inbox(order: Order) -> Inbox:
    inbox: Inbox = asyncio.Queue()
    buffer = TextBuffer(chunk_length=order.chunk_length, min_chunk_length=order.min_chunk_length)
    now_s = asyncio.get_running_loop().time()
    for piece in (*buffer.add(order.text), *buffer.flush()):
        inbox.put_nowait(Piece(piece, now_s))
    inbox.put_nowait(None)
    return inbox


async def _body(request: web.Request, limit_bytes: int) -> bytes:
    too_large = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Payload too large", plain=True)
    if (request.content_length or 0) > limit_bytes:
        raise too_large
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large from error


def _parse(body: bytes, *, binary: bool) -> Mapping[str, Any]:
    """Read the body; a 400 in plain text if it cannot be (errors page, 2026-08)."""
    fields = parsed(body, binary=binary)
    if not binary and _SURROGATE in body.lower():
        _check_unicode(fields)
    return fields


def _check_unicode(fields: Mapping[str, Any]) -> None:
    # JSON can spell half a character; no answer can hold it.
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise bad_request("lone surrogate in hex escape", plain=True) from error


def _check_length(order: Order, limit_bytes: int) -> None:
    if len(order.text.encode("utf-8", "replace")) > limit_bytes:
        raise bad_request(f"text too long: at most {limit_bytes} bytes")
