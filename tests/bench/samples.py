"""Records and results made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fishlive.bench.records import Combination, Config, Environment, Record, Result
from fishlive.bench.summary import cell_of

COLD = Combination(
    "picows", "cold", "s2-pro", "balanced", "pcm", None, 100, "sentence", "whole", concurrency=1
)
CONFIG = Config(
    target="local", profile=None, seed=1, workload="hello", workload_origin="here",
    workload_sha256="0" * 64, prompts=1, runs=3, time_s=None, until_ci=None, warmup=0,
    budget_usd=None, arrivals="even", max_in_flight=10, prebuffers_s=(0.0, 0.1),
)  # fmt: skip


def record(latency_s: float, **changes: Any) -> Record:
    """Return an utterance with a latency."""
    plain = Record(
        cell=0, index=0, warmup=False, prompt="p1", language="en", text_utf8_bytes=13,
        cost_usd=0.0002, ending="finished", latency_s=latency_s, response_s=latency_s,
        first_audio_s=latency_s, audio_s=1.0, wall_s=latency_s,
    )  # fmt: skip
    return replace(plain, **changes)


def result(latencies_s: Sequence[float], **changes: Any) -> Result:
    """Return a run of one cell with these latencies."""
    records = tuple(record(value, index=index) for index, value in enumerate(latencies_s))
    environment = Environment("2026-11-01", ("bench",), {"CPython": "3"}, "OS", "x", "", 2, "loop")
    made = Result((environment,), CONFIG, (cell_of(COLD, records),), records)
    return replace(made, **changes)
