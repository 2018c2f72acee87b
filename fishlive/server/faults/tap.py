"""Between the server and TCP: a transport whose bytes can be kept, cut, slowed or forged."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER of no time at all: closing sends a reset."""

PARTING_S: Final = 1.0
"""How long a client may take to leave after TCP ended on this side, in seconds."""

_HEAD_END: Final = b"\r\n\r\n"


class Tap(asyncio.Transport):
    """One connection of the server. Every call may come late: on a closed one it does nothing.

    Attributes:
        held: Whether a fault keeps it open.
        flowing: Set while the client takes what is written.
    """

    def __init__(self, raw: asyncio.Transport) -> None:
        super().__init__()
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self.held: bool = False
        self.flowing: asyncio.Event = asyncio.Event()
        self.flowing.set()
        self.late: Late | None = None
        self._mute = False
        self._deaf = False
        self._drip: Drip | None = None
        self._behind = -1
        self._limits: list[tuple[int, Callable[[], None]]] = []
        self._parting: asyncio.TimerHandle | None = None

    @property
    def deaf(self) -> bool:
        """Whether what the client says is dropped."""
        return self._deaf

    # As a transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the server says, or do with it what a fault wants."""
        if not self._mute:
            self._count(bytes(data))

    def is_closing(self) -> bool:
        """Return whether the connection ends."""
        return self._raw.is_closing()

    def close(self) -> None:
        """Close, unless a fault decides about that."""
        if not self._mute:
            self._last(self._raw.close)

    def abort(self) -> None:
        """Close at once, whatever is left."""
        self._raw.abort()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless a fault has stopped it."""
        if not self._deaf:
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        """Return whether it reads."""
        return self._raw.is_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows."""
        return self._raw.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return the bytes that TCP has not taken."""
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks, low and high."""
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks."""
        self._raw.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """Return whether the server may end its side alone: only a fault does."""
        return False

    # As a fault's tool.

    def force(self, data: bytes) -> None:
        """Send bytes past everything that keeps the server's own from being sent."""
        self._send(data)

    async def pour(self, pieces: Iterable[bytes]) -> None:
        """Write many bytes, as fast as they are taken."""
        for block in _blocks(pieces):
            if self.is_closing():
                return
            self.write(block)
            await self.flowing.wait()
            await asyncio.sleep(0)  # a client that takes everything must not starve the others

    def reset(self) -> None:
        """End it with a TCP reset, behind what was sent before."""
        self._hold()
        self._last(self._reset)

    def end(self) -> None:
        """End TCP on this side, behind what was sent before; read nothing any more."""
        self._hold()
        self._last(self._end)

    def silence(self) -> None:
        """Send nothing more that the server says, and drop what the client says."""
        self._hold()

    def freeze(self) -> None:
        """Neither read nor write any more."""
        self._hold()
        self._raw.pause_reading()

    def stop_reading(self) -> None:
        """Read no more, but go on writing."""
        self.held = self._deaf = True
        self._raw.pause_reading()

    def slow(self, bytes_per_s: float) -> None:
        """Send so many bytes a second from now on."""
        self._drip = self._drip or Drip(bytes_per_s, self._raw.write)

    def delay(self, seconds: float) -> None:
        """Let every byte take so long from now on, in both directions."""
        self.late = Late(seconds)

    def answering(self) -> None:
        """Begin to count anew behind the head of the next answer."""
        self._behind = -1
        self._limits.clear()

    def limit(self, count: int, then: Callable[[], None], *, more: bool = False) -> None:
        """Call ``then`` once ``count`` bytes are behind the answer's head; drop the others.

        Args:
            more: Whether they are counted from here instead.
        """
        self._limits.append((max(self._behind, 0) + count if more else count, then))
        self._check_limits()

    def closed(self) -> None:
        """Take note that TCP is gone."""
        self.flowing.set()
        for timer in (self._parting, self.late, self._drip):
            if timer is not None:
                timer.cancel()

    def _hold(self) -> None:
        self.held = self._mute = self._deaf = True

    def _count(self, data: bytes) -> None:
        if self._behind < 0:
            head, end, rest = data.partition(_HEAD_END)
            if not end:
                self._send(data)
                return
            self._behind = 0
            self._send(head + end)
            self._check_limits()
            data = rest
        while self._limits and not self._mute:
            room = max(0, min(limit for limit, _ in self._limits) - self._behind)
            if len(data) < room:
                break
            self._behind += room
            self._send(data[:room])
            data = data[room:]
            self._check_limits()
        if data and not self._mute:
            self._behind += len(data)
            self._send(data)

    def _check_limits(self) -> None:
        for limit in sorted(self._limits, key=lambda limit: limit[0]):
            if 0 <= limit[0] <= self._behind and limit in self._limits and not self._mute:
                self._limits.remove(limit)
                limit[1]()

    def _send(self, data: bytes) -> None:
        if self._raw.is_closing() or not data:
            return
        if self._drip is not None:
            self._drip.put(data)
        elif self.late is not None:
            self.late.put(partial(self._raw.write, data))
        else:
            self._raw.write(data)

    def _last(self, call: Callable[[], None]) -> None:
        """Do something behind all that was sent."""
        if self._drip is not None:
            self._drip.end(call)
        elif self.late is not None:
            self.late.put(call)
        else:
            call()

    def _reset(self) -> None:
        if self._raw.is_closing():
            return
        with contextlib.suppress(OSError):
            self._raw.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _LINGER
            )
        if self._raw.get_write_buffer_size():
            self._loop.call_later(_POLL_S, self._raw.abort)
        else:
            self._raw.abort()

    def _end(self) -> None:
        if self._raw.is_closing():
            return
        with contextlib.suppress(OSError, RuntimeError):
            self._raw.write_eof()
        self._parting = self._loop.call_later(PARTING_S, self._raw.abort)


_BLOCK_BYTES: Final = 65_536
"""How much is written before it is asked whether that was taken, in bytes."""


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces, small ones together."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


_POLL_S: Final = 0.05
"""How long what was written before a reset may take to leave, in seconds."""


class Late:
    """Does what it is given, in order, each so long after it was given."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._calls: deque[Callable[[], object]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()

    def put(self, call: Callable[[], object]) -> None:
        """Do this in its time."""
        self._calls.append(call)
        self._loop.call_later(self._seconds, self._next)

    def cancel(self) -> None:
        """Do nothing of what is left."""
        self._calls.clear()

    def _next(self) -> None:
        # One timer a call, and each takes the oldest: equal times cannot change their order.
        if self._calls:
            self._calls.popleft()()


class Drip:
    """Writes so many bytes a second."""

    def __init__(self, bytes_per_s: float, write: Callable[[bytes], None]) -> None:
        self._step = max(1, int(bytes_per_s * _TICK_S))
        self._tick_s = self._step / bytes_per_s if bytes_per_s else None
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._end: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        """Write this in its time."""
        self._waiting += data
        self._wind()

    def end(self, call: Callable[[], None]) -> None:
        """Do this behind all that was put."""
        self._end = call
        self._wind()

    def cancel(self) -> None:
        """Write nothing more."""
        self._waiting.clear()
        self._end = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        if self._timer is None and self._tick_s is not None:
            self._timer = self._loop.call_later(self._tick_s, self._drop)

    def _drop(self) -> None:
        self._timer = None
        if self._waiting:
            self._write(bytes(self._waiting[: self._step]))
            del self._waiting[: self._step]
        if self._waiting:
            self._wind()
        elif self._end is not None:
            end, self._end = self._end, None
            end()


_TICK_S: Final = 0.01
"""The shortest time between two drops, in seconds: a timer is not much finer."""
