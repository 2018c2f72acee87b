"""One row at a time: the fault is played to all four at once, and every ending is checked.

What a row says is a :class:`Verdict`; what holds for every row is in :func:`check`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Final, cast
from unittest.mock import patch

from fishlive.errors import ConnectError, FishLiveError
from fishlive.faults import Endpoint, Fault, Place
from fishlive.server import LocalServer
from fishlive.server.live import Conversation
from tests.adversity.matrix import (
    TEXT,
    TWICE,
    WAYS,
    Ending,
    Way,
    everywhere,
    listen,
    recording,
    served,
)

ALL: Final = -1
"""Every audio event that was sent is heard."""

PLAYED: Final = len(WAYS)
"""How often a fault is played that meets each of the four once."""


@dataclass(frozen=True)
class Verdict:
    """How a row ends.

    Attributes:
        error: The class of the error, exactly; None if the listener notices nothing.
        facts: Its attributes; a set holds all that may be.
        heard: How many audio events are heard, whole, before it.
        again: Whether it is tried again while nothing was heard; None where that cannot be.
        said: What the error's text has to hold.
        options: What the session is told besides.
        attempts: How often it may have been tried.
    """

    error: type[FishLiveError] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    heard: int = ALL
    again: bool | None = None
    said: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    attempts: frozenset[int] = frozenset({1})


@dataclass
class Theatre:
    """A server, and what each of its connections was to send."""

    server: LocalServer
    sent: list[list[int]]

    def whole(self, ending: Ending) -> int:
        """Return how many events the connection that was heard was to send."""
        return len(self.sent[ending.marks[0].connection])


@contextlib.asynccontextmanager
async def theatre(**settings: Any) -> AsyncIterator[Theatre]:
    """Open a server that keeps its books; afterwards nothing is left."""
    with _kept(), recording() as sent:
        async with served(**settings) as server:
            yield Theatre(server, sent)


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Keep every conversation: connections are told apart by what does not come again."""
    kept = []
    run = Conversation.run

    async def run_kept(self: Conversation) -> None:
        kept.append(self)
        await run(self)

    with patch.object(Conversation, "run", run_kept):
        yield


def behind(url: str) -> LocalServer:
    """Return what passes for a server at another address: the harness only asks for that."""
    return cast("LocalServer", SimpleNamespace(url=url))


async def meet(spec: str, verdict: Verdict, *, scheme: str = "http") -> list[Ending]:
    """Let all four meet a fault, once each, and check how each fares."""
    async with theatre() as stage:
        fault = always(spec)
        stage.server.play(fault)
        where = behind(f"{scheme}://127.0.0.1:{stage.server.port}")
        endings = await everywhere(where, **verdict.options)
        times = 1 if fault.kind == "refuse" else PLAYED
        assert stage.server.played[str(fault)] == times
        check_all(stage, endings, verdict)
    return endings


async def recover(spec: str, verdict: Verdict) -> None:
    """Let each meet a fault before its first audio: the second attempt is heard, and whole."""
    async with theatre() as stage:
        for ways in rounds(stage.server, early(spec)):
            options = {**verdict.options, "retry": TWICE}
            for ending in await asyncio.gather(
                *(listen(stage.server, way, **options) for way in ways)
            ):
                check(ending, Verdict(attempts=frozenset({2})))
                assert ending.heard == stage.whole(ending)
        assert sum(stage.server.played.values()) == PLAYED


def rounds(server: LocalServer, *faults: Fault) -> Iterator[tuple[Way, ...]]:
    """Yield those who may listen at once, each of whom then meets the faults of its own."""
    known = not any(fault.at in (Place.CONNECT, Place.TLS) for fault in faults)
    for ways in (WAYS[:2], WAYS[2:]) if known else ((way,) for way in WAYS):
        for way in ways:
            own: Endpoint = "timed" if way.timed else "live"
            server.play(*(replace(fault, on=own) if known else fault for fault in faults))
        yield ways


async def give_up(
    spec: str, verdict: Verdict, *, attempts: int, scheme: str = "http", **options: Any
) -> None:
    """Let all meet a fault before any audio, every time: so often is it tried in all."""
    async with theatre() as stage:
        stage.server.play(always(early(spec)))
        where = behind(f"{scheme}://127.0.0.1:{stage.server.port}")
        endings = await everywhere(where, **{"retry": TWICE, **verdict.options, **options})
        check_all(stage, endings, replace(verdict, heard=0, attempts=frozenset({attempts})))


def always(spec: str | Fault) -> Fault:
    """Return a fault that everybody meets."""
    fault = Fault.of(spec)
    return fault if fault.kind == "refuse" else replace(fault, times=None)


def early(spec: str) -> Fault:
    """Return a fault that comes before any audio was heard, if it came behind the first."""
    fault = Fault.parse(spec)
    if fault.at is Place.AUDIO:
        return replace(fault, n=1)
    return replace(fault, n=100) if fault.at is Place.BYTE and fault.n else fault


def check_all(stage: Theatre, endings: list[Ending], verdict: Verdict) -> None:
    """Check what holds for each, and that nobody heard what was another's."""
    for ending in endings:
        check(ending, verdict)
        if verdict.heard == ALL:
            assert ending.heard == stage.whole(ending), ending
    mine = [{mark.connection for mark in ending.marks} for ending in endings]
    assert len(set().union(*mine)) == sum(map(len, mine))


def check(ending: Ending, verdict: Verdict) -> None:
    """Check one ending: its error, the facts of it, and the audio before it."""
    error = ending.error
    if verdict.heard != ALL:
        assert ending.heard == verdict.heard, ending
    assert ending.stats.audio_bytes == len(ending.audio)
    assert all(chunk and len(chunk) % 2 == 0 for chunk in ending.chunks), "whole samples"
    assert ending.stats.attempts in verdict.attempts
    if verdict.error is None:
        assert error is None, ending
        assert ending.ledger.unsent == ""
        return
    assert type(error) is verdict.error, ending
    for name, expected in verdict.facts.items():
        found = getattr(error, name)
        assert found in expected if isinstance(expected, frozenset) else found == expected, name
    assert verdict.said in str(error)
    assert error.attempts == ending.stats.attempts
    assert error.audio_bytes == len(ending.audio)
    assert error.trace_id or not ending.audio, "the service names each request in its 101"
    check_account(error)
    check_words(error)


def check_account(error: FishLiveError) -> None:
    """Check that an error knows what became of every character."""
    ledger = error.ledger
    assert ledger is not None
    assert ledger.spoken + ledger.maybe_spoken + ledger.unsent == TEXT
    assert f"{error.heard_text}{error.unheard_text}" == TEXT
    if not error.audio_bytes:
        assert error.heard_text == ""
    if isinstance(error, ConnectError) or getattr(error, "status", None) is not None:
        assert ledger.unsent == TEXT
        assert ledger.billed_utf8_bytes == 0


def check_words(error: FishLiveError) -> None:
    """Check that an error's text is short, printable, and holds no key and none of the text."""
    shown = f"{error} {error!r}"
    assert len(shown) < 3000
    assert str(error).isprintable()
    assert "local-" not in shown
    assert TEXT not in shown
