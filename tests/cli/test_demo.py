"""``fishlive demo``: a page, an LLM's pace, a file and what happened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fishlive.cli.exits import ExitCode
from tests.cli.command import call, wav_seconds


async def test_the_demo_speaks_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It writes all of the speech, and every number it prints was measured on the way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fishlive.cli.demo.PROFILE", "instant")
    assert await call("demo", "-o", "demo.wav", "--fast") == ExitCode.DONE

    shown = capsys.readouterr()
    numbers = {
        name.strip(): float(number)
        for name, number in re.findall(r"^ ([a-zA-Z ]+)│ ([0-9.]+)", shown.out, re.MULTILINE)
    }
    seconds = wav_seconds(tmp_path / "demo.wav")
    assert 60 < seconds < 120
    assert numbers["audio"] == pytest.approx(seconds, abs=0.01)
    assert numbers["LLM wrote"] > 300
    assert numbers["messages"] > 100
    assert len(numbers) == 7
    assert all(number > 0 for number in numbers.values())
    assert "echo Hello there. | FISH_API_KEY=<your key> fishlive live" in shown.out
    assert shown.err == ""


async def test_the_demo_replaces_nothing_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with every command: a file that is there stays."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.wav").write_bytes(b"precious")

    assert await call("demo", "-o", "demo.wav") == ExitCode.USAGE
    assert "use --force" in capsys.readouterr().err
    assert (tmp_path / "demo.wav").read_bytes() == b"precious"
