"""The command itself: help, version, usage errors, missing packages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fishlive import __version__
from fishlive.cli import main
from fishlive.cli.exits import ExitCode
from tests.cli.command import WAIT_S, call, environment, finished

COMMANDS = ["say", "live", "serve", "demo", "transcribe", "doctor", "design", "wallet"]
GROUPS = {
    "voices": ["list", "show", "create", "update", "delete"],
    "dictionary": ["create", "show", "add-version"],
}
SUBCOMMANDS = [f"{group} {name}" for group, names in GROUPS.items() for name in names]

BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from fishlive.cli import main
sys.exit(main(sys.argv[2:]))
"""
"""Runs the command on a machine where packages are missing."""


def without(packages: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command as if packages were not installed."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, packages, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize("name", [*COMMANDS, *SUBCOMMANDS])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help says what it does and how it ends, on standard output."""
    assert main([*name.split(), "--help"]) == ExitCode.DONE

    shown = capsys.readouterr()
    assert "Usage: fishlive " + name in shown.out
    assert "Exit codes: 0 done" in shown.out
    assert shown.err == ""


def test_the_help_lists_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """The first page has every command and every code."""
    assert main(["--help"]) == ExitCode.DONE

    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in [*COMMANDS, *GROUPS])
    assert all(f" {code.value}: " in shown for code in ExitCode)


@pytest.mark.parametrize("name", [*COMMANDS, *SUBCOMMANDS, "bench", "bench compare", "task submit"])
def test_no_option_is_cut_off(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In 80 columns every option can be read, and typed."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*name.split(), "--help"]) == ExitCode.DONE
    assert not re.search(r"--[a-z-]*…", capsys.readouterr().out)


def test_an_option_stands_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    """A comparison has no matrix."""
    assert main(["bench", "compare", "--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "--fail-over" in shown
    assert "Matrix" not in shown


def test_nothing_asked_is_help_and_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command there is help, but no success."""
    assert main([]) == ExitCode.USAGE
    assert "Usage: fishlive" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """--version says it and ends."""
    assert main(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"fishlive {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "what", "help_of"),
    [
        (["sing"], "No such command 'sing'", ""),
        (["say"], "Missing argument", "say "),
        (["say", "--loud", "x"], "No such option: --loud", "say "),
        (["say", "--format", "flac", "x"], "'--format'", "say "),
        (["live", "--speed", "fast"], "'--speed'", "live "),
        (["serve", "--port", "70000"], "'--port'", "serve "),
        (["voices"], "Missing command", "voices "),
        (["voices", "sing"], "No such command 'sing'", "voices "),
        (["voices", "show"], "Missing argument 'ID'", "voices show "),
        (["dictionary", "add-version", "x", "y"], "--after", "dictionary add-version "),
        (["design", "warm"], "--output", "design "),
        (["transcribe", "x.wav", "--model", "best"], "'--model'", "transcribe "),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], what: str, help_of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong, and where to read how it is right."""
    assert main(arguments) == ExitCode.USAGE

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert what in shown.err
    assert shown.err.endswith(f"see `fishlive {help_of}--help`\n")


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_cli_one_line_says_so(package: str, tmp_path: Path) -> None:
    """The command exists without its packages, and says how to get them."""
    done = without(package, "say", "hello", cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b'pip install "fishlive[cli]"' in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("say", "hello", "--local", "-o", "a.wav"),
        ("serve", "--port", "0"),
    ],
)
def test_without_the_extra_local_one_line_says_so(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """What needs the local server says how to get it, and leaves no file."""
    done = without("espeakng_loader,av", *arguments, cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b'pip install "fishlive[local]"' in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no failure of a command is not hidden behind one line."""
    monkeypatch.setattr("fishlive.cli.service.Service.check", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await call("say", "hello", "-o", "x.wav")


def test_python_m_is_the_same_command(tmp_path: Path) -> None:
    """``python -m fishlive`` runs it, and passes its exit code on."""
    done = finished("sing", cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert b"No such command" in done.stderr
