"""Text on its way to the socket: kept in order and joined."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from fishlive.errors import InvalidTextError
from fishlive.limits import MAX_TEXT_EVENT_CHARS, TEXT_QUEUE_BYTES
from fishlive.models.extras import is_unicode
from fishlive.text.speakable import pieces


class Order(enum.Enum):
    """What is not text."""

    FLUSH = "flush"
    STOP = "stop"


Item: TypeAlias = str | Order


class Outbox:
    """A queue of text and orders. Whoever fills it looks at how much waits.

    Args:
        charge: Told of the bytes of all text before it is queued; may refuse by raising.

    Attributes:
        fresh: Text that a source brought within its present step, before :meth:`gather`.
        gathered: How many pieces were ever gathered.
        items: What waits.
        queued_bytes: UTF-8 bytes of text that wait.
        added_bytes: UTF-8 bytes of text that ever were added.
    """

    __slots__ = ("added_bytes", "charge", "fresh", "gathered", "items", "queued_bytes")

    def __init__(self, charge: Callable[[int], object] | None = None) -> None:
        self.charge: Callable[[int], object] | None = charge
        self.fresh: list[str] = []
        self.gathered: int = 0
        self.items: deque[Item] = deque()
        self.queued_bytes: int = 0
        self.added_bytes: int = 0

    def put_text(self, text: str) -> bool:
        """Add text; return whether there is room for more.

        Raises InvalidTextError if UTF-8 cannot hold it (a lone surrogate), and what ``charge``
        raises; then nothing was added.
        """
        size = len(text) if text.isascii() else utf8_bytes(text)
        if self.charge is not None:
            self.charge(size)
        self.queued_bytes = queued = self.queued_bytes + size
        self.added_bytes += size
        if len(text) <= MAX_TEXT_EVENT_CHARS:
            self.items.append(text)
        else:
            self.items.extend(pieces(text))
        return queued < TEXT_QUEUE_BYTES

    def gather(self) -> bool:
        """Queue what a source brought; return whether there is room for more.

        Raises InvalidTextError, with the index of the piece in its source, as :meth:`put_text`.
        """
        fresh, first = self.fresh[:], self.gathered
        self.fresh.clear()
        self.gathered += len(fresh)
        text = fresh[0] if len(fresh) == 1 else "".join(fresh)
        try:
            return self.put_text(text) if text else self.queued_bytes < TEXT_QUEUE_BYTES
        except InvalidTextError as error:
            good = next(i for i, piece in enumerate(fresh) if not is_unicode(piece))
            if good:  # it was brought before, and is accounted for
                self.put_text("".join(fresh[:good]))
            raise InvalidTextError(str(error), index=first + good) from error

    def put(self, order: Order) -> None:
        """Add a flush or the stop, behind the text that waits."""
        self.items.append(order)

    def take(self) -> Item:
        """Return the next order, or as much text as stands before it and fits one event."""
        items = self.items
        first = items.popleft()
        if not items:  # the usual case: one token
            if first.__class__ is str:
                self.queued_bytes = 0
            return first
        if first.__class__ is not str:
            return first
        if items[0].__class__ is str:
            first = "".join(self._more(first))
        self.queued_bytes -= utf8_bytes(first)
        return first

    def put_back(self, text: str) -> None:
        """Return the end of what was taken, to be taken next."""
        self.queued_bytes += utf8_bytes(text)
        self.items.appendleft(text)

    @property
    def text(self) -> str:
        """All text that waits."""
        waiting = [item for item in self.items if not isinstance(item, Order)]
        return "".join([*waiting, *self.fresh])

    def clear(self) -> None:
        """Forget everything that waits."""
        self.fresh.clear()
        self.items.clear()
        self.added_bytes -= self.queued_bytes
        self.queued_bytes = 0

    def _more(self, first: str) -> Iterator[str]:
        yield first
        size, items = len(first), self.items
        while items:
            piece = items[0]
            if isinstance(piece, Order) or size + len(piece) > MAX_TEXT_EVENT_CHARS:
                return
            size += len(piece)
            items.popleft()
            yield piece


def utf8_bytes(text: str) -> int:
    """Return the length of text in UTF-8. Raises InvalidTextError for a lone surrogate."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidTextError("text with half a surrogate pair is no Unicode") from error
