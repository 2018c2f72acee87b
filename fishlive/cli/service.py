"""Which service a command speaks to, and with which key."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fishlive.cli.exits import about_file, usage
from fishlive.cli.notes import warn
from fishlive.limits import KIB
from fishlive.session import Session

LOCAL_KEY: Final = "local"
"""The key of the embedded server: not a secret."""

MAX_KEY_FILE_BYTES: Final = 4 * KIB
"""Largest key file that is read. A key has under 100 characters; a larger file is another file."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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
            self._warn_about_origin()
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

    def _warn_about_origin(self) -> None:
        url = os.environ.get("FISH_BASE_URL")
        if self.base_url is None and self.key_file is None and url:
            host = urlsplit(url).hostname
            if host not in _LOOPBACK and host != "api.fish.audio":
                warn(f"the key goes to {host}, because FISH_BASE_URL says so")


def read_key(file: Path) -> str:
    """Return the key that is in a file by itself.

    Raises:
        Failure: It cannot be read, is no key file, or others may read it (on POSIX).
    """
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            data = opened.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise usage(f"cannot read the key: {about_file(error)}") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise usage(f"{file} can be read by others: `chmod 600` it first")
    if len(data) > MAX_KEY_FILE_BYTES:
        raise usage(f"{file} is too large for a file with one key")
    return data.decode("utf-8", "replace").strip()
