"""live/channel.py: which utterance is current, and what leaving means."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings

import pytest

from fishlive.errors import (
    ConcurrentIterationError,
    ConfigError,
    ForkedProcessError,
    StreamClosedError,
    UsageError,
    UtteranceInterrupted,
    WrongLoopError,
)
from fishlive.live.channel import LiveTTS
from fishlive.live.stats import NOTHING_HEARD
from fishlive.session import Session
from fishlive.wire.serving import Start, encode_audio
from tests.conftest import settle
from tests.live.service import (
    LOUD,
    Service,
    kinds,
    open_channel,
    read,
    reading,
    said,
    speak,
    texts,
)


async def test_the_defaults_are_always_sent() -> None:
    """Format, sample rate, latency and chunk length are never left to the service."""
    service = Service()
    async with open_channel(service) as live:
        live_utterance = live.speak("Hello.")
        await settle()
        start = said(service.peer)[0]

        assert isinstance(start, Start)
        assert start.request == {
            "text": "",
            "format": "pcm",
            "sample_rate": 24000,
            "latency": "balanced",
            "chunk_length": 100,
        }
        live_utterance.interrupt()


async def test_an_utterance_may_change_everything_but_the_model() -> None:
    """Voice, extra fields and every option can differ from the channel's, once."""
    service = Service()
    async with open_channel(service, voice="a" * 32, temperature=0.5) as live:
        first = live.speak("One.", voice="b" * 32, format="mp3", extra={"new": 1}, top_p=0.1)
        await settle()
        speak(service.peer, b"mp3")
        await read(first)
        live.utterance()
        second = live.speak("Two.")
        await settle()
        requests = [
            event.request
            for peer in service.peers
            for event in said(peer)
            if isinstance(event, Start)
        ]

        assert requests[0]["reference_id"] == "b" * 32
        assert (requests[0]["format"], requests[0]["new"], requests[0]["top_p"]) == ("mp3", 1, 0.1)
        assert "sample_rate" not in requests[0]
        assert requests[1]["reference_id"] == "a" * 32
        assert (requests[1]["format"], requests[1]["temperature"]) == ("pcm", 0.5)
        second.interrupt()


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"model": "s1"}, "model"),
        ({"flush": "often"}, "flush"),
        ({"sample_rate": 22050}, "sample_rate"),
        ({"tempereature": 0.5}, "tempereature"),
        ({"temperature": 7}, "temperature"),
        ({"voice": "a\r\nb"}, "voice"),
    ],
)
async def test_a_wrong_argument_interrupts_nothing(
    options: dict[str, object], argument: str
) -> None:
    """The error names the argument; what is being spoken goes on."""
    service = Service()
    async with open_channel(service) as live:
        running = live.speak("Hello.")
        await settle()
        with pytest.raises(ConfigError) as caught:
            live.speak("More.", **options)  # type: ignore[arg-type]  # wrong on purpose

        assert caught.value.argument == argument
        assert running.outcome == "running"
        running.interrupt()


async def test_beginning_an_utterance_interrupts_the_one_before() -> None:
    """Its iterator ends, its outcome is interrupted, its socket is cut."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        listener = await reading(first)
        second = live.speak("Two.")
        await settle()

        assert await listener == []
        assert first.outcome == "interrupted"
        assert service.peers[0].closed
        assert texts(service.peers[1]) == ["Two."]
        second.interrupt()


async def test_send_begins_an_utterance() -> None:
    """The channel's own send, flush and end are those of the current utterance."""
    service = Service()
    async with open_channel(service) as live:
        await live.send("Hello, ")
        await live.send("world.")
        await live.flush()
        await live.end()
        await settle()
        assert kinds(service.peer) == "stfS"
        assert texts(service.peer) == ["Hello, world."]
        speak(service.peer, LOUD)
        assert await read(live) == [LOUD]


async def test_send_after_end_begins_the_next() -> None:
    """Each end is followed by another start, with the first one interrupted if unread."""
    service = Service()
    async with open_channel(service) as live:
        await live.send("One.")
        await live.end()
        await settle()
        speak(service.peer, LOUD)
        assert await read(live) == [LOUD]
        await live.send("Two.")
        await live.end()
        await settle()
        speak(service.peer, LOUD, LOUD)

        assert await read(live) == [LOUD, LOUD]
        assert kinds(service.peer) == "stSstS"


async def test_send_joins_an_utterance_that_was_begun_by_hand() -> None:
    """`live.send` speaks into the current utterance, whoever began it."""
    service = Service()
    async with open_channel(service) as live, live.utterance() as utterance:
        await live.send("Hello")
        await live.end()
        await settle()
        assert utterance.text_ended
        speak(service.peer, LOUD)
        assert await read(utterance) == [LOUD]


