"""What strangers post over HTTP: one answer, nothing kept, nothing asked, never a 5xx."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from fishlive.stores import Phase, RedisStore
from fishlive.webhooks import Receiver, asgi
from fishlive.webhooks.events import LATER, RECEIVED
from tests.stores.servers import redis_server
from tests.webhooks.standin import Seen, Standin, call_back, receiving, submit
from tests.webhooks.test_aiohttp import serving
from tests.webhooks.test_receiver import GARBAGE

pytestmark = pytest.mark.usefixtures("hurry")

Post = Callable[[str, bytes], Any]
GOOD = b'{"task_id": "task-0", "audio_url": "https://cdn.example/a.mp3"}'


@contextlib.asynccontextmanager
async def over_aiohttp(receiver: Receiver) -> AsyncIterator[Post]:
    """Yield a way to post through aiohttp.web."""
    async with serving(receiver) as (client, url, _):

        async def post(query: str, body: bytes) -> tuple[int, bytes]:
            async with client.post(f"{url}?{query}", data=io.BytesIO(body)) as answer:
                return answer.status, await answer.read()

        yield post


@contextlib.asynccontextmanager
async def over_asgi(receiver: Receiver) -> AsyncIterator[Post]:
    """Yield a way to post to the ASGI application."""
    transport = httpx.ASGITransport(app=asgi.App(receiver))
    async with httpx.AsyncClient(transport=transport, base_url="http://hooks.example") as client:

        async def post(query: str, body: bytes) -> tuple[int, bytes]:
            answer = await client.post(f"/hook?{query}", content=body)
            return answer.status_code, answer.content

        yield post


def dump(folder: Path) -> list[Any]:
    """Return all that is kept."""
    with contextlib.closing(sqlite3.connect(folder / "tasks.sqlite3")) as db:
        return db.execute("SELECT * FROM tasks ORDER BY ticket").fetchall()


@pytest.mark.parametrize("door", [over_aiohttp, over_asgi])
async def test_strangers_learn_and_change_nothing(door: Any, tmp_path: Path) -> None:
    """With no token, a wrong one, or a right one and a wrong body: all are answered alike."""
    async with (
        receiving(tmp_path, Seen(), overdue_s=1000) as (receiver, ace, gateway),
        door(receiver) as post,
    ):
        task_id = await submit(receiver, ace)
        query, before = gateway.query(task_id), dump(tmp_path)
        token = query.partition("token=")[2]
        forged = token[:-1] + ("A" if token[-1] != "A" else "B")
        tries = [
            ("", GOOD),
            ("token=", GOOD),
            (f"token={forged}", GOOD),
            (f"{query}&token=x", GOOD),
        ]
        tries += [("token=x", body) for _, body in GARBAGE]
        tries += [(query, body) for _, body in GARBAGE]
        answers = {await post(*one) for one in tries}
        assert answers == {(RECEIVED.status, RECEIVED.body)}
        assert dump(tmp_path) == before
        assert gateway.questions == []


@pytest.mark.parametrize("door", [over_aiohttp, over_asgi])
async def test_a_replayed_callback_costs_nothing(door: Any, tmp_path: Path) -> None:
    """After the task was handled, a hundred repetitions are answered, and nothing else."""
    seen = Seen()
    async with (
        receiving(tmp_path, seen, overdue_s=1000) as (receiver, ace, gateway),
        door(receiver) as post,
    ):
        task_id = await submit(receiver, ace)
        gateway.finish(task_id)
        await post(gateway.query(task_id), GOOD)
        await seen.wait(1)
        while await receiver.store.count("acedata", Phase.DONE) == 0:
            pass
        before, questions = dump(tmp_path), len(gateway.questions)
        answers = {await post(gateway.query(task_id), GOOD) for _ in range(100)}
        assert answers == {(RECEIVED.status, RECEIVED.body)}
        assert dump(tmp_path) == before
        assert len(gateway.questions) == questions
    assert len(seen.events) == 1


async def test_a_redis_that_goes_away_loses_nothing() -> None:
    """Meanwhile a true callback is put off and a stranger's is not; afterwards all is handled."""
    folder = tempfile.mkdtemp(prefix="fl-redis-")  # a socket's path is short
    options = ("--appendonly", "yes", "--appendfsync", "always")
    seen, standin = Seen(), Standin()
    try:
        with contextlib.ExitStack() as servers:
            url = servers.enter_context(redis_server(*options, folder=folder))
            store = RedisStore(url)
            async with receiving(
                # What was claimed when it went away is free again after half a second.
                store, seen, standin=standin, overdue_s=0.05, lease_s=0.5
            ) as (receiver, ace, _):  # fmt: skip
                task_ids = [await submit(receiver, ace) for _ in range(5)]
                servers.close()
                for task_id in task_ids:
                    standin.finish(task_id)
                    assert (await call_back(receiver, standin, task_id)).answer == LATER
                stranger = await receiver.handle(GOOD, {}, "token=x")
                assert stranger.answer == RECEIVED
                servers.enter_context(redis_server(*options, folder=folder))
                await seen.wait(5)
                while await receiver.store.count("acedata", Phase.DONE) < 5:
                    pass
    finally:
        shutil.rmtree(folder)
    assert sorted(event.task_id for event in seen.events) == sorted(task_ids)


async def test_an_address_may_have_a_path_and_a_query_of_its_own(tmp_path: Path) -> None:
    """Behind a proxy that cuts its path off, the token is all that has to arrive."""
    async with (
        receiving(tmp_path, Seen(), overdue_s=1000) as (receiver, ace, gateway),
        serving(receiver) as (_, url, _),
        aiohttp.ClientSession() as client,
    ):
        task_id = await submit(receiver, ace)
        assert str(gateway.addresses[task_id]).startswith("https://hooks.example/fish?app=1&token=")
        body = json.dumps({"task_id": task_id})
        async with client.post(f"{url}?{gateway.query(task_id)}&via=proxy", data=body) as answer:
            assert answer.status == 200
        assert receiver.counts == {"new": 1}
