"""Latency benchmarks: where every millisecond goes, and whether today is worse than yesterday.

The command ``fishlive bench`` as functions. Needs the extra ``bench``.

    plan = Plan(load("short"), Matrix(socket=("cold", "reused")), Until(runs=1000))
    async with local_server({"profile": "fish-balanced"}) as service:
        result = await Runner(plan, service).run()
    write_result(result, Path("today.json"))
    write_html(result, Path("today.html"))
    comparison = compare(read_result(Path("yesterday.json")), result, seed=1)

The last one is ``fishlive.bench.compare.compare``; what it may not be worse than is in
:mod:`fishlive.bench.gate`.
"""

from fishlive.bench.arrivals import Until
from fishlive.bench.files import RecordLog, read_records, read_result, write_parquet, write_result
from fishlive.bench.histogram import Histogram
from fishlive.bench.html import write_html
from fishlive.bench.lanes import Service
from fishlive.bench.local import local_server
from fishlive.bench.matrix import Matrix
from fishlive.bench.metrics import METRICS
from fishlive.bench.plan import Plan
from fishlive.bench.records import Cell, Combination, Record, Result
from fishlive.bench.runner import Runner
from fishlive.bench.summary import merge
from fishlive.bench.workload import Prompt, Workload, load

__all__ = [
    "METRICS",
    "Cell",
    "Combination",
    "Histogram",
    "Matrix",
    "Plan",
    "Prompt",
    "Record",
    "RecordLog",
    "Result",
    "Runner",
    "Service",
    "Until",
    "Workload",
    "load",
    "local_server",
    "merge",
    "read_records",
    "read_result",
    "write_html",
    "write_parquet",
    "write_result",
]
