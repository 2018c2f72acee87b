"""live/standby.py: sockets in reserve, opened, replaced and closed without anybody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectError,
    ServerError,
    SlotTimeout,
)
from fishlive.flow.governor import Governor, Priority
from fishlive.live.standby import (
    MAX_AGE_S,
    REFILL_BASE_S,
    REFILL_CAP_S,
    SETTLED_S,
    Standby,
    Warm,
)
from fishlive.testing.clock import run
from fishlive.transport.memory import MemoryPeer, MemoryRequest, MemorySocket
from fishlive.transport.socket import Connect, Receiver, Socket, Target
from fishlive.wire.serving import encode_audio, encode_error
from tests.conftest import settle
from tests.live.service import LOUD, Service
from tests.live.virtual import virtual

TARGET = Target("ws://127.0.0.1:9/")


@contextlib.asynccontextmanager
async def reserve(
    service: Service,
    size: int = 1,
    *,
    governor: Governor | None = None,
    connect: Connect | None = None,
) -> AsyncIterator[Standby]:
    """Keep so many sockets warm, and prove that nothing of them is left in the end."""
    governor = governor or Governor()
    standby = Standby(connect or service.connect, TARGET, governor)
    standby.join(size)
    standby.start()
    await settle()
    yield standby
    assert await standby.leave(size)
    await settle()
    assert standby.ready == 0
    assert all(peer.closed for peer in service.peers)
    assert governor.running == 0


def alive(service: Service) -> list[MemoryPeer]:
    """Return the connections that are open."""
    return [peer for peer in service.peers if not peer.closed]


def peer_of(one: Warm | None) -> MemoryPeer:
    """Return the service's end of what was taken."""
    assert one is not None
    assert isinstance(one.socket, MemorySocket)
    return one.socket.peer


def drop(one: Warm | None) -> None:
    """Be done with what was taken."""
    assert one is not None
    assert one.socket is not None
    one.socket.abort()
    if one.slot is not None:
        one.slot.release()


def waits(standby: Standby) -> bool:
    """Return whether a refill waits for its time."""
    return standby._refill is not None


def refusing(status: int, headers: dict[str, str] | None = None) -> Service:
    """Return a service that refuses every upgrade."""
    return Service(lambda request: request.refuse(status, headers))


