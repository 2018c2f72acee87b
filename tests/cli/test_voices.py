"""``fishlive voices``: tables that can be cut by scripts, and nothing deleted by mistake."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fishlive.cli.exits import ExitCode
from tests.cli.command import WAIT_S, call, command, environment
from tests.rest.canned import Asked, answering

ID = "802e3bc2b27e49c2995d23ef70e6ac89"
VOICE: dict[str, Any] = {
    "_id": ID,
    "type": "tts",
    "title": "Night\x1b[2J reader",
    "description": "calm",
    "cover_image": "coverimage/x",
    "state": "trained",
    "tags": ["narrator", "deep"],
    "samples": [],
    "created_at": "2026-09-01T10:00:00Z",
    "updated_at": "2026-09-01T10:00:00Z",
    "languages": ["en", "de"],
    "visibility": "private",
    "lock_visibility": False,
    "like_count": 0,
    "mark_count": 0,
    "shared_count": 0,
    "task_count": 3,
    "unliked": False,
    "liked": False,
    "marked": False,
    "author": {"_id": "u1", "nickname": "me", "avatar": ""},
}
KEYS = [
    "id", "title", "description", "state", "visibility", "languages", "tags", "created_at",
]  # fmt: skip

Answer = Callable[[Asked], tuple[int, object]]


def has_voices(count: int) -> Answer:
    """Return a service with so many voices, in pages."""

    def answer(asked: Asked) -> tuple[int, object]:
        if not asked.path.startswith("/model?") and asked.path != "/model":
            return 200, VOICE
        query = dict(part.split("=") for part in asked.path.partition("?")[2].split("&") if part)
        size, page = int(query.get("page_size", 10)), int(query.get("page_number", 1))
        numbers = range((page - 1) * size, min(page * size, count))
        items = [{**VOICE, "_id": f"{number:032x}"} for number in numbers]
        return 200, {"total": count, "items": items, "has_more": page * size < count}

    return answer


def changed(asked: Asked) -> tuple[int, object]:
    """Answer as a service that takes every change."""
    return (201 if asked.method == "POST" else 200), {} if asked.method == "DELETE" else VOICE


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FISH_API_KEY", "sesame")


async def test_a_voice_is_a_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """The id comes first and whole; what could steer a terminal is shown as what it is."""
    async with answering(has_voices(2)) as (url, _):
        assert await call("voices", "list", "--base-url", url) == ExitCode.DONE

    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "id"
    assert [line.split()[0] for line in lines] == ["0" * 32, "0" * 31 + "1"]
    assert r"Night\x1b[2J reader" in lines[0]


@pytest.mark.parametrize(("limit", "pages"), [(5, 1), (100, 1), (250, 3)])
async def test_pages_are_read_as_far_as_asked(
    limit: int, pages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit over a page reads on; scripts get a list of objects with the same keys always."""
    async with answering(has_voices(300)) as (url, asked):
        await call("voices", "list", "--json", "--limit", str(limit), "--base-url", url)

    voices = json.loads(capsys.readouterr().out)["voices"]
    assert len({voice["id"] for voice in voices}) == limit
    assert list(voices[0]) == KEYS
    assert len(asked) == pages


async def test_the_options_become_the_services_query() -> None:
    """Names are the API's own."""
    async with answering(has_voices(0)) as (url, asked):
        await call(
            *("voices", "list", "--title", "a", "--tag", "b", "--tag", "c", "--language", "en"),
            *("--author", "u1", "--mine", "--sort", "created_at", "--base-url", url),
        )

    query = asked[0].path.partition("?")[2].split("&")
    assert {"title=a", "tag=b", "tag=c", "language=en", "author_id=u1", "self=true"} <= set(query)
    assert "sort_by=created_at" in query


async def test_one_voice_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """People get a fact a line, scripts the same keys as in a list."""
    async with answering(has_voices(1)) as (url, asked):
        assert await call("voices", "show", ID, "--base-url", url) == ExitCode.DONE
        people = capsys.readouterr().out
        await call("voices", "show", ID, "--json", "--base-url", url)

    assert f"id           {ID}\n" in people
    assert "languages    en, de\n" in people
    assert list(json.loads(capsys.readouterr().out)) == KEYS
    assert asked[0].path == f"/model/{ID}"


