"""How busy this machine is: its processors, and one other process.

Nothing here raises: where the system does not tell, the answer is None.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SHORTEST_S: Final = 0.5
"""Least time of which a share is told, in seconds: the system counts in steps of 10 ms, and of
this they are 2 %."""


def cores() -> int:
    """Return how many logical cores this process may use."""
    return len(_ours()) or os.cpu_count() or 1


def processors_s() -> tuple[float, float] | None:
    """Return how long our processors have worked, and existed, together, in seconds."""
    with contextlib.suppress(ImportError, OSError, IndexError):
        import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

        every = psutil.cpu_times(percpu=True)
        times = [every[number] for number in _ours() or range(len(every))]
        # What guests take is in user already; a processor that waits for a disk is idle.
        guests = sum(getattr(t, n, 0.0) for t in times for n in ("guest", "guest_nice"))
        idle_s = sum(t.idle + getattr(t, "iowait", 0.0) for t in times)
        total_s = sum(map(sum, times)) - guests
        return total_s - idle_s, total_s
    return None


def process_s(pid: int) -> float | None:
    """Return how long a process has worked, all threads, in seconds."""
    with contextlib.suppress(ImportError, OSError):
        import psutil

        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            return float(times.user + times.system)
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
