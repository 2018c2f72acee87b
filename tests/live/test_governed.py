"""live/gate.py and line.py: slots of an account, from the first text to finish or a cut."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest
import trustme

from fishlive.errors import (
    ConcurrencyLimitError,
    RateLimitError,
    ServerError,
    SlotTimeout,
    UtteranceInterrupted,
    WrongLoopError,
)
from fishlive.flow.governor import Governor, Priority, Slot
from fishlive.live.channel import LiveTTS
from fishlive.live.plan import Terms
from fishlive.live.stats import Outcome
from fishlive.models.tts import TTSRequest, speech_request
from fishlive.transport.aiohttp import connect_aiohttp
from fishlive.transport.memory import MemoryPeer, MemoryRequest
from fishlive.transport.picows import connect_picows
from fishlive.transport.socket import Connect, Receiver, Socket, Target
from fishlive.wire.serving import Start, encode_error
from tests.conftest import settle
from tests.live.service import LOUD, ONCE, Service, kinds, read, reading, said, speak
from tests.transport.peer import Peer, close_frame, serve

MANY_TURNS = 1_000_000
"""Turns of the loop in which a message crosses loopback; only a failing test waits them out."""


def request_of(changes: Mapping[str, Any]) -> TTSRequest:
    """Return what a session would make of a channel's options."""
    options = {"format": "pcm", "sample_rate": 24_000, **changes}
    return speech_request(model="s2-pro", voice=None, extra=None, options=options)


def channel(
    connect: Connect,
    governor: Governor | None,
    url: str = "ws://127.0.0.1:9/",
    tls: ssl.SSLContext | None = None,
) -> LiveTTS:
    """Return a channel that asks this governor."""
    return LiveTTS(
        connect=connect,
        target=Target(url, tls=tls),
        request=request_of,
        terms=Terms(credit_s=None, retry=ONCE),
        governor=governor,
    )


@contextlib.asynccontextmanager
async def channels(
    service: Service, governor: Governor | None, count: int = 2
) -> AsyncIterator[list[LiveTTS]]:
    """Open channels of one account, each with a connection."""
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(await stack.enter_async_context(channel(service.connect, governor)))
            await settle()
        yield opened


@pytest.fixture
async def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that has the loop's clock jump ahead by so many seconds."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + sum(ahead))
    return ahead.append


def speaking(peer: MemoryPeer) -> bool:
    """Return whether a client has begun an utterance on a connection."""
    return any(isinstance(event, Start) for event in said(peer))


# What holds a slot


async def test_idle_sockets_hold_no_slot() -> None:
    """A connection that is open counts for nothing until something is said."""
    governor = Governor(1)
    async with channels(Service(), governor, 3) as lives:
        for live in lives:
            await live.ready()
        assert governor.running == 0


async def test_an_utterance_without_text_holds_no_slot() -> None:
    """While an LLM is still thinking, others speak."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor) as (one, two):
        thinking = one.utterance()
        await settle()
        assert governor.running == 0
        spoken = await reading(two.speak("Hello."))
        speak(service.peers[1], LOUD)
        assert await spoken == [LOUD]
        await thinking.send("At last.")
        await settle()
        assert governor.running == 1
        thinking.interrupt()


async def test_a_slot_is_held_from_the_first_text_to_finish() -> None:
    """Not a message longer; the listener may still have audio to read."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        utterance = live.speak("Hello.")
        await settle()
        assert governor.running == 1
        speak(service.peer, LOUD, finish=None)
        await settle()
        assert governor.running == 1
        speak(service.peer, LOUD)
        await settle()
        assert governor.running == 0
        assert utterance.outcome is Outcome.RUNNING
        assert await read(utterance) == [LOUD, LOUD]
        assert utterance.stats.slot_wait_s == 0.0


