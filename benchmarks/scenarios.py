"""What a client's process is asked to do, and what it measures of itself meanwhile."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from benchmarks.plans import BUSY, SINK, STAMP_BYTES, Server, Take, flood, summary_ms, talk

WARM_UP_MESSAGES = 2_000
"""Enough for caches, buffers and the interpreter's specialised code to settle."""

TOKENS = re.findall(r"\S+ ", "The quick brown fox jumps over the lazy dog and then takes a rest. ")
"""What a source yields over and over: short tokens, a sentence end at every 14th."""

CHANCE = random.Random(0)  # noqa: S311  # spreads the channels, hides nothing

SETTLE_S = 0.3
"""Pause before memory is read: what is being closed or collected is gone by then."""

POLL_S = 0.02
"""How often memory is looked at while a listener naps."""


async def once(text: str) -> AsyncIterator[str]:
    yield text


async def ready(count: int) -> AsyncIterator[str]:
    """Yield tokens without ever suspending: a source that is ahead of the network."""
    for index in range(count):
        yield TOKENS[index % len(TOKENS)]


async def suspending(count: int) -> AsyncIterator[str]:
    """Yield tokens, with a turn of the event loop before each: a source that is live."""
    for index in range(count):
        await asyncio.sleep(0)
        yield TOKENS[index % len(TOKENS)]


async def paced(count: int, tokens_hz: float) -> AsyncIterator[str]:
    """Yield tokens one at a time, as an LLM does."""
    for index in range(count):
        yield TOKENS[index % len(TOKENS)]
        await asyncio.sleep(1 / tokens_hz)


SOURCES: dict[str, Callable[[int], AsyncIterator[str]]] = {
    "ready": ready,
    "suspending": suspending,
}


async def frames(
    client: Any, server: Server, *, short: int, long: int, message_bytes: int
) -> dict[str, Any]:
    """Receive a short and a long flood; CPU and wall seconds of each."""
    measured: dict[str, Any] = {}
    async with client.channels(server, 1) as (channel,):
        sizes: list[int] = []
        plan = flood(WARM_UP_MESSAGES, message_bytes)
        await channel.speak(plan, once("go."), lambda chunk: sizes.append(len(chunk)))
        assert sum(sizes) == WARM_UP_MESSAGES * message_bytes, "audio was lost"
        take = deque[bytes](maxlen=1).append  # keeps one chunk, at the price of a C call
        for name, messages in (("short", short), ("long", long)):
            measured[name] = await _cost(
                channel.speak, flood(messages, message_bytes), once("go."), take
            )
    return measured


async def text(
    client: Any, server: Server, *, short: int, long: int, source: str
) -> dict[str, Any]:
    """Send few and many tokens; CPU and wall seconds of each, and of the source alone."""
    tokens = SOURCES[source]
    measured: dict[str, Any] = {}
    async with client.channels(server, 1) as (channel,):
        take = deque[bytes](maxlen=1).append
        await channel.speak(BUSY, tokens(short), take)
        for name, count in (("short", short), ("long", long)):
            measured[name] = await _cost(channel.speak, BUSY, tokens(count), take)
            measured[f"source_{name}"] = await _cost(_exhaust, tokens(count))
    return measured


async def idle(client: Any, server: Server, *, count: int) -> dict[str, Any]:
    """Open ``count`` channels and leave them idle; bytes of our own memory for each."""
    done = asyncio.Event()

    async def waiting() -> AsyncIterator[str]:
        yield "Hello. "
        await done.wait()

    def nothing(_chunk: bytes) -> None:
        pass

    async with client.channels(server, 2) as (one, two):  # what the first ones cost is imports
        await asyncio.gather(*(c.speak(SINK, once("go."), nothing) for c in (one, two)))
    before = await _settled_uss()
    async with AsyncExitStack() as stack:
        channels = await stack.enter_async_context(client.channels(server, count))
        talking = []
        if client.OPENS_LATE:
            talking = [asyncio.create_task(c.speak(SINK, waiting(), nothing)) for c in channels]
            await asyncio.sleep(SETTLE_S * 5)
        after = await _settled_uss()
        done.set()
        await asyncio.gather(*talking)
    return {"bytes": (after - before) / count}


