"""When a difference is too much: limits, and what breaks them.

A limit (``--fail-over p95=10%``) is broken if the percentile is worse by more than the limit *and*
that is beyond chance: the interval of the difference does not touch 0. Being over the limit alone
would fail by bad luck, being beyond chance alone would fail for a certain quarter of a
millisecond. That the whole interval be over the limit is not asked: then a deterioration by just
the limit would pass nearly always. All limits on all cells together are wrong one time in twenty
(Bonferroni), so that a gate on 40 cells does not cry wolf.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from fishlive.bench.chance import ALPHA, can_tell, share_grew, tells_from
from fishlive.bench.metrics import METRICS, Metric, headline
from fishlive.bench.pairs import Comparison, Pair, counts_of, place, relative
from fishlive.bench.records import Combination, Result
from fishlive.errors import ConfigError

FAILURES: Final = "failures"
"""The limit on the share of utterances that fail, in points: 0.01 for one in a hundred more."""

_DEPENDENT: Final = {"gap_s": "gap_max_s"}
"""Numbers of which an utterance has many, which depend on each other, and what to take instead."""

_LIMIT: Final = re.compile(r"(?:(?P<metric>[a-z0-9_]+)[:.])?p(?P<percentile>\d{1,2}(?:\.\d+)?)")


def limit(name: str, combination: Combination | None = None) -> tuple[Metric, float]:
    """Return which number and percentile a limit is on: ``p95``, ``first_audio_s:p95``.

    Raises:
        ConfigError: There is no such number, or no test of it.
    """
    found = _LIMIT.fullmatch(name)
    percentile = float(found["percentile"]) if found else 0.0
    if found is None or not 0 < percentile < 100:
        raise ConfigError(f"{name} is no percentile such as p95", argument="fail_over")
    metric = found["metric"]
    if metric is None:
        return headline("" if combination is None else combination.transport), percentile
    metric = metric if metric in METRICS else metric + "_s"
    if metric in _DEPENDENT:
        raise ConfigError(
            f"{name}: gaps of one utterance depend on each other, which a test of them cannot "
            f"know; take {_DEPENDENT[metric]}",
            argument="fail_over",
        )
    if metric not in METRICS or metric == "audio_s":
        known = ", ".join(name for name in METRICS if name not in {*_DEPENDENT, "audio_s"})
        raise ConfigError(f"{name}: a limit is on one of {known}", argument="fail_over")
    return METRICS[metric], percentile


def check_limits(limits: Mapping[str, float]) -> None:
    """Raise ConfigError for a limit on something that cannot be tested."""
    for name in limits:
        if name != FAILURES:
            limit(name)


def check_counts(
    base: Result, runs: int | None, combinations: Sequence[Combination], limits: Mapping[str, float]
) -> None:
    """Raise ConfigError for a limit that could not be told, however a run turns out.

    Args:
        base: What is compared with.
        runs: Utterances of a combination that there will be at most; None if nothing says that.
        combinations: What is measured.
        limits: As :func:`fails`.
    """
    wanted = set(combinations)
    for name in limits:
        for cell in base.cells:
            if name == FAILURES or cell.combination not in wanted or not cell.finished:
                continue
            _, percentile = limit(name, cell.combination)
            for count, whose in ((runs, "--runs"), (cell.finished, "the base")):
                if count is not None and not can_tell(percentile, count):
                    raise ConfigError(
                        f"{name} cannot be told from {count} utterances ({whose}): it takes "
                        f"{tells_from(percentile)} at least, in both",
                        argument="fail_over",
                    )


def fails(comparison: Comparison, limits: Mapping[str, float]) -> list[str]:
    """Return which limits are broken, in sentences; none of them if it is fine.

    The rule is on top of :mod:`fishlive.bench.gate`.

    Args:
        comparison: What came out.
        limits: By percentile, how much worse it may be, as a fraction of the base; by
            ``failures``, how many more may fail, as a fraction of all.

    Raises:
        ConfigError: A limit on something that is not there, or on too few utterances to tell.
    """
    alpha = ALPHA / max(1, len(limits) * len(comparison.pairs))
    broken = []
    for pair in comparison.pairs:
        where = place(pair.combination, comparison.axes)
        if pair.base.finished and not pair.new.finished and limits:
            broken.append(f"{where}no utterance finished")
            continue
        for name, most in limits.items():
            verdict = _failures if name == FAILURES else _broken
            if (why := verdict(pair, name, most, alpha)) is not None:
                broken.append(where + why)
    return broken


def blind(comparison: Comparison, limits: Mapping[str, float]) -> list[str]:
    """Return which limits are finer than what so few utterances can show, in sentences."""
    alpha = ALPHA / max(1, len(limits) * len(comparison.pairs))
    found = []
    for pair in comparison.pairs:
        for name, most in limits.items():
            if name == FAILURES or not pair.new.finished:
                continue
            move = pair.move(*limit(name, pair.combination), alpha=alpha)
            if move is None or move.interval is None:
                continue
            reach = (move.interval.high - move.interval.low) / 2
            if reach > most * move.base:
                found.append(
                    f"{place(pair.combination, comparison.axes)}{name} is only known to "
                    f"±{relative(reach, move.base):.0%} by so few utterances: it can be worse "
                    f"by {most:.0%} unseen; more --runs see more"
                )
    return found


def _broken(pair: Pair, name: str, most: float, alpha: float) -> str | None:
    metric, percentile = limit(name, pair.combination)
    counts = counts_of(pair, metric)
    if not all(counts):
        raise ConfigError(f"{name}: nothing of it was measured", argument="fail_over")
    if not all(can_tell(percentile, count) for count in counts):
        raise ConfigError(
            f"{name} cannot be told from {min(counts)} utterances: it takes "
            f"{tells_from(percentile)} at least, in both files (--runs)",
            argument="fail_over",
        )
    move = pair.move(metric, percentile, alpha=alpha)
    if move is None or move.interval is None or move.interval.low <= 0 or move.relative <= most:
        return None
    low, high = (relative(end, move.base) for end in (move.interval.low, move.interval.high))
    return (
        f"{metric.title} p{percentile:g} {move.relative:+.1%} (interval {low:+.1%} to {high:+.1%}, "
        f"allowed {most:+.0%})"
    )


def _failures(pair: Pair, _name: str, most: float, alpha: float) -> str | None:
    base, new = pair.failed
    more = _share(new) - _share(base)
    if more <= most or share_grew(base, new) >= alpha:
        return None
    return f"failures {_share(base):.1%} to {_share(new):.1%} (allowed {most:+.0%})"


def _share(some: tuple[int, int]) -> float:
    return some[0] / some[1] if some[1] else 0.0
