"""The tables of a report: everything in it can be read without seeing a drawing. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from fishlive.bench.page.charts import Row
from fishlive.bench.page.svg import bar, esc, milliseconds
from fishlive.bench.records import Cell, Config, Environment, Overhead, Record, Result
from fishlive.bench.tables import NOTHING, summary

SLOWEST: Final = 10
"""Utterances that are told one by one."""


def table(
    heads: Sequence[str],
    lines: Iterable[Sequence[str]],
    *,
    kind: str = "",
    feet: Iterable[Sequence[str]] = (),
) -> str:
    """Return a table of HTML; the first column names its row.

    Args:
        heads: Names of columns, as text.
        lines: What stands in them, as HTML.
        kind: Its class; ``bars`` for one whose second column is drawn.
        feet: Lines at its end, whose names take two columns.
    """
    head = "".join(f'<th scope="col">{esc(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in lines
    )
    foot = "".join(
        f'<tr><th scope="row" colspan="2">{first}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in others)}</tr>"
        for first, *others in feet
    )
    return (
        f'<div class="wide" tabindex="0"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody>{f'<tfoot>{foot}</tfoot>' if foot else ''}</table></div>"
    )


def badge(row: Row) -> str:
    """Return the letter of a cell, in its colour."""
    return f'<b class="badge {row.colour}">{row.letter}</b>'


def name_of(row: Row) -> str:
    """Return a cell's letter and what tells it from the others."""
    return f"{badge(row)} {esc(row.label)}"


def outcomes(result: Result, rows: Sequence[Row]) -> str:
    """Return what came out: the table that a terminal shows too."""
    heads, lines = summary(result)
    marked = [[badge(row), *map(esc, line)] for row, line in zip(rows, lines, strict=True)]
    return table(["", *heads], marked)


def underruns(rows: Sequence[Row]) -> str:
    """Return how many utterances would have stalled a player, by what it gathers first."""
    prebuffers_s = sorted({total.prebuffer_s for row in rows for total in row.cell.underruns})
    if not prebuffers_s:
        if any(row.cell.finished for row in rows):
            return "<p>A task has a result, and no audio that arrives: no player waits for it.</p>"
        return "<p>Nothing finished, so that no player could have run dry.</p>"
    heads = ["", *(f"{1000 * prebuffer_s:g} ms" for prebuffer_s in prebuffers_s)]
    return table(
        heads, ([name_of(row), *_dry(row.cell, prebuffers_s)] for row in rows), kind="named"
    )


def _dry(cell: Cell, prebuffers_s: Sequence[float]) -> Iterator[str]:
    totals = {total.prebuffer_s: total for total in cell.underruns}
    for prebuffer_s in prebuffers_s:
        total = totals.get(prebuffer_s)
        if total is None or not cell.finished:
            yield NOTHING
            continue
        share = total.utterances / cell.finished
        drawn = bar([(0.0, share, "dry")]) if share else ""
        stalls = f"{total.count} stalls, {total.stalled_s:.2f} s" if total.count else "no stall"
        yield f"{share:.1%} {drawn}<small>{stalls}</small>"


def failures(rows: Sequence[Row]) -> str:
    """Return what failed, by class and by what the error said in numbers."""
    lines = []
    for row in rows:
        details = _details(row.records)
        for name, count in row.cell.failures.items():
            share = count / row.cell.started if row.cell.started else 0.0
            drawn = bar([(0.0, share, "dry")])
            lines.append(
                [name_of(row), esc(name), esc(details.get(name, "")), f"{count}",
                 f"{share:.1%} {drawn}"]
            )  # fmt: skip
        if row.cell.cancelled:
            said = "by us, when the run was over: no failure"
            lines.append([name_of(row), "cancelled", said, f"{row.cell.cancelled}", ""])
    if not lines:
        return "<p>None failed, and none was cancelled.</p>"
    return table(["", "class", "in numbers", "utterances", "of all"], lines, kind="named")


def _details(records: Sequence[Record]) -> dict[str, str]:
    found: dict[str, Counter[str]] = {}
    for record in records:
        if record.failure is not None and record.failure_detail is not None:
            found.setdefault(record.failure, Counter())[record.failure_detail] += 1
    return {
        name: "; ".join(f"{detail} ({count})" for detail, count in counts.most_common())
        for name, counts in found.items()
    }


