"""A loop whose time passes only when nothing is left to do, and a service that is late by plan.

What is measured in it is exact: a delay of 40 ms is 40 ms, whatever the machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fishlive.bench.lanes import Service
from fishlive.errors import StreamClosedError
from fishlive.secret import Secret
from fishlive.transport.memory import MemoryPeer, MemoryRequest, MemoryServer, MemorySocket
from fishlive.transport.socket import Handshake, Receiver, Socket, Target
from fishlive.wire.serving import Stop, Text, decode_client, encode_audio, encode_finish

_T = TypeVar("_T")

RATE_HZ = 24_000
LOUD = b"\x00\x40"
SILENT = b"\x00\x00"


class _Selector(selectors.SelectSelector):
    """Waits for nobody: time goes where the next timer is."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            ready = super().select(None)
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. Only what is in memory may happen in it."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.now_s


def run(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Return what a coroutine returns that runs in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@dataclass
class Delays:
    """Where a service is late, in seconds.

    Attributes:
        dns_s: Resolving its name.
        tcp_s: TCP handshake.
        tls_s: TLS handshake.
        upgrade_s: WebSocket upgrade.
        first_audio_s: From its first text to its first audio.
        silence_s: Silence its audio begins with.
        chunk_s: Seconds of audio in a chunk.
        chunks: How many chunks it sends.
        gaps_s: Before which chunk (from 1) it pauses, and how long.
        stays: Whether it takes another utterance on the same socket.
        says: Told of each utterance, from 0; returns what it does instead, if anything.
    """

    dns_s: float = 0.0
    tcp_s: float = 0.0
    tls_s: float = 0.0
    upgrade_s: float = 0.0
    first_audio_s: float = 0.0
    silence_s: float = 0.0
    chunk_s: float = 0.1
    chunks: int = 3
    gaps_s: dict[int, float] = field(default_factory=dict)
    stays: bool = True
    says: Callable[[int, MemoryPeer], Any] = lambda _index, _peer: None


class LateService:
    """A service in memory, late as it was told to be."""

    def __init__(self, delays: Delays) -> None:
        self.delays = delays
        self.spoken = 0
        self.begun_s: list[float] = []
        self._server = MemoryServer(self._arrived)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def service(self) -> Service:
        """Where to measure."""
        return Service("http://127.0.0.1:9", Secret("key"), connect={"picows": self.connect})

    async def connect(self, target: Target, receiver: Receiver) -> Socket:
        """Open a connection, step by step."""
        late = self.delays
        steps = (late.dns_s, late.tcp_s, late.tls_s, late.upgrade_s)
        for step_s in steps:
            await asyncio.sleep(step_s)
        socket = await self._server.connect(target, receiver)
        assert isinstance(socket, MemorySocket)
        socket._handshake = Handshake(sum(steps), dns_s=late.dns_s, tcp_s=late.tcp_s)
        return socket

    async def aclose(self) -> None:
        """Stop speaking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _arrived(self, request: MemoryRequest) -> None:
        task = asyncio.ensure_future(self._talk(request.accept()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, peer: MemoryPeer) -> None:
        """Speak utterance after utterance, until the client leaves."""
        with contextlib.suppress(StreamClosedError):
            while True:
                await _said(peer, Text)
                index, self.spoken = self.spoken, self.spoken + 1
                self.begun_s.append(asyncio.get_running_loop().time())
                if self.delays.says(index, peer) is not None:
                    return
                await asyncio.sleep(self.delays.first_audio_s)
                for number, chunk in enumerate(chunks(self.delays)):
                    await asyncio.sleep(self.delays.gaps_s.get(number, 0.0))
                    peer.send(encode_audio(chunk))
                await _said(peer, Stop)
                peer.send(encode_finish())
                if not self.delays.stays:
                    peer.close()


async def _said(peer: MemoryPeer, kind: type) -> None:
    """Wait until the client says something of a kind. Raises StreamClosedError if it left."""
    while not isinstance(decode_client(await peer.receive()), kind):
        pass


def chunks(delays: Delays) -> Sequence[bytes]:
    """Return the audio of one utterance."""
    silent = round(delays.silence_s * RATE_HZ)
    total = round(delays.chunk_s * RATE_HZ) * delays.chunks
    audio = SILENT * silent + LOUD * (total - silent)
    size = len(audio) // delays.chunks
    return [audio[at : at + size] for at in range(0, len(audio), size)]
