"""Prints results: bars first, then the tables."""

from __future__ import annotations

from typing import Any

from benchmarks.results import Check, Suite

VERDICTS = {True: "pass", False: "FAIL", None: "not measured"}


def show(value: Any) -> str:
    """Return a cell: three digits are what such numbers are worth."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Return a Markdown table."""
    cells = [[show(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    lines = [list(header), ["-" * width for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _bar(check: Check) -> tuple[Any, ...]:
    return (check.claim, check.measured, check.bar, VERDICTS[check.passed])


def report(suites: dict[str, Suite], failures: dict[str, str]) -> str:
    """Return everything: ratios and bars, then each suite's table, then who failed, and why."""
    bars = [_bar(check) for suite in suites.values() for check in suite.checks]
    parts = [table(("claim", "measured", "bar", "verdict"), bars)] if bars else []
    for suite in suites.values():
        parts.append(f"### {suite.title}\n\n{table(suite.columns, suite.rows)}")
        parts += [f"Note: {note}." for note in suite.notes]
    parts += [f"{name} failed: {error.strip()}" for name, error in failures.items()]
    return "\n\n".join(parts)
