"""The ``fishlive`` command. Needs the extra ``cli``, and says so without it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Final

_PACKAGES: Final = ("rich", "typer")
"""What the extra ``cli`` brings."""

_USAGE: Final = 2
"""The exit code of a command that cannot work as it stands, as in :mod:`fishlive.cli.exits`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Args:
        argv: What follows the command's name; None for the process's own arguments.
    """
    return load()(sys.argv[1:] if argv is None else list(argv))


def load() -> Callable[[list[str]], int]:
    """Import the commands; return what runs one of them and returns its exit code."""
    try:
        for name in _PACKAGES:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name
        return lambda _arguments: _cannot(missing)
    from fishlive.cli.app import run

    return run


def _cannot(missing: str | None) -> int:
    sys.stderr.write(
        f'fishlive: error: the command line needs {missing}: run `pip install "fishlive[cli]"`\n'
    )
    return _USAGE
