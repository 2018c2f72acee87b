"""A relay between a client and the local server that writes down what passes, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import WSMsgType, web

from fishlive.limits import MIB
from fishlive.server import LocalServer
from tests.conftest import settle
from tests.contract.checking import Exchange, Frame

MOST_BYTES: Final = 64 * MIB
"""Largest request that passes: larger than any that a test sends."""

_HOP_BY_HOP: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"}
)


@dataclass
class Tape:
    """What passed, in order.

    Attributes:
        url: Where the relay is.
    """

    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


@asynccontextmanager
async def recorded(server: LocalServer) -> AsyncIterator[Tape]:
    """Yield a tape of a relay that runs before a server."""
    tape = Tape()
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await _talk(request, server, session, tape)
            return await _ask(request, server, session, tape)

        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        tape.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield tape
        finally:
            await settle()  # whoever connected and left at once is still being let in
            await runner.cleanup()


async def _ask(
    request: web.Request, server: LocalServer, session: aiohttp.ClientSession, tape: Tape
) -> web.Response:
    body = await request.read()
    async with session.request(
        request.method,
        server.url + request.raw_path,
        headers=_passed(request),
        data=body or None,
        skip_auto_headers=("Content-Type",),
    ) as response:
        answer = await response.read()
    tape.exchanges.append(
        Exchange(
            request.method,
            request.raw_path.partition("?")[0],
            tuple(request.query.items()),
            {name.lower(): value for name, value in request.headers.items()},
            body,
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            answer,
        )
    )
    headers = {k: v for k, v in response.headers.items() if k.lower() not in _HOP_BY_HOP}
    return web.Response(status=response.status, headers=headers, body=answer)


async def _talk(
    request: web.Request, server: LocalServer, session: aiohttp.ClientSession, tape: Tape
) -> web.WebSocketResponse:
    near = web.WebSocketResponse(compress=False, max_msg_size=0)
    async with session.ws_connect(
        server.url + request.path, headers=_passed(request), max_msg_size=0
    ) as far:
        await near.prepare(request)

        async def pass_on(
            source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse[bool],
            target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse[bool],
            *,
            from_client: bool,
        ) -> None:
            async for message in source:
                assert message.type is WSMsgType.BINARY
                tape.frames.append(Frame(request.path, from_client, message.data))
                with contextlib.suppress(ConnectionError):  # whoever listened may be gone
                    await target.send_bytes(message.data)
            await target.close()

        back = asyncio.ensure_future(pass_on(far, near, from_client=False))
        try:
            await pass_on(near, far, from_client=True)
        finally:
            await asyncio.wait([back])
    return near


def _passed(request: web.Request) -> dict[str, str]:
    return {
        name: value
        for name, value in request.headers.items()
        if name.lower() not in _HOP_BY_HOP and not name.lower().startswith("sec-websocket")
    }
