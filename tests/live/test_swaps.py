"""live/line.py and standby.py together: which socket a turn gets, and what that costs it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from fishlive.errors import AuthenticationError, ConfigError
from fishlive.flow.governor import Governor
from fishlive.live.channel import LiveTTS
from fishlive.live.gate import Gate
from fishlive.live.line import IDLE_DOUBT_S, MAX_SOCKET_AGE_S
from fishlive.live.standby import MAX_AGE_S
from fishlive.live.stats import NOTHING_HEARD, UtteranceStats
from fishlive.session import Session
from fishlive.transport.memory import MemoryPeer, MemoryServer
from fishlive.transport.socket import Receiver, Socket, Target
from fishlive.wire.serving import encode_error
from tests.conftest import settle
from tests.live.service import LOUD, Service, kinds, open_channel, read, reading, speak, texts
from tests.live.virtual import clock, virtual

PONG_WAIT_S = 2.0
"""How long a doubtful socket has to show that it lives, in seconds."""


class Far(Service):
    """A service that is some way off, and notes when we wrote what.

    Attributes:
        writes: Turn of the loop, time and connection of each message, as they are sent.
    """

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self._server = MemoryServer(self._arrived, delay_s=delay_s)
        self.connect = self._connect
        self.writes: list[tuple[int, float, Socket]] = []

    async def _connect(self, target: Target, receiver: Receiver) -> Socket:
        socket = await self._server.connect(target, receiver)
        send = socket.send

        def noted(message: bytes) -> None:
            self.writes.append((clock().turns, clock().time(), socket))
            send(message)

        socket.send = noted  # type: ignore[method-assign]
        return socket


class Rule:
    """What a service does behind ``finish``, and with a second ``start``."""

    def __init__(
        self, after: Callable[[MemoryPeer], object], second: Callable[[MemoryPeer], object] | None
    ) -> None:
        self.after = after
        self.second = second


def stay(peer: MemoryPeer) -> None:
    """Do nothing."""


def close(peer: MemoryPeer) -> None:
    """Say goodbye."""
    peer.close(1000)


def fin(peer: MemoryPeer) -> None:
    """End without a word, behind what was sent."""
    peer.drop()


def rst(peer: MemoryPeer) -> None:
    """End at once; what is on the way is lost."""
    peer.on_loss()
    peer._down.clear()
    peer._down.put(0, peer._client.take_loss)


def reset(peer: MemoryPeer) -> None:
    """End as soon as what was sent has arrived."""
    soon = asyncio.get_running_loop().call_soon
    soon(soon, rst, peer)


def refuse(peer: MemoryPeer) -> None:
    """Say that it is one utterance a connection, and stay."""
    peer.send(encode_error("one utterance a connection"))


RULES = {
    "stays": Rule(stay, None),
    "closes after finish": Rule(close, close),
    "FIN after finish": Rule(fin, fin),
    "RST after finish": Rule(reset, reset),
    "refuses second start": Rule(stay, refuse),
    "closes on second start": Rule(stay, close),
    "FIN on second start": Rule(stay, fin),
    "RST on second start": Rule(stay, rst),
}


class Player:
    """Plays a service by a rule: answers every ``start`` that it sees."""

    def __init__(self, service: Service, rule: Rule) -> None:
        self._service = service
        self._rule = rule
        self._answered: dict[MemoryPeer, int] = {}
        self.refused = 0

    async def serve(self, chunk: bytes) -> None:
        """Answer until nobody asks any more."""
        for _ in range(4):
            await settle(6)
            for peer in self._service.peers:
                self._answer(peer, chunk)

    def _answer(self, peer: MemoryPeer, chunk: bytes) -> None:
        answered = self._answered.get(peer, 0)
        if peer.closed or kinds(peer).count("S") <= answered:
            return
        self._answered[peer] = answered + 1
        if answered and self._rule.second is not None:
            self.refused += 1
            self._rule.second(peer)
        else:
            speak(peer, chunk)
            self._rule.after(peer)


async def begin(live: LiveTTS) -> None:
    """Have an utterance begun and interrupted, so that the reserve is filled."""
    utterance = live.speak("Zero.")
    await settle()
    assert utterance.interrupt() is not NOTHING_HEARD
    await settle()


async def turn(live: Any, player: Player, chunk: bytes) -> UtteranceStats:
    """Speak a turn and hear it, without a moment passing; return its numbers."""
    before_s = clock().time()
    utterance = live.speak("Hello.")
    heard = asyncio.create_task(read(utterance))
    await player.serve(chunk)
    assert await heard == [chunk]
    assert clock().time() == before_s
    stats: UtteranceStats = utterance.stats
    assert stats.attempts == 1
    return stats


def alive(service: Service) -> list[MemoryPeer]:
    """Return the connections that are open."""
    return [peer for peer in service.peers if not peer.closed]


# In the same turn of the loop


@pytest.mark.parametrize("standby", [1, 2, 3])
@virtual
async def test_the_second_turn_pays_no_handshake(standby: int) -> None:
    """Its text leaves at once, over a socket that was open before it was said."""
    service = Far(0.02)
    async with open_channel(service, standby=standby) as live:
        await live.ready()
        first = live.speak("One.")
        heard = await reading(first)
        await asyncio.sleep(0.5)
        speak(service.peers[0], LOUD)
        assert await heard == [LOUD]

        opened, turns, now = len(service.requests), clock().turns, clock().time()
        second = live.speak("Two.")
        await settle(2)
        sent_turn, sent_s, socket = service.writes[-1]
        assert (sent_turn - turns, sent_s) == (1, now)
        assert socket.peer in service.peers[1 : 1 + standby]  # type: ignore[attr-defined]
        assert not second.stats.socket_reused
        assert len(service.peers) == opened
        second.interrupt()


@pytest.mark.parametrize("standby", [1, 2, 3])
@pytest.mark.parametrize("by_hand", [True, False], ids=["send", "speak"])
@virtual
async def test_text_after_an_interruption_leaves_at_once(standby: int, by_hand: bool) -> None:
    """Interrupting and speaking within one turn of the loop needs no handshake."""
    service = Far(0.02)
    async with open_channel(service, standby=standby) as live:
        await live.ready()
        utterance = live.speak("One.")
        heard = await reading(utterance)
        await asyncio.sleep(0.5)
        speak(service.peers[0], LOUD, finish=None)
        await asyncio.sleep(0.05)
        known, turns = len(service.peers), clock().turns

        live.interrupt()
        if by_hand:
            following = live.utterance()
            await following.send("Two.")
        else:
            following = live.speak("Two.")
        await settle(2)
        sent_turn, _, socket = service.writes[-1]
        assert sent_turn - turns <= 1
        assert socket.peer in service.peers[1:known]  # type: ignore[attr-defined]
        assert await heard == [LOUD]
        await asyncio.sleep(0.02)
        assert service.peers[0].closed
        assert texts(socket.peer) == ["Two."]  # type: ignore[attr-defined]
        following.interrupt()


@virtual
async def test_a_burst_of_interruptions_uses_the_reserve_up_first() -> None:
    """With three in reserve, three turns in a row pay nothing, whatever interrupts them."""
    service = Far(0.02)
    async with open_channel(service, standby=3) as live:
        await live.ready()
        utterance = live.speak("Zero.")
        await asyncio.sleep(1.0)
        now, known = clock().time(), len(service.peers)
        for n in range(4):
            utterance = live.speak(f"{n}.")
            await settle(2)
            if n < 3:
                assert service.writes[-1][1] == now
        assert len(service.peers) == known
        utterance.interrupt()


@virtual
async def test_without_standby_an_interruption_pays_the_handshake() -> None:
    """Zero switches it off: one socket, and another when that is gone."""
    service = Far(0.02)
    async with open_channel(service, standby=0) as live:
        await live.ready()
        utterance = live.speak("One.")
        await asyncio.sleep(0.5)
        assert len(service.peers) == 1
        now = clock().time()
        utterance = live.speak("Two.")
        await asyncio.sleep(0.1)
        assert service.writes[-1][1] == pytest.approx(now + 0.04)
        assert len(service.peers) == 2
        utterance.interrupt()


@virtual
async def test_without_standby_a_used_socket_is_used_again() -> None:
    """Where there is nothing to take instead, the one that finished serves on."""
    service = Service()
    async with open_channel(service, standby=0) as live:
        player = Player(service, RULES["stays"])
        for n in range(1, 4):
            assert (await turn(live, player, LOUD * n)).socket_reused == (n > 1)
        assert len(service.peers) == 1


# Reuse is learned


@pytest.mark.parametrize("rule", list(RULES))
@virtual
async def test_every_turn_is_heard_at_once(rule: str) -> None:
    """Whatever a service does with its sockets, and when: all turns are heard, at once."""
    for standby, gap_s in itertools.product((0, 1, 2, 3), (0.0, 0.002, 0.05, 2.0)):
        service = Service()
        player = Player(service, RULES[rule])
        async with open_channel(service, standby=standby) as live:
            await live.ready()
            for n in range(1, 7):
                await turn(live, player, LOUD * n)
                if gap_s:
                    await asyncio.sleep(gap_s)
            assert player.refused <= 1 or not standby
            assert len(alive(service)) <= 1 + standby
        await settle()
        assert not alive(service)


@virtual
async def test_a_socket_that_may_be_closing_gives_way() -> None:
    """For a second behind ``finish`` a warm socket is the safer one; the used one is cut."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=1) as live:
        await live.ready()
        await turn(live, player, LOUD)
        await asyncio.sleep(IDLE_DOUBT_S)
        assert not (await turn(live, player, LOUD)).socket_reused
        await settle()
        assert service.peers[0].closed


