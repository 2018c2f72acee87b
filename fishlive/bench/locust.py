"""Load beyond one process: a Locust user whose task is an utterance.

Needs the extra ``locust``. A locustfile of one class will do::

    from fishlive.bench.locust import FishUser

    class Caller(FishUser):
        pass

Importing this module patches the process, as Locust does: import it in locustfiles only. The key
is FISH_API_KEY's, in the environment of the workers and nowhere else; ``--host`` is the service.

**What is measured** is what ``fishlive bench`` measures: every worker has its utterances spoken by
a process apart (see :mod:`fishlive.bench.greenlets`), and what is measured there is told to the
master in differences, with Locust's own reports, to be added up without losing a percentile.
``--fishlive-json`` has the master write it, in the format of ``fishlive bench --json``.
Locust's own statistics have a row for each measured interval, named by the user's class; failures
stand with ``utterance`` by their class, utterances that we stopped in a row of their own. The last
row, "Aggregated", has each utterance once, with its time from start to end; Locust's request event
is fired once for each, too.

**When utterances begin.** With ``--fishlive-pacing S`` each user has an intended start every S
seconds, and latencies count from there, whatever the utterance before did: a service that stalls
cannot hide (coordinated omission), and a user that is late does not wait until it has caught up.
Locust's own ``constant_pacing`` and ``constant_throughput`` may be set as ``wait_time``, but they
let the schedule slip when the service is slow, and latencies count from real starts then. Without
either, a user begins as soon as it is done: ``--users`` is the number of utterances at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, NoReturn

import gevent  # type: ignore[import-untyped]
from locust import User, task
from locust import events as _events
from locust.env import Environment

from fishlive.bench.greenlets import NotSpoken
from fishlive.bench.locust_node import Node, node_of
from fishlive.bench.locust_rows import UtteranceFailed
from fishlive.bench.records import Combination, Record
from fishlive.bench.swarm_options import Settings, add_options
from fishlive.bench.workload import Prompt

__all__ = ["FishUser", "UtteranceFailed"]

FOREVER_S: Final = 1e9
"""How long a user waits who has said everything, in seconds: until it is stopped. Ending it would
have Locust put another one in its place, as long as it spawns."""


class FishUser(User):
    """A user who has texts spoken, one after the other.

    Subclass it, without more, or with tasks that call :meth:`speak`. Stopping it cancels the
    utterance it waits for, at once; with Locust's ``--stop-timeout`` it may finish that.
    """

    abstract = True

    options: ClassVar[Mapping[str, Any]] = {}
    """How this class speaks, where that is not the command line's: ``{"format": "mp3"}``."""

    pacing_s: ClassVar[float | None] = None
    """Seconds from one intended start to the next; None for the command line's."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._node: Node = node_of(environment)
        self._number = self._node.next_user()
        self._texts: dict[bool, Iterator[Prompt]] = {}
        self._spoken = 0
        self._next_s: float | None = None
        self._due_s: float | None = None

    @task
    def utterance(self) -> None:
        """Speak the next text."""
        self.speak()

    def speak(self, prompt: Prompt | None = None) -> Record | None:
        """Have a text spoken, and return what was measured; None if it never began.

        An utterance that fails returns as well: its record says so. Does not return once the
        user has said everything, or if every further utterance would fail the same way.

        Args:
            prompt: What; None for the next text of the workload.
        """
        settings = self._node.settings
        due_s = self._intended()
        warmup, self._spoken = self._spoken < settings.warmup, self._spoken + 1
        try:
            record = self._node.speak(
                self,
                self._number,
                self.combination,
                prompt or self._text(warmup=warmup),
                warmup=warmup,
                due_s=due_s,
            )
        except NotSpoken as error:
            self._rest(str(error))
        if record is not None and (why := self._node.hopeless(record)) is not None:
            self._rest(why)
        if settings.utterances and self._spoken >= settings.warmup + settings.utterances:
            self._rest()
        return record

    def wait_time(self) -> float:
        """Return how long to wait, in seconds: until shortly before the next intended start."""
        pacing_s = self.pace_s(self._node.settings)
        if not pacing_s or self._due_s is None:
            return 0.0
        self._next_s = self._due_s + pacing_s
        ahead_s = self._node.settings.ahead_s(self.combination)
        return max(0.0, self._next_s - ahead_s - time.monotonic())

    @property
    def combination(self) -> Combination:
        """How it speaks. Raises ConfigError for options that cannot be."""
        return self._node.settings.combination(self.options)

    def _intended(self) -> float | None:
        """Return when to begin, by the monotonic clock; None for as soon as possible."""
        if not self.pace_s(self._node.settings):
            return None
        if self._due_s is None:
            first_s = time.monotonic() + self._node.settings.ahead_s(self.combination)
            self._due_s = first_s
            return first_s
        if self._next_s is None:
            return None  # another utterance of the same task
        self._due_s, self._next_s = self._next_s, None
        return self._due_s

    @classmethod
    def pace_s(cls, settings: Settings) -> float:
        """Return the seconds between intended starts; 0 if ``wait_time`` is the class's own."""
        if cls.wait_time is not FishUser.wait_time:
            return 0.0
        return settings.pacing_s if cls.pacing_s is None else cls.pacing_s

    def _text(self, *, warmup: bool) -> Prompt:
        if warmup not in self._texts:
            settings = self._node.settings
            seed = settings.seed + self._number
            self._texts[warmup] = settings.workload.order(seed, warmup=warmup)
        return next(self._texts[warmup])

    def _rest(self, why: str | None = None) -> NoReturn:
        """Wait until this user is stopped: there is nothing left to say."""
        self._node.rests(why)
        self.wait_time = lambda: FOREVER_S  # type: ignore[method-assign]
        wait: Any = self.wait
        while True:
            wait()  # not a mere sleep: stopping need not wait for this one
            gevent.sleep(1)  # a task set of the user's own may have a say in how long that was


events: Any = _events
events.init_command_line_parser.add_listener(lambda parser, **_: add_options(parser))
events.init.add_listener(lambda environment, **_: Node.begin(environment, FishUser))