def full_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every wait be the longest possible one."""
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)


# Filling


@virtual
async def test_nothing_is_opened_before_somebody_speaks() -> None:
    """Who only connects pays for no reserve, however long it takes."""
    service = Service()
    standby = Standby(service.connect, TARGET, Governor())
    standby.join(2)
    await asyncio.sleep(600.0)
    assert not service.requests
    standby.start()
    await settle()
    assert standby.ready == 2
    await standby.leave(2)


@virtual
async def test_it_keeps_as_many_as_the_most_demanding_channel_wants() -> None:
    """The sizes of the channels are not added up; the largest one counts."""
    service = Service()
    async with reserve(service, 2) as standby:
        standby.join(1)
        await settle()
        assert standby.ready == 2
        standby.join(3)
        await settle()
        assert (standby.size, standby.ready) == (3, 3)
        assert not await standby.leave(3)
        await settle()
        assert standby.ready == len(alive(service)) == 2
        assert not await standby.leave(1)
        assert standby.ready == 2


@virtual
async def test_the_oldest_go_when_fewer_are_wanted() -> None:
    """What is cut first is what would have to be replaced first."""
    service = Service()
    async with reserve(service, 1) as standby:
        await asyncio.sleep(1.0)
        standby.join(2)
        await settle()
        assert not await standby.leave(2)
        await settle()
        assert [peer.closed for peer in service.peers] == [True, False]


@virtual
async def test_a_reserve_that_nobody_belongs_to_opens_nothing() -> None:
    """Somebody who speaks after the last channel has gone starts nothing."""
    service = Service()
    async with reserve(service):
        pass
    standby = Standby(service.connect, TARGET, Governor())
    standby.start()
    standby.join(1)
    await settle()
    assert len(service.requests) == 1
    await standby.leave(1)


@virtual
async def test_opening_is_not_begun_twice() -> None:
    """However often somebody speaks while a socket is being opened, it is one."""
    service = Service(lambda request: None)
    async with reserve(service) as standby:
        for _ in range(5):
            standby.start()
            assert standby.take() is None
            await settle()
        assert len(service.requests) == 1
        service.accept(service.requests[0])
        await settle()
        assert standby.ready == 1


@virtual
async def test_what_a_channel_no_longer_wants_is_not_kept_when_it_opens() -> None:
    """Openings that were begun for a channel that has gone since do not stay."""
    service = Service(lambda request: None)
    async with reserve(service, 1) as standby:
        standby.join(3)
        await settle()
        assert not await standby.leave(3)
        for request in service.requests:
            service.accept(request)
        await settle()
        assert standby.ready == len(alive(service)) == 1


# Taking


@virtual
async def test_the_youngest_is_taken_and_replaced() -> None:
    """It is the likeliest to live; another is opened while nobody waits."""
    service = Service()
    async with reserve(service, 1) as standby:
        await asyncio.sleep(5.0)
        standby.join(2)
        await settle()
        one = standby.take()
        assert peer_of(one) is service.peers[1]
        assert one is not None
        assert one.since_s == 5.0
        assert standby.ready == 1
        await settle()
        assert standby.ready == 2
        drop(one)
        await standby.leave(2)


@virtual
async def test_dead_ones_are_skipped() -> None:
    """A socket that died without a word to us is never handed out."""
    service = Service()
    async with reserve(service, 3) as standby:
        for one in standby._warm[1:]:
            assert isinstance(one.socket, MemorySocket)
            one.socket._closed = True
        one = standby._warm[0]
        assert standby.take() is one
        await settle()
        assert standby.ready == 3
        drop(one)


@virtual
async def test_without_a_living_one_there_is_none() -> None:
    """Whoever asks opens a connection of its own, and the reserve fills meanwhile."""
    service = Service()
    async with reserve(service, 2) as standby:
        for one in standby._warm:
            assert isinstance(one.socket, MemorySocket)
            one.socket._closed = True
        assert standby.take() is None
        await settle()
        assert standby.ready == len(alive(service)) == 2


@virtual
async def test_what_was_taken_is_left_alone() -> None:
    """Neither age nor loss nor the end of the reserve touches a socket in use."""
    service = Service()
    async with reserve(service) as standby:
        one = standby.take()
        assert one is not None
        await asyncio.sleep(3 * MAX_AGE_S)
        standby.suspect()
        standby.lose(one, ServerError("late"))
        assert not peer_of(one).closed
        assert not waits(standby)
        drop(one)


@virtual
async def test_suspicion_cuts_them_all_and_opens_others() -> None:
    """None of the siblings of a dead socket was heard since it was opened."""
    service = Service()
    async with reserve(service, 3) as standby:
        before = alive(service)
        standby.suspect()
        assert standby.ready == 0
        await settle()
        assert all(peer.closed for peer in before)
        assert standby.ready == 3


# Losing


def gaps(times: list[float]) -> list[float]:
    """Return the time between each and the next."""
    return [after - before for before, after in itertools.pairwise(times)]


@virtual
async def test_what_closes_young_is_replaced_later_and_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service that closes every connection is called ever less often, up to a minute apart."""
    full_jitter(monkeypatch)
    times: list[float] = []

    def hang_up(request: MemoryRequest) -> None:
        times.append(asyncio.get_running_loop().time())
        service.accept(request).close(1001)

    service = Service(hang_up)
    async with reserve(service, 1):
        await asyncio.sleep(400.0)
    waits = [REFILL_BASE_S * 2**n for n in range(6)] + [REFILL_CAP_S] * 2
    assert gaps(times)[: len(waits)] == pytest.approx(waits)


def test_a_refill_never_comes_at_the_same_time_for_everybody() -> None:
    """Each wait is between half of it and all of it, at random."""
    first: set[float] = set()
    for seed in range(20):

        async def main() -> None:
            service = refusing(503)
            async with reserve(service):
                assert len(service.requests) == 1
                while len(service.requests) == 1:
                    await asyncio.sleep(0.01)
                first.add(round(asyncio.get_running_loop().time(), 2))

        run(main, seed=seed)
    assert len(first) > 10
    assert min(first) >= REFILL_BASE_S / 2
    assert max(first) <= REFILL_BASE_S + 0.02


@virtual
async def test_what_was_settled_is_replaced_at_once() -> None:
    """A service that ends idle connections after a minute is no failure, however often."""
    service = Service()
    async with reserve(service, 1) as standby:
        for n in range(1, 5):
            await asyncio.sleep(SETTLED_S)
            service.peer.close(1001)
            await settle()
            assert len(service.requests) == n + 1
            assert standby.ready == 1


