"""``fishlive design``: voices from a description."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fishlive.cli import options
from fishlive.cli.answers import advising, show_json, show_table
from fishlive.cli.exits import ExitCode, Failure
from fishlive.cli.files import check_can_be, saved
from fishlive.cli.service import Service
from fishlive.cli.signals import run
from fishlive.models.voice_design import MAX_CANDIDATES, VoiceCandidate

COUNT: Final = 2
"""Candidates unless told: the service's own default (openapi.json, 2026-09)."""


def design(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What the voice is like, 1 to 2000 characters.")
    ],
    prefix: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PREFIX", help="The files are PREFIX-1.wav, PREFIX-2.wav, …"
        ),
    ],
    count: Annotated[
        int, typer.Option("--count", "-n", help="Candidates.", min=1, max=MAX_CANDIDATES)
    ] = COUNT,
    say: Annotated[
        str | None, typer.Option(help="What it says, at most 150 characters.", metavar="TEXT")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="A hint, such as en or zh-CN.", metavar="TAG")
    ] = None,
    speed: Annotated[float | None, typer.Option(help="Over 0 up to 3; 1 unless given.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same one gives the same voices.", metavar="NUMBER")
    ] = None,
    force: options.Force = False,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """Make voices from a description, and write what they sound like.

    Costs $0.01. Make a voice of the one you like: fishlive voices create --title NAME FILE
    """
    service = Service(base_url, key_file, local)
    service.check()
    for number in range(1, count + 1):
        check_can_be(_path(prefix, number), force=force)
    fields: dict[str, Any] = {"language": language, "speed": speed, "seed": seed, "n": count}
    with advising("the options"):
        found = run(
            lambda: _designed(service, text, prefix, force, {**fields, "reference_text": say})
        )
    if as_json:
        show_json({"candidates": [_document(path, voice) for path, voice in found]})
    else:
        columns = ("file", "seconds", "Hz", "language")
        show_table(
            columns, [(p, f"{v.duration_s:.1f}", v.sample_rate, v.language) for p, v in found]
        )


async def _designed(
    service: Service, text: str, prefix: str, force: bool, fields: dict[str, Any]
) -> list[tuple[Path, VoiceCandidate]]:
    async with service.open() as fish:
        voices = await fish.voice_design.create(text, **fields)
    if not voices:
        raise Failure(ExitCode.FAILED, "the service sent no candidates: describe it differently")
    found = [(_path(prefix, number), voice) for number, voice in enumerate(voices, 1)]
    for path, voice in found:
        with saved(path, force=force) as file:
            await file.write(voice.audio)
    return found


def _path(prefix: str, number: int) -> Path:
    return Path(f"{prefix}-{number}.wav")


def _document(path: Path, voice: VoiceCandidate) -> dict[str, Any]:
    return {
        "file": str(path),
        "id": voice.id,
        "index": voice.index,
        "sample_rate_hz": voice.sample_rate,
        "duration_s": voice.duration_s,
        "text": voice.text,
        "language": voice.language,
    }
