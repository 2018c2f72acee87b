"""What every store does."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishlive.stores import Heard, Phase, Record, StoreError, TaskStore
from fishlive.stores.record import MOST_HINTS, bound, claimed, done, failed, hinted, released
from tests.stores.conftest import Make

NOW_S = 1_000_000.0
GATE = "acedata"


def intention(ticket: str = "t1", **facts: Any) -> Record:
    """Return a new record."""
    return Record(ticket, **{"gateway": GATE, "note": "ch 1", "created_s": NOW_S, **facts})


async def put(store: TaskStore, ticket: str, *, task_id: str, due_s: float = NOW_S) -> None:
    """Keep an acknowledged task."""
    assert await store.insert(intention(ticket))
    assert await store.bind(ticket, task_id, due_s=due_s)


async def claim(store: TaskStore, owner: str = "me", **facts: Any) -> list[Record]:
    """Claim what is ready now."""
    options = {"ready_s": NOW_S, "until_s": NOW_S + 30, "limit": 50, **facts}
    return await store.claim(GATE, owner, **options)


async def test_it_returns_what_it_was_given(store: TaskStore) -> None:
    """Every field comes back, whatever is in it."""
    facts: dict[str, Any] = {
        "note": "ü \x00 \n 🐟", "phase": Phase.OPEN, "task_id": "x", "candidate": "y",
        "answer": "{}", "hinted": True, "hints": 1, "looks": 2, "failures": 3, "lapses": 4,
        "due_s": 1.5, "owner": "o", "lease_s": 2.5, "ended_s": 3.25,
    }  # fmt: skip
    record = intention(**facts)
    assert {field.name for field in dataclasses.fields(Record)} >= set(facts)
    assert await store.insert(record)
    assert await store.get("t1") == record
    assert await store.find(GATE, "x") == record


async def test_a_ticket_is_kept_once(store: TaskStore) -> None:
    """A second record of a ticket or of a task is not kept, and the first is left as it was."""
    await put(store, "t1", task_id="a")
    assert not await store.insert(intention("t1", note="other"))
    assert not await store.insert(intention("t2", task_id="a", phase=Phase.OPEN))
    assert await store.get("t2") is None
    kept = await store.get("t1")
    assert kept is not None
    assert kept.note == "ch 1"


async def test_a_task_has_one_record(store: TaskStore) -> None:
    """An intention that turns out to be a known task goes; the task's own record stays."""
    await put(store, "t1", task_id="a")
    await store.insert(intention("t2"))
    assert await store.bind("t2", "a", due_s=NOW_S) is None
    assert await store.get("t2") is None
    found = await store.find(GATE, "a")
    assert found is not None
    assert found.ticket == "t1"


async def test_a_task_of_another_gateway_is_another(store: TaskStore) -> None:
    """Two gateways may use one id."""
    await put(store, "t1", task_id="a")
    assert await store.insert(Record("t2", "xhuo", task_id="a", phase=Phase.OPEN))
    assert len(await claim(store)) == 1


async def test_unknown_tickets_are_nothing(store: TaskStore) -> None:
    """Whatever is asked about a ticket that is not there, nothing appears."""
    assert await store.get("t") is None
    assert await store.find(GATE, "a") is None
    assert await store.bind("t", "a", due_s=NOW_S) is None
    assert await store.hint("t", "a", now_s=NOW_S) is Heard.UNKNOWN
    assert not await store.done("t", "me", now_s=NOW_S)
    assert not await store.revive("t")
    await store.remove("t")
    assert await store.get("t") is None


async def test_a_claim_is_exclusive(store: TaskStore) -> None:
    """What one has claimed, nobody gets before the claim has run out; then it counts as lapsed."""
    await put(store, "t1", task_id="a")
    assert [record.task_id for record in await claim(store, "me")] == ["a"]
    assert await claim(store, "you") == []
    taken = await claim(store, "you", ready_s=NOW_S + 31, until_s=NOW_S + 60)
    assert [record.lapses for record in taken] == [1]
    assert not await store.done("t1", "me", now_s=NOW_S)
    assert await store.done("t1", "you", now_s=NOW_S)


async def test_a_renewed_claim_lasts(store: TaskStore) -> None:
    """While its owner renews it, a claim does not run out; another's renewal changes nothing."""
    await put(store, "t1", task_id="a")
    await put(store, "t2", task_id="b")
    await claim(store, "me")
    await store.renew(["t1", "nothing"], "me", until_s=NOW_S + 90)
    await store.renew(["t2"], "you", until_s=NOW_S + 90)
    late = await claim(store, "you", ready_s=NOW_S + 31, until_s=NOW_S + 60)
    assert [record.ticket for record in late] == ["t2"]


