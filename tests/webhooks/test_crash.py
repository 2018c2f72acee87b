"""Receivers that are killed in the middle of everything."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from fishlive.gateways import AceData
from fishlive.stores import RedisStore, SqliteStore, TaskStore
from fishlive.webhooks import Receiver
from tests.rest.canned import Asked, answering
from tests.stores.servers import redis_server
from tests.webhooks.standin import SECRET, Seen, Standin
from tests.webhooks.victim import lines

COUNT = 60
KILLS = (10, 25, 40)
"""How many tasks are handled when the receiver is killed."""

PATIENCE = 4000
"""Turns of 10 ms that all of it may take; it takes a few seconds."""


class Posting(Standin):
    """A gateway that really calls back: never, twice, before the acknowledgement, or once."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        super().__init__()
        self._client = client
        self.calls: set[asyncio.Task[None]] = set()

    def answer(self, asked: Asked) -> tuple[int, object]:
        """Answer, and call back."""
        status, document = super().answer(asked)
        if asked.path == "/fish/tts":
            number = len(self.addresses) - 1
            task_id = f"task-{number}"
            self.finish(task_id)
            delay_s = 0.0 if number % 4 == 2 else 0.005 * (number % 7)
            for _ in range((1, 0, 1, 2)[number % 4]):
                self.calls.add(asyncio.create_task(self._call(task_id, delay_s)))
        return status, document

    async def _call(self, task_id: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            async with self._client.post(
                str(self.addresses[task_id]), json={"task_id": task_id}
            ) as answer:
                assert answer.status == 200


@contextlib.asynccontextmanager
async def gateway() -> AsyncIterator[tuple[Posting, str]]:
    """Yield a gateway that calls back, and its address."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as client:
        standin = Posting(client)
        async with answering(standin.answer) as (url, _):
            yield standin, url
            await asyncio.gather(*standin.calls)


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Iterator[str]:
    """Yield where the state is kept."""
    if kind == "sqlite":
        yield str(folder / "tasks.sqlite3")
        return
    with redis_server() as url:
        yield url


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_killed_receiver_loses_nothing(kind: str, tmp_path: Path, unused_port: int) -> None:
    """Killed at random moments and started again, it handles every task that can be known of.

    What it may have handled twice says so. Unknowable is only a task whose acknowledgement and
    callback were both lost: its intention is listed.
    """
    with place(kind, tmp_path) as where:
        async with gateway() as (standin, url):
            order = [sys.executable, "-m", "tests.webhooks.victim", url, str(unused_port)]
            order += [str(tmp_path), str(where), str(COUNT)]
            for kills in (*KILLS, None):
                process = subprocess.Popen(order)  # noqa: ASYNC220 - it is started at once
                try:
                    await until(tmp_path / "handled", kills or COUNT - len(KILLS), process)
                    if kills is None:
                        await quiet(tmp_path / "handled")
                finally:
                    process.kill()
                    process.wait()
            accepted = set(standin.texts)
        store: TaskStore = RedisStore(str(where)) if kind == "redis" else SqliteStore(str(where))
        async with (
            AceData("token") as client,
            Receiver(client, Seen(), url="https://x.example/", secret=SECRET, store=store) as left,
        ):
            unacknowledged = {record.note for record in await left.unacknowledged()}
    handled = [line.split() for line in lines(tmp_path / "handled")]
    notes = {note for _, note, _ in handled}
    assert accepted <= notes | unacknowledged
    assert len(unacknowledged) <= len(KILLS)
    firsts = [task_id for task_id, _, again in handled if again == "first"]
    assert len(firsts) == len(set(firsts))


async def until(path: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for so many tasks to be handled."""
    for _ in range(PATIENCE):
        if len({line.split()[0] for line in lines(path)}) >= count:
            return
        assert process.poll() is None, "it died by itself"
        await asyncio.sleep(0.01)
    raise AssertionError(f"only {len(lines(path))} tasks were handled")


async def quiet(path: Path) -> None:
    """Wait until nothing has been handled for a while: longer than a claim."""
    before, still = -1, 0
    while still < 20:
        await asyncio.sleep(0.1)
        now = len(lines(path))
        before, still = now, still + 1 if now == before else 0
