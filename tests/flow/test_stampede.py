"""A thousand clients through an outage of a minute: policy, bucket and governor as they are.

Only the service and the clock are played. Load is what arrives at the service, by the second.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pytest

from fishlive.errors import (
    ConnectError,
    ConnectTimeout,
    FishLiveError,
    RateLimitError,
    ServerError,
    SlotTimeout,
)
from fishlive.flow.governor import Governor, Priority, Slot
from fishlive.flow.retry import RetryPolicy, TokenBucket, may_repeat
from tests.flow.virtual import VirtualClock

CLIENTS: Final = 1000
TURN_S: Final = 5.0
"""Each client speaks once in so many seconds."""

NORMAL: Final = CLIENTS / TURN_S
"""Requests a second while all is well."""

SERVED_S: Final = 0.2
"""How long a request takes that goes well, in seconds."""

BEGIN_S, END_S, OVER_S = 20, 80, 120
"""When the outage begins and ends, and the last turn begins, in seconds."""

ACCOUNT: Final = 50
"""Slots of one account for everybody: a quarter more than they need when all is well."""


@dataclass(frozen=True)
class Outage:
    """How the service fails: with which error, and after how many seconds."""

    error: Callable[[], FishLiveError]
    after_s: float
    sent: bool = False


OUTAGES: Final = {
    "refused": Outage(lambda: ConnectError("refused"), 0.001),
    "hangs": Outage(lambda: ConnectTimeout("no answer"), 5.0),
    "overloaded": Outage(lambda: ServerError("503", status=503, retry_after_s=2.0), 0.02, True),
    "throttled": Outage(lambda: RateLimitError("429", status=429), 0.02, True),
}


@dataclass
class Means:
    """What keeps a client from running riot. Shared by the clients of one process."""

    governor: Governor
    bucket: TokenBucket
    policy: RetryPolicy = field(default_factory=RetryPolicy)


class Stampede:
    """The whole affair, in virtual time.

    Attributes:
        load: Requests that arrived, by second.
        served: Turns that went well, by the second in which they ended.
    """

    def __init__(self, outage: Outage, *, seed: int, shared: bool, naive: bool = False) -> None:
        self.load: Counter[int] = Counter()
        self.served: Counter[int] = Counter()
        self.timeouts = 0
        self._outage = outage
        self._naive = naive
        self._dice = random.Random(seed)  # noqa: S311  # the same in every run
        self._clock = VirtualClock()
        one = self._means(ACCOUNT)
        for _ in range(CLIENTS):
            means = one if shared else self._means(5)
            self._clock.call_later(self._dice.uniform(0, TURN_S), partial(self._turn, means))

    def run(self) -> Stampede:
        """Let it happen."""
        self._clock.advance(OVER_S + 4 * TURN_S)
        return self

    def mean(self, first_s: int, last_s: int) -> float:
        """Return the requests a second in a span of time."""
        return sum(self.load[second] for second in range(first_s, last_s)) / (last_s - first_s)

    def peak(self, first_s: int, last_s: int) -> int:
        """Return the requests of the busiest second."""
        return max(self.load[second] for second in range(first_s, last_s))

    def _means(self, limit: int) -> Means:
        return Means(Governor(limit, clock=self._clock), TokenBucket())

    def _turn(self, means: Means) -> None:
        if self._clock.time() < OVER_S:
            self._clock.call_later(TURN_S, partial(self._turn, means))
            self._attempt(means, self._clock.time(), 1)

    def _attempt(self, means: Means, began_s: float, attempt: int) -> None:
        means.governor.ask(
            partial(self._send, means, began_s, attempt), self._too_late, priority=Priority.LIVE
        )

    def _too_late(self, error: SlotTimeout) -> None:
        self.timeouts += 1

    def _send(self, means: Means, began_s: float, attempt: int, slot: Slot) -> None:
        now_s = self._clock.time()
        self.load[int(now_s)] += 1
        down = BEGIN_S <= now_s < END_S
        answered = partial(self._answered, means, began_s, attempt, slot, down)
        self._clock.call_later(self._outage.after_s if down else SERVED_S, answered)

    def _answered(self, means: Means, began_s: float, attempt: int, slot: Slot, down: bool) -> None:
        if not down:
            slot.release()
            means.bucket.succeed()
            self.served[int(self._clock.time())] += 1
            return
        error = self._outage.error()
        slot.failed(error)
        slot.release()
        allowed = means.bucket.fail() or self._naive
        if not allowed or not may_repeat(error, safe=False, sent=self._outage.sent):
            return
        wait_s = means.policy.delay_s(
            error,
            attempt=attempt,
            elapsed_s=self._clock.time() - began_s,
            jitter=(lambda: 0.0) if self._naive else self._dice.random,
        )
        if wait_s is not None:
            again = partial(self._attempt, means, began_s, attempt + 1)
            self._clock.call_later(wait_s, again)


@pytest.mark.parametrize("shared", [False, True], ids=["a process each", "one process"])
@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_is_not_made_worse(kind: str, shared: bool) -> None:
    """At most half more than the normal load, no wave behind it, and then all is well."""
    stampede = Stampede(OUTAGES[kind], seed=1, shared=shared).run()
    assert stampede.mean(5, BEGIN_S) == pytest.approx(NORMAL, rel=0.05)
    assert stampede.mean(BEGIN_S, END_S) <= 1.5 * NORMAL
    assert stampede.peak(END_S, OVER_S) <= 2 * NORMAL
    assert stampede.peak(END_S, OVER_S) <= 2 * stampede.mean(END_S, OVER_S)
    last = [stampede.served[second] for second in range(OVER_S - 15, OVER_S)]
    assert sum(last) / 15 >= 0.95 * NORMAL


def test_naive_clients_would_triple_it() -> None:
    """Without bucket and jitter: so it is these that hold the load down, not the simulation."""
    stampede = Stampede(OUTAGES["refused"], seed=1, shared=False, naive=True).run()
    assert stampede.mean(BEGIN_S, END_S) > 2.9 * NORMAL


def test_one_account_is_never_asked_for_more_than_its_slots() -> None:
    """While the service hangs, no more requests hang with it than the account has slots."""
    stampede = Stampede(OUTAGES["hangs"], seed=1, shared=True).run()
    assert stampede.peak(BEGIN_S + 1, END_S) <= ACCOUNT
    assert stampede.timeouts > 0


@pytest.mark.parametrize("kind", OUTAGES)
def test_a_run_is_its_seed(kind: str) -> None:
    """The same seed gives the same run to the request, another seed another."""
    one, same, other = (
        Stampede(OUTAGES[kind], seed=seed, shared=True).run().load for seed in (7, 7, 8)
    )
    assert one == same
    assert one != other
