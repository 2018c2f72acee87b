"""``fishlive voices``: find, make, change and delete voices."""

from __future__ import annotations

import contextlib
import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fishlive.cli import options
from fishlive.cli.answers import ask, show_facts, show_json, show_table, shown
from fishlive.cli.exits import ExitCode, Failure, usage
from fishlive.cli.service import Service
from fishlive.cli.uploads import upload_bar
from fishlive.session import Session

if TYPE_CHECKING:
    from fishlive.models.voice import Voice

COUNT: Final = 20
"""Voices listed unless told: a screenful."""

MAX_PAGE: Final = 100
"""Most voices a page holds (openapi.json, 2026-09)."""


class Visibility(str, enum.Enum):
    """Who finds a voice."""

    private = "private"
    unlist = "unlist"
    public = "public"


class Sort(str, enum.Enum):
    """Orders of the service."""

    score = "score"
    task_count = "task_count"
    created_at = "created_at"


app: Final[typer.Typer] = typer.Typer(
    name="voices", help="Voices: find, look at, make, change, delete."
)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The voice's id.")]
_Description = Annotated[str | None, typer.Option(help="What it sounds like.", metavar="TEXT")]
_Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="A tag; again for each.", metavar="TAG")
]
_Cover = Annotated[
    Path | None, typer.Option("--cover", help="Picture; a public voice needs one.", metavar="FILE")
]


@app.command("list")
def list_voices(
    title: Annotated[str | None, typer.Option(help="In the title.", metavar="TEXT")] = None,
    tags: _Tags = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Such as en; again for each.", metavar="TAG")
    ] = None,
    author: Annotated[str | None, typer.Option(help="By this user.", metavar="ID")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only your own.")] = False,
    sort: Annotated[Sort | None, typer.Option(help="By score unless given.")] = None,
    limit: Annotated[int, typer.Option(help="Most voices shown.", min=1)] = COUNT,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """List voices that fit."""
    wanted: dict[str, Any] = {
        "title": title,
        "tag": tags or None,
        "language": language or None,
        "author_id": author,
        "mine": mine,
        "sort_by": None if sort is None else sort.value,
    }

    async def question(fish: Session) -> list[Voice]:
        found: list[Voice] = []
        # It is a generator, whatever its type says: what is not read is not left to the collector.
        voices: Any = fish.voices.iter(page_size=min(limit, MAX_PAGE), **wanted)
        async with contextlib.aclosing(voices):
            async for voice in voices:
                found.append(voice)
                if len(found) == limit:
                    break
        return found

    voices = ask(Service(base_url, key_file, local), question, about="the options")
    if as_json:
        show_json({"voices": [_document(voice) for voice in voices]})
    else:
        columns = ("id", "title", "languages", "tags", "state", "visibility")
        show_table(
            columns,
            [(v.id, v.title, v.languages, v.tags, v.state, v.visibility) for v in voices],
        )


@app.command("show")
def show(
    voice_id: _Id,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """Show one voice."""

    async def question(fish: Session) -> Voice:
        return await fish.voices.get(voice_id)

    _show(ask(Service(base_url, key_file, local), question), as_json=as_json)


@app.command("create")
def create(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Recordings of the voice, 1 to 20.")
    ],
    title: Annotated[str, typer.Option(help="What people call it.", metavar="TEXT")],
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--text", help="What is said in the file; again for each, in order.", metavar="TEXT"
        ),
    ] = None,
    description: _Description = None,
    tags: _Tags = None,
    visibility: Annotated[Visibility, typer.Option(help="Who finds it.")] = Visibility.private,
    cover: _Cover = None,
    enhance: Annotated[
        bool | None,
        typer.Option("--enhance/--no-enhance", help="Clean the recordings; yes unless given."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it can be used.")] = False,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a voice from recordings. It is private unless told."""
    given: dict[str, Any] = {
        "title": title,
        "texts": texts or None,
        "description": description,
        "tags": tags or None,
        "visibility": visibility.value,
        "cover_image": cover,
        "enhance_audio_quality": enhance,
    }

    async def question(fish: Session) -> Voice:
        with upload_bar([*files, *([cover] if cover else [])], then="the voice") as on_progress:
            made = await fish.voices.create(samples=files, on_progress=on_progress, **given)
        return await fish.voices.wait_until_trained(made.id) if wait else made

    _show(ask(Service(base_url, key_file, local), question), as_json=as_json)


@app.command("update")
def update(
    voice_id: _Id,
    title: Annotated[str | None, typer.Option(help="What people call it.", metavar="TEXT")] = None,
    description: _Description = None,
    tags: _Tags = None,
    clear_tags: Annotated[bool, typer.Option("--clear-tags", help="Take all tags away.")] = False,
    visibility: Annotated[Visibility | None, typer.Option(help="Who finds it.")] = None,
    cover: _Cover = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Change a voice. What is not named stays as it is."""
    if tags and clear_tags:
        raise usage("--tag and --clear-tags are one choice: leave one out")
    given = {
        "title": title,
        "description": description,
        "tags": [] if clear_tags else tags or None,
        "visibility": None if visibility is None else visibility.value,
        "cover_image": cover,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise usage(
            "nothing to change: name a --title, --description, --tag, --visibility, --cover"
        )

    async def question(fish: Session) -> Voice:
        await fish.voices.update(voice_id, **changes)
        return await fish.voices.get(voice_id)

    _show(ask(Service(base_url, key_file), question), as_json=as_json)


@app.command("delete")
def delete(
    voice_id: _Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Delete a voice for good. Asks first; without a terminal it needs --yes."""
    service = Service(base_url, key_file)
    if not yes:
        _confirm(service, voice_id)

    async def question(fish: Session) -> None:
        await fish.voices.delete(voice_id)

    ask(service, question)
    if as_json:
        show_json({"id": voice_id, "deleted": True})
    else:
        show_facts({"deleted": voice_id})


def _confirm(service: Service, voice_id: str) -> None:
    """Ask on the terminal. Raises Failure for anything but yes."""
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        raise usage("nobody is there to ask: add --yes to delete it")

    async def question(fish: Session) -> Voice:
        return await fish.voices.get(voice_id)

    voice = ask(service, question)
    if not typer.confirm(f"Delete {shown(voice.title)} ({voice.id}) for good?", err=True):
        raise Failure(ExitCode.USAGE, "nothing was deleted")


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


def _show(voice: Voice, *, as_json: bool) -> None:
    document = _document(voice)
    if as_json:
        show_json(document)
    else:
        show_facts({name.replace("_", " "): value for name, value in document.items()})


def _document(voice: Voice) -> dict[str, Any]:
    """Return a voice as scripts see it: always these keys."""
    return {
        "id": voice.id,
        "title": voice.title,
        "description": voice.description,
        "state": voice.state,
        "visibility": voice.visibility,
        "languages": list(voice.languages),
        "tags": list(voice.tags),
        "created_at": voice.created_at,
    }
