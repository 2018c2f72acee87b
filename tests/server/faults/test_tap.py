"""A tap lets through exactly what a fault allows, however the bytes are cut."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server.faults.tap import Drip, Late, Tap
from tests.conftest import settle

HEAD = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"


class Wire(asyncio.Transport):
    """What would be TCP."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.done: list[str] = []

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return "closed" in self.done or "aborted" in self.done

    def close(self) -> None:
        self.done.append("closed")

    def abort(self) -> None:
        self.done.append("aborted")

    def write_eof(self) -> None:
        self.done.append("eof")

    def pause_reading(self) -> None:
        self.done.append("paused")

    def resume_reading(self) -> None:
        self.done.append("resumed")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        raise OSError(name)

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.fixture
def wire() -> Wire:
    """Return a TCP connection that only remembers."""
    return Wire()


PIECES = st.lists(st.binary(max_size=9), max_size=9)


@given(head=st.booleans(), pieces=PIECES, limits=st.lists(st.integers(0, 50), max_size=3))
async def test_a_limit(head: bool, pieces: list[bytes], limits: list[int]) -> None:
    """The first limit lets exactly so many bytes through behind the head, and ends it once."""
    wire = Wire()
    tap = Tap(wire)
    fired: list[int] = []

    def end(limit: int) -> None:
        fired.append(limit)
        tap.silence()

    for limit in limits:
        tap.limit(limit, lambda limit=limit: end(limit))  # type: ignore[misc]
    body = b"".join(pieces)
    first, *rest = pieces or [b""]
    if head:
        tap.write(HEAD + first)
    else:
        tap.write(HEAD)
        tap.write(first)
    for piece in rest:
        tap.write(piece)

    reached = bool(limits) and min(limits) <= len(body)
    assert wire.sent == HEAD + (body[: min(limits)] if reached else body)
    assert fired == ([min(limits)] if reached else [])


@given(before=PIECES, count=st.integers(0, 20), after=PIECES)
async def test_a_limit_from_here(before: list[bytes], count: int, after: list[bytes]) -> None:
    """A limit on what is due counts from where it was set."""
    wire = Wire()
    tap = Tap(wire)
    tap.write(HEAD)
    for piece in before:
        tap.write(piece)
    tap.limit(count, tap.silence, more=True)
    for piece in after:
        tap.write(piece)
    assert wire.sent == HEAD + b"".join(before) + b"".join(after)[:count]


async def test_what_a_fault_holds_the_server_cannot_close(wire: Wire) -> None:
    """Neither writing nor closing nor reading on is the server's any more."""
    tap = Tap(wire)
    tap.freeze()
    tap.write(b"hello")
    tap.close()
    tap.resume_reading()
    assert (wire.sent, wire.done, tap.held) == (b"", ["paused"], True)
    tap.abort()
    assert wire.done == ["paused", "aborted"]


async def test_without_a_fault_it_is_the_transport(wire: Wire) -> None:
    """Every call is passed on."""
    tap = Tap(wire)
    tap.write(HEAD + b"body")
    tap.pause_reading()
    tap.resume_reading()
    tap.close()
    assert (wire.sent, wire.done) == (HEAD + b"body", ["paused", "resumed", "closed"])
    assert not tap.can_write_eof()
    assert tap.is_closing()


async def test_a_drip_keeps_the_order(wire: Wire) -> None:
    """All bytes come, in order, and then the end."""
    done = asyncio.get_running_loop().create_future()
    drip = Drip(1e6, wire.write)
    drip.put(b"abc" * 10_000)
    drip.put(b"def")
    drip.end(lambda: done.set_result(None))
    await done
    assert wire.sent == b"abc" * 10_000 + b"def"


async def test_nothing_a_second_is_nothing(wire: Wire) -> None:
    """A drip of no bytes a second never drops."""
    drip = Drip(0, wire.write)
    drip.put(b"abc")
    await settle()
    drip.cancel()
    assert wire.sent == b""


async def test_late_keeps_the_order() -> None:
    """What was put first is done first, and nothing after it was cancelled."""
    done: list[int] = []
    late = Late(0)
    last = asyncio.get_running_loop().create_future()
    for number in range(50):
        late.put(lambda number=number: done.append(number))  # type: ignore[misc]
    late.put(lambda: last.set_result(None))
    await last
    assert done == list(range(50))
    late.put(lambda: done.append(-1))
    late.cancel()
    await settle()
    assert done[-1] == 49
