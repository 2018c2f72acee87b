"""sources.py: bytes from anywhere, in pieces, and nothing left open."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.limits import MIB
from fishlive.transport.sources import (
    READ_BYTES,
    Source,
    can_be_read_again,
    check_source,
    read,
    size_bytes,
)
from tests.transport.http_peer import soon, until

SOUND = os.urandom(2 * READ_BYTES + 1)


async def whole(source: Source) -> bytes:
    """Return all of a source, of which every piece is small."""
    pieces = [piece async for piece in read(source, "audio")]
    assert all(0 < len(piece) <= READ_BYTES for piece in pieces)
    return b"".join(pieces)


async def asynchronous() -> AsyncIterator[bytes]:
    """Yield it from a coroutine."""
    for at in range(0, len(SOUND), 1000):
        yield SOUND[at : at + 1000]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with it."""
    path = tmp_path / "sound.wav"
    path.write_bytes(SOUND)
    return path


@pytest.mark.parametrize(
    "made",
    [
        lambda _: SOUND,
        bytearray,
        lambda path: memoryview(path.read_bytes()),
        lambda path: path,
        str,
        lambda _: asynchronous(),
        lambda _: [SOUND[:9], b"", SOUND[9:READ_BYTES], SOUND[READ_BYTES:]],
        lambda _: (piece for piece in (SOUND[:9], SOUND[9:READ_BYTES], SOUND[READ_BYTES:])),
        lambda path: io.BytesIO(path.read_bytes()),
    ],
    ids=["bytes", "bytearray", "view", "path", "str", "async", "list", "generator", "file object"],
)
async def test_every_kind_of_source_gives_its_bytes(made: Any, file: Path) -> None:
    """Whole, in order, in pieces."""
    source = bytearray(SOUND) if made is bytearray else made(file)
    pieces = [piece async for piece in read(source, "audio")]
    assert b"".join(pieces) == SOUND
    assert all(pieces)


@given(st.lists(st.binary(max_size=50)))
async def test_pieces_are_passed_on_in_order(pieces: list[bytes]) -> None:
    """Empty ones, which would end a chunked body, are left out."""
    assert b"".join([piece async for piece in read(pieces, "x")]) == b"".join(pieces)


async def test_a_view_of_numbers_is_its_bytes() -> None:
    """Items of more than a byte are counted in bytes."""
    view = memoryview(bytes(READ_BYTES * 4)).cast("I")
    assert await size_bytes(view, "audio") == READ_BYTES * 4
    assert await whole(view) == bytes(READ_BYTES * 4)


@pytest.mark.parametrize("given", [None, 3, 4.5, object()])
def test_other_things_are_no_source(given: object) -> None:
    """The error names the argument and the kind."""
    with pytest.raises(ConfigError, match=f"samples .* not {type(given).__name__}") as caught:
        check_source(given, "samples")
    assert caught.value.argument == "samples"


async def test_sizes_are_known_where_they_can_be(file: Path) -> None:
    """Of bytes and files, not of what has to be read."""
    assert await size_bytes(b"abc", "audio") == 3
    assert await size_bytes(str(file), "audio") == len(SOUND)
    assert await size_bytes(asynchronous(), "audio") is None
    assert await size_bytes([b"abc"], "audio") is None


def test_only_some_can_be_read_again() -> None:
    """Bytes, files and lists; not what is used up by reading."""
    assert all(can_be_read_again(source) for source in (b"", "x", Path("x"), [b""], (b"",)))
    assert not any(can_be_read_again(source) for source in (iter([b""]), io.BytesIO(b"")))


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing", "No such file"), (".", "not a file"), ("empty", "empty"), ("a\0b", "no path")],
)
async def test_what_is_no_file_to_read_is_told(tmp_path: Path, name: str, why: str) -> None:
    """Before anything is sent, with the argument's name."""
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match=why) as caught:
        await size_bytes(f"{tmp_path}/{name}", "samples")
    assert caught.value.argument == "samples"


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Opening it would take until somebody writes."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a file"):
        await soon(size_bytes(tmp_path / "pipe", "audio"))


async def test_a_file_that_is_gone_meanwhile_is_told(file: Path) -> None:
    """The caller's argument is named, the system's error is the cause."""
    await asyncio.to_thread(file.unlink)
    with pytest.raises(ConfigError, match="cannot read") as caught:
        await whole(file)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("item", ["text", 7, None])
async def test_items_that_are_no_bytes_are_told(item: Any) -> None:
    """With their kind, not their value."""

    async def source() -> AsyncIterator[bytes]:
        yield item

    for items in (source(), iter([item])):
        with pytest.raises(ConfigError, match=f"yielded {type(item).__name__}"):
            await whole(items)


async def test_a_text_file_is_told() -> None:
    """It was opened without "b"."""
    with pytest.raises(ConfigError, match="yielded str"):
        await whole(io.StringIO("abc"))  # type: ignore[arg-type]  # that is the point


async def test_iterables_are_pulled_in_a_thread() -> None:
    """The loop goes on while they think."""
    threads = set()

    def source() -> Iterator[bytes]:
        threads.add(threading.current_thread())
        yield b"x"

    await whole(source())
    assert threading.current_thread() not in threads


async def test_stopping_in_the_middle_closes_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not when the collector comes."""
    opened = []
    keep = Path.open

    def remembered(self: Path, *args: Any) -> Any:
        opened.append(keep(self, *args))
        return opened[-1]

    monkeypatch.setattr(Path, "open", remembered)
    pieces = read(file, "audio")
    await anext(pieces)
    await pieces.aclose()
    assert [each.closed for each in opened] == [True]


async def test_a_file_that_is_opened_too_late_is_closed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while a thread still opens it, nobody else could."""
    opening, go = threading.Event(), threading.Event()
    opened = []
    keep = Path.open

    def slow(self: Path, *args: Any) -> Any:
        opening.set()
        go.wait(10)
        opened.append(keep(self, *args))
        return opened[-1]

    monkeypatch.setattr(Path, "open", slow)
    reading = asyncio.ensure_future(whole(file))
    await until(opening.is_set)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go.set()
    await until(lambda: opened and opened[0].closed)


async def test_stopping_closes_generators_of_both_kinds() -> None:
    """Their own clean-up runs."""
    closed = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"x"
            yield b"y"
        finally:
            closed.append("async")

    def other() -> Iterator[bytes]:
        try:
            yield b"x"
            yield b"y"
        finally:
            closed.append("sync")

    for items in (source(), other()):
        pieces = read(items, "audio")
        await anext(pieces)
        await pieces.aclose()
    assert closed == ["async", "sync"]


async def test_a_generator_that_is_busy_is_closed_when_it_is_done() -> None:
    """Cancelling does not wait for its item."""
    busy, go, closed = threading.Event(), threading.Event(), threading.Event()

    def source() -> Iterator[bytes]:
        try:
            busy.set()
            go.wait(10)
            yield b"x"
        finally:
            closed.set()

    reading = asyncio.ensure_future(whole(source()))
    await until(busy.is_set)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not closed.is_set()
    go.set()
    await until(closed.is_set)


async def test_an_open_file_stays_open() -> None:
    """It is the caller's to close."""
    file = io.BytesIO(bytes(MIB))
    pieces = read(file, "audio")
    await anext(pieces)
    await pieces.aclose()
    assert not file.closed
