from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectError,
    ConnectionLost,
    FishLiveError,
    InvalidRequestError,
    ProtocolError,
    ServerClosed,
    StallTimeout,
    SynthesisError,
)
from fishlive.faults import Fault
from fishlive.flow.retry import RetryPolicy
from fishlive.live.channel import LiveTTS
from fishlive.session import Session
from fishlive.testing.clock import run
from fishlive.testing.desk import Manner
from fishlive.testing.faulty import PLAYED
from fishlive.testing.model import Service
from fishlive.testing.voice import heard
from fishlive.transport.socket import Target
from fishlive.wire.events import FLUSH, STOP, encode, encode_start

ONCE = RetryPolicy(attempts=1)


def conversing(
    talk: Callable[[LiveTTS, Service], Awaitable[Any]],
    *faults: str,
    manner: Manner | None = None,
    **options: Any,
) -> Any:
    """Return what a conversation with a service of such manners and faults returns."""

    async def main() -> Any:
        async with (
            Service(manner, faults=[Fault.parse(fault) for fault in faults]) as service,
            Session("local", transport=service.connect) as fish,
            fish.live(**options) as live,
        ):
            return await talk(live, service)

    return run(main)


async def spoken(live: LiveTTS, text: str) -> bytes:
    """Return the audio of a text."""
    return b"".join([chunk async for chunk in live.speak(text)])


def test_it_voices_what_is_said() -> None:
    """Every character, in as many messages as its manner says, and finishes."""

    async def talk(live: LiveTTS, service: Service) -> None:
        assert heard(await spoken(live, "Hello, world.")) == (1, "Hello, world.")
        (attempt,) = service.attempts
        assert attempt.text == "Hello, world."
        assert attempt.stopped
        assert attempt.ending == "stop"
        assert len(attempt.audio) == 3
        assert attempt.request["format"] == "pcm"
        assert not service.desk.complaints

    conversing(talk, manner=Manner(message_bytes=96))


def test_odd_messages_cut_samples() -> None:
    """Which the client puts together again."""

    async def talk(live: LiveTTS, service: Service) -> None:
        assert heard(await spoken(live, "Hello, world.")) == (1, "Hello, world.")
        assert len(service.attempts[0].audio[0][1]) == 31

    conversing(talk, manner=Manner(message_bytes=31))


def test_it_takes_its_time() -> None:
    """To the first audio, and between two."""

    async def talk(live: LiveTTS, _service: Service) -> None:
        loop, times = asyncio.get_running_loop(), []
        async for _ in live.speak("Hello, world."):
            times.append(loop.time())
        assert times == [pytest.approx(0.3), pytest.approx(0.4), pytest.approx(0.5)]

    conversing(talk, manner=Manner(first_audio_s=0.3, every_s=0.1, message_bytes=80))


def test_words_are_aligned_where_they_should_be() -> None:
    """On the endpoint with timestamps."""

    async def talk(live: LiveTTS, _service: Service) -> list[str]:
        utterance = live.speak("Hello, world.")
        [_ async for _ in utterance]
        return [word.text for word in utterance.words]

    assert conversing(talk, timestamps=True) == ["Hello,", "world."]


@pytest.mark.parametrize("after", ["keep", "close", "fin", "rst"])
@pytest.mark.parametrize("second", ["take", "refuse", "close"])
def test_the_next_turn_does_not_see_what_became_of_the_last(after: str, second: str) -> None:
    """Whether connections are kept, closed or cut, and whatever meets a second start."""
    manner = Manner(after_finish=after, second_start=second)  # type: ignore[arg-type]

    async def talk(live: LiveTTS, _service: Service) -> None:
        for text in ("One.", "Two.", "Three."):
            assert heard(await spoken(live, text))[1] == text
            await asyncio.sleep(0.01)

    conversing(talk, manner=manner)