@virtual
async def test_a_socket_that_stays_is_tried_and_then_trusted() -> None:
    """After a second turn over one socket, every turn goes over it, however soon."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=1) as live:
        await live.ready()
        await turn(live, player, LOUD)
        await asyncio.sleep(IDLE_DOUBT_S + 0.1)
        for n in range(1, 5):
            assert (await turn(live, player, LOUD * n)).socket_reused
        assert len(service.peers) == 2


@pytest.mark.parametrize("rule", [name for name in RULES if "second" in name])
@virtual
async def test_a_refused_second_start_is_remembered(rule: str) -> None:
    """It costs one swap, once; from then on every turn gets a socket of its own."""
    service = Service()
    player = Player(service, RULES[rule])
    async with open_channel(service, standby=1) as live:
        await live.ready()
        await turn(live, player, LOUD)
        for n in range(2, 6):
            await asyncio.sleep(2.0)
            assert not (await turn(live, player, LOUD * n)).socket_reused
        assert player.refused == 1
        assert all(peer.closed for peer in service.peers[:-2])


@virtual
async def test_a_socket_that_is_too_old_takes_no_other_turn() -> None:
    """Neither one that has just finished nor one that lay idle."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=0) as live:
        await live.ready()
        await turn(live, player, LOUD)
        await asyncio.sleep(MAX_SOCKET_AGE_S - 1.0)
        assert (await turn(live, player, LOUD * 2)).socket_reused
        await asyncio.sleep(2.0)
        assert not (await turn(live, player, LOUD * 3)).socket_reused
        assert [peer.closed for peer in service.peers] == [True, False]


