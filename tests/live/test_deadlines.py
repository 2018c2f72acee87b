"""Deadlines of an utterance, exactly, on a virtual clock: what ends when, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fishlive.errors import (
    ConnectionLost,
    ConnectTimeout,
    FishLiveError,
    StallTimeout,
)
from fishlive.flow import watchdog
from fishlive.flow.watchdog import TICK_S, Deadlines
from fishlive.limits import BUFFER_HARD_BYTES, CONNECT_TIMEOUT_S, KIB, MIB
from fishlive.live.utterance import Utterance
from fishlive.transport.memory import MemoryRequest
from fishlive.wire.serving import encode_audio
from tests.conftest import settle
from tests.live.service import LOUD, SECOND, Service, kinds, open_channel, read, speak, texts
from tests.live.virtual import clock, virtual

UNOWED = Deadlines(first_audio_s=None, ping_every_s=None)


async def ending(utterance: Utterance) -> tuple[float, FishLiveError, list[bytes]]:
    """Read it; return when it failed, how, and what was heard before."""
    heard: list[bytes] = []
    with pytest.raises(FishLiveError) as caught:
        async for chunk in utterance:
            heard.append(chunk)
    return clock().time(), caught.value, heard


async def until(when_s: float) -> None:
    """Wait for an instant of the virtual clock."""
    await asyncio.sleep(max(0.0, when_s - clock().time()))


def phase(error: FishLiveError) -> str:
    """Return what stalled."""
    assert isinstance(error, StallTimeout)
    return error.phase


# The first audio


@pytest.mark.parametrize("timestamps", [False, True])
@pytest.mark.parametrize("flushed_at_s", [0.0, 3.1, 6.4, 7.77])
@virtual
async def test_the_first_audio_is_due_ten_seconds_after_the_flush(
    flushed_at_s: float, timestamps: bool
) -> None:
    """To the instant, on both endpoints; a service that answers pings is no excuse."""
    service = Service()
    async with open_channel(service, timestamps=timestamps) as live:
        await live.ready()
        await until(flushed_at_s)
        utterance = live.utterance()
        await utterance.send("Hello.")
        await utterance.flush()
        when_s, error, heard = await ending(utterance)

        assert (when_s, phase(error), heard) == (flushed_at_s + 10, "first_audio", [])
        assert error.attempts == 1
        assert error.trace_id == "trace-1"
        assert service.peers[0].closed
        assert service.peers[0].close_code is None  # cut, not closed: nobody would answer


@virtual
async def test_time_counts_from_the_wire_and_not_from_the_caller() -> None:
    """A connection that takes four seconds takes nothing from the service's ten."""
    service = Service(lambda request: clock().call_later(4, service.accept, request))
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        when_s, error, _ = await ending(utterance)
        assert (when_s, phase(error)) == (14.0, "first_audio")


@virtual
async def test_the_channels_own_deadlines_count() -> None:
    """``live(deadlines=...)`` reaches the watchdog."""
    service = Service()
    async with open_channel(service, deadlines=Deadlines(first_audio_s=2.5)) as live:
        when_s, error, _ = await ending(live.speak("Hello."))
        assert (when_s, phase(error)) == (2.5, "first_audio")
        assert str(error) == "the service owed audio for 2.5 s"


@virtual
async def test_an_llm_that_thinks_for_five_minutes_is_no_fault() -> None:
    """Before its first word, within a sentence, and after one that was spoken."""
    service = Service()

    async def llm() -> AsyncIterator[str]:
        await asyncio.sleep(300)
        yield "Let me"
        await asyncio.sleep(300)
        yield " think. "
        await asyncio.sleep(300)
        yield "Yes."

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(llm())
        heard = asyncio.create_task(read(utterance))
        await until(601)
        assert "f" in kinds(service.peer)  # the sentence was flushed, so audio is owed
        speak(service.peer, LOUD, finish=None)
        await until(901)
        speak(service.peer, LOUD)
        assert await heard == [LOUD, LOUD]
        assert clock().time() == 901
        assert len(service.peers) == 1