async def slow(
    client: Any, server: Server, *, messages: int, message_bytes: int, nap_s: float
) -> dict[str, Any]:
    """Take one chunk, nap, then take the rest; how much memory the nap cost."""
    process = psutil.Process()
    async with client.channels(server, 1) as (channel,):
        async for _ in channel.listen(flood(16, message_bytes), once("go.")):
            pass
        await _settled_uss()
        before = peak = process.memory_info().rss
        received, reading = 0, True
        async for chunk in channel.listen(flood(messages, message_bytes), once("go.")):
            received += len(chunk)
            if reading:
                reading = False
                until = time.perf_counter() + nap_s
                while time.perf_counter() < until:
                    await asyncio.sleep(POLL_S)
                    peak = max(peak, process.memory_info().rss)
    whole = received == messages * message_bytes
    return {"grown_bytes": peak - before, "received_bytes": received, "whole": whole}


async def latency(
    client: Any,
    server: Server,
    *,
    count: int,
    seconds: float,
    tokens_hz: float,
    message_bytes: int,
    interval_ms: int,
) -> dict[str, Any]:
    """Speak on ``count`` channels at once; what wire-to-caller took, in milliseconds.

    Tokens carry the time at which the source yielded them; the server notes what they took.
    """
    go = asyncio.Event()
    heard_ns: list[int] = []
    silent, since_ns = count, 0

    async def tokens() -> AsyncIterator[str]:
        yield "Hello. "
        await go.wait()
        await asyncio.sleep(SETTLE_S + CHANCE.random() / tokens_hz)
        for index in range(int(seconds * tokens_hz)):
            stop = ". " if index % 15 == 14 else " "
            yield f"{time.perf_counter_ns():016d}{stop}"
            await asyncio.sleep(1 / tokens_hz)

    def taker() -> Take:
        first = True

        def take(chunk: bytes) -> None:
            nonlocal first, silent
            now_ns = time.perf_counter_ns()
            sent_ns = int.from_bytes(chunk[:STAMP_BYTES], "little")
            if since_ns and sent_ns >= since_ns:
                heard_ns.append(now_ns - sent_ns)
            elif first:
                first, silent = False, silent - 1
                if not silent:
                    go.set()

        return take

    plan = talk(message_bytes, interval_ms)
    async with client.channels(server, count) as channels:
        speaking = [asyncio.create_task(c.speak(plan, tokens(), taker())) for c in channels]
        going = asyncio.create_task(go.wait())
        # A channel that fails meanwhile must not leave the others waiting for it.
        await asyncio.wait([going, *speaking], return_when=asyncio.FIRST_COMPLETED)
        gc.collect()
        await asyncio.sleep(SETTLE_S)
        since_ns = time.perf_counter_ns()
        cost = await _cost(asyncio.gather, *speaking, collect=False)
        going.cancel()
    return {"heard": summary_ms(heard_ns), **cost}


async def first_audio(
    client: Any, server: Server, *, flush: str, turns: int, tokens: int, tokens_hz: float
) -> dict[str, Any]:
    """Speak some turns at the pace of an LLM; seconds from the first token to the first audio."""
    first_s: list[float] = []
    async with client.channels(server, 1) as (channel,):
        for _ in range(turns):
            began_s, heard_s = time.perf_counter(), 0.0
            async for _ in channel.listen(None, paced(tokens, tokens_hz), flush=flush):
                heard_s = heard_s or time.perf_counter() - began_s
            first_s.append(heard_s)
    return {"first_s": first_s}


async def _cost(
    function: Callable[..., Any], *arguments: Any, collect: bool = True
) -> dict[str, float]:
    """Return what a call cost: CPU, wall, and time in which somebody else had our core."""
    if collect:
        gc.collect()
    starved_s, cpu_s, wall_s = _starved_s(), time.process_time(), time.perf_counter()
    await function(*arguments)
    return {
        "cpu_s": time.process_time() - cpu_s,
        "wall_s": time.perf_counter() - wall_s,
        "starved_s": _starved_s() - starved_s,
    }


def _starved_s() -> float:
    """Return how long this process was ready to run and did not, in seconds; 0 if unknown."""
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


async def _exhaust(source: AsyncIterator[str]) -> None:
    async for _ in source:
        pass


async def _settled_uss() -> int:
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(SETTLE_S / 3)
    uss: int = psutil.Process().memory_full_info().uss
    return uss
