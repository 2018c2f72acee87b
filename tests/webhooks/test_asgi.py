"""A receiver as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import uvicorn

from fishlive.errors import ConfigError
from fishlive.webhooks import asgi, bodies
from fishlive.webhooks.bodies import MAX_BODY_BYTES
from fishlive.webhooks.events import NOT_POST, RECEIVED
from tests.webhooks.standin import Seen, receiving, submit
from tests.webhooks.test_aiohttp import Ear


class Living(Ear):
    """An ear with a lifetime."""

    def __init__(self) -> None:
        super().__init__()
        self.life: list[str] = []

    async def __aenter__(self) -> Living:
        self.life.append("entered")
        return self

    async def aclose(self) -> None:
        """End."""
        self.life.append("closed")


def client(ear: Living) -> httpx.AsyncClient:
    """Return a client of an application in this process."""
    transport = httpx.ASGITransport(app=asgi.App(ear))
    return httpx.AsyncClient(transport=transport, base_url="http://hooks.example")


async def test_a_callback_arrives_as_it_was_sent() -> None:
    """The raw body, every header line and the raw query; on any path."""
    ear = Living()
    async with client(ear) as http:
        headers = [("X-Twice", "1"), ("X-Twice", "2")]
        answer = await http.post("/any/path?token=a%2Eb", content=b"\xff{", headers=headers)
    assert (answer.status_code, answer.content) == (RECEIVED.status, RECEIVED.body)
    assert answer.headers["content-type"] == "application/json"
    [(raw_body, pairs, query)] = ear.heard
    assert (raw_body, query) == (b"\xff{", "token=a%2Eb")
    assert [value for name, value in pairs if name == "x-twice"] == ["1", "2"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_posts_are_heard(method: str) -> None:
    """Others get one answer, and nobody hears them."""
    ear = Living()
    async with client(ear) as http:
        answer = await http.request(method, "/")
    assert answer.status_code == NOT_POST.status
    assert ear.heard == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_not_kept(*, chunked: bool) -> None:
    """Declared or not, it is answered alike, and only its beginning is kept."""
    ear = Living()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield bytes(64 * 1024)

    async with client(ear) as http:
        answer = await http.post("/", content=chunks() if chunked else bytes(10_000_000))
    assert answer.status_code == RECEIVED.status
    [(raw_body, _, _)] = ear.heard
    assert len(raw_body) == MAX_BODY_BYTES + 1


async def called(app: asgi.App, scope: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    """Return what an application sends; what it waits for beyond the messages never comes."""
    sent: list[Any] = []
    coming = list(messages)

    async def receive() -> Any:
        return coming.pop(0) if coming else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


POST = {"type": "http", "method": "POST", "headers": [], "query_string": b""}


async def test_a_slow_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After READ_S it is worth nothing."""
    monkeypatch.setattr(bodies, "READ_S", 0.02)
    ear = Living()
    part = {"type": "http.request", "body": b"{", "more_body": True}
    sent = await called(asgi.App(ear), dict(POST), part)
    assert sent[0]["status"] == RECEIVED.status
    assert [raw_body for raw_body, _, _ in ear.heard] == [b""]


async def test_a_body_that_is_cut_off_is_worth_nothing() -> None:
    """What arrived before the sender went away is not looked at."""
    ear = Living()
    part = {"type": "http.request", "body": b"{}", "more_body": True}
    await called(asgi.App(ear), dict(POST), part, {"type": "http.disconnect"})
    assert [raw_body for raw_body, _, _ in ear.heard] == [b""]


async def test_the_server_brings_the_receiver_to_life() -> None:
    """And closes it behind itself."""
    ear = Living()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = await called(asgi.App(ear), {"type": "lifespan"}, *messages)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert ear.life == ["entered", "closed"]


async def test_a_receiver_that_cannot_start_stops_the_server() -> None:
    """With the reason."""

    class Broken(Living):
        async def __aenter__(self) -> Living:
            raise ConfigError("the store cannot be used")

    sent: list[Any] = []
    with pytest.raises(ConfigError):
        sent += await called(asgi.App(Broken()), {"type": "lifespan"}, {"type": "lifespan.startup"})


async def test_a_websocket_is_closed() -> None:
    """It is no callback."""
    sent = await called(asgi.App(Living()), {"type": "websocket"})
    assert sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.usefixtures("hurry")
async def test_it_runs_under_uvicorn(tmp_path: Path) -> None:
    """From the submission to the handler, through the server that most people use."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, ace, gateway):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            config = uvicorn.Config(
                asgi.App(receiver), lifespan="off", log_level="critical", access_log=False
            )
            server = uvicorn.Server(config)
            with contextlib.ExitStack() as stack:
                # It would take the signals of the tests.
                server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # as its documents advise
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                stack.callback(setattr, server, "should_exit", True)
                task_id = await submit(receiver, ace)
                gateway.finish(task_id)
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/?{gateway.query(task_id)}"
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(url, json={"task_id": task_id}) as answer,
                ):
                    assert answer.status == 200
                [done] = await seen.wait(1)
            await serving
    assert done.task_id == task_id
