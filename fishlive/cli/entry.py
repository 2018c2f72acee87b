"""The command's first lines: a Ctrl-C while it is loading is no traceback.

Nothing that takes time is imported here or before it, in the package or in this folder: the rest is
imported where an interrupt is caught.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

from fishlive.cli import load

if TYPE_CHECKING:
    from types import FrameType

_INTERRUPTED: Final = 130
"""The exit code, as in :mod:`fishlive.cli.exits`."""


def main() -> int:
    """Load the commands, and run one; return its exit code."""
    try:
        run = _load()
    except KeyboardInterrupt:
        _end()
    return run(sys.argv[1:])


def _load() -> Callable[[list[str]], int]:
    """Import the commands; a SIGINT ends the process meanwhile, unless it is ignored.

    A KeyboardInterrupt would not do: in the middle of an import it may come out as another error.
    Nothing is open yet that had to be closed.
    """
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, _end)
    try:
        return load()
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int = 0, _frame: FrameType | None = None) -> NoReturn:
    try:
        os.write(2, b"fishlive: interrupted\n")
    finally:
        os._exit(_INTERRUPTED)
