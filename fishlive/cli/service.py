"""Which service a command speaks to, and with which key."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fishlive.cli.exits import about_file, usage
from fishlive.limits import KIB
from fishlive.secret import LOCAL_KEY, Secret
from fishlive.session import Session

MAX_KEY_FILE_BYTES: Final = 4 * KIB
"""Largest key file that is read. A key has under 100 characters; a larger file is another file."""


@dataclass(frozen=True)
class Service:
    """Where to speak to.

    Attributes:
        base_url: Address; None for ``FISH_BASE_URL``, else the service's own.
        key_file: File with the key; None for ``FISH_API_KEY``.
        local: Whether to run the local server for this one command.
    """

    base_url: str | None = None
    key_file: Path | None = None
    local: bool = False

    def check(self) -> None:
        """Raise Failure for what can be seen to be wrong before anything is written or sent."""
        if not self.local:
            _ = self._session()
            return
        if self.base_url is not None or self.key_file is not None:
            raise usage("--local needs no --base-url and no --key-file: leave one side out")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Session]:
        """Yield an open session; the local server ends behind it."""
        if not self.local:
            async with self._session() as fish:
                yield fish
            return
        from fishlive.server import LocalServer

        async with (
            LocalServer() as server,
            Session(LOCAL_KEY, base_url=server.url) as fish,
        ):
            yield fish

    def _session(self) -> Session:
        if self.key_file is None and not os.environ.get("FISH_API_KEY"):
            raise usage(
                "no API key: set FISH_API_KEY, or use --key-file FILE; --local needs no key"
            )
        key = None if self.key_file is None else read_key(self.key_file)
        return Session(key, base_url=self.base_url)


def read_key(file: Path) -> Secret:
    """Return the key that is in a file by itself.

    Raises:
        Failure: It cannot be read, is no key file, or others may read it (on POSIX).
        ConfigError: What is in it is no key.
    """
    try:
        with file.open("rb") as opened:
            _check_private(file, os.fstat(opened.fileno()))
            data = opened.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise usage(f"cannot read the key: {about_file(error)}") from error
    too_large = len(data) > MAX_KEY_FILE_BYTES
    try:
        if too_large:
            raise usage(f"{file} is too large for a file with one key")
        return Secret(data.decode("utf-8", "replace").strip())
    finally:
        del data  # tracebacks are printed with their locals


def _check_private(file: Path, status: os.stat_result) -> None:
    """Raise Failure for a file that others may read, or that is another user's (on POSIX)."""
    if os.name != "posix":
        return
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise usage(f"{file} can be read by others: `chmod 600` it first")
    if status.st_uid not in {0, os.geteuid()}:
        raise usage(f"{file} belongs to another user, who can read it")
