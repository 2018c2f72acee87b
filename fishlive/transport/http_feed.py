"""A request's body on its way to the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from fishlive.transport.patience import Patience
from fishlive.transport.sources import READ_BYTES, read
from fishlive.transport.upload import Upload


class Feed:
    """Gives out a body piece by piece, at the pace of the socket, and watches the time.

    Attributes:
        error: What the source raised, if it did.
        on_error: Called once it has, from the event loop, if an answer is read already.
    """

    def __init__(self, body: bytes | Upload | None, patience: Patience) -> None:
        self.error: BaseException | None = None
        self.on_error: Callable[[], object] | None = None
        self._body = body
        self._patience = patience

    @property
    def length_bytes(self) -> int | None:
        """How long the body is; None if there is none, or nobody knows."""
        if self._body is None:
            return None
        return len(self._body) if isinstance(self._body, bytes) else self._body.length_bytes

    def data(self) -> bytes | AsyncGenerator[bytes, None] | None:
        """Return what the HTTP library is to send."""
        if self._body is None:
            return None
        if not isinstance(self._body, bytes):
            return self._pieces(self._body.pieces())
        # In one piece it would be copied whole, and be late as a whole.
        small = len(self._body) <= READ_BYTES
        return self._body if small else self._pieces(read(self._body, "body"))

    async def _pieces(self, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(source) as pieces:
                # The source may take its time: it is not the service that is late.
                self._patience.enter("queue")
                async for piece in pieces:
                    self._patience.enter("send")
                    yield piece
                    self._patience.enter("queue")
        except Exception as error:
            self.error = error
            if self.on_error is not None:
                # Later: what is called cancels the task that runs this.
                asyncio.get_running_loop().call_soon(self.on_error)
            raise
        self._patience.enter("first_byte")
