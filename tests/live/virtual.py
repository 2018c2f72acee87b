"""Tests in virtual time: nobody waits, and a timer that is left behind is seen."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from fishlive.testing.clock import VirtualLoop, run
from tests.conftest import settle


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time; it has to leave no task, no timer and no complaint."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)
            await settle()
            left = [str(timer) for timer in clock().timers]
            assert not [timer for timer in left if "Pipe." not in timer]  # those are the network's

        run(main)

    return wrapper


def clock() -> VirtualLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
