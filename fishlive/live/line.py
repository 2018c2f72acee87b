"""The channel's connection: one socket at a time, and its replacement.

Everything that decides *which* socket an utterance gets, and when, belongs here: one idle socket,
one that is being opened, a reserve of warm ones behind both, and a slot of the account for whoever
speaks. Utterances only ask (``request``) and give back (``release``, ``discard``).
"""

from __future__ import annotations

import asyncio
from typing import Final

from fishlive.errors import ConnectError, ConnectionLost, FishLiveError, ProtocolError
from fishlive.flow.governor import Governor
from fishlive.live.caller import Caller
from fishlive.live.gate import Gate
from fishlive.live.refusals import refusal, restarting
from fishlive.live.standby import MAX_AGE_S, SETTLED_S, Standby
from fishlive.transport.socket import Connect, Socket, Target
from fishlive.wire.events import Failure, decode

READY_TRIES: Final = 3
"""Connections ``ready`` waits for before it says that none stays open."""

IDLE_DOUBT_S: Final = 1.0
"""After so many idle seconds a socket may be closing at the service: several round trips."""

MAX_SOCKET_AGE_S: Final = 3000.0
"""No utterance begins on a connection older than this, in seconds: services end them after 3,600
(compatible endpoints, 2026-08), and an utterance may take minutes."""


