"""What ``fishlive serve`` is told about faults: lines, a file, and the table of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fishlive.cli.exits import usage
from fishlive.errors import ConfigError
from fishlive.faults import Fault, lines, load_faults


def read_given(specs: Iterable[str], file: Path | None) -> tuple[Fault, ...]:
    """Return the faults of the options, those of the file first.

    Raises:
        ConfigError: One cannot be; says which.
        Failure: The file is no text.
        OSError: The file cannot be read.
    """
    found: tuple[Fault, ...] = ()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise usage(f"--faults: {file} is no text: {error.reason}") from error
        found = load_faults(text, name=file.name)
    return (*found, *map(_parsed, specs))


def show_kinds() -> None:
    """Write the table of kinds: how each is written, and what it does, one a line."""
    table = tuple(lines())
    width = max(len(written) for written, _ in table if len(written) <= _COLUMN)
    for written, does in table:
        sys.stdout.write(f"{written:<{width}}  {does}\n")


_COLUMN = 56
"""Longest first column, in characters: what is longer pushes its line only."""


def _parsed(spec: str) -> Fault:
    try:
        return Fault.parse(spec)
    except ConfigError as error:
        raise ConfigError(str(error), argument="fault") from error
