"""``fishlive serve``: says where it listens, speaks, and stops when told."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

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
