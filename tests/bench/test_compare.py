"""Comparing results: what moved, by how much, whether that is chance, and what may not pass."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest

from fishlive.bench.compare import (
    blind,
    check,
    check_counts,
    check_limits,
    compare,
    describe,
    fails,
)
from fishlive.bench.records import Combination, Record, Result
from fishlive.bench.summary import cell_of
from fishlive.errors import ConfigError
from tests.bench.samples import COLD, CONFIG, record, result

REUSED = replace(COLD, socket="reused")


def latencies(count: int, seed: int, shift_s: float = 0.0, spread_s: float = 0.02) -> list[float]:
    """Return so many, around 400 ms and a shift."""
    rng = random.Random(seed)  # noqa: S311
    return [max(0.001, rng.gauss(0.4, spread_s)) + shift_s for _ in range(count)]


def several(cells: dict[Combination, list[float]], **changes: Any) -> Result:
    """Return a run of several combinations."""
    found: list[Record] = []
    made = []
    for index, (combination, values) in enumerate(cells.items()):
        records = [record(value, cell=index, index=n) for n, value in enumerate(values)]
        made.append(cell_of(combination, records))
        found += records
    return replace(result([]), cells=tuple(made), records=tuple(found), **changes)


def test_a_shift_is_found_with_its_size() -> None:
    """60 ms more at the median and at p95, each with an interval that holds it."""
    comparison = compare(result(latencies(300, 1)), result(latencies(300, 2, 0.06)), seed=1)
    ((pair),) = comparison.pairs
    for move in pair.moves[:2]:
        assert move.verdict == "worse"
        assert move.interval is not None
        assert move.interval.low <= 0.06 <= move.interval.high
    back = compare(result(latencies(300, 2, 0.06)), result(latencies(300, 1)), seed=1)
    assert {move.verdict for move in back.pairs[0].moves} == {"better"}


def test_no_shift_breaks_no_limit() -> None:
    """Of a hundred runs against a hundred others of the same, at most one in twenty fails."""
    failed = sum(
        bool(
            fails(
                compare(result(latencies(60, n)), result(latencies(60, 500 + n)), seed=1),
                {"p50": 0.0, "p95": 0.0},
            )
        )
        for n in range(100)
    )
    assert failed <= 5


def test_over_the_limit_and_beyond_chance() -> None:
    """Both, or it passes: 5 % of 10 % is allowed, and +30 % of three noisy runs may be luck."""
    base = result(latencies(300, 1))
    little = compare(base, result(latencies(300, 2, 0.02)), seed=1)
    assert little.pairs[0].moves[0].verdict == "worse"
    assert fails(little, {"p50": 0.10}) == []
    assert len(fails(little, {"p50": 0.02})) == 1
    noisy = [result(latencies(20, seed, shift, 0.3)) for seed, shift in ((1, 0.0), (4, 0.05))]
    luck = compare(*noisy, seed=1)
    assert luck.pairs[0].moves[0].relative > 0.05
    assert fails(luck, {"p50": 0.05}) == []


def test_what_is_broken_is_said() -> None:
    """Which number, how much, within what, and what was allowed."""
    comparison = compare(result(latencies(300, 1)), result(latencies(300, 2, 0.2)), seed=1)
    (said,) = fails(comparison, {"p95": 0.10})
    assert said.startswith("latency p95 +4")
    assert "allowed +10%" in said
    assert "interval +" in said


def test_a_limit_may_name_its_number() -> None:
    """``first_audio:p90`` and ``first_audio_s.p90``; what cannot be tested is refused."""
    comparison = compare(result(latencies(300, 1)), result(latencies(300, 2, 0.2)), seed=1)
    for name in ("first_audio:p90", "first_audio_s.p90", "p99"):
        assert len(fails(comparison, {name: 0.1})) == 1
    for name, why in (
        ("gap_s:p95", "gap_max_s"),
        ("nothing:p95", "one of latency_s"),
        ("p0", "no percentile"),
    ):
        with pytest.raises(ConfigError, match=why):
            check_limits({name: 0.1})
    with pytest.raises(ConfigError, match="nothing of it was measured"):
        fails(comparison, {"tls_s:p50": 0.1})


def test_too_few_to_tell_do_not_pass() -> None:
    """A gate that cannot see is a mistake in the command, not a success."""
    comparison = compare(result(latencies(10, 1)), result(latencies(10, 2, 1.0)), seed=1)
    with pytest.raises(ConfigError, match="p95 cannot be told from 10 utterances: it takes 20"):
        fails(comparison, {"p95": 0.1})
    assert "too few" in describe(comparison)


def test_a_limit_finer_than_what_is_seen_is_said() -> None:
    """A gate of 5 % on noise of 50 % passes, and says what that is worth."""
    comparison = compare(
        result(latencies(30, 1, 0.0, 0.3)), result(latencies(30, 2, 0.0, 0.3)), seed=1
    )
    (said,) = blind(comparison, {"p50": 0.01})
    assert "it can be worse by 1% unseen" in said
    assert blind(comparison, {"p50": 9.0}) == []


def test_combinations_meet_by_their_conditions() -> None:
    """In any order; those without a counterpart are named, each with its side."""
    other = replace(COLD, latency="low")
    base = several({COLD: latencies(30, 1), REUSED: latencies(30, 2)})
    new = several({other: latencies(30, 3), REUSED: latencies(30, 4), COLD: latencies(30, 5)})
    comparison = compare(base, replace(new, cells=new.cells), seed=1)
    assert [pair.combination for pair in comparison.pairs] == [REUSED, COLD]
    assert comparison.only_new == (other,)
    assert comparison.only_base == ()
    assert "only in the new one: picows, cold, s2-pro, low" in describe(comparison)
    back = compare(new, base, seed=1)
    assert "only in the base: picows, cold, s2-pro, low" in describe(back)
    assert "reused: latency p50" in describe(comparison)


def test_nothing_in_common_is_refused() -> None:
    """The sentence says in what the nearest two differ."""
    with pytest.raises(ConfigError, match="socket is cold there and reused here"):
        compare(several({COLD: [0.1]}), several({REUSED: [0.1]}), seed=1)


def test_other_texts_are_refused() -> None:
    """Before anything is measured, too."""
    config = replace(CONFIG, workload="mine", workload_sha256="1" * 64)
    with pytest.raises(ConfigError, match="workload hello, here mine"):
        compare(result([0.1]), result([0.1], config=config), seed=1)
    with pytest.raises(ConfigError, match="other texts"):
        check(result([0.1]), config, [COLD])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": replace(CONFIG, seed=9)}, "seed 1 there, 9 here"),
        ({"config": replace(CONFIG, target="http://x")}, "target local there, http://x here"),
        ({"partial": "interrupted"}, "the new one is partial: interrupted"),
    ],
)
def test_other_conditions_are_said_aloud(changes: dict[str, Any], said: str) -> None:
    """They may be meant; nobody overlooks them."""
    comparison = compare(result([0.1] * 30), result([0.1] * 30, **changes), seed=1)
    assert any(said in warning for warning in comparison.warnings)
    assert f"mind: {comparison.warnings[0]}" in describe(comparison)


def test_another_machine_and_other_versions_are_said_aloud() -> None:
    """Which package changed, and from what to what."""
    new = result([0.1] * 30)
    where = replace(new.environments[0], cpu="other", versions={"CPython": "4"})
    comparison = compare(result([0.1] * 30), replace(new, environments=(where,)), seed=1)
    assert "measured on different machines" in comparison.warnings[0]
    assert comparison.warnings[1].endswith("versions: CPython 3 to 4")


def test_failures_are_compared_too() -> None:
    """Those that finish quickly do not hide those that fail; a limit can be set on them."""
    broken = [record(0.1, ending="failed", failure="ServerError") for _ in range(20)]
    fine = [record(value) for value in latencies(40, 1)]
    worse = replace(result([]), cells=(cell_of(COLD, [*fine, *broken]),), records=tuple(fine))
    comparison = compare(result(latencies(60, 1)), worse, seed=1)
    assert "failed: 0 of 60, now 20 of 60: worse" in describe(comparison)
    assert fails(comparison, {"failures": 0.01}) == ["failures 0.0% to 33.3% (allowed +1%)"]
    assert fails(comparison, {"failures": 0.5}) == []


def test_a_service_that_is_down_does_not_pass() -> None:
    """No utterance finished: there is no p95, and that is no success."""
    broken = [record(0.1, ending="failed", failure="ServerError")] * 20
    down = replace(result([]), cells=(cell_of(COLD, broken),), records=())
    comparison = compare(result(latencies(60, 1)), down, seed=1)
    assert fails(comparison, {"p95": 0.1}) == ["no utterance finished"]
    assert "nothing finished in both" in describe(comparison)
    assert "no utterance finished in the new one" in describe(comparison)


def test_files_without_raw_events_compare_all_the_same() -> None:
    """The histograms are enough; the verdict is the same."""
    base, new = result(latencies(300, 1)), result(latencies(300, 2, 0.06))
    bare = compare(replace(base, records=()), replace(new, records=()), seed=1)
    full = compare(base, new, seed=1)
    half = compare(replace(base, records=()), new, seed=1)
    for one in (bare, half):
        for move, exact in zip(one.pairs[0].moves, full.pairs[0].moves, strict=True):
            assert move.verdict == exact.verdict
            assert move.new == pytest.approx(exact.new, rel=1e-3)


def test_the_step_that_moved_is_named() -> None:
    """Latency says that it is worse, the step says where."""
    rng = random.Random(1)  # noqa: S311

    def run(upgrade_s: float) -> Result:
        made = [
            record(0.4 + upgrade_s, first_audio_s=rng.gauss(0.4, 0.01), tcp_s=rng.gauss(0.02, 1e-3),
                   upgrade_s=rng.gauss(upgrade_s, 1e-3))
            for _ in range(200)
        ]  # fmt: skip
        return replace(result([]), cells=(cell_of(COLD, made),), records=tuple(made))

    comparison = compare(run(0.02), run(0.06), seed=1)
    ((_, move),) = comparison.steps
    assert move.metric.name == "upgrade_s"
    assert move.new - move.base == pytest.approx(0.04, rel=0.02)
    assert "upgrade p50" in describe(comparison)


def test_the_same_seed_tells_the_same() -> None:
    """Two people with the same two files read the same table."""
    base, new = result(latencies(50, 1)), result(latencies(50, 2))
    assert describe(compare(base, new, seed=3)) == describe(compare(base, new, seed=3))


@pytest.mark.parametrize(
    ("base", "runs", "why"),
    [
        (40, 19, "p95 cannot be told from 19 utterances (--runs): it takes 20 at least"),
        (19, 40, "p95 cannot be told from 19 utterances (the base): it takes 20 at least"),
        (19, None, "(the base)"),
    ],
)
def test_a_limit_that_can_never_be_told_is_refused(base: int, runs: int | None, why: str) -> None:
    """By what is asked for and by what the base has, before anything is measured."""
    with pytest.raises(ConfigError, match=re.escape(why)):
        check_counts(result(latencies(base, 1)), runs, [COLD], {"p50": 0.1, "p95": 0.1})


def test_a_limit_that_may_be_told_is_not_refused() -> None:
    """Nor one on failures, nor on a combination that the base does not have."""
    few = result(latencies(3, 1))
    check_counts(result(latencies(40, 1)), 40, [COLD], {"p95": 0.1})
    check_counts(few, 3, [COLD], {"p50": 0.1, "failures": 0.01})
    check_counts(few, 3, [REUSED], {"p95": 0.1})