class Line:
    """Keeps a socket ready. Owns the task that opens the next one.

    Args:
        connect: The transport's way in.
        target: Where to connect.
        governor: Whom to ask before an utterance may speak.
        standby: Warm sockets to take instead of opening one.
    """

    def __init__(
        self,
        connect: Connect,
        target: Target,
        governor: Governor,
        standby: Standby | None = None,
    ) -> None:
        self._connect = connect
        self.target: Target = target
        self._gate = Gate(governor, self.warm)
        self._idle: Socket | None = None
        self._idle_was_used = False
        self._idle_since_s = self._opened_s = 0.0
        self._standby = standby
        # Whether the service takes a second utterance on one socket; None until it was seen to.
        self._keeps: bool | None = None
        self._lent_used = False
        self._keep_error = False
        self._lent: Socket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._openings = 0  # so that one that was given up is known when it comes back
        self._caller: Caller | None = None
        self._error: FishLiveError | None = None
        # What was heard of a socket that nobody was using: why the service hung up.
        self._verdict: FishLiveError | None = None
        self._ready = asyncio.Event()
        self._starting = False
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self.stray: int = 0
        """Messages that came while no utterance was on the line."""

    def warm(self, *, keep_error: bool = False) -> None:
        """Open a socket in the background unless one is there, or on its way.

        Args:
            keep_error: Whether the next use should learn of a failure. Else it tries again.
        """
        self._keep_error = keep_error or (self._keep_error and self._opening is not None)
        if self._closed or self._starting or self._opening or self._idle or self._lent:
            return
        if self._adopt() or not self._gate.may_open():
            return
        # Allocating may run a finaliser, and that may come back here.
        self._starting = True
        self._ready.clear()
        self._error = self._verdict = None
        self._openings += 1
        opening = self._loop.create_task(self._open(self._openings), name="fishlive connect")
        self._opening = None if opening.done() else opening  # an eager task may be over
        self._starting = False

    async def ready(self) -> None:
        """Wait for the socket that is being opened. Cancelling does not stop the opening.

        Raises:
            ConnectError: It could not be opened; told once.
            ConnectionLost: It does not stay open.
            APIStatusError: The service refused; told once.
            SlotTimeout: Opening it needs a slot, and all stayed taken.
        """
        for tries in range(READY_TRIES + 1):
            if self._error is not None:
                raise self._take_error()
            if self._idle is not None or self._lent is not None or self._closed:
                return
            if tries == READY_TRIES:
                raise ConnectionLost("the service does not keep connections open")
            await self._gate.reserve()
            self.warm(keep_error=True)
            await self._ready.wait()

    def expect(self, caller: Caller) -> None:
        """Have a socket opened for ``caller``, who has nothing to say yet and so needs no slot."""
        if self._error is not None:
            caller.refuse(self._take_error())
        else:
            self.warm()

    def request(self, caller: Caller) -> None:
        """Give ``caller`` a socket as soon as there is a slot for it and the socket is open.

        That is at once where one is idle and a slot is free. Connecting goes on meanwhile.
        """
        if self._error is not None:
            caller.refuse(self._take_error())
        else:
            self.warm()
            self._gate.admit(caller, self._serve)

    def waiting_s(self, caller: Caller) -> float:
        """Return for how long the caller has been waiting for a slot now, in seconds."""
        return self._gate.waiting_s(caller)

    def _serve(self, caller: Caller) -> None:
        if self._error is not None:
            self._gate.cut()
            caller.refuse(self._take_error())
            return
        socket, reused = self._idle, self._idle_was_used
        self._idle = None
        if socket is not None and not socket.closed and not self._worn():
            doubtful = reused or self._loop.time() - self._idle_since_s > IDLE_DOUBT_S
            self._lend(socket, caller, reused=reused, doubtful=doubtful)
            return
        if socket is not None:
            socket.abort()
        self._caller = caller
        if not self._adopt():
            self.warm()

    def _worn(self) -> bool:
        """Return whether the idle socket is too old, or gives way to a warm one.

        Services were seen to close after ``finish`` (asyncapi.yml) and to stay (live with
        timestamps, 2026-09). One that stays for IDLE_DOUBT_S is given a second utterance, and
        what comes of that is remembered. One that lay as long as a warm one may is replaced too.
        """
        now = self._loop.time()
        if now - self._opened_s > MAX_SOCKET_AGE_S:
            return True
        if self._standby is None or not self._standby.ready:
            return False
        idle_s = now - self._idle_since_s
        closing = self._idle_was_used and not self._keeps and idle_s <= IDLE_DOUBT_S
        return closing or idle_s > MAX_AGE_S

    def _adopt(self) -> bool:
        """Take a warm socket instead of what is being opened; return whether there was one."""
        if self._standby is None or self._starting:
            return False
        self._starting = True  # as in `warm`
        warm = self._standby.take()
        self._starting = False
        if warm is None or warm.socket is None:
            return False
        opening, self._opening = self._opening, None
        if opening is not None:
            self._openings += 1
            opening.cancel()
        self._gate.adopt(warm.slot, opening)
        self._opened_s = warm.since_s
        caller, self._caller = self._caller, None
        if caller is None:
            self._hold(warm.socket, used=False, since_s=warm.since_s)
        else:
            doubtful = self._loop.time() - warm.since_s > IDLE_DOUBT_S
            self._lend(warm.socket, caller, reused=False, doubtful=doubtful)
        return True

    def cancel(self, caller: Caller) -> None:
        """Forget a request that was not answered yet. The opening goes on, for the next one."""
        self._gate.cancel(caller)
        if self._caller is caller:
            self._caller = None
            self._gate.withdrawn()

    def release(self, socket: Socket) -> None:
        """Take back a socket whose utterance finished.

        The service may close it now (asyncapi.yml) or take another ``start`` on it (live with
        timestamps, 2026-09): it is kept while it lives, and replaced when it does not.
        """
        self._lent = None
        if self._lent_used:
            self._keeps = True
        closes = self._keeps is not None and not self._keeps
        spent = closes or self._loop.time() - self._opened_s > MAX_SOCKET_AGE_S
        if self._closed:
            socket.abort()
            self._gate.cut()
        elif spent or socket.closed:
            socket.abort()
            self._gate.hung_up(socket, reopen=True)
            self.warm()
        else:
            self._hold(socket, used=True)

    def discard(
        self, socket: Socket, error: BaseException | None = None, *, stale: bool = False
    ) -> None:
        """Cut a socket whose utterance ended in any other way, and open the next.

        Not at once where everybody was sent away in the same moment: who speaks next opens it.

        Args:
            error: Why, if the utterance failed: a refusal teaches the governor.
            stale: Whether the socket was no good when the utterance got it.
        """
        if stale and self._lent is socket:
            if self._lent_used:
                self._keeps = False
            elif self._standby is not None:
                self._standby.suspect()
        socket.abort()
        if self._lent is socket:
            self._lent = None
            self._gate.cut(error, reopen=True)
        if not restarting(error):
            self.warm()

    def cut(self) -> None:
        """Cut what is there, stop what is being opened: nobody is left to wait. Idempotent."""
        socket, opening = self._shut()
        if opening is not None:
            opening.cancel()
        if socket is not None:
            socket.abort()
        self._gate.cut()

    async def aclose(self) -> None:
        """Close what is there, stop what is being opened. Idempotent; waits CLOSE_TIMEOUT_S.

        Cancelling cuts the socket at once.
        """
        socket, opening = self._shut()
        try:
            if opening is not None:
                opening.cancel()
                await asyncio.wait([opening])
            if socket is not None:
                await socket.aclose()
        finally:
            if socket is not None:
                socket.abort()
            self._gate.cut()

    def _shut(self) -> tuple[Socket | None, asyncio.Task[None] | None]:
        """Begin nothing any more; return what is idle and what is being opened."""
        self._closed = True
        self._openings += 1
        self._ready.set()
        self._error = None
        self._gate.close()
        socket, self._idle = self._idle, None
        opening, self._opening = self._opening, None
        return socket, opening

    def on_message(self, message: bytes | memoryview) -> None:
        """Remember a refusal, which may come with the 101; count whatever else nobody asked for.

        A connection that says more of an utterance that is over would say it into the next one.
        """
        try:
            event = decode(message)
        except ProtocolError:
            event = None
        if not isinstance(event, Failure):
            self.stray += 1
            if event is not None and self._idle is not None and self._idle_was_used:
                self._idle.abort()
                self.on_closed(ConnectionLost("the connection speaks unasked"))
            return
        error = refusal(event, spoken=False)
        idle, self._idle = self._idle, None
        if idle is None:  # not handed over yet: _opened will see it
            self._verdict = error
            return
        idle.abort()
        self._gate.cut(error)
        settled = self._loop.time() - self._idle_since_s >= SETTLED_S
        if self._idle_was_used or settled:  # how a service says that it does not keep sockets
            self.warm()
        else:
            self._error = error

    def on_closed(self, error: FishLiveError) -> None:
        """Replace an idle socket that served before.

        An unused one is replaced by the next use, so that a service which closes every
        connection is not called again and again.
        """
        used, idle, self._idle = self._idle_was_used, self._idle, None
        if idle is None:  # not handed over yet: _opened will see that it is closed
            self._verdict = self._verdict or error
            return
        self._gate.hung_up(idle, reopen=used)
        if used and not restarting(error):
            self.warm()

    def on_writable(self) -> None:
        """Nothing waits to be written."""

    async def _open(self, number: int) -> None:
        error: FishLiveError | None = None
        try:
            socket = await self._connect(self.target, self)
        except asyncio.CancelledError:
            if number == self._openings:  # somebody cancels every task there is
                self._failed(ConnectError("connecting was cancelled"))
            raise
        except FishLiveError as refused:
            error = refused
        except Exception as cause:  # noqa: BLE001  # a custom transport may raise anything
            error = ConnectError(f"the transport failed: {type(cause).__name__}")
            error.__cause__ = cause
        if number != self._openings:  # it was given up, and the transport did not hear of it
            if error is None:
                socket.abort()
        elif error is not None:
            self._failed(error)
        else:
            self._opened(socket)

    def _opened(self, socket: Socket) -> None:
        self._opening = None
        self._opened_s = self._loop.time()
        self._gate.opened(socket)
        if socket.closed or self._verdict is not None:
            # It came and went, maybe saying why, before connecting had returned.
            socket.abort()
            stillborn = ConnectionLost("the connection was lost as soon as it was open")
            self._failed(self._verdict or stillborn)
        elif self._caller is not None:
            caller, self._caller = self._caller, None
            self._lend(socket, caller, reused=False, doubtful=False)
        else:
            self._hold(socket, used=False)

    def _failed(self, error: FishLiveError) -> None:
        self._opening = None
        self._gate.cut(error)
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.refuse(error)
        elif self._keep_error:
            self._error = error
        self._ready.set()

    def _lend(self, socket: Socket, caller: Caller, *, reused: bool, doubtful: bool) -> None:
        self._lent, self._lent_used = socket, reused
        self._ready.set()
        self._gate.lent()
        if self._standby is not None:
            self._standby.start()
        socket.receiver = caller
        caller.attach(socket, reused=reused, doubtful=doubtful)

    def _hold(self, socket: Socket, *, used: bool, since_s: float | None = None) -> None:
        socket.receiver = self
        self._idle, self._idle_was_used = socket, used
        self._idle_since_s = self._loop.time() if since_s is None else since_s
        self._ready.set()
        self._gate.rests(self._give_up)

    def _give_up(self) -> None:
        """Cut the idle socket, for somebody who waits for its slot."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.abort()
            self._gate.cut()

    def _take_error(self) -> FishLiveError:
        error, self._error = self._error, None
        assert error is not None  # noqa: S101  # both callers have looked
        self.target.scrub(error)
        self._ready.clear()
        return error
