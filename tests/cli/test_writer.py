"""Writing in a thread: all of it, in order, without stopping the loop."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fishlive.cli.writer import ThreadedWriter
from tests.conftest import settle

MUCH = bytes(range(256)) * 4096
"""1 MiB: more than any pipe holds."""


@contextmanager
def pipe() -> Iterator[tuple[int, ThreadedWriter]]:
    """Yield a pipe's reading end, and a writer to the other one."""
    reading, writing = os.pipe()
    with io.FileIO(writing, "wb") as raw:
        writer = ThreadedWriter(raw)
        try:
            yield reading, writer
        finally:
            os.close(reading)
            writer.stop(wait=True)


def read(descriptor: int, size: int) -> bytes:
    """Read exactly that much, or to the end."""
    found = b""
    while len(found) < size and (more := os.read(descriptor, size - len(found))):
        found += more
    return found


async def test_a_reader_that_waits_does_not_stop_the_loop() -> None:
    """While a write is stuck other tasks run; once it is read, all of it arrives."""
    with pipe() as (reading, writer):
        writing = asyncio.create_task(writer.write(MUCH))
        await settle()  # it would never return, were the loop blocked

        assert not writing.done()
        assert await asyncio.to_thread(read, reading, len(MUCH)) == MUCH
        await writing
        assert writer.written_bytes == len(MUCH)


@pytest.mark.skipif(os.name == "nt", reason="pipes there cannot be set not to block")
async def test_a_pipe_that_does_not_block_gets_all_of_it() -> None:
    """Whoever shares a pipe may have set it so; nothing is lost for that."""
    with pipe() as (reading, writer):
        os.set_blocking(writer._raw.fileno(), False)
        writing = asyncio.create_task(writer.write(MUCH))

        assert await asyncio.to_thread(read, reading, len(MUCH)) == MUCH
        await writing


async def test_a_failed_write_raises_where_it_is_awaited() -> None:
    """The system's error is the caller's, and the thread lives on."""
    with pipe() as (reading, writer):
        spare = os.dup(reading)
        os.dup2(os.open(os.devnull, os.O_RDONLY), reading)
        os.close(spare)
        for _ in range(2):
            with pytest.raises(OSError) as caught:  # noqa: PT011  # the number is checked
                await writer.write(b"x")
            assert caught.value.errno == errno.EPIPE


async def test_stopping_waits_for_what_is_being_written() -> None:
    """After a cancelled write, a stop that waits returns when the bytes are out."""
    with pipe() as (reading, writer):
        writing = asyncio.create_task(writer.write(b"last words"))
        await settle(1)
        writing.cancel()
        await asyncio.to_thread(writer.stop, wait=True)

        assert read(reading, 10) == b"last words"
        await asyncio.gather(writing, return_exceptions=True)
