"""A service that speaks the live protocol in memory, and plays faults where it is told to.

Its audio are the records of :mod:`fishlive.testing.voice`: they say which attempt they belong to
and which characters they voice. It keeps what it heard and said of each attempt, to be compared
with what the client says it sent and got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from fishlive.errors import ConnectError
from fishlive.faults import Fault, Place
from fishlive.testing.desk import Attempt, Desk, Manner
from fishlive.testing.faulty import FaultBook, answer, play
from fishlive.testing.mouth import Mouth
from fishlive.testing.network import Link, Network, Weather
from fishlive.transport.memory import MemoryRequest
from fishlive.transport.socket import Connect


class Service:
    """A service in an in-memory network, for a run in virtual time.

    ::

        async def main() -> None:
            async with (
                Service(faults=[Fault.parse("rst@audio:3")]) as service,
                Session("local", transport=service.connect) as fish,
            ):
                await my_bot(fish)

        fishlive.testing.clock.run(main, seed=1)

    Args:
        manner: How it is.
        faults: What goes wrong, and where.
        weather: How far away it is.
        seed: Decides the network's jitter.

    Attributes:
        network: Over which it speaks; notes everything in its journal.
        desk: What it remembers.
    """

    def __init__(
        self,
        manner: Manner | None = None,
        *,
        faults: Iterable[Fault] = (),
        weather: Weather | None = None,
        seed: int = 0,
    ) -> None:
        self.network: Network = Network(self._requested, weather=weather, seed=seed)
        self.connect: Connect = self.network.connect
        self.desk: Desk = Desk(manner or Manner(), FaultBook(faults), self.network.journal)
        self._requests = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._mouths: list[Mouth] = []
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Service:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop speaking and listening. Idempotent."""
        for mouth in self._mouths:
            mouth.shut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def attempts(self) -> list[Attempt]:
        """All utterances that were begun."""
        return self.desk.attempts

    def _requested(self, request: MemoryRequest) -> None:
        self._requests += 1
        take = self.desk.book.take
        fault = take(self._requests, Place.CONNECT) or take(self._requests, Place.UPGRADE)
        if fault is None:
            self._accept(request)
            return
        self.network.journal.note("service", f"fault {fault}")
        if fault.kind == "delay":
            self._loop.call_later(float(fault.amount or 0.0), self._accept, request)
        elif fault.kind == "close":
            link = self._accept(request)
            play(fault, link)
        elif fault.kind == "status":
            request.refuse(*answer(fault))
        elif fault.kind != "hang":
            phase = "tcp" if fault.at is Place.CONNECT else "upgrade"
            request.fail(ConnectError(f"the connection failed: {fault.kind}", phase=phase))

    def _accept(self, request: MemoryRequest) -> Link:
        link = self.network.accept(request, {"X-Fish-Trace-Id": f"trace-{self._requests}"})
        mouth = Mouth(self.desk, link, timed=request.target.url.endswith("with-timestamp"))
        self._mouths.append(mouth)
        task = self._loop.create_task(mouth.listen(), name=f"service {link.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return link
