"""A run: every combination in turn, its utterances as they are to arrive, and what came of it.

The runner owns every task; whatever ends it, what was measured until then is in
:meth:`Runner.result`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fishlive.bench.cell import CellRun, Progress
from fishlive.bench.cost import Budget
from fishlive.bench.honesty import environment, overhead
from fishlive.bench.lanes import LIVE, Service
from fishlive.bench.plan import Plan
from fishlive.bench.records import Cell, Combination, Overhead, Record, Result
from fishlive.bench.speakers import Terms, sound_of, speaker
from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConfigError,
    HostNotFoundError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    TLSError,
    UpgradeError,
)

HOPELESS: Final = (
    AuthenticationError, InsufficientCreditsError, PermissionDeniedError, HostNotFoundError,
    TLSError, UpgradeError, ConfigError,
)  # fmt: skip
"""Errors after which every further utterance would fail the same way."""

HOPELESS_AT_FIRST: Final = (NotFoundError, InvalidRequestError)
"""The same, as long as nothing has succeeded: the voice or an option is wrong. Later it is only
one text that the service does not like."""

MOST_FAILURES: Final = 20
"""So many failures in a row, and no success, are no measurement any more; five if there was not a
single success."""

MOST_FIRST_FAILURES: Final = 5


class Runner:
    """Carries a plan out. Use it once.

    Args:
        plan: What.
        service: Where.
        on_record: Told of every utterance as soon as it is over.
        on_progress: Told how far it is, as often.
        measure_overhead: Whether to measure the tool itself first.
    """

    def __init__(
        self,
        plan: Plan,
        service: Service,
        *,
        on_record: Callable[[Record], None] = lambda _record: None,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        measure_overhead: bool = True,
    ) -> None:
        self._plan = plan
        self._service = service
        self._on_record = on_record
        self._on_progress = on_progress
        self._measure_overhead = measure_overhead
        self._combinations, self._notes = plan.matrix.combinations()
        for combination in self._combinations:
            sound_of(combination)  # a request that cannot be is refused before anything is sent
        self.progress: Progress = Progress(self._combinations)
        self._budget = Budget(plan.budget_usd)
        self._records: list[Record] = []
        self._cells: list[Cell] = []
        self._overhead: Overhead | None = None
        self._environment = environment(plan.command)
        self._stopped: str | None = None
        self._running: CellRun | None = None
        self._done = False
        self._in_a_row = 0
        self._told: list[str] = []
        self._succeeded = False
        self._last_error: BaseException | None = None
        self.error: BaseException | None = None
        """What made it stop early; None if nothing did, or if that was our own doing."""

    async def run(self) -> Result:
        """Measure everything; return the result, which says if it is partial.

        Cancelling stops at once: :meth:`result` has what there is, marked partial.

        Raises:
            FishLiveError: Nothing could be measured at all, and this is why.
        """
        self._environment = environment(self._plan.command)
        try:
            if self._measure_overhead:
                self._overhead = await overhead()
            for index, combination in enumerate(self._combinations):
                await self._cell(index, combination)
                if self._stopped is not None:
                    break
            self._done = True
        except asyncio.CancelledError:
            self._stopped = self._stopped or "interrupted"
            raise
        if not self._succeeded and self._last_error is not None:
            self.error = self.error or self._last_error
            self._stopped = self._stopped or f"nothing succeeded: {_sentence(self.error)}"
            raise self.error
        return self.result()

    def result(self) -> Result:
        """Return what there is by now."""
        cells = list(self._cells)
        if self._running is not None:
            cells.append(self._running.cell(self._stopped or "not finished"))
        told = () if self._running is None else self._running.notes()
        partial = self._stopped or (None if self._done else "not finished")
        return Result(
            environments=(self._environment,),
            config=self._plan.config(),
            cells=tuple(cells),
            records=tuple(sorted(self._records, key=lambda r: (r.cell, not r.warmup, r.index))),
            overhead=self._overhead,
            partial=partial,
            notes=tuple(dict.fromkeys((*self._notes, *_notes(cells), *self._told, *told))),
        )

    async def _cell(self, index: int, combination: Combination) -> None:
        self.progress = Progress(
            self._combinations,
            index,
            total=self._plan.until.runs,
            spent_usd=self._budget.spent_usd,
            cells=self._cells,
        )
        run = CellRun(self, index, combination, self._service.process)
        self._running = run
        terms = Terms(sorted(self._plan.prebuffers_s), self._plan.timeout_s, run.on_error)
        async with speaker(self._service, combination, terms) as voice:
            await run.all(voice)
        self._cells.append(run.cell(self._stopped))
        self._told += run.notes()
        self._running = None

    # What a cell tells and asks

    @property
    def plan(self) -> Plan:
        """What is carried out."""
        return self._plan

    @property
    def stopped(self) -> bool:
        """Whether no further utterance may begin."""
        return self._stopped is not None

    def may_spend(self, cost_usd: float) -> bool:
        """Spend, or stop the run because that would be over the budget."""
        if self._budget.take(cost_usd):
            self.progress.spent_usd = self._budget.spent_usd
            return True
        self._stopped = f"the budget of ${self._plan.budget_usd:g} allows no further utterance"
        return False

    def took(self, record: Record) -> None:
        """Count an utterance that is over."""
        self._records.append(record)
        if record.ending == "finished":
            self._succeeded = True
            self._in_a_row = 0
        self._on_record(record)

    def failed(self, error: BaseException) -> None:
        """Count a failure; stop the run if more of the same would follow."""
        self._in_a_row += 1
        self._last_error = error
        hopeless = HOPELESS if self._succeeded else (*HOPELESS, *HOPELESS_AT_FIRST)
        if isinstance(error, hopeless):
            self._stop(error, _sentence(error))
        elif self._in_a_row >= (MOST_FAILURES if self._succeeded else MOST_FIRST_FAILURES):
            self._stop(error, f"{self._in_a_row} failures in a row, the last: {_sentence(error)}")

    def show(self) -> None:
        """Tell how far it is."""
        self._on_progress(self.progress)

    def _stop(self, error: BaseException, why: str) -> None:
        if self._stopped is None:
            self._stopped, self.error = why, error


def _sentence(error: BaseException) -> str:
    """Return an error for the file: the class and its numbers, nobody's text but a refusal's."""
    if isinstance(error, APIStatusError):
        code = "" if error.status is None else f" {error.status}"
        return f"{type(error).__name__}{code}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _notes(cells: list[Cell]) -> tuple[str, ...]:
    """Return what a reader must know about sockets that were not what was asked for."""
    notes = []
    for cell in cells:
        if cell.combination.socket == "reused" and cell.combination.transport in LIVE:
            fresh = cell.finished - cell.reused
            if fresh > 0:
                notes.append(
                    f"{cell.combination.transport}, {cell.combination.load}: {fresh} of "
                    f"{cell.finished} utterances that were to reuse a socket found a fresh one; "
                    "either the service closes them, or more were wanted than there were"
                )
    return tuple(dict.fromkeys(notes))
