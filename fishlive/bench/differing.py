"""In what two sets of combinations differ, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from fishlive.bench.records import Combination


def nearest(
    one: Sequence[Combination],
    other: Sequence[Combination],
    *,
    names: tuple[str, str] = ("there", "here"),
) -> str:
    """Return in what those combinations differ that are most alike and not in both.

    Args:
        one: One side's; at least one.
        other: The other side's; at least one.
        names: What the sides are called.
    """
    ours = [combination for combination in one if combination not in other]
    theirs = [combination for combination in other if combination not in one]
    pairs = [differing(mine, its) for mine in ours or one for its in theirs or other]
    return "; ".join(
        f"{name.replace('_', ' ')} is {said(before)} {names[0]} and {said(after)} {names[1]}"
        for name, before, after in min(filter(None, pairs), key=len)
    )


def differing(one: Combination, other: Combination) -> list[tuple[str, object, object]]:
    """Return the fields in which two combinations differ, with both values."""
    pairs = [(f.name, getattr(one, f.name), getattr(other, f.name)) for f in fields(Combination)]
    return [(name, before, after) for name, before, after in pairs if before != after]


def said(value: object, *, none: str = "default") -> str:
    """Return a value for people."""
    return none if value is None else str(value)
