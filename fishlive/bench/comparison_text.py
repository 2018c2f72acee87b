"""A comparison as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from fishlive.bench.chance import ALPHA, share_grew
from fishlive.bench.pairs import Comparison, Move, Pair, place
from fishlive.bench.records import Combination

DOUBT: Final = "?"
"""Behind a percentile from too few samples."""

_COLUMNS: Final = ("", "base", "new", "change", "", "95 % interval", "")


def describe(comparison: Comparison) -> str:
    """Return it for people: what to mind, a table, which steps moved, what has no counterpart."""
    return "\n".join(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    yield from (f"mind: {warning}" for warning in comparison.warnings)
    moves = [(pair, move) for pair in comparison.pairs for move in pair.moves]
    yield "against the base, times in milliseconds"
    yield from _table([_row(pair, move, comparison.axes) for pair, move in moves])
    if comparison.steps:
        yield "steps whose medians moved"
        yield from _table([_row(*step, comparison.axes) for step in comparison.steps])
    for pair in comparison.pairs:
        yield from _about(pair, comparison.axes)
    yield from _unmatched("base", comparison.only_base)
    yield from _unmatched("new one", comparison.only_new)
    yield from _reading(moves)


def _reading(moves: Sequence[tuple[Pair, Move]]) -> Iterator[str]:
    if not moves:
        yield "nothing finished in both: there is nothing to compare"
        return
    tested = sum(move.interval is not None for _, move in moves)
    yield (
        f"worse, better: more than chance (bootstrap; chance alone says so of one in "
        f"{1 / ALPHA:.0f}, here of {tested * ALPHA:.1f} rows)"
    )
    if any(not move.enough for _, move in moves):
        yield f"a {DOUBT} marks a percentile from too few samples: do not rely on it"


def _row(pair: Pair, move: Move, axes: Sequence[str]) -> list[str]:
    scale, places = (1000, 1) if move.metric.unit == "s" else (1, 3)
    doubt = "" if move.enough else DOUBT
    interval = "-"
    if move.interval is not None:
        low, high = (end * scale for end in (move.interval.low, move.interval.high))
        interval = f"{low:+.{places}f} to {high:+.{places}f}"
    return [
        f"{place(pair.combination, axes)}{move.metric.title} p{move.percentile:g}",
        f"{move.base * scale:.{places}f}{doubt}",
        f"{move.new * scale:.{places}f}{doubt}",
        f"{(move.new - move.base) * scale:+.{places}f}",
        f"{move.relative:+.1%}" if math.isfinite(move.relative) else "-",
        interval,
        move.verdict,
    ]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [_COLUMNS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for name, *values in lines:
        right = [f"{value:>{width}}" for value, width in zip(values, widths[1:], strict=True)]
        right[-1] = values[-1]
        yield "  ".join([f"{name:<{widths[0]}}", *right]).rstrip()


def _about(pair: Pair, axes: Sequence[str]) -> Iterator[str]:
    where = place(pair.combination, axes)
    for name, one, other in (("base", pair.base, pair.new), ("new one", pair.new, pair.base)):
        if not one.finished and other.finished:
            yield f"{where}no utterance finished in the {name}"
    base, new = pair.failed
    if base[0] or new[0]:
        chance = share_grew(base, new)
        verdict = "worse" if chance < ALPHA else "better" if share_grew(new, base) < ALPHA else ""
        yield (
            f"{where}failed: {base[0]} of {base[1]}, now {new[0]} of {new[1]}: "
            f"{verdict or 'chance'}; percentiles are of those that finished"
        )


def _unmatched(name: str, combinations: Sequence[Combination]) -> Iterator[str]:
    for combination in combinations:
        yield f"only in the {name}: {whole(combination)}"


def whole(combination: Combination) -> str:
    """Return all that a combination is, in one line."""
    given = (
        combination.transport,
        combination.socket,
        combination.model,
        combination.latency,
        combination.format,
        combination.voice,
        None if combination.chunk_length is None else f"chunks of {combination.chunk_length}",
        f"flush {combination.flush}",
        f"text {combination.stream}",
        combination.load,
    )
    return ", ".join(value for value in given if value is not None)
