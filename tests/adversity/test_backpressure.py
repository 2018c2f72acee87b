"""Row F1: a listener that is slow, or asleep, costs little and loses nothing.

Two valves. Text is held back by what is ahead of the listener, in seconds; the socket is paused at
the hard mark, in bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fishlive.flow import credit
from fishlive.flow.buffer import Level
from fishlive.flow.watchdog import PING_EVERY_S, PONG_S
from fishlive.limits import (
    BUFFER_HARD_BYTES,
    BUFFER_PAUSE_BYTES,
    CHUNK_OVERHEAD_BYTES,
    CREDIT_S,
    MIB,
)
from fishlive.live.channel import LiveTTS
from fishlive.testing.clock import run
from fishlive.transport.memory import MemoryPeer
from fishlive.wire.serving import Stop, Text, decode_client, encode_audio, encode_finish
from tests.adversity.matrix import TEXT, WAYS, marks, session, until
from tests.adversity.playing import Theatre, theatre
from tests.conftest import settle
from tests.live.service import Service, open_channel, speak, texts
from tests.live.virtual import virtual

FLOOD_BYTES: Final = 16 * MIB
"""More than the buffer, the kernel and the server's own buffers hold together."""

# Text credit


BITRATES: Final[dict[str, dict[str, Any]]] = {
    "pcm": {"format": "pcm", "sample_rate": 8000},
    "wav": {"format": "wav", "sample_rate": 8000},
    "mp3": {"format": "mp3", "mp3_bitrate": 64},
    "opus": {"format": "opus", "opus_bitrate": 32_000},
}
BYTES_PER_S: Final = {"pcm": 16_000, "wav": 16_000, "mp3": 8_000, "opus": 4_000}

PIECE_S: Final = 0.5


async def ahead(service: Service, live: LiveTTS, seconds: float, kind: str) -> None:
    """Let so many seconds of audio arrive, half a second at a time."""
    piece = b"\x01\x40" * int(BYTES_PER_S[kind] * PIECE_S / 2)
    speak(service.peer, *[piece] * round(seconds / PIECE_S), finish=None)
    await settle()


@pytest.mark.parametrize("kind", BYTES_PER_S)
@virtual
async def test_reading_gives_credit_for_text_in_seconds(kind: str) -> None:
    """With over ten seconds unread no text is sent; a listener that reads gets it flowing."""
    service = Service()
    async with open_channel(service, **BITRATES[kind]) as live:
        utterance = live.utterance()
        await utterance.send("one ")
        await settle()
        await ahead(service, live, CREDIT_S + 2, kind)
        await utterance.send("two ")
        await settle()
        assert texts(service.peer) == ["one "]
        reader = aiter(utterance)
        for _ in range(round(4.5 / PIECE_S)):
            assert len(await anext(reader)) == BYTES_PER_S[kind] * PIECE_S
        await settle()
        assert texts(service.peer) == ["one ", "two "]
        utterance.interrupt()


@pytest.mark.parametrize("kind", BYTES_PER_S)
@virtual
async def test_marks_give_credit_for_text_in_seconds(kind: str) -> None:
    """Where somebody marks, reading counts for nothing: to the very second."""
    service = Service()
    async with open_channel(service, **BITRATES[kind]) as live:
        utterance = live.utterance()
        reader = aiter(utterance)
        await utterance.send("one ")
        utterance.mark_played(0.0)
        await settle()
        await ahead(service, live, CREDIT_S + 2, kind)
        for _ in range(round((CREDIT_S + 2) / PIECE_S)):
            await anext(reader)
        await utterance.send("two ")
        for played_s in (0.0, 1.0, 1.999):
            utterance.mark_played(played_s)
            await settle()
            assert texts(service.peer) == ["one "]
        utterance.mark_played(2.0)
        await settle()
        assert texts(service.peer) == ["one ", "two "]
        utterance.interrupt()


@virtual
async def test_without_a_limit_only_bytes_count() -> None:
    """``credit_s=None``: text flows however far the audio is ahead, up to the mark in bytes."""
    service = Service()
    async with open_channel(service, credit_s=None, **BITRATES["pcm"]) as live:
        utterance = live.utterance()
        await utterance.send("one ")
        await settle()
        await ahead(service, live, 10 * CREDIT_S, "pcm")
        await utterance.send("two ")
        await settle()
        assert texts(service.peer) == ["one ", "two "]
        utterance.interrupt()


# The socket


@contextlib.contextmanager
def jumping() -> Iterator[Callable[[float], None]]:
    """Let the loop's clock be moved on."""
    loop = asyncio.get_running_loop()
    time, ahead_s = loop.time, 0.0

    def jump(seconds: float) -> None:
        nonlocal ahead_s
        ahead_s += seconds

    with patch.object(loop, "time", lambda: time() + ahead_s):
        yield jump


async def flooded(act: Callable[[LiveTTS, Theatre], Awaitable[bytes]]) -> None:
    """Flood all four, one after the other; each hears all of it, and behind it every event."""
    async with theatre() as stage:
        stage.server.play(f"flood:{FLOOD_BYTES}@audio:1,times=always")
        for way in WAYS:
            async with (
                session(stage.server, way) as fish,
                fish.live(timestamps=way.timed) as live,
            ):
                audio = await act(live, stage)
                assert live.stats is not None
                assert live.stats.attempts == 1
                assert live.stats.pauses >= 1
                assert live.stats.peak_buffer_bytes <= BUFFER_HARD_BYTES + MIB
            assert not audio[:FLOOD_BYTES].strip(b"\0")
            found = marks(audio[FLOOD_BYTES:])
            assert [mark.number for mark in found] == list(range(1, len(found) + 1))
            assert len(found) == len(stage.sent[found[0].connection])


