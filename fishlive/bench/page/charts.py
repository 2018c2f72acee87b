"""The drawings of a report: percentile curves, latency over time, gaps. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from fishlive.bench.histogram import SAMPLES_BEYOND, Histogram
from fishlive.bench.metrics import headline
from fishlive.bench.page.svg import (
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    across,
    axes,
    crosses,
    dots,
    drawing,
    esc,
    milliseconds,
    number,
    upright,
)
from fishlive.bench.records import Cell, Record

COLOURS: Final = 6
"""So many lines of one drawing can be told apart, by colour, dashes and letter."""

MOST_NINES: Final = 5.0
"""The percentile axis ends at 99.999 %, whatever the number of samples."""

_MARKS: Final = (0, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999)
_APART: Final = 34.0
_NAME_APART: Final = 17.0
"""Percentiles on the axis, how far apart their names must be, and how far the letters of lines, in
units of the drawing."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Row:
    """One cell as a page shows it.

    Attributes:
        letter: Its short name, in every table and drawing: A, B, …
        label: What tells it from the others; for people.
        index: Which cell of the result.
        cell: The cell.
        records: Its utterances without warm-up; empty if the file has none.
    """

    letter: str
    label: str
    index: int
    cell: Cell
    records: Sequence[Record] = ()
    _decoded: dict[str, Histogram | None] = field(default_factory=dict)

    @property
    def colour(self) -> str:
        """Class of its colour."""
        return f"c{self.index % COLOURS}"

    def histogram(self, name: str) -> Histogram | None:
        """Return the distribution of a number; None if there is none."""
        if name not in self._decoded:
            encoded = self.cell.histograms.get(name)
            self._decoded[name] = None if encoded is None else Histogram.decode(encoded)
        return self._decoded[name]


