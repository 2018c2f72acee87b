"""Kills a receiver again and again while tasks end, and counts what became of every one of them.

``python -m benchmarks.kills --tasks 10000 --kills 10 [--store sqlite|redis] [--submit inside]``

Three processes: a local server as the gateway, which really posts callbacks; a receiver, killed
with SIGKILL at random moments and started again; and this one, which submits through a receiver
without a handler that shares the store. With ``--submit inside`` the receiver's own process
submits, so that acknowledgements die with it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.kills_count import RETURNED, Count, counted, read
from benchmarks.kills_roles import Place, lines, send
from benchmarks.processes import ROOT, Bench
from benchmarks.results import Suite
from fishlive.gateways import AceData
from fishlive.stores import Phase
from fishlive.webhooks.receiver import CONCURRENCY
from tests.stores.servers import binary, redis_server

STORES = ("sqlite", "redis")

AHEAD = 1000
"""Tasks submitted and not handled, at most: what a gateway may reasonably have at work."""

SUBMITTERS = 16
"""Submissions at once."""

STILL_S = 150.0
"""How long nothing may happen before what is missing counts as lost, in seconds: longer than a
claim of a dead receiver (30), than an overdue task (30) and an adopted one (60) together."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--store", choices=STORES, default=STORES[0])
    parser.add_argument("--submit", choices=("outside", "inside"), default="outside")
    parser.add_argument("--callbacks", default="once", help="as `fishlive serve --callbacks`")
    parser.add_argument("--task-s", type=float, default=0.0, help="seconds a task takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--still", type=float, default=STILL_S, help="seconds until lost is lost")
    return parser.parse_args(given)


class Log:
    """How many tasks the receiver has handled; it reads each byte once."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._read_bytes = 0
        self._handled = 0

    def handled(self) -> int:
        """Return how many there are now; one that is handled again counts again."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                more = file.read()
            self._read_bytes += len(more)
            self._handled += more.count(RETURNED.encode())
        return self._handled


class Receiving:
    """The receiver's process, one after the other."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self._child = await _child("receiver", self._place.written())
        await _line(self._child)

    async def kill(self) -> None:
        """Kill it without a word."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()


async def _child(role: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "benchmarks.kills_roles", role, *arguments)
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, cwd=ROOT, limit=2**26
    )


async def _line(child: asyncio.subprocess.Process) -> dict[str, str]:
    assert child.stdout is not None
    found: dict[str, str] = json.loads(await child.stdout.readline() or "{}")
    if not found:
        raise RuntimeError("a process ended")
    return found


async def kill_often(receiving: Receiving, place: Place, chosen: argparse.Namespace) -> None:
    """Kill the receiver when so many are handled, and a random moment later; start it again."""
    dice = random.Random(chosen.seed)  # noqa: S311 - repeatable
    marks = sorted(dice.randrange(chosen.tasks * 95 // 100) for _ in range(chosen.kills))
    log = Log(place.log)
    for number, mark in enumerate(marks, 1):
        while log.handled() < mark:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.05)
        await asyncio.sleep(dice.uniform(0.0, 0.5))
        await receiving.kill()
        say(f"kill {number} of {chosen.kills}, at {log.handled()} handled")
        await receiving.start()


async def submit(place: Place, tasks: int) -> None:
    """Submit all tasks, not too far ahead of what is handled."""
    numbers, log = iter(range(tasks)), Log(place.log)
    async with (
        AceData("local", base_url=place.gateway) as client,
        place.receiver(client, None) as receiver,
    ):

        async def some() -> None:
            for number in numbers:
                while number - log.handled() > AHEAD:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.1)
                await send(receiver, client, number)

        await asyncio.gather(*(some() for _ in range(SUBMITTERS)))
    say(f"all {tasks} submitted")


