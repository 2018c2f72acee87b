"""What a storm must not leave behind: descriptors, threads, tasks, accounts, warnings."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fishlive.flow import retry

ABANDONED = "audio that was paid for"
"""The one warning that is allowed."""

POOLS = ("asyncio_", "fishlive-encode_")
"""Names of workers in pools of a bounded size, which end with the loop and the server. One more is
started when the others have not yet said that they are idle: an accident of timing, no leak."""


@dataclass(frozen=True)
class Toll:
    """What this process holds at a moment.

    Attributes:
        descriptors: Open file descriptors (Linux; else 0).
        threads: Threads that live, without the workers of POOLS.
        accounts: Accounts that some session still shares.
        objects: Objects that the garbage collector knows of, after a collection.
        rss_kib: Memory of the process now (Linux; else at its worst).
    """

    descriptors: int
    threads: int
    accounts: int
    objects: int
    rss_kib: int

    @classmethod
    def now(cls) -> Toll:
        """Return it, behind a collection of garbage."""
        gc.collect()
        folder = Path("/proc/self/fd")
        descriptors = len(list(folder.iterdir())) if folder.is_dir() else 0
        return cls(
            descriptors,
            sum(not thread.name.startswith(POOLS) for thread in threading.enumerate()),
            len(retry._SHARED),
            len(gc.get_objects()),
            _rss_kib(),
        )


def _rss_kib() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    worst = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return worst // 1024 if sys.platform == "darwin" else worst


@contextlib.contextmanager
def complaints() -> Iterator[list[str]]:
    """Collect what is warned of, and what is raised where nobody can catch it."""
    found: list[str] = []
    hook, thread_hook = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = lambda args: found.append(f"unraisable: {args.exc_value!r}")
    threading.excepthook = lambda args: found.append(f"in a thread: {args.exc_value!r}")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield found
            gc.collect()
        found += [f"{item.category.__name__}: {item.message}" for item in caught]
    finally:
        sys.unraisablehook, threading.excepthook = hook, thread_hook


async def quiet(most: int = 50) -> set[asyncio.Task[object]]:
    """Let what was cancelled end; return the tasks that are left besides the caller."""
    for _ in range(most):
        await asyncio.sleep(0)
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