def cost(rows: Sequence[Row]) -> str:
    """Return what was sent, and what that costs by the price list."""
    lines = []
    for row in rows:
        cell = row.cell
        hour = f"${cell.cost_usd / cell.audio_s * 3600:.2f}" if cell.audio_s else NOTHING
        lines.append(
            [name_of(row), f"{cell.text_utf8_bytes:,}", f"${cell.cost_usd:.4f}",
             f"{cell.audio_s:,.1f}" if cell.audio_s else NOTHING, hour]
        )  # fmt: skip
    cells = [row.cell for row in rows]
    warmup_bytes = sum(cell.warmup_utf8_bytes for cell in cells)
    warmup_usd = sum(cell.warmup_cost_usd for cell in cells)
    if warmup_bytes:
        lines.append(["to warm up", f"{warmup_bytes:,}", f"${warmup_usd:.4f}", "", ""])
    if len(lines) > 1:
        total_bytes = sum(cell.text_utf8_bytes for cell in cells) + warmup_bytes
        total_usd = sum(cell.cost_usd for cell in cells) + warmup_usd
        lines.append(["<b>all</b>", f"{total_bytes:,}", f"${total_usd:.4f}", "", ""])
    heads = ["", "UTF-8 bytes", "US dollars", "seconds of audio", "for an hour of audio"]
    return table(heads, lines, kind="named")


def slowest(rows: Sequence[Row]) -> str:
    """Return the slowest utterances one by one, to be looked up in the raw events."""
    known = [
        (record.latency_s, row, record)
        for row in rows
        for record in row.records
        if record.counts and record.latency_s is not None
    ]
    if not known:
        return ""
    known.sort(key=lambda found: found[0], reverse=True)
    lines = [
        [
            name_of(row), milliseconds(latency_s), esc(record.prompt), esc(record.language),
            f"{record.index}", f"{record.intended_s:.2f}", record.socket or NOTHING,
            milliseconds(record.queue_s), milliseconds(record.connect_s or 0.0),
            milliseconds(record.first_audio_s or 0.0),
        ]
        for latency_s, row, record in known[:SLOWEST]
    ]  # fmt: skip
    heads = ["", "latency, ms", "text", "language", "index", "at, s", "socket", "queue, ms",
             "connect, ms", "first audio, ms"]  # fmt: skip
    return table(heads, lines, kind="named")


def client(rows: Sequence[Row]) -> str:
    """Return how this machine did."""
    lines = [
        [name_of(row), f"{seen.wall_s:.1f}",
         *(_share(cpu_s, seen.wall_s) for cpu_s in (seen.cpu_s, seen.server_cpu_s)),
         _share(seen.machine_busy, 1.0),
         *(milliseconds(lag_s) for lag_s in (seen.lag_p50_s, seen.lag_p99_s, seen.lag_max_s)),
         "yes" if seen.limited else "no"]
        for row in rows
        for seen in row.cell.client
    ]  # fmt: skip
    if not lines:
        return ""
    heads = [
        "",
        "seconds",
        "of a core",
        "local server, of a core",
        "of all cores",
        "loop late p50, ms",
        "p99",
        "at most",
        "was the limit",
    ]
    return table(heads, lines, kind="named")


def _share(some: float | None, whole: float) -> str:
    return NOTHING if some is None or not whole else f"{some / whole:.0%}"


def overhead(found: Overhead | None) -> str:
    """Return what the tool itself adds."""
    if found is None:
        return "<p>The tool's own share was not measured.</p>"
    doubt = "" if found.supported else "?"
    lines = [
        [title, milliseconds(p50_s), milliseconds(p99_s) + doubt]
        for title, p50_s, p99_s in (
            ("connecting", found.connect_p50_s, found.connect_p99_s),
            ("first text to first audio", found.first_audio_p50_s, found.first_audio_p99_s),
        )
    ]
    return table([f"{found.samples} utterances", "p50, ms", "p99, ms"], lines)


def configuration(config: Config) -> str:
    """Return what was asked for."""
    return _facts(dataclasses.asdict(config))


def environment(where: Environment) -> str:
    """Return where and when it ran, and how to do it again."""
    facts = dataclasses.asdict(where)
    facts["command"] = " ".join([where.program, *where.command]) if where.command else None
    del facts["program"]
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in where.versions.items())
    return _facts(facts)


def _facts(facts: dict[str, object]) -> str:
    lines = [[esc(name.replace("_", " ")), _fact(value)] for name, value in facts.items()]
    return table(["", ""], lines, kind="facts")


def _fact(value: object) -> str:
    if value is None or value in {"", ()}:
        return NOTHING
    if isinstance(value, (list, tuple)):
        return ", ".join(esc(item) for item in value)
    return esc(value)
