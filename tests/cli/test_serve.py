"""``fishlive serve``: says where it listens, speaks, and stops when told."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from fishlive.cli.exits import ExitCode
from tests.cli.command import WAIT_S, call, environment, finished, started, wav_seconds


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
def test_the_line_to_copy_works(tmp_path: Path) -> None:
    """What it prints to try is a command that speaks; Ctrl-C then stops it as a success."""
    with started("serve", "--port", "0", "--key", "sesame", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        listening, copy = (process.stdout.readline().decode() for _ in range(2))
        key, url, name, *arguments = shlex.split(copy)
        settings = dict(part.split("=", 1) for part in (key, url))
        done = finished(*arguments, cwd=tmp_path, env=environment(**settings))
        process.send_signal(signal.SIGINT)

        assert process.wait(WAIT_S) == ExitCode.DONE
        assert process.stderr.read() == b"fishlive: stopped\n"
    assert name == "fishlive"
    assert settings["FISH_BASE_URL"] in listening
    assert (done.returncode, done.stderr) == (ExitCode.DONE, b"")
    assert wav_seconds(tmp_path / "hello.wav") > 0.2


async def test_a_taken_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Two servers cannot share a port: one line, and the option to change."""
    from fishlive.server import LocalServer

    async with LocalServer() as server:
        assert await call("serve", "--port", str(server.port)) == ExitCode.USAGE

    shown = capsys.readouterr().err
    assert shown.startswith("fishlive: error: --port: cannot listen on 127.0.0.1:")
    assert shown.count("\n") == 1


def asked(url: str, path: str, body: bytes | None = None) -> Any:
    """Return the JSON that a server answers."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=WAIT_S)
    with contextlib.closing(connection):
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Authorization": "Bearer local"})
        return json.load(connection.getresponse())


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
def test_a_folder_keeps_what_was_made(tmp_path: Path) -> None:
    """With ``--data`` the next server knows what was made with the last one."""
    made: dict[str, Any] = {}
    for _ in range(2):
        arguments = ("serve", "--port", "0", "--data", "kept")
        with started(*arguments, cwd=tmp_path) as process:
            assert process.stdout is not None
            url = process.stdout.readline().decode().split()[2].rstrip(",")
            path = "/v1/pronunciation-dictionaries"
            if made:
                assert asked(url, f"{path}/{made['id']}") == made
            else:
                made = asked(url, path, b'{"name": "x"}')
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT_S) == ExitCode.DONE


async def test_a_foreign_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no database: one line, and the option to change."""
    (tmp_path / "fishlive.sqlite3").write_bytes(b"something else entirely" * 50)
    assert await call("serve", "--port", "0", "--data", str(tmp_path)) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert shown.startswith("fishlive: error: --data: ")
    assert shown.count("\n") == 1