@pytest.mark.parametrize("standby", [0, 1])
@virtual
async def test_a_socket_that_grew_too_old_while_speaking_is_not_kept(standby: int) -> None:
    """It finishes what it says, and is replaced then."""
    service = Service()
    async with open_channel(service, standby=standby, deadlines=None) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send("Hello.")
        heard = await reading(utterance)
        await asyncio.sleep(MAX_SOCKET_AGE_S + 1.0)
        first = service.peers[0]
        assert not first.closed
        await utterance.end()
        await settle()
        speak(first, LOUD)
        assert await heard == [LOUD]
        await settle()
        assert first.closed
        await live.ready()
        assert len(alive(service)) == 1 + standby


@virtual
async def test_a_pause_longer_than_a_socket_may_lie_costs_nothing() -> None:
    """A socket that lay idle for minutes gives way to a younger one, used or not."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=1) as live:
        await live.ready()
        await turn(live, player, LOUD)
        await asyncio.sleep(2.0)
        assert (await turn(live, player, LOUD)).socket_reused  # so it is trusted
        await asyncio.sleep(MAX_AGE_S + 10.0)
        assert not (await turn(live, player, LOUD)).socket_reused
        await settle()
        assert service.peers[0].closed


# Dead ones


def kill(service: Service) -> None:
    """Have every open connection end with the first message over it."""
    for peer in alive(service):
        _end_at_first_message(peer)


def _end_at_first_message(peer: MemoryPeer) -> None:
    def end(message: bytes) -> None:
        rst(peer)

    peer.on_message = end  # type: ignore[method-assign]


@pytest.mark.parametrize("standby", [1, 2, 3])
@virtual
async def test_a_warm_socket_that_died_unnoticed_costs_one_swap(standby: int) -> None:
    """No wait, no attempt: its siblings go with it, and the text over a fresh connection."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=standby) as live:
        await begin(live)
        await asyncio.sleep(60.0)
        known = len(service.peers)
        kill(service)
        stats = await turn(live, player, LOUD)
        assert not stats.socket_reused
        assert all(peer.closed for peer in service.peers[:known])
        assert len(alive(service)) == 1 + standby


