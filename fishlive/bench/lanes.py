"""Ways to the service: which connection an utterance finds, and what opening it took.

A lane belongs to one combination. It owns every session and channel it opens; leaving it closes
them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, TypeAlias

from fishlive.bench.records import Combination
from fishlive.errors import ConfigError
from fishlive.flow.retry import RetryPolicy
from fishlive.live.channel import LiveTTS
from fishlive.secret import Secret
from fishlive.session import Session
from fishlive.transport.socket import Connect, Handshake, Receiver, Socket, Target

LIVE: Final = ("picows", "aiohttp")
"""Transports with a live socket."""

REST: Final = ("rest", "sse")
"""Transports that are one HTTP call an utterance."""


@dataclass(frozen=True)
class Service:
    """Where to speak to.

    Attributes:
        base_url: Address; None for the session's own choice.
        key: API key, or a gateway's token; None for the environment's.
        tls: TLS context for ``https``; None verifies with the system's certificates.
        connect: Live transports of one's own, by the name that a combination knows them by.
        allow_insecure: Whether a key may travel unencrypted to another machine.
        process: Id of the process that serves, if it is ours and on this machine: its work is
            watched, because it takes cores from who measures.
    """

    base_url: str | None = None
    key: Secret | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    connect: Mapping[str, Connect] = field(default_factory=dict, repr=False)
    allow_insecure: bool = False
    process: int | None = None

    def session(self, transport: Connect | None = None) -> Session:
        """Return a session. Raises ConfigError as :class:`~fishlive.session.Session` does."""
        given: dict[str, Any] = {} if transport is None else {"transport": transport}
        return Session(
            self.key,
            base_url=self.base_url,
            tls=self.tls,
            # Each failure is to be seen, and no socket be opened that nobody asked for.
            retry=RetryPolicy(attempts=1),
            standby=0,
            allow_insecure=self.allow_insecure,
            **given,
        )

    def connector(self, name: str) -> Connect:
        """Return a live transport by its name.

        Raises:
            ConfigError: There is none of this name.
        """
        if name in self.connect:
            return self.connect[name]
        if name == "picows":
            from fishlive.transport.picows import connect_picows

            return connect_picows
        if name == "aiohttp":
            from fishlive.transport.aiohttp import connect_aiohttp

            return connect_aiohttp
        raise ConfigError(f"no live transport {name}", argument="transport")


@dataclass(frozen=True, slots=True)
class Opening:
    """One connection: when it was begun and open, by the loop's clock, and what it took."""

    began_s: float
    open_s: float
    handshake: Handshake


class Tap:
    """A live transport that notes when its connections opened. Adds nothing to a message."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.openings: list[Opening] = []

    async def __call__(self, target: Target, receiver: Receiver) -> Socket:
        """Open a connection. See :class:`~fishlive.transport.socket.Connect`."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        socket = await self._connect(target, receiver)
        self.openings.append(Opening(began_s, loop.time(), socket.handshake))
        return socket

    def of(self, connect_s: float | None) -> Opening | None:
        """Return the newest opening that took exactly so long: an utterance's own."""
        found = (o for o in reversed(self.openings) if o.handshake.connect_s == connect_s)
        return next(found, None)


@dataclass
class Channel:
    """An open channel, and what its connections took."""

    live: LiveTTS
    tap: Tap


Door: TypeAlias = Callable[[], contextlib.AbstractAsyncContextManager[Channel]]
"""Gives a channel when the utterance begins. What must be there before is there already."""


class LiveLane:
    """Live channels of one combination.

    Args:
        service: Where to.
        combination: Which transport and which socket.
        fields: Arguments of :meth:`Session.live`.
    """

    def __init__(
        self, service: Service, combination: Combination, fields: Mapping[str, Any]
    ) -> None:
        self._service = service
        self._connect = service.connector(combination.transport)
        self._kind = combination.socket
        self._fields = fields
        self._idle: list[Channel] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> LiveLane:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._idle.clear()
        await self._stack.__aexit__(kind, error, traceback)

    @contextlib.asynccontextmanager
    async def prepared(self) -> AsyncIterator[Door]:
        """Yield the door to a channel, with what an utterance of this kind finds behind it.

        Raises, for a standby socket:
            ConnectError, APIStatusError: It could not be opened.
        """
        if self._kind == "reused":
            yield self._kept
            return
        async with self._session() as (session, tap):
            channel = session.live(**self._fields)
            if self._kind == "cold":
                yield lambda: _entered(channel, tap)
                return
            async with channel as live:
                await live.ready()
                yield lambda: _open(Channel(live, tap))

    @contextlib.asynccontextmanager
    async def _kept(self) -> AsyncIterator[Channel]:
        """Yield a channel that nobody speaks over, the one used last; open one if there is none."""
        channel = self._idle.pop() if self._idle else await self._another()
        try:
            yield channel
        finally:
            self._idle.append(channel)

    async def _another(self) -> Channel:
        session, tap = await self._stack.enter_async_context(self._session())
        live = await self._stack.enter_async_context(session.live(**self._fields))
        return Channel(live, tap)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[Session, Tap]]:
        tap = Tap(self._connect)
        async with self._service.session(tap) as session:
            yield session, tap


@contextlib.asynccontextmanager
async def _entered(channel: LiveTTS, tap: Tap) -> AsyncIterator[Channel]:
    async with channel as live:
        yield Channel(live, tap)


@contextlib.asynccontextmanager
async def _open(channel: Channel) -> AsyncIterator[Channel]:
    yield channel
