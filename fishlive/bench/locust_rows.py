"""What Locust shows of utterances: rows of its statistics, and lines of its log. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import fishlive.errors as errors
from fishlive.bench.histogram import Histogram, supported
from fishlive.bench.metrics import METRICS, headline
from fishlive.bench.records import Cell, Record
from fishlive.bench.runner import HOPELESS

SHOWN: Final = (
    "latency_s", "audible_s", "queue_s", "connect_s", "text_wait_s", "first_audio_s", "gap_max_s",
)  # fmt: skip
"""What has a row in Locust's own statistics; the result has everything."""


class UtteranceFailed(Exception):
    """What Locust's statistics list: the class of an error, and its numbers."""

    def __repr__(self) -> str:
        return str(self)


def described(record: Record) -> str:
    """Return why an utterance failed, in nobody's words but ours."""
    name = record.failure or "unknown"
    return name if record.failure_detail is None else f"{name} ({record.failure_detail})"


def is_hopeless(record: Record) -> bool:
    """Return whether every further utterance would fail the same way."""
    kind = getattr(errors, record.failure or "", None)
    return isinstance(kind, type) and issubclass(kind, HOPELESS)


def rows(kind: str, record: Record) -> Iterator[dict[str, Any]]:
    """Yield the rows of an utterance in Locust's statistics; none of one that warms up.

    The first row is the utterance itself, which Locust's request event is told, with its record as
    ``response``; the others are its measured intervals, if it was spoken to the end.

    Args:
        kind: Of the rows: the user's class.
        record: What was measured.
    """
    if record.warmup:
        return
    whole = "cancelled" if record.ending == "cancelled" else "utterance"
    error = UtteranceFailed(described(record)) if record.ending == "failed" else None
    yield _row(kind, whole, record.wall_s) | {
        "response_length": record.audio_bytes,
        "response": record,
        "exception": error,
    }
    for name in SHOWN if record.ending == "finished" else ():
        value = getattr(record, name)
        if value is not None:
            yield _row(kind, METRICS[name].title, value)


def _row(kind: str, name: str, seconds: float) -> dict[str, Any]:
    return {
        "request_type": kind,
        "name": name,
        "response_time": seconds * 1000,
        "response_length": 0,
        "response": None,
        "context": {},
        "exception": None,
    }


def summary(cell: Cell) -> str:
    """Return what a cell came to, in a line; percentiles only where samples are enough."""
    transport, metric = cell.combination.transport, headline(cell.combination.transport)
    counts = f"{cell.finished} finished, {sum(cell.failures.values())} failed"
    line = f"{transport}, {cell.combination.load}: {counts}, {cell.cancelled} cancelled"
    line += "" if cell.partial is None else " (partial)"
    if metric.name in cell.histograms:
        found = Histogram.decode(cell.histograms[metric.name])
        known = [p for p in (50, 95, 99) if supported(p, found.count)]
        line += "".join(f", p{p} {found.percentile(p) * 1000:.0f} ms" for p in known)
    return line
