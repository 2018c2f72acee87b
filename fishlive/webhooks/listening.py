"""Looks at what arrives at an address, for people: nothing is kept, nothing is believed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiohttp import web

from fishlive.errors import ConfigError
from fishlive.gateways.tasks import read_status
from fishlive.webhooks.aiohttp import read_request
from fishlive.webhooks.bodies import MalformedBody, parsed
from fishlive.webhooks.events import RECEIVED


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request.

    Attributes:
        method: Of HTTP.
        path: Without its query, which may hold a secret.
        size_bytes: Of the body, as far as it was read.
        task_id: Of which task it speaks, if it does.
        says: What it says of that task, or why it cannot be read. Nobody has to believe it.
        audio_url: Where it says the audio is.
    """

    method: str
    path: str
    size_bytes: int
    task_id: str | None = None
    says: str = ""
    audio_url: str | None = field(default=None, repr=False)


@contextlib.asynccontextmanager
async def listening(host: str, port: int, arrived: Callable[[Arrival], None]) -> AsyncIterator[str]:
    """Yield the address where requests are looked at, each answered the same way.

    Args:
        host: Address to listen on.
        port: 0 takes a free one.
        arrived: Called with each.

    Raises:
        ConfigError: It cannot be listened on.
    """

    async def look(request: web.Request) -> web.Response:
        arrived(_seen(request, await read_request(request)))
        return web.Response(
            status=RECEIVED.status, body=RECEIVED.body, content_type=RECEIVED.content_type
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", look)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            where = f"{host}:{port}"
            raise ConfigError(
                f"cannot listen on {where}: {error.strerror}", argument="port"
            ) from error
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _seen(request: web.Request, raw_body: bytes) -> Arrival:
    head = (request.method, request.path, len(raw_body))
    try:
        said = parsed(raw_body)
    except MalformedBody as error:
        return Arrival(*head, says=f"unreadable: {error}")
    task_id = said.get("task_id")
    if not isinstance(task_id, str):
        return Arrival(*head, says="speaks of no task")
    status = read_status(said, task_id)
    why = "" if status.error is None else f": {status.error}"
    url = getattr(status.result, "audio_url", None)
    return Arrival(*head, task_id, f"{status.state.value}{why}", url)
