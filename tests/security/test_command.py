"""The command line: where keys come from, what it overwrites, what it shows."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pty
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from fishlive.cli import files, output
from fishlive.cli.app import app
from fishlive.cli.exits import Failure
from fishlive.cli.service import MAX_KEY_FILE_BYTES, read_key
from fishlive.errors import ConfigError
from tests.cli.command import WAIT_S, call, command, environment
from tests.security.test_canary import says
from tests.security.test_wire import HOSTILE
from tests.transport.peer import serve

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


def _commands(group: Any, name: str = "") -> list[tuple[str, Any]]:
    found = []
    for each, inside in group.commands.items():
        where = f"{name} {each}".strip()
        found += _commands(inside, where) if hasattr(inside, "commands") else [(where, inside)]
    return found


def test_no_command_takes_a_key_as_an_argument() -> None:
    """Arguments are for everybody to see (ps); ``serve --key`` names the local server's own."""
    names = {
        (where, name)
        for where, each in _commands(get_command(app))
        for parameter in each.params
        for name in (*parameter.opts, parameter.name)
        if any(word in name.lower() for word in ("key", "token", "secret", "password"))
    }
    allowed = (
        "key_file",
        "key-file",
        "token_file",
        "token-file",
        "accept_any_key",
        "accept-any-key",
    )
    rest = {(where, name) for where, name in names if name.lstrip("-") not in allowed}
    assert rest <= {("serve", "--key"), ("serve", "key")}, rest
    assert isinstance(app, typer.Typer)


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o777])
def test_a_key_file_that_others_may_touch_is_refused(mode: int, tmp_path: Path) -> None:
    """Before it is read."""
    file = tmp_path / "key"
    file.write_text("k")
    file.chmod(mode)
    with pytest.raises(Failure, match="chmod 600"):
        read_key(file)


@POSIX
def test_a_key_file_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner can read it, whatever its mode says."""
    file = tmp_path / "key"
    file.write_text("k\n")
    file.chmod(0o600)
    assert read_key(file).reveal() == "k"
    real = os.fstat

    def somebody_elses(descriptor: int) -> os.stat_result:
        facts = list(real(descriptor))
        facts[4] = 12345
        return os.stat_result(facts)

    monkeypatch.setattr("fishlive.cli.service.os.fstat", somebody_elses)
    with pytest.raises(Failure, match="another user"):
        read_key(file)


@pytest.mark.parametrize("data", [b"x" * (MAX_KEY_FILE_BYTES + 1), b"a\nb", b"", b"\xff"])
def test_what_is_no_key_file_is_refused(data: bytes, tmp_path: Path) -> None:
    """And nothing of it is repeated."""
    file = tmp_path / "key"
    file.write_bytes(data)
    file.chmod(0o600)
    with pytest.raises((Failure, ConfigError)) as caught:
        read_key(file)
    assert "xxxx" not in str(caught.value)


@POSIX
def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    """Neither where the file goes nor where it grows, forced or not."""
    precious = tmp_path / "precious"
    for name in ("out.wav", "out.wav.part"):
        for force in (False, True):
            precious.write_bytes(b"precious")
            link = tmp_path / name
            link.unlink(missing_ok=True)
            link.symlink_to(precious)
            target = tmp_path / "out.wav"
            try:
                made = output.open_output(str(target), force=force, wav_rate_hz=None)
            except Failure:
                assert not force
            else:
                asyncio.run(made.write(b"new"))
                made.finish()
                assert not target.is_symlink()
                assert target.read_bytes() == b"new"
                target.unlink()
            assert precious.read_bytes() == b"precious"
            link.unlink(missing_ok=True)


@POSIX
def test_a_dangling_link_is_never_written_through(tmp_path: Path) -> None:
    """It looks free, and would make a file somewhere else."""
    away = tmp_path / "away"
    (tmp_path / "out.wav.part").symlink_to(away)
    with pytest.raises(Failure):
        output.open_output(str(tmp_path / "out.wav"), force=False, wav_rate_hz=None)
    assert not away.exists()


@POSIX
def test_a_pipe_that_became_a_file_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and opening, somebody may have put another thing there."""
    target = tmp_path / "out"
    target.write_bytes(b"precious")
    monkeypatch.setattr(Path, "is_file", lambda _self: False)
    with pytest.raises(Failure, match="has become a file"):
        output.open_output(str(target), force=True, wav_rate_hz=None)
    assert target.read_bytes() == b"precious"


