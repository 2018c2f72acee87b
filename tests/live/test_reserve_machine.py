"""live/line.py, gate.py, standby.py and the governor, in any order of events, against a count."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fishlive.errors import FishLiveError
from fishlive.flow.governor import Governor, Priority, Slot, Ticket
from fishlive.live.line import Line
from fishlive.live.standby import Standby
from fishlive.testing.clock import VirtualLoop, close
from fishlive.transport.memory import MemoryPeer, MemoryRequest
from fishlive.transport.socket import Socket, Target
from fishlive.wire.serving import encode_error
from tests.conftest import settle
from tests.live.service import Service

LINES = 2
which = st.integers(0, 7)


class Speaker:
    """An utterance as its line sees it."""

    def __init__(self, line: Line) -> None:
        self.slot_wait_s: float = 0.0
        self.socket: Socket | None = None
        self.waits = True
        self.heard = 0
        self._line = line

    def attach(self, socket: Socket, *, reused: bool, doubtful: bool) -> None:
        """Take the socket."""
        assert self.waits
        self.waits, self.socket = False, socket
        if socket.closed:
            self.cut(stale=doubtful)

    def refuse(self, error: FishLiveError) -> None:
        """Give up."""
        assert self.waits
        self.waits = False

    def cut(self, *, stale: bool = False) -> None:
        """End badly."""
        socket, self.socket, self.waits = self.socket, None, False
        self._line.cancel(self)
        if socket is not None:
            self._line.discard(socket, stale=stale)

    def finish(self) -> None:
        """End well."""
        socket, self.socket = self.socket, None
        assert socket is not None
        self._line.release(socket)

    def on_message(self, message: bytes | memoryview) -> None:
        """Take a refusal for the end."""
        self.cut()

    def on_closed(self, error: FishLiveError) -> None:
        """End."""
        self.cut()

    def on_writable(self) -> None:
        """Nothing waits to be written."""


class Reserve(RuleBasedStateMachine):
    """Two channels and a reserve of one account, and a service that does as it likes."""

    @initialize(
        limit=st.integers(1, 3),
        counts=st.booleans(),
        size=st.integers(1, 3),
        answers=st.sampled_from(["accepts", "waits"]),
    )
    def begin(self, limit: int, counts: bool, size: int, answers: str) -> None:
        """Open both lines."""
        self.random = random.getstate()
        random.seed(0)
        self.loop = VirtualLoop(limit_s=1e9)
        asyncio.set_event_loop(self.loop)
        self.counts, self.limit, self.size = counts, limit, size
        self.others: list[Slot] = []
        self.tickets: list[Ticket] = []
        self.speakers: list[Speaker | None] = [None] * LINES
        self.do(self._begin)
        if answers == "waits":
            self.service._answer = lambda request: None

    async def _begin(self) -> None:
        self.service = Service()
        self.governor = Governor(self.limit, idle_sockets_count=self.counts)
        target = Target("ws://127.0.0.1:9/")
        self.standby = Standby(self.service.connect, target, self.governor)
        self.lines = []
        for _ in range(LINES):
            self.standby.join(self.size)
            line = Line(self.service.connect, target, self.governor, self.standby)
            line.warm(keep_error=True)
            self.lines.append(line)

    def do(self, what: Callable[[], Coroutine[Any, Any, None] | None]) -> None:
        """Do something in the loop, and let what follows from it happen."""

        async def main() -> None:
            coroutine = what()
            if coroutine is not None:
                await coroutine
            await settle(40)

        self.loop.run_until_complete(main())

    def open(self) -> list[MemoryPeer]:
        """Return the connections that are open."""
        return [peer for peer in self.service.peers if not peer.closed]

    def pending(self) -> list[MemoryRequest]:
        """Return the upgrades that were not answered."""
        return [request for request in self.service.requests if not request.answer.done()]

    # What the channels do

    @rule(n=st.integers(0, LINES - 1), expects=st.booleans())
    def speak(self, n: int, expects: bool) -> None:
        """Begin an utterance; one that is in the way is interrupted in the same turn."""

        def begin() -> None:
            before = self.speakers[n]
            if before is not None:
                before.cut()
            speaker = self.speakers[n] = Speaker(self.lines[n])
            if expects:
                self.lines[n].expect(speaker)
            if speaker.waits:
                self.lines[n].request(speaker)

        self.do(begin)

    @rule(n=st.integers(0, LINES - 1))
    def finish(self, n: int) -> None:
        """Finish what is spoken, if there is anything."""
        speaker = self.speakers[n]
        if speaker is not None and speaker.socket is not None:
            self.do(speaker.finish)

    @rule(n=st.integers(0, LINES - 1), stale=st.booleans())
    def interrupt(self, n: int, stale: bool) -> None:
        """Cut what is spoken or waits."""
        speaker = self.speakers[n]
        if speaker is not None:
            self.do(lambda: speaker.cut(stale=stale))

    # What others do with the account

    @rule()
    def ask(self) -> None:
        """Have something else ask for a slot."""

        def ask() -> None:
            self.tickets.append(
                self.governor.ask(
                    self.others.append, lambda error: None, priority=Priority.BATCH, timeout_s=20.0
                )
            )

        self.do(ask)

    @precondition(lambda self: self.others)
    @rule(n=which)
    def give_back(self, n: int) -> None:
        """Have it give the slot back."""
        self.do(self.others.pop(n % len(self.others)).release)

    @precondition(lambda self: self.tickets)
    @rule(n=which)
    def despair(self, n: int) -> None:
        """Have it give up waiting, if it still does."""
        self.do(self.tickets.pop(n % len(self.tickets)).cancel)

    # What the service does

    @precondition(lambda self: self.pending())
    @rule(n=which, how=st.sampled_from(["accept", "accept", "503", "401", "fail", "say no"]))
    def answer(self, n: int, how: str) -> None:
        """Answer an upgrade."""

        def answer() -> None:
            pending = self.pending()
            request = pending[n % len(pending)]
            if how == "accept":
                self.service.accept(request)
            elif how == "say no":
                self.service.accept(request).send(encode_error("no"))
            elif how == "fail":
                request.fail(Strange())
            else:
                request.refuse(int(how))

        self.do(answer)

    @rule(accepts=st.booleans())
    def change(self, accepts: bool) -> None:
        """Answer upgrades at once from now on, or later."""
        self.service._answer = None if accepts else lambda request: None

    @precondition(lambda self: self.open())
    @rule(n=which, how=st.sampled_from(["close", "drop", "say no"]))
    def end(self, n: int, how: str) -> None:
        """End a connection."""
        peer = self.open()[n % len(self.open())]
        if how == "close":
            self.do(peer.close)
        elif how == "drop":
            self.do(peer.drop)
        else:
            self.do(lambda: peer.send(encode_error("no")))

    @rule(seconds=st.sampled_from([0.1, 1.5, 6.0, 40.0, 250.0, 3100.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.do(lambda: asyncio.sleep(seconds))

    # What holds at any time

    @invariant()
    def never_more_than_the_limit(self) -> None:
        """No slot is given out twice, nor forgotten."""
        stats = self.governor.stats()
        assert stats.peak_running <= self.limit
        assert not self.loop.complaints
        others = len(self.others)
        if self.counts:
            assert stats.running == len(self.open()) + len(self.pending()) + others
        else:
            busy = sum(line._lent is not None or line._caller is not None for line in self.lines)
            assert stats.running == busy + others

    @invariant()
    def never_more_sockets_than_wanted(self) -> None:
        """A socket a channel, the reserve, and replacements on their way."""
        assert self.standby.ready <= self.size
        assert len(self.open()) <= LINES + self.size
        assert len(self.open()) + len(self.pending()) <= LINES + 2 * self.size
        used = [line._lent or line._idle for line in self.lines]
        held = [socket for socket in used if socket is not None and not socket.closed]
        assert len(self.open()) == len(held) + self.standby.ready

    @invariant()
    def everybody_knows_his_socket(self) -> None:
        """What a line has lent is what its utterance has."""
        for line, speaker in zip(self.lines, self.speakers, strict=True):
            assert line._lent is (None if speaker is None else speaker.socket)
            assert not (line._lent and line._idle)

    def teardown(self) -> None:
        """Leave, after which nothing is left."""
        if not hasattr(self, "lines"):
            return
        try:
            self.do(self._leave)
            for slot in self.others:
                slot.release()
            for ticket in self.tickets:
                ticket.cancel()
            for slot in self.others:  # those granted just now
                slot.release()
            assert self.governor.running == 0
            assert not self.open()
            assert not self.pending()
            assert not [timer for timer in self.loop.timers if "Pipe." not in str(timer)]
            assert not asyncio.all_tasks(self.loop)
            assert not self.loop.complaints
        finally:
            close(self.loop)
            asyncio.set_event_loop(None)
            random.setstate(self.random)

    async def _leave(self) -> None:
        for speaker in self.speakers:
            if speaker is not None:
                speaker.cut()
        for number, line in enumerate(self.lines):
            last = await self.standby.leave(self.size)
            assert last == (number == LINES - 1)
            await line.aclose()


class Strange(FishLiveError):
    """What no table knows."""


Reserve.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestReserve = Reserve.TestCase