async def test_a_listener_that_naps_through_two_ping_timeouts_loses_nothing() -> None:
    """Nobody judges a service that we do not read; behind the nap everything is there."""

    async def naps(live: LiveTTS, _stage: Theatre) -> bytes:
        utterance = live.speak(TEXT)
        buffer = utterance._turn.buffer
        await until(lambda: buffer.level is Level.HARD)
        for _ in range(4):
            jump(PING_EVERY_S + PONG_S)
            await asyncio.sleep(0.01)  # everybody looks at the clock
            await settle()
        assert utterance.error is None
        return b"".join([chunk async for chunk in utterance])

    with jumping() as jump:
        await flooded(naps)


async def test_a_listener_that_stutters_loses_nothing() -> None:
    """It reads a few chunks at a time, and the socket stops and goes at its pace."""

    async def stutters(live: LiveTTS, _stage: Theatre) -> bytes:
        utterance = live.speak(TEXT)
        audio = bytearray()
        await until(lambda: utterance._turn.buffer.level is Level.HARD)
        async for chunk in utterance:
            audio += chunk
            if len(audio) % (MIB // 4) < len(chunk):
                await settle(3)
        return bytes(audio)

    await flooded(stutters)


ASLEEP: Final = """
import asyncio, json, sys
from fishlive import Session
from fishlive.flow.buffer import Level

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def main(transport, timed):
    async with (
        Session("local", base_url=sys.argv[1], transport=transport, standby=0) as fish,
        fish.live(timestamps=timed) as live,
    ):
        await live.ready()
        before = most = rss()
        utterance = live.speak("One two three four five six.")
        buffer = utterance._turn.buffer
        for _ in range(2000):
            await asyncio.sleep(0.005)
            if buffer.level is Level.HARD:
                break
        for _ in range(50):
            await asyncio.sleep(0.005)
            most = max(most, rss())
        stats = buffer.stats()
        told = (most - before, stats.peak_bytes, stats.received_bytes, stats.socket_pauses)
        print(json.dumps(told))
        live.interrupt()

for transport in ("picows", "aiohttp"):
    for timed in (False, True):
        asyncio.run(main(transport, timed))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")
async def test_300_mib_offered_cost_the_buffer_and_8_mib() -> None:
    """A listener that is asleep, in a process of its own, whose memory is the kernel's count."""
    async with theatre() as stage:
        stage.server.play("flood:314572800@audio:1,times=always")
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", ASLEEP, stage.server.url],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.stderr == ""
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(told) == len(WAYS)
    for grown, peak, received, pauses in told:
        assert pauses == 1
        assert BUFFER_PAUSE_BYTES < peak <= BUFFER_HARD_BYTES + MIB
        assert received <= peak
        assert grown <= BUFFER_HARD_BYTES + 8 * MIB


# At random


SMALL: Final = {"HIGH": 4096, "LOW": 1024, "PAUSE": 8192}
"""Marks that a few chunks reach, in bytes."""


class Echo:
    """A service that says so many bytes for each character, as its table has them."""

    def __init__(self, sizes: list[int]) -> None:
        self._sizes = sizes
        self.said = bytearray()
        self._at = 0

    def answer(self, peer: MemoryPeer) -> None:
        """Have this peer speak for every text as it comes."""
        hear = peer.on_message

        def heard(message: bytes) -> None:
            hear(message)
            event = decode_client(message)
            if isinstance(event, Text):
                for _ in event.text:
                    peer.send(encode_audio(self._next()))
            elif isinstance(event, Stop):
                peer.send(encode_finish())

        peer.on_message = heard  # type: ignore[method-assign]

    def _next(self) -> bytes:
        size = self._sizes[self._at % len(self._sizes)]
        self._at += 1
        chunk = self._at.to_bytes(4, "big") * (size // 4)
        self.said += chunk
        return chunk


STEPS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from([0.0, 0.01, 0.5, 8.0, 40.0])), max_size=30
)


@hypothesis_settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 500).map(lambda n: n * 4), min_size=1, max_size=8),
    words=st.lists(st.text("ab. ", max_size=12), max_size=12),
    steps=STEPS,
    credit_s=st.sampled_from([0.01, 0.05, 10.0]),
    marked=st.booleans(),
)
def test_no_pace_of_listening_loses_or_reorders_a_byte(
    sizes: list[int],
    words: list[str],
    steps: list[tuple[int, float]],
    credit_s: float,
    marked: bool,
) -> None:
    """Whenever it reads and naps, with marks or without: all is heard, and little was kept."""

    async def main() -> None:
        echo = Echo(sizes)
        service = Service(lambda request: echo.answer(service.accept(request)))
        async with open_channel(service, credit_s=credit_s) as live:
            utterance = live.speak(words)
            reader, audio, paces = aiter(utterance), bytearray(), list(steps)
            buffer, left = utterance._turn.buffer, 0
            while True:
                if not left and paces:
                    left, nap_s = paces.pop(0)
                    await asyncio.sleep(nap_s)
                if marked and (not left or not buffer.queued_bytes):
                    utterance.mark_played(len(audio) / 48_000)
                try:
                    audio += await anext(reader)
                except StopAsyncIteration:
                    break
                left = max(0, left - 1)
            assert bytes(audio) == bytes(echo.said)
            assert str(utterance.outcome) == "finished"
            assert buffer.stats().peak_bytes <= SMALL["PAUSE"] + max(sizes) + CHUNK_OVERHEAD_BYTES
            assert "".join(texts(service.peer) if service.peers else []) == "".join(words)

    with contextlib.ExitStack() as small:
        for name, size in SMALL.items():
            small.enter_context(patch.object(credit, f"BUFFER_{name}_BYTES", size))
        run(main)
