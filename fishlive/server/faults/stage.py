"""What one request meets on its way, from its head to the end of its answer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from aiohttp import web

from fishlive.faults import Endpoint, Fault, Place
from fishlive.server.faults.acts import ACTS
from fishlive.server.faults.plan import Entry, Plan, Visit
from fishlive.server.faults.port import Port
from fishlive.server.faults.scene import Scene
from fishlive.server.faults.tap import Tap
from fishlive.wire.serving import ClientEvent, Start, Text


class Stage(Scene):
    """One request, seen by the faults. Calls nothing, and waits for nothing, without any.

    Args:
        request: What arrived.
        endpoint: Where it goes.
        plan: What goes wrong.
        port: Where it came in.
    """

    def __init__(self, request: web.Request, endpoint: Endpoint, *, plan: Plan, port: Port) -> None:
        transport = request.transport
        tap = transport if isinstance(transport, Tap) else None
        super().__init__(tap, live=endpoint != "rest", restart=port.restart)
        self._plan = plan
        self.over: bool = False
        self._visit = Visit(plan, endpoint)
        self._texts = 0
        self._audios = 0
        request[_KEY] = self

    async def arrive(self) -> web.Response | None:
        """Meet what happens before the answer; return the answer if it is a fault's."""
        if self.tap is None:
            return None
        self.tap.answering()
        for fault in self._visit.meets(Place.UPGRADE):
            await self._act(fault, b"")
            if self.over:
                await forever()
            if self.answer is not None:
                return self.answer
        self._watch_bytes(self.tap)
        return None

    async def opened(self) -> None:
        """Meet what happens right behind the 101."""
        for act in self.opening:
            await act()

    async def heard(self, event: ClientEvent) -> bool:
        """Meet what happens at what a live client says; return whether the server hears it."""
        try:
            if isinstance(event, Start) and not self.over:
                return await self.started()
            if isinstance(event, Text) and not self.over:
                return await self._texted()
        except ConnectionError:  # the client left before it could be told
            self.over = True
        return not self.over

    async def started(self) -> bool:
        """Meet what happens at the beginning of an utterance; return whether it may begin."""
        self._texts = self._audios = 0
        if self.tap is not None:
            self._watch_bytes(self.tap)
        return await self._listen(Place.START, 0)

    async def _texted(self) -> bool:
        self._texts += 1
        return await self._listen(Place.TEXT, self._texts)

    async def audio(self, message: bytes) -> None:
        """Send audio, or what is sent instead. Waits for ever if nothing is.

        Raises:
            FinishedEarly: A fault ends the utterance.
            ConnectionError: The client is gone.
        """
        self._audios += 1
        self.last = message
        due: bytes | None = message
        for fault in self._visit.meets(Place.AUDIO, self._audios):
            due = await self._act(fault, due)
            if due is None:
                break
        await self._go_on()
        if due is not None:
            await self.utter(due)

    async def finishing(self, message: bytes) -> bytes:
        """Return the ``finish`` that is due. Waits for ever if none is.

        Raises:
            ConnectionError: The client is gone.
        """
        await self.spill()
        for fault in self._visit.meets(Place.FINISH):
            message = await self._act(fault, message) or b""
        await self._go_on()
        return message

    async def finish(self, message: bytes) -> None:
        """Send what is due, and what a fault wants behind it.

        Raises:
            ConnectionError: The client is gone.
        """
        await self.deliver(message)
        for extra in self.behind:
            await self.say(extra)
        self.behind.clear()

    async def _listen(self, place: Place, number: int) -> bool:
        for fault in self._visit.meets(place, number):
            await self._act(fault, b"")
        if not self.live:
            await self._go_on()
        return not self.over

    async def _go_on(self) -> None:
        if self.over:
            await forever()

    async def _act(self, fault: Fault, due: bytes | None) -> bytes | None:
        return await ACTS[fault.kind](self, fault, due or b"")

    def _watch_bytes(self, tap: Tap) -> None:
        for entry in self._visit.waiting(Place.BYTE):
            if entry not in self.watched:
                self.watched.add(entry)
                tap.limit(entry.fault.number, partial(self._at_byte, tap, entry))

    def _at_byte(self, tap: Tap, entry: Entry) -> None:
        if self._visit.claim(entry):
            end = {"rst": tap.reset, "fin": tap.end, "half-open": tap.freeze}
            end[entry.fault.kind]()
            self.over = True


_KEY: Final = web.RequestKey("fishlive-stage", Stage)


def stage_of(request: web.Request) -> Stage:
    """Return the stage of a request that arrived."""
    return request[_KEY]


def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """Put a fault's headers into the answer to a request, which may not even have arrived."""
    stage = request.get(_KEY)
    if stage is not None:
        response.headers.update(stage.headers)


async def forever() -> None:
    """Wait until cancelled: the connection ends, or the server."""
    await asyncio.get_running_loop().create_future()
