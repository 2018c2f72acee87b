"""live/line.py: connecting in the background, once, and telling of it once."""

from __future__ import annotations

import asyncio

import pytest

from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    InsufficientCreditsError,
    InvalidRequestError,
    ServerError,
    StreamInterrupted,
)
from fishlive.live.channel import LiveTTS
from fishlive.session import Session
from fishlive.transport.memory import MemoryRequest
from fishlive.transport.socket import Receiver, Socket, Target
from fishlive.wire.events import encode
from fishlive.wire.serving import encode_error
from tests.conftest import settle
from tests.live.service import LOUD, Service, open_channel, read, speak, texts


def refusing(status: int) -> Service:
    """Return a service that refuses every upgrade."""
    return Service(lambda request: request.refuse(status, body=b'{"message": "no", "status": 1}'))


async def served(service: Service, live: LiveTTS) -> None:
    """Hear one utterance to its end: its connection can serve the next."""
    first = live.speak("One.")
    await settle()
    speak(service.peer, LOUD)
    assert await read(first) == [LOUD]


async def test_connecting_starts_on_entering() -> None:
    """The connection is being opened before anything is said."""
    service = Service()
    async with open_channel(service):
        await settle()
        assert len(service.requests) == 1


async def test_the_upgrade_carries_key_model_and_trace() -> None:
    """Authorization, model and traceparent are upgrade headers."""
    service = Service()
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    async with open_channel(service, model="s2.1-pro", traceparent=trace) as live:
        await live.ready()
        headers = service.requests[0].target.headers
        assert headers["Authorization"] == "Bearer test-key"
        assert headers["model"] == "s2.1-pro"
        assert headers["traceparent"] == trace


async def test_the_model_is_always_sent() -> None:
    """Without being told it is s2-pro, never left to the service."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        assert service.requests[0].target.headers["model"] == "s2-pro"


async def test_text_may_come_before_the_connection() -> None:
    """What is said while connecting goes out in order when connected."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live:
        utterance = live.speak(["One ", "two ", "three."], flush="never")
        await settle()
        service.accept(service.requests[0])
        await settle()
        assert texts(service.peer) == ["One two three."]
        speak(service.peer, LOUD)
        assert await read(utterance) == [LOUD]


async def test_ready_waits_and_raises_what_went_wrong() -> None:
    """The error is raised by ready, once; then connecting is tried again."""
    service = refusing(401)
    async with open_channel(service) as live:
        with pytest.raises(AuthenticationError):
            await live.ready()
        service._answer = None
        await live.ready()
        assert len(service.requests) == 2


async def test_the_first_use_raises_it_otherwise() -> None:
    """Whoever does not wait for ready learns it from the first utterance, once."""
    service = refusing(402)
    async with open_channel(service) as live:
        await settle()
        with pytest.raises(InsufficientCreditsError):
            await read(live.speak("Hello."))
        service._answer = None
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD)
        assert await read(utterance) == [LOUD]


async def test_an_utterance_that_waits_learns_it_too() -> None:
    """A refusal that comes while text waits fails that utterance."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        service.requests[0].refuse(401)
        with pytest.raises(AuthenticationError):
            await read(utterance)


async def test_an_error_nobody_asked_for_is_silent() -> None:
    """A failed connection of an unused channel never ends as "never retrieved"."""
    async with open_channel(refusing(500)):
        await settle()


async def test_ready_is_cheap_when_connected() -> None:
    """Waiting again, in the middle of an utterance or after it, opens nothing."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        await live.ready()
        utterance = live.speak("Hello.")
        await settle()
        await live.ready()
        speak(service.peer, LOUD)
        await read(utterance)
        await live.ready()
        assert len(service.requests) == 1


async def test_cancelling_ready_does_not_stop_the_connecting() -> None:
    """Another waiter, or the first utterance, still gets the connection."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live:
        waiter = asyncio.create_task(live.ready())
        await settle()
        waiter.cancel()
        await settle()
        service.accept(service.requests[0])
        await live.ready()


async def test_leaving_while_connecting_leaves_no_connection() -> None:
    """Whatever is on its way when the channel is left is cut."""
    service = Service(answer=lambda request: None)
    async with open_channel(service):
        await settle()
    peer = service.accept(service.requests[0])
    await settle()
    assert peer.closed


async def test_leaving_says_goodbye() -> None:
    """An idle socket is closed with a close frame."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
    await settle()
    assert service.peer.close_code == 1000


