"""What every test owes: no task, no socket, no thread and no loop complaint left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from fishlive.flow import retry

settings.register_profile(
    "fishlive",
    deadline=None,  # no test asserts a duration
    derandomize=True,  # nor needs luck: the same examples in every run
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("fishlive")

QUIET_TICKS = 50
"""Loop turns a finished test may need until cancelled tasks and closed transports are gone."""


def pytest_configure(config: pytest.Config) -> None:
    """Expect what Python 3.10 says of TLS that is cut before picows or aiohttp hands it over."""
    if sys.version_info < (3, 11):
        spared = "ignore:unclosed transport <asyncio.sslproto:ResourceWarning"
        config.addinivalue_line("filterwarnings", spared)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every collection: each test ends with one."""
    gc.collect()
    gc.freeze()


async def settle(ticks: int = 20) -> None:
    """Let everything that is ready run, without waiting for any time to pass."""
    for _ in range(ticks):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def nothing_left_behind() -> AsyncIterator[None]:
    """Fail a test that leaves a task or a session, or that made the loop complain."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    before = asyncio.all_tasks()
    yield
    gc.collect()
    for _ in range(QUIET_TICKS):
        if not (left := asyncio.all_tasks() - before - {asyncio.current_task()}):
            break
        await asyncio.sleep(0)
    for _ in range(QUIET_TICKS):
        if not (accounts := [origin for origin, _ in retry._SHARED]):
            break
        await asyncio.sleep(0.001)  # a thread that read for it is at its last line
        gc.collect()
    retry._SHARED.clear()  # the next test has retries of its own
    gc.freeze()  # the next one looks at what is new: 2 ms of 120
    assert not left, f"tasks left behind: {left}"
    assert not accounts, f"sessions left behind: {accounts}"
    assert not complaints, f"the event loop complained: {complaints}"


def open_sockets() -> set[int]:
    """Return the file descriptors of this process that are sockets (Linux; else empty)."""
    folder = Path("/proc/self/fd")
    entries = list(folder.iterdir()) if folder.is_dir() else []
    with contextlib.suppress(OSError):  # the folder's own descriptor is gone by now
        return {int(e.name) for e in entries if e.is_symlink() and _is_socket(e)}
    return set()


def _is_socket(entry: Path) -> bool:
    with contextlib.suppress(OSError):
        return str(entry.readlink()).startswith("socket:")
    return False


def threads() -> set[threading.Thread]:
    """Return the live threads of this process."""
    return set(threading.enumerate())


@pytest.fixture
def unused_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
