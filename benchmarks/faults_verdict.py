"""Judges what a client made of a row, and prints it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.faults_expected import Meaning, Row, rows
from benchmarks.report import report as suites_report
from benchmarks.report import table
from benchmarks.results import Suite

CLOSE_MS = 50.0
"""How soon an error should follow a close frame, in milliseconds."""

LATE_MS = 250.0
"""How late an error may be after its deadline, in milliseconds."""

WHOLE = 0.9
"""Speech of the same text differs from time to time by less than this."""

TITLES = {
    "ours": "fishlive",
    "official_sdk": "fish-audio-sdk",
    "livekit_plugin": "LiveKit plugin",
}


class Outcome(enum.Enum):
    """What the caller got, from best to worst."""

    RIGHT = "right"  # the right end: an exception of the client's own, success, or recovery
    LENIENT = "no error"  # no error where there should be one, and nothing missing
    TYPED = "other meaning"  # an exception of the client's own that says something else
    FOREIGN = "foreign error"  # an exception of a library below, or a group of them
    SILENT = "silent"  # no error, and audio is missing: failure passes for the end
    CRASH = "crash"  # an exception that `except Exception` does not catch
    HANG = "hang"  # neither audio nor an end


@dataclass(frozen=True)
class Result:
    """How one meeting of a client and a fault went.

    Attributes:
        lost_bytes: Audio that was sent before the fault, or in all if the client calls it
            complete, and did not reach the caller.
        added_bytes: Audio that reached the caller and was never sent; anything that is no audio.
        error_ms: From the fault to the error, in milliseconds; None without an error.
        left: What was left behind: sockets, tasks, threads, warnings, complaints of the loop.
    """

    client: str
    row: Row
    outcome: Outcome
    error: str | None
    text: str
    lost_bytes: int
    added_bytes: int
    error_ms: float | None
    left: dict[str, int]
    complaints: list[str]

    @property
    def own(self) -> bool:
        """Whether the caller could handle it by the client's documentation."""
        return self.outcome in (Outcome.RIGHT, Outcome.TYPED)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` writes."""
        return {**asdict(self), "row": self.row.name, "outcome": self.outcome.value}


def outcome(row: Row, answer: dict[str, Any], *, whole: bool, again: bool) -> Outcome:
    """Say what a caller got.

    Args:
        whole: Whether all the speech there is reached the caller, and nothing else.
        again: Whether the client connected again.
    """
    if answer.get("hung"):
        return Outcome.HANG
    if "bytes" not in answer or answer.get("crash"):
        return Outcome.CRASH
    if answer["error"] is not None:
        if {Meaning[name] for name in answer["meanings"]} & row.right:
            return Outcome.RIGHT
        return Outcome.TYPED if answer["own"] else Outcome.FOREIGN
    if not row.due and not answer["foreign"]:
        return Outcome.RIGHT
    if whole:
        return Outcome.RIGHT if again else Outcome.LENIENT
    return Outcome.SILENT


def judged(
    client: str, row: Row, answer: dict[str, Any], notes: dict[str, Any], *, whole_bytes: int
) -> Result:
    """Return what came of a meeting.

    Args:
        whole_bytes: All the speech there is, of a meeting without a fault.
    """
    finished = answer.get("error") is None and not answer.get("hung")
    due = notes["sent_bytes"] if finished else notes["before_bytes"]
    if row.way == "break":
        due = 0  # what the caller did not want to hear is not lost
    taken = answer.get("bytes", 0)
    lost = max(0, due - taken)
    added = max(0, taken - notes["sent_bytes"]) + answer.get("foreign", 0)
    whole = not lost and not added and notes["sent_bytes"] > WHOLE * whole_bytes
    error_ms = None
    if answer.get("error") and answer.get("ended_ns") and notes["played_ns"]:
        since_ns = max(notes["played_ns"][0], answer["began_ns"])
        error_ms = (answer["ended_ns"] - since_ns) / 1e6
    return Result(
        client=client,
        row=row,
        outcome=outcome(row, answer, whole=whole, again=notes["connections"] > 1),
        error=answer.get("error"),
        text=answer.get("text", ""),
        lost_bytes=lost,
        added_bytes=added,
        error_ms=error_ms,
        left=answer.get("left", {}),
        complaints=answer.get("complaints", []),
    )


def worst(results: Iterable[Result]) -> Result:
    """Return the one whose outcome is worst."""
    order = list(Outcome)
    return max(results, key=lambda each: order.index(each.outcome))


def cell(results: list[Result]) -> str:
    """Return what a client did with one row: the worst round of it, and what it lost or left."""
    if not results:
        return "-"
    one = worst(results)
    words = [one.outcome.value]
    if one.error and one.outcome is not Outcome.HANG:
        words[0] += f" {one.error}" if len(one.error) < 48 else f" {one.error[:45]}..."
    times = [each.error_ms for each in results if each.error_ms is not None]
    if times and one.outcome is not Outcome.HANG:
        words.append(f"{max(times):.0f} ms")
    if lost := max(each.lost_bytes for each in results):
        words.append(f"-{lost} B")
    if added := max(each.added_bytes for each in results):
        words.append(f"+{added}")
    total: Counter[str] = Counter()
    for each in results:
        total |= Counter(each.left)
    words += [f"{count} {name}" for name, count in sorted(total.items())]
    return ", ".join(words)


def by_row(results: list[Result]) -> dict[str, list[Result]]:
    """Sort results by row."""
    found: dict[str, list[Result]] = {}
    for each in results:
        found.setdefault(each.row.name, []).append(each)
    return found


def rows_where(results: list[Result], true: Callable[[Result], object]) -> int:
    """Count rows of which any round is so."""
    return sum(1 for each in by_row(results).values() if any(map(true, each)))


def summary(found: dict[str, list[Result]]) -> Suite:
    """Return one line a question, one column a client."""
    suite = Suite("Rows, by client", ("rows that end", *(TITLES[name] for name in found)))

    def add(what: str, count: Callable[[list[Result]], object]) -> None:
        suite.rows.append((what, *(count(results) for results in found.values())))

    def of(outcomes: set[Outcome]) -> Callable[[list[Result]], int]:
        return lambda results: rows_where(results, lambda each: each.outcome in outcomes)

    def never(outcomes: set[Outcome], *, due: bool | None = None) -> Callable[[list[Result]], str]:
        def count(results: list[Result]) -> str:
            asked = [each for each in results if due is None or each.row.due is due]
            total = len(by_row(asked))
            return f"{total - of(outcomes)(asked)} of {total}"

        return count

    for what, due in (("an error is due", True), ("none is due", False)):
        add(f"right where {what}", never(set(Outcome) - {Outcome.RIGHT}, due=due))
    add("right or in an error of the client's own", never(set(Outcome) - OWN))
    for each in list(Outcome)[1:]:
        add(f"{each.value}", of({each}))
    add("with audio lost", lambda results: rows_where(results, lambda each: each.lost_bytes))
    add("audio lost, ms in the median row that lost any", median_lost_ms)
    add("with what is no audio, or was never sent", lambda results: rows_where(
        results, lambda each: each.added_bytes))  # fmt: skip
    for what in ("sockets", "tasks", "threads", "warnings", "complaints"):
        add(f"with {what} left", lambda results, what=what: rows_where(
            results, lambda each: what in each.left))  # fmt: skip
    bars(suite, found.get("ours", []))
    return suite


OWN = {Outcome.RIGHT, Outcome.TYPED}

BYTES_PER_MS = 48
"""24 kHz, 16 bits."""


def median_lost_ms(results: list[Result]) -> float | None:
    """Return the loss of the row in the middle of those that lost audio, in milliseconds."""
    lost = sorted(
        max(each.lost_bytes for each in rounds)
        for rounds in by_row(results).values()
        if any(each.lost_bytes for each in rounds)
    )
    return lost[len(lost) // 2] / BYTES_PER_MS if lost else None


def bars(suite: Suite, ours: list[Result]) -> None:
    """Hold fishlive to its figures."""
    if not ours:
        return
    budget_ms = 1000.0
    closes = [each.error_ms for each in ours if each.row.closes and each.error_ms is not None]
    silent = [
        each.error_ms - budget_ms for each in ours if each.row.silent and each.error_ms is not None
    ]
    wrong = sum(1 for each in ours if each.outcome is not Outcome.RIGHT)
    suite.at_most(f"fishlive: meetings of {len(ours)} that end wrongly", wrong, 0)
    lost = sum(each.lost_bytes + each.added_bytes for each in ours)
    suite.at_most("fishlive: audio lost or added, bytes", lost, 0)
    suite.at_most("fishlive: meetings that leave anything", sum(1 for e in ours if e.left), 0)
    suite.at_most(
        f"fishlive: close frame to error, the slowest of {len(closes)}, ms",
        max(closes, default=None), CLOSE_MS,
    )  # fmt: skip
    suite.at_most(
        f"fishlive: error behind its deadline, the latest of {len(silent)}, ms",
        max(silent, default=None), LATE_MS,
    )  # fmt: skip


def report(found: dict[str, list[Result]], missing: dict[str, str]) -> str:
    """Return the bars, the summary and a line for every row."""
    named = {name: by_row(results) for name, results in found.items()}
    lines = [
        (row.name, *(cell(named[name].get(row.name, [])) for name in found))
        for row in rows()
        if any(row.name in each for each in named.values())
    ]
    every = table(("row", *(TITLES[name] for name in found)), lines)
    failures = {TITLES[name]: error for name, error in missing.items()}
    return f"{suites_report({'faults': summary(found)}, failures)}\n\n### Every row\n\n{every}"
