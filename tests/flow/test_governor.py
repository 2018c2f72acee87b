"""flow/governor.py, slots.py and accounts.py: fair, prioritised, and no slot is kept or lost."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fishlive.errors import (
    ConcurrencyLimitError,
    ConfigError,
    ConnectionLost,
    RateLimitError,
    SlotTimeout,
    WrongLoopError,
)
from fishlive.flow.accounts import shared_governor
from fishlive.flow.capacity import GROW_AFTER
from fishlive.flow.governor import BATCH_WAIT_S, LIVE_WAIT_S, Governor, Priority, Slot, Ticket
from fishlive.flow.slots import LIVE_RUN
from tests.conftest import settle
from tests.flow.virtual import VirtualClock

LIVE, BATCH = Priority.LIVE, Priority.BATCH


class Desk:
    """A governor on a virtual clock, and what became of everybody who asked it, in order."""

    def __init__(self, limit: int | None = None, **options: float | bool | None) -> None:
        self.clock = VirtualClock()
        self.governor = Governor(limit, clock=self.clock, **options)  # type: ignore[arg-type]  # all are of the right kind
        self.order: list[str] = []
        self.slots: dict[str, Slot] = {}
        self.errors: dict[str, SlotTimeout] = {}

    def ask(self, name: str, priority: Priority = BATCH, timeout_s: float | None = None) -> Ticket:
        """Ask for a slot in somebody's name."""
        return self.governor.ask(
            partial(self.granted, name),
            partial(self.errors.__setitem__, name),
            priority=priority,
            timeout_s=timeout_s,
        )

    def done(self, name: str) -> None:
        """Give somebody's slot back."""
        self.slots.pop(name).release()

    def granted(self, name: str, slot: Slot) -> None:
        """Note who got a slot."""
        self.order.append(name)
        self.slots[name] = slot


def never(error: SlotTimeout) -> None:
    """Refuse nobody."""
    pytest.fail(str(error))


def test_it_is_unlimited_until_somebody_names_a_limit() -> None:
    """Who never meets a limit never waits."""
    desk = Desk()
    for number in range(1000):
        desk.ask(str(number))
    assert desk.governor.running == 1000
    assert desk.governor.waiting == 0


def test_no_more_run_than_the_limit_says() -> None:
    """The next one waits, until one ends."""
    desk = Desk(2)
    for name in "abc":
        desk.ask(name)
    assert desk.order == ["a", "b"]
    desk.done("a")
    assert desk.order == ["a", "b", "c"]


def test_first_come_first_served() -> None:
    """Within a priority nobody overtakes."""
    desk = Desk(1)
    for name in "abcde":
        desk.ask(name)
    for name in "abcd":
        desk.done(name)
    assert desk.order == list("abcde")


def test_live_goes_before_batch() -> None:
    """Whoever has a listener is served first, though last to come."""
    desk = Desk(1)
    desk.ask("runs")
    desk.ask("batch 1")
    desk.ask("batch 2")
    desk.ask("live", LIVE)
    for name in ["runs", "live", "batch 1"]:
        desk.done(name)
    assert desk.order == ["runs", "live", "batch 1", "batch 2"]


def test_batch_is_not_starved() -> None:
    """After LIVE_RUN live grants in a row a batch request that waits gets the next slot."""
    desk = Desk(1)
    desk.ask("runs")
    desk.ask("batch")
    for number in range(2 * LIVE_RUN):
        desk.ask(f"live {number}", LIVE)
    desk.done("runs")
    for number in range(LIVE_RUN):
        desk.done(f"live {number}")
    assert desk.order[-2:] == [f"live {LIVE_RUN - 1}", "batch"]


def test_live_that_nobody_watched_is_not_held_against_it() -> None:
    """Only grants that went past a waiting batch request count."""
    desk = Desk(1)
    desk.ask("live 0", LIVE)
    for number in range(LIVE_RUN):
        desk.ask(f"live {number + 1}", LIVE)
        desk.done(f"live {number}")
    desk.ask("batch")
    desk.ask("last", LIVE)
    desk.done(f"live {LIVE_RUN}")
    assert desk.order[-1] == "last"