@virtual
async def test_a_settled_socket_forgives_what_was_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a socket has lasted, the next failure waits no longer than the first did."""
    full_jitter(monkeypatch)
    service = refusing(503)
    async with reserve(service, 1):
        await asyncio.sleep(3.5)  # refused at 0, 1, 3
        assert len(service.requests) == 3
        service._answer = None
        await asyncio.sleep(4.0)  # accepted at 7
        await asyncio.sleep(SETTLED_S)
        service._answer = lambda request: request.refuse(503)
        service.peer.close(1001)
        await settle()
        assert len(service.requests) == 5
        await asyncio.sleep(REFILL_BASE_S)
        await settle()
        assert len(service.requests) == 6


@virtual
async def test_use_forgives_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that could be used shows that the service takes connections again."""
    full_jitter(monkeypatch)
    service = refusing(503)
    async with reserve(service, 1) as standby:
        await asyncio.sleep(3.5)
        service._answer = None
        await asyncio.sleep(4.0)
        service._answer = lambda request: request.refuse(503)
        drop(standby.take())
        await settle()
        assert len(service.requests) == 5
        await asyncio.sleep(REFILL_BASE_S)
        await settle()
        assert len(service.requests) == 6


@virtual
async def test_age_forgives_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that grew old here shows that the service keeps what it takes."""
    full_jitter(monkeypatch)
    service = refusing(503)
    async with reserve(service, 1):
        await asyncio.sleep(3.5)  # refused at 0, 1, 3
        service._answer = None
        await asyncio.sleep(4.0)  # accepted at 7
        service._answer = lambda request: request.refuse(503)
        await asyncio.sleep(MAX_AGE_S)
        assert len(service.requests) == 5
        await asyncio.sleep(REFILL_BASE_S)
        assert len(service.requests) == 6


@virtual
async def test_failures_of_one_moment_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reserve of three waits after an outage no longer than a reserve of one."""
    full_jitter(monkeypatch)
    service = refusing(503)
    async with reserve(service, 3) as standby:
        assert len(service.requests) == 3
        service._answer = None
        await asyncio.sleep(REFILL_BASE_S)
        await settle()
        assert standby.ready == 3


@virtual
async def test_nobody_shortens_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Utterances that begin meanwhile open nothing for the reserve."""
    full_jitter(monkeypatch)
    service = refusing(503)
    async with reserve(service, 1) as standby:
        await asyncio.sleep(1.5)  # refused at 0 and 1; the next is at 3
        standby.start()
        standby.suspect()
        assert standby.take() is None
        await settle()
        assert len(service.requests) == 2
        await asyncio.sleep(1.5)
        await settle()
        assert len(service.requests) == 3


@virtual
async def test_a_refusal_with_a_time_is_taken_at_its_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Retry-After comes on top of our own wait."""
    full_jitter(monkeypatch)
    service = refusing(503, {"Retry-After": "20"})
    async with reserve(service, 1):
        await asyncio.sleep(20.0 + REFILL_BASE_S - 0.01)
        assert len(service.requests) == 1
        await asyncio.sleep(0.02)
        assert len(service.requests) == 2


@pytest.mark.parametrize("closes", [True, False], ids=["and closes", "and stays"])
@pytest.mark.parametrize("delay_s", [0.0, 0.001, 5.0])
@virtual
async def test_a_refusal_in_an_open_socket_is_heard(closes: bool, delay_s: float) -> None:
    """An error event, with the 101 or behind it, takes the socket out of the reserve."""

    def turn_away(request: MemoryRequest) -> None:
        peer = service.accept(request)
        asyncio.get_running_loop().call_later(delay_s, say_no, peer)

    def say_no(peer: MemoryPeer) -> None:
        peer.send(encode_error("Concurrency limit exceeded", max_concurrency=5))
        if closes:
            peer.close(1000)

    service = Service(turn_away)
    governor = Governor()
    async with reserve(service, 1, governor=governor) as standby:
        await asyncio.sleep(delay_s)
        await settle()
        assert standby.ready == 0
        assert standby.take() is None
        assert not alive(service)
        assert governor.stats().refusals == 1
        assert governor.limit == 1  # what ran beside it, at least one


