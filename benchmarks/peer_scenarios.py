"""What a peer's process is asked to do, and what it measures of itself meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from benchmarks.peer_plans import (
    BYTES_A_SECOND,
    LISTENED_S,
    OPENED_S,
    PATIENCE_S,
    QUIET_S,
    Source,
    underruns,
)
from benchmarks.scenarios import _starved_s

POLL_S = 0.02
"""Least pause between two looks whether a reply was heard out, in seconds."""

LANES_APART_S = 0.37
"""Between the beginnings of conversations that run at the same time."""

OPENING_AT_ONCE = 16
"""Sessions that are opened at the same time."""

SPREAD_S = 1.0
"""Within this the sessions of a load begin to speak, one after the other."""

GRACE_S = 3.0
"""How long after its time a load may end; what was not heard then is lost."""


class Reply:
    """One reply: what is said, and when which audio came."""

    def __init__(self, speaker: Any, thinking_s: float) -> None:
        self.arrivals: list[tuple[float, int]] = []
        self.source = Source(thinking_s)
        self._sounds = asyncio.Event()
        self._task = asyncio.ensure_future(speaker.speak(self.source.stream(), self.take))

    def take(self, chunk: bytes | memoryview) -> None:
        """Note a chunk."""
        self.arrivals.append((time.perf_counter(), len(chunk)))
        self._sounds.set()

    async def first_s(self) -> float:
        """Return the seconds from the first token to the first audio."""
        sounding = asyncio.ensure_future(self._sounds.wait())
        await asyncio.wait(
            [sounding, self._task], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not self.arrivals and self._task.done():
            self._task.result()  # some are done at the last token, others have failed
            await asyncio.wait([sounding], timeout=PATIENCE_S)
        sounding.cancel()
        if not self.arrivals:
            raise TimeoutError(f"no audio within {PATIENCE_S:.0f} s")
        return self.arrivals[0][0] - self.source.began_s

    async def heard_out(self) -> None:
        """Wait until no more audio comes."""
        while True:
            left_s = self.arrivals[-1][0] + QUIET_S - time.perf_counter()
            if self.source.over and left_s <= 0:
                return
            await asyncio.sleep(max(left_s, POLL_S))

    async def end(self) -> None:
        """Leave nothing running; how an interrupted one ended is its own affair."""
        _, late = await asyncio.wait([self._task], timeout=1.0)
        for task in late:
            task.cancel()
        with contextlib.suppress(BaseException):
            await self._task


async def conversation(
    client: Any, port: int, thinking_s: float, pause_s: float, heard: int, interrupted: int
) -> dict[str, list[float]]:
    """Hold one conversation in a session of its own; seconds to the first audio of each turn.

    The first turn and the next ``heard`` ones are heard out, each one's successor is a ``next``
    turn; then ``interrupted`` ones are interrupted, and their successors come ``after``.
    """
    found: dict[str, list[float]] = {"first": [], "next": [], "after": []}
    kinds = ["first", *["next"] * heard, *["after"] * interrupted]
    async with client.session(port, None) as speaker:
        await asyncio.sleep(OPENED_S)
        for index, kind in enumerate(kinds):
            reply = Reply(speaker, thinking_s)
            try:
                found[kind].append(await reply.first_s())
                if index < heard:
                    await reply.heard_out()
                    await speaker.heard()
                else:
                    await asyncio.sleep(LISTENED_S)
                    await speaker.interrupt()
            finally:
                await reply.end()
            await asyncio.sleep(pause_s)
    return found


async def conversations(
    client: Any, lanes: list[dict[str, Any]], heard: int, interrupted: int
) -> dict[str, Any]:
    """Hold several at the same time, begun one after the other; what each found, or its error."""

    async def lane(index: int, **details: Any) -> dict[str, Any]:
        await asyncio.sleep(index * LANES_APART_S)
        try:
            return await conversation(client, heard=heard, interrupted=interrupted, **details)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    starved_s, began_s = _starved_s(), time.perf_counter()
    found = await asyncio.gather(*(lane(index, **each) for index, each in enumerate(lanes)))
    starved = (_starved_s() - starved_s) / (time.perf_counter() - began_s)
    return {"lanes": found, "starved": starved}


LATEST_S = 1.0
"""From the moment in which a session of a load shall speak to its first audio: one that takes
longer is not carried, however smooth it is then."""


class Talk:
    """One session of a load: it opens, waits for its time, speaks, and is heard to its end."""

    def __init__(self, client: Any, port: int, seconds: float) -> None:
        self._client = client
        self._port = port
        self._voice = f"talk-{round(seconds * 1000)}"
        self._left_bytes = round(seconds * BYTES_A_SECOND)
        self.due_s = 0.0
        self.arrivals: list[tuple[float, int]] = []
        self.opened = asyncio.Event()
        self.go = asyncio.Event()
        self.heard = asyncio.Event()
        self.leave = asyncio.Event()

    def take(self, chunk: bytes | memoryview) -> None:
        """Note a chunk."""
        self.arrivals.append((time.perf_counter(), len(chunk)))
        self._left_bytes -= len(chunk)
        if self._left_bytes <= 0:
            self.heard.set()

    async def run(self, opening: asyncio.Semaphore) -> None:
        """Hold the session. Raises whatever the client does."""
        async with contextlib.AsyncExitStack() as stack:
            async with opening:
                session = self._client.session(self._port, self._voice)
                speaker = await stack.enter_async_context(session)
                self.opened.set()
            await self.go.wait()
            speaking = asyncio.ensure_future(speaker.speak(Source(0.0).stream(), self.take))
            await self.leave.wait()
            await asyncio.wait([speaking], timeout=GRACE_S)
            speaking.cancel()

    @property
    def faults(self) -> int:
        """How often a player would have run dry; to begin late and to lose the end count too."""
        late = bool(self.arrivals) and self.arrivals[0][0] > self.due_s + LATEST_S
        return underruns(self.arrivals) + late + (not self.heard.is_set())


async def load(
    client: Any, port: int, count: int, seconds: float, *, memory: bool = False
) -> dict[str, Any]:
    """Let ``count`` sessions speak in real time; what it cost, and who ran dry.

    Opening and closing are outside of the CPU seconds. ``memory`` is own memory (USS) a session,
    in bytes, in the middle of their speech.
    """
    process = psutil.Process()
    before = await _uss(process) if memory else 0
    talks = [Talk(client, port, seconds) for _ in range(count)]
    opening = asyncio.Semaphore(OPENING_AT_ONCE)
    running = [asyncio.ensure_future(talk.run(opening)) for talk in talks]
    opened = asyncio.gather(*(talk.opened.wait() for talk in talks))
    await asyncio.wait([opened, *running], return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        if task.done():
            task.result()
    await asyncio.sleep(OPENED_S)
    gc.collect()
    starved_s, cpu_s, wall_s = _starved_s(), time.process_time(), time.perf_counter()
    grown = await _speak(talks, seconds, (lambda: _used(process)) if memory else None)
    wall_s = time.perf_counter() - wall_s
    answer = {
        "cpu_s": time.process_time() - cpu_s,
        "wall_s": wall_s,
        "starved": (_starved_s() - starved_s) / wall_s,
        "audio_s": sum(size for talk in talks for _, size in talk.arrivals) / BYTES_A_SECOND,
        "dry": sum(talk.faults > 0 for talk in talks),
        "lost": sum(not talk.heard.is_set() for talk in talks),
        "bytes": (grown - before) / count if memory else None,
    }
    for talk in talks:
        talk.leave.set()
    await asyncio.gather(*running, return_exceptions=True)
    return answer


async def _speak(talks: list[Talk], seconds: float, used: Callable[[], int] | None) -> int:
    """Have them all speak; what ``used`` says in the middle of it."""
    grown, began_s = 0, time.perf_counter()
    for index, talk in enumerate(talks):
        talk.due_s = began_s + index * SPREAD_S / len(talks)
        await asyncio.sleep(max(0.0, talk.due_s - time.perf_counter()))
        talk.go.set()
    if used is not None:
        await asyncio.sleep(seconds / 2 - SPREAD_S / 2)
        grown = used()
    hearing = [asyncio.ensure_future(talk.heard.wait()) for talk in talks]
    _, late = await asyncio.wait(hearing, timeout=seconds + GRACE_S)
    for task in late:
        task.cancel()
    return grown


def _used(process: psutil.Process) -> int:
    gc.collect()
    uss: int = process.memory_full_info().uss
    return uss


async def _uss(process: psutil.Process) -> int:
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.1)
    return _used(process)


async def weight(_client: Any) -> dict[str, Any]:
    """Return the process's own memory (USS), in bytes."""
    return {"bytes": await _uss(psutil.Process())}