async def test_a_voice_is_made_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and fields are uploaded; it is private unless told."""
    sample = tmp_path / "me.wav"
    sample.write_bytes(b"RIFF-the-sample")
    async with answering(changed) as (url, asked):
        code = await call(
            *("voices", "create", str(sample), "--title", "me", "--text", "Hello.", "--tag", "x"),
            *("--no-enhance", "--json", "--base-url", url),
        )

    shown = capsys.readouterr()
    assert (code, shown.err) == (ExitCode.DONE, "")
    assert json.loads(shown.out)["id"] == ID
    body = asked[0].body
    assert (asked[0].method, asked[0].path) == ("POST", "/model")
    assert b"RIFF-the-sample" in body
    assert b"private" in body
    assert b"Hello." in body


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["create", "missing.wav", "--title", "x"], "missing.wav"),
        (["create", "empty.wav", "--title", "x"], "empty"),
        (["create", ".", "--title", "x"], "the files: "),
        (["create", "me.wav", "--title", ""], "--title "),
        (["create", "me.wav", "--title", "x", "--visibility", "public"], "--cover: "),
        (["show", "../wallet"], "the id is none"),
        (["show", "a\nb"], "the id is none"),
        (["update", ID], "nothing to change"),
        (["update", ID, "--tag", "a", "--clear-tags"], "leave one out"),
        (["delete", ID], "add --yes"),
        (["delete", "a/b", "--yes"], "the id is none"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, exit code 2, and no request."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "me.wav").write_bytes(b"RIFF")
    async with answering(changed) as (url, asked):
        assert await call("voices", *arguments, "--base-url", url) == ExitCode.USAGE

    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert what in shown.err
    assert (shown.out, asked) == ("", [])


async def test_only_what_is_named_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    """A title alone leaves the tags; --clear-tags takes them away."""
    async with answering(changed) as (url, asked):
        assert await call("voices", "update", ID, "--title", "new", "--base-url", url) == 0
        assert await call("voices", "update", ID, "--clear-tags", "--base-url", url) == 0

    patches = [request for request in asked if request.method == "PATCH"]
    assert b"new" in patches[0].body
    assert b"tags" not in patches[0].body
    assert b"tags" in patches[1].body
    assert "title" in capsys.readouterr().out


async def test_yes_deletes_without_asking(capsys: pytest.CaptureFixture[str]) -> None:
    """One request, and scripts learn what is gone."""
    async with answering(changed) as (url, asked):
        code = await call("voices", "delete", ID, "--yes", "--json", "--base-url", url)

    assert code == ExitCode.DONE
    assert [(request.method, request.path) for request in asked] == [("DELETE", f"/model/{ID}")]
    assert json.loads(capsys.readouterr().out) == {"id": ID, "deleted": True}


@pytest.mark.skipif(os.name == "nt", reason="no pseudo terminals there")
@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2), (b"\x04", 130)])
async def test_a_terminal_is_asked(typed: bytes, code: int, tmp_path: Path) -> None:
    """The question names the voice; anything but yes deletes nothing."""
    async with answering(changed) as (url, asked):
        ours, theirs = os.openpty()
        try:
            os.write(ours, typed)
            process = await asyncio.create_subprocess_exec(
                *command("voices", "delete", ID, "--base-url", url),
                cwd=tmp_path,
                env=environment(FISH_API_KEY="sesame", TERM="dumb"),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=theirs,
            )
            ended = await asyncio.wait_for(process.wait(), WAIT_S)
            shown = os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    assert ended == code, shown
    assert r"Delete Night\x1b[2J reader" in shown
    assert ("DELETE" in {request.method for request in asked}) == (code == 0)


async def test_a_voice_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and which argument to check."""
    missing = {"status": 404, "message": "Model not found"}
    async with answering(lambda _: (404, missing)) as (url, _):
        assert await call("voices", "show", ID, "--base-url", url) == ExitCode.USAGE
    assert "Model not found; check the id" in capsys.readouterr().err