def test_a_newcomer_does_not_overtake_while_slots_change_hands() -> None:
    """Who asks in the middle of a release stands behind those who wait."""
    desk = Desk(1)
    desk.ask("a")

    def bring_another(slot: Slot) -> None:
        desk.ask("late")
        desk.granted("b", slot)

    desk.governor.ask(bring_another, never, priority=BATCH)
    desk.ask("c")
    for name in "abc":
        desk.done(name)
    assert desk.order == ["a", "b", "c", "late"]


def test_releasing_twice_gives_one_slot_back() -> None:
    """A slot is given back once, however often its holder says so."""
    desk = Desk(1)
    for name in "abc":
        desk.ask(name)
    slot = desk.slots["a"]
    slot.release()
    slot.release()
    assert desk.order == ["a", "b"]


def test_a_cancelled_ticket_takes_no_slot() -> None:
    """Its place is closed up, and neither callback is called."""
    desk = Desk(1)
    desk.ask("a")
    ticket = desk.ask("b", timeout_s=1.0)
    desk.ask("c")
    ticket.cancel()
    ticket.cancel()
    desk.done("a")
    desk.clock.advance(10.0)
    assert desk.order == ["a", "c"]
    assert not desk.errors


def test_cancelling_after_the_grant_leaves_the_slot_to_its_holder() -> None:
    """From the grant on it is the holder's to give back."""
    desk = Desk(1)
    ticket = desk.ask("a")
    ticket.cancel()
    assert desk.governor.running == 1


def test_a_queue_of_any_length_is_served_without_recursion() -> None:
    """Each grant may release at once; the stack does not grow."""
    desk = Desk(1)
    desk.ask("a")
    served: list[int] = []

    def serve(number: int, slot: Slot) -> None:
        served.append(number)
        slot.release()

    for number in range(5000):
        desk.governor.ask(partial(serve, number), never, priority=BATCH)
    desk.done("a")
    assert served == list(range(5000))


def test_waiting_too_long_is_an_error_of_its_own() -> None:
    """It tells how long, and for how many slots."""
    desk = Desk(2)
    for name in "abc":
        desk.ask(name, timeout_s=3.0)
    desk.clock.advance(2.5)
    assert not desk.errors
    desk.clock.advance(1.0)
    error = desk.errors["c"]
    assert (error.limit, error.waited_s) == (2, 3.0)
    assert error.retryable
    desk.done("a")
    assert desk.order == ["a", "b"]


def test_waiting_too_long_tells_the_limit_that_holds_by_then() -> None:
    """It may have fallen below what runs: nothing that runs is taken back."""
    desk = Desk(2)
    for name in "abc":
        desk.ask(name, timeout_s=3.0)
    desk.governor.learn(1)
    desk.clock.advance(3.0)
    assert desk.errors["c"].limit == 1


def test_a_grant_calls_the_timeout_off() -> None:
    """Who got a slot is not told later that there was none."""
    desk = Desk(1)
    desk.ask("a")
    desk.ask("b", timeout_s=3.0)
    desk.done("a")
    desk.clock.advance(10.0)
    assert not desk.errors


def test_live_gives_up_by_itself_and_batch_does_not() -> None:
    """Somebody who listens has gone after LIVE_WAIT_S; a batch takes its time."""
    assert (LIVE_WAIT_S, BATCH_WAIT_S) == (10.0, None)
    desk = Desk(1)
    desk.ask("runs")
    desk.ask("live", LIVE)
    desk.ask("batch", BATCH)
    desk.clock.advance(10.0)
    assert list(desk.errors) == ["live"]
    desk.clock.advance(86_400.0)
    assert list(desk.errors) == ["live"]


def test_waiting_times_are_its_own() -> None:
    """Both limits are arguments, in seconds."""
    desk = Desk(1, live_wait_s=None, batch_wait_s=5.0)
    desk.ask("runs")
    desk.ask("live", LIVE)
    desk.ask("batch", BATCH)
    desk.clock.advance(86_400.0)
    assert list(desk.errors) == ["batch"]


def test_stats_count_grants_waits_and_failures() -> None:
    """Every number is what happened on the clock."""
    desk = Desk(1)
    desk.ask("a")
    desk.ask("b")
    desk.ask("c", timeout_s=5.0)
    gone = desk.ask("d")
    desk.clock.advance(2.0)
    gone.cancel()
    desk.clock.advance(1.0)
    desk.done("a")
    assert desk.slots["b"].waited_s == 3.0
    desk.clock.advance(10.0)
    stats = desk.governor.stats()
    assert (stats.limit, stats.running, stats.waiting, stats.peak_running) == (1, 1, 0, 1)
    assert (stats.granted, stats.waited, stats.timeouts, stats.refusals) == (2, 3, 1, 0)
    assert (stats.wait_s, stats.longest_wait_s) == (2.0 + 3.0 + 5.0, 5.0)


