"""Tables that are wider than the screen, as several that fit: no number is ever broken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GAP: Final = 2
"""Cells between two columns."""

LEAST_NAME: Final = 8
"""Cells that a column of names keeps, however narrow the screen is: a short word."""


@dataclass(frozen=True)
class Block:
    """Columns of a table that fit beside each other.

    Attributes:
        columns: Their names.
        widths: Their widths, in cells. Names may take several lines, numbers do not.
        rows: What stands in them.
    """

    columns: list[str]
    widths: list[int]
    rows: list[list[str]]


def blocks(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, names: int, width: int
) -> list[Block]:
    """Return a table as blocks of columns, each of which fits.

    Args:
        columns: Names of columns.
        rows: What stands in them.
        names: How many columns, the first ones, name a row: each block has them.
        width: Of the screen, in cells.
    """
    natural = [_widest([columns[index], *_column(rows, index)]) for index in range(len(columns))]
    needed = [
        max(_widest(_column(rows, index)), _widest(columns[index].split()))
        for index in range(names, len(columns))
    ]
    left = width - max(needed, default=0) - GAP * names
    lead = _shrunk(natural[:names], left)
    room = width - sum(lead) - GAP * max(0, names - 1)
    found = []
    for part in _parts(needed, room, gap_first=bool(names)):
        chosen = [*range(names), *(names + index for index in part)]
        free = room - sum(needed[index] + GAP for index in part)
        values = []
        for index in part:
            more = min(max(0, free), natural[names + index] - needed[index])
            free -= more
            values.append(needed[index] + more)
        found.append(
            Block(
                [columns[index] for index in chosen],
                [*lead, *values],
                [[row[index] for index in chosen] for row in rows],
            )
        )
    return found


def _parts(needed: Sequence[int], room: int, *, gap_first: bool) -> list[list[int]]:
    """Return which columns stand together: as many as fit, and one at least."""
    parts: list[list[int]] = [[]]
    used = 0
    for index, size in enumerate(needed):
        cells = size + (GAP if parts[-1] or gap_first else 0)
        if parts[-1] and used + cells > room:
            parts.append([])
            used, cells = 0, size + (GAP if gap_first else 0)
        parts[-1].append(index)
        used += cells
    return parts


def _shrunk(widths: Sequence[int], room: int) -> list[int]:
    """Return the widths of names, the widest shortened until all have room."""
    found = list(widths)
    while sum(found) > room and max(found, default=0) > LEAST_NAME:
        found[found.index(max(found))] -= 1
    return found


def _column(rows: Sequence[Sequence[str]], index: int) -> list[str]:
    return [row[index] for row in rows]


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts), default=0)