async def test_after_a_failure_end_makes_room_for_the_next_utterance() -> None:
    """A producer that only ever sends and ends is not locked out by one failure."""
    service = Service()
    async with open_channel(service) as live:
        await live.send("One")
        await settle()
        service.peer.close(1011)
        await settle()
        for call in (live.send("more"), live.end()):
            with pytest.raises(StreamClosedError):
                await call
        await live.send("Two.")
        await live.end()
        await settle()
        speak(service.peer, LOUD)
        assert await read(live) == [LOUD]


@pytest.mark.parametrize("call", ["flush", "end"])
async def test_flush_and_end_need_an_utterance(call: str) -> None:
    """There is nothing to flush or end before the first text."""
    async with open_channel(Service()) as live:
        with pytest.raises(UsageError, match="no utterance"):
            await getattr(live, call)()


async def test_iterating_early_waits_for_the_utterance() -> None:
    """A listener may be there before the first text."""
    service = Service()
    async with open_channel(service) as live:
        listener = await reading(live)
        await live.send("Hello.")
        await live.end()
        await settle()
        speak(service.peer, LOUD)

        assert await listener == [LOUD]


async def test_iterating_again_waits_for_the_next_utterance() -> None:
    """A second loop over the channel is about the next utterance, not the one that is over."""
    service = Service()
    async with open_channel(service) as live:
        await live.send("One.")
        await live.end()
        await settle()
        speak(service.peer, LOUD)
        await read(live)
        listener = await reading(live)
        assert not listener.done()
        await live.send("Two.")
        await live.end()
        await settle()
        speak(service.peer, LOUD * 2)

        assert await listener == [LOUD * 2]


async def test_two_tasks_cannot_iterate_one_channel() -> None:
    """The second is refused while the first is reading."""
    service = Service()
    async with open_channel(service) as live:
        await live.send("Hello.")
        await settle()
        listener = await reading(live)
        with pytest.raises(ConcurrentIterationError):
            await read(live)
        live.interrupt()
        assert await listener == []


@pytest.mark.parametrize("call", ["send", "flush", "end"])
async def test_after_an_interruption_text_is_refused_until_the_next_turn(call: str) -> None:
    """A producer that was not told yet cannot speak into the new turn, from whichever task."""
    service = Service()
    arguments = ["late"] if call == "send" else []
    async with open_channel(service) as live:
        await live.send("Hello")
        live.interrupt()
        with pytest.raises(UtteranceInterrupted):
            await getattr(live, call)(*arguments)
        async with live.utterance() as utterance:
            await live.send("next")
            utterance.interrupt()


async def test_an_interruption_before_the_first_text_counts() -> None:
    """The reply that is being written when the user speaks up is never spoken."""
    service = Service()
    async with open_channel(service) as live:
        assert live.interrupt() is NOTHING_HEARD
        with pytest.raises(UtteranceInterrupted):
            await live.send("the old reply")
        await settle()
        assert service.peer.messages == []


async def test_interrupting_again_is_harmless() -> None:
    """The second call gives the answer of the first."""
    service = Service()
    async with open_channel(service) as live:
        await live.send("Hello")
        first = live.interrupt(0.5)
        assert live.interrupt(7.0) is first
        assert (first.played_s, first.basis) == (0.5, "marked")


@pytest.mark.parametrize("keep", [True, False], ids=["utterance kept", "utterance dropped"])
async def test_an_utterance_that_was_read_is_still_being_heard(keep: bool) -> None:
    """An interruption behind the last chunk tells what was marked: a player lags behind."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD)
        assert [chunk async for chunk in utterance] == [LOUD]
        if not keep:
            del utterance
            gc.collect()
        live.mark_played(0.01)
        told = live.interrupt()
        assert (told.played_s, told.basis) == (0.01, "marked")
        assert (told.read_bytes, told.dropped_bytes) == (len(LOUD), 0)
        assert live.interrupt(0.02).played_s == 0.02


async def test_an_utterance_that_was_read_without_marks_counts_as_heard() -> None:
    """Nobody said more, so what was read is what was heard."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD)
        assert [chunk async for chunk in utterance] == [LOUD]
        told = utterance.interrupt()
        assert (told.basis, told.heard_text) == ("consumed", "Hello.")
        assert utterance.outcome == "finished"


