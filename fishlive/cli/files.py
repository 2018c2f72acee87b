"""Files that a command makes: whole under their name, or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fishlive.cli.exits import explain, usage
from fishlive.cli.output import Output, check_free, open_output, part_of


@contextlib.contextmanager
def saved(path: Path, *, force: bool) -> Iterator[Output]:
    """Yield an open file; give it its name at the end, or keep its part and say where.

    Raises:
        Failure: It exists, cannot be written, or what was to be written did not come.
    """
    output = open_output(str(path), force=force, wav_rate_hz=None)
    try:
        yield output
    except BaseException as error:
        kept = output.abandon()
        failure = explain(error)
        if failure is None or kept is None:
            raise
        raise failure.adding(f"what there is so far is in {kept}") from error
    output.finish()


def check_can_be(path: Path, *, force: bool, in_place: bool = False) -> None:
    """Raise Failure if a file cannot be made there, before anything is paid for it.

    Args:
        path: Where.
        force: Whether a file may be replaced.
        in_place: Whether links are followed, and what is no regular file (a device, a named pipe)
            is written to as it is: that has nothing to lose, and needs no ``force``.
    """
    if in_place and path.exists() and not path.is_file() and not path.is_dir():
        if not os.access(path, os.W_OK):
            raise usage(f"cannot write {path}: it is not yours to write to")
        return
    check_free(path, force=force)
    target = Path(os.path.realpath(path)) if in_place else path
    check_free(part_of(target), force=force)
    folder = target.parent
    if not folder.is_dir():
        raise usage(f"cannot write {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise usage(f"cannot write {path}: the folder {folder} is not yours to write in")
