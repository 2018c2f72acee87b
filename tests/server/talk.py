"""A plain client for these tests: aiohttp and msgpack by hand, nothing of the package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgpack

from fishlive.server import LocalServer

LIVE: Final = "/v1/tts/live"
TIMED: Final = "/v1/tts/live/with-timestamp"
HOURS: Final[dict[str, Any]] = {"first_audio_s": 3600.0}
"""Settings of a server whose audio never comes: what a test does meanwhile is not a race."""


class Talk:
    """One socket to the server."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self.socket = socket

    async def send(self, event: str, **fields: Any) -> None:
        await self.socket.send_bytes(msgpack.packb({"event": event, **fields}))

    async def start(self, **request: Any) -> None:
        await self.send("start", request={"text": "", "format": "pcm", **request})

    async def say(self, *texts: str, stop: bool = True, **request: Any) -> None:
        await self.start(**request)
        for text in texts:
            await self.send("text", text=text)
        if stop:
            await self.send("stop")

    async def next(self) -> dict[str, Any]:
        """Return the next event; an empty one when the socket was closed."""
        message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            return {}
        event: dict[str, Any] = msgpack.unpackb(message.data)
        return event

    async def rest(self) -> list[dict[str, Any]]:
        """Return everything up to ``finish``, ``error`` or the end of the socket."""
        events = []
        while event := await self.next():
            events.append(event)
            if event["event"] != "audio":
                break
        return events

    async def audio(self) -> bytes:
        """Return the audio of one utterance that ends well."""
        *audio, finish = await self.rest()
        assert finish["event"] == "finish", finish
        assert finish["reason"] == "stop"
        return b"".join(event["audio"] for event in audio)


def headers(key: str = "local", **more: str) -> dict[str, str]:
    """Return what opens the door."""
    return {"Authorization": f"Bearer {key}", **more}


@asynccontextmanager
async def talking(
    server: LocalServer, path: str = LIVE, *, key: str = "local", **more: Any
) -> AsyncIterator[Talk]:
    """Open a socket; ``more`` goes to aiohttp."""
    async with (
        aiohttp.ClientSession(headers=headers(key)) as session,
        session.ws_connect(server.url + path, **more) as socket,
    ):
        yield Talk(socket)


@asynccontextmanager
async def posting(
    server: LocalServer, *, key: str | None = "local", path: str = "/v1/tts", **request: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Post a request; ``request`` goes to aiohttp."""
    given = headers(key) if key is not None else {}
    given.update(request.pop("headers", {}))
    async with (
        aiohttp.ClientSession(headers=given) as session,
        session.post(server.url + path, **request) as response,
    ):
        yield response


@asynccontextmanager
async def asking(
    server: LocalServer, method: str, path: str, *, key: str | None = "local", **request: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send any request; ``request`` goes to aiohttp."""
    given = headers(key) if key is not None else {}
    given.update(request.pop("headers", {}))
    async with (
        aiohttp.ClientSession(headers=given) as session,
        session.request(method, server.url + path, **request) as response,
    ):
        yield response


async def answer(server: LocalServer, method: str, path: str, **request: Any) -> tuple[int, Any]:
    """Return the status of any request, and its JSON; None for an empty body."""
    async with asking(server, method, path, **request) as response:
        return response.status, await response.json() if await response.read() else None


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop work until ``condition`` holds; the test's own limit ends a vain wait."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("never came true")