async def test_text_waits_for_a_slot_while_its_socket_is_being_opened(
    pass_time: Callable[[float], None],
) -> None:
    """Connecting needs no slot, so that it is over when one is free."""
    governor = Governor(1)
    service = Service()
    async with channel(service.connect, governor) as one:
        first = await reading(one.speak("One."))
        async with channel(service.connect, governor) as two:
            second = two.speak("Two.")
            waiting = await reading(second)
            assert len(service.peers) == 2
            assert governor.waiting == 1
            assert not speaking(service.peers[1])
            pass_time(3.0)
            assert second.stats.slot_wait_s >= 3.0
            speak(service.peers[0], LOUD)
            await settle()
            assert kinds(service.peers[1]) == "stS"
            speak(service.peers[1], LOUD * 2)
            assert await waiting == [LOUD * 2]
            assert await first == [LOUD]
            assert second.stats.slot_wait_s >= 3.0
    assert governor.stats().waited == 1


async def test_an_aborted_utterance_holds_its_slot_until_its_socket_is_closed() -> None:
    """The service counts what it has not seen the end of."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        live.speak("Hello.").interrupt()
        utterance = live.speak("Hello.")
        await settle()
        utterance.interrupt()
        assert governor.running == 1
        await settle()
        assert governor.running == 0


@pytest.mark.parametrize("abort", ["interrupt", "break", "leave"])
async def test_every_way_out_gives_the_slot_back(abort: str) -> None:
    """However an utterance ends, the next channel may speak."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        utterance = live.utterance()
        await utterance.send("Hello.")
        await settle()
        if abort == "interrupt":
            live.interrupt()
        elif abort == "break":
            speak(service.peer, LOUD, LOUD, finish=None)
            async for _ in utterance:
                break
            await utterance.aclose()
    await settle()
    assert governor.running == 0


async def test_an_interruption_while_connecting_gives_the_slot_back() -> None:
    """At once, for nothing was said; the connection is kept for the next turn."""
    governor = Governor(1)
    service = Service(lambda request: None)
    async with channel(service.connect, governor) as live:
        utterance = live.speak("Hello.")
        await settle()
        assert governor.running == 1
        utterance.interrupt()
        assert governor.running == 0
        service.accept(service.requests[0])
        spoken = await reading(live.speak("Hello again."))
        speak(service.peer, LOUD)
        assert await spoken == [LOUD]
        assert len(service.requests) == 1
    assert governor.running == 0


async def test_an_utterance_nobody_holds_gives_its_slot_back() -> None:
    """Dropping the last reference is an interruption, for the account too."""
    governor = Governor(1)
    async with channels(Service(), governor, 1) as (live,):
        utterance = live.utterance()
        await utterance.send("Hello.")
        await settle()
        assert governor.running == 1
        del utterance
        await settle()
        assert governor.running == 0


async def test_a_channel_of_its_own_needs_no_governor() -> None:
    """Without one, nobody is asked and nothing is held up."""
    service = Service()
    async with channels(service, None) as (one, two):
        readers = [await reading(live.speak("Hello.")) for live in (one, two)]
        for peer in service.peers:
            speak(peer, LOUD)
        assert [await reader for reader in readers] == [[LOUD], [LOUD]]


# Waiting


async def test_waiting_too_long_fails_the_utterance() -> None:
    """With SlotTimeout, which says how long; nothing was sent."""
    governor = Governor(1, live_wait_s=0.0)
    service = Service()
    async with channels(service, governor) as (one, two):
        talking = one.speak("One.")
        await settle()
        late = two.speak("Two.")
        with pytest.raises(SlotTimeout) as caught:
            await read(late)
        assert caught.value.limit == 1
        assert late.outcome is Outcome.FAILED
        assert late.stats.slot_wait_s == caught.value.waited_s
        assert not speaking(service.peers[1])
        talking.interrupt()
    assert governor.waiting == 0


