"""A loop over aiohttp's WebSocket, as one writes it by hand."""

# ruff: noqa: D101, D102  # what a channel owes is said once, in benchmarks/clients/__init__.py

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import msgpack

from benchmarks.clients.messages import HEADERS, STOP, start, text
from benchmarks.plans import Server, Take

TITLE = "hand-written aiohttp loop"
OPENS_LATE = False


class Channel:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket

    async def speak(self, plan: str, source: AsyncIterable[str], take: Take) -> None:
        sender = asyncio.create_task(self._send(plan, source))
        async for message in self._socket:
            event = msgpack.unpackb(message.data)
            if event["event"] == "audio":
                take(event["audio"])
            elif event["event"] == "finish":
                break
        await sender

    async def listen(self, plan: str, source: AsyncIterable[str]) -> AsyncIterator[bytes]:
        sender = asyncio.create_task(self._send(plan, source))
        async for message in self._socket:
            event = msgpack.unpackb(message.data)
            if event["event"] == "audio":
                yield event["audio"]
            elif event["event"] == "finish":
                break
        await sender

    async def _send(self, plan: str, source: AsyncIterable[str]) -> None:
        await self._socket.send_bytes(start(plan))
        async for token in source:
            await self._socket.send_bytes(text(token))
        await self._socket.send_bytes(STOP)


@asynccontextmanager
async def channels(server: Server, count: int) -> AsyncIterator[list[Channel]]:
    connector = aiohttp.TCPConnector(limit=0, ssl=server.tls() or True)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        sockets = [
            await stack.enter_async_context(http.ws_connect(server.ws_url, headers=HEADERS))
            for _ in range(count)
        ]
        yield [Channel(socket) for socket in sockets]