@pytest.mark.parametrize("standby", [1, 2, 3])
@virtual
async def test_a_warm_socket_that_is_silent_costs_one_pong(standby: int) -> None:
    """A half-open connection is found by its missing pong, and swapped without a wait."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=standby) as live:
        await begin(live)
        await asyncio.sleep(60.0)
        for peer in service.peers:
            peer.answers_pings = False
            peer.pause_reading()
        before_s, known = clock().time(), len(service.peers)
        utterance = live.speak("Two.")
        heard = asyncio.create_task(read(utterance))
        await asyncio.sleep(PONG_WAIT_S + 0.3)
        await player.serve(LOUD)
        assert await heard == [LOUD]
        assert clock().time() == before_s + PONG_WAIT_S + 0.3
        assert utterance.stats.attempts == 1
        assert len(service.peers) > known
        for peer in service.peers[:known]:
            peer.resume_reading()
        await settle()
        assert all(peer.closed for peer in service.peers[:known])


@virtual
async def test_a_used_socket_and_the_warm_one_behind_it_may_both_be_dead() -> None:
    """After a long silence of the network two swaps find what lives, and nothing is retried."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=2) as live:
        await live.ready()
        await turn(live, player, LOUD)
        await asyncio.sleep(2.0)
        assert (await turn(live, player, LOUD)).socket_reused
        await asyncio.sleep(60.0)
        kill(service)
        assert not (await turn(live, player, LOUD)).socket_reused


