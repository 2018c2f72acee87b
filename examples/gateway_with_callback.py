"""A long text through a gateway, by callbacks, with a receiver that is killed half way.

    python examples/gateway_with_callback.py [story.wav]

The receiver runs in a process of its own, which dies without a word after two paragraphs. Started
again, it goes on where its file says it was: every paragraph arrives, and none twice. The gateway
is a local server; with a token of your own, leave that out and give the receiver a public address.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import tempfile
import wave
from functools import partial
from pathlib import Path

from aiohttp import web

from fishlive.gateways import AceData, AudioLink, Task
from fishlive.stores import Phase, SqliteStore
from fishlive.webhooks import Finished, Receiver
from fishlive.webhooks.aiohttp import handler

STORY = (
    "The harbour was quiet before dawn.",
    "A heron stood on the last post of the pier.",
    "It did not move when the first boat left.",
    "It did not move when the second one came home.",
    "Only the tide moved, and brought it breakfast.",
    "By the time the town was awake, the post was empty.",
)
SECRET = "keep this one out of your source, and across restarts"  # noqa: S105


async def submit(gateway: AceData, text: str, url: str) -> Task:
    """Submit a paragraph, with the address for its callback."""
    return await gateway.tts.submit(text, format="wav", callback_url=url)


async def receive(gateway_url: str, port: int, folder: Path) -> None:
    """Submit what was never submitted, and write each paragraph that is done."""

    async def write(task: Finished) -> None:
        made = task.status.unwrap()
        if not isinstance(made, AudioLink):
            raise TypeError(made)
        await made.download(folder / f"{task.note}.wav", overwrite=True)
        await asyncio.sleep(0.2)  # stands for your work with it

    store = SqliteStore(folder / "tasks.sqlite3")
    async with (
        AceData("local", base_url=gateway_url) as gateway,
        Receiver(
            gateway,
            write,
            url=f"http://127.0.0.1:{port}/callback",
            secret=SECRET,
            store=store,
            concurrency=1,
            overdue_s=1.0,  # callbacks that came while nobody listened are asked about
            lease_s=1.0,  # and so is what the dead process was writing
        ) as receiver,
    ):
        app = web.Application()
        app.router.add_route("*", "/callback", handler(receiver))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        known = {
            r.note for phase in Phase for r in await store.select(gateway.name, phase, limit=99)
        }
        for number, paragraph in enumerate(STORY):
            if str(number) not in known:
                send = partial(submit, gateway, paragraph)
                await receiver.submit(send, note=str(number))
        await asyncio.Event().wait()


def parts(folder: Path) -> list[Path]:
    """Return the paragraphs that are there."""
    return sorted(folder.glob("?.wav"))


async def until(count: int, folder: Path) -> None:
    """Wait until so many paragraphs are there."""
    while len(parts(folder)) < count:  # noqa: ASYNC110  # another process makes them
        await asyncio.sleep(0.02)


async def main(path: str) -> None:
    """Render the story, killing the receiver once."""
    from fishlive.server import LocalServer  # pip install "fishlive[local]"

    # It would tell of each callback that found nobody, which is the point here.
    logging.getLogger("fishlive.server").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        async with LocalServer(allow_local_webhooks=True, task_s=0.3) as server:
            command = (sys.executable, __file__, "--receive", server.url, str(port), name)
            receiver = await asyncio.create_subprocess_exec(*command)
            await until(2, folder)
            receiver.send_signal(signal.SIGKILL)
            await receiver.wait()
            print(f"killed with {len(parts(folder))} of {len(STORY)} paragraphs written")
            receiver = await asyncio.create_subprocess_exec(*command)
            await until(len(STORY), folder)
            receiver.kill()
            await receiver.wait()
        with wave.open(path, "wb") as story:
            for number, part in enumerate(parts(folder)):
                with wave.open(str(part)) as read:
                    if number == 0:
                        story.setparams(read.getparams())
                    story.writeframes(read.readframes(read.getnframes()))
    print(f"{path}: all {len(STORY)} paragraphs, each once")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--receive"]:
        asyncio.run(receive(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
    else:
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else "story.wav"))
