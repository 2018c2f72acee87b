"""One core for the server, another for the client, where the system lets us choose."""

from __future__ import annotations

import os
import sys


def cores() -> tuple[int, int] | None:
    """Return the server's and the client's core, or None if there is no choice."""
    if sys.platform != "linux":
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


def pin(arguments: list[str]) -> None:
    """Keep this process on the core that the first argument names; without one, do nothing."""
    if arguments and sys.platform == "linux":
        os.sched_setaffinity(0, {int(arguments[0])})