async def test_an_unused_socket_that_is_closed_is_not_replaced_before_it_is_needed() -> None:
    """A service that closes every idle connection is not called again and again."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        service.peer.close(1001)
        await settle()
        assert len(service.requests) == 1
        utterance = live.speak("Hello.")
        await settle()
        assert len(service.requests) == 2
        utterance.interrupt()


async def test_an_interruption_opens_the_next_socket_at_once() -> None:
    """The next turn need not wait for a handshake that can happen now."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        utterance.interrupt()
        await settle()
        assert len(service.peers) == 2
        assert service.peers[0].closed
        assert not service.peers[1].closed


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
@pytest.mark.parametrize("wait", [True, False], ids=["idle", "at once"])
async def test_a_refusal_right_behind_the_upgrade_is_told(closes: bool, wait: bool) -> None:
    """A service may accept the upgrade only to say no; its reason reaches ready and utterance."""

    def turn_away(request: MemoryRequest) -> None:
        peer = service.accept(request)
        peer.send(encode_error("Concurrency limit exceeded", max_concurrency=5))
        if closes:
            peer.close(1000)

    service = Service(turn_away)
    async with open_channel(service) as live:
        if wait:
            await settle()
        with pytest.raises(ConcurrencyLimitError) as caught:
            await live.ready()
        assert caught.value.max_concurrency == 5
        with pytest.raises(ConcurrencyLimitError):
            await read(live.speak("Hello."))
        assert len(service.requests) <= 3


@pytest.mark.parametrize("with_goodbye", [True, False])
async def test_a_service_that_hangs_up_at_once_is_not_called_for_ever(with_goodbye: bool) -> None:
    """Text that waits fails with the reason, after a bounded number of connections."""

    def hang_up(request: MemoryRequest) -> None:
        peer = service.accept(request)
        if with_goodbye:
            peer.close(1011, "overloaded")
        else:
            peer.drop()

    service = Service(hang_up)
    async with open_channel(service) as live:
        for _ in range(3):
            with pytest.raises(StreamInterrupted):
                await read(live.speak("Hello."))
        assert len(service.requests) <= 8


async def test_what_a_service_says_behind_finish_hurts_nobody() -> None:
    """An error event on a socket that served is how it hangs up; the next turn is another's."""
    service = Service()
    async with open_channel(service) as live:
        await served(service, live)
        service.peer.send(encode_error("session idle"))
        service.peer.close(1000)
        await settle()
        second = live.speak("Two.")
        await settle()
        speak(service.peer, LOUD * 2)
        assert await read(second) == [LOUD * 2]


async def test_ready_never_says_so_without_a_connection() -> None:
    """Whoever waits for an opening that was begun for another reason learns of its failure."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak("Hello.")
        await settle()
        service._answer = lambda request: request.refuse(503)
        utterance.interrupt()
        waiters = [asyncio.create_task(live.ready()) for _ in range(3)]
        done, _ = await asyncio.wait(waiters)
        assert {type(task.exception()) for task in done} == {ServerError}


async def test_ready_bears_two_connections_that_die_at_once() -> None:
    """Each was open for a moment; the third one stays."""
    service = Service()
    accept = service.connect

    async def connect(target: Target, receiver: Receiver) -> Socket:
        socket = await accept(target, receiver)
        if len(service.peers) <= 2:
            asyncio.get_running_loop().call_soon(receiver.on_closed, ConnectionLost("gone"))
            asyncio.get_running_loop().call_soon(socket.abort)
        return socket

    service.connect = connect
    async with open_channel(service) as live:
        await live.ready()
        assert [peer.closed for peer in service.peers] == [True, True, False]


async def test_a_connection_cancelled_from_outside_is_a_failure() -> None:
    """Code that cancels every task there is leaves no channel that waits for ever."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        for task in asyncio.all_tasks():
            if task.get_name() == "fishlive connect":
                task.cancel()
        with pytest.raises(ConnectError, match="cancelled"):
            await read(utterance)
        service._answer = None
        await live.ready()