@virtual
async def test_other_messages_do_not_matter() -> None:
    """Nothing else that a service says to an idle socket ends it."""
    service = Service()
    async with reserve(service, 1) as standby:
        service.peer.send(encode_audio(LOUD))
        service.peer.send(b"\xc1")
        service.peer.send("text")
        await settle()
        assert standby.ready == 1


@pytest.mark.parametrize("status", [401, 402])
@virtual
async def test_a_refusal_for_good_ends_the_filling(status: int) -> None:
    """A key that is wrong stays wrong: one more try with each utterance, and no timer."""
    service = refusing(status)
    async with reserve(service, 2) as standby:
        assert len(service.requests) == 2
        await asyncio.sleep(600.0)
        assert standby.take() is None
        await settle()
        assert len(service.requests) == 2
        service._answer = None
        standby.start()
        await settle()
        assert standby.ready == 2


@virtual
async def test_a_refusal_for_good_overrules_a_wait() -> None:
    """Of two failures in one moment the hopeless one counts, whichever came first."""
    service = Service(lambda request: None)
    async with reserve(service, 2):
        service.requests[0].refuse(503)
        await settle()
        service.requests[1].refuse(401)
        await asyncio.sleep(600.0)
        assert len(service.requests) == 2


@virtual
async def test_a_refusal_teaches_the_governor() -> None:
    """The account's limit is learned from whoever meets it, and from the headers of a 101."""
    service = refusing(429)
    governor = Governor(5)
    async with reserve(service, 1, governor=governor):
        assert governor.stats().refusals == 1

    def accept(request: MemoryRequest) -> None:
        other.peers.append(request.accept({"RateLimit-Limit-Concurrency": "3"}))

    other = Service(accept)
    governor = Governor(5)
    async with reserve(other, 1, governor=governor):
        assert governor.limit == 3


# Age


@virtual
async def test_an_old_one_goes_when_its_replacement_is_there() -> None:
    """The reserve is never empty for the sake of youth."""
    service = Service()
    async with reserve(service, 1) as standby:
        service._answer = lambda request: None
        await asyncio.sleep(MAX_AGE_S - 1.0)
        assert len(service.requests) == 1
        await asyncio.sleep(1.0)
        await settle()
        assert len(service.requests) == 2
        assert standby.ready == len(alive(service)) == 1
        service.accept(service.requests[1])
        await settle()
        assert standby.ready == 1
        assert [peer.closed for peer in service.peers] == [True, False]


@virtual
async def test_the_reserve_stays_young_for_hours() -> None:
    """Every socket is replaced in time, and there are never more than one too many."""
    service = Service()
    async with reserve(service, 3) as standby:
        for _ in range(100):
            await asyncio.sleep(36.0)
            await settle()
            now = asyncio.get_running_loop().time()
            assert standby.ready == len(alive(service)) == 3
            assert all(now - one.since_s <= MAX_AGE_S for one in standby._warm)
        assert len(service.requests) < 3 * (3600 / MAX_AGE_S + 2)


@virtual
async def test_an_old_one_is_better_than_none() -> None:
    """While no replacement can be had, what is there may still be used."""
    service = Service()
    async with reserve(service, 1) as standby:
        service._answer = lambda request: request.refuse(503)
        await asyncio.sleep(MAX_AGE_S + 30.0)
        assert standby.ready == 1
        one = standby.take()
        assert peer_of(one) is service.peers[0]
        drop(one)


@virtual
async def test_an_old_one_that_is_taken_meanwhile_lives_on() -> None:
    """Its replacement takes its place in the reserve, and nothing else."""
    service = Service()
    async with reserve(service, 1) as standby:
        service._answer = lambda request: None
        await asyncio.sleep(MAX_AGE_S)
        await settle()
        one = standby.take()
        await settle()
        assert len(service.requests) == 2
        service.accept(service.requests[1])
        await settle()
        assert standby.ready == 1
        assert not peer_of(one).closed
        drop(one)


# The end, and what may come in between


@virtual
async def test_the_last_to_leave_closes_everything() -> None:
    """Warm sockets are closed with a goodbye; what is being opened is called off."""
    service = Service()
    async with reserve(service, 1) as standby:
        service._answer = lambda request: None
        standby.join(2)
        await settle()
        assert len(service.requests) == 2
        await standby.leave(2)
    assert service.peer.close_code == 1000
    assert service.requests[1].answer.cancelled()


@virtual
async def test_a_wait_for_the_next_try_ends_with_the_last_channel() -> None:
    """No timer outlives the reserve."""
    service = refusing(503)
    async with reserve(service, 1) as standby:
        assert waits(standby)
    await asyncio.sleep(600.0)
    assert len(service.requests) == 1


