"""One live socket: reads the client's steps, speaks, and says when it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from fishlive.errors import MessageTooLarge, ProtocolError
from fishlive.server.accounts import TOO_MANY, TOO_MANY_EVENT, Slot
from fishlive.server.cutting import TextBuffer
from fishlive.server.desk import Desk
from fishlive.server.faults.scene import FinishedEarly
from fishlive.server.faults.stage import Stage
from fishlive.server.refusal import Refusal, bad_request
from fishlive.server.request import Order, read_order
from fishlive.server.speaking import Inbox, Piece, Speaking, Spoken
from fishlive.wire.machine import NEXT, State, Step
from fishlive.wire.serving import (
    ClientEvent,
    Flush,
    Start,
    Stop,
    Text,
    decode_client,
    encode_audio,
    encode_error,
    encode_finish,
    encode_timed_audio,
)

_log: Final = logging.getLogger("fishlive.server")


class Turn:
    """One utterance: start to finish.

    Attributes:
        state: Where it stands.
        inbox: What is ready to be spoken.
    """

    def __init__(self, order: Order, slot: Slot | None) -> None:
        self.order = order
        self.state: State = NEXT[State.OPENED][Step.START]
        self.inbox: Inbox = asyncio.Queue()
        self.begun_s: float = asyncio.get_running_loop().time()
        self.text_bytes: int = 0
        self._slot = slot
        self._buffer = TextBuffer(
            chunk_length=order.chunk_length, min_chunk_length=order.min_chunk_length
        )

    def add(self, text: str) -> None:
        """Buffer text; hand on what is long enough."""
        self._hand_on(self._buffer.add(text))

    def flush(self) -> None:
        """Hand on what is there."""
        self._hand_on(self._buffer.flush())

    def stop(self) -> None:
        """Hand on what is there; nothing follows."""
        self.flush()
        self.inbox.put_nowait(None)

    def end(self) -> None:
        """It is over: no step is allowed any more, and the slot is free. Idempotent."""
        self.state = State.FINISHED
        if self._slot is not None:
            self._slot.release()

    def _hand_on(self, pieces: list[str]) -> None:
        now_s = asyncio.get_running_loop().time()
        for piece in pieces:
            self.inbox.put_nowait(Piece(piece, now_s))


class Conversation:
    """What is said on one socket.

    One task reads, another speaks; reading never pauses, so pings are answered, and a client that
    leaves is noticed, while it speaks.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        desk: Desk,
        model: str,
        timed: bool,
        stage: Stage,
    ) -> None:
        self._socket = socket
        self._stage = stage
        stage.say, stage.shut = socket.send_bytes, socket.close
        self._desk = desk
        self._model = model
        self._timed = timed
        self._turn: Turn | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the socket closes, or something is refused."""
        try:
            await self._stage.opened()
            async for event in self._events():
                if await self._stage.heard(event):
                    self._take(event)
        except Refusal as refusal:
            await self.refuse(refusal)
        except MessageTooLarge as error:
            await self.refuse(bad_request(str(error)), code=WSCloseCode.MESSAGE_TOO_BIG)
        except ProtocolError as error:
            await self.refuse(bad_request(str(error)), code=WSCloseCode.INVALID_TEXT)
        finally:
            await self._settle()

    async def refuse(self, refusal: Refusal, *, code: int = WSCloseCode.OK) -> None:
        """Say why, and close, as the service does after ``error`` (OpenAPI, 2026-09).

        The close code is not documented: 1000, since the event has said everything, and 1007 for
        a message that cannot be read.
        """
        await self._silence()
        limit = refusal.max_concurrency
        sentence = TOO_MANY_EVENT if refusal.message == TOO_MANY else refusal.message
        try:
            await self._socket.send_bytes(encode_error(sentence, max_concurrency=limit))
        except ConnectionError:
            return
        await self._socket.close(code=code)

    async def abandon(self) -> None:
        """Stop speaking and close, because the server goes away."""
        await self._silence()
        await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _events(self) -> AsyncIterator[ClientEvent]:
        while True:
            try:
                message = await self._socket.receive(self._desk.settings.idle_s)
            except asyncio.TimeoutError:
                if self._tasks:  # it listens
                    continue
                await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"idle")
                return
            if message.type is WSMsgType.TEXT:
                continue  # text frames are ignored (OpenAPI description, 2026-09)
            if message.type is not WSMsgType.BINARY:
                return
            event = decode_client(message.data)
            if event is not None:
                yield event

    def _take(self, event: ClientEvent) -> None:
        match event:
            case Start(request=request):
                self._start(request)
            case Text(text=text):
                if turn := self._allowed(Step.TEXT):
                    self._add(turn, text)
            case Flush():
                if turn := self._allowed(Step.FLUSH):
                    turn.flush()
            case Stop():
                if turn := self._allowed(Step.STOP):
                    turn.stop()

    def _allowed(self, step: Step) -> Turn | None:
        """Take a step of the running turn; None if it is out of order and we are lenient.

        What the service does then is not documented.
        """
        turn = self._turn
        state = turn.state if turn is not None else State.OPENED
        after = NEXT[state].get(step)
        if turn is not None and after is not None:
            turn.state = after
            return turn
        self._out_of_order(step, state)
        return None

    def _out_of_order(self, step: Step, state: State) -> None:
        if self._desk.settings.strict:
            raise bad_request(f"{step.value} is not allowed while {state.value}")

    def _start(self, request: Mapping[str, Any]) -> None:
        account, settings = self._desk.account, self._desk.settings
        if self._turn is not None and self._turn.state is not State.FINISHED:
            self._out_of_order(Step.START, self._turn.state)
            return
        if self._turn is not None and settings.closes(timed=self._timed):
            return  # it crossed our close frame
        account.check_credit(self._model)
        order = read_order(
            request,
            model=self._model,
            find=self._desk.studio.find,
            strict=settings.strict,
            live=True,
        )
        turn = Turn(order, None if settings.idle_sockets_count else account.slot())
        self._turn = turn
        task = asyncio.create_task(self._speak(turn), name="fishlive-speak")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _task: turn.end())
        self._add(turn, order.text)

    def _add(self, turn: Turn, text: str) -> None:
        turn.text_bytes += len(text.encode("utf-8", "replace"))
        if turn.text_bytes > self._desk.settings.max_text_bytes:
            limit = self._desk.settings.max_text_bytes
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"text too long: at most {limit} bytes"
            )
        self._desk.account.charge(text, self._model)
        turn.add(text)

    async def _speak(self, turn: Turn) -> None:
        """Speak a turn to its end and say so, once."""
        settings = self._desk.settings
        speaking = Speaking(
            turn.order,
            studio=self._desk.studio,
            profile=settings.pace,
            emit=self._emit,
            timed=self._timed,
        )
        reason, message, finish = "stop", None, b""
        try:
            await speaking.run(turn.inbox)
        except ConnectionError:
            return  # the client is gone; the reader notices too
        except FinishedEarly as early:
            finish = early.message
        except Exception as error:  # noqa: BLE001 - whatever broke, the client must hear of it
            _log.warning("speaking failed", exc_info=error)
            reason, message = "error", "the voice failed"
        elapsed_s = asyncio.get_running_loop().time() - turn.begun_s
        usual = encode_finish(reason, message=message, time_ms=round(1000 * elapsed_s))
        try:
            finish = finish or await self._stage.finishing(usual)
            turn.end()  # before anybody can know of it, so that the slot is free when they do
            await self._stage.finish(finish)
        except ConnectionError:
            return
        if settings.closes(timed=self._timed):
            await self._socket.close()

    async def _emit(self, spoken: Spoken) -> None:
        if self._timed:
            await self._stage.audio(
                encode_timed_audio(
                    spoken.audio,
                    chunk_seq=spoken.chunk_seq,
                    chunk_audio_offset_s=round(spoken.chunk_audio_offset_s, 3),
                    content=spoken.content,
                    alignment=spoken.alignment,
                )
            )
        else:
            await self._stage.audio(encode_audio(spoken.audio))

    async def _silence(self) -> None:
        """Stop speaking, and wait until it stopped."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _settle(self) -> None:
        """Wait for a turn that says goodbye itself; stop any other."""
        if self._tasks and self._turn is not None and self._turn.state is State.FINISHED:
            await asyncio.wait(self._tasks)
        await self._silence()