@pytest.mark.parametrize("text", ["...", "—", " \n", "?!"])
@virtual
async def test_text_without_a_letter_or_digit_owes_nothing_before_stop(text: str) -> None:
    """The service has no answer to it; only ``finish`` is due, once all was said."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send(text)
        await utterance.flush()
        failed = asyncio.create_task(ending(utterance))
        await until(120)
        assert utterance.error is None
        await utterance.end()
        when_s, error, _ = await failed
        assert (when_s, phase(error)) == (130.0, "first_audio")


@virtual
async def test_punctuation_behind_audio_owes_nothing() -> None:
    """What was said before the audio was answered by it."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send("Hello")
        await utterance.flush()
        failed = asyncio.create_task(ending(utterance))
        await until(1)
        speak(service.peer, LOUD, finish=None)
        await until(2)
        await utterance.send("...")
        await utterance.flush()
        await until(300)
        assert utterance.error is None
        await utterance.send("Ada")
        await utterance.flush()
        when_s, error, heard = await failed
        assert (when_s, phase(error), heard) == (310.0, "audio", [LOUD])


@pytest.mark.parametrize(
    ("letter", "chars", "owed"),
    [("e", 99, False), ("e", 100, True), ("é", 99, False), ("é", 100, True)],
)
@virtual
async def test_as_much_text_as_the_service_gathers_is_owed(
    letter: str, chars: int, owed: bool
) -> None:
    """From ``chunk_length`` characters on (100) it speaks without a flush."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send(letter * chars)  # characters count, of however many bytes
        failed = asyncio.create_task(ending(utterance))
        await until(10)
        assert utterance.error is None
        await until(200)
        if owed:
            when_s, error, _ = await failed
            assert phase(error) == "first_audio"
            assert 10 <= when_s <= 10 + TICK_S
        else:
            assert utterance.error is None
            utterance.interrupt()
            failed.cancel()
            await asyncio.wait([failed])


@virtual
async def test_a_chunk_of_punctuation_is_not_owed() -> None:
    """However long it is, it cannot be spoken."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send("." * 500)
        await until(100)
        assert utterance.error is None


@virtual
async def test_text_since_the_audio_is_what_counts_as_gathered() -> None:
    """60 characters, audio, and 60 more are no chunk of 100."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send("a" * 60)
        await until(1)
        speak(service.peer, LOUD, finish=None)
        await until(2)
        await utterance.send("a" * 60)
        await until(100)
        assert utterance.error is None
        await utterance.send("a" * 40)
        when_s, error, heard = await ending(utterance)
        assert (phase(error), heard) == ("audio", [LOUD])
        assert 110 <= when_s <= 110 + TICK_S


# Later audio, and the finish


@pytest.mark.parametrize("last_s", [1.0, 1.1, 6.4])
@virtual
async def test_a_stall_in_the_middle_is_seen_in_ten_seconds(last_s: float) -> None:
    """Within a tick; all that had come was heard, and the socket is cut."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        failed = asyncio.create_task(ending(live.speak("Hello.")))
        await until(last_s)
        speak(service.peers[0], LOUD, LOUD * 2, finish=None)
        when_s, error, heard = await failed

        assert last_s + 10 <= when_s <= last_s + 10 + TICK_S
        assert (phase(error), heard) == ("audio", [LOUD, LOUD * 2])
        assert error.audio_bytes == 6
        assert service.peers[0].closed


@virtual
async def test_after_stop_the_finish_is_owed_until_it_comes() -> None:
    """Audio alone, however regular, is no end; silence behind it is a stall."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak("Hello.")
        failed = asyncio.create_task(ending(utterance))
        for _ in range(6):
            await asyncio.sleep(9)
            speak(service.peers[0], LOUD, finish=None)
        when_s, error, heard = await failed
        assert 64 <= when_s <= 64 + TICK_S
        assert (phase(error), len(heard)) == ("audio", 6)


@virtual
async def test_a_drip_that_is_slow_enough_is_speech() -> None:
    """Each message is progress: an utterance may take an hour."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        heard = asyncio.create_task(read(live.speak("Hello.")))
        for _ in range(300):
            await asyncio.sleep(9.5)
            speak(service.peer, LOUD, finish=None)
        speak(service.peer)
        assert await heard == [LOUD] * 300


