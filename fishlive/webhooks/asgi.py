"""A receiver as an ASGI application: under uvicorn, or mounted in FastAPI or Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from fishlive.webhooks.bodies import Headers, collected
from fishlive.webhooks.events import NOT_POST, Answer, Event

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Served(Protocol):
    """A receiver: hears, and has a lifetime."""

    async def __aenter__(self) -> Any: ...

    async def aclose(self) -> None:
        """Stop."""

    async def handle(self, raw_body: bytes, headers: Headers, query: str) -> Event:
        """Return what a request was worth and what to answer."""


class _Body:
    """Whether the last part of a request was read."""

    ended = False


class App:
    """An ASGI 3 application around a receiver.

    On its own, as ``uvicorn module:app``, it enters and leaves the receiver with the server. A
    mounted application is not told of the server's start: there, enter the receiver in the outer
    application's lifespan. FastAPI and Starlette redirect ``/hooks`` to ``/hooks/``, where no
    gateway follows: give the receiver's ``url`` the slash of a mount.

    Args:
        receiver: Whose callbacks these are.
    """

    def __init__(self, receiver: Served) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's lifespan. Any path is the receiver's."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await _respond(await self._answer(scope, receive), send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return NOT_POST
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        state = _Body()
        body = await collected(lambda: _next(receive, state))
        query = scope.get("query_string", b"").decode("latin-1")
        return (await self._receiver.handle(body.raw, headers, query)).answer

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._receiver.__aenter__()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._receiver.aclose()
        await send({"type": "lifespan.shutdown.complete"})


async def _respond(answer: Answer, send: Send) -> None:
    headers = [
        (b"content-type", Answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _next(receive: Receive, body: _Body) -> bytes | None:
    """Return the next part of a request; None at its end."""
    if body.ended:
        return None
    message = await receive()
    if message["type"] != "http.request":
        raise EOFError("the sender went away")
    body.ended = not message.get("more_body", False)
    return bytes(message.get("body", b""))
