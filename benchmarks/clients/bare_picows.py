"""picows and msgpack, no more than must be: the floor that everything else is measured from."""

# ruff: noqa: D101, D102  # what a channel owes is said once, in benchmarks/clients/__init__.py

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgpack
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.clients.messages import HEADERS, STOP, start, text
from benchmarks.plans import Server, Take

TITLE = "bare picows + msgpack"
OPENS_LATE = False


class Channel(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.BINARY:
            return
        event = msgpack.unpackb(frame.get_payload_as_memoryview())
        if event["event"] == "audio":
            self._take(event["audio"])
        elif event["event"] == "finish":
            self._finished.set_result(None)

    async def speak(self, plan: str, source: AsyncIterable[str], take: Take) -> None:
        self._take = take
        self._finished = asyncio.get_running_loop().create_future()
        self._transport.send(WSMsgType.BINARY, start(plan))
        async for token in source:
            self._transport.send(WSMsgType.BINARY, text(token))
        self._transport.send(WSMsgType.BINARY, STOP)
        await self._finished


@asynccontextmanager
async def channels(server: Server, count: int) -> AsyncIterator[list[Channel]]:
    tls = server.tls()
    opened = [
        # The same TLS as fishlive's: what is measured is what stands on the socket.
        await ws_connect(
            Channel, server.ws_url, ssl_context=tls, extra_headers=HEADERS, use_aiofastnet=False
        )
        for _ in range(count)
    ]
    try:
        yield [cast("Channel", listener) for _, listener in opened]
    finally:
        for transport, _ in opened:
            transport.disconnect()
            await transport.wait_disconnected()