def thinned(values: Sequence[_T], most: int, weights: Sequence[float]) -> list[_T]:
    """Return at most so many values, in order: the heaviest half, and every n-th of the others.

    Args:
        values: All of them.
        most: How many to keep, over 1.
        weights: Of each value, how much it would be missed.
    """
    if len(values) <= most:
        return list(values)
    order = sorted(range(len(values)), key=weights.__getitem__, reverse=True)
    kept = set(order[: most // 2])
    rest = sorted(order[most // 2 :])
    kept.update(itertools.islice(rest, 0, None, math.ceil(len(rest) / (most - most // 2))))
    return [values[index] for index in sorted(kept)]


def percentile_curves(name: str, rows: Sequence[Row]) -> str:
    """Return one drawing of how the headline is distributed, a line a cell."""
    metrics = {headline(row.cell.combination.transport) for row in rows}
    curves = [
        (row, found)
        for row in rows
        if (found := row.histogram(headline(row.cell.combination.transport).name)) is not None
    ]
    if not curves:
        return ""
    nines = min(MOST_NINES, max(math.log10(found.count) for _, found in curves) + 0.15)
    x = Scale(0.0, max(1.0, nines), LEFT, WIDTH - RIGHT - 14)
    y = upright([found.percentile(p) for _, found in curves for p in (50, 50, 100)])
    if not y.log:
        y = upright([found.highest for _, found in curves])
    what = " or ".join(sorted(metric.title for metric in metrics))
    parts = list(axes(_percentile_ticks(x), y, "percentile", f"{what}, ms", _tick))
    ends = spread([y(found.highest) for _, found in curves])
    for (row, found), end in zip(curves, ends, strict=True):
        parts += _curve(row, found, x, y, end)
    said = "; ".join(f"{row.letter} {_middle(found)}" for row, found in curves)
    return drawing(name, f"Percentiles of {what}, in milliseconds: {said}", parts)


def _middle(found: Histogram) -> str:
    p50, p95 = (milliseconds(value) for value in found.percentiles((50, 95)))
    return f"p50 {p50}, p95 {p95}"


def _tick(value_s: float) -> str:
    return f"{value_s * 1000:,.5g}" if value_s * 1000 < 1000 else f"{value_s * 1000:,.0f}"


def _percentile_ticks(x: Scale) -> list[tuple[float, str]]:
    ticks: list[tuple[float, str]] = []
    # From the right: the far percentiles are what the axis is stretched for.
    for percentile in reversed(_MARKS):
        nines = -math.log10(1 - percentile / 100)
        if nines <= x.high and (not ticks or ticks[-1][0] - x(nines) >= _APART):
            ticks.append((x(nines), f"{percentile:g}"))
    return ticks


def _curve(row: Row, found: Histogram, x: Scale, y: Scale, end: float) -> Iterator[str]:
    """Yield a line, dotted where fewer than ten samples are beyond, with its letter at its end."""
    total = found.count
    sure = math.log10(total / SAMPLES_BEYOND) if total > SAMPLES_BEYOND else 0.0
    solid: list[str] = []
    loose: list[str] = []
    before, last = 0.0, (-9.0, -9.0)
    for value, seen in found.cumulative():
        nines = math.log10(total / (total - seen)) if seen < total else math.log10(total) + 0.15
        at = y(value)
        # Steps that nobody could see are left out: the page stays small.
        if x(nines) - last[0] >= 0.7 or abs(at - last[1]) >= 0.7 or seen == total:
            _step(solid, x(min(before, sure)), x(min(nines, sure)), at)
            _step(loose, x(max(before, sure)), x(max(nines, sure)), at)
            before, last = nines, (x(nines), at)
    for kind, line in (("line", solid), ("line loose", loose)):
        if line:
            yield f'<path class="{kind} {row.colour}" d="M{line[0]}{"".join(line[1:])}"/>'
    yield (
        f'<text class="letter {row.colour}" x="{number(x(before) + 5)}" y="{number(end)}" '
        f'dy=".35em">{row.letter}<title>{esc(row.label)}</title></text>'
    )


def spread(places: Sequence[float]) -> list[float]:
    """Return places of names that do not lie on each other, each near where it belongs.

    In order from below, each at least _NAME_APART over the one before; the last ones are pushed
    down if they would leave the drawing.
    """
    order = sorted(range(len(places)), key=places.__getitem__, reverse=True)
    found = [0.0] * len(places)
    free = math.inf
    for index in order:
        found[index] = free = min(places[index], free - _NAME_APART)
    lowest = float(TOP)
    for index in reversed(order):
        found[index] = max(found[index], lowest)
        lowest = found[index] + _NAME_APART
    return found


def _step(line: list[str], start: float, end: float, at: float) -> None:
    if end > start:
        line.append(f"{number(start)} {number(at)}" if not line else f"V{number(at)}")
        line.append(f"H{number(end)}")


def over_time(name: str, row: Row, most: int) -> str:
    """Return a drawing of each utterance's headline over the time of its intended start."""
    metric = headline(row.cell.combination.transport)
    values = [
        (record.intended_s, value)
        for record in row.records
        if record.ending == "finished"
        for value in metric.values(record)
    ]
    failed = [record.intended_s for record in row.records if record.ending == "failed"]
    if not values and not failed:
        return ""
    shown = thinned(values, most, [value for _, value in values])
    broken = thinned(failed, most, failed)
    x = across(max([at for at, _ in values] + failed))
    y = upright([value for _, value in values], TOP + 18 if failed else TOP)
    ticks = [(x(tick), f"{tick:g}") for tick in x.ticks()]
    parts = list(axes(ticks, y, "intended start, s", f"{metric.title}, ms", _tick))
    parts.append(f'<path class="dots {row.colour}" d="{dots((x(at), y(v)) for at, v in shown)}"/>')
    parts += _levels(row, y)
    if broken:
        marks = crosses((x(at), TOP + 6.0) for at in broken)
        parts.append(f'<path class="cross" d="{marks}"><title>failed</title></path>')
    title = f"{metric.title} over time: {len(values)} finished, {len(failed)} failed"
    caption = f"{metric.title.capitalize()} by intended start."
    caption += " Crosses at the top: failed." if broken else ""
    caption += _left_out(len(values), len(shown), "the slowest are all there")
    return drawing(name, title, parts, caption)


def _levels(row: Row, y: Scale) -> Iterator[str]:
    found = row.histogram(headline(row.cell.combination.transport).name)
    if found is None:
        return
    # One name under its line and one over it: the two may lie close to each other.
    for (percentile, under), value in zip(
        ((50, "1.1em"), (95, "-.35em")), found.percentiles((50, 95)), strict=True
    ):
        at = number(y(value))
        yield f'<path class="level" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>'
        yield (
            f'<text class="levelname end" x="{WIDTH - RIGHT}" y="{at}" dy="{under}">p{percentile} '
            f"{milliseconds(value)}</text>"
        )


def gaps(name: str, row: Row, most: int) -> str:
    """Return a drawing of the gaps between chunks over how much audio was there before each."""
    every = [gap for r in row.records if r.ending == "finished" for gap in _gaps_of(r)]
    if not every:
        return ""
    longest = [
        (record.gap_at_s, record.gap_max_s)
        for record in row.records
        if record.ending == "finished"
        and record.gap_at_s is not None
        and record.gap_max_s is not None
    ]
    shown = thinned(every, most, [gap_s for _, gap_s in every])
    peaks = thinned(longest, most // 4, [gap_s for _, gap_s in longest])
    x, y = across(max(at for at, _ in every)), upright([gap_s for _, gap_s in every])
    ticks = [(x(tick), f"{tick:g}") for tick in x.ticks()]
    parts = list(axes(ticks, y, "audio that had arrived, s", "gap to the next chunk, ms", _tick))
    parts.append(f'<path class="dots {row.colour}" d="{dots((x(at), y(v)) for at, v in shown)}"/>')
    marks = "".join(_diamond(x(at), y(v)) for at, v in peaks)
    parts.append(
        f'<path class="peak" d="{marks}"><title>longest gap of an utterance</title></path>'
    )
    most_s = max(gap_s for _, gap_s in every)
    title = f"Gaps between chunks: {len(every)}, the longest {milliseconds(most_s)} ms"
    caption = "Gaps between chunks, by audio that had arrived. Diamonds: an utterance's longest."
    caption += _left_out(len(every), len(shown), "the longest are all there")
    return drawing(name, title, parts, caption)


def _gaps_of(record: Record) -> Iterator[tuple[float, float]]:
    rate = record.audio_s / record.audio_bytes if record.audio_bytes else 0.0
    there = itertools.accumulate(record.sizes_bytes)
    for (earlier_s, later_s), size in zip(
        itertools.pairwise(record.arrivals_s), there, strict=False
    ):
        yield size * rate, later_s - earlier_s


def _diamond(x: float, y: float) -> str:
    return f"M{number(x)} {number(y - 4)}l4 4-4 4-4-4z"


def _left_out(there: int, shown: int, but: str) -> str:
    return "" if shown == there else f" {shown:,} of {there:,} are drawn; {but}."


__all__ = ["COLOURS", "HEIGHT", "Row", "gaps", "over_time", "percentile_curves", "thinned"]
