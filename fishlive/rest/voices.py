"""Voices: to find, make, change and delete. The API calls them models."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, Literal

import anyio

from fishlive.errors import ConfigError, StallTimeout, SynthesisError
from fishlive.models.voice import (
    MAX_PAGE,
    NewVoice,
    SortBy,
    Visibility,
    Voice,
    VoiceChanges,
    VoicePage,
    VoiceQuery,
)
from fishlive.models.voice_walk import Walk
from fishlive.rest.voice_bodies import UNSET, Unset, file_parts, patches, sample_list
from fishlive.transport.http import Call, Http, Timeouts, quote_id
from fishlive.transport.upload import Multipart, OnProgress, Part, Source

PATH: Final = "/model"

TRAINING_S: Final = 600.0
"""How long ``wait_until_trained`` waits unless told, in seconds. Fast training takes seconds; ten
minutes are a queue that nobody is working on."""

POLL_S: Final = 1.0
"""Wait before the second look at a voice in training, in seconds; it doubles up to POLL_CAP_S."""

POLL_CAP_S: Final = 15.0
"""Longest wait between two looks, in seconds."""


class Voices:
    """Finds, makes, changes and deletes voices."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(
        self,
        *,
        page_size: int | None = None,
        page_number: int | None = None,
        title: str | None = None,
        tag: str | Sequence[str] | None = None,
        mine: bool | None = None,
        author_id: str | None = None,
        language: str | Sequence[str] | None = None,
        title_language: str | Sequence[str] | None = None,
        licensed: bool | None = None,
        sort_by: SortBy | None = None,
    ) -> VoicePage:
        """Return one page of voices. Source: openapi.json, ``GET /model`` (2026-09).

        Args:
            page_size: Voices on a page, 1 to 100; 10 if None.
            page_number: Which page, from 1.
            title: In the title.
            tag: One or several.
            mine: Whether only the key's own.
            author_id: By this user.
            language: One or several.
            title_language: One or several.
            licensed: Whether only licensed ones.
            sort_by: ``score`` (the default), ``task_count`` or ``created_at``.

        Raises:
            ConfigError: An argument is out of range; it names which.
            APIStatusError: The service refused; its subclass says why.
        """
        filters: dict[str, Any] = {
            "page_size": page_size,
            "page_number": page_number,
            "title": title,
            "tag": tag,
            "mine": mine,
            "author_id": author_id,
            "language": language,
            "title_language": title_language,
            "licensed": licensed,
            "sort_by": sort_by,
        }
        return await self._page(VoiceQuery(**filters))

    async def iter(
        self,
        *,
        page_size: int | None = MAX_PAGE,
        title: str | None = None,
        tag: str | Sequence[str] | None = None,
        mine: bool | None = None,
        author_id: str | None = None,
        language: str | Sequence[str] | None = None,
        title_language: str | Sequence[str] | None = None,
        licensed: bool | None = None,
        sort_by: SortBy | None = None,
    ) -> AsyncGenerator[Voice, None]:
        """Yield all voices that fit, each once, page by page as they are read.

        A page is asked for when the one before it was read. A voice that moves to an earlier page
        meanwhile may be missed. Ends at a page without voices, after MOST_STALE_PAGES in a row
        without a new one, or where the service says so.

        Args:
            page_size: Voices on a page, 1 to 100; 10 if None.
            title: This filter and all others are as in :meth:`list`.

        Raises:
            ConfigError: An argument is out of range; it names which, at the first step.
            APIStatusError: The service refused; its subclass says why.
        """
        filters: dict[str, Any] = {
            "page_size": page_size,
            "title": title,
            "tag": tag,
            "mine": mine,
            "author_id": author_id,
            "language": language,
            "title_language": title_language,
            "licensed": licensed,
            "sort_by": sort_by,
        }
        query, walk = VoiceQuery(page_number=1, **filters), Walk()
        while not walk.over:
            page = await self._page(query.model_copy(update={"page_number": walk.number}))
            for voice in walk.take(page):
                yield voice

    async def get(self, voice_id: str) -> Voice:
        """Return a voice. Source: openapi.json, ``GET /model/{id}`` (2026-09).

        Raises:
            ConfigError: An id that no path can carry.
            NotFoundError: There is no such voice.
            PermissionDeniedError: It is somebody else's.
        """
        return Voice.read(
            await self._http.json(Call(method="GET", path=_path(voice_id), safe=True))
        )

    async def create(
        self,
        *,
        title: str,
        samples: Source | Sequence[Source],
        texts: str | Sequence[str] | None = None,
        tags: str | Sequence[str] | None = None,
        description: str | None = None,
        cover_image: Source | None = None,
        visibility: Visibility = "private",
        enhance_audio_quality: bool | None = None,
        generate_sample: bool | None = None,
        train_mode: Literal["fast"] = "fast",
        on_progress: OnProgress | None = None,
        extra: Mapping[str, object] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Voice:
        """Make a voice from recordings, and return it, maybe still in training.

        Files are uploaded as they are read. Never repeated once it may have been carried out.
        Cancelling closes the connection; the voice may have been made all the same. Source:
        openapi.json, ``POST /model`` (2026-09).

        Args:
            title: What people call it.
            samples: 1 to 20 recordings: bytes, paths, open files, or async iterables of bytes. One
                alone needs no list.
            texts: What is said in each, in order; the service listens for itself if None.
            tags: For those who look for it.
            description: What it sounds like.
            cover_image: A picture; a public voice needs one.
            visibility: Who finds it: ``private``, ``unlist`` (who knows its id) or ``public``.
                The API's own default is public.
            enhance_audio_quality: Whether the recordings are cleaned; the service does if None.
            generate_sample: Whether a recording to listen to is made.
            train_mode: ``fast``, which is all there is.
            on_progress: Called after each piece with the bytes sent so far, and all there are if
                that is known. What it raises ends the call.
            extra: Fields this version does not know, merged last.
            timeouts: Other than the session's.

        Raises:
            ConfigError: An argument is wrong, or a file is missing, unreadable or empty; it names
                which, and nothing was sent.
            APIStatusError: The service refused; its subclass says why.
        """
        given: dict[str, Any] = {
            "title": title,
            "visibility": visibility,
            "description": description,
            "tags": tags,
            "texts": texts,
            "enhance_audio_quality": enhance_audio_quality,
            "generate_sample": generate_sample,
            "train_mode": train_mode,
            "covered": cover_image is not None,
            "extra": extra,
        }
        fields = NewVoice(**given)
        recordings = sample_list(samples)
        if fields.texts is not None and len(fields.texts) != len(recordings):
            raise ConfigError("texts must have one text for each sample", argument="texts")
        files = await file_parts(recordings, cover_image)
        plain = [Part.text(name, value) for name, value in fields.form()]
        call = Call(method="POST", path=PATH, timeouts=timeouts)
        form = Multipart((*plain, *files), on_progress)
        return Voice.read(await self._http.json(call.with_body(form)))

    async def update(
        self,
        voice_id: str,
        *,
        title: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        visibility: Visibility | Unset = UNSET,
        tags: str | Sequence[str] | Unset | None = UNSET,
        cover_image: Source | Unset | None = UNSET,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Change a voice. A field that is left out is untouched.

        Repeated after a failure, because changing it twice does no harm. A new picture goes as a
        form, in which no list can be empty: clearing the tags beside it is a second request, sent
        when the first was taken. Source: openapi.json, ``PATCH /model/{id}`` (2026-09).

        Args:
            voice_id: Which.
            title: Not empty.
            description: None clears it.
            visibility: Who finds it.
            tags: None clears them.
            cover_image: Another picture. None sends a null, which the description allows without
                saying that it clears; a public voice cannot be without one.
            timeouts: Other than the session's, for each request.

        Raises:
            ConfigError: An argument is wrong, or there is nothing to change; nothing was sent.
            APIStatusError: The service refused; its subclass says why.
        """
        given = {"title": title, "description": description, "visibility": visibility, "tags": tags}
        chosen: dict[str, Any] = {
            name: value for name, value in given.items() if value is not UNSET
        }
        changes = VoiceChanges(**chosen).changes()
        if not changes and cover_image is UNSET:
            raise ConfigError("nothing to change", argument="title")
        if cover_image is None and visibility == "public":
            raise ConfigError("a public voice needs a cover_image", argument="cover_image")
        call = Call(method="PATCH", path=_path(voice_id), safe=True, timeouts=timeouts)
        for body, content_type in await patches(changes, cover_image):
            await self._http.bytes(call.with_body(body, content_type))  # whatever it answers

    async def delete(self, voice_id: str) -> None:
        """Delete a voice for good. Source: openapi.json, ``DELETE /model/{id}`` (2026-09).

        Not repeated once it may have been carried out: the second would find nothing.

        Raises:
            ConfigError: An id that no path can carry.
            NotFoundError: There is no such voice.
            PermissionDeniedError: It is somebody else's.
        """
        await self._http.bytes(Call(method="DELETE", path=_path(voice_id)))

    async def wait_until_trained(
        self, voice_id: str, *, timeout_s: float | None = TRAINING_S, poll_s: float = POLL_S
    ) -> Voice:
        """Return a voice once it can be used. Cancelling is harmless.

        It looks at once, then after ``poll_s``, then after twice as long each time up to
        POLL_CAP_S, but after half of what is left of ``timeout_s`` if that is less, and never more
        often than ``poll_s``. A state this version does not know is waited through.

        Args:
            voice_id: Which.
            timeout_s: How long to wait, in seconds; None for ever.
            poll_s: Wait before the second look, in seconds.

        Raises:
            SynthesisError: Training failed; its reason is ``failed``.
            StallTimeout: It took longer; its phase is ``training``.
            ConfigError: A time that is none.
            APIStatusError: The service refused; its subclass says why.
        """
        limit_s = math.inf if timeout_s is None else _seconds(timeout_s, "timeout_s")
        wait_s = least_s = _seconds(poll_s, "poll_s")
        with anyio.move_on_after(limit_s) as scope:
            while True:
                voice = await self.get(voice_id)
                if voice.trained:
                    return voice
                if voice.state == "failed":
                    raise SynthesisError("failed", "the voice could not be made of its samples")
                left_s = scope.deadline - anyio.current_time()
                await anyio.sleep(min(wait_s, max(left_s / 2, least_s)))
                wait_s = min(wait_s * 2, max(POLL_CAP_S, least_s))
        raise StallTimeout(f"the voice was not trained within {limit_s:g} s", phase="training")

    async def _page(self, query: VoiceQuery) -> VoicePage:
        call = Call(method="GET", path=PATH, query=query.query(), safe=True)
        return VoicePage.read(await self._http.json(call))


def _path(voice_id: str) -> str:
    return f"{PATH}/{quote_id(voice_id, argument='voice_id')}"


def _seconds(value: object, argument: str) -> float:
    if isinstance(value, (int, float)) and 0 < value < math.inf:
        return value
    raise ConfigError(f"{argument} must be a number of seconds over 0", argument=argument)