@virtual
async def test_what_an_idle_service_says_to_a_settled_socket_is_no_verdict() -> None:
    """An error event on a socket that lay idle is how some services end it: nobody has failed."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=1) as live:
        await live.ready()
        await asyncio.sleep(60.0)
        service.peers[0].send(encode_error("session idle"))
        service.peers[0].close(1000)
        await settle()
        await turn(live, player, LOUD)


# Two channels, one reserve


@virtual
async def test_two_channels_share_one_reserve() -> None:
    """The same model and endpoint: so many in reserve, not so many each."""
    service = Service()
    async with (
        Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish,
        fish.live(standby=2) as one,
    ):
        await one.ready()
        player = Player(service, RULES["stays"])
        await turn(one, player, LOUD)
        await settle()
        assert len(service.peers) == 3
        async with fish.live(standby=1) as two:
            await two.ready()
            await turn(two, player, LOUD * 2)
            await settle()
            assert len(alive(service)) == 4  # the second one took a warm one
        await settle()
        assert len(alive(service)) == 3
        await turn(one, player, LOUD * 3)


@virtual
async def test_a_channel_without_standby_takes_nothing_of_a_reserve() -> None:
    """Warm connections are for those who asked for them."""
    service = Service()
    async with (
        Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish,
        fish.live(standby=1) as one,
    ):
        await one.ready()
        player = Player(service, RULES["stays"])
        await turn(one, player, LOUD)
        await settle()
        warm = service.peer
        async with fish.live(standby=0) as two:
            await two.ready()
            await turn(two, player, LOUD * 2)
            assert not warm.messages


@virtual
async def test_other_models_and_endpoints_have_reserves_of_their_own() -> None:
    """The model is fixed at the upgrade, and so is whether words are aligned."""
    service = Service()
    async with (
        Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish,
        contextlib.AsyncExitStack() as stack,
    ):
        for number, options in enumerate(
            [{}, {"model": "s2.1-pro"}, {"timestamps": True}, {"voice": "v"}]
        ):
            live = fish.live(**options)  # type: ignore[arg-type]
            await begin(await stack.enter_async_context(live))
            assert len(fish._standbys) == min(number + 1, 3)


@pytest.mark.parametrize("standby", [0, 1, 3])
@virtual
async def test_leaving_the_session_leaves_nothing(standby: int) -> None:
    """Whatever is warm, idle or on its way when the session ends is closed then."""
    service = Service()
    async with (
        Session(
            "key", base_url="http://127.0.0.1:9", transport=service.connect, standby=standby
        ) as fish,
        fish.live() as one,
        fish.live() as two,
    ):
        for live in (one, two):
            await begin(live)
        assert len(alive(service)) == 2 + standby
        service._answer = lambda request: None
        one.interrupt()
        await settle()
    await settle()
    assert not alive(service)
    assert fish.governor.running == 0


@pytest.mark.parametrize("wrong", [-1, 1.0, "1", True, 10_001])
async def test_standby_is_a_number_of_sockets(wrong: Any) -> None:
    """Anything else is refused by name, by the session and by the channel."""
    with pytest.raises(ConfigError) as caught:
        Session("key", standby=wrong)
    assert caught.value.argument == "standby"
    with pytest.raises(ConfigError):
        Session("key").live(standby=wrong)


# An opening that is overtaken


@pytest.mark.parametrize("counts", [True, False], ids=["idle counts", "requests count"])
@virtual
async def test_an_opening_that_a_warm_socket_overtakes_is_given_up(counts: bool) -> None:
    """Nothing stays open behind it, and the slot of who speaks stays his."""
    service = Service()
    governor = Governor(9, idle_sockets_count=counts)
    async with Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish:
        fish._governor = governor
        async with fish.live(standby=1) as live:
            await begin(live)
            service._answer = lambda request: None
            for _ in range(2):  # the first takes the warm one, the second opens one of its own
                utterance = live.speak("One.")
                await settle()
                utterance.interrupt()
                await settle()
            warm, own = service.requests[-2:]
            assert not warm.answer.done()
            assert not own.answer.done()
            service.accept(warm)
            await settle()
            second = live.speak("Two.")
            await settle()
            assert texts(service.peer) == ["Two."]
            late = service.accept(own)
            await settle()
            assert late.closed
            assert governor.running == (2 if counts else 1)
            speak(service.peers[-2], LOUD)
            assert await read(second) == [LOUD]
            assert alive(service) == [service.peers[-2]]
            assert governor.running == (2 if counts else 0)
        await settle()
        assert governor.running == 0
        assert not alive(service)


@virtual
async def test_the_slot_of_an_overtaken_opening_is_held_until_that_is_over() -> None:
    """A handshake that is being cancelled still counts at the service."""
    governor = Governor(2, idle_sockets_count=True)
    gate = Gate(governor, lambda: None)
    assert gate.may_open()
    opening = asyncio.create_task(asyncio.sleep(9.0))
    gate.adopt(governor.take(), opening)
    await settle()
    assert governor.running == 2
    opening.cancel()
    await settle()
    assert governor.running == 1
    gate.adopt(governor.take(), None)
    assert governor.running == 2
    await settle()
    assert governor.running == 1
    gate.cut()
    await settle()
    assert governor.running == 0


@virtual
async def test_a_deaf_transport_that_is_overtaken_leaves_no_socket() -> None:
    """A transport that brings a socket although it was cancelled has it cut."""
    service = Service()
    deaf = False

    async def connect(target: Target, receiver: Receiver) -> Socket:
        hears = not deaf
        try:
            if deaf:
                await asyncio.sleep(5.0)
        except asyncio.CancelledError:
            if hears:
                raise
        return await service.connect(target, receiver)

    async with (
        Session("key", base_url="http://127.0.0.1:9", transport=connect) as fish,
        fish.live(standby=1) as live,
    ):
        await begin(live)
        deaf = True
        assert live._line is not None
        line, standby = live._line, live._line._standby
        assert standby is not None
        real = standby.take
        standby.take = lambda: None  # type: ignore[method-assign]  # as if it were empty
        await begin(live)
        task = line._opening
        assert task is not None
        standby.take = real  # type: ignore[method-assign]
        utterance = live.speak("Two.")
        await settle()
        assert task.done()
        assert [texts(peer) for peer in alive(service)] == [["Two."]]
        assert line._idle is None
        utterance.interrupt()


@virtual
async def test_a_finaliser_that_comes_back_takes_one_socket() -> None:
    """An utterance that is dropped while a warm socket is being taken takes no second one."""
    service = Service()
    async with open_channel(service, standby=2) as live:
        await live.ready()
        utterance = live.speak("Zero.")
        await settle()
        line = live._line
        assert line is not None
        assert line._standby is not None
        take = line._standby.take

        def take_and_collect() -> Any:
            found = take()
            line.warm()  # as a finaliser does
            return found

        line._standby.take = take_and_collect  # type: ignore[method-assign]
        utterance.interrupt()
        await settle()
        assert len(alive(service)) == 3


# Failures that are none of its business


@virtual
async def test_a_refused_reserve_disturbs_no_turn() -> None:
    """A service that gives us one connection and no other is spoken to over that one."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with open_channel(service, standby=3) as live:
        await live.ready()
        service._answer = lambda request: request.fail(AuthenticationError("no more"))
        for n in range(1, 4):
            assert (await turn(live, player, LOUD * n)).socket_reused == (n > 1)
            await asyncio.sleep(0.5)


