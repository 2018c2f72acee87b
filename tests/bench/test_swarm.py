"""What many processes measured, told in differences, and added up."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.bench.conditions import Client
from fishlive.bench.files import parse_result, result_text
from fishlive.bench.records import Combination, Record, Result, Underruns
from fishlive.bench.summary import cell_of
from fishlive.bench.swarm import Pool, Report, Tally
from fishlive.errors import ConfigError
from tests.bench.samples import COLD, CONFIG, record, result

COLD_ALONE = dataclasses.replace(COLD, concurrency=None)
MP3 = dataclasses.replace(COLD_ALONE, format="mp3")
HERE = result([0.1]).environments[0]

utterances = st.builds(
    lambda latency_s, ending, warmup, dry: record(
        latency_s,
        ending=ending,
        warmup=warmup,
        failure="ServerError" if ending == "failed" else None,
        underruns=(Underruns(0.0, dry, dry / 8), Underruns(0.1, 0, 0.0)),
    ),
    st.integers(0, 10_000_000).map(lambda value: value / 1_000_000),
    st.sampled_from(["finished", "finished", "finished", "failed", "cancelled"]),
    st.booleans(),
    st.integers(0, 3),
)


def made(pool: Pool, **given: Any) -> Result:
    """Return what a pool comes to."""
    return pool.result(CONFIG, HERE, **({"pacing_s": {}} | given))


def told(tally: Tally, **given: Any) -> Report:
    """Return a report as it arrives."""
    report = tally.take(**given)
    assert report is not None
    return Report.decode(report.encode())


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([COLD_ALONE, MP3]),
            st.lists(utterances, min_size=1, max_size=4),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_sums_are_those_of_the_pooled_utterances(
    steps: list[tuple[int, Combination, list[Record], bool]],
) -> None:
    """However the workers' reports are cut, mixed and repeated."""
    tallies = [Tally(keep_records=True) for _ in range(3)]
    pool, pooled = Pool(), dict[Combination, list[Record]]()
    for worker, combination, records, twice in steps:
        tallies[worker].speaks(combination, 1)
        for one in records:
            tallies[worker].add(combination, one)
            pooled.setdefault(combination, []).append(one)
        report = told(tallies[worker])
        for _ in range(1 + twice):
            pool.add(str(worker), report)

    found = made(pool)

    assert parse_result(result_text(found)) == found
    for cell in found.cells:
        plain = dataclasses.replace(cell.combination, concurrency=None)
        expected = cell_of(plain, pooled.pop(plain))
        assert cell.cost_usd == pytest.approx(expected.cost_usd)
        assert cell.warmup_cost_usd == pytest.approx(expected.warmup_cost_usd)
        same: dict[str, Any] = {"combination": plain, "cost_usd": expected.cost_usd, "client": ()}
        same["warmup_cost_usd"] = expected.warmup_cost_usd
        assert dataclasses.replace(cell, **same) == dataclasses.replace(
            expected, failures=cell.failures
        )
        assert dict(expected.failures) == dict(cell.failures)
        index = found.cells.index(cell)
        assert len([r for r in found.records if r.cell == index]) == len(
            [r for _, c, records, _ in steps for r in records if c == plain]
        )
    assert not pooled


def test_what_was_told_is_not_told_again() -> None:
    """A second report has only what came since; without anything there is none."""
    tally = Tally()
    tally.add(COLD_ALONE, record(0.1))

    assert told(tally).cells[0].finished == 1
    assert tally.take() is None
    tally.add(COLD_ALONE, record(0.2))
    assert told(tally).cells[0].finished == 1
    assert told(tally, final=True).cells == ()


def test_a_lost_report_is_noted() -> None:
    """What it told is missing, which the result says; the others count."""
    tally, pool = Tally(), Pool()
    for _ in range(3):
        tally.add(COLD_ALONE, record(0.1))
        report = told(tally)
        if report.number != 2:
            pool.add("a", report)

    assert made(pool).cells[0].finished == 2
    assert "lost on their way" in made(pool).notes[0]


def test_a_worker_that_does_not_say_goodbye_is_unfinished() -> None:
    """Only a final report finishes one."""
    pool = Pool()
    for worker, final in (("a", True), ("b", False)):
        tally = Tally()
        tally.add(COLD_ALONE, record(0.1))
        pool.add(worker, told(tally, final=final))

    assert (pool.unfinished, pool.is_final("a"), pool.is_final("b")) == (1, True, False)
    assert not pool.is_final("c")


def test_the_load_is_users_at_once_or_their_rate() -> None:
    """Users of all workers add up; with a pacing they make a rate."""
    pool = Pool()
    for worker in ("a", "b"):
        tally = Tally()
        for user in (1, 2, 2):
            tally.speaks(COLD_ALONE, user)
            tally.add(COLD_ALONE, record(0.1))
        pool.add(worker, told(tally))

    assert made(pool).cells[0].combination.concurrency == 4
    paced = made(pool, pacing_s={COLD_ALONE: 2.0}).cells[0].combination
    assert (paced.concurrency, paced.rate) == (None, 2.0)


def test_problems_and_ends_of_workers_add_up() -> None:
    """A problem makes the result partial, once, whoever had it."""
    pool = Pool()
    for worker in ("a", "b"):
        tally = Tally()
        tally.problem("no key")
        tally.end()
        pool.add(worker, told(tally))

    assert pool.ended == 2
    assert made(pool, partial="stopped").partial == "stopped; no key"


def test_rows_of_a_partial_test_are_partial() -> None:
    """All were under way when it ended."""
    tally, pool = Tally(), Pool()
    tally.add(COLD_ALONE, record(0.1))
    pool.add("a", told(tally))

    assert [cell.partial for cell in made(pool, partial="stopped").cells] == ["stopped"]
    assert [cell.partial for cell in made(pool).cells] == [None]


def test_each_worker_tells_of_its_machine() -> None:
    """Environments and what was seen of the machines stand for each worker, in order."""
    pool, seen = Pool(), Client(1.0, 0.5, 0.0, 0.0, 0.0, 10)
    for worker in ("a", "b"):
        tally = Tally()
        tally.environment, tally.client = dataclasses.replace(HERE, command=(worker,)), seen
        tally.add(COLD_ALONE, record(0.1))
        pool.add(worker, told(tally))

    found = made(pool)
    assert [environment.command for environment in found.environments] == [("a",), ("b",)]
    assert found.cells[0].client == (seen, seen)


def test_forgetting_leaves_what_comes_later() -> None:
    """After the page's reset only later utterances count."""
    tally, pool = Tally(), Pool()
    tally.add(COLD_ALONE, record(0.1))
    pool.add("a", told(tally))
    pool.forget()
    tally.add(COLD_ALONE, record(0.2))
    pool.add("a", told(tally))

    assert made(pool).cells[0].finished == 1
    assert made(pool).notes == ()


@pytest.mark.parametrize(
    "change",
    [{"cells": 3}, {"users": [1, 2]}, {"strange": 1}, {"records": [{}]}],
    ids=lambda change: next(iter(change)),
)
def test_a_report_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    """It is nobody's crash: an error that says what to look at."""
    tally = Tally()
    tally.add(COLD_ALONE, record(0.1))
    document = json.loads(told(tally).encode()) | change

    with pytest.raises(ConfigError, match="a worker's report"):
        Report.decode(json.dumps(document))
