"""Draws schedules: ``schedule_of(seed)``. The same seed gives the same one, from Python 3.10 on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Final, TypeVar

from fishlive.faults import Fault, Place
from fishlive.testing.desk import Manner
from fishlive.testing.faulty import HARMLESS, SILENT, WRONG
from fishlive.testing.network import Weather
from fishlive.testing.schedule import BY_HAND, Listener, Schedule, Step, Stop, StopVerb, Turn, Way

T = TypeVar("T")

INSTANTS_S: Final = (0.0, 0.0, 0.001, 0.01, 0.04, 0.05, 0.051, 0.1, 0.2, 0.5, 1.0, 2.5)
"""Moments at which things like to happen: the very beginning, and around what the service takes."""

SILENT_FAULTS: Final = True
"""Whether services fall silent unless told otherwise: only deadlines end what that leaves."""


def schedule_of(seed: int, *, silent: bool = SILENT_FAULTS) -> Schedule:
    """Return the schedule of a seed.

    Args:
        seed: Any whole number.
        silent: Whether the service may fall silent without a word, so that only a deadline can
            end what is owed.
    """
    return _Maker(seed, silent=silent).schedule()


class _Maker:
    """Draws a schedule."""

    def __init__(self, seed: int, *, silent: bool) -> None:
        self._seed = seed
        self._silent = silent
        # A text, because of it Random takes all; a number would lose its sign.
        self._random = random.Random(f"fishlive {seed}")  # noqa: S311 - not a secret
        self._words = count()

    def schedule(self) -> Schedule:
        """Return it."""
        turns = tuple(self._turn() for _ in range(self._weighted(((60, 1), (30, 2), (10, 3)))))
        return Schedule(
            self._seed,
            turns,
            manner=self._manner(),
            weather=self._weather(),
            faults=tuple(self._faults()),
            credit_s=self._weighted(((70, 10.0), (10, None), (10, 0.02), (10, 0.2))),
            timestamps=self._chance(0.2),
            format="mp3" if self._chance(0.1) else "pcm",
            concurrency=self._weighted(((80, None), (15, 1), (5, 2))),
            leave_after_s=self._moment() if self._chance(0.12) else None,
        )

    # The world

    def _weather(self) -> Weather:
        delay_s = self._weighted(((40, 0.0), (40, 0.02), (20, 0.15)))
        jitter_s = self._weighted(((60, 0.0), (30, 0.01), (10, 0.2)))
        return Weather(delay_s, jitter_s)

    def _manner(self) -> Manner:
        draw = self._weighted
        return Manner(
            first_audio_s=draw(((20, 0.0), (60, 0.05), (20, 0.3))),
            every_s=draw(((50, 0.0), (40, 0.01), (10, 0.1))),
            message_bytes=draw(((40, 512), (15, 97), (15, 4096), (15, 31), (15, 2048))),
            stretch=draw(((85, 1), (10, 4), (5, 16))),
            chunk_length=draw(((80, 100), (20, 10))),
            after_finish=draw(((50, "keep"), (35, "close"), (8, "fin"), (7, "rst"))),
            after_finish_s=draw(((60, 0.0), (30, 0.005), (10, 0.5))),
            second_start=draw(((70, "take"), (15, "refuse"), (15, "close"))),
            max_concurrency=draw(((90, None), (10, 1))),
            read_every_s=draw(((90, 0.0), (10, 0.01))),
        )

    def _faults(self) -> Iterator[Fault]:
        for _ in range(self._weighted(((35, 0), (45, 1), (15, 2), (5, 3)))):
            fault = self._weighted(_FAULTS)(self)
            if self._silent or fault.kind not in SILENT:
                yield fault

    # A turn

    def _turn(self) -> Turn:
        way: Way = self._weighted(
            ((15, "text"), (10, "list"), (32, "async"), (4, "sync"), (29, "hand"), (10, "channel"))
        )
        by_hand = way in BY_HAND
        producers = self._weighted(((70, 1), (20, 2), (10, 3))) if way == "hand" else 1
        return Turn(
            way,
            tuple(self._producer(way, last=n == 0) for n in range(producers)),
            flush="never" if self._chance(0.7 if by_hand else 0.2) else "sentence",
            listener=None if self._chance(0.04) else self._listener(),
            stops=tuple(self._stops()),
            # The channel's own `send` speaks into whatever is current: it needs its turn's end.
            next_after_s=self._moment() if way != "channel" and self._chance(0.2) else None,
        )

    def _producer(self, way: Way, *, last: bool) -> tuple[Step, ...]:
        steps = list(self._said(way))
        if way in BY_HAND:
            if last and self._chance(0.92):
                steps.append(Step("end"))
            if last and way == "hand" and self._chance(0.03):
                steps.append(Step("say", "late"))
        elif way in {"async", "sync"} and self._chance(0.1):
            end = self._weighted(((70, Step("raise")), (30, Step("bad"))))
            steps.insert(self._random.randrange(len(steps) + 1), end)
        return tuple(steps)

    def _said(self, way: Way) -> Iterator[Step]:
        waits = (
            0.0 if way in {"text", "list"} else self._weighted(((40, 0.0), (40, 0.3), (20, 0.8)))
        )
        flushes = 0.15 if way in BY_HAND else 0.0
        for _ in range(self._weighted(((10, 0), (30, 1), (32, 4), (25, 10), (3, 25)))):
            yield Step("say", self._piece())
            if self._chance(waits):
                yield Step("wait", seconds=self._moment())
            if self._chance(flushes):
                yield Step("flush")

    def _piece(self) -> str:
        """Return text that occurs nowhere else in the conversation."""
        words = [f"w{next(self._words)}" for _ in range(self._weighted(_SIZES))]
        end = self._weighted(_ENDS)
        if len(words) == 1 and self._chance(0.05):
            return end  # may be white space, a stop or nothing at all
        return " ".join(words) + end

    def _listener(self) -> Listener:
        naps = [
            (self._random.randrange(1, 20), self._moment())
            for _ in range(self._weighted(((70, 0), (20, 1), (10, 4))))
        ]
        return Listener(
            naps=tuple(naps),
            patience_s=self._weighted(((75, None), (15, 0.01), (5, 0.001), (5, 0.05))),
            leave_after=self._random.randrange(1, 12) if self._chance(0.08) else None,
            marks_every=self._weighted(((80, 0), (10, 1), (10, 5))),
        )

    def _stops(self) -> Iterator[Stop]:
        for _ in range(self._weighted(((75, 0), (20, 1), (5, 2)))):
            verb: StopVerb = self._weighted(
                ((35, "interrupt"), (25, "channel"), (15, "close"), (15, "cancel"), (10, "forget"))
            )
            yield Stop(self._moment(), verb)

    # Dice

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _moment(self) -> float:
        if self._chance(0.5):
            return self._pick(INSTANTS_S)
        return round(self._random.random() ** 3, 4)

    def _pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._random.random() * len(choices))]

    def _weighted(self, choices: Sequence[tuple[int, T]]) -> T:
        left = self._random.random() * sum(weight for weight, _ in choices)
        for weight, choice in choices:
            left -= weight
            if left < 0:
                return choice
        return choices[-1][1]

    def _place(self) -> tuple[Place, int | None]:
        place = self._weighted(
            ((15, Place.START), (25, Place.TEXT), (45, Place.AUDIO), (15, Place.FINISH))
        )
        counted = place in {Place.TEXT, Place.AUDIO}
        return place, self._weighted(((40, 1), (30, 2), (20, 4), (10, 9))) if counted else None

    # Faults

    def _cut(self) -> Fault:
        at, n = self._place()
        return Fault(kind=self._pick(("rst", "fin")), at=at, n=n)

    def _closed(self) -> Fault:
        at, n = self._place()
        code = self._pick((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 4000))
        reason = self._pick(("", "", "going away", "concurrency limit", "invalid token"))
        return Fault(kind="close", at=at, n=n, value=code, reason=reason, held=self._chance(0.5))

    def _refused(self) -> Fault:
        at, n = self._place()
        what = self._pick(("Internal error", "Concurrency limit exceeded", "voice not found"))
        limit = self._pick((None, None, 1, 8, "many"))
        return Fault(
            kind="error", at=at, n=n, value=what, max_concurrency=limit, held=self._chance(0.5)
        )

    def _finished(self) -> Fault:
        at = self._pick((Place.AUDIO, Place.FINISH))
        n = self._pick((1, 2, 4)) if at is Place.AUDIO else None
        return Fault(kind="finish", at=at, n=n, value=self._pick(("error", "stop", "length", "")))

    def _garbled(self) -> Fault:
        what = self._pick((*WRONG, *HARMLESS, *HARMLESS))
        return Fault(kind="message", at=Place.AUDIO, n=self._pick((1, 2, 5)), value=what)

    def _slow(self) -> Fault:
        at, n = self._place()
        return Fault(kind="delay", at=at, n=n, value=self._moment())

    def _status(self) -> Fault:
        status = self._pick((200, 302, 400, 401, 402, 403, 404, 422, 429, 429, 500, 502, 503))
        wait = self._pick(((), (("Retry-After", "1"),), (("Retry-After", "100"),)))
        times = self._pick((1, 1, 2, None))
        return Fault(kind="status", at=Place.UPGRADE, value=status, headers=wait, times=times)

    def _unconnected(self) -> Fault:
        kind = self._pick(("rst", "rst", "fin", "hang", "delay", "close"))
        early = kind in {"rst", "fin", "hang"} and self._chance(0.5)
        at = Place.CONNECT if early else Place.UPGRADE
        value = {"delay": self._moment(), "close": 1011}.get(kind)
        return Fault(kind=kind, at=at, value=value, times=self._pick((1, 1, 2, None)))

    def _odd(self) -> Fault:
        if self._chance(0.5):
            return Fault(kind=self._pick(("late-audio", "second-finish")), at=Place.FINISH)
        at, n = self._place()
        return Fault(kind="text-frame", at=at, n=n)

    def _flooded(self) -> Fault:
        size = self._weighted(((50, 200_000), (30, 1_000_000), (20, 12_000_000)))
        return Fault(kind="flood", at=Place.AUDIO, n=1, value=size)

    def _silenced(self) -> Fault:
        at, n = self._place()
        kinds = ("stall", "half-open", "deaf") if at is Place.TEXT else ("stall", "half-open")
        return Fault(kind=self._pick(kinds), at=at, n=n)


_FAULTS: Final[tuple[tuple[int, Callable[[_Maker], Fault]], ...]] = (
    (20, _Maker._cut),
    (16, _Maker._closed),
    (12, _Maker._refused),
    (8, _Maker._finished),
    (10, _Maker._garbled),
    (8, _Maker._slow),
    (6, _Maker._status),
    (8, _Maker._unconnected),
    (4, _Maker._odd),
    (1, _Maker._flooded),
    (7, _Maker._silenced),
)
_SIZES: Final = ((35, 1), (30, 3), (25, 8), (9, 25), (1, 150))
_ENDS: Final = (
    (40, " "), (20, ". "), (8, "."), (6, "! "), (4, "? \n"), (4, "\u3002"), (3, " [laughs] "),
    (3, " [un"), (3, "\u00e9 "), (3, "\U0001f41f "), (3, ", "), (1, ""), (2, "  "),
)  # fmt: skip