@POSIX
def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    """Without --force nothing is replaced, whenever it came."""
    target = tmp_path / "out.bin"
    made = output.open_output(str(target), force=False, wav_rate_hz=None)
    asyncio.run(made.write(b"new"))
    target.write_bytes(b"precious")
    with pytest.raises(Failure, match="complete in"):
        made.finish()
    assert target.read_bytes() == b"precious"
    assert inspect.isfunction(files.check_can_be)


async def test_no_path_comes_from_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids and names in answers may say ``../``: files are called what the user said."""
    body = {
        "candidates": [
            {"id": "../../evil", "index": 0, "audio": "UklGRg==", "audio_base64": "UklGRg==",
             "sample_rate": 24000, "duration": 1.0, "text": "x", "filename": "/etc/evil"}
        ]
    }  # fmt: skip
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with serve(says("200 OK", json.dumps(body).encode())) as server:
        monkeypatch.setenv("FISH_API_KEY", "k")
        monkeypatch.setenv("FISH_BASE_URL", f"http://127.0.0.1:{server.port}")
        await call("design", "a voice", "-o", "mine")
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} <= {"mine-1.wav"}


ROW = {
    "_id": "abc", "title": HOSTILE, "description": HOSTILE, "type": "tts", "state": "trained",
    "tags": [HOSTILE], "languages": [HOSTILE], "visibility": "private", "samples": [],
    "author": {"_id": "x", "nickname": HOSTILE, "avatar": ""}, "cover_image": HOSTILE,
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    "train_mode": "fast",
    "like_count": 0, "mark_count": 0, "shared_count": 0, "task_count": 0, "liked": False,
    "marked": False, "lock_visibility": False, "unliked": False,
}  # fmt: skip
ANSWERS: dict[str, tuple[list[str], str, Any]] = {
    "error": (["wallet"], "400 Bad", {"message": HOSTILE, "reason": HOSTILE}),
    "voices": (["voices", "list"], "200 OK", {"total": 1, "items": [ROW]}),
    "voice": (["voices", "show", "abc"], "200 OK", ROW),
    "transcript": (["transcribe", "in.wav"], "200 OK", {"text": HOSTILE, "duration": 1.0}),
    "doctor": (["doctor"], "401 No", {"message": HOSTILE}),
}


@POSIX
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_terminal_is_not_steered(name: str, tmp_path: Path) -> None:
    """Whatever a service calls its voices: what reaches it is text, and our own colours."""
    arguments, status, body = ANSWERS[name]
    (tmp_path / "in.wav").write_bytes(b"RIFF")
    async with serve(says(status, json.dumps(body).encode())) as server:
        env = environment(FISH_API_KEY="k", FISH_BASE_URL=f"http://127.0.0.1:{server.port}")
        shown = await asyncio.to_thread(_on_a_terminal, arguments, tmp_path, env)
    assert "owned" in shown  # it did say it
    for bad in ("\x1b[2J", "\x1b]", "\x07", "\u202e", "\u2028", "\x00", "\x9b", "\u200b"):
        assert bad not in shown, (bad, shown[:2000])


def _on_a_terminal(arguments: list[str], folder: Path, env: dict[str, str]) -> str:
    """Return what a command writes on a terminal."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:
            pass  # the other end is closed

    reading = threading.Thread(target=read)
    reading.start()
    done = subprocess.run(
        command(*arguments), cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs,
        timeout=WAIT_S, check=False,
    )  # fmt: skip
    os.close(theirs)
    reading.join(WAIT_S)
    os.close(ours)
    assert done.returncode in {0, 2, 3}
    return b"".join(pieces).decode("utf-8", "replace")


def test_nothing_is_run_by_a_shell() -> None:
    """What is started is started by a list of words."""
    import fishlive

    source = "".join(p.read_text("utf-8") for p in Path(fishlive.__file__).parent.rglob("*.py"))
    for bad in ("shell=True", "os.system(", "os.popen(", "create_subprocess_shell"):
        assert bad not in source
    assert socket.has_ipv6 in {True, False}
