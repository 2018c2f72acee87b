"""What a person sees of a benchmark while it runs."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from fishlive.bench.cell import Progress
from fishlive.cli.bench_view import drawing
from tests.bench.samples import COLD, result


def test_progress_is_a_table_and_a_bar() -> None:
    """What is done, what runs with its percentiles so far, and how much is left."""
    progress = Progress((COLD, replace(COLD, socket="reused")), cell=1, done=7, total=20)
    progress.cells = list(result([0.1]).cells)
    progress.warming = False
    for value in (0.2, 0.3, 0.4):
        progress.headline.add(value)
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=False).print(drawing(progress))
    said = out.getvalue()
    assert "300.0?" in said
    assert "combination 2 of 2  7 of 20" in said
    assert "━" in said
