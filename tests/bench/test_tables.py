"""A result as tables: the numbers, what differs, and what to know before believing them."""

from __future__ import annotations

from dataclasses import replace

from fishlive.bench.records import Client, Overhead
from fishlive.bench.summary import cell_of
from fishlive.bench.tables import heading, remarks, steps, summary
from tests.bench.samples import COLD, record, result


def cell_texts(count: int) -> dict[str, str]:
    """Return the row of a run with so many samples, by column."""
    columns, rows = summary(result([0.1] * count))
    return dict(zip(columns, rows[0], strict=True))


def test_a_p99_needs_a_thousand_samples() -> None:
    """With one fewer it is marked as what it is, and the remark says how many it takes."""
    assert cell_texts(1000)["p99"] == "100.0"
    assert cell_texts(999)["p99"] == "100.0?"
    said = "\n".join(remarks(result([0.1] * 999)))
    assert "a ? marks a percentile from too few samples (p99: 1,000): do not" in said
    assert "too few" not in "\n".join(remarks(result([0.1] * 1000)))


def test_a_row_has_what_differs() -> None:
    """Columns of the matrix only where rows differ."""
    one = result([0.1])
    other = replace(COLD, socket="reused", concurrency=None, rate=2.0)
    two = replace(one, cells=(*one.cells, cell_of(other, [record(0.2)])))
    assert summary(one)[0][0] == "n"
    columns, rows = summary(two)
    assert columns[:2] == ["socket", "load"]
    assert [row[:2] for row in rows] == [["cold", "1 at once"], ["reused", "2/s"]]


def test_steps_are_those_that_were_measured() -> None:
    """A step that no utterance had is no column; the longest gap has its place."""
    made = [record(0.1, upgrade_s=0.04, gap_max_s=0.05, gap_at_s=1.25)]
    shown = replace(result([]), cells=(cell_of(COLD, made),), records=tuple(made))
    columns, rows = steps(shown)
    assert columns == ["step", "median"]
    row = dict(rows)
    assert "TLS" not in row
    assert row["upgrade"] == "40.0"
    assert (row["longest gap"], row["after audio of"]) == ("50.0", "1250")


def test_many_combinations_have_a_row_each() -> None:
    """More than stand side by side turn the table round; the numbers are the same."""
    cells = [cell_of(replace(COLD, chunk_length=100 + n), [record(0.05)]) for n in range(5)]
    few, many = (replace(result([]), cells=tuple(cells[:n])) for n in (4, 5))
    columns, rows = steps(many)
    assert columns[0] == "chunk length"
    row = dict(zip(columns, rows[2], strict=True))
    assert (row["chunk length"], row["first audio"]) == ("102", "50.0")
    by_step = {line[0]: line[1:] for line in steps(few)[1]}
    assert by_step["first audio"] == ["50.0"] * 4


def test_what_a_reader_must_know_is_said() -> None:
    """Failures, limits of the machine, overhead, notes, cost, and that it is partial."""
    busy = Client(1.0, 1.0, 0.0, 0.0, 0.0, 100, ("this machine was the limit: …",))
    made = [record(0.1), record(0.0, ending="failed", failure="ServerError")]
    shown = replace(
        result([]),
        cells=(cell_of(COLD, made, client=(busy,)),),
        overhead=Overhead(50, 0.001, 0.002, 0.0003, 0.0004, supported=False),
        notes=("something",),
        partial="interrupted",
    )
    said = "\n".join(remarks(shown))
    for part in (
        "this machine was the limit",
        "failed: 1 of 2 with ServerError",
        "first audio 0.30 ms (p99 0.40?)",
        "note: something",
        "cost: 26 bytes of UTF-8, $0.0004",
        "PARTIAL: interrupted",
    ):
        assert part in said


def test_the_heading_says_how_to_do_it_again() -> None:
    """Target, workload, seed, versions, and the command."""
    said = "\n".join(heading(result([0.1])))
    for part in ("local: workload hello (1 text), seed 1", "CPython 3", "fishlive bench"):
        assert part in said


def test_a_row_costs_what_was_measured() -> None:
    """Not the warm-up: that is in the total, which says so."""
    made = [record(0.1), record(0.1, warmup=True), record(0.1, warmup=True)]
    shown = replace(result([]), cells=(cell_of(COLD, made),))
    columns, (row,) = summary(shown)
    assert dict(zip(columns, row, strict=True))["cost"] == "$0.0002"
    said = "\n".join(remarks(shown))
    assert "cost: 39 bytes of UTF-8, $0.0006 by the price list, $0.0004 of it to warm up" in said


def test_the_heading_names_the_program() -> None:
    """A load test was made by another command."""
    made = result([0.1])
    where = replace(made.environments[0], program="locust", command=("-f", "x.py"))
    assert "made by: locust -f x.py" in list(heading(replace(made, environments=(where,))))


def test_failures_name_their_combination() -> None:
    """Where there are several, by what differs."""
    made = [record(0.1), record(0.0, ending="failed", failure="ServerError")]
    other = replace(COLD, stream="60")
    shown = replace(result([]), cells=(cell_of(COLD, made), cell_of(other, made)))
    said = list(remarks(shown))
    assert "failed: 1 of 2 with ServerError (whole)" in said
    assert "failed: 1 of 2 with ServerError (60)" in said


def test_a_limit_names_its_combination() -> None:
    """The first few; of the others, how many."""
    busy = Client(1.0, 1.0, 0.0, 0.0, 0.0, 100, ("this machine was full: …",))
    cells = tuple(
        cell_of(replace(COLD, concurrency=n), [record(0.1)], client=(busy,) if n else ())
        for n in range(7)
    )
    said = [line for line in remarks(replace(result([]), cells=cells)) if "machine" in line]
    assert said[:4] == [f"this machine was full: … ({n} at once)" for n in (1, 2, 3, 4)]
    assert said[4:] == ["this machine was the limit in 2 more combinations"]


def test_a_task_has_no_sound() -> None:
    """No column and no step of what its transport cannot have, and no audio of 0 seconds."""
    task = record(0.1, first_audio_s=None, audio_s=0.0, text_wait_s=0.0, other_s=0.0)
    task = replace(task, latency_s=None)
    made = cell_of(replace(COLD, transport="acedata"), [task])
    shown = replace(result([]), cells=(made,))
    assert summary(shown)[0] == ["n", "p50", "p95", "p99", "cost"]
    assert [row[0] for row in steps(shown)[1]] == ["queue", "wait for text", "wall"]
    both = replace(shown, cells=(made, cell_of(COLD, [record(0.1, slot_s=0.0)])))
    slot = next(row for row in steps(both)[1] if row[0] == "slot")
    assert slot == ["slot", "-", "0.0"]