# Learning


def test_a_header_names_the_limit() -> None:
    """Every answer carries it; the next request is held up by it."""
    desk = Desk()
    for name in "abc":
        desk.ask(name)
    desk.governor.learn_headers({"ratelimit-limit-concurrency": "3"})
    desk.ask("d")
    assert desk.governor.limit == 3
    assert desk.order == ["a", "b", "c"]


def test_a_limit_that_grows_lets_the_waiting_in() -> None:
    """Nobody waits for a release when there is room already."""
    desk = Desk()
    desk.governor.learn(1)
    for name in "abc":
        desk.ask(name)
    desk.governor.learn(3)
    assert desk.order == ["a", "b", "c"]


def test_a_limit_that_falls_takes_nothing_back() -> None:
    """What runs goes on; the next one waits until it fits."""
    desk = Desk(3)
    for name in "abcd":
        desk.ask(name)
    desk.governor.learn(1)
    desk.done("a")
    desk.done("b")
    assert desk.order == ["a", "b", "c"]
    desk.done("c")
    assert desk.order == ["a", "b", "c", "d"]


def test_a_refusal_names_the_limit() -> None:
    """``max_concurrency`` of a refusal is learnt like a header's."""
    desk = Desk()
    for number in range(8):
        desk.ask(str(number))
    desk.slots["7"].failed(ConcurrencyLimitError("too many", max_concurrency=5))
    assert desk.governor.limit == 5


def test_a_plain_429_leaves_what_ran_besides() -> None:
    """Without a number, what the service did take is what we have."""
    desk = Desk()
    for name in "abc":
        desk.ask(name)
    desk.slots["c"].failed(RateLimitError("slow down", status=429))
    desk.done("c")
    assert desk.governor.limit == 2
    assert desk.governor.stats().refusals == 1


def test_requests_that_end_well_win_slots_back() -> None:
    """A refusal is not for ever, and only requests that were served count."""
    desk = Desk(4)
    for name in "abc":
        desk.ask(name)
    desk.slots["c"].failed(RateLimitError("no"))
    for name in "abc":
        desk.done(name)  # two ended well
    for _ in range(20):
        with desk.governor.take() or pytest.fail("no slot") as slot:
            slot.release(well=False)
    assert desk.governor.limit == 2
    for _ in range(GROW_AFTER - 2):
        with desk.governor.take() or pytest.fail("no slot"):
            pass
    assert desk.governor.limit == 3


def test_other_failures_teach_nothing() -> None:
    """A lost connection says nothing about the account."""
    desk = Desk()
    desk.ask("a")
    desk.slots["a"].failed(ConnectionLost("gone"))
    assert desk.governor.limit is None
    assert desk.governor.stats().refusals == 0


def test_a_block_learns_from_what_it_raises() -> None:
    """As a context manager a slot is given back on every way out, and a 429 is learnt from."""
    governor = Governor(clock=VirtualClock())
    with (
        pytest.raises(ConcurrencyLimitError),
        governor.take() or pytest.fail("no slot"),
    ):
        raise ConcurrencyLimitError("too many", max_concurrency=5)
    assert governor.running == 0
    assert governor.limit == 1
    assert governor.stats().refusals == 1


# Idle sockets that count


def test_a_spare_slot_is_asked_for_when_a_request_waits() -> None:
    """The longest spare one first, one for each who waits, and busy ones never."""
    desk = Desk(3)
    asked: list[str] = []
    for name in "abc":
        desk.ask(name)
        desk.slots[name].spare(partial(asked.append, name))
    desk.slots["a"].busy()
    desk.ask("d")
    assert asked == ["b"]
    desk.done("b")
    assert desk.order == ["a", "b", "c", "d"]
    assert asked == ["b"]


def test_a_slot_that_becomes_spare_while_others_wait_is_asked_for_at_once() -> None:
    """Nobody waits behind an idle socket."""
    desk = Desk(1)
    desk.ask("a")
    desk.ask("b")
    desk.slots["a"].spare(partial(desk.done, "a"))
    assert desk.order == ["a", "b"]


