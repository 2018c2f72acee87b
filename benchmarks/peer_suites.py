"""The suites of ``peers.py``: turns, cost, capacity. Each returns a table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from benchmarks.peer_plans import AHEAD_S, CANNED, EVENT_S, PAUSE_S, PREBUFFER_S, THINKING_S
from benchmarks.peer_ramp import DISTURBED, Ramp, Step
from benchmarks.processes import Bench, Process, core
from benchmarks.results import Suite, middle


class Cell(NamedTuple):
    """One kind of conversation."""

    place: str
    thinking_s: float = 0.0
    pause_s: float = PAUSE_S

    def __str__(self) -> str:
        service, _, milliseconds = self.place.partition("-")
        thinks = f", the model takes {1000 * self.thinking_s:.0f} ms" if self.thinking_s else ""
        return f"{milliseconds} ms, {service}{thinks}" + ("" if self.pause_s else ", no pause")


CELLS = (
    *(Cell(f"closes-{milliseconds}") for milliseconds in (0, 20, 80)),
    Cell("stays-80"),
    Cell("closes-80", thinking_s=THINKING_S),
    Cell("closes-80", pause_s=0.0),
)
"""A service that closes its socket behind ``finish``, as documented; one that stays, as was seen;
a turn that begins with the question and not with the first token; and one that follows at once."""

HEARD, INTERRUPTED = 2, 2
"""Replies of a conversation that are heard out, and that are interrupted."""

CHEAP_SESSIONS, CHEAP_S = 40, 8.0
"""Sessions at a time, and seconds that each speaks, where cost is measured."""

RAMP_S = 5.0
"""Seconds that each session of a step of the ramp speaks."""

RAMP_TRIES = 2
"""How often a step is tried before it has failed."""

DISTURBED_TRIES = 2
"""How often it is tried while other processes have the client's core: see DISTURBED."""

MOST_STEPS = 20
"""Steps after which a ramp ends, whatever it knows."""


class Peers:
    """The services, and the peers that could be started."""

    def __init__(self, services: Process, names: tuple[str, ...], *, quick: bool, rounds: int):
        self.services = services
        self.names = names
        self.quick = quick
        self.rounds = rounds
        self.ports: dict[str, int] = services.hello["ports"]
        self.failures: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.ways: dict[str, str] = {}
        self.titles: dict[str, str] = {}
        self.starved: list[float] = []

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[Process | None]:
        """Start a peer's process; None if it is not installed, and the report says so."""
        async with Process("benchmarks.peer_clients", name, *core(1)) as process:
            hello = process.hello
            if self.failed(name, hello):
                yield None
                return
            self.titles[name], self.versions[name] = hello["title"], hello["version"]
            self.ways[name] = hello["way"]
            yield process

    @asynccontextmanager
    async def together(self) -> AsyncIterator[dict[str, Process]]:
        """Start every peer that can be started, and have each hold one conversation unmeasured."""
        async with AsyncExitStack() as stack:
            clients = {}
            for name in self.names:
                process = await stack.enter_async_context(self.client(name))
                if process is not None:
                    clients[name] = process
            for process in clients.values():
                lanes = [{"port": self.ports["closes-0"], "thinking_s": 0.0, "pause_s": 0.0}]
                await process.ask("conversations", lanes=lanes, heard=1, interrupted=1)
            yield clients

    def turns(self, clients: dict[str, Process], rounds: int) -> Iterator[tuple[str, Process]]:
        """Yield every client once a round; who comes first changes with the round."""
        order = list(clients.items())
        for turn in range(rounds):
            first = turn % max(1, len(order))
            yield from order[first:] + order[:first]

    def failed(self, name: str, answer: dict[str, Any]) -> bool:
        """Say whether this was a failure; keep the first of each client for the report."""
        if error := answer.get("error"):
            self.failures.setdefault(name, error)
        if "starved" in answer:
            self.starved.append(answer["starved"])
        return bool(error)

    async def load(
        self, process: Process, count: int, seconds: float, *, memory: bool = False
    ) -> dict[str, Any]:
        """Have so many sessions speak; what that cost, and how late the server was meanwhile."""
        await self.services.ask("note")
        answer = await process.ask(
            "load", port=self.ports[CANNED], count=count, seconds=seconds, memory=memory
        )
        return {**answer, "server": await self.services.ask("note")}


