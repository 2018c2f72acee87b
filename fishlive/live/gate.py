"""A line's way to the account's slots: asked for, held, given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from fishlive.errors import SlotTimeout, WrongLoopError
from fishlive.flow.governor import Governor, Priority, Slot, Ticket
from fishlive.live.caller import Caller
from fishlive.transport.socket import Socket


class Gate:
    """Holds the slot of what goes on over one line.

    Where only requests count against the account, the utterance holds it: from its first text
    (or a little earlier, while the socket for that is being opened) to ``finish``, or until its
    socket is closed after an abort. Where idle sockets count too, the connection holds it, from
    before it is opened until it is closed; an idle one is given up as soon as any request of the
    account waits.

    No transport tells when an aborted socket is closed. The loops, asyncio's and uvloop's, close
    it in the turn after the abort, ahead of whatever is scheduled later: so that is when the slot
    goes back.

    Args:
        governor: The account's.
        reopen: Opens the next connection, if there is a slot for it.
    """

    def __init__(self, governor: Governor, reopen: Callable[[], object]) -> None:
        self._governor = governor
        self._idle_counts = governor.idle_sockets_count
        self._reopen = reopen
        self._loop = asyncio.get_running_loop()
        self._slot: Slot | None = None
        self._ticket: Ticket | None = None
        self._caller: Caller | None = None
        self._serve: Callable[[Caller], object] = _nobody
        self._reservations: set[asyncio.Future[None]] = set()
        self._closed = False

    # Waiting

    def admit(self, caller: Caller, serve: Callable[[Caller], object]) -> None:
        """Have ``serve`` called as soon as there is a slot, maybe now, or refuse the caller."""
        if self._slot is not None:  # the connection's own
            serve(caller)
            return
        self._caller, self._serve = caller, serve
        try:
            ticket = self._governor.ask(self._granted, self._refused, priority=Priority.LIVE)
        except WrongLoopError as error:
            self._caller = None
            caller.refuse(error)
            return
        if ticket.waiting:  # serving may have come back here, and drawn another
            self._ticket = ticket

    def waiting_s(self, caller: Caller) -> float:
        """Return for how long the caller has been waiting now, in seconds."""
        if self._ticket is None or self._caller is not caller:
            return 0.0
        return self._ticket.waited_s

    def cancel(self, caller: Caller) -> None:
        """Forget a caller that waits."""
        if self._caller is caller:
            caller.slot_wait_s += self.waiting_s(caller)
            self._leave_queue()

    async def reserve(self) -> None:
        """Wait for the slot that opening a connection needs, if it needs one and has none.

        Then the connection is being opened, or :meth:`close` was called. Cancelling keeps no slot.

        Raises:
            SlotTimeout: It took too long.
            WrongLoopError: See :meth:`Governor.slot`.
        """
        if not self._idle_counts or self._slot is not None or self._closed:
            return
        answer: asyncio.Future[None] = self._loop.create_future()
        self._reservations.add(answer)
        ticket = self._governor.ask(
            partial(self._reserved, answer), partial(_fail, answer), priority=Priority.LIVE
        )
        try:
            await answer
        finally:
            ticket.cancel()
            self._reservations.discard(answer)

    def may_open(self) -> bool:
        """Return whether a connection may be opened now, taking the slot for it if it needs one."""
        if self._idle_counts and self._slot is None and not self._closed:
            self._slot = self._governor.take()
        return self._slot is not None or not self._idle_counts

    # Holding

    def adopt(self, slot: Slot | None, opening: asyncio.Task[None] | None) -> None:
        """Hold the slot that a socket from the reserve brings, instead of what is held.

        Args:
            slot: None where idle sockets do not count.
            opening: What was begun under the old slot and is being cancelled; that is held until
                it is over.
        """
        if slot is None:
            return
        old, self._slot = self._slot, slot
        if old is None:
            return
        if opening is None:
            self._loop.call_soon(self._after_cut, old, False)  # noqa: FBT003 - call_soon's own way
        else:
            opening.add_done_callback(lambda _: old.release(well=False))

    def opened(self, socket: Socket) -> None:
        """Learn what the upgrade says about the account."""
        self._governor.learn_headers(socket.handshake.headers)

    def lent(self) -> None:
        """Note that an utterance has the socket."""
        if self._idle_counts and self._slot is not None:
            self._slot.busy()

    def rests(self, give_up: Callable[[], object]) -> None:
        """Note that the socket is idle. ``give_up`` has to cut it, and call :meth:`cut`."""
        if not self._idle_counts:
            self._give_back(well=True)
        elif self._slot is not None:
            self._slot.spare(give_up)

    # Giving back

    def withdrawn(self) -> None:
        """Note that the caller, let in, does not want the socket that is being opened for it."""
        if not self._idle_counts:
            self._give_back(well=False)

    def hung_up(self, socket: Socket, *, reopen: bool) -> None:
        """Give the slot back of a socket that the service closed; arguments as :meth:`cut`."""
        if self._idle_counts:
            socket.abort()  # or it may stay half closed for a while
            self.cut(reopen=reopen)
        else:
            self._give_back(well=True)

    def cut(self, error: BaseException | None = None, *, reopen: bool = False) -> None:
        """Give the slot back in the next turn of the loop: what was aborted now is closed by then.

        Args:
            error: Why it was aborted or not opened, if that was a failure.
            reopen: Whether a connection that had to wait for this slot is to be opened then.
        """
        if error is not None and self._slot is not None:
            self._slot.failed(error)
        elif error is not None:
            self._governor.refused(error)
        slot, self._slot = self._slot, None
        if slot is not None:
            self._loop.call_soon(self._after_cut, slot, reopen and self._idle_counts)

    def close(self) -> None:
        """Let nobody in any more. What is held stays held until :meth:`cut`."""
        self._closed = True
        self._leave_queue()
        for answer in self._reservations:
            _tell(answer)

    # Inside

    def _reserved(self, answer: asyncio.Future[None], slot: Slot) -> None:
        if answer.done() or self._slot is not None:  # cancelled, closed, or not needed any more
            slot.release(well=False)
        elif self._caller is not None:
            self._leave_queue(keep_caller=True)
            self._granted(slot)
        else:
            self._slot = slot
            self._reopen()
        _tell(answer)

    def _granted(self, slot: Slot) -> None:
        caller, serve = self._caller, self._serve
        self._leave_queue()
        if caller is None or self._slot is not None:
            slot.release(well=False)
        else:
            self._slot = slot
        if caller is not None:
            caller.slot_wait_s += slot.waited_s
            serve(caller)

    def _refused(self, error: SlotTimeout) -> None:
        caller = self._caller
        self._leave_queue()
        if caller is not None:
            caller.slot_wait_s += error.waited_s
            caller.refuse(error)

    def _leave_queue(self, *, keep_caller: bool = False) -> None:
        ticket, self._ticket = self._ticket, None
        if not keep_caller:
            self._caller, self._serve = None, _nobody
        if ticket is not None:
            ticket.cancel()

    def _after_cut(self, slot: Slot, reopen: bool) -> None:  # noqa: FBT001 - call_soon's own way
        slot.release(well=False)
        if reopen:
            self._reopen()

    def _give_back(self, *, well: bool) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release(well=well)


def _tell(answer: asyncio.Future[None]) -> None:
    if not answer.done():
        answer.set_result(None)


def _fail(answer: asyncio.Future[None], error: SlotTimeout) -> None:
    if not answer.done():
        answer.set_exception(error)


def _nobody(caller: Caller) -> None:
    """Serve nobody: nobody waits."""
