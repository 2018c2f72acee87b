"""From utterances to cells, and from several runs to one, without losing a percentile. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from fishlive.bench.differing import nearest, said
from fishlive.bench.histogram import Histogram
from fishlive.bench.metrics import METRICS
from fishlive.bench.records import Cell, Client, Combination, PrebufferTotal, Record, Result
from fishlive.errors import ConfigError


def cell_of(
    combination: Combination,
    records: Sequence[Record],
    *,
    client: tuple[Client, ...] = (),
    partial: str | None = None,
) -> Cell:
    """Return what a cell's utterances, warm-up and all, came to."""
    counted = [record for record in records if not record.warmup]
    warmup = [record for record in records if record.warmup]
    finished = [record for record in counted if record.ending == "finished"]
    failures = Counter(r.failure or "unknown" for r in counted if r.ending == "failed")
    return Cell(
        combination=combination,
        started=len(counted),
        finished=len(finished),
        cancelled=sum(record.ending == "cancelled" for record in counted),
        failures=dict(failures.most_common()),
        reused=sum(record.socket == "reused" for record in counted),
        audio_s=sum(record.audio_s for record in finished),
        text_utf8_bytes=sum(record.text_utf8_bytes for record in counted),
        cost_usd=sum(record.cost_usd for record in counted),
        histograms=histograms(finished),
        underruns=prebuffers(finished),
        client=client,
        partial=partial,
        warmup_utf8_bytes=sum(record.text_utf8_bytes for record in warmup),
        warmup_cost_usd=sum(record.cost_usd for record in warmup),
    )


def histograms(records: Sequence[Record]) -> dict[str, str]:
    """Return the encoded distribution of every metric that has values."""
    found = {}
    for name, metric in METRICS.items():
        histogram = Histogram(value for record in records for value in metric.values(record))
        if histogram.count:
            found[name] = histogram.encode()
    return found


def prebuffers(records: Sequence[Record]) -> tuple[PrebufferTotal, ...]:
    """Return what players of each prebuffer would have done over all records."""
    totals: dict[float, PrebufferTotal] = {}
    for record in records:
        for run in record.underruns:
            one = PrebufferTotal(run.prebuffer_s, min(1, run.count), run.count, run.stalled_s)
            so_far = totals.get(run.prebuffer_s)
            totals[run.prebuffer_s] = one if so_far is None else _more(so_far, one)
    return tuple(totals[prebuffer_s] for prebuffer_s in sorted(totals))


def _more(one: PrebufferTotal, other: PrebufferTotal) -> PrebufferTotal:
    return PrebufferTotal(
        one.prebuffer_s,
        one.utterances + other.utterances,
        one.count + other.count,
        one.stalled_s + other.stalled_s,
    )


def merge(results: Sequence[Result]) -> Result:
    """Return several runs of one plan as one: of several processes, or one by one.

    Percentiles of the merged histograms are those of the pooled samples. Runs may differ in what
    says when and in which order utterances came (:data:`MAY_DIFFER`), which the result notes, and
    in the machine; one that is partial may lack combinations.

    Raises:
        ConfigError: Nothing to merge, the same run twice, or runs that did not ask for the same;
            it names what differs.
    """
    if not results:
        raise ConfigError("nothing to merge", argument="results")
    first = results[0]
    for index, other in enumerate(results):
        check_same_plan(first, other)
        if any(_is_same_run(other, before) for before in results[:index]):
            raise ConfigError("the same run twice: its utterances would count double")
    combinations = dict.fromkeys(c.combination for result in results for c in result.cells)
    places = {combination: index for index, combination in enumerate(combinations)}
    cells = tuple(_merged_cell(combination, results) for combination in combinations)
    partial = [result.partial for result in results if result.partial]
    return replace(
        first,
        environments=tuple(e for result in results for e in result.environments),
        cells=cells,
        records=_merged_records(results, places),
        overhead=max(
            (result.overhead for result in results if result.overhead is not None),
            key=lambda found: found.first_audio_p99_s,
            default=None,
        ),
        partial="; ".join(dict.fromkeys(partial)) or None,
        notes=tuple(
            dict.fromkeys(
                (*(note for result in results for note in result.notes), *_differences(results))
            )
        ),
    )


