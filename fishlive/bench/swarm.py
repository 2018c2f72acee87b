"""What many processes measured, told in differences, and added up. Pure.

A worker tells only what it has not told before, in numbered reports. So a report that comes twice
is counted once, and a worker that is lost takes along only what it had not told.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from fishlive.bench.conditions import STRICT
from fishlive.bench.histogram import Histogram
from fishlive.bench.records import (
    Cell,
    Client,
    Combination,
    Config,
    Environment,
    Overhead,
    PrebufferTotal,
    Record,
    Result,
)
from fishlive.bench.summary import cell_of
from fishlive.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Report:
    """What one worker has to tell since its last report.

    Attributes:
        number: Which of its reports, from 1.
        cells: What was added, a combination each. Their loads are not known here.
        users: How many users have spoken so far, for each of those cells.
        records: The utterances themselves, if they are wanted.
        ended: Users that have said all they were to say, so far.
        problems: Why something could not be measured, so far, in sentences.
        environment: Where the worker runs; None before anything was spoken.
        overhead: What the tool itself adds there; None before anything was spoken.
        client: How its machine did, in all; None until it is done.
        final: Whether it is done.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    number: int
    cells: tuple[Cell, ...] = ()
    users: tuple[int, ...] = ()
    records: tuple[Record, ...] = ()
    ended: int = 0
    problems: tuple[str, ...] = ()
    environment: Environment | None = None
    overhead: Overhead | None = None
    client: Client | None = None
    final: bool = False

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def decode(cls, text: object) -> Report:
        """Return what :meth:`encode` wrote.

        Raises:
            ConfigError: It is none, or one of another version.
        """
        try:
            report = TypeAdapter(cls).validate_json(str(text), strict=True)
        except ValidationError as error:
            raise ConfigError("a worker's report cannot be read: is its version this one?") from (
                error
            )
        if len(report.users) != len(report.cells) or any(
            not 0 <= record.cell < len(report.cells) for record in report.records
        ):
            raise ConfigError("a worker's report does not fit together")
        return report


class Tally:
    """Counts what one worker measures, until it is told.

    Args:
        keep_records: Whether reports have the utterances themselves.
    """

    def __init__(self, *, keep_records: bool = False) -> None:
        self._keep_records = keep_records
        self._new: dict[Combination, list[Record]] = {}
        self._users: dict[Combination, set[int]] = {}
        self._number = 0
        self._changed = False
        self._problems: dict[str, None] = {}
        self._ended = 0
        self.environment: Environment | None = None
        self.overhead: Overhead | None = None
        self.client: Client | None = None

    def add(self, combination: Combination, record: Record) -> None:
        """Count an utterance."""
        self._new.setdefault(combination, []).append(record)
        self._changed = True

    def speaks(self, combination: Combination, user: int) -> None:
        """Count a user, by a number of its own, the first time."""
        self._users.setdefault(combination, set()).add(user)

    def end(self) -> None:
        """Count a user that has said all."""
        self._ended += 1
        self._changed = True

    def problem(self, why: str) -> None:
        """Note why something could not be measured."""
        self._problems[why] = None
        self._changed = True

    def forget(self) -> None:
        """Drop what was not told yet."""
        self._new.clear()

    def take(self, *, final: bool = False) -> Report | None:
        """Return what was not told yet, as told; None if that is nothing and not the end."""
        if not (self._changed or final):
            return None
        new, self._new, self._changed = self._new, {}, False
        self._number += 1
        return Report(
            number=self._number,
            cells=tuple(cell_of(c, records) for c, records in new.items()),
            users=tuple(len(self._users.get(c, ())) for c in new),
            records=tuple(
                replace(record, cell=index)
                for index, records in enumerate(new.values())
                for record in records
                if self._keep_records
            ),
            ended=self._ended,
            problems=tuple(self._problems),
            environment=self.environment,
            overhead=self.overhead,
            client=self.client,
            final=final,
        )


