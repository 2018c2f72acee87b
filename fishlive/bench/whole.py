"""A text becomes a file: whole or not at all, and nothing but a regular file is ever replaced."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from fishlive.errors import ConfigError

PART_SUFFIX: Final = ".part"
"""Behind the name of a file that is not complete."""


def write_whole(path: Path, text: str, *, argument: str, errors: str = "strict") -> None:
    """Write a text: a regular file is replaced at the end, whole or not at all.

    A link stays, and what it points at is replaced. What is no regular file (a device, a named
    pipe) is written to as it is.

    Args:
        path: Where.
        text: What, as UTF-8, with line ends as they are.
        argument: Which argument an error names.
        errors: What becomes of what is no text, as :meth:`str.encode` has it.

    Raises:
        ConfigError: It cannot be written.
    """
    data = text.encode("utf-8", errors)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            _write_through(path, data)
            return
        target = Path(os.path.realpath(path))
        part = target.with_name(target.name + PART_SUFFIX)
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}", argument=argument
        ) from error


def _write_through(path: Path, data: bytes) -> None:
    """Write to what is no regular file, and make none: it may have gone since it was looked at."""
    handle = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    with open(handle, "wb", buffering=0) as raw:  # noqa: PTH123  # it is open already
        if stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileExistsError(errno.EEXIST, "it has become a file", str(path))
        view = memoryview(data)
        while view:
            view = view[raw.write(view) or 0 :]