async def settled(place: Place, tasks: int, still_s: float) -> None:
    """Wait until all are handled, or nothing happens any more."""
    before, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < still_s:
        found = (read(line) for line in lines(place.log))
        now = len({line.ticket for line in found if line.what == RETURNED})
        if now != before:
            before, since_s = now, time.monotonic()
            say(f"{now} handled")
        if now >= tasks:
            await asyncio.sleep(5.0)  # whatever would come twice comes now
            return
        await asyncio.sleep(1.0)


async def evidence(place: Place, gateway: asyncio.subprocess.Process) -> tuple[Count, set[str]]:
    """Return what became of the tasks that the gateway accepted, and which are not handled."""
    assert gateway.stdin is not None
    gateway.stdin.write(b"\n")
    accepted = await _line(gateway)
    async with AceData("local") as client, place.receiver(client, None) as receiver:
        listed = {record.note for record in await receiver.unacknowledged(limit=100_000)}
        marked = await receiver.store.count(client.name, Phase.DONE)
    written = [read(line) for line in lines(place.log)]
    count = counted(accepted, written, kept=kept(place.results), marked=marked, listed=listed)
    return count, set(accepted.values()) - {line.note for line in written}


def kept(folder: str) -> list[str]:
    """Return the tickets of the results there are; a draft that a kill left is none."""
    return [path.name for path in Path(folder).iterdir() if not path.suffix]


@contextlib.contextmanager
def store_at(kind: str, folder: str) -> Iterator[str]:
    """Yield where the state is kept. A Redis of this kind survives what its clients do."""
    if kind == "sqlite":
        yield f"{folder}/tasks.sqlite3"
        return
    with redis_server() as url:
        yield url


async def run(chosen: argparse.Namespace) -> Count:
    """Run everything once."""
    with (
        tempfile.TemporaryDirectory() as folder,
        store_at(chosen.store, folder) as store,
        socket.socket() as free,
    ):
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        gateway = await _child("gateway", chosen.callbacks, str(chosen.task_s))
        log, results = str(Path(folder, "handled")), tempfile.mkdtemp(dir=folder)
        place = Place((await _line(gateway))["url"], port, store, log, results)
        inside = replace(place, begun=str(Path(folder, "begun")), tasks=chosen.tasks)
        receiving = Receiving(inside if chosen.submit == "inside" else place)
        began_s = time.monotonic()
        try:
            await receiving.start()
            killing = asyncio.create_task(kill_often(receiving, place, chosen))
            if chosen.submit == "outside":
                await submit(place, chosen.tasks)
            await killing
            await settled(place, chosen.tasks, chosen.still)
            say(f"{time.monotonic() - began_s:.0f} s")
            count, missing = await evidence(place, gateway)
        finally:
            await receiving.kill()
            gateway.kill()
            await gateway.wait()
        if missing:
            say(f"not handled: {sorted(missing)[:20]}")
        return count


async def kills(bench: Bench) -> Suite:
    """The same as a suite: each store once, whatever the rounds."""
    suite = Suite("kills: what became of tasks whose receiver was killed", ("what", *STORES))
    size = ("--tasks", "300", "--kills", "2") if bench.quick else ()
    found: dict[str, Count] = {}
    for store in STORES if binary() else STORES[:1]:
        bench.say(f"kills {store}")
        chosen = arguments([*size, "--store", store])
        found[store] = await run(chosen)
        broken = len(found[store].faults(concurrency=CONCURRENCY))
        suite.at_most(f"{store}: promises broken by {chosen.kills} kills", broken, 0)
    rows = [found[store].rows() if store in found else () for store in STORES]
    for label in dict(rows[0]):
        suite.rows.append((label, *(dict(row).get(label) for row in rows)))
    return suite


def say(what: str) -> None:
    """Tell whoever watches how far it is."""
    print(what, file=sys.stderr, flush=True)


def main() -> int:
    chosen = arguments()
    began_s = time.monotonic()
    count = asyncio.run(run(chosen))
    print(count.table())
    print(f"{'wall seconds':<58}{time.monotonic() - began_s:>7.0f}")
    faults = count.faults(concurrency=CONCURRENCY)
    print("\n".join(f"BROKEN: {fault}" for fault in faults) or "every promise was kept")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
