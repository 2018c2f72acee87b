"""Where the time goes: waterfalls, one for all cells and one for each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fishlive.bench.metrics import METRICS, PATH
from fishlive.bench.page.charts import Row
from fishlive.bench.page.svg import bar, esc, milliseconds
from fishlive.bench.page.tables import table

_OPENING: Final = ("dns_s", "tcp_s", "tls_s", "upgrade_s")

SEEN_S: Final = 0.0001
"""Steps that were always shorter than this, in seconds, are left out: nobody would see them."""


@dataclass(frozen=True)
class Step:
    """One step of the path, as it was for half of the utterances that had it.

    Attributes:
        name: Of its metric.
        title: For people.
        begins_s: When it begins: where the ones before it end.
        median_s: How long it takes; for half of them at most so much.
        p95_s: And for 95 %; None where it is only what is left over.
    """

    name: str
    title: str
    begins_s: float
    median_s: float
    p95_s: float | None

    @property
    def ends_s(self) -> float:
        """When it ends."""
        return self.begins_s + self.median_s


def path(row: Row) -> list[Step]:
    """Return the steps of a cell, one behind the other; none for a gateway's task."""
    if row.histogram("first_audio_s") is None:
        return []
    steps: list[Step] = []
    for name in PATH:
        if name == "slot_s":
            _connecting(row, steps)
        _add(row, steps, name)
    return steps


def _add(row: Row, steps: list[Step], name: str) -> None:
    found = row.histogram(name)
    if found is not None and found.highest >= SEEN_S:
        p50_s, p95_s = found.percentiles((50, 95))
        begins_s = steps[-1].ends_s if steps else 0.0
        steps.append(Step(name, METRICS[name].title, begins_s, p50_s, p95_s))


def _connecting(row: Row, steps: list[Step]) -> None:
    """Add what connecting takes besides its known steps; all of it where none is known."""
    found = row.histogram("connect_s")
    if found is None:
        return
    known = [step for step in steps if step.name in _OPENING]
    left_s = found.percentile(50) - sum(step.median_s for step in known)
    if not known:
        _add(row, steps, "connect_s")
    elif left_s > 0:
        begins_s = steps[-1].ends_s
        steps.append(Step("connect_s", "rest of connecting", begins_s, left_s, None))


def overview(rows: Sequence[Row]) -> str:
    """Return a table with a bar for each cell, all to one scale."""
    paths = [(row, steps) for row in rows if (steps := path(row))]
    if not paths:
        return "<p>No utterance has steps: a gateway's task has a result, and no first audio.</p>"
    most_s = max(steps[-1].ends_s for _, steps in paths) or 1.0
    used = {step.name for _, steps in paths for step in steps if step.median_s >= SEEN_S}
    lines = []
    for row, steps in paths:
        parts = [
            (step.begins_s / most_s, step.median_s / most_s, _colour(step.name))
            for step in steps
            if step.median_s >= SEEN_S
        ]
        title = ", ".join(f"{step.title} {milliseconds(step.median_s)}" for step in steps)
        drawn = f'<span title="{esc(title)} ms">{bar(parts)}</span>'
        lines.append([_name(row), drawn, milliseconds(steps[-1].ends_s)])
    key = "".join(
        f'<li><svg class="key" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" '
        f'class="{_colour(name)}"/></svg>{esc(METRICS[name].title)}</li>'
        for name in (*PATH[:5], "connect_s", *PATH[5:])
        if name in used
    )
    heads = ["", "from the intended start to the first sound", "ms"]
    return f'<ul class="keys">{key}</ul>{table(heads, lines, kind="bars stacked")}'


def waterfall(row: Row) -> str:
    """Return a table of one cell's steps, each with its bar where it begins."""
    steps = path(row)
    if not steps:
        return ""
    most_s = max(step.begins_s + max(step.median_s, step.p95_s or 0.0) for step in steps) or 1.0
    return table(
        ["step, ms", "", "median", "p95"],
        (_line(step, most_s) for step in steps),
        kind="bars",
        feet=_totals(row),
    )


def _line(step: Step, most_s: float) -> list[str]:
    whisker = None
    if step.p95_s is not None and step.p95_s > step.median_s:
        whisker = step.ends_s / most_s, (step.p95_s - step.median_s) / most_s
    drawn = bar([(step.begins_s / most_s, step.median_s / most_s, _colour(step.name))], whisker)
    p95 = "" if step.p95_s is None else milliseconds(step.p95_s)
    return [esc(step.title), drawn, milliseconds(step.median_s), p95]


def _totals(row: Row) -> Iterator[list[str]]:
    for name, title in (
        ("response_s", "to the first audio, from the intended start"),
        ("latency_s", "latency: the same, from when the first words were there"),
        ("audible_s", "to the first audible sound, from the same"),
    ):
        found = row.histogram(name)
        if found is not None:
            p50, p95 = (milliseconds(value) for value in found.percentiles((50, 95)))
            yield [title, p50, p95]


def _colour(name: str) -> str:
    return "s-" + name.removesuffix("_s").replace("_", "-")


def _name(row: Row) -> str:
    return f'<b class="badge {row.colour}">{row.letter}</b> {esc(row.label)}'
