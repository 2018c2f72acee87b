"""Fetching what a link leads to: another origin, so that no token goes with it."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import anyio

from fishlive.errors import (
    ConfigError,
    ConnectError,
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    StallTimeout,
)
from fishlive.limits import MIB
from fishlive.transport.http import AnswerStream, Call, Http, Timeouts

MAX_BYTES: Final = 1024 * MIB
"""Largest file, in bytes: three hours of 44.1 kHz PCM."""

RESUMES: Final = 5
"""How often a download that broke off is taken up again where it broke."""

RESUME_S: Final = 0.5
"""Wait before the first of these, in seconds; it doubles."""

HEAD_BYTES: Final = 16
"""How much of a file tells its type."""

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes received so far, and all there are if that is known."""

_RANGE: Final = re.compile(r"bytes (\d+)-\d*/(\d+|\*)")
_BROKEN: Final = (ConnectError, ConnectionLost, StallTimeout)


class Writer(Protocol):
    """Takes bytes: an open file, or anything with a ``write`` that may be awaited."""

    def write(self, data: bytes, /) -> Any:
        """Take some more."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is here now.

    Attributes:
        size_bytes: How long it is.
        media_type: What its first bytes say it is, whatever the link's ending says.
        path: Where it is; None if it went to a writer.
    """

    size_bytes: int
    media_type: str
    path: Path | None = None


async def download(
    url: str,
    target: str | os.PathLike[str] | Writer,
    *,
    overwrite: bool = False,
    max_bytes: int = MAX_BYTES,
    on_progress: OnProgress | None = None,
    timeouts: Timeouts | None = None,
) -> Download:
    """Fetch a link into a file or a writer, as it comes.

    Broken off, it is taken up where it broke (RFC 9110, section 14), if the server can; else a
    file begins anew, and a writer gets the error. A file is written beside its name, as
    ``name.part``, and takes its name when it is whole; what is left of a failure keeps the other.
    No token, no cookies, no redirects. Cancelling closes the connection and leaves the part.

    Args:
        url: The link.
        target: A path, or something with ``write``.
        overwrite: Whether a file may be replaced.
        max_bytes: Largest file, in bytes.
        on_progress: Called after each piece.
        timeouts: By phase.

    Raises:
        ConfigError: No http(s) link, or a file that exists or cannot be written.
        APIStatusError: The link has died (403, 404) or the server fails.
        ConnectError, ConnectionLost, StallTimeout: The network failed, again and again.
        ProtocolError: It is too large, or changed in between.
    """
    fetch = _Fetch(url, max_bytes=max_bytes, on_progress=on_progress, timeouts=timeouts)
    if not isinstance(target, (str, os.PathLike)):
        return await fetch.into(_writing(target))
    path = Path(target)
    part = _part(path, overwrite=overwrite)
    try:
        with part.open("wb") as file:
            done = await fetch.into(_writing(file), restart=lambda: _emptied(file))
        part.replace(path)
    except OSError as error:
        if isinstance(error, FishLiveError):
            raise
        why = error.strerror or type(error).__name__
        raise ConfigError(f"cannot write {path}: {why}", argument="target") from error
    return Download(done.size_bytes, done.media_type, path)


class _Fetch:
    """One download, as often as it takes."""

    def __init__(
        self,
        url: str,
        *,
        max_bytes: int,
        on_progress: OnProgress | None,
        timeouts: Timeouts | None,
    ) -> None:
        self._origin, self._path = _split(url)
        self._most = max_bytes
        self._on_progress = on_progress
        self._timeouts = timeouts
        self._received = 0
        self._total: int | None = None
        self._etag: str | None = None
        self._head = b""

    async def into(
        self,
        write: Callable[[bytes], Awaitable[None]],
        *,
        restart: Callable[[], None] | None = None,
    ) -> Download:
        http = Http(base_url=self._origin, key=None, timeouts=self._timeouts)
        try:
            for broken in range(RESUMES + 1):
                with contextlib.suppress(*(_BROKEN if broken < RESUMES else ())):
                    await self._once(http, write, restart)
                    return Download(self._received, sniffed(self._head))
                await anyio.sleep(RESUME_S * 2**broken)
            raise AssertionError  # the last attempt returns or raises
        finally:
            await http.aclose()

    async def _once(
        self,
        http: Http,
        write: Callable[[bytes], Awaitable[None]],
        restart: Callable[[], None] | None,
    ) -> None:
        headers = {"Range": f"bytes={self._received}-"} if self._received else {}
        if self._received and self._etag:
            headers["If-Range"] = self._etag
        call = Call(method="GET", path=self._path, headers=headers, safe=True)
        async with http.stream(call) as stream:
            self._begin(stream, restart)
            async for piece in stream:
                self._received += len(piece)
                if self._received > self._most:
                    raise ProtocolError(f"the file has more than {self._most} bytes")
                if len(self._head) < HEAD_BYTES:
                    self._head += piece[: HEAD_BYTES - len(self._head)]
                await write(piece)
                if self._on_progress is not None:
                    self._on_progress(self._received, self._total)
        if self._total is not None and self._received < self._total:
            raise ConnectionLost("the file broke off")

    def _begin(self, stream: AnswerStream, restart: Callable[[], None] | None) -> None:
        """Note how long it is, and where it goes on."""
        etag = stream.headers.get("etag")
        if stream.status == 206:
            match = _RANGE.fullmatch(stream.headers.get("content-range", ""))
            if match is None or int(match[1]) != self._received:
                raise ProtocolError("the server sent another part of the file than was asked for")
            total = None if match[2] == "*" else int(match[2])
            if self._total is not None and total not in (None, self._total):
                raise ProtocolError("the file changed while it was fetched")
            return
        if self._received:
            if restart is None:
                raise ProtocolError("the download broke off, and the server cannot resume it")
            restart()
            self._received, self._head = 0, b""
        length = stream.headers.get("content-length", "")
        self._total = int(length) if length.isascii() and length.isdigit() else None
        self._etag = etag if etag and not etag.startswith("W/") else None
        if self._total is not None and self._total > self._most:
            raise ProtocolError(f"the file has {self._total} bytes; at most {self._most} are taken")


def sniffed(head: bytes) -> str:
    """Return the media type that a file's first bytes show."""
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"ID3") or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return "audio/mpeg"
    return "application/octet-stream"


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError("the link is no URL", argument="url") from error
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable():
        raise ConfigError("the link is no http(s) URL", argument="url")
    if parts.username is not None or not url.isascii():
        raise ConfigError("the link has a user, or characters no link has", argument="url")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}", f"{parts.path or '/'}{query}"


def _part(path: Path, *, overwrite: bool) -> Path:
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists: pass overwrite=True", argument="target")
    return path.with_name(path.name + ".part")


def _writing(target: Writer) -> Callable[[bytes], Awaitable[None]]:
    async def write(piece: bytes) -> None:
        waiting = target.write(piece)
        if inspect.isawaitable(waiting):
            await waiting

    return write


def _emptied(file: Any) -> None:
    file.seek(0)
    file.truncate()
