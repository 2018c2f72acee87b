"""From utterances to cells, and from several runs to one, without losing a percentile. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

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
        text_utf8_bytes=sum(record.text_utf8_bytes for record in records),
        cost_usd=sum(record.cost_usd for record in records),
        histograms=histograms(finished),
        underruns=prebuffers(finished),
        client=client,
        partial=partial,
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
    """Return several runs of one configuration as one: of several processes, or one by one.

    Percentiles of the merged histograms are those of the pooled samples.

    Raises:
        ConfigError: Nothing to merge, or the runs did not ask for the same.
    """
    if not results:
        raise ConfigError("nothing to merge", argument="results")
    first = results[0]
    for other in results[1:]:
        if _same(other) != _same(first):
            raise ConfigError("these results speak different texts: compare them instead")
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
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
    )


def _same(result: Result) -> tuple[str, str, tuple[float, ...]]:
    config = result.config
    return config.target, config.workload_sha256, config.prebuffers_s


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
    )
