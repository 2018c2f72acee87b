"""What is sent to make a voice, or to change one."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from typing import Any, Final, cast

from fishlive.errors import ConfigError
from fishlive.models.form import form_fields
from fishlive.models.voice import MAX_SAMPLES
from fishlive.transport.http import json_body
from fishlive.transport.upload import Multipart, Part, Source, Upload, size_bytes


class Unset(enum.Enum):
    """What an argument is that was left out, where None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


async def file_parts(recordings: Sequence[Source], cover_image: Source | None) -> list[Part]:
    """Return the files of a new voice.

    Raises:
        ConfigError: One is missing, unreadable or empty; it names the argument.
    """
    parts = [
        await _file("voices", recording, "samples", filename=_named(recording, number))
        for number, recording in enumerate(recordings, 1)
    ]
    if cover_image is not None:
        parts.append(await _file("cover_image", cover_image, "cover_image"))
    return parts


def sample_list(samples: Any) -> Sequence[Source]:
    """Return the recordings that were given, one alone or in a list.

    Raises:
        ConfigError: None, or more than MAX_SAMPLES.
    """
    alone = isinstance(samples, (bytes, bytearray, memoryview, str, os.PathLike))
    if alone or hasattr(samples, "__aiter__") or hasattr(samples, "read"):
        return (cast("Source", samples),)
    if isinstance(samples, Sequence) and 1 <= len(samples) <= MAX_SAMPLES:
        return cast("Sequence[Source]", samples)
    raise ConfigError(f"samples must be 1 to {MAX_SAMPLES} recordings", argument="samples")


def _named(sample: Source, number: int) -> str | None:
    """Return the file name of a sample without one, and None for a path, which has its own."""
    return None if isinstance(sample, (str, os.PathLike)) else f"{number}.audio"


async def _file(name: str, source: Source, argument: str, *, filename: str | None = None) -> Part:
    part = Part.file(name, source, filename=filename, argument=argument)
    if await size_bytes(source, argument) == 0:
        raise ConfigError(f"{argument}: a file is empty", argument=argument)
    return part


async def patches(
    changes: dict[str, object], cover_image: Source | Unset | None
) -> list[tuple[bytes | Upload, str | None]]:
    """Return the bodies that make all changes, and their media types where they do not say.

    A new picture goes as a form, in which no list can be empty: tags are cleared by a body more.

    Raises:
        ConfigError: The picture is missing, unreadable or empty.
    """
    if cover_image is UNSET:
        return [json_body(changes)]
    if cover_image is None:
        return [json_body({**changes, "cover_image": None})]
    cover = await _file("cover_image", cover_image, "cover_image")
    plain = [Part.text(*field) for field in form_fields(changes)]
    form: list[tuple[bytes | Upload, str | None]] = [(Multipart((*plain, cover)), None)]
    return form if changes.get("tags") != [] else [*form, json_body({"tags": []})]