def test_too_many_at_once_are_refused() -> None:
    """With the limit named, while another one runs."""

    async def main() -> None:
        service = Service(Manner(max_concurrency=1))
        async with (
            Session("one", base_url="http://127.0.0.1:9", transport=service.connect) as fish,
            Session("two", base_url="http://127.0.0.1:9", transport=service.connect) as other,
            fish.live() as live,
            other.live(retry=ONCE) as more,
        ):
            first = live.utterance()
            await first.send("Hello")
            await asyncio.sleep(1)
            with pytest.raises(ConcurrencyLimitError) as caught:
                await spoken(more, "Hello.")
            assert caught.value.max_concurrency == 1
            first.interrupt()
        await service.aclose()

    run(main)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rst@audio:2,times=always", ConnectionLost),
        ("fin@start,times=always", ConnectionLost),
        ("close:1011@audio:2,times=always", ServerClosed),
        ("close:1000@text:1,held,times=always", ServerClosed),
        ("error:voice not found@start,times=always", InvalidRequestError),
        ("error:too many@start,max-concurrency=3,held,times=always", ConcurrencyLimitError),
        ("finish:error@audio:1", SynthesisError),
        ("message:truncated@audio:1,times=always", ProtocolError),
        ("message:audio-text@audio:1,times=always", ProtocolError),
        ("giant@audio:1", ProtocolError),
        ("stall@audio:2,times=always", StallTimeout),
        ("half-open@audio:1,times=always", StallTimeout),
        ("status:401@upgrade,times=always", AuthenticationError),
        ("rst@connect,times=always", ConnectError),
        ("hang@upgrade,times=always", ConnectError),
    ],
)
def test_a_fault_ends_as_it_should(fault: str, error: type[FishLiveError]) -> None:
    """Typed, whatever it is."""

    async def talk(live: LiveTTS, _service: Service) -> None:
        with pytest.raises(error):
            await spoken(live, "Hello, world. And more.")

    conversing(talk, fault, manner=Manner(message_bytes=32, every_s=0.01))


@pytest.mark.parametrize(
    "fault",
    [
        "delay:0.5@audio:2",
        "delay:0.5@text:1",
        "delay:0.5@upgrade",
        "text-frame@audio:1",
        "message:unknown-event@audio:2",
        "message:audio-empty@audio:1",
        "late-audio@finish",
        "second-finish@finish",
        "rst@upgrade",
        "status:503@upgrade",
        "rst@start",
    ],
)
def test_a_passing_fault_is_not_noticed(fault: str) -> None:
    """Not in the audio, and not in that of the next turn."""

    async def talk(live: LiveTTS, _service: Service) -> None:
        for text in ("Hello, world.", "And more."):
            assert heard(await spoken(live, text))[1] == text

    conversing(talk, fault, manner=Manner(message_bytes=32))


def test_a_flood_is_heard_whole() -> None:
    """In order, beside the voice."""

    async def talk(live: LiveTTS, service: Service) -> None:
        audio = await spoken(live, "Hello, world.")
        assert audio == service.attempts[0].delivered
        assert len(audio) > 2_000_000

    conversing(talk, "flood:2000000@audio:1")


def test_a_fault_that_is_not_played_is_refused() -> None:
    """At once, by name."""

    async def main() -> None:
        with pytest.raises(ValueError, match="does not play pings"):
            Service(faults=[Fault.parse("pings@start")])

    run(main)
    assert "pings" not in PLAYED


def test_clients_that_break_the_protocol_are_complained_of() -> None:
    """By connection, in words."""

    async def main() -> list[str]:
        service = Service()

        class Deaf:
            def on_message(self, message: bytes | memoryview) -> None:
                """Hear nothing."""

            def on_closed(self, error: FishLiveError) -> None:
                """Hear nothing."""

            def on_writable(self) -> None:
                """Hear nothing."""

        socket = await service.connect(Target("ws://127.0.0.1:9/"), Deaf())
        for message in (
            b"\xc1", STOP, encode_start({}), encode_start({}), FLUSH, encode("text", text=""), STOP,
            encode("text", text="late"),
        ):  # fmt: skip
            socket.send(message)
        await asyncio.sleep(1)
        socket.abort()
        await asyncio.sleep(0)
        await service.aclose()
        return service.desk.complaints

    complaints = run(main)
    for part in (
        "unreadable",
        "Stop out of turn",
        "started twice",
        "flushed nothing",
        "empty text",
    ):
        assert any(part in complaint for complaint in complaints), part
    assert complaints[-1].endswith("the client said Text out of turn")


def test_requests_may_hang_for_ever() -> None:
    """Nobody answers them."""

    async def talk(live: LiveTTS, service: Service) -> None:
        with pytest.raises(ConnectError):
            await live.ready()
        assert not service.attempts

    conversing(talk, "hang@connect,times=always")