@virtual
async def test_cancelling_the_farewell_cuts_what_is_left() -> None:
    """A service that does not answer the goodbye holds nobody up who is in a hurry."""
    service = Service()
    governor = Governor(idle_sockets_count=True)
    standby = Standby(service.connect, TARGET, governor)
    standby.join(2)
    standby.start()
    await settle()
    for peer in service.peers:
        peer.answers_close = False
    leaving = asyncio.create_task(standby.leave(2))
    await settle()
    assert not leaving.done()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await settle()
    assert not alive(service)
    assert standby.ready == governor.running == 0


@virtual
async def test_slots_are_held_until_the_sockets_are_closed() -> None:
    """A goodbye that takes its time still counts."""
    service = Service()
    governor = Governor(idle_sockets_count=True)
    standby = Standby(service.connect, TARGET, governor)
    standby.join(2)
    standby.start()
    await settle()
    for peer in service.peers:
        peer.answers_close = False
    leaving = asyncio.create_task(standby.leave(2))
    await settle()
    assert governor.running == 2
    await leaving
    await settle()
    assert governor.running == 0


@virtual
async def test_leaving_cuts_what_a_deaf_transport_still_opens() -> None:
    """A transport that does not hear of its cancelling brings a socket that nobody keeps."""
    service = Service()

    async def deaf(target: Target, receiver: Receiver) -> Socket:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1.0)
        return await service.connect(target, receiver)

    async with reserve(service, 1, connect=deaf):
        assert not service.requests
    assert len(service.peers) == 1


@virtual
async def test_whoever_cancels_every_task_stops_the_filling_for_a_moment() -> None:
    """An opening that somebody else cancelled is a failure like others."""
    service = Service(lambda request: None)
    async with reserve(service, 2) as standby:
        for task in asyncio.all_tasks():
            if task.get_name() == "fishlive standby":
                task.cancel()
        await settle()
        assert len(service.requests) == 2
        service._answer = None
        await asyncio.sleep(REFILL_BASE_S)
        await settle()
        assert standby.ready == 2


