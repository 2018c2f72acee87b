"""A receiver mounted in FastAPI, behind the server that most people use."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn

from fishlive.errors import UsageError
from fishlive.gateways import AceData
from fishlive.webhooks import Receiver, asgi
from tests.rest.canned import answering
from tests.webhooks.standin import SECRET, Seen, Standin, submit

fastapi = pytest.importorskip("fastapi")

TURNS = 2000
"""Turns of 5 ms that a server may take to start; it takes a few."""


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Yield the address of an application that uvicorn serves, its lifespan included."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="on", log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        # It would take the signals of the tests.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # as its documents advise
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        for _ in range(TURNS):
            if server.started or serving.done():
                break
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def made(folder: Path, seen: Seen) -> AsyncIterator[tuple[Receiver, AceData, Standin]]:
    """Yield a receiver that nobody has entered."""
    standin = Standin()
    async with (
        answering(standin.answer) as (base_url, _),
        AceData("token", base_url=base_url) as client,
    ):
        url = "https://hooks.example/hooks/fish/"
        yield Receiver(client, seen, url=url, secret=SECRET, store=folder / "x"), client, standin


async def post(url: str, task_id: str) -> tuple[int, bytes]:
    """Return what a callback is answered with, without following it anywhere."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json={"task_id": task_id}, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.read()


@pytest.mark.usefixtures("hurry")
async def test_it_is_mounted_in_fastapi(tmp_path: Path) -> None:
    """Entered in the outer lifespan, it hears under its path; other routes are as they were."""
    seen = Seen()
    async with made(tmp_path, seen) as (receiver, ace, gateway):

        @contextlib.asynccontextmanager
        async def lifespan(_app: Any) -> AsyncIterator[None]:
            async with receiver:
                yield

        app = fastapi.FastAPI(lifespan=lifespan)

        async def health() -> dict[str, bool]:
            return {"well": True}

        app.add_api_route("/health", health)
        app.mount("/hooks", asgi.App(receiver))
        async with served(app) as url:
            task_id = await submit(receiver, ace)
            gateway.finish(task_id)
            query = gateway.query(task_id)
            assert await post(f"{url}/hooks/fish/?{query}", task_id) == (200, b'{"received":true}')
            [done] = await seen.wait(1)
            async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as answer:
                assert await answer.json() == {"well": True}
        with pytest.raises(UsageError, match="closed"):
            await receiver.callback_url()
    assert done.task_id == task_id


async def test_a_mount_alone_does_not_enter_the_receiver(tmp_path: Path) -> None:
    """FastAPI tells mounted applications nothing of its start: a true callback is put off."""
    async with made(tmp_path, Seen()) as (receiver, _, _):
        app = fastapi.FastAPI()
        app.mount("/hooks", asgi.App(receiver))
        _, token = receiver._tokens.mint()
        async with served(app) as url:
            status, body = await post(f"{url}/hooks/fish/?token={token}", "t")
            assert (status, body) == (503, b'{"received":false}')
        await receiver.aclose()


async def test_the_mounts_own_path_has_a_slash(tmp_path: Path) -> None:
    """Without it FastAPI redirects, where no gateway follows: give the receiver's url its slash."""
    async with made(tmp_path, Seen()) as (receiver, _, _):
        app = fastapi.FastAPI()
        app.mount("/hooks", asgi.App(receiver))
        async with served(app) as url:
            assert (await post(f"{url}/hooks/", "t"))[0] == 200
            assert (await post(f"{url}/hooks", "t"))[0] in {200, 307}
        await receiver.aclose()


@pytest.mark.usefixtures("hurry")
async def test_on_its_own_it_lives_with_the_server(tmp_path: Path) -> None:
    """``uvicorn module:app`` enters the receiver and closes it; nobody else has to."""
    seen = Seen()
    async with made(tmp_path, seen) as (receiver, ace, gateway):
        async with served(asgi.App(receiver)) as url:
            task_id = await submit(receiver, ace)
            gateway.finish(task_id)
            await post(f"{url}/anything?{gateway.query(task_id)}", task_id)
            [done] = await seen.wait(1)
        with pytest.raises(UsageError, match="closed"):
            await receiver.callback_url()
    assert done.task_id == task_id
