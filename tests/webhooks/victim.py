"""A receiver in a process of its own, made to be killed: submits tasks, and notes each it handles.

What it is told: the gateway's address, its own port, its folder, how many tasks there are to be.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web

from fishlive.errors import FishLiveError
from fishlive.gateways import AceData
from fishlive.stores import RedisStore, SqliteStore, TaskStore
from fishlive.stores import record as record_module
from fishlive.webhooks import Finished, Receiver, reconciler, worker
from fishlive.webhooks.aiohttp import handler
from tests.webhooks.standin import SECRET


def hurry() -> None:
    """Wait for nothing as long as a real one would."""
    record_module.ADOPT_S = 0.3  # type: ignore[misc]  # the point of this function
    reconciler.POLL_SPACING_S = 0.05  # type: ignore[misc]
    reconciler.HINT_SPACING_S = 0.01  # type: ignore[misc]
    reconciler.PENDING_S = 0.05  # type: ignore[misc]
    worker.IDLE_S = 0.05  # type: ignore[misc]


def append(path: Path, line: str) -> None:
    """Write a line that a killed process leaves whole."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def lines(path: Path) -> list[str]:
    """Return the lines written so far."""
    return path.read_text().splitlines() if path.exists() else []


async def speak(receiver: Receiver, client: AceData, text: str) -> None:
    """Submit a task whose note is its text."""
    await receiver.submit(lambda url: client.tts.submit(text, callback_url=url), note=text)


async def main(base_url: str, port: int, folder: Path, place: str, count: int) -> None:
    """Run until killed."""

    async def note(event: Finished) -> None:
        again = "again" if event.redelivered else "first"
        append(folder / "handled", f"{event.task_id} {event.note} {again}")

    store: TaskStore = RedisStore(place) if "://" in place else SqliteStore(place)
    url = f"http://127.0.0.1:{port}/hook"
    async with (
        AceData("token", base_url=base_url) as client,
        Receiver(
            client, note, url=url, secret=SECRET, store=store, lease_s=1.0, overdue_s=0.3
        ) as receiver,
    ):
        app = web.Application()
        app.router.add_route("*", "/hook", handler(receiver))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        begun = len(lines(folder / "begun"))
        for number in range(begun, count):
            append(folder / "begun", str(number))
            try:
                await speak(receiver, client, str(number))
            except FishLiveError as error:
                append(folder / "errors", repr(error))
        await asyncio.Event().wait()


if __name__ == "__main__":
    hurry()
    asyncio.run(
        main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    )
