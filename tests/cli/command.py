"""The command as a user has it: a process of its own, or its ``main`` in a thread."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import IO

from fishlive.cli import main

ROOT = Path(__file__).parent.parent.parent
WAIT_S = 30.0
"""How long a test waits for what must happen; only a failing test ever waits it out."""

POLL_S = 0.02


def environment(**more: str) -> dict[str, str]:
    """Return our environment without keys and addresses in it."""
    # PYTHONUNBUFFERED would hide what happens to output that is written at the end.
    own = ("FISH_", "PYTHONUNBUFFERED")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return clean | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"} | more


def command(*arguments: str) -> list[str]:
    """Return the command line of a process."""
    return [sys.executable, "-m", "fishlive", *arguments]


def finished(
    *arguments: str, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        input=stdin,
        env=environment() if env is None else env,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )


def started(
    *arguments: str, cwd: Path, stdout: int | IO[bytes] = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Start a command that is spoken to while it runs. Use it in a ``with`` block."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


async def call(*arguments: str) -> int:
    """Run ``main`` in a thread, so that a server may run in this one."""
    return await asyncio.to_thread(main, list(arguments))


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something is so; fail if the process ends before, or after WAIT_S."""
    end_s = time.monotonic() + WAIT_S
    while not what():
        if process.poll() is not None:
            error = b"" if process.stderr is None else process.stderr.read()
            raise AssertionError(f"it ended with {process.returncode}: {error!r}")
        assert time.monotonic() < end_s, "it took too long"
        time.sleep(POLL_S)


def wav_seconds(source: Path | bytes) -> float:
    """Return how long a WAV is, by its header; fail unless that agrees with its size."""
    data = source.read_bytes() if isinstance(source, Path) else source
    with wave.open(io.BytesIO(data)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth()) == (1, 2)
        assert len(data) == 44 + 2 * opened.getnframes()
        seconds: float = opened.getnframes() / opened.getframerate()
        return seconds


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(file.name for file in folder.iterdir())
