"""One combination at work: its utterances as they are to arrive, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol

from fishlive.bench.arrivals import Meter, intended
from fishlive.bench.cost import price_usd
from fishlive.bench.honesty import Watch
from fishlive.bench.metrics import headline
from fishlive.bench.plan import Plan
from fishlive.bench.probe import Order
from fishlive.bench.records import Cell, Client, Combination, Record
from fishlive.bench.speakers import Speaker
from fishlive.bench.streams import pace, timed
from fishlive.bench.summary import cell_of

STANDBY_AHEAD_S: Final = 1.0
"""In an open loop a standby socket is opened so long before it is wanted, in seconds."""


@dataclass
class Progress:
    """How far a run is, for whoever shows it.

    Attributes:
        combinations: All of them.
        cell: Which one runs, by index.
        done: Its utterances that are over, without warm-up.
        total: How many it will be at most; None if only time tells.
        elapsed_s: How long it has been running.
        headline: Its latencies so far (for gateways: times to a result).
        audible: Its latencies to the first audible sound so far.
        failed: How many failed.
        warming: Whether it still warms up.
        spent_usd: What the whole run has cost.
        cells: Those that are done.
    """

    combinations: tuple[Combination, ...]
    cell: int = 0
    done: int = 0
    total: int | None = None
    elapsed_s: float = 0.0
    headline: Meter = field(default_factory=Meter)
    audible: Meter = field(default_factory=Meter)
    failed: int = 0
    warming: bool = True
    spent_usd: float = 0.0
    cells: list[Cell] = field(default_factory=list)


class Run(Protocol):
    """What a cell asks and tells the run that it is part of.

    Attributes:
        progress: How far it is.
    """

    progress: Progress

    @property
    def plan(self) -> Plan:
        """What is carried out."""

    @property
    def stopped(self) -> bool:
        """Whether no further utterance may begin."""

    def may_spend(self, cost_usd: float) -> bool:
        """Spend, or stop the run because that would be over the budget."""

    def took(self, record: Record) -> None:
        """Count an utterance that is over."""

    def failed(self, error: BaseException) -> None:
        """Count a failure; stop the run if more of the same would follow."""

    def show(self) -> None:
        """Tell how far it is."""


class Crew:
    """Tasks that belong to a block: leaving it early cancels them. A context manager."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine until the block is left."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def join(self) -> None:
        """Wait for all of them. Raises what one of them raised, once the others are cancelled."""
        while self._tasks and self._error is None:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._error is not None:
            raise self._error

    async def __aenter__(self) -> Crew:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._error = self._error or task.exception()


