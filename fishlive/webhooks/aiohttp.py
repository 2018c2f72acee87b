"""A receiver behind ``aiohttp.web``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from fishlive.webhooks.bodies import Headers, collected
from fishlive.webhooks.events import NOT_POST, Answer, Event


class Hears(Protocol):
    """Whatever has the receivers' ``handle``."""

    async def handle(self, raw_body: bytes, headers: Headers, query: str) -> Event:
        """Return what a request was worth and what to answer."""


def handler(receiver: Hears) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a handler for ``app.router.add_route("*", path, …)``.

    Reads as much as it wants and for READ_S, so the application's ``client_max_size`` does not
    matter. A connection whose request was not read to its end is closed behind the answer.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return _response(NOT_POST)
        body = await collected(lambda: _next(request))
        headers = list(request.headers.items())
        event = await receiver.handle(body.raw, headers, request.rel_url.raw_query_string)
        response = _response(event.answer)
        if not body.complete:
            await _last(request, response)
        return response

    return handle


async def read_request(request: web.Request) -> bytes:
    """Return a request's body as :func:`handler` would pass it on."""
    return (await collected(lambda: _next(request))).raw


async def _next(request: web.Request) -> bytes | None:
    return await request.content.readany() or None


async def _last(request: web.Request, response: web.Response) -> None:
    """Answer, and hang up: the server would go on reading for half a minute."""
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    request.protocol.force_close()


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type=Answer.content_type)
