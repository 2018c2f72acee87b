"""Messages that come in pieces, put together under a limit. Pure."""

from __future__ import annotations

from fishlive.errors import MessageTooLarge
from fishlive.limits import MAX_FRAGMENTS
from fishlive.transport.endings import broken, too_large
from fishlive.transport.frames import Opcode


class Fragments:
    """Puts the data frames of one message together. Text is counted, and not kept.

    Attributes:
        ignored: Whole text messages so far.
    """

    __slots__ = ("_count", "_kind", "_limit_bytes", "_parts", "_size_bytes", "ignored")

    def __init__(self, limit_bytes: int) -> None:
        self.ignored: int = 0
        self._limit_bytes = limit_bytes
        self._kind: Opcode | None = None
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._count = 0

    @property
    def pending(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._kind is not None

    def add(self, opcode: Opcode, payload: bytes | memoryview, *, fin: bool) -> bytes | None:
        """Take one data frame; return the binary message that it completes, if it does.

        Raises:
            ProtocolError: A continuation of nothing, or a new message inside another.
            MessageTooLarge: Over the limit, or in more than MAX_FRAGMENTS frames.
        """
        if (opcode is Opcode.CONTINUATION) is not self.pending:
            raise broken(
                "a message began inside another" if self.pending else "a continuation of nothing"
            )
        if self._kind is None:
            self._kind = opcode
        self._count += 1
        self._size_bytes += len(payload)
        if self._size_bytes > self._limit_bytes:
            raise too_large(self._size_bytes, self._limit_bytes)
        if self._count > MAX_FRAGMENTS:
            raise MessageTooLarge(f"a message in more than {MAX_FRAGMENTS} fragments")
        if self._kind is Opcode.BINARY:
            self._parts.append(bytes(payload))
        return self._finish() if fin else None

    def _finish(self) -> bytes | None:
        message = b"".join(self._parts) if self._kind is Opcode.BINARY else None
        self.ignored += message is None
        self._kind = None
        self._parts.clear()
        self._size_bytes = self._count = 0
        return message