async def test_an_interruption_gives_the_place_up(pass_time: Callable[[float], None]) -> None:
    """Who does not want to speak any more does not stand in the way."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor, 3) as (one, two, three):
        talking = one.speak("One.")
        await settle()
        waiting = two.utterance()
        await waiting.send("Two.")
        await settle()
        last = await reading(three.speak("Three."))
        assert governor.waiting == 2
        pass_time(3.0)
        waiting.interrupt()
        assert governor.waiting == 1
        assert waiting.stats.slot_wait_s >= 3.0
        with pytest.raises(UtteranceInterrupted):
            await waiting.send("more")
        talking.interrupt()
        await settle()
        speak(service.peers[2], LOUD)
        assert await last == [LOUD]
        assert not speaking(service.peers[1])


async def test_an_utterance_does_not_wait_for_the_slot_of_the_next(
    pass_time: Callable[[float], None],
) -> None:
    """How long it waited is settled when it gave its place up."""
    governor = Governor(1)
    held = await governor.slot()
    async with channels(Service(), governor, 1) as (live,):
        one = live.speak("One.")
        await settle()
        two = live.speak("Two.")
        await settle()
        waited_s = one.stats.slot_wait_s
        pass_time(5.0)
        assert one.stats.slot_wait_s == waited_s
        assert two.stats.slot_wait_s >= 5.0
        two.interrupt()
    held.release()


async def test_live_speech_goes_before_batch_work() -> None:
    """A REST request that came first waits until the listener was served."""
    governor = Governor(1)
    service = Service()
    order: list[str] = []

    async def batch() -> None:
        with await governor.slot(priority=Priority.BATCH):
            order.append("batch")

    async with channels(service, governor, 1) as (live,):
        held = await governor.slot()
        work = asyncio.create_task(batch())
        await settle()
        spoken = await reading(live.speak("Hello."))
        held.release()
        await settle()
        assert order == []
        speak(service.peer, LOUD)
        assert await spoken == [LOUD]
        await work


async def test_a_new_turn_waits_for_its_own_aborted_socket() -> None:
    """On an account with one slot an interruption must not be refused by the service."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        live.speak("One.")
        utterance = live.speak("Two.")
        await settle()
        speak(service.peer, LOUD)
        assert await read(utterance) == [LOUD]
    assert governor.stats().peak_running == 1


