"""An answer that still comes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeAlias

import aiohttp
import anyio

from fishlive.errors import FishLiveError, ProtocolError, StreamClosedError, UpgradeError
from fishlive.flow.governor import Slot
from fishlive.limits import ERROR_BODY_S, MAX_ERROR_BODY_BYTES
from fishlive.transport.answer import lower_case
from fishlive.transport.call import Answer, media_type
from fishlive.transport.http_failure import broken_off, unexpected
from fishlive.transport.http_feed import Feed
from fishlive.transport.patience import Patience
from fishlive.transport.refusal import refusal, trace_id

Refuse: TypeAlias = Callable[[int, Mapping[str, str], bytes], FishLiveError]
"""Makes an error of a refusal's status, headers (names in lower case) and body."""


class AnswerStream:
    """An answer that still comes. Iterate it for its bytes, once.

    The socket is read at the pace of whoever iterates.

    Attributes:
        status: 2xx.
        headers: Names in lower case.
        trace_id: What the service calls the request, if it said so.
        received_bytes: How much was handed over.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        patience: Patience,
        *,
        feed: Feed,
        slot: Slot | None,
        attempt: int,
        refuse: Refuse = refusal,
    ) -> None:
        self._refuse = refuse
        self.status: int = response.status
        self.headers: Mapping[str, str] = lower_case(response.headers.items())
        self.trace_id: str | None = trace_id(self.headers)
        self.received_bytes: int = 0
        self._response = response
        self._patience = patience
        self._feed = feed
        feed.on_error = response.close  # whoever reads wakes up, and finds the reason
        self._slot = slot
        self._attempt = attempt
        self._whole = False
        self._closed = False
        self._failure: BaseException | None = None

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; empty if there is none."""
        return media_type(self.headers)

    async def check(self) -> None:
        """Raise what the head stands for, unless it is a success."""
        if 200 <= self.status <= 299:
            if self._compressed:
                raise self._ours(ProtocolError("the answer is compressed, which nobody asked for"))
            return
        error = self._refuse(self.status, self.headers, await self._start_of_body())
        raise self._ours(unexpected(self.status) if isinstance(error, UpgradeError) else error)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def piece(self) -> bytes:
        """Return what has come since the last piece; empty at the end. Cancelling loses none.

        What came before a failure is returned first.

        Raises:
            StallTimeout: Nothing came for too long.
            ConnectionLost: It broke off.
            StreamClosedError: It was left, or has failed before.
        """
        if self._whole:
            return b""
        piece = b"" if self._failure or self._closed else await self._next()
        if not piece:
            self._end()
        self.received_bytes += len(piece)
        return piece

    def abandon(self, error: BaseException) -> None:
        """Close the connection because of an error, and learn from it."""
        if self._slot is not None:
            self._slot.failed(error)
        self.close()

    def close(self) -> None:
        """Give the connection back if all was read, else close it. Idempotent."""
        self._closed = True
        if self._whole:
            self._response.release()
        else:
            self._response.close()
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release(well=self._whole)

    async def _next(self) -> bytes:
        content = self._response.content
        piece = b""
        with self._patience.scope():
            self._patience.enter("body")
            try:
                piece = await content.readany()
                self._whole = not piece
            except Exception as error:  # noqa: BLE001 - nothing foreign escapes
                piece = left_over(content)
                self._failure = self._feed.error or self._ours(broken_off(error))
        late = self._patience.late()
        if late is not None:
            self._failure = self._ours(late)
        return piece

    def _end(self) -> None:
        """Close it, and raise what ended it, unless it was the end."""
        if self._whole:
            self.close()
            return
        failure, self._failure = self._failure, None
        if failure is None or self._closed:
            raise StreamClosedError("the answer was closed")
        self.abandon(failure)
        raise failure

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.piece():
            yield piece

    @property
    def _compressed(self) -> bool:
        return self.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}

    def _ours(self, error: FishLiveError) -> FishLiveError:
        error.trace_id = self.trace_id
        error.attempts = self._attempt
        return error

    async def _start_of_body(self) -> bytes:
        """Return what a refusal says, as far as it is quick, short and plain."""
        body = await start_of_body(self._response.content, ERROR_BODY_S)
        return b"" if self._compressed else body


async def start_of_body(content: aiohttp.StreamReader, wait_s: float) -> bytes:
    """Return MAX_ERROR_BODY_BYTES of a body at most, as far as they come in time and unbroken."""
    body = b""
    with anyio.move_on_after(wait_s), contextlib.suppress(Exception):
        while len(body) <= MAX_ERROR_BODY_BYTES:
            piece = await content.readany()
            if not piece:  # the whole of it: the connection is free again
                break
            body += piece
    return body[:MAX_ERROR_BODY_BYTES]


async def read_whole(stream: AnswerStream, most_bytes: int) -> Answer:
    """Return the whole answer. Raises ProtocolError if it is over ``most_bytes``."""
    pieces: list[bytes] = []
    async for piece in stream:
        pieces.append(piece)
        if stream.received_bytes > most_bytes:
            raise ProtocolError(f"an answer of more than {most_bytes} bytes")
    return Answer(stream.status, stream.headers, b"".join(pieces), stream.trace_id)


async def read_json(stream: AnswerStream, most_bytes: int) -> Any:
    """Return the answer's JSON; None for an empty one. Raises ProtocolError if it is none."""
    answer = await read_whole(stream, most_bytes)
    if not answer.body.strip():
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        kind = answer.content_type or "no media type"
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        failure = ProtocolError(f"the answer ({answer.status}, {kind}) is not JSON{where}")
    failure.trace_id = answer.trace_id
    # Out here it has no context: the decoder's error holds the whole answer.
    raise failure


def left_over(content: aiohttp.StreamReader) -> bytes:
    """Return what came before a failure, which aiohttp keeps to itself once it knows of that."""
    take = getattr(content, "_read_nowait", None)  # nothing public gives it out
    rest: bytes = take(-1) if take is not None else b""
    return rest