async def test_what_is_done_stays_done(store: TaskStore) -> None:
    """It is never claimed again, forgets the application's words, and knows late callbacks."""
    await put(store, "t1", task_id="a")
    await claim(store)
    assert await store.done("t1", "me", now_s=NOW_S)
    assert not await store.done("t1", "me", now_s=NOW_S)
    assert await store.hint("t1", "a", now_s=NOW_S) is Heard.AGAIN
    assert await claim(store, ready_s=NOW_S * 9) == []
    kept = await store.get("t1")
    assert kept is not None
    assert (kept.phase, kept.note) == (Phase.DONE, "")


async def test_a_callback_makes_a_task_urgent(store: TaskStore) -> None:
    """It comes before what has long been overdue, and can be asked for alone."""
    await put(store, "old", task_id="a", due_s=NOW_S - 500)
    await put(store, "new", task_id="b", due_s=NOW_S + 500)
    assert await store.hint("new", "b", now_s=NOW_S) is Heard.NEW
    assert await store.hint("new", "b", now_s=NOW_S) is Heard.AGAIN
    assert await store.hint("new", "a", now_s=NOW_S) is Heard.FOREIGN
    assert [r.ticket for r in await claim(store, ready_s=0.0)] == ["new"]
    assert [r.ticket for r in await claim(store)] == ["old"]


async def test_a_callback_during_a_claim_is_not_lost(store: TaskStore) -> None:
    """A task that was looked at too early is looked at again at once when it is given back."""
    await put(store, "t1", task_id="a")
    await claim(store)
    assert await store.hint("t1", "a", now_s=NOW_S) is Heard.NEW
    assert await store.release("t1", "me", due_s=NOW_S + 100, looks=1)
    assert [r.looks for r in await claim(store, ready_s=0.0)] == [1]


async def test_callbacks_before_the_acknowledgement_wait(store: TaskStore) -> None:
    """They make the task urgent once it is acknowledged, if it is the one they named."""
    for ticket, named in (("t1", "a"), ("t2", "other")):
        await store.insert(intention(ticket))
        assert await store.hint(ticket, named, now_s=NOW_S) is Heard.NEW
    assert await claim(store) == []
    await store.bind("t1", "a", due_s=NOW_S + 500)
    await store.bind("t2", "b", due_s=NOW_S + 500)
    assert [r.ticket for r in await claim(store)] == ["t1"]


async def test_a_callback_replaces_an_acknowledgement_that_never_comes(store: TaskStore) -> None:
    """After a while its task is taken for the intention's; nothing happens without a callback."""
    await store.insert(intention("t1"))
    await store.insert(intention("t2"))
    await store.hint("t1", "a", now_s=NOW_S)
    adopted = await claim(store, ready_s=NOW_S + 61)
    assert [(r.ticket, r.task_id, r.candidate) for r in adopted] == [("t1", "a", "a")]
    assert [r.ticket for r in await store.select(GATE, Phase.INTENDED, limit=9)] == ["t2"]


async def test_adopting_a_known_task_removes_the_intention(store: TaskStore) -> None:
    """A callback that names another's task does not give it a second record."""
    await put(store, "t1", task_id="a", due_s=NOW_S + 500)
    await store.insert(intention("t2"))
    await store.hint("t2", "a", now_s=NOW_S)
    assert await claim(store, ready_s=NOW_S + 61) == []
    assert await store.get("t2") is None


async def test_repeated_callbacks_end(store: TaskStore) -> None:
    """One task is looked at for so many callbacks, and for no more."""
    await put(store, "t1", task_id="a", due_s=NOW_S + 500)
    heard = []
    for _ in range(MOST_HINTS + 1):
        heard.append(await store.hint("t1", "a", now_s=NOW_S))
        await claim(store)
        await store.release("t1", "me", due_s=NOW_S + 500)
    assert heard == [Heard.NEW] * MOST_HINTS + [Heard.AGAIN]


async def test_a_handler_that_fails_too_often_is_given_up(store: TaskStore) -> None:
    """The record is kept for a person, who may try it again."""
    await put(store, "t1", task_id="a")
    for _ in range(2):
        await claim(store)
        await store.fail("t1", "me", due_s=NOW_S, most_failures=2, now_s=NOW_S)
    assert await claim(store) == []
    dead = await store.select(GATE, Phase.DEAD, limit=9)
    assert [(r.ticket, r.failures, r.note) for r in dead] == [("t1", 2, "ch 1")]
    assert await store.count(GATE, Phase.DEAD) == 1
    assert await store.revive("t1")
    assert [r.ticket for r in await claim(store)] == ["t1"]