class CellRun:
    """One combination at work.

    Args:
        runner: What it is part of.
        index: Which combination.
        combination: It.
        server: Process id of the server, if that is ours; None otherwise.
    """

    def __init__(
        self, runner: Run, index: int, combination: Combination, server: int | None = None
    ) -> None:
        self._runner = runner
        self._plan = runner.plan
        self._index = index
        self._combination = combination
        self._prompts = self._plan.workload.order(self._plan.seed)
        self._warming = self._plan.workload.order(self._plan.seed, warmup=True)
        self._records: list[Record] = []
        self._begun = 0
        self._zero_s = 0.0
        self._pace = pace(combination.stream)
        self._server = server
        self._held = 0
        self._starts_s: tuple[float, float] | None = None
        self.watch: Watch | None = None

    def cell(self, partial: str | None) -> Cell:
        """Return what it came to."""
        client: tuple[Client, ...] = () if self.watch is None else (self.watch.client(),)
        return cell_of(self._combination, self._records, client=client, partial=partial)

    def notes(self) -> Iterator[str]:
        """Yield what a reader must know of how it went."""
        where = f"{self._combination.transport}, {self._combination.load}"
        if self._held and self._starts_s is not None and self._combination.rate:
            took_s = self._starts_s[1] - self._starts_s[0]
            reached = (self._begun - 1) / took_s if took_s else 0.0
            yield (
                f"{where}: {self._held} of {self._begun} starts were held back because "
                f"{self._plan.max_in_flight} were under way (max in flight): {reached:.3g}/s were "
                f"begun, {reached / self._combination.rate - 1:+.0%} of what was asked for; what "
                "they waited is in their latencies"
            )
        if self._plan.until.until_ci is not None:
            yield f"{where}: {self._precision(self._plan.until.until_ci)}"

    def _precision(self, wanted: float) -> str:
        """Return why a cell ended that was to end by how well its p95 is known."""
        known = self._runner.progress.headline.precision()
        said = "not known at all" if known is None else f"known to ±{known:.1%}"
        if known is not None and known <= wanted:
            return f"stopped after {self._begun} utterances: the p95 is {said} ({wanted:.1%} asked)"
        return (
            f"after {self._begun} utterances the p95 is {said}, and ±{wanted:.1%} was asked for: "
            "another limit came first"
        )

    def on_error(self, error: BaseException) -> None:
        """Hear of a failure."""
        self._runner.failed(error)

    async def all(self, voice: Speaker) -> None:
        """Warm up, then measure."""
        warmup = self._plan.warmup_of(self._combination)
        loop = asyncio.get_running_loop()
        self._zero_s = loop.time()
        if warmup:
            await self._closed(voice, warmup, warming=True)
        self._begun = 0
        ahead_s = STANDBY_AHEAD_S if self._combination.socket == "standby" else 0.0
        self._zero_s = loop.time() + (ahead_s if self._combination.rate else 0.0)
        self._runner.progress.warming = False
        self._runner.show()
        async with Watch(self._server) as self.watch:
            if self._combination.rate is not None:
                await self._open(voice, self._combination.rate, ahead_s)
            else:
                await self._closed(voice, None, warming=False)

    async def _closed(self, voice: Speaker, runs: int | None, *, warming: bool) -> None:
        """Keep as many utterances going as the combination says."""

        async def worker() -> None:
            while (order := self._next(runs, warming=warming)) is not None:
                await voice.speak(order, _at_once, self._took)

        async with Crew() as crew:
            for _ in range(self._combination.concurrency or 1):
                crew.start(worker())
            await crew.join()

    async def _open(self, voice: Speaker, rate: float, ahead_s: float) -> None:
        """Begin utterances when they are due, whatever the others do."""
        places = asyncio.Semaphore(self._plan.max_in_flight)

        async def one(order: Order, due_s: float) -> None:
            try:
                await voice.speak(order, lambda: _until(due_s), self._took)
            finally:
                places.release()

        async with Crew() as crew:
            for offset_s in intended(rate, self._plan.spacing, self._plan.seed):
                due_s = self._zero_s + offset_s
                await _until(due_s - ahead_s)
                full = places.locked()
                await places.acquire()
                order = self._next(None, warming=False, due_s=due_s)
                if order is None:
                    break
                self._held += full
                began_s = max(due_s, asyncio.get_running_loop().time())
                first_s = began_s if self._starts_s is None else self._starts_s[0]
                self._starts_s = first_s, began_s
                crew.start(one(order, due_s))
            await crew.join()

    def _next(self, runs: int | None, *, warming: bool, due_s: float | None = None) -> Order | None:
        """Return what is spoken next; None if the cell, or the run, is done."""
        if self._runner.stopped or self._is_over(runs, warming=warming, due_s=due_s):
            return None
        prompt = next(self._warming if warming else self._prompts)
        if not self._runner.may_spend(price_usd(prompt.utf8_bytes, self._combination.model)):
            return None
        index, self._begun = self._begun, self._begun + 1
        tokens = timed(prompt, self._pace, self._plan.seed)
        return Order(self._index, index, warming, prompt, self._pace, tokens, self._zero_s, due_s)

    def _is_over(self, runs: int | None, *, warming: bool, due_s: float | None) -> bool:
        if warming:
            return self._begun >= (runs or 0)
        until = self._plan.until
        now_s = asyncio.get_running_loop().time() if due_s is None else due_s
        if until.runs is not None and self._begun >= until.runs:
            return True
        if until.time_s is not None and now_s - self._zero_s >= until.time_s:
            return True
        precision = None if until.until_ci is None else self._runner.progress.headline.precision()
        return precision is not None and precision <= (until.until_ci or 0.0)

    def _took(self, record: Record) -> None:
        self._records.append(record)
        progress = self._runner.progress
        progress.elapsed_s = asyncio.get_running_loop().time() - self._zero_s
        if not record.warmup:
            progress.done += 1
            progress.failed += record.ending == "failed"
            if record.counts:
                for value in headline(self._combination.transport).values(record):
                    progress.headline.add(value)
                if record.audible_s is not None:
                    progress.audible.add(record.audible_s)
        self._runner.took(record)
        self._runner.show()


async def _at_once() -> None:
    """Let an utterance begin."""


async def _until(due_s: float) -> None:
    """Wait until a time of the loop's clock; not at all if it has passed."""
    wait_s = due_s - asyncio.get_running_loop().time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)
