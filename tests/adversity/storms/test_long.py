"""One channel that speaks for very long holds at the end what it held half-way.

``UTTERANCES`` says how many (120 unless told): some are interrupted, some are left, all have words
and their times, and standby sockets come and go.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import os
import random
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

import fishlive
from fishlive import Session
from fishlive.live.channel import LiveTTS
from fishlive.testing.clock import VirtualLoop, run
from fishlive.testing.desk import Manner
from fishlive.testing.model import Service
from tests.adversity.storms.counting import Toll, complaints
from tests.adversity.storms.victims import TEXT

UTTERANCES: Final = int(os.environ.get("UTTERANCES", "120"))
FIRST_SEED: Final = int(os.environ.get("FIRST_SEED", "0"))

ALLOWED_BYTES: Final = 48 * 1024
"""What the second half may hold more than the first: the interpreter keeps small objects for reuse,
and counts them where they were made first (15 KB after 200 utterances, 7 KB after 800, in the part
that only splits words). One turn kept of each utterance is far more."""


MORE_OBJECTS: Final = 200
"""Objects by which the end may differ: the service is amid other utterances, and caches fill."""


async def _speak(live: LiveTTS, chance: random.Random) -> None:
    """Speak one utterance: to its end, or interrupted, or left."""
    utterance = live.speak(TEXT * chance.choice((1, 1, 2, 8)))
    stop_at = chance.choice((None, None, 1, 2, 5))
    heard = 0
    async for chunk in utterance:
        heard += len(chunk)
        utterance.mark_played(heard / 48_000)
        stop_at = stop_at and stop_at - 1
        if stop_at == 0:
            break
    if chance.random() < 0.5:
        live.interrupt()
    assert utterance.words is not None
    assert utterance.ledger is not None


def forget(service: Service) -> None:
    """Let the service forget what it heard: it would keep all of it."""
    network = service.network
    network.journal.entries.clear()
    network.taps[:] = [tap for tap in network.taps if not tap.closed]
    network.links[:] = [link for link in network.links if not link.lost]
    service._mouths[:] = service._mouths[-4:]
    service.attempts.clear()
    # asyncio's own loop lets go of cancelled timers when they are many; the virtual one does not.
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._scheduled[:] = loop.timers
    heapq.heapify(loop._scheduled)


def held() -> tracemalloc.Snapshot:
    """Return what our own code holds, without the service's side."""
    gc.collect()
    ours = Path(fishlive.__file__).parent
    return tracemalloc.take_snapshot().filter_traces(
        (
            tracemalloc.Filter(inclusive=True, filename_pattern=f"{ours}/*"),
            tracemalloc.Filter(inclusive=False, filename_pattern=f"{ours}/testing/*"),
            tracemalloc.Filter(inclusive=False, filename_pattern=f"{ours}/wire/serving.py"),
        )
    )


async def _long_one(snapshots: list[tracemalloc.Snapshot], tolls: list[Toll]) -> None:
    chance = random.Random(FIRST_SEED)  # noqa: S311 - not a secret
    async with (
        Service(Manner(first_audio_s=0.01), seed=FIRST_SEED) as service,
        Session(
            "storm", base_url="http://127.0.0.1:9", transport=service.connect, standby=2
        ) as fish,
        fish.live(timestamps=True) as live,
    ):
        for number in range(1, UTTERANCES + 1):
            await _speak(live, chance)
            forget(service)
            if number in {UTTERANCES // 2, UTTERANCES}:
                async for _ in live.speak(TEXT):  # the same last words at both moments
                    pass
                forget(service)
                snapshots.append(held())
                tolls.append(Toll.now())


@pytest.mark.timeout(1800)
def test_a_long_session_does_not_grow() -> None:
    """What our code holds at the end is what it held half-way, but for a few KiB."""
    snapshots: list[tracemalloc.Snapshot] = []
    tolls: list[Toll] = []
    tracemalloc.start()
    try:
        with complaints() as said:
            run(
                lambda: _long_one(snapshots, tolls),
                seed=FIRST_SEED,
                limit_s=1e7,
                max_turns=10**9,
            )
    finally:
        tracemalloc.stop()
    middle, end = snapshots
    sizes = [sum(trace.size for trace in snapshot.traces) for snapshot in snapshots]
    print(f"\nheld {sizes} bytes\nmiddle {tolls[0]}\nend    {tolls[1]}")  # noqa: T201 - shown by `make storm`
    grown = sorted(end.compare_to(middle, "lineno"), key=lambda stat: -stat.size_diff)[:5]
    assert not said, said[:10]
    assert sizes[1] - sizes[0] <= ALLOWED_BYTES, grown
    assert tolls[1].descriptors == tolls[0].descriptors
    assert tolls[1].objects - tolls[0].objects <= MORE_OBJECTS
    assert tolls[1].threads == tolls[0].threads