def quantile(values: list[float], share: float) -> float:
    """Return a quantile, by nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def milliseconds(values: list[float]) -> str:
    """Return the median and the 95th percentile, as a cell."""
    if not values:
        return "-"
    return f"{1000 * quantile(values, 0.5):.0f} / {1000 * quantile(values, 0.95):.0f}"


async def turns(peers: Peers) -> Suite:
    """First audio of the first turn, of the next ones, and after an interruption."""
    cells = CELLS[:1] if peers.quick else CELLS
    found: dict[tuple[Cell, str, str], list[float]] = defaultdict(list)
    lost: dict[tuple[Cell, str], int] = defaultdict(int)
    lanes = [
        {"port": peers.ports[c.place], "thinking_s": c.thinking_s, "pause_s": c.pause_s}
        for c in cells
    ]
    details = {"heard": HEARD, "interrupted": INTERRUPTED}
    async with peers.together() as clients:
        for name, process in peers.turns(clients, peers.rounds):
            Bench.say(f"conversations {name}")
            answer = await process.ask("conversations", lanes=lanes, **details)
            if peers.failed(name, answer):
                continue
            for cell, lane in zip(cells, answer["lanes"], strict=True):
                if "error" in lane:
                    lost[cell, name] += 1
                    peers.failures.setdefault(f"{name} ({cell})", lane["error"])
                    continue
                for kind, seconds in lane.items():
                    found[cell, name, kind] += seconds
    return _turns(peers, cells, list(clients), found, lost)


def _turns(
    peers: Peers,
    cells: tuple[Cell, ...],
    names: list[str],
    found: dict[tuple[Cell, str, str], list[float]],
    lost: dict[tuple[Cell, str], int],
) -> Suite:
    suite = Suite(
        "turns: first token to first audio, ms, p50 / p95",
        ("round trip, service", "client", "first turn", "next turn", "after interruption", "lost"),
    )
    for cell in cells:
        for name in names:
            shown = [milliseconds(found[cell, name, k]) for k in ("first", "next", "after")]
            suite.rows.append((str(cell), peers.titles[name], *shown, lost[cell, name]))
    sizes = [len(found[cells[0], names[0], k]) for k in ("first", "next", "after")] if names else []
    suite.notes.append(f"samples a cell: {', '.join(map(str, sizes))}")
    return suite


async def cost(peers: Peers) -> Suite:
    """What a session costs while it speaks: CPU and memory, each peer in a fresh process."""
    suite = Suite(
        "cost: CPU a second of audio, and own memory (USS) of one session that speaks",
        ("client", "cpu ms/s", "cpu min", "KiB a session", "MiB a process"),
    )
    count, seconds = (4, 2.0) if peers.quick else (CHEAP_SESSIONS, CHEAP_S)
    cpu: dict[str, list[float]] = defaultdict(list)
    own: dict[str, list[float]] = defaultdict(list)
    whole: dict[str, list[float]] = defaultdict(list)
    for name in list(peers.names) * (1 if peers.quick else 3):
        async with peers.client(name) as process:
            if process is None:
                continue
            Bench.say(f"cost {name}")
            warm = await peers.load(process, 2, 1.0)
            weight = await process.ask("weight")
            answer = await peers.load(process, count, seconds, memory=True)
            if any(peers.failed(name, each) for each in (warm, weight, answer)):
                continue
            cpu[name].append(1000 * answer["cpu_s"] / answer["audio_s"])
            own[name].append(answer["bytes"] / 1024)
            whole[name].append(weight["bytes"] / 2**20)
    for name, values in cpu.items():
        row = (middle(values), min(values), middle(own[name]), middle(whole[name]))
        suite.rows.append((peers.titles[name], *row))
    suite.notes.append(f"{count} sessions at a time, {seconds:.0f} s each")
    return suite


async def capacity(peers: Peers) -> Suite:
    """How many sessions one core carries in real time until a player would run dry."""
    suite = Suite(
        "capacity: sessions on one core, in real time, no underrun",
        ("client", "sessions", "next step", "dry there", "client_busy", "server_busy", "limit"),
    )
    peers.starved.clear()
    async with peers.together() as clients:
        for name, process in clients.items():
            ramp = await _ramp(peers, name, process)
            if ramp.passed or ramp.failed:
                suite.rows.append((peers.titles[name], *_row(ramp)))
    worst = max(peers.starved, default=0.0)
    suite.notes.append(
        f"a player that holds {1000 * PREBUFFER_S:.0f} ms, "
        f"a service {1000 * AHEAD_S:.0f} ms ahead, events of {1000 * EVENT_S:.0f} ms, "
        f"{RAMP_S:.0f} s a session; "
        f"other processes had the client's core for {worst:.1%} of a step at worst"
    )
    return suite


async def _ramp(peers: Peers, name: str, process: Process) -> Ramp:
    """Take step after step until the answer is known."""
    ramp = Ramp()
    for _ in range(1 if peers.quick else MOST_STEPS):
        count = ramp.next()
        step = None if count is None else await _step(peers, name, process, count)
        if step is None:
            break
        ramp.note(step)
    return ramp


async def _step(peers: Peers, name: str, process: Process, count: int) -> Step | None:
    """Try so many sessions, again if somebody ran dry; None if the client failed."""
    best, tries, disturbed = None, 0, 0
    while tries < RAMP_TRIES and disturbed < DISTURBED_TRIES:
        Bench.say(f"capacity {name}: {count}")
        answer = await peers.load(process, count, 2.0 if peers.quick else RAMP_S)
        if peers.failed(name, answer):
            return None
        server = answer["server"]
        busy = (spent / answer["wall_s"] for spent in (answer["cpu_s"], server["cpu_s"]))
        step = Step(count, answer["dry"], *busy, server["late_s"], answer["starved"])
        best = step if best is None or step.dry < best.dry else best
        if not best.dry:
            break
        disturbed += 1
        tries += answer["starved"] <= DISTURBED
    return best


def _row(ramp: Ramp) -> tuple[Any, ...]:
    passed, failed = ramp.passed, ramp.failed
    shown = failed or passed
    assert shown is not None
    return (
        passed.count if passed else 0,
        failed.count if failed else None,
        failed.dry if failed else None,
        shown.client_busy,
        shown.server_busy,
        ramp.limit,
    )


SUITES: dict[str, Callable[[Peers], Coroutine[Any, Any, Suite]]] = {
    "turns": turns,
    "cost": cost,
    "capacity": capacity,
}
