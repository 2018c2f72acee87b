"""What a person sees of a benchmark while it runs."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from fishlive.bench.cell import Progress
from fishlive.bench.summary import cell_of
from fishlive.bench.tables import steps, summary
from fishlive.cli.bench_view import drawing, show
from tests.bench.samples import COLD, record, result


def test_progress_is_a_table_and_a_bar() -> None:
    """What is done, what runs with its percentiles so far, and how much is left."""
    progress = Progress((COLD, replace(COLD, socket="reused")), cell=1, done=7, total=20)
    progress.cells = list(result([0.1]).cells)
    progress.warming = False
    for value in (0.2, 0.3, 0.4):
        progress.headline.add(value)
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=False).print(drawing(progress, width=120))
    said = out.getvalue()
    assert "300.0?" in said
    assert "combination 2 of 2  7 of 20" in said
    assert "━" in said


class Screen(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("many", [1, 3, 7])
def test_numbers_are_never_broken(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 80 columns, whatever differs: each number stands whole on some line."""
    cells = tuple(
        cell_of(
            replace(
                COLD, voice=f"{n}" * 32, model="s2-pro", socket="reused", concurrency=1 + n % 2
            ),
            [record(12.3456 + n, audible_s=1.5, rtf=0.5, upgrade_s=0.123456, gap_max_s=0.1)],
        )
        for n in range(many)
    )
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    made = replace(result([]), cells=cells)
    show(made)
    said = screen.getvalue()
    tables = said[said.index("what came out") : said.index("p50 …")]
    assert max(map(len, tables.splitlines())) <= 80
    words = set(tables.split())
    numbers = {cell for _, rows in (summary(made), steps(made)) for row in rows for cell in row}
    assert {cell for cell in numbers if re.fullmatch(r"[$?\d./]+", cell)} <= words


def test_progress_leaves_out_what_does_not_fit() -> None:
    """On a narrow screen: the last columns, whole; what there is can be read."""
    progress = Progress((COLD, replace(COLD, socket="reused")), done=7, total=20)
    for value in (0.2, 0.3, 0.4):
        progress.headline.add(value)
    out = io.StringIO()
    Console(file=out, width=40, force_terminal=False).print(drawing(progress, width=40))
    said = out.getvalue()
    assert "300.0?" in said
    assert "audible" not in said
