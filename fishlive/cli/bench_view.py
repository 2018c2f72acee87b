"""How a benchmark looks: a table that grows while it runs, and the same from its file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from fishlive.bench.cell import Progress
from fishlive.bench.histogram import supported
from fishlive.bench.matrix import varied
from fishlive.bench.metrics import headline
from fishlive.bench.records import Result
from fishlive.bench.tables import (
    DOUBT,
    PERCENTILES,
    Rows,
    heading,
    milliseconds,
    plain,
    remarks,
    steps,
    summary,
)
from fishlive.cli.answers import show_table, shown, write_text
from fishlive.cli.fitting import Block, blocks

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

REFRESH_S: Final = 0.5
"""Least time between two drawings, in seconds. Drawing takes milliseconds, in which nothing is
measured: it happens when an utterance has just ended, never by a clock."""


def show(result: Result) -> None:
    """Write a result on standard output: what came out, where the time goes, what to know."""
    write_text("\n".join(heading(result)) + "\n\nwhat came out, in milliseconds\n")
    axes = len(varied([cell.combination for cell in result.cells]))
    _show_rows(summary(result), axes)
    write_text(
        "\nwhere the time goes, in milliseconds (medians, of utterances that have the step)\n"
    )
    rows = steps(result)
    _show_rows(rows, 1 if rows[0][0] == "step" else axes)
    write_text("\n" + "\n".join(remarks(result)) + "\n")


def _show_rows(table: Rows, names: int) -> None:
    """Write a table, in parts if it is wider than the terminal; in a pipe it is one, uncut."""
    if not sys.stdout.isatty():
        show_table(*table)
        return
    from rich.console import Console

    console = Console(highlight=False)
    for number, block in enumerate(blocks(*table, names=names, width=console.width)):
        if number:
            write_text("\n")
        console.print(_drawn(block))


def _drawn(block: Block) -> Table:
    """Return a block as a table whose columns are as wide as it says."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, header_style="bold", box=None, pad_edge=False)
    for name, width in zip(block.columns, block.widths, strict=True):
        table.add_column(Text(name), width=width, overflow="fold")
    for row in block.rows:
        table.add_row(*(Text(shown(value), overflow="fold") for value in row))
    return table


@contextlib.contextmanager
def watching(*, wanted: bool = True) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows progress: a table and a bar if standard error is a terminal, else nothing.

    Args:
        wanted: Whether to show anything.
    """
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console
    from rich.live import Live

    # Its own thread would draw while something is measured.
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        last_s = 0.0

        def draw(progress: Progress) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s >= REFRESH_S:
                live.update(drawing(progress, width=live.console.width), refresh=True)
                last_s = now_s

        yield draw


def drawing(progress: Progress, *, width: int) -> RenderableType:
    """Return how far a run is: what is done, what runs, and a bar.

    Args:
        progress: How far it is.
        width: Of the screen, in cells; columns that do not fit are left out.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    axes = varied(progress.combinations)
    columns = [name.replace("_", " ") for name in axes]
    columns += ["done", "failed", "p50 ms", "p95 ms", "p99 ms", "audible p50"]
    rows = []
    for cell in progress.cells:
        metric = headline(cell.combination.transport).name
        values = [plain(getattr(cell.combination, name)) for name in axes]
        values += [str(cell.finished), str(sum(cell.failures.values()))]
        values += milliseconds(cell, metric, PERCENTILES)
        rows.append([*values, *milliseconds(cell, "audible_s", (50,))])
    now = progress.combinations[progress.cell]
    values = [plain(getattr(now, name)) for name in axes]
    values += [str(progress.done), str(progress.failed)]
    values += [_live(progress.headline, p) for p in PERCENTILES] + [_live(progress.audible, 50)]
    rows.append(values)
    first = blocks(columns, rows, names=len(axes), width=width)[0]
    table = _drawn(first)
    table.rows[-1].style = "bold"
    total = None if progress.total is None else float(progress.total)
    bar = ProgressBar(total=total, completed=progress.done)
    return Group(table, Text(_status(progress)), bar)


def _live(meter: Any, percentile: int) -> str:
    value = meter.percentile(percentile)
    if value is None:
        return "-"
    return f"{value * 1000:.1f}{'' if supported(percentile, len(meter.ordered)) else DOUBT}"


def _status(progress: Progress) -> str:
    many = len(progress.combinations)
    precision = progress.headline.precision()
    warming = "warming up, " if progress.warming else ""
    return "  ".join(
        [
            f"{warming}combination {progress.cell + 1} of {many}",
            f"{progress.done} of {progress.total or 'as many as it takes'}",
            f"{progress.elapsed_s:.0f} s",
            f"${progress.spent_usd:.4f}",
            *([] if precision is None else [f"p95 known to ±{precision:.0%}"]),
        ]
    )
