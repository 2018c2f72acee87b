"""Voices: to find, make, change and delete. The API calls them models."""

from __future__ import annotations

import enum
import os
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import anyio

from fishlive.errors import ConfigError, StallTimeout, SynthesisError
from fishlive.models.voice import (
    MAX_PAGE,
    MAX_SAMPLES,
    NewVoice,
    SortBy,
    Visibility,
    Voice,
    VoiceChanges,
    VoicePage,
    VoiceQuery,
    goes_on,
)
from fishlive.transport.http import Call, Http, Timeouts, json_body, quote_id
from fishlive.transport.upload import Multipart, OnProgress, Part, Source, size_bytes

PATH: Final = "/model"

TRAINING_S: Final = 600.0
"""How long ``wait_until_trained`` waits unless told, in seconds. Fast training takes seconds; ten
minutes are a queue that nobody is working on."""

POLL_S: Final = 1.0
"""Wait before the second look at a voice in training, in seconds; it doubles up to POLL_CAP_S."""

POLL_CAP_S: Final = 15.0
"""Longest wait between two looks, in seconds."""


class Unset(enum.Enum):
    """What an argument is that was left out, where None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


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
        self, *, page_size: int | None = MAX_PAGE, **filters: Any
    ) -> AsyncGenerator[Voice, None]:
        """Yield all voices that fit, page by page, as they are read.

        A page is asked for when the one before it was read. Voices that move to a later page
        meanwhile are yielded once; one that moves to an earlier page may be missed.

        Args:
            page_size: Voices on a page, 1 to 100.
            **filters: As :meth:`list`, but for ``page_number``.

        Raises:
            As :meth:`list`.
        """
        if "page_number" in filters:
            raise ConfigError("iter() reads all pages", argument="page_number")
        try:
            first = VoiceQuery(page_size=page_size, page_number=1, **filters)
        except TypeError as error:
            raise ConfigError(f"no such filter: {error}") from error
        seen: set[str] = set()
        read, number = 0, 0
        while True:
            number += 1
            page = await self._page(first.model_copy(update={"page_number": number}))
            fresh = [voice for voice in page.items if voice.id not in seen]
            seen.update(voice.id for voice in fresh)
            for voice in fresh:
                yield voice
            read += len(page.items)
            if not fresh or not goes_on(page, read):
                return

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
        on_progress: OnProgress | None = None,
        timeouts: Timeouts | None = None,
    ) -> Voice:
        """Make a voice from recordings, and return it, maybe still in training.

        Files are uploaded as they are read. Never repeated once it may have been carried out.
        Cancelling closes the connection; the voice may have been made all the same. Source:
        openapi.json, ``POST /model`` (2026-09).

        Args:
            title: What people call it.
            samples: 1 to 20 recordings: bytes, paths, or async iterables of bytes.
            texts: What is said in each, in order; the service listens for itself if None.
            tags: For those who look for it.
            description: What it sounds like.
            cover_image: A picture; a public voice needs one.
            visibility: Who finds it: ``private``, ``unlist`` (who knows its id) or ``public``.
                The API's own default is public.
            enhance_audio_quality: Whether the recordings are cleaned; the service does if None.
            generate_sample: Whether a recording to listen to is made.
            on_progress: Called after each piece with the bytes sent so far, and all there are if
                that is known.
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
            "covered": cover_image is not None,
        }
        fields = NewVoice(**given)
        files = await _files(samples, cover_image)
        if fields.texts is not None and len(fields.texts) != _recordings(files):
            raise ConfigError("texts has one text for each sample", argument="texts")
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
        cover_image: Source | Unset = UNSET,
    ) -> None:
        """Change a voice. A field that is left out is untouched.

        Repeated after a failure, because changing it twice does no harm. Source: openapi.json,
        ``PATCH /model/{id}`` (2026-09).

        Args:
            voice_id: Which.
            title: Not empty.
            description: None clears it.
            visibility: Who finds it.
            tags: None clears them.
            cover_image: Another picture.

        Raises:
            ConfigError: An argument is wrong, or there is nothing to change.
            APIStatusError: The service refused; its subclass says why.
        """
        given = {"title": title, "description": description, "visibility": visibility, "tags": tags}
        chosen: dict[str, Any] = {
            name: value for name, value in given.items() if value is not UNSET
        }
        changes = VoiceChanges(**chosen).changes()
        if not changes and cover_image is UNSET:
            raise ConfigError("nothing to change", argument="title")
        call = Call(method="PATCH", path=_path(voice_id), safe=True)
        if cover_image is UNSET:
            call = call.with_body(*json_body(changes))
        else:
            cover = await _file("cover_image", cover_image, "cover_image")
            call = call.with_body(Multipart((*_plain(changes), cover)))
        await self._http.json(call)

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

        Args:
            voice_id: Which.
            timeout_s: How long to wait, in seconds; None for ever.
            poll_s: Wait before the second look, in seconds; it doubles up to POLL_CAP_S.

        Raises:
            SynthesisError: Training failed; its reason is ``failed``.
            StallTimeout: It took longer; its phase is ``training``.
            ConfigError: A time that is none.
            APIStatusError: The service refused; its subclass says why.
        """
        if timeout_s is not None and not timeout_s > 0:
            raise ConfigError("timeout_s is a number of seconds over 0", argument="timeout_s")
        if not poll_s > 0:
            raise ConfigError("poll_s is a number of seconds over 0", argument="poll_s")
        wait_s = poll_s
        with anyio.move_on_after(timeout_s):
            while True:
                voice = await self.get(voice_id)
                if voice.trained:
                    return voice
                if voice.state == "failed":
                    raise SynthesisError("failed", "the voice could not be made of its samples")
                await anyio.sleep(wait_s)
                wait_s = min(wait_s * 2, POLL_CAP_S)
        raise StallTimeout(f"the voice was not trained within {timeout_s:g} s", phase="training")

    async def _page(self, query: VoiceQuery) -> VoicePage:
        call = Call(method="GET", path=PATH, query=query.query(), safe=True)
        return VoicePage.read(await self._http.json(call))


def _path(voice_id: str) -> str:
    return f"{PATH}/{quote_id(voice_id, argument='voice_id')}"


async def _files(samples: Source | Sequence[Source], cover_image: Source | None) -> list[Part]:
    single = isinstance(samples, (bytes, bytearray, memoryview, str, os.PathLike))
    given: Any = [samples] if single or hasattr(samples, "__aiter__") else samples
    if not isinstance(given, Sequence) or not 1 <= len(given) <= MAX_SAMPLES:
        raise ConfigError(f"samples is 1 to {MAX_SAMPLES} recordings", argument="samples")
    parts = [
        await _file("voices", sample, "samples", number) for number, sample in enumerate(given)
    ]
    if cover_image is not None:
        parts.append(await _file("cover_image", cover_image, "cover_image"))
    return parts


async def _file(name: str, source: Source, argument: str, number: int | None = None) -> Part:
    filename = (
        None if isinstance(source, (str, os.PathLike)) or number is None else f"{number}.audio"
    )
    part = Part.file(name, source, filename=filename, argument=argument)
    if await size_bytes(source, argument) == 0:
        raise ConfigError(f"{argument} is empty", argument=argument)
    return part


def _recordings(files: Sequence[Part]) -> int:
    return sum(part.name == "voices" for part in files)


def _plain(changes: dict[str, object]) -> list[Part]:
    return [
        Part.text(name, str(item))
        for name, value in changes.items()
        for item in (value if isinstance(value, list) else [value])
    ]
