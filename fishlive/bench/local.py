"""The local server in a process of its own, so that its work is not in the numbers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import anyio

from fishlive.bench.lanes import Service
from fishlive.errors import ConfigError
from fishlive.secret import Secret

CHILD: Final = "fishlive.bench.child"
"""What the other process runs."""

START_S: Final = 30.0
"""How long the child may take until it listens, in seconds: it imports for one."""

END_S: Final = 5.0
"""How long it may take to end, in seconds; then it is killed."""


@contextlib.asynccontextmanager
async def local_server(settings: Mapping[str, Any]) -> AsyncIterator[Service]:
    """Yield where a local server is; it ends behind the block, whatever ends that.

    Args:
        settings: Of :class:`~fishlive.server.settings.Settings`, as far as JSON can carry them.

    Raises:
        ConfigError: A setting that cannot be, or the extra ``local`` is missing.
    """
    _check(settings)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        CHILD,
        json.dumps(dict(settings)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # A Ctrl-C of the terminal is for us; the server is still there for those who finish.
        **_apart(),
    )
    try:
        try:
            with anyio.fail_after(START_S):
                service = await _service(child)
        except TimeoutError as error:
            raise ConfigError("the local server does not start", argument="local") from error
        yield service
    finally:
        await _end(child)


async def _service(child: asyncio.subprocess.Process) -> Service:
    assert child.stdout is not None  # noqa: S101  # it was asked for
    line = await child.stdout.readline()
    try:
        said = json.loads(line)
        return Service(base_url=said["url"], key=Secret(said["key"]), process=child.pid)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError("the local server does not start", argument="local") from error


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None:
        child.stdin.close()
    waiting = asyncio.ensure_future(child.wait())
    try:
        await asyncio.wait([waiting], timeout=END_S)
    finally:
        if not waiting.done():
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await waiting


def _check(settings: Mapping[str, Any]) -> None:
    from fishlive.server.settings import Settings

    try:
        Settings(**settings)
    except TypeError as error:
        raise ConfigError(f"no such setting: {error}", argument="local") from error


def _apart() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