@virtual
async def test_audio_without_a_sound_is_progress() -> None:
    """Half a sample makes no chunk yet, and is progress."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        failed = asyncio.create_task(ending(live.speak("Hello.")))
        for at_s, audio in ((9, b"\x00"), (18, b"\x40"), (27, b"\x40")):
            await until(at_s)
            service.peers[0].send(encode_audio(audio))
        when_s, error, heard = await failed
        assert 37 <= when_s <= 37 + TICK_S
        assert (phase(error), heard) == ("audio", [LOUD])


@virtual
@pytest.mark.parametrize("timestamps", [False, True])
async def test_a_message_without_audio_is_no_progress(timestamps: bool) -> None:
    """The last alignment of a sentence does not answer for the next one."""
    service = Service()
    async with open_channel(service, timestamps=timestamps) as live:
        await live.ready()
        utterance = live.utterance()
        failed = asyncio.create_task(ending(utterance))
        await utterance.send("One.")
        await utterance.flush()
        service.peers[0].send(encode_audio(LOUD))
        await settle()
        await utterance.send(" Two.")
        await utterance.flush()
        flushed_s = clock().time()
        for later_s in (3, 6, 9):
            await until(flushed_s + later_s)
            service.peers[0].send(encode_audio(b""))
        when_s, error, heard = await failed
        assert flushed_s + 10 <= when_s <= flushed_s + 10 + TICK_S
        assert (phase(error), heard) == ("audio", [LOUD])


@virtual
async def test_nothing_is_left_of_the_deadlines_after_the_finish() -> None:
    """A channel that lies idle for half an hour has no watchdog."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        heard = asyncio.create_task(read(live.speak("Hello.")))
        await settle()
        speak(service.peer, LOUD)
        assert await heard == [LOUD]
        assert not clock().timers


# Sending


@virtual
async def test_a_service_that_takes_no_text_is_a_stall_in_ten_seconds() -> None:
    """The wire is full, pings included: it counts from the first text that waited."""
    service = Service()
    async with open_channel(service, deadlines=Deadlines(first_audio_s=None)) as live:
        await live.ready()
        await until(0.7)
        service.peers[0].pause_reading()
        utterance = live.utterance()
        failed = asyncio.create_task(ending(utterance))
        await settle()
        for _ in range(3):
            await utterance.send("a" * 40 * KIB)
            await settle()
        when_s, error, heard = await failed
        assert (phase(error), heard) == ("send", [])
        assert 10.7 <= when_s <= 10.7 + TICK_S


@virtual
async def test_a_service_that_takes_text_again_in_time_is_none() -> None:
    """Twice nine seconds are not eighteen."""
    service = Service()
    async with open_channel(service, deadlines=UNOWED) as live:
        await live.ready()
        utterance = live.utterance()
        reader = asyncio.create_task(read(utterance))
        await settle()
        for round_ in range(2):
            await until(20 * round_)
            service.peer.pause_reading()
            for _ in range(3):
                await utterance.send("a" * 40 * KIB)
                await settle()
            await asyncio.sleep(9.5)
            assert utterance.error is None
            service.peer.resume_reading()
            await settle(50)
        await until(60)
        assert utterance.error is None
        assert len("".join(texts(service.peer))) == 240 * KIB
        utterance.interrupt()
        assert await reader == []


# Pings


@virtual
async def test_a_half_open_connection_is_lost_in_fifteen_seconds() -> None:
    """Ten of silence, five for the pong, although nothing was owed."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        service.peers[0].answers_pings = False
        utterance = live.utterance()
        await utterance.send("Hello")
        when_s, error, heard = await ending(utterance)
        assert (when_s, type(error), heard) == (15.0, ConnectionLost, [])
        assert service.peers[0].closed


@virtual
async def test_a_peer_that_answers_pings_may_be_silent_while_nothing_is_owed() -> None:
    """Pongs are a sign of life, and none of progress."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await utterance.send("Hello")
        await until(600)
        assert utterance.error is None
        await utterance.flush()
        when_s, error, _ = await ending(utterance)
        assert (when_s, phase(error)) == (610.0, "first_audio")


