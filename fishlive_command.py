"""The ``fishlive`` command's first lines: a Ctrl-C while it is loading is no traceback.

Outside the package, whose first import takes most of that time; and it imports nothing that the
interpreter has not loaded by itself, for while it did so nobody would catch the interrupt.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing takes a while, too
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Final, NoReturn

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
    import signal

    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, _end)
    try:
        from fishlive.cli import load

        return load()
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int = 0, _frame: FrameType | None = None) -> NoReturn:
    try:
        os.write(2, b"fishlive: interrupted\n")
    finally:
        os._exit(_INTERRUPTED)