def test_no_spare_slot_is_asked_for_without_need() -> None:
    """An idle socket is kept as long as there is room."""
    desk = Desk(2)
    asked: list[str] = []
    desk.ask("a")
    desk.slots["a"].spare(partial(asked.append, "a"))
    desk.ask("b")
    assert not asked


def test_a_limit_that_falls_closes_spare_sockets() -> None:
    """They count against the smaller limit, too."""
    desk = Desk(3)
    asked: list[str] = []
    for name in "abc":
        desk.ask(name)
        desk.slots[name].spare(partial(asked.append, name))
    desk.governor.learn(2)
    assert asked == ["a"]


# The awaitable form


async def test_awaiting_a_free_slot_does_not_suspend() -> None:
    """The usual case costs no turn of the loop."""
    waiting = Governor(1).slot()
    with pytest.raises(StopIteration):
        waiting.send(None)


async def test_slots_are_awaited_in_order() -> None:
    """The awaitable form stands in the same queue."""
    governor = Governor(1)
    order: list[str] = []

    async def work(name: str, priority: Priority) -> None:
        with await governor.slot(priority=priority):
            order.append(name)
            await settle(3)

    await asyncio.gather(
        work("first", BATCH), work("batch", BATCH), work("live", LIVE), work("live too", LIVE)
    )
    assert order == ["first", "live", "live too", "batch"]
    assert governor.running == 0


async def test_a_slot_that_was_free_was_not_waited_for() -> None:
    """Its waiting time is none."""
    with await Governor(1).slot() as slot:
        assert slot.waited_s == 0.0


async def test_an_awaited_slot_may_take_too_long() -> None:
    """SlotTimeout is raised, and the queue is empty again."""
    governor = Governor(1)
    with await governor.slot():
        with pytest.raises(SlotTimeout):
            await governor.slot(timeout_s=0.0)
        assert governor.waiting == 0
    assert governor.running == 0


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("released_first", [True, False])
async def test_a_cancelled_waiter_keeps_no_slot(turns: int, released_first: bool) -> None:
    """Whichever comes first in one turn of the loop, grant or cancellation, the slot is free."""
    governor = Governor(1)
    slot = await governor.slot()
    waiter = asyncio.create_task(governor.slot())
    await settle(turns)
    steps: list[Callable[[], object]] = [slot.release, waiter.cancel]
    for step in steps if released_first else reversed(steps):
        step()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert governor.running == governor.waiting == 0


async def test_a_cancelled_waiter_takes_no_slot_from_the_next() -> None:
    """The slot it was given in its last moment goes on to the next in the queue."""
    governor = Governor(1)
    slot = await governor.slot()
    first, second = (asyncio.create_task(governor.slot()) for _ in range(2))
    await settle()
    slot.release()
    first.cancel()
    (await second).release()
    assert governor.running == 0


async def test_a_waiter_that_is_thrown_away_keeps_no_slot() -> None:
    """A coroutine that is closed while it waits leaves the queue."""
    governor = Governor(1)
    slot = await governor.slot()
    waiting = governor.slot()
    waiting.send(None)
    waiting.close()
    assert governor.waiting == 0
    slot.release()
    assert governor.running == 0


# Loops and accounts


def test_slots_do_not_outlive_their_loop() -> None:
    """What a closed loop never gave back is forgotten by the next."""
    governor = Governor(1)

    async def take() -> Slot:
        return await governor.slot()

    lost = asyncio.run(take())
    found = asyncio.run(take())
    assert governor.running == 1
    lost.release()
    assert governor.running == 1
    found.release()
    assert governor.running == 0


async def test_two_loops_at_once_are_refused() -> None:
    """A governor is not shared across threads."""
    governor = Governor(1)

    async def elsewhere() -> None:
        with pytest.raises(WrongLoopError):
            await governor.slot()

    with await governor.slot():
        await asyncio.to_thread(asyncio.run, elsewhere())


async def test_one_account_has_one_governor() -> None:
    """Whoever speaks with the same key to the same origin in this loop shares its slots."""
    first = shared_governor("https://api.fish.audio", "key")
    assert shared_governor("HTTPS://API.fish.audio/v1", "key") is first
    assert shared_governor("https://api.fish.audio", "other") is not first
    assert shared_governor("https://elsewhere.example", "key") is not first