async def test_an_idle_socket_that_dies_while_waiting_is_replaced() -> None:
    """The slot outlives the wait for another connection."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor) as (one, two):
        talking = one.speak("One.")
        await settle()
        waiting = await reading(two.speak("Two."))
        service.peers[1].close(1001)
        await settle()
        talking.interrupt()
        await settle()
        peer = next(peer for peer in service.peers if speaking(peer) and not peer.closed)
        speak(peer, LOUD)
        assert await waiting == [LOUD]
    assert governor.running == 0


async def test_a_replay_asks_again() -> None:
    """A reused socket that was closing gives its slot back before the next one takes it."""
    governor = Governor(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        first = await reading(live.speak("One."))
        speak(service.peer, LOUD)
        await first
        second = await reading(live.speak("Two."))
        service.peer.close(1000)
        await settle()
        assert len(service.peers) == 2
        speak(service.peer, LOUD * 2)
        assert await second == [LOUD * 2]
    assert governor.running == 0
    assert governor.stats().peak_running == 1


# Failing and learning


async def test_a_connection_that_failed_while_its_speaker_waited_gives_the_slot_back() -> None:
    """The speaker is told, and does not keep what it cannot use."""
    governor = Governor(1)
    requests: list[MemoryRequest] = []
    held = await governor.slot()
    async with channel(Service(requests.append).connect, governor) as live:
        spoken = await reading(live.speak("Hello."))
        requests[0].refuse(503)
        await settle()
        held.release()
        with pytest.raises(ServerError):
            await spoken
        await settle()
        assert governor.running == 0


async def test_a_speaker_that_was_told_of_a_failure_has_no_connection_opened_for_it() -> None:
    """It would have it for ever; the next utterance opens one."""
    governor = Governor(1)
    service = Service(lambda request: None)
    held = await governor.slot()
    async with channel(service.connect, governor) as live:
        failed = await reading(live.speak("Hello."))
        service.requests[0].refuse(503)
        await settle()
        held.release()
        with pytest.raises(ServerError):
            await failed
        await settle()
        assert len(service.requests) == 1
        spoken = await reading(live.speak("Again."))
        peer = service.accept(service.requests[1])
        await settle()
        speak(peer, LOUD)
        assert await spoken == [LOUD]


@pytest.mark.parametrize(("status", "kind"), [(503, ServerError), (429, RateLimitError)])
async def test_a_connection_that_fails_gives_the_slot_back(
    status: int, kind: type[Exception]
) -> None:
    """And a refusal for too much at once lowers the limit, which another failure does not."""
    governor = Governor(4)
    requests: list[MemoryRequest] = []
    service = Service(requests.append)
    async with channel(service.connect, governor) as live:
        spoken = await reading(live.speak("Hello."))
        assert governor.running == 1
        requests[0].refuse(status)
        with pytest.raises(kind):
            await spoken
        await settle()
        assert governor.running == 0
        assert governor.limit == (1 if status == 429 else 4)


async def test_a_refused_upgrade_names_the_limit() -> None:
    """Even if nobody was waiting for that connection."""
    governor = Governor()
    body = b'{"message": "Concurrency limit exceeded", "max_concurrency": 5}'
    service = Service(lambda request: request.refuse(429, body=body))
    async with channel(service.connect, governor):
        held = [await governor.slot() for _ in range(2)]
        await settle()
        assert governor.limit == 2
        assert governor.stats().refusals == 1
        for slot in held:
            slot.release()


async def test_the_upgrade_names_the_limit() -> None:
    """The header of the 101 is believed before the first request is refused."""
    governor = Governor()

    def accept(request: MemoryRequest) -> None:
        request.accept({"RateLimit-Limit-Concurrency": "5"})

    async with channel(Service(accept).connect, governor) as live:
        await live.ready()
        assert governor.limit == 5


@pytest.mark.parametrize("how", ["event", "close", "event before audio on an old socket"])
async def test_a_refusal_of_an_utterance_teaches_the_governor(how: str) -> None:
    """An ``error`` event with a number, and a policy close that names concurrency."""
    governor = Governor(7)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        held = [await governor.slot() for _ in range(3)]
        if how.endswith("old socket"):
            first = await reading(live.speak("One."))
            speak(service.peer, LOUD)
            await first
        spoken = await reading(live.speak("Hello."))
        if how == "close":
            service.peer.close(1008, "concurrency limit exceeded")
        else:
            service.peer.send(encode_error("Concurrency limit exceeded", max_concurrency=4))
        with pytest.raises(ConcurrencyLimitError):
            await spoken
        assert governor.limit == 3
        assert governor.stats().refusals == 1
        for slot in held:
            slot.release()
        await settle()
    assert governor.running == 0


async def test_a_refusal_on_an_idle_socket_teaches_the_governor() -> None:
    """It may come right behind the 101, before anybody speaks."""
    governor = Governor()
    service = Service()
    async with channels(service, governor, 1) as (live,):
        service.peer.send(encode_error("Concurrency limit exceeded", max_concurrency=5))
        await settle()
        with pytest.raises(ConcurrencyLimitError):
            await live.ready()
        assert governor.stats().refusals == 1
        assert governor.limit == 1


async def test_a_governor_of_another_loop_fails_the_utterance() -> None:
    """With an error that says so, not in a corner of the loop."""
    governor = Governor(1)
    async with channels(Service(), governor, 1) as (live,):
        held: list[Slot] = []

        async def elsewhere() -> None:
            held.append(await governor.slot())
            taken.set()
            await released.wait()

        taken, released = asyncio.Event(), asyncio.Event()
        other = asyncio.new_event_loop()
        try:
            await asyncio.to_thread(other.run_until_complete, _one_turn(elsewhere()))
            with pytest.raises(WrongLoopError):
                await read(live.speak("Hello."))
        finally:
            other.close()


async def _one_turn(waiting: Any) -> None:
    """Run a coroutine until it waits, and throw it away."""
    task = asyncio.ensure_future(waiting)
    await settle()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# Idle sockets that count


def counting(limit: int, **options: Any) -> Governor:
    """Return a governor of a service that counts connections."""
    return Governor(limit, idle_sockets_count=True, **options)


async def test_a_connection_holds_a_slot_where_idle_sockets_count() -> None:
    """Through all of its utterances, until it is closed."""
    governor = counting(2)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        await live.ready()
        assert governor.running == 1
        for _ in range(2):
            spoken = await reading(live.speak("Hello."))
            assert governor.running == 1
            speak(service.peer, LOUD)
            assert await spoken == [LOUD]
            assert governor.running == 1
        assert len(service.peers) == 1
    await settle()
    assert governor.running == 0


async def test_an_idle_socket_is_closed_when_a_request_waits() -> None:
    """The one that rests longest goes first, and its channel opens another when it speaks."""
    governor = counting(2)
    service = Service()
    async with channels(service, governor) as (one, two):
        with await governor.slot():
            await settle()
            assert [peer.closed for peer in service.peers] == [True, False]
        again = await reading(one.speak("Hello."))
        assert len(service.peers) == 3
        speak(service.peer, LOUD)
        assert await again == [LOUD]
        assert not service.peers[1].closed
        await two.ready()
        assert governor.stats().peak_running == 2


async def test_channels_take_turns_on_one_slot() -> None:
    """Each closes its idle socket for the other."""
    governor = counting(1)
    service = Service()
    async with channels(service, governor) as lives:
        for live in lives * 2:
            spoken = await reading(live.speak("Hello."))
            speak(service.peer, LOUD)
            assert await spoken == [LOUD]
            assert sum(not peer.closed for peer in service.peers) == 1
    await settle()
    assert governor.running == 0


async def test_nothing_is_opened_in_advance_without_a_slot() -> None:
    """A connection that the service would refuse is not tried; ready waits for a slot."""
    governor = counting(1, live_wait_s=0.0)
    service = Service()
    held = await governor.slot()
    async with channels(service, governor, 1) as (live,):
        assert not service.requests
        with pytest.raises(SlotTimeout):
            await live.ready()
        held.release()
        await live.ready()
        assert governor.running == 1


async def test_ready_lets_an_utterance_have_its_slot() -> None:
    """Who asked first for a connection opens it for both."""
    governor = counting(1)
    service = Service()
    held = await governor.slot()
    async with channels(service, governor, 1) as (live,):
        waiter = asyncio.create_task(live.ready())
        await settle()
        spoken = await reading(live.speak("Hello."))
        held.release()
        await waiter
        await settle()
        assert len(service.peers) == 1
        speak(service.peer, LOUD)
        assert await spoken == [LOUD]
        assert governor.stats().peak_running == 1


async def test_leaving_does_not_wait_for_a_slot() -> None:
    """Nor does whoever waits for ready then; and no slot is taken any more."""
    governor = counting(1)
    held = await governor.slot()
    async with channels(Service(), governor, 1) as (live,):
        waiter = asyncio.create_task(live.ready())
        await settle()
        assert governor.waiting == 1
    await waiter
    held.release()
    await settle()
    assert governor.running == governor.waiting == 0


@pytest.mark.parametrize("released_first", [True, False])
async def test_a_cancelled_ready_keeps_no_slot(released_first: bool) -> None:
    """Unless its connection is being opened already: that goes on, and takes the slot."""
    governor = counting(1)
    service = Service()
    held = await governor.slot()
    async with channels(service, governor, 1) as (live,):
        waiter = asyncio.create_task(live.ready())
        await settle()
        for step in (held.release, waiter.cancel)[:: 1 if released_first else -1]:
            step()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        await settle()
        assert governor.running == len(service.peers) == int(released_first)


async def test_a_socket_in_use_is_not_given_up_for_others() -> None:
    """Who waits gets its slot when the utterance is over, though the socket was idle before."""
    governor = counting(1)
    service = Service()
    async with channels(service, governor) as (one, two):
        first = await reading(one.speak("One."))
        speak(service.peer, LOUD)
        await first
        again = await reading(one.speak("One, again."))
        second = await reading(two.speak("Two."))
        assert not service.peers[0].closed
        speak(service.peers[0], LOUD)
        assert await again == [LOUD]
        await settle()
        speak(service.peers[1], LOUD * 2)
        assert await second == [LOUD * 2]
        assert service.peers[0].closed


async def test_ready_and_an_utterance_share_a_slot() -> None:
    """Both wait for the same connection, which takes one slot and not two."""
    governor = counting(2)
    service = Service()
    held = [await governor.slot(), await governor.slot()]
    async with channels(service, governor, 1) as (live,):
        spoken = await reading(live.speak("Hello."))
        waiter = asyncio.create_task(live.ready())
        await settle()
        for slot in held:
            slot.release()
        await waiter
        await settle()
        assert governor.running == 1
        speak(service.peer, LOUD)
        assert await spoken == [LOUD]


async def test_the_next_socket_waits_for_the_slot_of_the_last() -> None:
    """After an interruption the replacement is opened when the old socket is closed."""
    governor = counting(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        utterance = live.speak("Hello.")
        await settle()
        utterance.interrupt()
        assert governor.running == 1
        await settle()
        assert [peer.closed for peer in service.peers] == [True, False]
        assert governor.running == 1
    assert governor.stats().peak_running == 1


@pytest.mark.parametrize("used", [False, True])
async def test_a_socket_that_the_service_closes_gives_its_slot_back(used: bool) -> None:
    """One that served is replaced, and its successor takes the slot; another waits for a use."""
    governor = counting(1)
    service = Service()
    async with channels(service, governor, 1) as (live,):
        if used:
            spoken = await reading(live.speak("Hello."))
            speak(service.peer, LOUD)
            await spoken
        service.peer.close(1001)
        await settle()
        assert governor.running == len(service.peers) - 1 == int(used)
        await live.ready()
        assert governor.running == 1
        assert governor.stats().peak_running == 1


async def test_a_refused_connection_is_not_tried_for_ever() -> None:
    """Where connections count, a service that refuses every one is asked once by each use."""
    governor = counting(1)

    def turn_away(request: MemoryRequest) -> None:
        service.accept(request).send(encode_error("Concurrency limit exceeded"))

    service = Service(turn_away)
    async with channels(service, governor, 1) as (live,):
        for _ in range(3):
            with pytest.raises(ConcurrencyLimitError):
                await read(live.speak("Hello."))
        await settle()
        assert len(service.requests) <= 4
    await settle()
    assert governor.running == 0


async def test_a_cancelled_connection_gives_its_slot_back() -> None:
    """Leaving while connecting leaves nothing behind."""
    governor = counting(1)
    service = Service(lambda request: None)
    async with channels(service, governor, 1):
        assert governor.running == 1
    await settle()
    assert governor.running == 0


# Many at once


class Crowd:
    """Channels of one account that speak, fail and are interrupted, and the service they use.

    Attributes:
        peak: Most utterances that the service saw going on at once.
    """

    def __init__(self, seed: int) -> None:
        self.service = Service()
        self.peak = 0
        self._dice = random.Random(seed)  # noqa: S311  # the same in every run
        self._busy: list[MemoryPeer] = []

    async def serve(self) -> None:
        """Answer whoever has spoken, mostly with audio, sometimes by hanging up."""
        while True:
            self._busy = [
                peer for peer in self.service.peers if not peer.closed and kinds(peer)[-1:] == "S"
            ]
            self.peak = max(self.peak, len(self._busy))
            for peer in self._busy:
                if self._dice.random() < 0.3:
                    self._answer(peer)
            await asyncio.sleep(0)

    async def use(self, live: LiveTTS) -> None:
        """Speak four times, or try to."""
        for _ in range(4):
            utterance = live.speak("Hello.")
            if self._dice.random() < 0.3:
                await settle(self._dice.randrange(12))
                utterance.interrupt()
            with contextlib.suppress(ConnectionError):
                await read(utterance)

    def _answer(self, peer: MemoryPeer) -> None:
        peer.messages.clear()
        if self._dice.random() < 0.2:
            peer.drop()
        else:
            speak(peer, LOUD)


@pytest.mark.parametrize("idle_sockets_count", [False, True])
@pytest.mark.parametrize("seed", range(5))
async def test_the_service_never_sees_more_than_the_limit(
    seed: int, idle_sockets_count: bool
) -> None:
    """Thirty channels keep within three slots, and all get their turn."""
    governor = Governor(3, idle_sockets_count=idle_sockets_count)
    crowd = Crowd(seed)
    server = asyncio.create_task(crowd.serve())
    async with contextlib.AsyncExitStack() as stack:
        lives = [channel(crowd.service.connect, governor) for _ in range(30)]
        for live in lives:
            await stack.enter_async_context(live)
        await asyncio.gather(*map(crowd.use, lives))
    server.cancel()
    await settle()
    assert 1 < crowd.peak <= 3
    assert governor.stats().peak_running == 3
    assert governor.running == governor.waiting == 0


# Real sockets


class Remembering:
    """A transport that keeps what it opened.

    Attributes:
        sockets: Their Python sockets, in order.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.sockets: list[TransportSocket] = []

    async def __call__(self, target: Target, receiver: Receiver) -> Socket:
        opened: Any = await self._connect(target, receiver)
        self.sockets.append(opened._transport.get_extra_info("socket"))
        return cast("Socket", opened)


