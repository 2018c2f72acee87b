"""One server's faults: what is played, where it is listened, and who meets it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from aiohttp import web

from fishlive.faults import Endpoint, Fault
from fishlive.server.faults.plan import Plan, Played
from fishlive.server.faults.port import Port
from fishlive.server.faults.stage import Stage
from fishlive.server.routes import LIVE, LIVE_TIMED

_ENDPOINTS: Final[dict[str, Endpoint]] = {LIVE: "live", LIVE_TIMED: "timed"}


class Playing:
    """Plays faults on one server, again and again started.

    Args:
        faults: What goes wrong from the beginning.
        told: Called with each fault as it is played.
    """

    def __init__(
        self, faults: Iterable[Fault], *, told: Callable[[Fault], None] | None = None
    ) -> None:
        self._plan = Plan(told)
        self._port: Port | None = None
        self._closed: list[Fault] = []
        self.play(faults)

    @property
    def played(self) -> Played:
        """How often each was played, by its line."""
        return Played(self._plan.played)

    def play(self, faults: Iterable[Fault]) -> None:
        """Let these go wrong, too."""
        faults = tuple(faults)
        self._plan.add(fault for fault in faults if fault.kind != "refuse")
        self._closed += [fault for fault in faults if fault.kind == "refuse"]
        if self._port is not None:
            self._refuse(self._port)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._plan.clear()
        self._closed.clear()
        if self._port is not None:
            self._port.heal()

    async def listen(self, runner: web.AppRunner, host: str, port: int) -> int:
        """Let a runner serve a port; return its number. Raises OSError if it cannot be had."""
        server = runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        opening = Port(server, self._plan)
        await opening.open(host, port)
        self._port = opening
        self._refuse(opening)
        return opening.number

    @contextlib.asynccontextmanager
    async def leaving(self) -> AsyncIterator[None]:
        """Listen no more; drop what faults keep open, before and behind the block."""
        port, self._port = self._port, None
        if port is not None:
            await port.shut()
        yield
        if port is not None:
            port.drop_held()

    async def arrive(self, request: web.Request) -> web.Response | None:
        """Let a request meet what is at its beginning; return the answer if it is a fault's."""
        port = self._port
        if port is None:
            return None
        endpoint = _ENDPOINTS.get(request.path, "rest")
        return await Stage(request, endpoint, plan=self._plan, port=port).arrive()

    def _refuse(self, port: Port) -> None:
        closed, self._closed = self._closed, []
        for fault in closed:
            self._plan.count(fault)
            seconds = fault.amount
            port.refuse(seconds if isinstance(seconds, int | float) else None)