@virtual
async def test_where_idle_sockets_count_the_reserve_takes_no_turn_its_slot() -> None:
    """With two slots and two channels there is no reserve, and both speak."""
    service = Service()
    player = Player(service, RULES["stays"])
    async with (
        Session(
            "key",
            base_url="http://127.0.0.1:9",
            transport=service.connect,
            concurrency=2,
            idle_sockets_count=True,
            standby=2,
        ) as fish,
        fish.live() as one,
    ):
        await one.ready()
        await turn(one, player, LOUD)
        await settle()
        assert fish.governor.running == len(alive(service)) == 2
        async with fish.live() as two:
            await two.ready()
            speaking = await reading(two.speak("Two."))
            await turn(one, player, LOUD * 2)
            assert await speaking == [LOUD * 2]
            assert fish.governor.stats().peak_running == 2


async def test_leaving_the_session_closes_what_a_dropped_channel_kept_warm() -> None:
    """A channel that was never closed has a reserve all the same, and the session owns it."""
    service = Service()
    async with Session(
        "key", base_url="http://127.0.0.1:9", transport=service.connect, standby=1
    ) as fish:
        live = await fish.live().__aenter__()
        utterance = live.speak("One.")
        await settle()
        assert len(service.peers) == 2
        with pytest.warns(ResourceWarning, match="dropped open"):
            del live, utterance
            gc.collect()
        await settle()
    await settle()
    assert service.peers[-1].closed  # what took the place of the one that the line took
