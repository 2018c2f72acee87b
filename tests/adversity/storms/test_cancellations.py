"""A program may be cancelled at any moment: it ends at once, as cancelled, and nothing is left.

``CANCELLATIONS`` says how many (2,000 unless told, on the in-memory network; a tenth of that over
real sockets), ``FIRST_SEED`` where they begin. One seed decides the program, the service, what goes
wrong and the turn of the loop, so that a failure is found again by its number.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
from typing import Final

import pytest

import fishlive.live.source
from fishlive import Session
from fishlive.errors import FishLiveError
from fishlive.server import LocalServer
from fishlive.testing.clock import VirtualLoop, close, seeded
from fishlive.testing.draw import schedule_of
from fishlive.testing.lockstep import Threads
from fishlive.testing.model import Service
from fishlive.testing.simulate import no_garbage
from tests.adversity.matrix import WAYS, Way, gone, served, session
from tests.adversity.storms.counting import Toll, complaints, quiet
from tests.adversity.storms.stepping import Stepping
from tests.adversity.storms.victims import PROGRAMS, Program

CANCELLATIONS: Final = int(os.environ.get("CANCELLATIONS", "2000"))
FIRST_SEED: Final = int(os.environ.get("FIRST_SEED", "0"))
CHUNK: Final = 1_000
"""Cancellations in one test."""

LIMIT_S: Final = 300.0
"""Longest that a program and what goes wrong with it may take, in virtual seconds."""

LAST_TURN: Final = 400
"""Latest turn of the loop to cancel at: some programs take fewer, with faults they take more."""

REAL_SHARE: Final = 10
"""One of so many goes over real sockets."""

MOST_STEPS: Final = 60
"""Latest suspension of a program's own task to cancel at; most have fewer."""

AT_ONCE_S: Final = 1.0
"""Longest that a cancelled program goes on, in virtual seconds: a clean close waits that long."""


class StormLoop(VirtualLoop):
    """A virtual loop that cancels its victim at the turns it is told."""

    def __init__(self, seed: int, moments: tuple[int, ...]) -> None:
        super().__init__(seed=seed, limit_s=LIMIT_S)
        self.victim: asyncio.Task[None] | None = None
        self.hit_s: float | None = None
        self.refused = False  # whether it was over already
        self._moments = moments

    def _run_once(self) -> None:
        if self.turns in self._moments and self.victim is not None:
            if self.hit_s is None:
                self.refused = not self.victim.cancel()
                self.hit_s = self.time()
            else:
                self.victim.cancel()
        super()._run_once()


def moments_of(chance: random.Random) -> tuple[int, ...]:
    """Return the turns to cancel at: early ones more often, and one in five twice."""
    first = chance.randrange(chance.choice((20, 60, 150, LAST_TURN)))
    return (first, first + chance.randrange(1, 12)) if chance.random() < 0.2 else (first,)