def check_same_plan(one: Result, other: Result) -> None:
    """Raise ConfigError if two results are not of the same plan; it names all that differs."""
    was, now = one.config, other.config
    found = [
        f"{title} is {said(before, none='none')} in one and {said(after, none='none')} in another"
        for name, title in MUST_AGREE.items()
        if (before := getattr(was, name)) != (after := getattr(now, name))
    ]
    if was.workload_sha256 != now.workload_sha256:
        found.append(f"they speak different texts (workloads {was.workload} and {now.workload})")
    rows = [{cell.combination for cell in result.cells} for result in (one, other)]
    lacking = (rows[1] - rows[0] and one.partial is None) or (
        rows[0] - rows[1] and other.partial is None
    )
    if lacking and all(rows):
        names = "in one", "in another"
        found.append(nearest(*(sorted(row, key=repr) for row in rows), names=names))
    if found:
        raise ConfigError(f"these runs are not of one plan: {'; '.join(found)}; compare them")


MUST_AGREE: Final = {
    "target": "the target",
    "profile": "the pace of the local server",
    "arrivals": "the spacing of arrivals",
    "max_in_flight": "the most in flight",
    "prebuffers_s": "the prebuffers",
}
"""What two configurations may not differ in, besides their texts, if their utterances are to be
one sample."""

MAY_DIFFER: Final = ("seed", "runs", "time_s", "until_ci", "warmup", "budget_usd")
"""What they may differ in: how many utterances there were, and in which order."""


def _differences(results: Sequence[Result]) -> Iterator[str]:
    """Yield in what merged runs differ, as far as they may."""
    for name in MAY_DIFFER:
        values = dict.fromkeys(
            said(getattr(result.config, name), none="none") for result in results
        )
        if len(values) > 1:
            yield f"the merged runs differ in {name.removesuffix('_s')}: {', '.join(values)}"


def _is_same_run(one: Result, other: Result) -> bool:
    """Return whether two results have a run in common: seconds by the clock are like no other's.

    Where and when it began is not enough: several processes may begin in the same second.
    """
    mine = [(cell.combination, client) for cell in one.cells for client in cell.client]
    return any((c.combination, client) in mine for c in other.cells for client in c.client)


def _merged_records(
    results: Sequence[Result], places: dict[Combination, int]
) -> tuple[Record, ...]:
    merged: list[Record] = []
    behind = 0
    for result in results:
        where = [places[cell.combination] for cell in result.cells]
        merged += [
            replace(record, cell=where[record.cell], source=record.source + behind)
            for record in result.records
        ]
        behind += len(result.environments)
    return tuple(merged)


def _merged_cell(combination: Combination, results: Sequence[Result]) -> Cell:
    cells = [c for result in results for c in result.cells if c.combination == combination]
    failures: Counter[str] = Counter()
    distributions: dict[str, Histogram] = {}
    totals: dict[float, PrebufferTotal] = {}
    for cell in cells:
        failures.update(cell.failures)
        for name, encoded in cell.histograms.items():
            distributions.setdefault(name, Histogram()).add_encoded(encoded)
        for total in cell.underruns:
            so_far = totals.get(total.prebuffer_s)
            totals[total.prebuffer_s] = total if so_far is None else _more(so_far, total)
    partial = [cell.partial for cell in cells if cell.partial]
    return Cell(
        combination=combination,
        started=sum(cell.started for cell in cells),
        finished=sum(cell.finished for cell in cells),
        cancelled=sum(cell.cancelled for cell in cells),
        failures=dict(failures.most_common()),
        reused=sum(cell.reused for cell in cells),
        audio_s=sum(cell.audio_s for cell in cells),
        text_utf8_bytes=sum(cell.text_utf8_bytes for cell in cells),
        cost_usd=sum(cell.cost_usd for cell in cells),
        histograms={name: found.encode() for name, found in distributions.items()},
        underruns=tuple(totals[prebuffer_s] for prebuffer_s in sorted(totals)),
        client=tuple(client for cell in cells for client in cell.client),
        partial="; ".join(dict.fromkeys(partial)) or None,
        warmup_utf8_bytes=sum(cell.warmup_utf8_bytes for cell in cells),
        warmup_cost_usd=sum(cell.warmup_cost_usd for cell in cells),
    )