@virtual
async def test_after_a_sleep_of_the_machine_a_dead_connection_is_known_in_three_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One ping, two seconds for the pong."""
    ahead_s = [0.0]
    monkeypatch.setattr(watchdog, "asleep_s", lambda: ahead_s[0])
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        service.peers[0].answers_pings = False
        utterance = live.utterance()
        await utterance.send("Hello")
        await until(5.1)
        ahead_s[0] += 8 * 3600
        when_s, error, _ = await ending(utterance)
        assert isinstance(error, ConnectionLost)
        assert 7.1 <= when_s <= 8.1


@virtual
async def test_after_a_sleep_of_the_machine_a_living_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the sleep nor the ping ends it."""
    ahead_s = [0.0]
    monkeypatch.setattr(watchdog, "asleep_s", lambda: ahead_s[0])
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        heard = asyncio.create_task(read(live.speak("Hello.")))
        await until(5.1)
        ahead_s[0] += 8 * 3600
        await until(9)
        speak(service.peer, LOUD)
        assert await heard == [LOUD]
        assert len(service.peers) == 1


# Paused, and blocked


@virtual
async def test_nothing_expires_while_reading_is_paused() -> None:
    """A listener that naps for five minutes over a full buffer loses nothing."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        peer = service.peer
        peer.answers_pings = False
        utterance = live.speak("Hello.")
        await settle()
        for _ in range(BUFFER_HARD_BYTES // MIB):
            peer.send(encode_audio(LOUD * (MIB // 2)))
        await settle(50)
        assert utterance.stats.pauses == 1
        await until(300)
        assert utterance.error is None
        speak(peer, LOUD)
        heard = await read(utterance)
        assert sum(map(len, heard)) == BUFFER_HARD_BYTES + len(LOUD)
        assert len(service.peers) == 1


@virtual
async def test_the_time_begins_anew_when_reading_goes_on() -> None:
    """What was owed before the nap is owed ten seconds from its end."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        peer = service.peer
        utterance = live.speak("Hello.")
        await settle()
        for _ in range(BUFFER_HARD_BYTES // MIB):
            peer.send(encode_audio(LOUD * (MIB // 2)))
        await until(100.1)
        when_s, error, heard = await ending(utterance)
        assert phase(error) == "audio"
        assert 110.1 <= when_s <= 110.1 + TICK_S
        assert sum(map(len, heard)) == BUFFER_HARD_BYTES


@virtual
async def test_a_blocked_loop_takes_what_arrived_before_it_judges() -> None:
    """The program computes for half a minute; the audio that came meanwhile came in time."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        heard = asyncio.create_task(read(live.speak("Hello.")))
        await until(5)
        clock().block(30)
        # The loop finds the socket readable in the turn in which its timers are late.
        clock().call_soon(lambda: clock().call_soon(speak, service.peer, SECOND))
        assert await heard == [SECOND]
        assert len(service.peers) == 1


@virtual
async def test_a_blocked_loop_does_not_hide_a_stall() -> None:
    """If nothing had arrived, the next look says so."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        failed = asyncio.create_task(ending(live.speak("Hello.")))
        await until(5)
        clock().block(30)
        when_s, error, _ = await failed
        assert phase(error) == "first_audio"
        assert 35 <= when_s <= 35 + 2 * TICK_S


# Connecting, and closing


@virtual
async def test_a_connection_has_five_seconds() -> None:
    """A service that accepts the bytes and says nothing is a ConnectTimeout."""
    service = Service(_ignore)
    async with open_channel(service) as live:
        when_s, error, heard = await ending(live.speak("Hello."))
        assert (when_s, type(error), heard) == (CONNECT_TIMEOUT_S, ConnectTimeout, [])


@virtual
async def test_a_close_has_one_second() -> None:
    """A peer that does not say goodbye is cut."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        service.peer.answers_close = False
    assert clock().time() == 1.0
    await settle()
    assert service.peer.closed


def _ignore(_request: MemoryRequest) -> Any:
    """Answer nothing."""