async def test_marking_moves_the_current_utterance() -> None:
    """`live.mark_played` is the current utterance's playhead."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        live.mark_played(2.5)
        live.mark_played(1.5)
        assert utterance.interrupt().played_s == 2.5


async def test_nothing_of_an_interrupted_turn_is_heard_in_the_next() -> None:
    """Audio that was on its way when the turn ended has nowhere to go."""
    service = Service()
    async with open_channel(service) as live:
        live_one = live.speak("One.")
        await settle()
        old = service.peer
        speak(old, b"\x11\x11", finish=None)
        live.interrupt()
        speak(old, b"\x22\x22")
        two = live.speak("Two.")
        await settle()
        speak(old, b"\x33\x33")
        speak(service.peer, LOUD)

        assert await read(two) == [LOUD]
        assert live_one.outcome == "interrupted"


async def test_speaking_needs_an_open_channel() -> None:
    """Before entering it is a usage error, after leaving the channel is closed."""
    service = Service()
    async with Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish:
        live = fish.live()
        with pytest.raises(UsageError, match="enter the channel"):
            live.speak("Hello.")
        async with live:
            pass
        for call in (live.speak, live.utterance):
            with pytest.raises(StreamClosedError):
                call(*(["Hello."] if call == live.speak else []))
        with pytest.raises(StreamClosedError):
            await live.send("Hello.")
        with pytest.raises(StreamClosedError):
            await live.ready()
        with pytest.raises(UsageError, match="once"):
            async with live:
                pass


async def test_leaving_never_waits_for_audio() -> None:
    """Speech that was paid for and not read is aborted, abandoned, and told once."""
    service = Service()
    with pytest.warns(ResourceWarning, match="not read") as caught:
        async with open_channel(service) as live:
            utterance = live.speak("Hello.")
            await settle()

    assert utterance.outcome == "abandoned"
    assert len(caught) == 1
    assert service.peers[0].closed


async def test_a_listener_cut_off_by_leaving_is_not_told_that_it_was_the_end() -> None:
    """Whoever is still reading when the channel is left gets an error, not an end."""
    service = Service()
    with pytest.warns(ResourceWarning):
        async with open_channel(service) as live:
            listener = await reading(live.speak("Hello."))
            await settle()
    with pytest.raises(StreamClosedError):
        await listener


async def test_leaving_in_the_middle_of_the_text_is_an_interruption() -> None:
    """Text that had not ended was not abandoned; no warning."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.send("Hello")
    assert utterance.outcome == "interrupted"


async def test_leaving_never_masks_the_bodys_exception() -> None:
    """Even with warnings as errors, what was raised in the body comes out."""
    service = Service()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ZeroDivisionError):
            async with open_channel(service) as live:
                live.speak("Hello.")
                await settle()
                raise ZeroDivisionError


async def test_a_waiting_listener_learns_that_the_channel_was_left() -> None:
    """A listener that waits for an utterance which will never begin is not left waiting."""
    async with open_channel(Service()) as live:
        listener = await reading(live)
    with pytest.raises(StreamClosedError):
        await listener


async def test_closing_twice_is_harmless() -> None:
    """aclose() may be called again, and inside the block."""
    async with open_channel(Service()) as live:
        await live.aclose()
        await live.aclose()


async def test_a_channel_is_entered_once() -> None:
    """Neither while it is open nor after it was closed unused can it be entered."""
    service = Service()
    async with Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish:
        unused = fish.live()
        await unused.aclose()
        async with fish.live() as live:
            for channel in (live, unused):
                with pytest.raises(UsageError, match="once"):
                    await channel.__aenter__()


async def test_a_session_closes_its_channels() -> None:
    """Leaving the session leaves its channels."""
    service = Service()
    async with Session("key", base_url="http://127.0.0.1:9", transport=service.connect) as fish:
        live = await fish.live().__aenter__()
        await live.ready()
    await settle()
    assert service.peer.closed
    with pytest.raises(StreamClosedError):
        fish.live()


async def test_leaving_a_session_never_masks_the_bodys_exception() -> None:
    """Every channel is closed, and what was raised in the body comes out."""
    service = Service()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ZeroDivisionError):
            async with Session(
                "key", base_url="http://127.0.0.1:9", transport=service.connect
            ) as fish:
                channels = [await fish.live().__aenter__() for _ in range(3)]
                for live in channels:
                    live.speak("Hello.")
                await settle()
                raise ZeroDivisionError
    await settle()
    assert all(peer.closed for peer in service.peers)


async def test_a_channel_dropped_open_is_told() -> None:
    """Forgetting `async with` is a ResourceWarning."""
    service = Service()
    fish = Session("key", base_url="http://127.0.0.1:9", transport=service.connect)
    live: LiveTTS | None = await fish.live().__aenter__()
    assert live is not None
    await live.ready()
    line = live._line
    with pytest.warns(ResourceWarning, match="dropped open"):
        live = None
        gc.collect()
    assert line is not None
    await line.aclose()


async def test_another_loop_is_refused() -> None:
    """A channel belongs to the loop it was entered in; elsewhere it fails at once."""
    async with open_channel(Service()) as live:
        caught: list[BaseException] = []

        def elsewhere() -> None:
            async def use() -> None:
                live.speak("Hello.")

            try:
                asyncio.run(use())
            except WrongLoopError as error:
                caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(caught) == 1


async def test_a_forked_child_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process must not write to its parent's socket."""
    async with open_channel(Service()) as live:
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(ForkedProcessError):
            live.speak("Hello.")


async def test_the_numbers_of_the_newest_utterance() -> None:
    """`live.stats` is None before the first utterance, then the newest one's."""
    service = Service()
    async with open_channel(service) as live:
        assert live.stats is None
        utterance = live.speak("Hello.")
        await settle()
        service.peer.send(encode_audio(LOUD))
        await settle()
        assert live.stats is not None
        assert live.stats.audio_bytes == 2
        utterance.interrupt()
