"""A service over a real socket that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from fishlive.limits import MIB
from fishlive.secret import Secret
from fishlive.transport.http import Http
from tests.conftest import settle

MOST_BYTES = 64 * MIB
"""Largest request it takes: larger than any that a test sends."""


@dataclass(frozen=True)
class Asked:
    """One request as it came.

    Attributes:
        method: Of HTTP.
        path: As on the wire, with its query.
        headers: Names in lower case.
        body: Whole.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


@dataclass
class Canned:
    """The service, and a client of it.

    Attributes:
        http: Speaks to it.
        asked: Requests so far.
    """

    http: Http
    asked: list[Asked] = field(default_factory=list)


@asynccontextmanager
async def answering(
    answer: Callable[[Asked], tuple[int, object]], *, headers: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[str, list[Asked]]]:
    """Yield the address of a service that answers by a function, and what it was asked."""
    asked: list[Asked] = []

    async def handle(request: web.Request) -> web.Response:
        names = {name.lower(): value for name, value in request.headers.items()}
        asked.append(Asked(request.method, request.raw_path, names, await request.read()))
        status, document = answer(asked[-1])
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return web.Response(
            body=body, status=status, headers=headers, content_type="application/json"
        )

    app = web.Application(client_max_size=MOST_BYTES)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await settle()  # whoever connected and left at once is still being let in
        await runner.cleanup()


@asynccontextmanager
async def canned(
    document: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Canned]:
    """Yield a service that answers everything with one document."""
    async with answering(lambda _asked: (status, document), headers=headers) as (url, asked):
        http = Http(base_url=url, key=Secret("sesame"))
        try:
            yield Canned(http, asked)
        finally:
            await http.aclose()