@dataclass
class _Sum:
    """A cell that grows."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cost_usd: float = 0.0
    warmup_cost_usd: float = 0.0
    histograms: dict[str, Histogram] = field(default_factory=dict)
    underruns: dict[float, PrebufferTotal] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)

    def add(self, cell: Cell) -> None:
        for name in _COUNTS:
            self.counts[name] += getattr(cell, name)
        self.failures.update(cell.failures)
        self.seconds += cell.audio_s
        self.cost_usd += cell.cost_usd
        self.warmup_cost_usd += cell.warmup_cost_usd
        for name, encoded in cell.histograms.items():
            self.histograms.setdefault(name, Histogram()).add_encoded(encoded)
        for more in cell.underruns:
            had = self.underruns.get(more.prebuffer_s, PrebufferTotal(more.prebuffer_s, 0, 0, 0.0))
            self.underruns[more.prebuffer_s] = PrebufferTotal(
                more.prebuffer_s,
                had.utterances + more.utterances,
                had.count + more.count,
                had.stalled_s + more.stalled_s,
            )

    def cell(self, combination: Combination, client: tuple[Client, ...]) -> Cell:
        counts: dict[str, Any] = {name: self.counts[name] for name in _COUNTS}
        return Cell(
            combination=combination,
            failures=dict(self.failures.most_common()),
            audio_s=self.seconds,
            cost_usd=self.cost_usd,
            warmup_cost_usd=self.warmup_cost_usd,
            histograms={name: found.encode() for name, found in self.histograms.items()},
            underruns=tuple(self.underruns[prebuffer_s] for prebuffer_s in sorted(self.underruns)),
            client=client,
            **counts,
        )


_COUNTS = (
    "started", "finished", "cancelled", "reused", "text_utf8_bytes", "warmup_utf8_bytes",
)  # fmt: skip


@dataclass
class _Worker:
    """What is known of one worker."""

    source: int
    last: Report


class Pool:
    """Adds up the reports of all workers."""

    def __init__(self) -> None:
        self._sums: dict[Combination, _Sum] = {}
        self._records: list[Record] = []
        self._workers: dict[str, _Worker] = {}
        self._notes: dict[str, None] = {}

    def add(self, worker: str, report: Report) -> None:
        """Count a report, once. Raises ConfigError if its histograms are none."""
        known = self._workers.get(worker)
        told = 0 if known is None else known.last.number
        if report.number <= told:
            return
        if report.number > told + 1:
            self.note("reports of a worker were lost on their way: what they told is missing")
        source = len(self._workers) if known is None else known.source
        self._workers[worker] = _Worker(source, report)
        places = self._add_cells(worker, report)
        self._records += [
            replace(record, cell=places[record.cell], source=source) for record in report.records
        ]

    def _add_cells(self, worker: str, report: Report) -> list[int]:
        for cell, users in zip(report.cells, report.users, strict=True):
            total = self._sums.setdefault(cell.combination, _Sum())
            total.add(cell)
            total.users[worker] = users
        order = {combination: index for index, combination in enumerate(self._sums)}
        return [order[cell.combination] for cell in report.cells]

    def note(self, sentence: str) -> None:
        """Note what a reader must know besides."""
        self._notes[sentence] = None

    def forget(self) -> None:
        """Drop what was counted; go on counting."""
        self._sums.clear()
        self._records.clear()

    @property
    def ended(self) -> int:
        """Users that have said all they were to say."""
        return sum(worker.last.ended for worker in self._workers.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """Why something could not be measured, without repeats."""
        workers = self._workers.values()
        return tuple(dict.fromkeys(why for worker in workers for why in worker.last.problems))

    def is_final(self, worker: str) -> bool:
        """Return whether a worker has told that it is done."""
        known = self._workers.get(worker)
        return known is not None and known.last.final

    @property
    def unfinished(self) -> int:
        """Workers that told something, but not that they were done."""
        return sum(not worker.last.final for worker in self._workers.values())

    @property
    def spoken(self) -> bool:
        """Whether any utterance was begun, if only to warm up."""
        return bool(self._sums)

    def result(
        self,
        config: Config,
        environment: Environment,
        *,
        pacing_s: Mapping[Combination, float | None],
        partial: str | None = None,
    ) -> Result:
        """Return all of it.

        Args:
            config: What was asked for.
            environment: Where a worker ran that did not say.
            pacing_s: How often a user begins, in seconds, where that is fixed.
            partial: Why it ended early.
        """
        workers = sorted(self._workers.values(), key=lambda worker: worker.source)
        client = tuple(w.last.client for w in workers if w.last.client is not None)
        whole = "; ".join(dict.fromkeys(filter(None, (partial, *self.problems)))) or None
        cells = tuple(
            # All of them were under way when it ended.
            replace(
                found.cell(_loaded(c, sum(found.users.values()), pacing_s.get(c)), client),
                partial=whole,
            )
            for c, found in self._sums.items()
        )
        return Result(
            environments=tuple(w.last.environment or environment for w in workers)
            or (environment,),
            config=config,
            cells=cells,
            records=_in_order(self._records),
            overhead=max(
                (w.last.overhead for w in workers if w.last.overhead is not None),
                key=lambda found: found.first_audio_p99_s,
                default=None,
            ),
            partial=whole,
            notes=tuple(self._notes),
        )


def _loaded(combination: Combination, users: int, pacing_s: float | None) -> Combination:
    """Return a combination with its load: so many users at once, or so many a second."""
    load: dict[str, Any] = {"concurrency": users} if not pacing_s else {"rate": users / pacing_s}
    return replace(combination, **load)


def _in_order(records: Sequence[Record]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=lambda r: (r.cell, r.source, not r.warmup, r.index)))
