"""Which faults are still to be played, and what a connection meets of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from fishlive.faults import Endpoint, Fault, Place


class Played(Counter[str]):
    """How often each fault was played, by its line, however that is written; 0 for any other."""

    def __missing__(self, line: str) -> int:
        # Raises ConfigError for what is no fault: a slip in a test's assertion shows.
        return self.get(str(Fault.parse(line)), 0)


class Entry:
    """A fault that is played, and how often it was met and played."""

    __slots__ = ("fault", "met", "played")

    def __init__(self, fault: Fault) -> None:
        self.fault: Fault = fault
        self.met: int = 0
        self.played: int = 0

    def wants(self, ordinal: int) -> bool:
        """Return whether it happens to the connection with this number, from 1."""
        fault = self.fault
        if fault.times is not None and self.played >= fault.times:
            return False
        return ordinal % fault.every == 0 and fault.connection in (None, ordinal)


class Plan:
    """The faults of one server. Not shared between threads.

    Args:
        told: Called with each fault as it is played.

    Attributes:
        played: How often each was played, by its line.
    """

    def __init__(self, told: Callable[[Fault], None] | None = None) -> None:
        self._entries: list[Entry] = []
        self._told = told
        self.played: Played = Played()

    @property
    def entries(self) -> list[Entry]:
        """What is to be played, in order."""
        return self._entries

    def add(self, faults: Iterable[Fault]) -> None:
        """Play these, too: connections that are open meet them at the next place."""
        self._entries = [*self._entries, *(Entry(fault) for fault in faults)]

    def clear(self) -> None:
        """Play nothing any more."""
        self._entries = []

    def count(self, fault: Fault) -> None:
        """Take note that a fault is played."""
        line = str(fault)
        self.played[line] = self.played.get(line, 0) + 1
        if self._told is not None:
            self._told(fault)


class Visit:
    """One connection, or one request over it, on its way past the faults.

    Args:
        endpoint: Where it goes; None while nobody knows.
    """

    def __init__(self, plan: Plan, endpoint: Endpoint | None) -> None:
        self._plan = plan
        self._endpoint = endpoint
        self._ordinals: dict[Entry, int] = {}

    def meets(self, place: Place, number: int = 0) -> Iterator[Fault]:
        """Yield what happens here, in the order of the plan. Each is counted as it is yielded."""
        # All are looked at first: what ends the visit must not keep the others from counting it.
        for entry in self._concerning():
            fault = entry.fault
            if (fault.at, fault.number) == (place, number) and self.claim(entry):
                yield fault

    def waiting(self, place: Place) -> Iterator[Entry]:
        """Yield what may happen at a place, whatever its number, without counting it."""
        for entry in self._concerning():
            if entry.fault.at is place and self._wanted(entry):
                yield entry

    def claim(self, entry: Entry) -> bool:
        """Play an entry if it still wants to be played; return whether it did."""
        if not self._wanted(entry):
            return False
        entry.played += 1
        self._plan.count(entry.fault)
        return True

    def _wanted(self, entry: Entry) -> bool:
        return entry in self._plan.entries and entry.wants(self._ordinals[entry])

    def _concerning(self) -> list[Entry]:
        return [entry for entry in self._plan.entries if self._known(entry)]

    def _known(self, entry: Entry) -> bool:
        """Return whether an entry concerns this visit; number the visit if it is new to it."""
        early = entry.fault.at in (Place.CONNECT, Place.TLS)
        if early is not (self._endpoint is None):
            return False
        if self._endpoint is not None and not entry.fault.concerns(self._endpoint):
            return False
        if entry not in self._ordinals:
            entry.met += 1
            self._ordinals[entry] = entry.met
        return True