async def upgrade_only(peer: Peer) -> None:
    """Accept, and answer a goodbye."""
    await peer.upgrade()
    await peer.read_close()
    peer.hang_up()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("connect", [connect_picows, connect_aiohttp])
async def test_the_descriptor_is_closed_before_the_slot_is_free(
    connect: Connect, secure: bool
) -> None:
    """Whoever gets the slot of an aborted utterance finds its TCP connection ended."""
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    governor = Governor(1)
    remembering = Remembering(connect)
    async with (
        serve(upgrade_only, tls=server_tls if secure else None) as server,
        channel(remembering, governor, server.url, client_tls) as live,
    ):
        await live.ready()
        utterance = live.speak("Hello.")
        await settle()
        assert governor.running == 1
        utterance.interrupt()
        assert remembering.sockets[0].fileno() >= 0
        with await governor.slot():
            assert remembering.sockets[0].fileno() == -1
        await live.ready()


async def test_a_half_closed_connection_keeps_no_slot() -> None:
    """Where connections count, one that the service closes but does not end is ended by us."""
    governor = counting(1)
    remembering = Remembering(connect_picows)
    say_goodbye = asyncio.Event()

    async def linger(peer: Peer) -> None:
        await peer.upgrade()
        await say_goodbye.wait()
        peer.write(close_frame(1001))
        await peer.read_eof()

    async with (
        serve(linger) as server,
        channel(remembering, governor, server.url) as live,
    ):
        await live.ready()
        say_goodbye.set()
        for _ in range(MANY_TURNS):
            if not governor.running:
                break
            await asyncio.sleep(0)
        assert governor.running == 0
        assert remembering.sockets[0].fileno() == -1
