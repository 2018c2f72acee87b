"""The suite ``callbacks``: how fast a receiver answers, beside a handler that only reads bodies."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from benchmarks.processes import Bench, Process, core
from benchmarks.results import Samples, Suite, middle, ratio

CALLBACKS = 4000
"""Callbacks a round: some seconds for the slowest."""

CONNECTIONS = 16
"""Senders at once. A gateway posts what ends in the same second; sixteen is a busy second."""

BARE, SQLITE, REDIS = "bare_aiohttp", "sqlite", "redis"

ANSWER_MS = 1000.0
"""Slowest answer that is fine: senders wait ten seconds."""


async def callbacks(bench: Bench) -> Suite:
    """Answers to callbacks that are all true and all new: each is kept before it is answered."""
    suite = Suite(
        "callbacks: answered a second and time to answer, 16 senders",
        ("receiver", "per_s", "by_bare", "p50_ms", "p99_ms", "p99_by_bare", "all_handled_s"),
    )
    found: dict[str, Samples] = {name: defaultdict(list) for name in ("per_s", "p50", "p99", "all")}
    with ExitStack() as places, tempfile.TemporaryDirectory() as folder:
        roles = {BARE: "bare", SQLITE: f"{folder}/tasks.sqlite3", **_redis(places, suite)}
        async with AsyncExitStack() as stack:
            load = await stack.enter_async_context(_process("load", "-", 0))
            gateway = f"http://127.0.0.1:{load.hello['port']}"
            hearing = {
                name: await stack.enter_async_context(_process(role, gateway, 1))
                for name, role in roles.items()
            }
            for name, process in bench.turns(hearing):
                if not bench.failed(name, process.hello):
                    await _round(bench, name, process, load, Path(folder, name), found)
    _rows(suite, found)
    return suite


async def _round(
    bench: Bench,
    name: str,
    hearing: Process,
    load: Process,
    file: Path,
    found: dict[str, Samples],
) -> None:
    count = CALLBACKS // 20 if bench.quick else CALLBACKS
    bench.say(f"callbacks {name}")
    if bench.failed(name, await hearing.ask("mint", count=count, file=str(file))):
        return
    answer = await load.ask(
        "post", port=hearing.hello["port"], file=str(file), connections=CONNECTIONS
    )
    if bench.failed(name, answer):
        return
    handled = await hearing.ask("handled", of=count)
    if answer["refused"] or handled.get("handled", 0) < count:
        bench.failed(name, {"error": f"{answer['refused']} refused, {handled} of {count}"})
        return
    found["per_s"][name].append(count / answer["wall_s"])
    found["p50"][name].append(answer["p50_ms"])
    found["p99"][name].append(answer["p99_ms"])
    found["all"][name].append(answer["wall_s"] + handled["waited_s"])


def _rows(suite: Suite, found: dict[str, Samples]) -> None:
    per_s, p99 = found["per_s"], found["p99"]
    for name, values in per_s.items():
        suite.rows.append(
            (
                *(name, middle(values), ratio(per_s, name, BARE), middle(found["p50"][name])),
                *(middle(p99[name]), ratio(p99, name, BARE), middle(found["all"][name])),
            )
        )
    for name in (SQLITE, REDIS):
        claim = f"{name}: p99 of an answer to a callback, ms"
        suite.at_most(claim, middle(p99.get(name, [])), ANSWER_MS)


def _process(role: str, gateway: str, which: int) -> Process:
    return Process("benchmarks.callbacks_roles", role, gateway, *core(which))


def _redis(places: ExitStack, suite: Suite) -> dict[str, Any]:
    """Return where a Redis is that writes down what it is told; nothing if there is none here."""
    try:
        from tests.stores.servers import binary, redis_server
    except ImportError:
        binary = lambda: None  # noqa: E731 - pytest is not here
    if binary() is None:
        suite.notes.append("no redis-server here")
        return {}
    return {REDIS: places.enter_context(redis_server("--appendonly", "yes"))}