async def test_purging_forgets_only_what_was_done(store: TaskStore) -> None:
    """What is open, and what is done since, stays."""
    for ticket in ("old", "new", "open"):
        await put(store, ticket, task_id=ticket)
    await claim(store)
    await store.done("old", "me", now_s=NOW_S + 1)
    await store.done("new", "me", now_s=NOW_S + 9)
    assert await store.purge(GATE, before_s=NOW_S + 5) == 1
    assert await store.get("old") is None
    assert await store.find(GATE, "old") is None
    assert await store.get("new") is not None
    assert await store.get("open") is not None


async def test_records_come_in_order_and_no_more_than_asked(store: TaskStore) -> None:
    """The longest ready first; the oldest first in a list."""
    for number in (3, 1, 2):
        await store.insert(
            intention(
                f"t{number}", created_s=NOW_S + number, task_id=f"{number}", phase=Phase.OPEN,
                due_s=NOW_S - number,
            )
        )  # fmt: skip
    assert [r.ticket for r in await store.select(GATE, Phase.OPEN, limit=2)] == ["t1", "t2"]
    assert [r.ticket for r in await claim(store, limit=2)] == ["t3", "t2"]
    assert await store.select(GATE, Phase.OPEN, limit=0) == []


async def test_of_many_claimers_each_record_has_one(make: Make) -> None:
    """Receivers that share a store and claim at once never get the same record."""
    async with make() as first, make() as second, make() as third:
        stores = [first, second, third]
        for number in range(60):
            await put(first, f"t{number}", task_id=f"{number}")

        async def some(number: int) -> list[str]:
            got = await claim(stores[number % 3], f"owner {number}", limit=5)
            return [record.ticket for record in got]

        taken: list[str] = []
        for _ in range(20):
            rounds = await asyncio.gather(*(some(number) for number in range(6)))
            taken += [ticket for got in rounds for ticket in got]
        assert sorted(taken) == sorted(f"t{number}" for number in range(60))


async def test_of_many_changes_none_is_lost(make: Make) -> None:
    """Changes of one record from several sides at once all happen."""
    async with make() as first, make() as second:
        await put(first, "t1", task_id="a")

        def looked(record: Record) -> Record:
            return dataclasses.replace(record, looks=record.looks + 1)

        stores = [first, second] * 10
        await asyncio.gather(*(store.change("t1", looked) for store in stores))
        record = await first.get("t1")
        assert record is not None
        assert record.looks == len(stores)


async def test_what_is_kept_is_there_after_closing(make: Make) -> None:
    """Another store of the same place knows everything."""
    async with make() as first:
        await put(first, "t1", task_id="a")
    async with make() as second:
        assert [r.ticket for r in await claim(second)] == ["t1"]


async def test_closing_is_idempotent(make: Make) -> None:
    """And so is starting; after it, nothing hangs."""
    store = make()
    await store.start()
    await store.start()
    await store.aclose()
    await store.aclose()


TICKETS = st.sampled_from(["t1", "t2", "t3"])
TASKS = st.sampled_from(["a", "b"])
TIMES = st.sampled_from([0.0, 10.0, 40.0, 100.0])
OWNERS = st.sampled_from(["me", "you"])
STEPS = st.one_of(
    st.tuples(st.just("insert"), TICKETS),
    st.tuples(st.just("bind"), TICKETS, TASKS, TIMES),
    st.tuples(st.just("hint"), TICKETS, TASKS, TIMES),
    st.tuples(st.just("claim"), OWNERS, TIMES, st.integers(1, 3)),
    st.tuples(st.just("release"), TICKETS, OWNERS, TIMES),
    st.tuples(st.just("fail"), TICKETS, OWNERS, TIMES),
    st.tuples(st.just("done"), TICKETS, OWNERS, TIMES),
    st.tuples(st.just("remove"), TICKETS),
    st.tuples(st.just("purge"), TIMES),
)


