"""What the connections of a simulated service share: its manner, its faults, what it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from fishlive.testing.faulty import FaultBook
from fishlive.testing.network import Journal, Link


@dataclass(frozen=True, slots=True)
class Manner:
    """How the service is where nothing goes wrong. Seconds, bytes, characters.

    Attributes:
        first_audio_s: From text that is due to its first audio.
        every_s: Between two audio messages; 0 sends all that is due at once.
        message_bytes: Audio in one message; odd sizes cut samples in two.
        stretch: How much audio one character makes, in records of 16 bytes.
        chunk_length: Characters that are spoken without a flush.
        after_finish: What becomes of the connection.
        after_finish_s: When.
        second_start: What another ``start`` on the same connection meets.
        max_concurrency: Utterances at once, over all connections; None for any number.
        read_every_s: How long it reads nothing behind each message; 0 reads freely.
    """

    first_audio_s: float = 0.05
    every_s: float = 0.0
    message_bytes: int = 512
    stretch: int = 1
    chunk_length: int = 100
    after_finish: Literal["keep", "close", "fin", "rst"] = "keep"
    after_finish_s: float = 0.0
    second_start: Literal["take", "refuse", "close"] = "take"
    max_concurrency: int | None = None
    read_every_s: float = 0.0


@dataclass(slots=True)
class Attempt:
    """One ``start`` and what came of it.

    Attributes:
        number: From 1, over all connections.
        link: Where it happened.
        first: Whether it was the first on its connection.
        began_s: When it was heard, by the loop's clock.
        request: The fields of ``start``.
        texts: What the client said.
        flushes: How often it asked for audio.
        stopped: Whether it ended its text.
        audio: What was sent, with the number of its message on the connection, up to the end.
        damage: Number of the message, if any, from which on nothing of it counts.
        ending: How the service ended it; None while it has not.
        ended_at: Number of the message that said so.
    """

    number: int
    link: Link
    first: bool
    began_s: float
    request: dict[str, Any]
    texts: list[str] = field(default_factory=list)
    flushes: int = 0
    stopped: bool = False
    audio: list[tuple[int, bytes]] = field(default_factory=list)
    damage: int | None = None
    ending: str | None = None
    ended_at: int = 0

    @property
    def text(self) -> str:
        """All text the client said."""
        return "".join(self.texts)

    @property
    def end_delivered(self) -> bool:
        """Whether the client was told how it ended, by a message."""
        return self.ending is not None and self.link.delivered >= self.ended_at

    @property
    def delivered(self) -> bytes:
        """Audio that reached the client before anything damaged did."""
        last = self.link.delivered
        if self.damage is not None:
            last = min(last, self.damage - 1)
        return b"".join(audio for number, audio in self.audio if number <= last)


@dataclass(slots=True)
class Desk:
    """What all connections of one service know.

    Attributes:
        manner: How the service is.
        book: What is still to go wrong.
        journal: Where to note what happens.
        attempts: All utterances that were begun.
        complaints: What a client may not do and did.
    """

    manner: Manner
    book: FaultBook
    journal: Journal
    attempts: list[Attempt] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def running(self) -> int:
        """Utterances that neither side has ended."""
        return sum(a.ending is None and not a.link.lost for a in self.attempts)

    def begin(self, link: Link, request: dict[str, Any]) -> Attempt:
        """Note a new attempt on a connection."""
        first = all(attempt.link is not link for attempt in self.attempts)
        now_s = asyncio.get_running_loop().time()
        attempt = Attempt(len(self.attempts) + 1, link, first, now_s, request)
        self.attempts.append(attempt)
        return attempt


def described(attempts: Iterable[Attempt], tell: Callable[[str], object]) -> None:
    """Tell each attempt in one line."""
    for attempt in attempts:
        tell(
            f"attempt {attempt.number} on connection {attempt.link.number}: "
            f"{len(attempt.text)} characters, {attempt.flushes} flushes, "
            f"{'stopped' if attempt.stopped else 'open'}, "
            f"{len(attempt.delivered)} bytes delivered, {attempt.ending}"
        )
