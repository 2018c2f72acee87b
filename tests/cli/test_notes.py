"""What is said on standard error, and when."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from fishlive.cli.notes import note, warnings_as_notes
from tests.cli.command import WAIT_S, command, environment


@pytest.mark.skipif(os.name == "nt", reason="no pseudo terminals there")
def test_a_terminal_sees_progress_and_a_pipe_only_audio(tmp_path: Path) -> None:
    """With a terminal for standard error there is progress and a result; stdout stays audio."""
    terminal, theirs = os.openpty()
    try:
        done = subprocess.run(
            command("say", "Good morning.", "--local", "-o", "-"),
            cwd=tmp_path,
            env=environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=WAIT_S,
            check=True,
        )
        shown = os.read(terminal, 65536).decode()
    finally:
        os.close(theirs)
        os.close(terminal)

    progress, result = shown.split("fishlive: standard output: ")
    assert " s of audio, the first after " in progress
    assert " s of audio, the first after " in result
    assert done.stdout.startswith(b"RIFF")
    assert b"fishlive" not in done.stdout


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What the library warns of is said without its place in the code, and only while asked."""
    shown = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with warnings_as_notes():
            warnings.warn("no such\nmodel", UserWarning, stacklevel=1)

    assert capsys.readouterr().err == "fishlive: warning: no such model\n"
    assert warnings.showwarning is shown


def test_a_note_to_nobody_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard error does not turn one failure into another."""
    closed = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # closed at once
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    note("anything")
