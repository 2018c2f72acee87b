"""A loop over the websockets library, as one writes it by hand."""

# ruff: noqa: D101, D102  # what a channel owes is said once, in benchmarks/clients/__init__.py

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgpack
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.clients.messages import HEADERS, STOP, start, text
from benchmarks.plans import Server, Take

TITLE = "hand-written websockets loop"
OPENS_LATE = False


class Channel:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def speak(self, plan: str, source: AsyncIterable[str], take: Take) -> None:
        sender = asyncio.create_task(self._send(plan, source))
        async for message in self._socket:
            event = msgpack.unpackb(message)
            if event["event"] == "audio":
                take(event["audio"])
            elif event["event"] == "finish":
                break
        await sender

    async def listen(self, plan: str, source: AsyncIterable[str]) -> AsyncIterator[bytes]:
        sender = asyncio.create_task(self._send(plan, source))
        async for message in self._socket:
            event = msgpack.unpackb(message)
            if event["event"] == "audio":
                yield event["audio"]
            elif event["event"] == "finish":
                break
        await sender

    async def _send(self, plan: str, source: AsyncIterable[str]) -> None:
        await self._socket.send(start(plan))
        async for token in source:
            await self._socket.send(text(token))
        await self._socket.send(STOP)


@asynccontextmanager
async def channels(server: Server, count: int) -> AsyncIterator[list[Channel]]:
    tls = server.tls()
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(
                connect(server.ws_url, ssl=tls, additional_headers=HEADERS)
            )
            for _ in range(count)
        ]
        yield [Channel(socket) for socket in sockets]
