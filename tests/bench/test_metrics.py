"""The numbers, by name."""

from __future__ import annotations

from dataclasses import fields

import pytest

from fishlive.bench.metrics import METRICS, PATH, headline
from fishlive.bench.records import Record
from tests.bench.samples import record


@pytest.mark.parametrize(
    ("transport", "name"),
    [("picows", "latency_s"), ("rest", "latency_s"), ("acedata", "wall_s"), ("xhuo", "wall_s")],
)
def test_a_transport_has_a_headline(transport: str, name: str) -> None:
    """Latency, but for a task, which has no first audio."""
    assert headline(transport).name == name


def test_metrics_are_of_records() -> None:
    """Each is a field of a record, but for the gaps, of which an utterance has many."""
    assert set(METRICS) - {field.name for field in fields(Record)} == {"gap_s"}
    assert set(PATH) <= set(METRICS)


def test_gaps_are_between_neighbours() -> None:
    """One fewer than chunks; and what was not measured has no value."""
    spoken = record(0.1, arrivals_s=(0.1, 0.3, 0.35))
    assert list(METRICS["gap_s"].values(spoken)) == pytest.approx([0.2, 0.05])
    assert list(METRICS["tls_s"].values(spoken)) == []
