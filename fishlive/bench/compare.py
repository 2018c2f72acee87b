"""Two results side by side: how each percentile moved, and whether that is more than chance.

Cells meet by their conditions. For each, the headline (latency; a task's time to its result for a
gateway) and the first audible sound are compared at the median and at p95, with the bootstrap of
:mod:`fishlive.bench.chance`; then those steps of the path are searched whose medians moved. When a
difference is too much is in :mod:`fishlive.bench.gate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fishlive.bench.comparison_text import describe
from fishlive.bench.differing import nearest, said
from fishlive.bench.gate import blind, check_counts, check_limits, fails
from fishlive.bench.pairs import Comparison, Pair
from fishlive.bench.records import Combination, Config, Record, Result
from fishlive.errors import ConfigError

__all__ = [
    "Comparison",
    "blind",
    "check",
    "check_counts",
    "check_limits",
    "compare",
    "describe",
    "fails",
]


def check(base: Result, config: Config, combinations: Sequence[Combination]) -> None:
    """Raise ConfigError if a run could not be compared with a base, before it is made."""
    if base.config.workload_sha256 != config.workload_sha256:
        raise ConfigError(
            f"the base speaks other texts (workload {base.config.workload}, here "
            f"{config.workload}): measure it again with the same"
        )
    known = [cell.combination for cell in base.cells]
    if not set(known) & set(combinations):
        raise ConfigError(
            "the base has none of these combinations: "
            + (nearest(known, combinations) if known and combinations else "nothing was measured")
        )


def compare(base: Result, new: Result, *, seed: int) -> Comparison:
    """Return how a result differs from its base.

    Args:
        base: What it was.
        new: What it is.
        seed: Of the bootstrap: the same seed tells the same.

    Raises:
        ConfigError: They speak different texts, or have no combination in common.
    """
    check(base, new.config, [cell.combination for cell in new.cells])
    old = {cell.combination: (index, cell) for index, cell in enumerate(base.cells)}
    records = _by_cell(base), _by_cell(new)
    pairs = []
    for index, cell in enumerate(new.cells):
        if cell.combination in old:
            before, its_base = old.pop(cell.combination)
            raw = records[0].get(before, []), records[1].get(index, [])
            pairs.append(Pair(its_base, cell, raw, seed))
    met = {pair.combination for pair in pairs}
    return Comparison(
        tuple(pairs),
        tuple(old),
        tuple(c.combination for c in new.cells if c.combination not in met),
        tuple(_warnings(base, new)),
    )


def _by_cell(result: Result) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in result.records:
        if record.counts:
            found.setdefault(record.cell, []).append(record)
    return found


def _warnings(base: Result, new: Result) -> Iterator[str]:
    """Yield why two results may differ for another reason than the service."""
    was, now = base.config, new.config
    for name, why in _CONDITIONS.items():
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield f"{name.replace('_', ' ')} {said(before)} there, {said(after)} here: {why}"
    machines = [
        {(e.system, e.machine, e.cpu, e.cores) for e in r.environments} for r in (base, new)
    ]
    if machines[0] != machines[1]:
        yield "measured on different machines: their own share may differ"
    versions = [{tuple(sorted(e.versions.items())) for e in r.environments} for r in (base, new)]
    if versions[0] != versions[1]:
        yield "measured with different versions: " + _changed(base, new)
    for name, result in (("base", base), ("new one", new)):
        if result.partial is not None:
            yield f"the {name} is partial: {result.partial}"
        yield from (f"in the {name}, {reason}" for reason in result.limited)


_CONDITIONS: Final = {
    "target": "another service",
    "profile": "another pace of the local server",
    "seed": "texts in another order, arrivals at other times",
    "arrivals": "arrivals spaced differently",
    "max_in_flight": "more or fewer at once in an open loop",
}
"""What two configurations may differ in and still be compared, and what that means."""


def _changed(base: Result, new: Result) -> str:
    was, now = ({k: v for e in r.environments for k, v in e.versions.items()} for r in (base, new))
    changed = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return ", ".join(
        f"{name} {was.get(name, 'none')} to {now.get(name, 'none')}" for name in changed
    )
