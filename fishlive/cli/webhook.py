"""``fishlive webhook``: what arrives at an address, while it arrives."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fishlive.cli import options
from fishlive.cli.answers import write_text
from fishlive.cli.exits import STOPPED, Failure, one_line
from fishlive.cli.notes import note
from fishlive.cli.signals import run

if TYPE_CHECKING:
    from fishlive.webhooks.listening import Arrival

PORT: Final = 8766
"""Beside the local server's."""

app: Final[typer.Typer] = typer.Typer(name="webhook", help="Callbacks: look at them.")


@app.callback()
def _group() -> None:
    """Keep ``listen`` a command of its own, though it is the only one."""


@app.command("listen")
def listen(
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = PORT,
    as_json: options.AsJson = False,
) -> None:
    """Show what arrives, one line each, until it is stopped. Nothing is kept, nothing believed.

    Give its address to a gateway as callback_url; `fishlive serve --allow-local-webhooks` posts
    to this machine. Ctrl-C stops it, with exit code 0.
    """
    try:
        run(lambda: _listen(host, port, as_json))
    except Failure as failure:
        if failure.code not in STOPPED:
            raise
        note("stopped")


async def _listen(host: str, port: int, as_json: bool) -> None:
    from fishlive.webhooks.listening import listening

    unheard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def show(arrival: Arrival) -> None:
        try:
            write_text(_line(arrival, as_json=as_json) + "\n")
            sys.stdout.flush()
        except Failure as error:  # whoever read it went away; its sender is answered all the same
            if not unheard.done():
                unheard.set_exception(error)

    async with listening(host, port, show) as url:
        note(f"listening on {url} (Ctrl-C stops it)")
        await unheard


def _line(arrival: Arrival, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {
                "method": arrival.method,
                "path": arrival.path,
                "size_bytes": arrival.size_bytes,
                "task_id": arrival.task_id,
                "says": arrival.says,
                "audio_url": arrival.audio_url,
            }
        )
    head = f"{arrival.method} {arrival.path}, {arrival.size_bytes} bytes"
    if arrival.task_id is None:
        return one_line(f"{head}: {arrival.says}")
    link = f" {arrival.audio_url}" if arrival.audio_url else ""
    # A stranger's path may hold line ends, and forge lines of others.
    return one_line(f"{head}: {arrival.task_id} {arrival.says}{link}")
