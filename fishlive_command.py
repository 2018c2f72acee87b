"""The ``fishlive`` command's first lines: a Ctrl-C while it is loading is no traceback.

Outside the package, whose first import takes most of that time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final

_INTERRUPTED: Final = 130
"""The exit code, as in :mod:`fishlive.cli.exits`."""


def main() -> int:
    """Load the commands, and run one; return its exit code."""
    with _ending_at_once():
        from fishlive.cli import load

        run = load()
    return run(sys.argv[1:])


@contextlib.contextmanager
def _ending_at_once() -> Iterator[None]:
    """End the process at a SIGINT, with one line. One that is ignored stays ignored.

    A KeyboardInterrupt would not do: in the middle of an import it may come out as another error.
    Nothing is open yet that had to be closed.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"fishlive: interrupted\n")
    os._exit(_INTERRUPTED)
