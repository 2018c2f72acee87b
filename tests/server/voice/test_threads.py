"""Encoding beside the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from fishlive.errors import ConfigError, StreamClosedError, UsageError
from fishlive.server.voice.encode import Encoder
from fishlive.server.voice.threads import EncodingThreads
from tests.server.voice.conftest import tone


@pytest.fixture
async def threads() -> AsyncIterator[EncodingThreads]:
    """Run encoding threads for one test."""
    running = EncodingThreads()
    yield running
    await running.aclose()


class Gate:
    """Work that waits until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> bytes:
        """Wait, bounded."""
        self.begun.set()
        assert self.open.wait(10)
        return b"done"


async def begun(gate: Gate) -> None:
    """Let the loop run until the gate's work has begun."""
    while not gate.begun.is_set():
        await asyncio.sleep(0)


async def test_a_stream_is_what_one_encoder_makes(threads: EncodingThreads) -> None:
    """Streaming in turns gives the bytes of a single feed, in many pieces."""
    speech = tone(2.0)
    encoder = await threads.open(format="pcm", sample_rate_hz=24_000)
    pieces = [piece async for piece in encoder.stream(speech)]
    alone = Encoder(format="pcm", sample_rate_hz=24_000)
    assert b"".join(pieces) + await encoder.finish() == alone.feed(speech) + alone.finish()
    assert len(pieces) >= 8
    assert encoder.content_type == "audio/pcm"


async def test_calls_of_one_encoder_are_in_order(threads: EncodingThreads) -> None:
    """Calls made at once are done in the order in which they were made."""
    speech = tone(1.0)
    encoder = await threads.open(format="pcm", sample_rate_hz=24_000)
    feeds = [encoder.feed(speech[at : at + 441]) for at in range(0, len(speech), 441)]
    encoded = b"".join(await asyncio.gather(*feeds)) + await encoder.finish()
    alone = Encoder(format="pcm", sample_rate_hz=24_000)
    assert encoded == alone.feed(speech) + alone.finish()


async def test_settings_reach_the_encoder(threads: EncodingThreads) -> None:
    """What cannot be encoded is refused when the encoder is opened."""
    with pytest.raises(ConfigError):
        await threads.open(format="pcm", sample_rate_hz=22_050)


async def test_work_is_not_done_on_the_loops_thread(threads: EncodingThreads) -> None:
    """Two jobs run beside the loop at once; a third waits for a thread."""
    gates = [Gate(), Gate(), Gate()]
    works = [asyncio.ensure_future(threads.run(gate)) for gate in gates]
    await begun(gates[0])
    await begun(gates[1])
    assert not gates[2].begun.is_set()
    for gate in gates:
        gate.open.set()
    assert await asyncio.gather(*works) == [b"done"] * 3


async def test_a_cancelled_call_spoils_its_encoder_only(threads: EncodingThreads) -> None:
    """Sound with a hole in it is never passed on; the others go on."""
    spoilt = await threads.open(format="pcm", sample_rate_hz=24_000)
    other = await threads.open(format="pcm", sample_rate_hz=24_000)
    gates = [Gate(), Gate()]
    busy = [asyncio.ensure_future(threads.run(gate)) for gate in gates]
    cancelled = asyncio.ensure_future(spoilt.feed(tone(0.1)))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    for gate in gates:
        gate.open.set()
    await asyncio.gather(*busy)
    with pytest.raises(UsageError):
        await spoilt.feed(tone(0.1))
    assert await other.feed(tone(0.1))


async def test_closing_refuses_what_has_not_begun(threads: EncodingThreads) -> None:
    """Closing waits for work in the threads; what was queued gets an error that says so."""
    gates = [Gate(), Gate()]
    busy = [asyncio.ensure_future(threads.run(gate)) for gate in gates]
    for gate in gates:
        await begun(gate)
    queued = asyncio.ensure_future(threads.run(Gate()))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(threads.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    for gate in gates:
        gate.open.set()
    await closing
    assert await asyncio.gather(*busy) == [b"done"] * 2
    with pytest.raises(StreamClosedError):
        await queued
    with pytest.raises(StreamClosedError):
        await threads.open(format="pcm", sample_rate_hz=24_000)
    await threads.aclose()


async def test_the_loop_goes_on_while_threads_encode(threads: EncodingThreads) -> None:
    """A heartbeat runs many times during one encoding."""
    encoder = await threads.open(format="mp3", sample_rate_hz=44_100)
    beats = 0
    feed = asyncio.ensure_future(encoder.feed(tone(5.0)))
    while not feed.done():
        await asyncio.sleep(0.001)
        beats += 1
    assert await feed
    assert beats > 3
