"""What an utterance has said so far, to be said again or accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from fishlive.live.outbox import Item, Order, utf8_bytes

LOOSE_ITEMS: Final = 256
"""So many pieces are joined into one: a token of 5 bytes costs 62 as a string of its own."""


class Script:
    """Text and orders as they went to the socket, and what was sent twice.

    Attributes:
        items: All of it. The sender appends text to this very list, once a token (0.03 µs).
    """

    __slots__ = ("_joined", "items")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._joined = 0  # from here on there is text only, that may be joined

    @property
    def text(self) -> str:
        """All text, without the orders."""
        return "".join(_texts(self.items))

    def tail(self, size_bytes: int) -> str:
        """Return the newest text, as many bytes of UTF-8 as asked for, or a little more."""
        pieces: list[str] = []
        for item in _texts(reversed(self.items)):
            if size_bytes <= 0:
                break
            pieces.append(item)
            size_bytes -= utf8_bytes(item)
        return "".join(reversed(pieces))

    def add(self, order: Order) -> None:
        """Note an order, and join the text before it: a sentence in one piece, at 0.5 µs."""
        if len(self.items) - self._joined > 1:
            self._join()
        self.items.append(order)
        self._joined = len(self.items)

    def compact(self) -> None:
        """Join the text since the last order, if there is enough of it."""
        if len(self.items) - self._joined >= LOOSE_ITEMS:
            self._join()
            self._joined = len(self.items)

    def passages(self) -> list[Item]:
        """Return what to say to say it all again: text in as few pieces as orders allow."""
        return list(_runs(self.items))

    def cut(self, char: int, prefix: str = "") -> None:
        """Forget the text before ``char`` and its orders; say ``prefix`` before what is left."""
        rest: list[Item] = []
        before = 0
        for item in self.items:
            if not isinstance(item, Order):
                kept = item[max(0, char - before) :]
                before += len(item)
                rest += [kept] if kept else []
            elif rest:  # a flush without text is none
                rest.append(item)
        self.items[:] = [prefix, *rest] if rest and prefix else rest
        self._joined = len(self.items)

    def _join(self) -> None:
        texts: list[str] = self.items[self._joined :]  # type: ignore[assignment]  # no orders
        self.items[self._joined :] = ["".join(texts)]


def _texts(items: Iterable[Item]) -> Iterator[str]:
    return (item for item in items if not isinstance(item, Order))


def _runs(items: list[Item]) -> Iterator[Item]:
    run: list[str] = []
    for item in items:
        if item.__class__ is str:
            run.append(item)
            continue
        if run:
            yield run[0] if len(run) == 1 else "".join(run)
            run = []
        yield item
    if run:
        yield "".join(run)
