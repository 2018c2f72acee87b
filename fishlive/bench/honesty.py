"""Whether the numbers can be trusted: the tool's own share, and a machine that is the limit."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Final

from fishlive.bench.histogram import Histogram, supported
from fishlive.bench.lanes import Service
from fishlive.bench.machine import SHORTEST_S, Gauge, Usage, cores
from fishlive.bench.null import NullServer
from fishlive.bench.probe import Order
from fishlive.bench.records import Client, Combination, Environment, Overhead, Record
from fishlive.bench.speakers import Terms, speaker
from fishlive.bench.streams import WHOLE, pace, timed
from fishlive.bench.workload import Prompt
from fishlive.secret import Secret

LAG_PERIOD_S: Final = 0.01
"""How often the event loop is asked how late it is, in seconds: often enough to see a stall of
10 ms, rarely enough to cost 0.2 % of a core."""

LAG_LIMIT_S: Final = 0.01
"""A loop that is later than this one time in a hundred spoils latencies visibly, in seconds."""

LAG_SAMPLES: Final = 100
"""Looks, a second's worth, before anything is said about this machine: the first cost imports."""

CPU_LIMIT: Final = 0.85
"""Share of one core above which this process (or the local server) is the limit: its event loop is
one thread, and the queue in front of a server that is 85 % busy is six times its service time. And
share of all cores above which this machine is full, for the same reason."""

OVERHEAD_RUNS: Final = 50
"""Utterances against the null server: a quarter of a second of work."""

OVERHEAD_WARMUP: Final = 5
"""Utterances before those: first calls import, compile and allocate."""

PACKAGES: Final = (
    "fishlive", "picows", "aiohttp", "msgpack", "pydantic", "anyio", "hdrhistogram",
)  # fmt: skip
"""Whose versions a result names."""


class Watch:
    """Looks at this process and its event loop while something runs. A context manager.

    Costs a wake-up every LAG_PERIOD_S.

    Args:
        server: Process id of the server, if that runs on this machine and is ours.
    """

    def __init__(self, server: int | None = None) -> None:
        self._server = server
        self._gauge: Gauge | None = None
        self._lags_s: list[float] = []
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began_s = self._cpu_s = 0.0
        self._seen: Client | None = None

    async def __aenter__(self) -> Watch:
        self._loop = asyncio.get_running_loop()
        self._began_s, self._cpu_s = self._loop.time(), time.process_time()
        self._gauge = Gauge(self._server)
        self._task = asyncio.create_task(self._look(), name="fishlive bench watch")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._seen = self.client()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def client(self) -> Client:
        """Return what was seen so far, or in all, and whether this machine was the limit."""
        if self._seen is not None or self._loop is None:
            return self._seen or Client(0.0, 0.0, 0.0, 0.0, 0.0, 0)
        wall_s, cpu_s = self._loop.time() - self._began_s, time.process_time() - self._cpu_s
        lags_s = sorted(self._lags_s) or [0.0]
        p50_s, p99_s = (lags_s[round(q * (len(lags_s) - 1))] for q in (0.5, 0.99))
        used = Usage() if self._gauge is None else self._gauge.usage()
        seen = Client(
            wall_s,
            cpu_s,
            p50_s,
            p99_s,
            lags_s[-1],
            len(self._lags_s),
            machine_busy=used.busy,
            server_cpu_s=used.server_s,
        )
        return replace(seen, limited=limits(seen))

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self._lags_s.append(max(0.0, loop.time() - due_s))


def limits(client: Client) -> tuple[str, ...]:
    """Return why the client's machine was the limit, in sentences; nothing if it was not.

    No sentence says by how much latencies are too long: what waits for a full machine waits in
    more places than this process, so that nothing seen here is a bound.
    """
    why: list[str] = []
    local = client.server_cpu_s is not None
    instead = "not of a service" if local else "not of the service"
    if client.machine_busy is not None and client.machine_busy > CPU_LIMIT:
        whose = "by this tool, the local server and others" if local else "by this tool and others"
        why.append(
            f"this machine was full: {client.machine_busy:.0%} of its cores' time was used, "
            f"{whose}; latencies are those of a full machine, {instead}"
        )
    if client.server_cpu_s is not None and client.wall_s >= SHORTEST_S:
        share = client.server_cpu_s / client.wall_s
        if share > CPU_LIMIT:
            why.append(
                f"the local server was the limit: it used {share:.0%} of a core, and one thread "
                "of it does most; latencies are those of its queue, not of a service"
            )
    if client.lag_samples >= LAG_SAMPLES:
        why += _own_limits(client)
    return tuple(why)


def _own_limits(client: Client) -> Iterator[str]:
    """Yield why this process was the limit."""
    if client.lag_p99_s > LAG_LIMIT_S:
        yield (
            f"this machine was the limit: its event loop woke up to {client.lag_p99_s * 1000:.0f} "
            "ms late (p99); latencies are too long, at times by more than that"
        )
    busy = client.cpu_s / client.wall_s if client.wall_s else 0.0
    if busy > CPU_LIMIT:
        yield (
            f"this machine was the limit: this process used {busy:.0%} of a core; "
            "use fewer at once, or more machines"
        )


async def overhead(runs: int = OVERHEAD_RUNS) -> Overhead:
    """Measure the tool: utterances against a server that answers at once.

    Cancelling closes both. Takes some 5 ms an utterance.
    """
    records: list[Record] = []
    async with NullServer() as server:
        service = Service(base_url=server.url, key=Secret("null"))
        combination = Combination(
            "picows", "cold", "s2-pro", "balanced", "pcm", None, 100, "sentence", WHOLE, 1
        )
        prompt = Prompt("null", "Hello, world.", "en")
        async with speaker(service, combination, Terms((), timeout_s=10.0)) as voice:
            for index in range(-OVERHEAD_WARMUP, runs):
                whole = pace(WHOLE)
                tokens = timed(prompt, whole, seed=0)
                order = Order(0, max(0, index), index < 0, prompt, whole, tokens, zero_s=0.0)
                await voice.speak(order, _at_once, records.append)
    counted = [record for record in records if record.counts]
    connect = Histogram(r.connect_s for r in counted if r.connect_s is not None)
    first = Histogram(r.first_audio_s for r in counted if r.first_audio_s is not None)
    (connect_p50, connect_p99), (first_p50, first_p99) = (
        found.percentiles((50, 99)) for found in (connect, first)
    )
    enough = supported(99, len(counted))
    return Overhead(len(counted), connect_p50, connect_p99, first_p50, first_p99, enough)


async def _at_once() -> None:
    """Let an utterance begin."""


def environment(command: Sequence[str], program: str = "fishlive") -> Environment:
    """Return where and when this is. No name of the machine or of its user is in it.

    Args:
        command: The command line without the program.
        program: The program.
    """
    return Environment(
        began=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=tuple(command),
        versions=versions(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cpu=cpu_model(),
        cores=cores(),
        event_loop=_loop_name(),
        program=program,
    )


def versions() -> Mapping[str, str]:
    """Return the versions of Python and of every package that takes part and is installed."""
    found = {platform.python_implementation(): platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def cpu_model() -> str:
    """Return the processor's name; empty if it cannot be told."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"}:
                return value.strip()
    return platform.processor() if sys.platform != "linux" else ""


def _loop_name() -> str:
    with contextlib.suppress(RuntimeError):
        kind = type(asyncio.get_running_loop())
        return f"{kind.__module__}.{kind.__qualname__}"
    return ""
