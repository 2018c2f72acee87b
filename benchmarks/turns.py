"""What a turn waits for its first audio, far from the service: ``python -m benchmarks.turns``.

The service (``far.py``) answers at once and is a round trip of 40 ms away. Every turn is a new
utterance of one channel: from ``speak`` to its first chunk it should take that round trip and
nothing else, whatever the service does behind ``finish``, and also after an interruption.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import aiohttp

import fishlive
from benchmarks.affinity import pin
from benchmarks.processes import Process, core
from benchmarks.report import report
from benchmarks.results import Suite
from fishlive.wire.protocol import LiveProtocol

ALLOWED_MS = 2.0
"""What a turn may take over the round trip and the service's own time, in milliseconds."""

BLOCK = 10
"""Turns in a row before as many exchanges of the bare client: both see the same machine."""

PAUSE_S = 0.125
"""How long somebody thinks before the next turn, or listens before interrupting, in seconds: the
reserve is full again after a handshake of two round trips."""

ROWS = (
    # what, how the service behaves, standby, pause
    ("the next turn", "closes", 0, PAUSE_S),
    ("the next turn", "stays", 0, PAUSE_S),
    ("after an interruption", "endless", 0, PAUSE_S),
    ("the next turn", "closes", 1, PAUSE_S),
    ("the next turn", "stays", 1, PAUSE_S),
    ("after an interruption", "endless", 1, PAUSE_S),
    ("the next turn, at once", "closes", 0, 0.0),
    ("the next turn, at once", "closes", 3, 0.0),
    ("the next turn, at once", "stays", 3, 0.0),
)


async def turn(live: fishlive.LiveTTS, voice: str, pause_s: float) -> float:
    """Speak, hear it out, pause; return the seconds to the first chunk.

    What is still spoken then is interrupted by the next turn, in the moment in which that begins.
    """
    began = time.perf_counter()
    utterance = live.speak("Hello there.", voice=voice)
    chunks = utterance.__aiter__()
    await chunks.__anext__()
    waited_s = time.perf_counter() - began
    listening = asyncio.ensure_future(listen(chunks))
    await asyncio.sleep(pause_s)
    if voice == "endless":
        live.interrupt()
    await listening
    return waited_s


async def listen(chunks: object) -> None:
    """Hear the rest."""
    async for _ in chunks:  # type: ignore[attr-defined]
        pass


class Bare:
    """The same exchange over an open socket of a bare client: the round trip and the service."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def exchange(self, pause_s: float) -> float:
        """Return the seconds to the first audio, after a pause: a core that slept is slower."""
        await asyncio.sleep(pause_s)
        protocol, socket = LiveProtocol(), self._socket
        began = time.perf_counter()
        await socket.send_bytes(protocol.send_start({"reference_id": "stays"}))
        await socket.send_bytes(protocol.send_text("Hello there."))
        await socket.send_bytes(protocol.send_stop())
        await socket.receive_bytes()
        waited_s = time.perf_counter() - began
        for _ in range(2):
            await socket.receive_bytes()
        return waited_s


async def compare(
    port: int, voice: str, standby: int, pause_s: float, n: int
) -> tuple[list[float], list[float]]:
    """Return what so many turns waited, and as many bare exchanges; in milliseconds."""
    url = f"http://127.0.0.1:{port}"
    ours: list[float] = []
    theirs: list[float] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/v1/tts/live") as socket,
        fishlive.Session("key", base_url=url) as fish,
        fish.live(standby=standby) as live,
    ):
        bare = Bare(socket)
        await live.ready()
        while len(ours) < n:
            # The first of a block fills the reserve, or finds the socket of long ago.
            await turn(live, voice, PAUSE_S)
            ours += [1000 * await turn(live, voice, pause_s) for _ in range(BLOCK)]
            await asyncio.sleep(PAUSE_S)
            theirs += [1000 * await bare.exchange(pause_s) for _ in range(BLOCK)]
    return ours, theirs


def at(share: float, values: list[float]) -> float:
    """Return a quantile."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def measure(n: int) -> Suite:
    """Measure every row."""
    suite = Suite(
        "First audio of a turn, a round trip of 40 ms from the service; milliseconds",
        (
            "turn",
            "service",
            "standby",
            "p50",
            "p99",
            "bare p50",
            "bare p99",
            "over p50",
            "over p99",
        ),
    )
    async with Process("benchmarks.far", *core(0)) as far:
        for what, voice, standby, pause_s in ROWS:
            ours, bare = await compare(far.hello["port"], voice, standby, pause_s, n)
            p50, p99, bare50, bare99 = (
                at(share, values) for values in (ours, bare) for share in (0.5, 0.99)
            )
            numbers = (p50, p99, bare50, bare99, p50 - bare50, p99 - bare99)
            suite.rows.append((what, voice, standby, *(f"{number:.1f}" for number in numbers)))
            if standby:
                claim = f"{what}, {voice}, standby={standby}: over a bare client at "
                suite.at_most(f"{claim}p50, ms", p50 - bare50, ALLOWED_MS)
                suite.at_most(f"{claim}p99, ms", p99 - bare99, ALLOWED_MS)
    suite.notes.append(f"{n} turns each, and as many exchanges of a bare client in between")
    return suite


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turns", description=__doc__)
    parser.add_argument("--turns", type=int, default=200, help="of each kind (200)")
    chosen = parser.parse_args()
    pin(core(1))
    print(report({"turns": asyncio.run(measure(chosen.turns))}, {}))


if __name__ == "__main__":
    main()
