"""What one simulated conversation does and what goes wrong in it, as data.

:func:`fishlive.testing.draw.schedule_of` makes one of a seed; by hand they are as good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from fishlive.faults import Fault
from fishlive.testing.desk import Manner
from fishlive.testing.network import Weather

T = TypeVar("T")

Verb = Literal["say", "wait", "flush", "end", "raise", "bad"]
StopVerb = Literal["interrupt", "channel", "close", "cancel", "forget"]
Way = Literal["text", "list", "async", "sync", "hand", "channel"]

BY_HAND: Final = frozenset({"hand", "channel"})
"""Ways to speak without a source."""

TAG: Final = "fishlive-turn"
"""Field of ``start`` that says which turn it belongs to."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a producer of text does: a verb with its text or its seconds."""

    verb: Verb
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """One way of ending an utterance from outside, so many seconds after it began."""

    at_s: float
    verb: StopVerb


@dataclass(frozen=True, slots=True)
class Listener:
    """How the audio is read.

    Attributes:
        naps: Seconds of sleep behind the chunk of that number, from 1.
        patience_s: Waits for a chunk no longer than this at once, and then again; None waits.
        leave_after: Leaves the loop behind this chunk.
        marks_every: Marks as played what was read, behind every so-manieth chunk; 0 never.
    """

    naps: tuple[tuple[int, float], ...] = ()
    patience_s: float | None = None
    leave_after: int | None = None
    marks_every: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance.

    Attributes:
        way: What it is spoken from: ``hand`` and ``channel`` by calls, the others from a source.
        producers: What each producer of text does; one, unless by hand.
        flush: Who flushes.
        listener: How it is heard; None for nobody.
        stops: How it is ended from outside.
        next_after_s: When the next turn begins, after this one began; None after its end.
    """

    way: Way
    producers: tuple[tuple[Step, ...], ...]
    flush: Literal["sentence", "never"] = "sentence"
    listener: Listener | None = Listener()
    stops: tuple[Stop, ...] = ()
    next_after_s: float | None = None

    @property
    def text(self) -> str:
        """All its text, if it has one producer."""
        return "".join(step.text for step in self.producers[0] if step.verb == "say")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One conversation over one channel.

    Attributes:
        seed: What it was made from, and what decides whatever else is left to chance.
        turns: What is said.
        manner: How the service is.
        weather: How far away it is.
        faults: What goes wrong.
        credit_s: As :meth:`Session.live`.
        timestamps: As there.
        format: As there.
        concurrency: As :class:`Session`.
        leave_after_s: When the channel is left, whatever goes on; None after the last turn.
    """

    seed: int
    turns: tuple[Turn, ...]
    manner: Manner = Manner()  # noqa: RUF009 - frozen
    weather: Weather = Weather()  # noqa: RUF009
    faults: tuple[Fault, ...] = ()
    credit_s: float | None = 10.0
    timestamps: bool = False
    format: Literal["pcm", "mp3"] = "pcm"
    concurrency: int | None = None
    leave_after_s: float | None = None

    @property
    def length_s(self) -> float:
        """Longest it may take where nobody is silent: the waits of all, and then some."""
        return 90.0 + 20.0 * len(self.turns)

    def smaller(self) -> Iterator[Schedule]:
        """Yield schedules that do one thing less."""
        for turns in _without_one(self.turns):
            if turns:
                yield replace(self, turns=turns)
        for faults in _without_one(self.faults):
            yield replace(self, faults=faults)
        for index, turn in enumerate(self.turns):
            for less in _smaller_turns(turn):
                turns = (*self.turns[:index], less, *self.turns[index + 1 :])
                yield replace(self, turns=turns)
        for name, plain in _PLAIN.items():
            if getattr(self, name) != plain:
                yield replace(self, **{name: plain})  # type: ignore[arg-type]


_PLAIN: Final = {
    "manner": Manner(), "weather": Weather(), "credit_s": 10.0, "timestamps": False,
    "format": "pcm", "concurrency": None, "leave_after_s": None,
}  # fmt: skip


def _without_one(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    return (items[:at] + items[at + 1 :] for at in range(len(items)))


def _smaller_turns(turn: Turn) -> Iterator[Turn]:
    if turn.next_after_s is not None:
        yield replace(turn, next_after_s=None)
    if turn.listener not in {None, Listener()}:
        yield replace(turn, listener=Listener())
    for stops in _without_one(turn.stops):
        yield replace(turn, stops=stops)
    for producers in _without_one(turn.producers):
        if producers:
            yield replace(turn, producers=producers)
    for index, steps in enumerate(turn.producers):
        halves = [steps[len(steps) // 2 :], steps[: len(steps) // 2]] if len(steps) > 3 else []
        for less in (*halves, *_without_one(steps)):
            yield replace(
                turn, producers=(*turn.producers[:index], less, *turn.producers[index + 1 :])
            )
