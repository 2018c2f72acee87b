"""How busy this machine is: its processors, and one other process. From /proc, where there is one.

Nothing here raises: where the system does not tell, the answer is None.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
"""Where Linux tells."""

SHORTEST_S: Final = 0.5
"""Least time of which a share is told, in seconds: the system counts in steps of 10 ms, and of
this they are 2 %."""

_IDLE: Final = (3, 4)
"""Columns of /proc/stat in which a processor waits: idle, and for a disk (proc(5))."""

_COLUMNS: Final = 8
"""Columns that count: user to steal. What guests take is in user already."""


def cores() -> int:
    """Return how many logical cores this process may use."""
    return len(_ours()) or os.cpu_count() or 1


def processors_s(proc: Path = PROC) -> tuple[float, float] | None:
    """Return how long our processors have worked, and existed, together, in seconds."""
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
        text = (proc / "stat").read_text(encoding="ascii", errors="replace")
        lines = {line.split(" ", 1)[0]: line.split() for line in text.splitlines()}
        ticks = [[int(n) for n in lines[f"cpu{number}"][1 : 1 + _COLUMNS]] for number in _ours()]
        total = sum(map(sum, ticks))
        idle = sum(row[column] for row in ticks for column in _IDLE)
        if ticks:
            return (total - idle) / _ticks_hz(), total / _ticks_hz()
    return None


def process_s(pid: int, proc: Path = PROC) -> float | None:
    """Return how long a process has worked, all threads, in seconds."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        # Its name, in parentheses, may hold anything; behind it come 11 fields, then ours.
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _ticks_hz()
    return None


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in a while.

    Attributes:
        busy: Share of this machine's cores, by everybody; None if that cannot be told.
        server_s: CPU time of the server that runs here, in seconds; None without one.
    """

    busy: float | None = None
    server_s: float | None = None


class Gauge:
    """Measures from when it is made.

    Args:
        server: Process id of the server that runs here; None without one.
    """

    def __init__(self, server: int | None = None) -> None:
        self._server = server
        self._began_s = time.monotonic()
        self._processors_s = processors_s()
        self._server_s = None if server is None else process_s(server)

    def usage(self) -> Usage:
        """Return what was used until now."""
        server_s = None if self._server is None else process_s(self._server)
        if server_s is not None and self._server_s is not None:
            server_s -= self._server_s
        before, now = self._processors_s, processors_s()
        if before is None or now is None or time.monotonic() - self._began_s < SHORTEST_S:
            return Usage(None, server_s)
        passed_s = now[1] - before[1]
        return Usage(min(1.0, (now[0] - before[0]) / passed_s) if passed_s else None, server_s)


def _ours() -> set[int]:
    """Return the numbers of the processors this process may use; none if nobody tells."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return set() if affinity is None else affinity(0)


def _ticks_hz() -> int:
    return int(os.sysconf("SC_CLK_TCK"))
