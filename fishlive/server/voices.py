"""``/model``: voices that are made of samples, kept, and spoken with.

Fields, ranges and defaults: OpenAPI description (2026-09).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeAlias

from aiohttp import web
from pydantic import BaseModel, Field

from fishlive.server.accounts import USER_ID
from fishlive.server.bodies import (
    File,
    FormText,
    OneOrMore,
    checked,
    grouped,
    read_fields,
    wrong,
)
from fishlive.server.desk import Desk
from fishlive.server.refusal import Refusal
from fishlive.server.samples import is_audio
from fishlive.server.voice_rows import NewVoice, Question, Sample

MAX_SAMPLES: Final = 20
"""Samples, and texts, of one voice (OpenAPI description, 2026-09)."""

DEFAULT_TEXT: Final = "This is how I sound. You can have me say anything you like."
"""What a voice says of itself if ``generate_sample`` asks for it: the text, not the sound."""

Visibility: TypeAlias = Literal["public", "unlist", "private"]
_Texts: TypeAlias = Annotated[list[FormText], OneOrMore]


class _Query(BaseModel):
    page_size: int = Field(default=10, ge=1, le=100)
    page_number: int = Field(default=1, ge=1)
    title: FormText | None = None
    tag: _Texts = []
    own: bool = Field(default=False, alias="self")
    author_id: FormText | None = None
    language: _Texts = []
    title_language: _Texts = []
    licensed: bool = False
    sort_by: Literal["score", "task_count", "created_at"] = "score"


class _New(BaseModel):
    type: Literal["tts"]
    title: FormText
    train_mode: Literal["fast"]
    voices: Annotated[list[File], OneOrMore, Field(min_length=1, max_length=MAX_SAMPLES)]
    visibility: Visibility = "public"
    description: FormText | None = None
    cover_image: File | None = None
    texts: Annotated[_Texts, Field(max_length=MAX_SAMPLES)] | None = None
    tags: _Texts | None = None
    enhance_audio_quality: bool = True
    generate_sample: bool = False


class _Change(BaseModel):
    title: FormText | None = None
    description: FormText | None = None
    cover_image: File | None = None
    visibility: Visibility | None = None
    tags: _Texts = []


async def list_voices(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a page of the account's voices, or of the public ones and the engine's own.

    Raises:
        Refusal: 422 for a query outside its documented ranges.
    """
    del model  # a header of synthesis
    query = checked(_Query, grouped(request.query.items()), where="query")
    offset = (query.page_number - 1) * query.page_size
    question = Question(
        own=query.own,
        author_id=query.author_id,
        title=query.title,
        tags=tuple(query.tag),
        languages=tuple(query.language),
        title_languages=tuple(query.title_language),
        licensed=query.licensed,
        order=query.sort_by,
        limit=query.page_size,
        offset=offset,
    )
    total, items = await desk.shelf.page(question)
    return web.json_response(
        {
            "total": total,
            "items": items,
            "has_more": offset + len(items) < total,
            "max_offset": None,
            "accessible_upper_bound": None,
            "window_limited": False,
            "total_is_exact": True,
        }
    )


async def create_voice(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer 201 with the new voice. One sample that is no sound, and its training will fail.

    Raises:
        Refusal: 400 in plain text for a body that cannot be read; 413; 422 for missing or wrong
            fields, more than 20 samples, or a public voice without a cover image.
    """
    del model  # a header of synthesis
    form = checked(_New, await read_fields(request))
    cover = form.cover_image.data if form.cover_image else b""
    _check_cover(form.visibility, bool(cover))
    texts = [*(form.texts or ()), *[""] * len(form.voices)]
    samples = [
        Sample(file.name or f"Sample {at}", text, file.data)
        for at, (file, text) in enumerate(zip(form.voices, texts, strict=False), 1)
    ]
    new = NewVoice(
        title=form.title,
        description=form.description or "",
        visibility=form.visibility,
        tags=form.tags or [],
        samples=samples,
        audible=await desk.studio.work(lambda: all(is_audio(each.audio) for each in samples)),
        cover=cover,
        default_text=DEFAULT_TEXT if form.generate_sample else "",
    )
    return web.json_response(await desk.shelf.create(new), status=HTTPStatus.CREATED)


async def get_voice(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a voice. Raises a 404 Refusal."""
    del model  # a header of synthesis
    return web.json_response(await _known(request, desk))


async def update_voice(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Change what was sent of a voice; answer with nothing.

    What was left out stays. Null empties description and cover image, and leaves title and
    visibility, which no voice can be without.

    Raises:
        Refusal: 403 for a voice of the engine, 404; as for a new one 400, 413, 422.
    """
    del model  # a header of synthesis
    voice = await _own(request, desk)
    form = checked(_Change, await read_fields(request))
    given = form.model_dump(include=form.model_fields_set - {"cover_image"})
    changes = {name: value for name, value in given.items() if value is not None}
    if "description" in given:
        changes["description"] = given["description"] or ""
    cover = None
    if "cover_image" in form.model_fields_set:
        cover = form.cover_image.data if form.cover_image else b""
    covered = bool(voice["cover_image"]) if cover is None else bool(cover)
    _check_cover(form.visibility or voice["visibility"], covered)
    if not await desk.shelf.update(voice["_id"], changes, cover=cover):
        raise _not_found()  # it was deleted meanwhile
    return web.Response()


async def delete_voice(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Forget a voice; answer with nothing. Raises a 403 or 404 Refusal."""
    del model  # a header of synthesis
    voice = await _own(request, desk)
    await desk.shelf.delete(voice["_id"])
    return web.Response()


async def get_cover(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a voice's picture, as it was sent. Raises a 404 Refusal."""
    del model  # a header of synthesis
    return _file(await desk.shelf.cover(request.match_info["id"]))


async def get_sample(request: web.Request, *, desk: Desk, model: str) -> web.Response:
    """Answer with a sample, as it was sent. Raises a 404 Refusal."""
    del model  # a header of synthesis
    return _file(await desk.shelf.sample(request.match_info["id"]))


async def _known(request: web.Request, desk: Desk) -> dict[str, Any]:
    voice = await desk.shelf.get(request.match_info["id"])
    if voice is None:
        raise _not_found()
    return voice


async def _own(request: web.Request, desk: Desk) -> dict[str, Any]:
    voice = await _known(request, desk)
    if voice["author"]["_id"] != USER_ID:
        raise Refusal(HTTPStatus.FORBIDDEN, "this voice belongs to somebody else")
    return voice


def _not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "Model not found")


def _check_cover(visibility: str, covered: bool) -> None:  # noqa: FBT001 - two facts, no option
    if visibility == "public" and not covered:
        raise wrong("cover_image", "cover_image is required if the model is public", kind="missing")


def _file(data: bytes | None) -> web.Response:
    if data is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no such file")
    # Whatever was uploaded: no browser shall take it for a page.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    return web.Response(body=data, headers=headers)
