"""Plans for tests, and their results in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fishlive.bench.arrivals import Until
from fishlive.bench.matrix import Matrix
from fishlive.bench.plan import Plan
from fishlive.bench.records import Result
from fishlive.bench.runner import Runner
from fishlive.bench.workload import Prompt, Workload
from tests.bench.virtual import Delays, LateService, run

HELLO = Workload("hello", "written here", (Prompt("p1", "Hello, world.", "en"),))


def plan(*, runs: int | None = 3, time_s: float | None = None, **changes: Any) -> Plan:
    """Return a plan for one socket at a time, cold, with the text at once."""
    matrix: dict[str, Any] = {"stream": ("whole",)} | changes.pop("matrix", {})
    given: dict[str, Any] = {"workload": HELLO, "until": Until(runs, time_s), "warmup": 0} | changes
    return Plan(matrix=Matrix(**matrix), **given)


def measured(
    delays: Delays,
    what: Plan | None = None,
    *,
    meanwhile: Callable[[Runner, LateService], Any] | None = None,
) -> Result:
    """Return what a plan comes to against a late service, in virtual time."""

    async def work() -> Result:
        late = LateService(delays)
        runner = Runner(what or plan(), late.service, measure_overhead=False)
        try:
            if meanwhile is not None:
                meanwhile(runner, late)
            return await runner.run()
        finally:
            await late.aclose()

    return run(work)