def cancelled_once(seed: int) -> list[str]:
    """Run the program of a seed and cancel it; return what is wrong afterwards."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    program = chance.choice(PROGRAMS)
    loop = StormLoop(seed, moments_of(chance))
    threads = Threads(loop, lambda: 0.002 * chance.random())
    problems: list[str] = []
    try:
        with seeded(seed), threads.installed(fishlive.live.source):
            main = loop.create_task(_suffer(program, seed, loop, problems), name="storm")
            loop.run_until_complete(main)
        problems += [f"left behind: {task!r}" for task in loop.wind_down()]
        problems += [f"the loop complained: {said}" for said in loop.complaints]
    finally:
        close(loop)
    return [f"seed {seed}, {program.__name__} at {loop._moments}: {p}" for p in problems]


async def _suffer(program: Program, seed: int, loop: StormLoop, problems: list[str]) -> None:
    schedule = schedule_of(seed)
    faults = schedule.faults if seed % 3 == 0 else ()
    service = Service(schedule.manner, faults=faults, weather=schedule.weather, seed=seed)
    ended: list[BaseException | None] = []
    loop.victim = loop.create_task(_run(program, service, seed, ended), name="victim")
    await asyncio.wait([loop.victim])
    problems += _judged(loop, loop.victim)
    await service.aclose()
    for _ in range(10):
        await asyncio.sleep(0)
    problems += [
        f"a socket is open: {tap.number}"
        for tap in service.network.taps
        if tap.socket is not None and not tap.closed
    ]


async def _run(
    program: Program, service: Service, seed: int, ended: list[BaseException | None]
) -> None:
    async with Session(
        f"storm-{seed}", base_url="http://127.0.0.1:9", transport=service.connect,
        concurrency=1 if seed % 5 == 0 else None,
    ) as fish:  # fmt: skip
        try:
            await program(fish, seed % 2 == 0)
        finally:
            assert fish.governor.running == 0, "a slot is held"
            assert fish.governor.waiting == 0, "somebody waits for a slot"


def _judged(loop: StormLoop, victim: asyncio.Task[None]) -> list[str]:
    """Return what is wrong with how the victim ended."""
    problems = []
    if victim.cancelled():
        took_s = loop.time() - (loop.hit_s or 0.0)
        if took_s > AT_ONCE_S:
            problems.append(f"it went on for {took_s:.3f} s")
    elif (error := victim.exception()) is not None:
        if not isinstance(error, FishLiveError):
            problems.append(f"it ended with {error!r}")
        elif loop.hit_s is not None and not loop.refused:
            problems.append(f"cancelling it became {error!r}")
    elif loop.hit_s is not None and not loop.refused:
        problems.append("it swallowed its cancellation")
    return problems


def seeds() -> list[range]:
    """Return all seeds, a test's worth at a time."""
    last = FIRST_SEED + CANCELLATIONS
    return [range(at, min(at + CHUNK, last)) for at in range(FIRST_SEED, last, CHUNK)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", seeds(), ids=lambda chunk: str(chunk.start))
def test_nothing_is_left_of_a_cancelled_program(chunk: range) -> None:
    """In memory: at whichever turn of the loop, once or twice, whatever else goes wrong."""
    before = Toll.now()
    found: list[str] = []
    with complaints() as said, no_garbage():
        for number, seed in enumerate(chunk):
            found += cancelled_once(seed)
            if number % 100 == 0:
                gc.collect()
    after = Toll.now()
    assert not found, "\n".join(found[:10])
    assert not said, said[:10]
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    assert after.accounts == 0


async def cancelled_over_sockets(server: LocalServer, seed: int) -> list[str]:
    """Run the program of a seed and cancel it at one of its awaits; return what is wrong."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    program, way = chance.choice(PROGRAMS), WAYS[seed % len(WAYS)]
    stepping = Stepping(_over(program, server, way), at=chance.randrange(1, MOST_STEPS))
    task = asyncio.create_task(stepping.run())
    await asyncio.wait([task])
    where = f"seed {seed}, {program.__name__} by {way} at step {stepping.steps}"
    if stepping.was_cancelled and not task.cancelled():
        return [f"{where}: cancelling it became {task.exception()!r}"]
    return (
        [] if task.cancelled() or task.exception() is None else [f"{where}: {task.exception()!r}"]
    )


async def _over(program: Program, server: LocalServer, way: Way) -> None:
    async with session(server, way, standby=1) as fish:
        await program(fish, way.timed)


@pytest.mark.timeout(600)
async def test_nothing_is_left_of_a_program_that_is_cancelled_over_sockets() -> None:
    """With both adapters on both endpoints: at whichever of its awaits."""
    found: list[str] = []
    before = Toll.now()
    with complaints() as said:
        async with served() as server:
            await gone(server.port)
            for seed in range(FIRST_SEED, FIRST_SEED + CANCELLATIONS // REAL_SHARE):
                found += await cancelled_over_sockets(server, seed)
            await gone(server.port)
        left = await quiet()
    after = Toll.now()
    assert not found, "\n".join(found[:10])
    assert not left
    assert not said, said[:10]
    assert after.descriptors <= before.descriptors
    assert after.accounts == 0