async def test_an_old_idle_socket_that_is_closing_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket that was warmed long ago may be closed just as the first word goes out."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        ahead[0] = 60.0
        utterance = live.speak("Hello.")
        await settle()
        service.peer.close(1001, "idle")
        await settle()
        assert texts(service.peer) == ["Hello."]
        speak(service.peer, LOUD)
        assert await read(utterance) == [LOUD]
        assert not utterance.stats.socket_reused


async def test_a_transport_that_breaks_is_a_connect_error() -> None:
    """Whatever a custom transport raises, nothing foreign comes out."""

    async def connect(target: Target, receiver: Receiver) -> Socket:
        raise ZeroDivisionError

    async with (
        Session("key", base_url="http://127.0.0.1:9", transport=connect) as fish,
        fish.live() as live,
    ):
        with pytest.raises(ConnectError, match="ZeroDivisionError") as caught:
            await live.ready()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_connection_that_takes_too_long_is_given_up() -> None:
    """The session's deadline covers the whole handshake."""

    def never(request: MemoryRequest) -> None: ...

    service = Service(never)
    async with (
        Session(
            "key",
            base_url="http://127.0.0.1:9",
            transport=service.connect,
            connect_timeout_s=0.01,
        ) as fish,
        fish.live() as live,
    ):
        with pytest.raises(ConnectTimeout):
            await live.ready()


async def test_an_idle_socket_that_closes_is_not_ready_any_more() -> None:
    """Who waits for ready afterwards waits for its replacement."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        service._answer = lambda request: None
        service.peer.close(1001)
        await settle()
        waiter = asyncio.create_task(live.ready())
        await settle()
        assert not waiter.done()
        service.accept(service.requests[-1])
        await waiter


async def test_an_old_refusal_does_not_condemn_the_next_connection() -> None:
    """The error of one socket is forgotten when another is opened."""
    service = Service()

    def refuse_and_accept(request: MemoryRequest) -> None:
        service.accept(request).send(encode_error("no such voice"))

    service._answer = refuse_and_accept
    async with open_channel(service) as live:
        await settle()
        service._answer = None
        with pytest.raises(InvalidRequestError):
            await live.ready()
        await live.ready()
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD)
        assert await read(utterance) == [LOUD]


async def test_a_close_that_is_cancelled_cuts_the_socket() -> None:
    """Leaving a channel may be cancelled while it says goodbye; nothing stays open."""
    service = Service()
    channel = open_channel(service)
    live = await channel.__aenter__()
    await live.ready()
    service.peer.answers_close = False
    leaving = asyncio.create_task(channel.__aexit__(None, None, None))
    await settle()
    assert not leaving.done()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await settle()
    assert service.peer.closed


async def test_a_connection_that_speaks_unasked_serves_no_more() -> None:
    """What comes behind a finish belongs to nobody: the next utterance gets another connection."""
    service = Service()
    async with open_channel(service) as live:
        await served(service, live)
        speak(service.peer, LOUD)
        await settle()
        second = live.speak("Two.")
        await settle()
        assert len(service.peers) == 2
        speak(service.peer, LOUD * 2)
        assert await read(second) == [LOUD * 2]


async def test_events_of_other_versions_are_not_speech() -> None:
    """An unknown one between two utterances changes nothing."""
    service = Service()
    async with open_channel(service) as live:
        await served(service, live)
        service.peer.send(encode("news"))
        await settle()
        second = live.speak("Two.")
        await settle()
        assert second.stats.socket_reused
        second.interrupt()


async def test_a_second_finish_is_not_the_end_of_the_next_utterance() -> None:
    """On a connection that served before, an end without any audio is doubted, once."""
    service = Service()
    async with open_channel(service) as live:
        await served(service, live)
        second = live.speak("Two.")
        await settle()
        speak(service.peers[0])
        await settle()
        assert (len(service.peers), texts(service.peer)) == (2, ["Two."])
        speak(service.peer, LOUD * 2)
        assert await read(second) == [LOUD * 2]
