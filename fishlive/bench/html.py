"""A result as one page: self-contained, without a script, for light and dark, screen and paper.

Nothing is fetched and nothing can run: the page forbids both to itself, and everything that came
from outside (texts' names, voices, the command) is escaped. It stays small: drawings of many
points are thinned, and say so.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

from fishlive.bench.histogram import supported
from fishlive.bench.matrix import varied
from fishlive.bench.metrics import METRICS, headline
from fishlive.bench.page import tables
from fishlive.bench.page.charts import COLOURS, Row, gaps, over_time, percentile_curves
from fishlive.bench.page.path import overview, waterfall
from fishlive.bench.page.svg import esc, milliseconds
from fishlive.bench.records import Record, Result
from fishlive.bench.tables import DOUBT, NOTHING, remarks
from fishlive.bench.whole import write_whole

MOST_DOTS: Final = 24_000
"""Points that all drawings have together, at a dozen bytes each: a page of some 300 KB."""

MOST_DOTS_EACH: Final = 2_000
"""Points of one drawing: more lie on each other."""

MOST_DETAILED: Final = 40
"""Cells that are drawn one by one; the tables have all of them."""

MOST_CURVES: Final = 8 * COLOURS
"""Cells whose percentiles are drawn."""

OPEN: Final = 4
"""Cells whose drawings are unfolded when the page opens."""

_EXPLAINS: Final = ("p50 …", "audible:", "dry %:", "cost:")
_PLAIN: Final = "overhead of this tool, with"
"""How sentences begin that explain the table, and the one that is no warning; all others are."""


def write_html(result: Result, path: Path) -> None:
    """Write the page, as :func:`~fishlive.bench.whole.write_whole` does.

    Raises:
        ConfigError: It cannot be written.
    """
    # A command line may hold what is no text.
    write_whole(path, page(result), argument="html", errors="xmlcharrefreplace")


def page(result: Result) -> str:
    """Return the page."""
    rows = _rows(result)
    style = _asset("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sections = [(name, title, body) for name, title, body in _sections(result, rows) if body]
    where = result.environments[0] if result.environments else None
    began = "" if where is None else where.began.replace("T", " ").replace("+00:00", " UTC")
    config = result.config
    texts = f"{config.prompts} text{'s' * (config.prompts != 1)}"
    spoken = f"workload {config.workload}, {texts}, seed {config.seed}"
    runs = len(result.environments)
    merged = f"; {runs} runs merged" if runs > 1 else ""
    return Template(_asset("page.html")).substitute(
        style_hash=f"sha256-{digest}",
        style=style,
        title=esc(f"{config.target}, {began}: fishlive bench"),
        heading=esc(config.target),
        under=esc(f"{began}; {spoken}; {len(rows)} combination{'s' * (len(rows) != 1)}{merged}"),
        banner=_banner(result),
        tiles="".join(_tiles(rows)),
        contents="".join(f'<a href="#{name}">{esc(title)}</a>' for name, title, _ in sections),
        sections="\n".join(
            f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">'
            f"{esc(title)}</h2>{body}</section>"
            for name, title, body in sections
        ),
        footer=esc(_footer(result)),
    )


def _asset(name: str) -> str:
    return (resources.files("fishlive.bench") / "page" / name).read_text(encoding="utf-8")


def _rows(result: Result) -> list[Row]:
    fields = varied([cell.combination for cell in result.cells])
    records: dict[int, list[Record]] = {}
    for record in result.records:
        if not record.warmup:
            records.setdefault(record.cell, []).append(record)
    rows = []
    for index, cell in enumerate(result.cells):
        label = ", ".join(_said(field, getattr(cell.combination, field)) for field in fields)
        label += " (partial)" if cell.partial is not None else ""
        rows.append(Row(letter(index), label, index, cell, records.get(index, ())))
    return rows


def _said(field: str, value: object) -> str:
    """Return one condition, so that it can be understood alone."""
    if value is None:
        return f"default {field.replace('_', ' ')}"
    if field == "stream":
        return f"{value} tokens/s" if str(value).isdigit() else f"text {value}"
    return {"chunk_length": f"chunks of {value}", "flush": f"flush {value}"}.get(field, str(value))


def letter(index: int) -> str:
    """Return the short name of a cell: A to Z, then AA and so on."""
    name = ""
    index += 1
    while index:
        index, left = divmod(index - 1, 26)
        name = chr(ord("A") + left) + name
    return name


def _banner(result: Result) -> str:
    if result.partial is None:
        return ""
    return (
        f'<p class="banner" role="note"><strong>PARTIAL</strong>: {esc(result.partial)}. What was '
        "measured until then is here; the last combination may be incomplete, and others "
        "missing.</p>"
    )


def _tiles(rows: Sequence[Row]) -> Iterator[str]:
    finished = sum(row.cell.finished for row in rows)
    failed = sum(sum(row.cell.failures.values()) for row in rows)
    yield _tile("utterances finished", f"{finished:,}", f"{failed:,} failed")
    names = dict.fromkeys(headline(row.cell.combination.transport).name for row in rows)
    for name in names:
        for percentile in (50, 95):
            title = f"{METRICS[name].title} p{percentile}, ms"
            yield _tile(title, *_range(rows, name, percentile))
    if any("audible_s" in row.cell.histograms for row in rows):
        yield _tile("first audible sound p50, ms", *_range(rows, "audible_s", 50))
    total_usd = sum(row.cell.cost_usd + row.cell.warmup_cost_usd for row in rows)
    yield _tile("cost by the price list", f"${total_usd:.4f}", "warm-up included")


def _tile(title: str, value: str, under: str) -> str:
    return f"<div><dt>{esc(title)}</dt><dd>{esc(value)}<small>{esc(under)}</small></dd></div>"


def _range(rows: Sequence[Row], name: str, percentile: float) -> tuple[str, str]:
    """Return a percentile of the best cell and the worst, and which they are."""
    found = [
        (
            histogram.percentile(percentile),
            row.letter,
            "" if supported(percentile, histogram.count) else DOUBT,
        )
        for row in rows
        if (histogram := row.histogram(name)) is not None
    ]
    if not found:
        return NOTHING, "nothing finished"
    (low_s, best, low), (high_s, worst, high) = min(found), max(found)
    low, high = milliseconds(low_s) + low, milliseconds(high_s) + high
    if milliseconds(low_s) == milliseconds(high_s):
        return low, "" if len(found) == 1 else "in all"
    return f"{low} to {high}", f"{best} to {worst}"


def _sections(result: Result, rows: Sequence[Row]) -> Iterator[tuple[str, str, str]]:
    yield "mind", "Before you believe it", _remarks(result)
    yield "outcome", "What came out", tables.outcomes(result, rows) + _explained(result)
    yield "path", "Where the time goes", _PATH + overview(rows)
    yield "percentiles", "Percentiles", _percentiles(rows)
    yield "cells", "Each combination", _details(result, rows)
    yield "underruns", "Would a player have run dry?", _UNDERRUNS + tables.underruns(rows)
    yield "failures", "Failures", tables.failures(rows)
    yield "slowest", "The slowest utterances", tables.slowest(rows)
    yield "cost", "Cost", tables.cost(rows)
    yield "client", "This tool and this machine", _client(result, rows)
    yield "configuration", "Configuration", tables.configuration(result.config)
    where = "".join(tables.environment(environment) for environment in result.environments)
    yield "environment", "Environment", where


_PATH: Final = (
    '<p class="note">Medians, each of the utterances that have the step; so they need not add up '
    "to the median of the whole. All bars have the same scale; steps that were always under 0.1 ms "
    "are left out.</p>"
)
_UNDERRUNS: Final = (
    '<p class="note">Share of utterances that would have stalled a player which gathers so much '
    "audio before it plays; simulated from when the audio arrived.</p>"
)


def _remarks(result: Result) -> str:
    told = [line for line in remarks(result) if not line.startswith(_EXPLAINS)]
    told.sort(key=lambda line: line.startswith(_PLAIN))
    lines = "".join(
        f'<li class="{"plain" if line.startswith(_PLAIN) else "warn"}">{esc(line)}</li>'
        for line in told
    )
    return f'<ul class="warnings">{lines}</ul>'


def _explained(result: Result) -> str:
    told = [esc(line) for line in remarks(result) if line.startswith(_EXPLAINS)]
    return f'<p class="note">Times in milliseconds.<br>{"<br>".join(told)}</p>'


def _percentiles(rows: Sequence[Row]) -> str:
    shown = rows[:MOST_CURVES]
    groups = [shown[first : first + COLOURS] for first in range(0, len(shown), COLOURS)]
    charts = [percentile_curves(f"curves-{n}", group) for n, group in enumerate(groups)]
    if not any(charts):
        return "<p>No utterance finished.</p>"
    keys = "".join(f"<li>{tables.name_of(row)}</li>" for row in shown if len(rows) > 1)
    left = f" Drawn are the first {MOST_CURVES} of {len(rows)}." if len(rows) > len(shown) else ""
    return (
        f'<p class="note">How many per cent (across) had at most which value (upwards); every '
        f"further nine has the same width. Dotted: fewer than ten samples lie beyond.{left}</p>"
        f'<ul class="keys">{keys}</ul><div class="charts">{"".join(charts)}</div>'
    )


def _details(result: Result, rows: Sequence[Row]) -> str:
    shown = rows[:MOST_DETAILED]
    most = min(MOST_DOTS_EACH, MOST_DOTS // max(1, 2 * len(shown)))
    body = "".join(_detail(row, most, unfolded=place < OPEN) for place, row in enumerate(shown))
    said = ""
    if not result.records:
        said = "The file has no raw events: without them there is nothing to draw over time."
    if len(rows) > len(shown):
        said += f" Drawn are the first {len(shown)} of {len(rows)}; the tables have all."
    return (f'<p class="note">{said}</p>' if said else "") + body


def _detail(row: Row, most: int, *, unfolded: bool) -> str:
    figures = itertools.chain((over_time(f"time-{row.index}", row, most),
                               gaps(f"gaps-{row.index}", row, most)))  # fmt: skip
    charts = "".join(figure for figure in figures if figure)
    body = waterfall(row) + (f'<div class="charts">{charts}</div>' if charts else "")
    label = esc(row.label) or "all utterances"
    return (
        f"<details{' open' if unfolded else ''}><summary>{tables.badge(row)} {label}</summary>"
        f"{body or '<p>Nothing to show: no utterance finished.</p>'}</details>"
    )


def _client(result: Result, rows: Sequence[Row]) -> str:
    return (
        '<p class="note">The same utterances against a server that answers at once, in the same '
        "process: at most so much of every number is the tool's own.</p>"
        + tables.overhead(result.overhead)
        + "<h3>While it measured</h3>"
        + tables.client(rows)
    )


def _footer(result: Result) -> str:
    versions = {k: v for where in result.environments for k, v in where.versions.items()}
    made = f"fishlive {versions['fishlive']}" if "fishlive" in versions else "fishlive"
    return f"Made by {made}. The same table comes from the file: fishlive bench show FILE."
