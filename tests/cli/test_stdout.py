"""Standard output that cannot be written: its reader went away, it is closed, its disk is full."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fishlive.bench.files import read_result, write_result
from fishlive.cli.exits import ExitCode
from tests.bench.samples import result
from tests.cli.command import WAIT_S, command, environment, names

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and closed files of POSIX")

FULL = Path("/dev/full")
BENCH = ("bench", "--local", "--profile", "instant", "--runs", "1", "--warmup", "0")
FILES = ("--json", "a.json", "--html", "a.html", "--jsonl", "a.jsonl")
COMMANDS = [
    (),
    ("--help",),
    ("--version",),
    ("bench", "compare", "a.json", "a.json"),
    ("bench", "show", "a.json"),
    ("doctor", "--local"),
    ("serve", "--list-faults"),
    ("task", "list"),
    ("voices", "list", "--json", "--local"),
    ("wallet", "--local"),
]


def unread(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return _run(command(*arguments), cwd, writing)
    finally:
        os.close(writing)


def closed(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command without a standard output."""
    shell = ["sh", "-c", 'exec "$@" >&-', "sh"]
    return _run([*shell, *command(*arguments)], cwd, subprocess.DEVNULL)


def full(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose output does not fit."""
    with FULL.open("wb") as device:
        return _run(command(*arguments), cwd, device.fileno())


def _run(line: list[str], cwd: Path, stdout: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        line,
        cwd=cwd,
        env=environment(XDG_STATE_HOME=str(cwd)),
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_went_away_is_one_code(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Every command ends with 141, as --help promises, and says nothing."""
    write_result(result([0.1]), tmp_path / "a.json")
    done = unread(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (ExitCode.READER_GONE, b"")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_closed_output_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Without a standard output a command says so, and no traceback."""
    write_result(result([0.1]), tmp_path / "a.json")
    done = closed(*arguments, cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith(b"fishlive: error: standard output is closed: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """What cannot be written is said, and the interpreter adds nothing to it."""
    done = full("--version", cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith(b"fishlive: error: cannot write standard output: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (unread, ExitCode.READER_GONE),
        (closed, ExitCode.USAGE),
        pytest.param(
            full, ExitCode.USAGE, marks=pytest.mark.skipif(not FULL.exists(), reason="no device")
        ),
    ],
)
def test_a_benchmark_nobody_reads_is_kept(run: object, code: ExitCode, tmp_path: Path) -> None:
    """Its files are written whatever becomes of the table: a run may have cost money."""
    assert callable(run)
    done = run(*BENCH, *FILES, cwd=tmp_path)

    assert done.returncode == code
    assert read_result(tmp_path / "a.json").cells[0].finished == 1
    assert {"a.html", "a.json", "a.jsonl"} <= set(names(tmp_path))


def test_a_report_nobody_reads_the_table_of_is_kept(tmp_path: Path) -> None:
    """``bench show --html`` writes its page first."""
    write_result(result([0.1]), tmp_path / "a.json")
    done = unread("bench", "show", "a.json", "--html", "a.html", cwd=tmp_path)

    assert done.returncode == ExitCode.READER_GONE
    assert (tmp_path / "a.html").exists()


@pytest.mark.parametrize("run", [unread, closed])
def test_a_verdict_nobody_reads_is_in_the_code(run: object, tmp_path: Path) -> None:
    """``--fail-over`` fails a comparison that is worse, whether or not it could be shown."""
    assert callable(run)
    write_result(result([0.1] * 50), tmp_path / "a.json")
    write_result(result([0.9] * 50), tmp_path / "b.json")
    done = run("bench", "compare", "a.json", "b.json", "--fail-over", "p50=10%", cwd=tmp_path)

    assert done.returncode == ExitCode.WORSE
    assert b"worse than allowed: " in done.stderr


def test_speech_without_an_output_is_refused_before_it_is_paid(tmp_path: Path) -> None:
    """The line names the option that would do."""
    done = closed("say", "--local", "hello", cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert b"standard output is closed: use -o FILE" in done.stderr