class Model:
    """What a store is: a dictionary, with one record for each task."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def write(self, before: Record, after: Record | None) -> bool:
        """Change a record, or remove it if its task has another."""
        if after is None:
            return False
        others = [r for r in self.records.values() if r.ticket != before.ticket]
        if after.task_id is not None and after.task_id in {r.task_id for r in others}:
            del self.records[before.ticket]
            return False
        self.records[before.ticket] = after
        return True

    def own(self, ticket: str, step: Any) -> bool:
        """Change a record, if it is there."""
        before = self.records.get(ticket)
        return before is not None and self.write(before, step(before))

    def claim(self, owner: str, now_s: float, limit: int) -> list[Record]:
        """Claim what is ready."""
        ready = [r for r in self.records.values() if r.ready_s is not None and r.ready_s <= now_s]
        ready.sort(key=lambda record: (record.ready_s, record.ticket))
        got = []
        for before in ready[:limit]:
            after = claimed(before, owner, ready_s=now_s, until_s=now_s + 30)
            if self.write(before, after) and after is not None:
                got.append(after)
        return got

    def do(self, name: str, arguments: tuple[Any, ...]) -> object:
        """Do what a store is asked to do."""
        return getattr(self, f"do_{name}")(*arguments)

    def do_insert(self, ticket: str) -> bool:
        if ticket in self.records:
            return False
        self.records[ticket] = intention(ticket)
        return True

    def do_bind(self, ticket: str, task_id: str, due_s: float) -> object:
        self.own(ticket, lambda record: bound(record, task_id, due_s=due_s))
        return self.records.get(ticket)

    def do_hint(self, ticket: str, task_id: str, now_s: float) -> object:
        before = self.records.get(ticket)
        if before is None:
            return Heard.UNKNOWN
        after, heard = hinted(before, task_id, now_s=now_s)
        self.write(before, after)
        return heard

    def do_claim(self, owner: str, now_s: float, limit: int) -> object:
        return self.claim(owner, now_s, limit)

    def do_release(self, ticket: str, owner: str, due_s: float) -> object:
        return self.own(ticket, lambda record: released(record, owner, due_s=due_s))

    def do_fail(self, ticket: str, owner: str, due_s: float) -> object:
        def step(record: Record) -> Record | None:
            return failed(record, owner, due_s=due_s, most_failures=2, now_s=due_s)

        return self.own(ticket, step)

    def do_done(self, ticket: str, owner: str, now_s: float) -> object:
        return self.own(ticket, lambda record: done(record, owner, now_s=now_s))

    def do_remove(self, ticket: str) -> None:
        self.records.pop(ticket, None)

    def do_purge(self, before_s: float) -> int:
        old = [
            record.ticket
            for record in self.records.values()
            if record.phase is Phase.DONE and (record.ended_s or 0.0) < before_s
        ]
        for ticket in old:
            del self.records[ticket]
        return len(old)


async def do(store: TaskStore, name: str, arguments: tuple[Any, ...]) -> object:
    """Do the same with a store."""
    match name, arguments:
        case "insert", (ticket,):
            return await store.insert(intention(ticket))
        case "bind", (ticket, task_id, due_s):
            return await store.bind(ticket, task_id, due_s=due_s)
        case "hint", (ticket, task_id, now_s):
            return await store.hint(ticket, task_id, now_s=now_s)
        case "claim", (owner, now_s, limit):
            return await store.claim(GATE, owner, ready_s=now_s, until_s=now_s + 30, limit=limit)
        case "release", (ticket, owner, due_s):
            return await store.release(ticket, owner, due_s=due_s)
        case "fail", (ticket, owner, due_s):
            return await store.fail(ticket, owner, due_s=due_s, most_failures=2, now_s=due_s)
        case "done", (ticket, owner, now_s):
            return await store.done(ticket, owner, now_s=now_s)
        case "remove", (ticket,):
            await store.remove(ticket)
            return None
        case "purge", (before_s,):
            return await store.purge(GATE, before_s=before_s)
        case _:
            raise AssertionError(name)


@given(steps=st.lists(STEPS, max_size=40))
@settings(max_examples=60)
async def test_a_store_is_as_its_model(make: Make, steps: list[tuple[Any, ...]]) -> None:
    """Whatever happens in whatever order, every store answers and holds what the model does."""
    model = Model()
    async with make() as store:
        for ticket in ("t1", "t2", "t3"):
            await store.remove(ticket)
        for name, *arguments in steps:
            expected = model.do(name, tuple(arguments))
            assert await do(store, name, tuple(arguments)) == expected, name
        for ticket in ("t1", "t2", "t3"):
            assert await store.get(ticket) == model.records.get(ticket)
        for phase in Phase:
            found = await store.select(GATE, phase, limit=9)
            kept = [r for r in model.records.values() if r.phase is phase]
            assert {r.ticket for r in found} == {r.ticket for r in kept}
            assert await store.count(GATE, phase) == len(kept)


async def test_a_failing_step_harms_nothing(store: TaskStore) -> None:
    """An error in a step reaches the caller, and the record stays as it was."""
    await put(store, "t1", task_id="a")

    def breaks(record: Record) -> Record:
        raise KeyError(record.ticket)

    with pytest.raises(KeyError):
        await store.change("t1", breaks)
    assert [r.ticket for r in await claim(store)] == ["t1"]


def test_store_errors_may_be_tried_again() -> None:
    """A disk may have room again, a server may be back."""
    assert StoreError.retryable