async def test_an_account_takes_the_smallest_limit() -> None:
    """The second session that names one may lower it, not raise it."""
    first = shared_governor("https://api.fish.audio", "key", limit=5)
    shared_governor("https://api.fish.audio", "key", limit=50)
    assert first.limit == 5
    shared_governor("https://api.fish.audio", "key", limit=2)
    assert first.limit == 2
    with pytest.raises(ConfigError):
        shared_governor("https://api.fish.audio", "key", limit=0)


async def test_an_account_is_forgotten_with_its_last_user() -> None:
    """Nothing learnt for a key stays in memory after its sessions."""
    governor = shared_governor("https://api.fish.audio", "key", limit=5)
    assert governor.limit == 5
    del governor
    gc.collect()
    assert shared_governor("https://api.fish.audio", "key").limit is None


def test_another_loop_has_another_governor() -> None:
    """Loops do not share: slots of one cannot wake waiters of the other."""

    async def get() -> Governor:
        return shared_governor("https://api.fish.audio", "key")

    assert asyncio.run(get()) is not asyncio.run(get())
    assert shared_governor("https://api.fish.audio", "key") is not shared_governor(
        "https://api.fish.audio", "key"
    )


class GovernorMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, the governor agrees with two plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(3, live_wait_s=10.0, batch_wait_s=30.0)
        self.tickets: dict[str, Ticket] = {}
        self.count = 0
        self.told, self.named = 3, 10_000
        # The model.
        self.running: list[str] = []
        self.waiting: dict[Priority, list[tuple[str, float]]] = {LIVE: [], BATCH: []}
        self.live_run = 0
        self.expired: set[str] = set()

    def grant(self) -> None:
        """Give out what is free, as the documentation says."""
        limit = min(self.told, self.named)
        live, batch = self.waiting[LIVE], self.waiting[BATCH]
        while (live or batch) and len(self.running) < limit:
            if live and not (batch and self.live_run >= LIVE_RUN):
                self.live_run = self.live_run + 1 if batch else 0
                self.running.append(live.pop(0)[0])
            else:
                self.live_run = 0
                self.running.append(batch.pop(0)[0])

    @rule(priority=st.sampled_from(Priority))
    def ask(self, priority: Priority) -> None:
        """Somebody wants a slot."""
        self.count += 1
        name = str(self.count)
        self.tickets[name] = self.desk.ask(name, priority)
        wait_s = 10.0 if priority is LIVE else 30.0
        self.waiting[priority].append((name, self.desk.clock.time() + wait_s))
        self.grant()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Somebody is done."""
        name = data.draw(st.sampled_from(self.running))
        self.desk.done(name)
        self.running.remove(name)
        self.grant()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Somebody gives up, or tries to when it is too late."""
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        self.tickets[name].cancel()
        for queue in self.waiting.values():
            queue[:] = [entry for entry in queue if entry[0] != name]
        if not self.waiting[BATCH]:
            self.live_run = 0

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.5, 25.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes; who has waited too long goes."""
        self.desk.clock.advance(seconds)
        now = self.desk.clock.time()
        for queue in self.waiting.values():
            self.expired |= {name for name, until in queue if until <= now}
            queue[:] = [entry for entry in queue if entry[1] > now]
        if not self.waiting[BATCH]:
            self.live_run = 0

    @rule(limit=st.integers(1, 6))
    def learn(self, limit: int) -> None:
        """The service names its limit."""
        self.desk.governor.learn(limit)
        self.named = limit
        self.grant()

    @invariant()
    def agrees(self) -> None:
        """The same ones run, as many wait, and the same ones gave up."""
        governor = self.desk.governor
        assert set(self.desk.slots) == set(self.running)
        assert governor.running == len(self.running)
        assert governor.waiting == sum(map(len, self.waiting.values()))
        assert set(self.desk.errors) == self.expired
        limit = governor.limit
        assert limit is not None
        assert not governor.waiting or governor.running >= limit

    def teardown(self) -> None:
        """In the end every slot comes back."""
        while self.desk.slots:
            self.desk.done(next(iter(self.desk.slots)))
        assert self.desk.governor.running == self.desk.governor.waiting == 0


TestGovernorMachine = GovernorMachine.TestCase
