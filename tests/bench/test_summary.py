"""Merging runs: the percentiles are those of the pooled samples, and nothing else is lost."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishlive.bench.histogram import Histogram
from fishlive.bench.records import Client, Combination, Result, Underruns
from fishlive.bench.summary import cell_of, merge
from fishlive.errors import ConfigError
from tests.bench.samples import COLD, CONFIG, record, result


def ran(number: int, **changes: Any) -> Result:
    """Return a run that began at a time of its own."""
    made = result([0.1])
    where = replace(made.environments[0], began=f"2026-11-{number:02}")
    return replace(made, environments=(where,), **changes)


latencies = st.lists(st.floats(0.001, 5.0), min_size=1, max_size=30)


@settings(max_examples=20)  # each writes and reads many distributions
@given(st.lists(latencies, min_size=1, max_size=4))
def test_merged_percentiles_are_those_of_the_pool(parts: list[list[float]]) -> None:
    """Runs of several processes come to what one process would have seen."""
    merged = merge([result(part) for part in parts])
    pooled = Histogram(value for part in parts for value in part)
    found = Histogram.decode(merged.cells[0].histograms["latency_s"])
    assert found.percentiles((50, 95, 99)) == pooled.percentiles((50, 95, 99))
    assert merged.cells[0].finished == sum(map(len, parts))
    assert [r.source for r in merged.records] == [
        source for source, part in enumerate(parts) for _ in part
    ]


def test_merging_needs_no_records() -> None:
    """Files without raw events merge all the same: the histograms are enough."""
    bare = [replace(result([value]), records=()) for value in (0.1, 0.3)]
    found = Histogram.decode(merge(bare).cells[0].histograms["latency_s"])
    assert found.percentile(100) == pytest.approx(0.3, rel=1e-3)


def test_cells_meet_by_their_combination() -> None:
    """Whatever their order in each file, the same combinations become one cell."""
    other = replace(COLD, socket="reused")

    def two(first: Combination, second: Combination) -> Result:
        records = (record(0.1, cell=0), record(0.2, cell=1))
        cells = (cell_of(first, records[:1]), cell_of(second, records[1:]))
        return replace(result([]), cells=cells, records=records)

    merged = merge([two(COLD, other), two(other, COLD)])
    assert [cell.combination for cell in merged.cells] == [COLD, other]
    assert [cell.started for cell in merged.cells] == [2, 2]
    assert [r.cell for r in merged.records] == [0, 1, 1, 0]


def test_different_texts_are_not_merged() -> None:
    """Runs that spoke something else are compared, not merged."""
    other = replace(result([0.2]), config=replace(CONFIG, workload_sha256="1" * 64))
    with pytest.raises(ConfigError, match="different texts"):
        merge([result([0.1]), other])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"target": "https://x.example"}, "the target is local in one and https://x.example in"),
        ({"profile": "instant"}, "the pace of the local server is none in one and instant in"),
        ({"arrivals": "poisson"}, "the spacing of arrivals is even in one and poisson in another"),
        ({"max_in_flight": 5}, "the most in flight is 10 in one and 5 in another"),
        ({"prebuffers_s": (0.0,)}, "the prebuffers"),
    ],
)
def test_different_plans_are_not_merged(changes: dict[str, Any], what: str) -> None:
    """What differs is named, and only that."""
    other = ran(2, config=replace(CONFIG, **changes))
    with pytest.raises(ConfigError, match=re.escape(what)) as caught:
        merge([ran(1), other])
    assert "texts" not in str(caught.value)


def test_different_combinations_are_not_merged() -> None:
    """The nearest two that are not in both say what differs."""
    cells = tuple(cell_of(replace(COLD, stream=pace), [record(0.1)]) for pace in ("whole", "60"))
    with pytest.raises(ConfigError, match="stream is whole in one and 60 in another"):
        merge([ran(1, cells=cells[:1]), ran(2, cells=cells[1:])])
    with pytest.raises(ConfigError, match="stream is whole in one and 60 in another"):
        merge([ran(1, cells=cells[:1]), ran(2, cells=cells)])


def test_a_partial_run_may_lack_combinations() -> None:
    """It is of the same plan all the same; on either side."""
    cells = tuple(cell_of(replace(COLD, stream=pace), [record(0.1)]) for pace in ("whole", "60"))
    whole, broken = ran(1, cells=cells), ran(2, cells=cells[:1], partial="interrupted")
    assert len(merge([whole, broken]).cells) == 2
    assert len(merge([broken, whole]).cells) == 2


def test_runs_may_differ_in_their_seed() -> None:
    """And in how many utterances there were: the result notes it."""
    other = ran(2, config=replace(CONFIG, seed=2, runs=7))
    notes = merge([ran(1), other]).notes
    assert notes == (
        "the merged runs differ in seed: 1, 2",
        "the merged runs differ in runs: 3, 7",
    )


def test_the_same_run_is_not_merged_with_itself() -> None:
    """A copy of its file, or a merged one that has it: its utterances would count double."""
    seen = [Client(wall_s, 0.1, 0.0, 0.0, 0.0, 100) for wall_s in (1.25, 1.5)]
    one, other = (
        ran(number, cells=(cell_of(COLD, [record(0.1)], client=(client,)),))
        for number, client in enumerate(seen, start=1)
    )
    with pytest.raises(ConfigError, match="the same run twice"):
        merge([one, other, one])
    with pytest.raises(ConfigError, match="the same run twice"):
        merge([merge([one, other]), other])
    at_once = replace(other, environments=one.environments)
    assert merge([one, at_once]).cells[0].finished == 2, "two processes of the same second"


def test_nothing_is_not_merged() -> None:
    """Without a run there is no result."""
    with pytest.raises(ConfigError, match="nothing"):
        merge([])


def test_partial_runs_stay_partial() -> None:
    """One that was interrupted makes the whole partial, and says why once."""
    parts = [replace(result([0.1]), partial=why) for why in (None, "interrupted", "interrupted")]
    assert merge(parts).partial == "interrupted"


def test_a_cell_counts_every_ending() -> None:
    """Finished, failed by class, cancelled: each apart, and only the first in the numbers."""
    records = [
        record(0.1),
        record(9.0, ending="failed", failure="ServerError"),
        record(9.0, ending="cancelled"),
        record(9.0, warmup=True),
    ]
    cell = cell_of(COLD, records)
    assert (cell.started, cell.finished, cell.cancelled) == (3, 1, 1)
    assert cell.failures == {"ServerError": 1}
    assert Histogram.decode(cell.histograms["latency_s"]).count == 1


def test_a_cell_costs_what_was_measured() -> None:
    """The warm-up, which is billed too, stands apart, also when cells are merged."""
    cell = cell_of(COLD, [record(0.1), record(9.0, warmup=True), record(9.0, warmup=True)])
    assert (cell.text_utf8_bytes, cell.cost_usd) == (13, pytest.approx(0.0002))
    assert (cell.warmup_utf8_bytes, cell.warmup_cost_usd) == (26, pytest.approx(0.0004))
    one, other = (ran(number, cells=(cell,)) for number in (1, 2))
    assert merge([one, other]).billed == (78, pytest.approx(0.0012))


def test_players_are_added_up() -> None:
    """For each prebuffer: in how many utterances, how often, how long."""
    runs = [
        (Underruns(0.0, 2, 0.5), Underruns(0.1, 0, 0.0)),
        (Underruns(0.0, 1, 0.2), Underruns(0.1, 1, 0.1)),
    ]
    totals = cell_of(COLD, [record(0.1, underruns=run) for run in runs]).underruns
    assert [(t.prebuffer_s, t.utterances, t.count) for t in totals] == [(0.0, 2, 3), (0.1, 1, 1)]
    assert totals[0].stalled_s == pytest.approx(0.7)
