"""The command while it loads: a Ctrl-C then ends it like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fishlive.cli.entry import main
from fishlive.cli.exits import ExitCode
from tests.cli.command import WAIT_S, environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to oneself there")

STRUCK = """
import os, signal, sys

handler, module = sys.argv[1:3]
del sys.argv[1:3]
signal.signal(signal.SIGINT, getattr(signal, handler))

class Striker:
    def find_spec(self, name, path=None, target=None):
        if name != module:
            return
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ImportError("what an import may make of it") from error

sys.meta_path.insert(0, Striker())
from fishlive.cli.entry import main
sys.exit(main())
"""
"""Runs the command, and interrupts it at the import of a module."""


def struck(module: str, cwd: Path, handler: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command that gets a SIGINT when it imports a module."""
    return subprocess.run(
        [sys.executable, "-c", STRUCK, handler, module, "--version"],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize("module", ["pydantic", "typer", "fishlive.cli.app"])
def test_an_interrupt_while_it_loads_is_one_line(module: str, tmp_path: Path) -> None:
    """Whatever is being imported, there is no traceback, and the code of an interruption."""
    done = struck(module, tmp_path, "default_int_handler")

    assert done.returncode == ExitCode.INTERRUPTED
    assert (done.stdout, done.stderr) == (b"", b"fishlive: interrupted\n")


def test_an_ignored_interrupt_does_not_end_the_start(tmp_path: Path) -> None:
    """What a shell runs in its background is not ended by the Ctrl-C for its foreground."""
    done = struck("pydantic", tmp_path, "SIG_IGN")

    assert (done.returncode, done.stderr) == (ExitCode.DONE, b"")


def test_the_first_lines_import_nothing_that_takes_time(tmp_path: Path) -> None:
    """Nobody would catch an interrupt in there: no package but ours, and of ours almost nothing."""
    look = "import sys; before = set(sys.modules); import fishlive.cli.entry; "
    look += "print(*sorted(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=WAIT_S,
        check=True,
    )

    ours = {name for name in done.stdout.decode().split() if "." not in name or "fishlive" in name}
    assert ours == {"fishlive", "fishlive.cli", "fishlive.cli.entry"}


def test_loaded_commands_have_the_signals_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a command runs, a SIGINT is what it was before, and the command's to tidy up after."""
    monkeypatch.setattr(sys, "argv", ["fishlive", "--version"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main() == ExitCode.DONE
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