@pytest.mark.parametrize("kind", [ZeroDivisionError, OSError, asyncio.TimeoutError])
async def test_a_transport_may_raise_anything(kind: type[Exception]) -> None:
    """The loop hears of what is no error of ours; the reserve tries again later."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))

    async def connect(target: Target, receiver: Receiver) -> Socket:
        raise kind

    async with reserve(Service(), 2, connect=connect) as standby:
        assert waits(standby)
        assert [type(context["exception"]) for context in complaints] == [kind, kind]
    loop.set_exception_handler(before)


@virtual
async def test_a_transport_that_fails_as_it_should_is_no_news() -> None:
    """A connection that cannot be opened in reserve disturbs nobody."""
    service = Service(lambda request: request.fail(ConnectError("no route")))
    async with reserve(service, 2) as standby:
        assert waits(standby)


# Where idle sockets count


def counting(limit: int | None) -> Governor:
    """Return an account whose idle sockets count."""
    return Governor(limit, idle_sockets_count=True)


@virtual
async def test_each_warm_socket_holds_a_slot() -> None:
    """From before it is opened until it is closed, and no more than there are."""
    service = Service(lambda request: None)
    governor = counting(2)
    async with reserve(service, 3, governor=governor) as standby:
        assert len(service.requests) == governor.running == 2
        for request in service.requests[:]:
            service.accept(request)
        await settle()
        assert standby.ready == governor.running == 2
        one = standby.take()
        await settle()
        assert governor.running == 2
        assert one is not None
        assert one.slot is not None
        drop(one)


@virtual
async def test_without_counting_no_slot_is_held() -> None:
    """Where only requests count, a reserve of three leaves a single slot free."""
    governor = Governor(1)
    async with reserve(Service(), 3, governor=governor) as standby:
        assert standby.ready == 3
        assert governor.running == 0


@virtual
async def test_a_warm_socket_is_given_up_for_a_request_that_waits() -> None:
    """The longest spare goes first; its slot is handed on when it is closed."""
    service = Service()
    governor = counting(2)
    async with reserve(service, 2, governor=governor) as standby:
        waiting = asyncio.create_task(governor.slot(priority=Priority.BATCH))
        slot = await waiting
        assert standby.ready == 1
        assert [peer.closed for peer in service.peers] == [True, False]
        assert governor.running == 2
        slot.release()
        standby.start()
        await settle()
        assert standby.ready == 2


@virtual
async def test_what_was_taken_is_not_given_up() -> None:
    """Its slot is in use from that moment on, whoever waits."""
    governor = counting(1)
    async with reserve(Service(), 1, governor=governor) as standby:
        one = standby.take()
        waiting = asyncio.create_task(governor.slot())
        await settle()
        assert not peer_of(one).closed
        assert not waiting.done()
        drop(one)
        (await waiting).release()


@virtual
async def test_what_is_being_opened_is_given_up_as_well() -> None:
    """A service that takes its time with an upgrade nobody waits for holds no request up."""
    service = Service(lambda request: None)
    governor = counting(1)
    async with reserve(service, 1, governor=governor) as standby:
        slot = await governor.slot(priority=Priority.LIVE, timeout_s=1.0)
        assert service.requests[0].answer.cancelled()
        assert not waits(standby)
        slot.release()
        service._answer = None
        standby.start()
        await settle()
        assert standby.ready == 1


@virtual
async def test_an_opening_that_is_over_already_is_given_up_too() -> None:
    """Nobody keeps a socket whose slot was asked for in the moment in which it opened."""
    service = Service(lambda request: None)
    governor = counting(1)
    async with reserve(service, 1, governor=governor) as standby:
        service.accept(service.requests[0])
        (task,) = standby._opening.values()
        while not task.done():
            await asyncio.sleep(0)
        assert not standby.ready  # the socket is there, and the reserve has not looked yet
        slot = await governor.slot(timeout_s=1.0)
        await settle()
        assert standby.ready == 0
        assert not alive(service)
        slot.release()


@virtual
async def test_the_reserve_takes_no_slot_that_somebody_waits_for() -> None:
    """Requests come first, however long the queue is."""
    service = Service()
    governor = counting(1)
    held = await governor.slot()
    waiting = asyncio.create_task(governor.slot())
    await settle()
    async with reserve(service, 1, governor=governor) as standby:
        assert not service.requests
        held.release()
        standby.start()
        await settle()
        assert not service.requests
        (await waiting).release()
        standby.start()
        await settle()
        assert standby.ready == 1


@virtual
async def test_an_old_one_gives_its_slot_to_its_replacement() -> None:
    """Where there is no slot for two, the old one goes first: it may be forgotten on the way."""
    service = Service()
    governor = counting(1)
    async with reserve(service, 1, governor=governor) as standby:
        await asyncio.sleep(MAX_AGE_S)
        await settle()
        assert [peer.closed for peer in service.peers] == [True, False]
        assert standby.ready == governor.running == 1


@virtual
async def test_suspicion_fills_up_again_where_slots_are_scarce() -> None:
    """The slots of what was cut come back a moment later, and are used then."""
    service = Service()
    governor = counting(2)
    async with reserve(service, 2, governor=governor) as standby:
        standby.suspect()
        assert governor.running == 2
        await settle()
        assert standby.ready == governor.running == 2
        assert len(service.requests) == 4


@virtual
async def test_a_limit_learned_from_the_socket_itself_gives_it_up() -> None:
    """A 101 may name a limit that leaves no place for the socket it opens."""

    def accept(request: MemoryRequest) -> None:
        service.peers.append(request.accept({"RateLimit-Limit-Concurrency": "1"}))

    service = Service(accept)
    governor = counting(None)
    held = await governor.slot()
    async with reserve(service, 1, governor=governor) as standby:
        waiting = asyncio.create_task(governor.slot(timeout_s=1.0))
        await settle()
        assert standby.ready == 0
        assert not alive(service)
        with pytest.raises(SlotTimeout):
            await waiting
        held.release()


@virtual
async def test_every_failed_opening_gives_its_slot_back() -> None:
    """Refused, hung up on, cancelled or broken: no slot stays behind."""
    answers: list[Callable[[MemoryRequest], object]] = [
        lambda request: request.refuse(503),
        lambda request: service.accept(request).close(1001),
        lambda request: service.accept(request).drop(),
        lambda request: request.fail(AuthenticationError("no")),
        lambda request: request.fail(ConcurrencyLimitError("full")),
    ]
    for answer in answers:
        service = Service(answer)
        governor = counting(3)
        async with reserve(service, 2, governor=governor):
            assert governor.running == 0
