"""What ``fishlive serve`` is told about faults: lines, a file, and the table of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fishlive.cli.exits import usage
from fishlive.errors import ConfigError
from fishlive.faults import Fault, lines, load_faults

HOW: Final = """\
A fault is kind[:value]@place[:n][,option=value]..., and happens once unless it says more:
  @audio:3        the third audio (@text counts too; @byte:1000 is behind so many bytes of audio)
  ,times=3        so often in all; ,times=always every time
  ,every=2        only on each second connection (request, over HTTP) that could meet it
  ,connection=3   only on the third of them
  ,on=timed       only on this endpoint: live, timed (live with timestamps) or rest (HTTP calls)
What would end a value (comma, @, %) is written %2C, %40, %25. Examples:
  --fault rst@audio:3,times=always
  --fault status:429@upgrade,every=2,times=10,header=Retry-After:2
  --fault status:503@upgrade,times=always,on=rest
"""
"""What is the same for all kinds, as ``--list-faults`` says it."""


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
    """Write the table of kinds: how each is written, and what it does; then what they share."""
    table = tuple(lines())
    width = max(len(written) for written, _ in table if len(written) <= _COLUMN)
    for written, does in table:
        sys.stdout.write(f"{written:<{width}}  {does}\n")
    sys.stdout.write(f"\n{HOW}")


_COLUMN = 56
"""Longest first column, in characters: what is longer pushes its line only."""


def _parsed(spec: str) -> Fault:
    try:
        return Fault.parse(spec)
    except ConfigError as error:
        raise ConfigError(str(error), argument="fault") from error
