"""Text on its way from the caller to the wire: joined, flushed, kept to be said again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from fishlive.errors import BudgetExceeded, FishLiveError, InvalidTextError
from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.flow.credit import Credit
from fishlive.limits import FIRST_FLUSH_S, TEXT_QUEUE_BYTES
from fishlive.live.outbox import Order, Outbox, utf8_bytes
from fishlive.live.script import Script
from fishlive.models.extras import is_unicode
from fishlive.models.tts import TTSRequest
from fishlive.text.flush import FlushPolicy
from fishlive.text.speakable import has_speech
from fishlive.transport.socket import Socket
from fishlive.wire.protocol import LiveProtocol

TOKEN_CHARS: Final = 64
"""Longest text that is taken for a token, in characters: longer than any word of an LLM."""

BURST_S: Final = 0.00025
"""How long after a write tokens are joined, in seconds: a quarter of the millisecond that they may
take to the wire. No model writes 4,000 tokens a second: what comes faster has waited elsewhere."""

BATCH_MESSAGES: Final = 64
"""Most messages in one write: behind so many sentences and flushes a full socket is noticed."""

_FREE: Final = Level.FREE


class Watch(Protocol):
    """Who has to know what was asked of the service."""

    def flushed(self) -> None:
        """Learn that audio was asked for."""

    def stopped(self) -> None:
        """Learn that all text was sent."""

    def choked(self) -> None:
        """Learn that text waits because the socket takes no more."""


class Sink(Protocol):
    """Where messages go: a socket, or what goes to it in one write."""

    def send(self, message: bytes, /) -> None:
        """Take a message."""


class _Batch:
    """Messages of one piece of text: its sentences, and the flushes between them."""

    __slots__ = ("messages", "send")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.send: Callable[[bytes], None] = self.messages.append


class Sender:
    """Writes one utterance's text, as fast as socket, buffer and credit allow.

    Text that arrives within one turn of the event loop leaves in one message. So does a burst, as
    of a buffer that is being emptied: a token that a source brings within BURST_S of a write waits
    for those on its heels, until a turn goes by without one, or BURST_S is over. A write is 9 of
    the 16 µs that a token costs, and a packet. Nothing ever waits for a timer to be joined.

    Args:
        request: The fields of ``start``, sent with the first text.
        policy: Where sentences are flushed; None to flush on request only.
        buffer: Where the audio comes in: no text is sent while it is not free.
        credit: No text is sent while it is spent.
        segmented: Whether each stretch up to a flush is spoken over a socket of its own.
        charge: Told of the bytes of all text before it is queued; may refuse by raising.
        want_socket: Called when there is something to send and no socket.
        reject: Called with the error when what a source brought is not text, or too dear.

    Attributes:
        outbox: What waits to be sent.
        room: Set while callers may add text.
        full: Whether callers wait for room.
        look: Whether a source has to ask before it goes on: there is no room, or no use.
        due: Whether somebody will pump before this turn of the loop is over.
        first_text_s: When the first speakable text was sent, by the loop's clock.
        script: What was said.
        replayed_bytes: UTF-8 bytes of text that were sent once more.
    """

    # An instance of over 30 attributes without slots is a dict: twice the price of each look.
    __slots__ = (
        "_blocked_s", "_blocked_since_s", "_brought", "_buffer", "_credit", "_direct", "_fresh",
        "_held", "_items", "_joins_until_s", "_late", "_lead", "_loop", "_note", "_plain",
        "_policy", "_protocol", "_reject", "_request", "_script_from_bytes", "_segmented", "_send",
        "_socket", "_started", "_ticked_bytes", "_timer", "_unflushed", "_unsent", "_waiting",
        "_want_socket", "_watch", "due", "first_text_s", "full", "look", "outbox", "replayed_bytes",
        "room", "script",
    )  # fmt: skip

    def __init__(
        self,
        request: TTSRequest,
        policy: FlushPolicy | None,
        *,
        buffer: AudioBuffer,
        credit: Credit,
        segmented: bool,
        charge: Callable[[int], object] | None,
        want_socket: Callable[[], None],
        reject: Callable[[FishLiveError], None],
    ) -> None:
        self.outbox: Outbox = Outbox(charge)
        self.room: asyncio.Event = asyncio.Event()
        self.room.set()
        self.full: bool = False
        self.look: bool = False
        self.due: bool = False
        self.first_text_s: float | None = None
        self.script: Script = Script()
        self.replayed_bytes: int = 0
        self._loop = asyncio.get_running_loop()
        self._protocol: LiveProtocol | None = None
        self._watch: Watch | None = None
        self._request = request
        self._policy = policy
        self._buffer = buffer
        self._credit = credit
        self._want_socket = want_socket
        self._reject = reject
        self._started = False
        self._items = self.outbox.items
        self._fresh = self.outbox.fresh
        self._note = self.script.items.append
        self._send: Callable[[str], bytes] = _no_socket
        self._plain = False  # whether text needs nothing but writing: it is not the first
        self._direct = False  # whether a single token may go past the outbox; see `_all_gone`
        self._joins_until_s = 0.0  # by the loop's clock; BURST_S from the last token written
        self._brought = 0  # tokens that the source had brought by its last step
        self._waiting = -1  # tokens of a burst at the last look; -1 if nobody looks
        self._segmented = segmented
        self._held = False  # whether a segment is over and its finish awaited
        self._script_from_bytes = 0  # text sent before the script began
        self._lead = ""  # what the next text has to begin with: tags that are in force
        self._unsent = ""  # what was left at the end
        self._late = False  # whether FIRST_FLUSH_S have passed since the first text
        self._socket: Socket | None = None
        self._unflushed = False  # whether text was sent that no flush followed
        self._timer: asyncio.TimerHandle | None = None
        self._ticked_bytes = 0  # text sent until the last tick
        self._blocked_since_s: float | None = None
        self._blocked_s = 0.0

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of text sent."""
        return self.outbox.added_bytes - self.outbox.queued_bytes

    @property
    def unsent(self) -> str:
        """Text that was queued and not sent, also after the end."""
        return self._unsent or self.outbox.text

    @property
    def waited_s(self) -> float:
        """How long text had to wait although a socket was there, in seconds."""
        since = self._blocked_since_s
        return self._blocked_s + (0.0 if since is None else self._loop.time() - since)

    @property
    def replayable(self) -> bool:
        """Whether the script may be sent once more: it is our own copy, and small."""
        return self.text_bytes - self._script_from_bytes <= TEXT_QUEUE_BYTES

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send, nor anything to be sent again."""
        return not self._items and not self._fresh and not self.script.items

    @property
    def silent(self) -> bool:
        """Whether no text was sent and none waits."""
        return not self.script.items and not self.outbox.queued_bytes

    def attach(self, socket: Socket, protocol: LiveProtocol, watch: Watch) -> None:
        """Write to this socket from now on, first of all what was said already."""
        self._socket, self._protocol, self._watch = socket, protocol, watch
        self._send = protocol.send_text
        self._plain = self._direct = self._started = self._unflushed = self._held = False
        for item in self.script.passages():
            if not isinstance(item, Order):
                self._say(socket, protocol, item)
                self.replayed_bytes += utf8_bytes(item)
            elif item is Order.FLUSH:
                self._write_flush(socket, protocol)
            else:
                self._write_stop(socket, protocol)

    def rewrite(self, char: int, prefix: str) -> None:
        """Leave of the script what is behind ``char``, which was sent before.

        Args:
            char: In the text of the script.
            prefix: What the next socket is told before that, or else before the next text.
        """
        self.script.cut(char, prefix)
        self._lead = "" if self.script.items else prefix
        self._script_from_bytes = self.text_bytes - utf8_bytes(self.script.text)

    def detach(self) -> None:
        """Write to no socket until the next :meth:`attach`."""
        self._socket = self._watch = None
        self._unblock()

    def close(self) -> None:
        """Send nothing more; whoever waits for room goes on."""
        self._socket = self._watch = None
        self._unsent = self.unsent
        self.outbox.clear()
        self.full = False
        self.look = True
        self.room.set()
        self._unblock()
        self._stop_timer()

    def fill(self) -> bool:
        """Have callers wait for room; always False."""
        self.full = self.look = True
        self.room.clear()
        return False

    def detour(self) -> None:
        """Have the next token go through the outbox: buffer or credit may have something to say."""
        self._direct = False

    def step(self) -> None:
        """Write what a step of the source brought: a single token at once, all else by pump."""
        fresh = self._fresh
        if fresh and self._direct and self._joins():
            return
        if self._direct and len(fresh) == 1 and (not self._items or self._rejoined()):
            text, socket, policy = fresh[0], self._socket, self._policy
            if socket is not None and socket.writable and text and text.isascii():
                outbox = self.outbox
                outbox.added_bytes += len(text)
                outbox.gathered += 1
                fresh.clear()
                if policy is None or policy.passes(text):
                    socket.send(self._send(text))
                    self._note(text)
                    self._unflushed = True
                    return
                protocol = self._protocol
                if protocol is None or not self._text(socket, protocol, text) or not self._items:
                    return
        self.pump()

    def _joins(self) -> bool:
        """Return whether what came is to wait for more; else what comes next may be."""
        brought, self._brought = self._brought, self.outbox.gathered + len(self._fresh)
        now_s = self._loop.time()
        if now_s >= self._joins_until_s or self._items:
            self._joins_until_s = now_s + BURST_S
            return False
        # Whoever meets what waits, and is not its source, must find nothing wrong with it.
        if self._brought != brought + 1 or not is_unicode(self._fresh[-1]):
            return False
        if self._waiting < 0:
            self._waiting = 0
            self._loop.call_soon(self._look_again)
        return True

    def _look_again(self) -> None:
        """Write what waits, once a turn has brought nothing more, or it has waited enough."""
        waiting = len(self._fresh)
        if waiting != self._waiting and self._loop.time() < self._joins_until_s:
            self._waiting = waiting
            self._loop.call_soon(self._look_again)
            return
        self._waiting = -1
        if waiting:
            self.pump()

    def _rejoined(self) -> bool:
        """Put the space that waits in front of the token; return whether that is all that waits."""
        items = self._items
        if len(items) > 1 or items[0] != " ":
            return False
        items.clear()
        self._fresh[0] = " " + self._fresh[0]
        self.outbox.queued_bytes -= 1
        self.outbox.added_bytes -= 1
        return True

    def pump(self) -> None:
        """Write what may be written now, or ask for a socket."""
        self.due = False
        items = self._items
        if self._fresh and not self._gather():
            return
        if not items:
            return
        socket, outbox, buffer, credit = self._socket, self.outbox, self._buffer, self._credit
        protocol = self._protocol
        if socket is None or protocol is None:
            self._want_socket()
            return
        while items:
            if (
                not socket.writable
                or self._held
                # What has been said may be asked for: a player that marks rarely needs the end.
                or (
                    items[0].__class__ is str
                    and (
                        buffer.level is not _FREE or (credit.marked_s is not None and credit.spent)
                    )
                )
            ):
                self._block(socket)
                return
            item = outbox.take()
            if item.__class__ is str:
                if not self._text(socket, protocol, item):
                    break
            elif item is Order.FLUSH:
                self._flush(socket, protocol)
            else:
                self.script.add(Order.STOP)
                self._write_stop(socket, protocol)
                self._stop_timer()
        self._all_gone()

    def _all_gone(self) -> None:
        """Note that nothing holds text back now."""
        if self._blocked_since_s is not None:
            self._unblock()
        if self.full:
            self.full = self.look = False
            self.room.set()
        plain = self._plain and self.outbox.charge is None
        self._direct = plain and self._credit.marked_s is None

    def _gather(self) -> bool:
        try:
            if not self.outbox.gather():
                self.fill()
        except (InvalidTextError, BudgetExceeded) as error:
            self._reject(error)
            return False
        return True

    def _text(self, socket: Socket, protocol: LiveProtocol, text: str) -> bool:
        """Write text, and flushes where the policy wants them.

        The sentences of what is longer than a token leave in one write: a token of a source that
        is ahead of us costs 1 µs instead of 1.6, and a sentence two packets less.

        Returns whether to go on: white space that is left behind a flush waits for what follows
        it, and goes out in one message with that.
        """
        policy = self._policy
        ahead_s: float | None = None
        batch = _Batch() if len(text) > TOKEN_CHARS else None
        sink: Sink = batch or socket
        while policy is not None and not policy.passes(text):
            if ahead_s is None:  # looked up at most once: 0.4 µs
                ahead_s = self._credit.ahead_s
            waited_s = FIRST_FLUSH_S if self._late else 0.0
            cut = policy.cut(text, waited_s=waited_s, ahead_s=ahead_s)
            if cut < 0:
                break
            if cut:
                self._send_text(sink, protocol, text[:cut])
            if self._unflushed:
                self._break(sink, protocol)
            text = text[cut:]
            waits = self._held or not text or text.isspace()
            if batch is not None and (waits or len(batch.messages) >= BATCH_MESSAGES):
                socket.send_all(batch.messages)
                batch.messages.clear()
            if not text:
                return True
            if waits or not socket.writable:
                self.outbox.put_back(text)
                return not self._held and (len(self._items) > 1 or not text.isspace())
        self._send_text(sink, protocol, text)
        if batch is not None:
            socket.send_all(batch.messages)
        return True

    def _send_text(self, sink: Sink, protocol: LiveProtocol, text: str) -> None:
        if self._plain:
            sink.send(self._send(text))
            self._note(text)
            self._unflushed = True
            return
        if self._lead:
            self.replayed_bytes += utf8_bytes(self._lead)
            text, self._lead = self._lead + text, ""
        self._say(sink, protocol, text)
        self._note(text)
        if self.first_text_s is None and has_speech(text):
            self.first_text_s = self._loop.time()
            if self._policy is not None:
                self._timer = self._loop.call_later(FIRST_FLUSH_S, self._tick)
        self._plain = self.first_text_s is not None

    def _flush(self, sink: Sink, protocol: LiveProtocol) -> None:
        if self._unflushed:
            self._break(sink, protocol)
            if self._policy is not None:
                self._policy.flushed()

    def _say(self, sink: Sink, protocol: LiveProtocol, text: str) -> None:
        if not self._started:
            self._started = True
            sink.send(protocol.send_start(self._request.payload()))
        self._unflushed = True
        sink.send(protocol.send_text(text))

    def _break(self, sink: Sink, protocol: LiveProtocol) -> None:
        """Write a flush; the stop of a segment where those are spoken one by one."""
        if self._segmented:
            self.script.add(Order.STOP)
            self._write_stop(sink, protocol)
        else:
            self.script.add(Order.FLUSH)
            self._write_flush(sink, protocol)

    def _write_flush(self, sink: Sink, protocol: LiveProtocol) -> None:
        self._unflushed = False
        sink.send(protocol.send_flush())
        if self._watch is not None:
            self._watch.flushed()

    def _write_stop(self, sink: Sink, protocol: LiveProtocol) -> None:
        self._unflushed = self._plain = self._direct = False
        self._held = True
        sink.send(protocol.send_stop())
        if self._watch is not None:
            self._watch.stopped()

    def _tick(self) -> None:
        """Flush what waits at a good place, once it is late, or once its source has gone silent.

        Every FIRST_FLUSH_S while an utterance takes text, and never for a single token: "Let me
        check that." is spoken while the tool runs, not when it has answered.
        """
        self._late = True
        policy, socket, sent = self._policy, self._socket, self.text_bytes
        protocol = self._protocol
        silent = sent == self._ticked_bytes
        self._ticked_bytes = sent
        if policy is not None:
            rests = policy.overdue() or (silent and policy.at_rest())
            if socket is not None and protocol is not None and rests:
                self._flush(socket, protocol)
            self._timer = self._loop.call_later(FIRST_FLUSH_S, self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _block(self, socket: Socket) -> None:
        if self._blocked_since_s is None:
            self._blocked_since_s = self._loop.time()
        if self._watch is not None and not socket.writable:
            self._watch.choked()

    def _unblock(self) -> None:
        if self._blocked_since_s is not None:
            self._blocked_s += self._loop.time() - self._blocked_since_s
            self._blocked_since_s = None


def _no_socket(_text: str) -> bytes:
    """Stand in for a protocol until there is one."""
    raise AssertionError("text was sent without a socket")
