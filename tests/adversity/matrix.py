"""What every row of the fault tables is tried with: both endpoints, both adapters, at once.

The server's audio is replaced by records: each event says which connection sent it, which of its
events it is and how long, so that lost, repeated, cut and foreign events show.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from unittest.mock import patch
from weakref import WeakKeyDictionary

from fishlive import Deadlines, RetryPolicy, Session
from fishlive.live.stats import UtteranceStats
from fishlive.live.utterance import Utterance
from fishlive.server import LocalServer
from fishlive.server.live import Conversation
from fishlive.server.speaking import Spoken
from fishlive.text.ledger import Ledger
from tests.conftest import open_sockets, threads

TEXT: Final = "One two three four five six."
"""Speech of some twenty audio events."""

HASTY: Final = Deadlines(first_audio_s=0.3, stall_s=0.3, send_s=0.3, ping_every_s=0.3, pong_s=0.2)
"""For faults that are silence. All others have the usual deadlines: a busy machine is no fault."""

HASTY_CONNECT_S: Final = 0.3

ONCE: Final = RetryPolicy(attempts=1)
TWICE: Final = RetryPolicy(attempts=2, base_s=0.0, throttle_base_s=0.0)


class Way(NamedTuple):
    """One adapter on one endpoint."""

    transport: str
    timed: bool

    def __str__(self) -> str:
        return f"{self.transport} on {'with-timestamp' if self.timed else 'plain'}"


WAYS: Final = tuple(Way(name, timed) for name in ("picows", "aiohttp") for timed in (False, True))


class Mark(NamedTuple):
    """One audio event that was heard, whole."""

    connection: int
    number: int


_HEAD: Final = struct.Struct("<4sIII")
_MAGIC: Final = b"FSHR"


def record(mark: Mark, size: int) -> bytes:
    """Return the audio of an event: some ``size`` bytes that nobody else sends."""
    size = max(size, _HEAD.size)
    seed = mark.connection << 32 | mark.number
    body = random.Random(seed).randbytes(size - _HEAD.size)  # noqa: S311 - told apart, not secret
    return _HEAD.pack(_MAGIC, mark.connection, mark.number, size) + body


def marks(audio: bytes) -> list[Mark]:
    """Return the events that audio consists of. Raises AssertionError unless all are whole."""
    found: list[Mark] = []
    at = 0
    while at < len(audio):
        assert len(audio) - at >= _HEAD.size, f"{len(audio) - at} bytes of an event at {at}"
        magic, connection, number, size = _HEAD.unpack_from(audio, at)
        mark = Mark(connection, number)
        assert magic == _MAGIC, f"no event begins at {at}, behind {found[-1:]}"
        assert audio[at : at + size] == record(mark, size), f"{mark} is cut or damaged"
        found.append(mark)
        at += size
    return found


@contextlib.contextmanager
def recording() -> Iterator[list[list[int]]]:
    """Let every local server send records; yields the sizes that each connection was to send."""
    made: list[list[int]] = []
    known: WeakKeyDictionary[Conversation, int] = WeakKeyDictionary()
    emit = Conversation._emit

    async def emit_record(self: Conversation, spoken: Spoken) -> None:
        if not spoken.audio:  # words alone
            await emit(self, spoken)
            return
        if (connection := known.setdefault(self, len(made))) == len(made):
            made.append([])
        sizes = made[connection]
        audio = record(Mark(connection, len(sizes) + 1), len(spoken.audio))
        sizes.append(len(audio))
        await emit(self, spoken._replace(audio=audio))

    with patch.object(Conversation, "_emit", emit_record):
        yield made


@dataclass
class Ending:
    """How one listener fared."""

    way: Way
    utterance: Utterance
    stats: UtteranceStats
    ledger: Ledger
    chunks: list[bytes] = field(repr=False)
    error: BaseException | None

    @property
    def audio(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def marks(self) -> list[Mark]:
        return marks(self.audio)

    @property
    def heard(self) -> int:
        """How many whole events were heard, all of one connection, from its first, in order."""
        found = self.marks
        assert len({mark.connection for mark in found}) <= 1, found
        assert [mark.number for mark in found] == list(range(1, len(found) + 1))
        return len(found)


@contextlib.asynccontextmanager
async def served(*faults: str, **settings: Any) -> AsyncIterator[LocalServer]:
    """Run a server that plays faults; afterwards nothing is left of it or of its clients."""
    sockets, running = open_sockets(), threads()
    with recording():
        async with LocalServer(faults=faults, accept_any_key=True, **settings) as server:
            yield server
            await gone(server.port)
    gc.collect()
    await until(lambda: open_sockets() <= sockets)
    await until(lambda: all(_idle(thread.name) for thread in threads() - running))


def _idle(name: str) -> bool:
    return name.startswith("asyncio_")  # the loop's own executor, joined with the loop


async def gone(port: int) -> None:
    """Return once this process has no client's socket to a port; the suite's timeout ends it."""
    await until(lambda: not any(_leads_to(fd, port) for fd in open_sockets()))


async def until(true: Any) -> None:
    """Return once it is true; the suite's timeout ends it."""
    while not true():
        await asyncio.sleep(0.005)


def _leads_to(descriptor: int, port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        name: tuple[Any, ...] = copy.getpeername()
        return len(name) > 1 and name[1] == port
    return False


def session(server: LocalServer, way: Way, **options: Any) -> Session:
    """Return a session with an account of its own: retries of others do not count for it."""
    key = f"local-{way.transport}-{way.timed}"
    return Session(
        key, base_url=server.url, transport=way.transport,  # type: ignore[arg-type]
        **{"standby": 0, "retry": ONCE, **options},
    )  # fmt: skip


async def listen(server: LocalServer, way: Way, *, text: Any = TEXT, **options: Any) -> Ending:
    """Speak a text and read all that comes; return how it went, after everything is closed."""
    chunks: list[bytes] = []
    caught: BaseException | None = None
    async with session(server, way, **options) as fish, fish.live(timestamps=way.timed) as live:
        utterance = live.speak(text)
        reader = aiter(utterance)
        try:
            async for chunk in reader:
                chunks.append(chunk)
        except Exception as error:  # noqa: BLE001 - whatever it was is looked at
            caught = error
        assert [chunk async for chunk in reader] == [], "nothing comes behind the end"
    assert utterance.error is caught
    assert str(utterance.outcome) == ("finished" if caught is None else "failed")
    return Ending(way, utterance, utterance.stats, utterance.ledger, chunks, caught)


async def everywhere(server: LocalServer, **options: Any) -> list[Ending]:
    """Let all four listen at once."""
    return await asyncio.gather(*(listen(server, way, **options) for way in WAYS))
