"""A result as tables: what came out, where the time goes, and what to know before believing it.

The same for a terminal and for a page.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from fishlive.bench.histogram import Histogram, needed, supported
from fishlive.bench.matrix import varied
from fishlive.bench.metrics import METRICS, PATH, has_step, headline
from fishlive.bench.records import Cell, Result

Rows: TypeAlias = tuple[list[str], list[list[str]]]
"""Names of columns, and what stands in them."""

FEW: Final = 4
"""So many combinations stand side by side on a terminal, each with a column."""

DOUBT: Final = "?"
"""Behind a percentile from too few samples."""

PERCENTILES: Final = (50, 95, 99)

NOTHING: Final = "-"
"""Where there is no number."""

SOUND: Final = ("audible", "gap p95", "rtf", "dry %")
"""Columns that are left out where no row has them: a task makes no sound, MP3 cannot be looked
into."""

STEPS: Final = ("queue_s", "connect_s", *PATH[1:])
"""The steps of a path, and what four of them are together: some transports tell only that."""


def heading(result: Result) -> Iterator[str]:
    """Yield what was measured, and where."""
    config = result.config
    texts = f"{config.prompts} text{'s' * (config.prompts != 1)}"
    spoken = f"workload {config.workload} ({texts}), seed {config.seed}"
    yield f"{config.target}: {spoken}"
    for where in result.environments:
        versions = ", ".join(f"{name} {version}" for name, version in where.versions.items())
        yield f"{where.began}  {where.system} {where.machine}, {where.cores} cores  {where.cpu}"
        yield f"{versions}"
        if where.command:
            yield f"made by: {where.program} {' '.join(where.command)}"


def summary(result: Result) -> Rows:
    """Return the table of what came out: a row a combination. Times in milliseconds."""
    axes = varied([cell.combination for cell in result.cells])
    troubled = any(cell.failures or cell.cancelled for cell in result.cells)
    columns = [
        *(name.replace("_", " ") for name in axes),
        "n",
        *(["failed"] if troubled else []),
        *(f"p{percentile}" for percentile in PERCENTILES),
        *SOUND,
        "cost",
    ]
    rows = [_row(cell, axes, troubled=troubled) for cell in result.cells]
    kept = [
        index
        for index, name in enumerate(columns)
        if name not in SOUND or any(row[index] != NOTHING for row in rows)
    ]
    return [columns[index] for index in kept], [[row[index] for index in kept] for row in rows]


def _row(cell: Cell, axes: Sequence[str], *, troubled: bool) -> list[str]:
    metric = headline(cell.combination.transport)
    dry = "/".join(f"{100 * total.utterances / cell.finished:.0f}" for total in cell.underruns)
    failed = f"{sum(cell.failures.values())}"
    return [
        *(plain(getattr(cell.combination, name)) for name in axes),
        f"{cell.finished}{'' if cell.partial is None else ' (partial)'}",
        *([failed + (f" +{cell.cancelled} cancelled" * bool(cell.cancelled))] if troubled else []),
        *milliseconds(cell, metric.name, PERCENTILES),
        *milliseconds(cell, "audible_s", (50,)),
        *milliseconds(cell, "gap_s", (95,)),
        _ratio(cell, "rtf"),
        dry or NOTHING,
        f"${cell.cost_usd:.4f}",
    ]


def steps(result: Result) -> Rows:
    """Return the table of steps: medians, of only those steps that some combination has.

    A row a combination, or, where there are few of them, a row a step: easier to read.
    """
    axes = varied([cell.combination for cell in result.cells])
    titles = [*(METRICS[name].title for name in (*STEPS, "gap_max_s")), "after audio of"]
    titles += ["audio", "wall"]
    rows = []
    for index, cell in enumerate(result.cells):
        row = [_step(cell, name) for name in (*STEPS, "gap_max_s")]
        audio = _median(cell, "audio_s") if cell.audio_s else NOTHING
        rows.append([*row, _gap_place(result, index), audio, _median(cell, "wall_s")])
    kept = [index for index in range(len(titles)) if any(row[index] != NOTHING for row in rows)]
    titles = [titles[index] for index in kept]
    rows = [[row[index] for index in kept] for row in rows]
    labels = [[plain(getattr(c.combination, name)) for name in axes] for c in result.cells]
    if len(rows) > FEW:
        wide = [name.replace("_", " ") for name in axes] + titles
        return wide, [label + row for label, row in zip(labels, rows, strict=True)]
    heads = [" ".join(label) or "median" for label in labels]
    return ["step", *heads], [[*line] for line in zip(titles, *rows, strict=True)]


def remarks(result: Result) -> Iterator[str]:
    """Yield what a reader must know before believing a number."""
    if any(headline(cell.combination.transport).name == "latency_s" for cell in result.cells):
        yield "p50 …: latency, from the first words being there (as intended) to first audio"
        if any("audible_s" in cell.histograms for cell in result.cells):
            yield "audible: the same to the first audible sound, median"
        prebuffers = "/".join(
            f"{1000 * prebuffer_s:g}" for prebuffer_s in result.config.prebuffers_s
        )
        yield f"dry %: utterances that would stall a player with {prebuffers} ms of prebuffer"
    else:
        yield "p50 …: from the start to a task's result"
    counts = [cell.finished for cell in result.cells]
    missing = [p for p in PERCENTILES if any(not supported(p, n) for n in counts)]
    if missing:
        rule = ", ".join(f"p{p}: {needed(p):,}" for p in missing)
        yield f"a {DOUBT} marks a percentile from too few samples ({rule}): do not rely on it"
    yield _overhead(result)
    yield from _limited(result)
    places = _places(result)
    for cell, where in zip(result.cells, places, strict=True):
        for name, count in cell.failures.items():
            yield f"failed: {count} of {cell.started} with {name}{where}"
    yield from (f"note: {note}" for note in result.notes)
    yield _cost(result)
    if result.partial is not None:
        yield f"PARTIAL: {result.partial}"


def _places(result: Result) -> list[str]:
    """Return for each cell what tells it from the others, in parentheses; empty if it is alone."""
    axes = varied([cell.combination for cell in result.cells])
    found = (
        ", ".join(plain(getattr(cell.combination, name)) for name in axes) for cell in result.cells
    )
    return [where and f" ({where})" for where in found]


def _limited(result: Result) -> Iterator[str]:
    """Yield where this machine was the limit, and why; not all of it where that is much."""
    limited = [
        dict.fromkeys(reason + where for seen in cell.client for reason in seen.limited)
        for cell, where in zip(result.cells, _places(result), strict=True)
    ]
    told = [reasons for reasons in limited if reasons]
    for reasons in told[:FEW]:
        yield from reasons
    if len(told) > FEW:
        yield f"this machine was the limit in {len(told) - FEW} more combinations"


def _cost(result: Result) -> str:
    billed_bytes, billed_usd = result.billed
    measured_usd = sum(cell.cost_usd for cell in result.cells)
    said = f"cost: {billed_bytes} bytes of UTF-8, ${billed_usd:.4f} by the price list"
    if not any(cell.warmup_utf8_bytes for cell in result.cells):
        return said
    warmup_usd = billed_usd - measured_usd
    return f"{said}, ${warmup_usd:.4f} of it to warm up, which is in no row"


def _overhead(result: Result) -> str:
    found = result.overhead
    if found is None:
        return "overhead of this tool: not measured"
    doubt = "" if found.supported else DOUBT
    return (
        f"overhead of this tool, with a server that does nothing ({found.samples} utterances): "
        f"first audio {found.first_audio_p50_s * 1000:.2f} ms "
        f"(p99 {found.first_audio_p99_s * 1000:.2f}{doubt}), "
        f"connect {found.connect_p50_s * 1000:.2f} ms "
        f"(p99 {found.connect_p99_s * 1000:.2f}{doubt}); at most, for its own work is in it"
    )


def _step(cell: Cell, name: str) -> str:
    """Return the median of a step, if the transport has it."""
    return _median(cell, name) if has_step(cell.combination.transport, name) else NOTHING


def _median(cell: Cell, name: str) -> str:
    return milliseconds(cell, name, (50,), doubt=False)[0]


def milliseconds(
    cell: Cell, name: str, percentiles: Sequence[int], *, doubt: bool = True
) -> list[str]:
    """Return percentiles of a number in milliseconds, the doubtful marked; dashes without any."""
    encoded = cell.histograms.get(name)
    if encoded is None:
        return [NOTHING] * len(percentiles)
    histogram = Histogram.decode(encoded)
    values = zip(percentiles, histogram.percentiles(percentiles), strict=True)
    return [
        f"{value * 1000:.1f}{DOUBT if doubt and not supported(p, histogram.count) else ''}"
        for p, value in values
    ]


def _ratio(cell: Cell, name: str) -> str:
    encoded = cell.histograms.get(name)
    return NOTHING if encoded is None else f"{Histogram.decode(encoded).percentile(50):.3f}"


def _gap_place(result: Result, cell: int) -> str:
    places = [r.gap_at_s for r in result.records_of(cell) if r.gap_at_s is not None]
    return f"{statistics.median(places) * 1000:.0f}" if places else NOTHING


def plain(value: object) -> str:
    """Return a condition for people."""
    return NOTHING if value is None else str(value)
