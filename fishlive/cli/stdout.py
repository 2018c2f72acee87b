"""Standard output whose reader may go away: a command ends with one code for it, wherever it is."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from fishlive.cli.exits import ExitCode, Failure, about_file, usage


@contextlib.contextmanager
def guarded_stdout() -> Iterator[None]:
    """Let every write to ``sys.stdout`` that fails raise Failure.

    An OSError would not do: typer and rich catch the one of a reader that went away, and end the
    process with a code of theirs. On the way out what is left is written. Should that fail, too,
    the block's own failure counts: it says more.

    Raises:
        Failure: What was left could not be written, and the block did not fail.
    """
    before = sys.stdout
    guarded = _Closed() if before is None else _Guarded(before)
    sys.stdout = cast("TextIO", guarded)
    try:
        yield
    except BaseException:
        with contextlib.suppress(Failure):
            _empty(guarded)
        raise
    else:
        _empty(guarded)
    finally:
        sys.stdout = before


class _Guarded:
    """A text stream; what cannot be written is a Failure. In all else it is that stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text. Raises Failure."""
        with _failing():
            return self._stream.write(text)

    def flush(self) -> None:
        """Hand over what was written. Raises Failure."""
        with _failing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Closed(io.TextIOBase):
    """Stands for standard output where the caller left none (``>&-``)."""

    def write(self, text: str) -> int:
        """Raise Failure, unless there is nothing to write."""
        if text:
            raise usage("standard output is closed: send it to a file, a pipe or /dev/null")
        return 0


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Windows says EINVAL of a pipe that nobody reads.
        gone = error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)
        if gone:
            raise Failure(ExitCode.READER_GONE, "") from error
        raise usage(f"cannot write standard output: {about_file(error)}") from error


def _empty(stream: _Guarded | _Closed) -> None:
    """Write out what is left; if that fails, let the interpreter not try again. Raises Failure."""
    try:
        stream.flush()
    except Failure:
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nothing:  # noqa: PTH123  # no Path for a device
            os.dup2(nothing.fileno(), stream.fileno())
        raise
