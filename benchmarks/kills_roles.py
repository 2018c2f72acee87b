"""The processes of ``benchmarks.kills``: the gateway, and the receiver that is made to be killed.

``python -m benchmarks.kills_roles gateway|receiver JSON`` says hello in a JSON line. The gateway
then answers each line with all it knows of; the receiver runs until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.kills_count import BEGAN, RETURNED, Line
from fishlive.gateways import AceData, Task
from fishlive.stores import RedisStore, SqliteStore, TaskStore
from fishlive.webhooks import Finished, Receiver

SECRET = "a secret of the benchmark, and of nothing else"  # noqa: S105
RECOVER_S = 20.0
"""Pause between looks for lost acknowledgements, in seconds."""

LIFE = uuid.uuid4().hex[:12]
"""Names this process, so that what is handed over twice by one is told from what is by two."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is.

    Attributes:
        gateway: Address of the gateway.
        port: Where the receiver listens.
        store: Path of an SQLite file, or the address of a Redis.
        log: Where the handler notes when it begins and when it returns.
        results: Where the application keeps each result, under the ticket of its task.
        begun: Where the receiver notes what it submits; empty if it submits nothing.
        tasks: How many it submits.
        settings: Of the receiver, where they are not the usual ones.
    """

    gateway: str
    port: int
    store: str
    log: str
    results: str
    begun: str = ""
    tasks: int = 0
    settings: dict[str, float] | None = None

    def opened(self) -> TaskStore:
        """Return the store."""
        return RedisStore(self.store) if "://" in self.store else SqliteStore(self.store)

    def receiver(self, client: AceData, handler: object) -> Receiver:
        """Return a receiver; without a handler it only submits."""
        return Receiver(
            client,
            handler,  # type: ignore[arg-type]  # a handler or None
            url=f"http://127.0.0.1:{self.port}/hook",
            secret=SECRET,
            store=self.opened(),
            **self.settings or {},  # type: ignore[arg-type]  # numbers
        )

    def written(self) -> str:
        """Return it as an argument."""
        return json.dumps(asdict(self))


def append(path: str, line: str) -> None:
    """Write a line that a killed process leaves whole."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def keep(path: Path, text: str) -> bool:
    """Keep a result under its ticket, whole; return False if it is there already."""
    draft = path.with_name(f"{path.name}.{LIFE}")
    draft.write_text(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def lines(path: str) -> list[str]:
    """Return the lines written so far."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


async def send(receiver: Receiver, client: AceData, number: int) -> Task:
    """Submit a task whose note and text are its number."""
    return await receiver.submit(
        lambda url: client.tts.submit(str(number), format="wav", callback_url=url),
        note=str(number),
    )


async def gateway(callbacks: str, task_s: float) -> None:
    """Run a local server; tell of its tasks when asked."""
    from fishlive.server import LocalServer

    # It would tell of each callback that found nobody, which is the point here.
    logging.getLogger("fishlive.server").setLevel(logging.ERROR)
    settings: dict[str, Any] = {"callbacks": callbacks, "task_s": task_s, "concurrency": 100_000}
    async with LocalServer(allow_local_webhooks=True, **settings) as server:
        hello(server.url)
        while await asyncio.to_thread(sys.stdin.readline):
            desk = server._desk
            assert desk is not None
            known = desk.jobs._records.values()
            print(json.dumps({one.id: one.request["text"] for one in known}), flush=True)


async def receiver(place: Place) -> None:
    """Hear, handle and, if it is to, submit; until killed."""
    from aiohttp import web

    from fishlive.webhooks.aiohttp import handler

    async def note(done: Finished) -> None:
        line = Line(BEGAN, LIFE, done.ticket, done.task_id, done.note, told=done.redelivered)
        append(place.log, line.written())
        await asyncio.sleep(0.002)  # stands for work
        kept = keep(Path(place.results, done.ticket), done.note)
        await asyncio.sleep(0.002)
        append(place.log, replace(line, what=RETURNED, kept=kept).written())

    async with (
        AceData("local", base_url=place.gateway) as client,
        place.receiver(client, note) as receiver,
    ):
        app = web.Application()
        app.router.add_route("*", "/hook", handler(receiver))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", place.port, reuse_address=True).start()
        hello(f"http://127.0.0.1:{place.port}")
        if place.begun:
            recovering = asyncio.create_task(recovered(receiver))
            await submitted(receiver, client, place)
            await recovering
        await asyncio.Event().wait()


async def recovered(receiver: Receiver) -> None:
    """Look for what an earlier process sent and was killed over."""
    while True:
        await asyncio.sleep(RECOVER_S)
        await receiver.recover()


async def submitted(receiver: Receiver, client: AceData, place: Place) -> None:
    """Submit what was not begun, a few at a time; end."""
    numbers = iter(range(len(lines(place.begun)), place.tasks))

    async def some() -> None:
        for number in numbers:
            append(place.begun, str(number))
            await send(receiver, client, number)

    await asyncio.gather(*(some() for _ in range(8)))


def hello(url: str) -> None:
    """Say where it listens."""
    print(json.dumps({"url": url}), flush=True)


def main() -> None:
    if sys.argv[1] == "gateway":
        asyncio.run(gateway(sys.argv[2], float(sys.argv[3])))
    else:
        asyncio.run(receiver(Place(**json.loads(sys.argv[2]))))


if __name__ == "__main__":
    main()
