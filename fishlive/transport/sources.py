"""Where uploaded bytes come from: memory, files, iterators. Read in pieces, never held whole."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, TypeAlias

from fishlive.errors import ConfigError
from fishlive.limits import KIB

READ_BYTES: Final = 256 * KIB
"""How much of a file is read and sent at once, in bytes: a thread's round trip costs 50 µs, which
is a fortieth of what the network takes for so much at 1 Gbit/s."""

Source: TypeAlias = (
    bytes | bytearray | memoryview | str | os.PathLike[str] | AsyncIterable[bytes] | Iterable[bytes]
)
"""Bytes, the path of a file, or what yields bytes. Iterables that are not async, open files among
them, are read in a thread. An open file is the caller's to close."""

_BYTES: Final = (bytes, bytearray, memoryview)
_END: Final = object()


def check_source(source: object, argument: str) -> None:
    """Raise ConfigError, naming the argument, for what is no source."""
    if not isinstance(source, (os.PathLike, AsyncIterable, Iterable)) and not _readable(source):
        kind = type(source).__name__
        raise ConfigError(
            f"{argument} is bytes, a path or an iterable of bytes, not {kind}", argument=argument
        )


def can_be_read_again(source: Source) -> bool:
    """Return whether reading it a second time gives the same bytes."""
    return isinstance(source, (*_BYTES, str, os.PathLike, list, tuple))


async def size_bytes(source: Source, argument: str) -> int | None:
    """Return how long a source is; None if only reading it can tell.

    Raises:
        ConfigError: A file that is missing, unreadable or empty, or no file. It names the
            argument.
    """
    if isinstance(source, (str, os.PathLike)):
        return await asyncio.to_thread(_file_bytes, Path(source), argument)
    if isinstance(source, _BYTES):
        return memoryview(source).nbytes
    return None


async def read(source: Source, argument: str) -> AsyncGenerator[bytes, None]:
    """Yield a source piece by piece. Files are read in a thread, and closed at the end.

    Closing it closes the source; a generator that a thread is in the middle of is closed when
    the thread has its item.

    Raises:
        ConfigError: A file cannot be read any more, or something other than bytes was yielded.
    """
    if isinstance(source, _BYTES):
        view = memoryview(source).cast("B")
        for at in range(0, len(view), READ_BYTES):
            yield bytes(view[at : at + READ_BYTES])
        return
    async with aclosing(_opened(source, argument)) as items:
        async for item in items:
            if not isinstance(item, _BYTES):
                kind = type(item).__name__
                raise ConfigError(f"{argument} yielded {kind}, not bytes", argument=argument)
            if item:
                yield bytes(item)


def empty(what: str, argument: str) -> ConfigError:
    """Return the error for a recording of no bytes."""
    return ConfigError(f"{what} is empty", argument=argument)


def _opened(source: Any, argument: str) -> AsyncGenerator[object, None]:
    if isinstance(source, (str, os.PathLike)):
        return _file(Path(source), argument)
    if isinstance(source, AsyncIterable):
        return _awaited(source)
    if _readable(source):
        return _pulled(iter(lambda: source.read(READ_BYTES), b""))
    return _pulled(iter(source))


def _readable(source: object) -> bool:
    return callable(getattr(source, "read", None))


async def _file(path: Path, argument: str) -> AsyncGenerator[object, None]:
    try:
        opened = await _open(path)
        try:
            while piece := await asyncio.to_thread(opened.read, READ_BYTES):
                yield piece
        finally:
            opened.close()
    except OSError as error:
        raise _unreadable(path, error, argument) from error


async def _open(path: Path) -> BufferedReader:
    """Return an open file. Cancelled meanwhile, the file is closed as soon as it is open."""
    opening = asyncio.get_running_loop().run_in_executor(None, path.open, "rb")
    opened: BufferedReader = await _owned(opening, lambda late: late.close())
    return opened


async def _awaited(source: AsyncIterable[object]) -> AsyncGenerator[object, None]:
    items = source.__aiter__()
    try:
        async for item in items:
            yield item
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()


async def _pulled(items: Iterator[object]) -> AsyncGenerator[object, None]:
    close = getattr(items, "close", None)
    loop = asyncio.get_running_loop()
    try:
        while True:
            pulling = loop.run_in_executor(None, next, items, _END)
            item = await _owned(pulling, lambda _: close and close())
            if item is _END:
                break
            yield item
    finally:
        if close is not None:
            with suppress(ValueError):  # a thread is in the middle of it: closed after that
                close()


async def _owned(result: asyncio.Future[Any], clean_up: Callable[[Any], object]) -> Any:
    """Return what a thread makes. Cancelled meanwhile, it is cleaned up when it is made."""
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        result.add_done_callback(lambda done: _cleaned(done, clean_up))
        raise


def _cleaned(done: asyncio.Future[Any], clean_up: Callable[[Any], object]) -> None:
    if not done.cancelled() and done.exception() is None:
        clean_up(done.result())


def _file_bytes(path: Path, argument: str) -> int:
    try:
        status = path.stat()  # before it is opened, which would wait at a pipe
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except OSError as error:
        raise _unreadable(path, error, argument) from error
    except ValueError as error:  # a NUL in the name
        raise ConfigError(f"{argument} is no path", argument=argument) from error
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{argument}: {path} is not a file", argument=argument)
    if not status.st_size:
        raise empty(f"{argument}: {path}", argument)
    return status.st_size


def _unreadable(path: Path, error: OSError, argument: str) -> ConfigError:
    why = error.strerror or type(error).__name__
    return ConfigError(f"{argument}: cannot read {path}: {why}", argument=argument)
