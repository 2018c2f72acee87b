"""A service for the live tests: in memory, played by the test, message by message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fishlive.flow.retry import RetryPolicy
from fishlive.live.channel import LiveTTS
from fishlive.session import Session
from fishlive.transport.memory import MemoryPeer, MemoryRequest, MemoryServer
from fishlive.wire.serving import (
    ClientEvent,
    Flush,
    Start,
    Stop,
    Text,
    decode_client,
    encode_audio,
    encode_finish,
)
from tests.conftest import settle

ONCE = RetryPolicy(attempts=1)
"""Never tries again."""

KEY = "test-key"

LOUD = b"\x00\x40"
"""One loud sample of PCM."""

SECOND = LOUD * 24_000
"""A second of the live default, 24 kHz PCM."""


class Service:
    """Accepts every connection (or what ``answer`` does) and keeps its peers in order."""

    def __init__(self, answer: Callable[[MemoryRequest], object] | None = None) -> None:
        self._answer = answer
        self._server = MemoryServer(self._arrived)
        self.connect = self._server.connect
        self.requests: list[MemoryRequest] = []
        self.peers: list[MemoryPeer] = []

    @property
    def peer(self) -> MemoryPeer:
        """The newest connection."""
        return self.peers[-1]

    def _arrived(self, request: MemoryRequest) -> None:
        self.requests.append(request)
        if self._answer is None:
            self.accept(request)
        else:
            self._answer(request)

    def accept(self, request: MemoryRequest) -> MemoryPeer:
        """Open the WebSocket that was asked for."""
        peer = request.accept({"X-Fish-Trace-Id": "trace-1"})
        self.peers.append(peer)
        return peer


@contextlib.asynccontextmanager
async def open_channel(service: Service, **options: Any) -> AsyncIterator[LiveTTS]:
    """Open a channel to a service; failures are final unless ``retry`` says otherwise."""
    options.setdefault("retry", ONCE)
    options.setdefault("standby", 0)
    async with (
        Session(KEY, base_url="http://127.0.0.1:9", transport=service.connect) as fish,
        fish.live(**options) as live,
    ):
        yield live


def said(peer: MemoryPeer) -> list[ClientEvent | None]:
    """Return everything a client said on one connection."""
    return [decode_client(message) for message in peer.messages]


def texts(peer: MemoryPeer) -> list[str]:
    """Return the text messages of a connection."""
    return [event.text for event in said(peer) if isinstance(event, Text)]


def kinds(peer: MemoryPeer) -> str:
    """Return the order of events as letters: start, text, flush, stop; ``S`` for stop."""
    letters = {Start: "s", Text: "t", Flush: "f", Stop: "S"}
    return "".join(letters[type(event)] for event in said(peer) if event is not None)


def speak(peer: MemoryPeer, *chunks: bytes, finish: str | None = "stop") -> None:
    """Send audio, and finish."""
    for chunk in chunks:
        peer.send(encode_audio(chunk))
    if finish is not None:
        peer.send(encode_finish(finish))


async def read(source: Any) -> list[bytes]:
    """Return all chunks of an utterance."""
    return [chunk async for chunk in source]


async def reading(source: Any) -> asyncio.Task[list[bytes]]:
    """Read in another task, which waits for audio by now."""
    task = asyncio.create_task(read(source))
    await settle()
    return task
