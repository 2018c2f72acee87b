"""live/turn.py: how one utterance ends, and what its numbers say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgpack
import pytest

from fishlive.errors import (
    ConcurrencyLimitError,
    ConnectionLost,
    FishLiveError,
    InvalidRequestError,
    ProtocolError,
    ServerClosed,
    StreamInterrupted,
    SynthesisError,
)
from fishlive.limits import BUFFER_HARD_BYTES, BUFFER_HIGH_BYTES
from fishlive.transport.memory import MemoryPeer
from fishlive.wire.events import Segment
from fishlive.wire.serving import (
    encode_audio,
    encode_error,
    encode_finish,
    encode_timed_audio,
)
from tests.audio.test_ogg import opening, page
from tests.conftest import settle
from tests.live.service import (
    LOUD,
    SECOND,
    Service,
    kinds,
    open_channel,
    read,
    reading,
    speak,
    texts,
)
from tests.live.virtual import virtual


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        (lambda p: p.send(encode_finish("error", message="oom")), SynthesisError),
        (lambda p: p.send(encode_finish("timeout")), SynthesisError),
        (lambda p: p.send(msgpack.packb({"event": "finish"})), SynthesisError),
        (lambda p: p.send(encode_error("no such voice")), InvalidRequestError),
        (lambda p: p.send(encode_error("busy", max_concurrency=5)), ConcurrencyLimitError),
        (lambda p: p.send(encode_error("Concurrency limit exceeded")), ConcurrencyLimitError),
        (lambda p: p.close(1000), ServerClosed),
        (lambda p: p.close(1011, "restart"), ServerClosed),
        (lambda p: p.drop(), ConnectionLost),
        (lambda p: p.send(b"\xc1"), ProtocolError),
        (lambda p: p.send(msgpack.packb({"event": "audio", "audio": "text"})), ProtocolError),
    ],
)
async def test_only_finish_stop_is_success(
    ending: Callable[[MemoryPeer], None], error: type[FishLiveError]
) -> None:
    """Any other ending, a clean close included, is an error, at once, and the socket is cut."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        peer = service.peer
        ending(peer)
        with pytest.raises(error):
            await read(utterance)
        await settle()
        assert peer.closed
        assert utterance.outcome == "failed"


async def test_an_error_event_after_audio_is_a_failed_synthesis() -> None:
    """Once audio came, the request cannot have been wrong."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD, finish=None)
        service.peer.send(encode_error("backend gone"))
        with pytest.raises(SynthesisError, match="backend gone"):
            await read(utterance)


async def test_finish_before_all_text_was_sent_is_no_success() -> None:
    """The rest of the text would be lost without a word."""
    service = Service()
    async with open_channel(service) as live, live.utterance() as utterance:
        await utterance.send("Hello")
        await settle()
        speak(service.peer, LOUD)
        with pytest.raises(StreamInterrupted, match="before all text"):
            await read(utterance)


async def test_chunks_of_pcm_are_whole_samples() -> None:
    """An odd byte waits for the next chunk, however the service cuts."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        audio = bytes(range(64, 76))
        speak(service.peer, audio[:3], audio[3:4], audio[4:5], b"", audio[5:])
        chunks = await read(utterance)

        assert all(chunk and len(chunk) % 2 == 0 for chunk in chunks)
        assert b"".join(chunks) == audio
        assert utterance.stats.messages == 5
        assert utterance.stats.audio_bytes == 12


async def test_pcm_that_ends_in_half_a_sample_is_a_protocol_error() -> None:
    """The byte that is left over cannot be played, and something was lost."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD, b"\x01")
        heard = []
        with pytest.raises(ProtocolError, match="odd byte"):
            async for chunk in utterance:
                heard.append(chunk)
        assert heard == [LOUD]


async def test_other_formats_keep_their_bytes() -> None:
    """Encoded audio is handed on as it came, odd sizes and all."""
    service = Service()
    async with open_channel(service, format="mp3") as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, b"abc", b"d")

        assert await read(utterance) == [b"abc", b"d"]


async def test_a_socket_that_stays_open_is_used_again() -> None:
    """After finish the next start goes out on the same connection."""
    service = Service()
    async with open_channel(service) as live:
        for number in (1, 2, 3):
            utterance = live.speak(f"Turn {number}.")
            await settle()
            speak(service.peer, LOUD * number)
            assert await read(utterance) == [LOUD * number]
            assert utterance.stats.socket_reused == (number > 1)

        assert len(service.peers) == 1
        assert kinds(service.peer) == "stSstSstS"


async def test_a_socket_that_is_closed_after_finish_is_replaced_at_once() -> None:
    """The next utterance finds another connection, opened in the background."""
    service = Service()
    async with open_channel(service) as live:
        for number in (1, 2, 3):
            utterance = live.speak(f"Turn {number}.")
            await settle()
            speak(service.peer, LOUD)
            service.peer.close(1000)
            assert await read(utterance) == [LOUD]
            await settle()
            assert len(service.peers) == number + 1
            assert not utterance.stats.socket_reused


ENDINGS: list[Callable[[MemoryPeer], None]] = [
    lambda peer: peer.close(1000),
    lambda peer: peer.close(1008, "one start only"),
    lambda peer: peer.drop(),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=["close", "refusal", "loss"])
@pytest.mark.parametrize("when", ["before start", "after start"])
async def test_a_reused_socket_that_closes_is_replayed_once(
    ending: Callable[[MemoryPeer], None], when: str
) -> None:
    """Reuse was a guess; when it was wrong, the text goes out again on a fresh connection."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        speak(service.peer, LOUD)
        await read(first)
        old = service.peer
        if when == "before start":
            ending(old)
            second = live.speak("Two.")
        else:
            second = live.speak("Two.")
            await settle()
            assert kinds(old).endswith("stS")
            ending(old)
        await settle()
        assert service.peer is not old
        assert kinds(service.peer) == "stS"
        assert texts(service.peer) == ["Two."]
        speak(service.peer, LOUD * 2)

        assert await read(second) == [LOUD * 2]


async def test_a_second_start_that_is_refused_is_replayed_once() -> None:
    """A service may say no to another start on the same socket; a fresh one decides."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        speak(service.peer, LOUD)
        await read(first)
        second = live.speak("Two.")
        await settle()
        service.peer.send(encode_error("session already started"))
        await settle()
        assert texts(service.peer) == ["Two."]
        service.peer.send(encode_error("session already started"))
        with pytest.raises(InvalidRequestError, match="already started"):
            await read(second)


async def test_a_concurrency_refusal_is_not_replayed() -> None:
    """More requests are the last thing a full account needs."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        speak(service.peer, LOUD)
        await read(first)
        second = live.speak("Two.")
        await settle()
        service.peer.send(encode_error("busy", max_concurrency=5))
        with pytest.raises(ConcurrencyLimitError):
            await read(second)
        assert len([peer for peer in service.peers if "Two." in texts(peer)]) == 1


async def test_a_replay_carries_text_that_was_still_coming() -> None:
    """What was sent is repeated, what comes later follows it, in order."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        speak(service.peer, LOUD)
        await read(first)
        second = live.utterance()
        await second.send("Two ")
        await settle()
        service.peer.drop()
        await second.send("and ")
        await settle()
        await second.send("three.")
        await second.end()
        await settle()
        assert "".join(texts(service.peer)) == "Two and three."
        speak(service.peer, LOUD)
        assert await read(second) == [LOUD]


async def test_a_fresh_socket_that_closes_is_not_replayed() -> None:
    """That is a failure, and not a wrong guess."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("One.")
        await settle()
        service.peer.close(1000)
        with pytest.raises(ServerClosed):
            await read(utterance)


async def test_a_replay_happens_once() -> None:
    """The second connection is a fresh one: its failure is a failure."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        speak(service.peer, LOUD)
        await read(first)
        second = live.speak("Two.")
        await settle()
        service.peer.drop()
        await settle()
        service.peer.drop()
        with pytest.raises(ConnectionLost):
            await read(second)


async def test_nothing_is_replayed_once_audio_came() -> None:
    """What was heard is never said twice."""
    service = Service()
    async with open_channel(service) as live:
        first = live.speak("One.")
        await settle()
        speak(service.peer, LOUD)
        await read(first)
        second = live.speak("Two.")
        await settle()
        speak(service.peer, LOUD, finish=None)
        await settle()
        service.peer.drop()
        with pytest.raises(ConnectionLost):
            await read(second)
        assert len([peer for peer in service.peers if "Two." in texts(peer)]) == 1


async def test_a_socket_lost_while_nothing_was_said_is_replaced() -> None:
    """An idle service may hang up while the LLM thinks; the first word finds another socket."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.utterance()
        await settle()
        service.peer.close(1001, "idle")
        await settle()
        await utterance.send("Hello.")
        await utterance.end()
        await settle()
        speak(service.peer, LOUD)

        assert await read(utterance) == [LOUD]
        assert len(service.peers) == 2


async def test_a_socket_lost_behind_a_flush_of_nothing_is_replaced() -> None:
    """It was asked for, but not spoken over: an attempt that never began cannot fail."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.flush()
        await settle()
        service.peer.drop()
        await settle()
        await utterance.send("Hello.")
        await utterance.end()
        await settle()
        speak(service.peer, LOUD)

        assert await read(utterance) == [LOUD]


async def test_words_are_on_the_utterances_clock() -> None:
    """Snapshots replace, chunks add up, offsets are counted in; null erases nothing."""

    def timed(seq: int, offset: float, words: list[Segment] | None, audio: bytes = LOUD) -> bytes:
        return encode_timed_audio(
            audio,
            chunk_seq=seq,
            chunk_audio_offset_s=offset,
            content="",
            alignment=None if words is None else (words, 1.0),
        )

    service = Service()
    async with open_channel(service, timestamps=True) as live:
        utterance = live.speak("Hello there. Bye.")
        await settle()
        peer = service.peer
        assert peer.target.url.endswith("/v1/tts/live/with-timestamp")
        peer.send(timed(0, 0.0, [Segment("Hello", 0.0, 0.4)]))
        peer.send(timed(0, 0.0, [Segment("Hello", 0.0, 0.5), Segment("there", 0.5, 1.0)]))
        peer.send(timed(1, 1.0, None))
        peer.send(timed(1, 1.0, [Segment("Bye", 0.25, 0.75)], audio=b""))
        peer.send(encode_finish())
        chunks = await read(utterance)

        assert chunks == [LOUD] * 3
        assert utterance.words == (("Hello", 0.0, 0.5), ("there", 0.5, 1.0), ("Bye", 1.25, 1.75))


async def test_a_full_buffer_stops_text_first_and_then_the_socket() -> None:
    """Above high no text is sent; above hard the socket is paused; reading lifts both."""
    service = Service()
    async with open_channel(service, credit_s=None) as live, live.utterance() as utterance:
        await utterance.send("One. ")
        await settle()
        peer = service.peer
        half = bytes(BUFFER_HIGH_BYTES // 2)
        speak(peer, half, half, finish=None)
        await settle()
        await utterance.send("Two. ")
        await settle()
        assert texts(peer) == ["One. "]
        for _ in range(2 + BUFFER_HARD_BYTES // len(half)):
            peer.send(encode_audio(half))
        await settle()
        assert utterance.stats.pauses == 1
        assert utterance.stats.peak_buffer_bytes < BUFFER_HARD_BYTES + 2 * len(half)

        listener = aiter(utterance)
        for _ in range(4 + BUFFER_HARD_BYTES // len(half)):
            await anext(listener)
            await settle(2)
        await settle()
        assert texts(peer) == ["One. ", "Two. "]
        assert utterance.stats.text_wait_s > 0
        utterance.interrupt()


async def test_credit_stops_text_ahead_of_what_was_read() -> None:
    """Ten seconds of audio nobody has read hold the text back."""
    service = Service()
    async with open_channel(service, credit_s=10.0) as live, live.utterance() as utterance:
        await utterance.send("One. ")
        await settle()
        speak(service.peer, *[SECOND] * 11, finish=None)
        await settle()
        await utterance.send("Two. ")
        await settle()
        assert texts(service.peer) == ["One. "]
        listener = aiter(utterance)
        for _ in range(5):
            await anext(listener)
        await settle()
        assert texts(service.peer) == ["One. ", "Two. "]
        utterance.interrupt()


async def test_credit_follows_the_marks_once_there_are_any() -> None:
    """After a mark it is playing, not reading, that lets text flow."""
    service = Service()
    async with open_channel(service, credit_s=10.0) as live, live.utterance() as utterance:
        await utterance.send("One. ")
        await settle()
        speak(service.peer, *[SECOND] * 12, finish=None)
        utterance.mark_played(0.0)
        listener = aiter(utterance)
        for _ in range(12):
            await anext(listener)
        await utterance.send("Two. ")
        await settle()
        assert texts(service.peer) == ["One. "]
        utterance.mark_played(3.0)
        await settle()
        assert texts(service.peer) == ["One. ", "Two. "]
        utterance.interrupt()


async def test_the_numbers_of_an_utterance() -> None:
    """Every number of the statistics is what happened."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Grüße.")
        await settle()
        silence = bytes(len(SECOND) // 2)
        speak(service.peer, silence, SECOND)
        await read(utterance)
        stats = utterance.stats

        assert stats.outcome == "finished"
        assert (stats.audio_s, stats.messages) == (1.5, 2)
        assert stats.audio_bytes == len(silence) + len(SECOND)
        assert stats.text_utf8_bytes == len("Grüße.".encode())
        assert stats.leading_silence_s == pytest.approx(0.5)
        assert stats.connect_s is not None
        assert stats.first_text_s is not None
        assert stats.first_audio_s is not None
        assert 0 <= stats.first_text_s <= stats.wall_s
        assert (stats.pauses, stats.socket_reused) == (0, False)
        assert stats.peak_buffer_bytes > stats.audio_bytes
        assert utterance.stats == stats  # the clock of a finished utterance stands still


async def test_text_that_is_written_at_once_waits_for_nothing() -> None:
    """Its waiting time is none."""
    service = Service()
    async with open_channel(service) as live, live.utterance() as utterance:
        await utterance.send("Hello.")
        await settle()
        assert texts(service.peer) == ["Hello."]
        assert utterance.stats.text_wait_s == 0.0
        utterance.interrupt()


@virtual
async def test_the_wall_clock_of_an_utterance_runs_from_its_beginning_to_its_end() -> None:
    """Neither what came before it counts, nor what comes after it."""
    service = Service()
    async with open_channel(service) as live:
        await asyncio.sleep(100.0)
        utterance = live.speak("Hello.")
        await asyncio.sleep(2.0)
        assert utterance.stats.wall_s == pytest.approx(2.0)
        speak(service.peer, LOUD)
        await read(utterance)
        await asyncio.sleep(100.0)
        assert utterance.stats.wall_s == pytest.approx(2.0, abs=0.1)


async def test_opus_is_as_long_as_its_pages_say() -> None:
    """By size it would be a guess: every message is looked into, however small."""
    service = Service()
    async with open_channel(service, format="opus", sample_rate=None) as live:
        utterance = live.speak("Hello.")
        await settle()
        stream = opening() + page(48_000) + page(96_000 + 312)
        speak(service.peer, stream[:200], stream[200:700], stream[700:])
        await read(utterance)
        assert utterance.stats.audio_s == pytest.approx(2.0)


async def test_first_audio_counts_from_text_that_can_be_spoken() -> None:
    """White space and punctuation start no clock."""
    service = Service()
    async with open_channel(service) as live, live.utterance() as utterance:
        await utterance.send(" ... ")
        await settle()
        assert utterance.stats.first_text_s is None
        await utterance.send("word")
        await settle()
        assert utterance.stats.first_text_s is not None
        utterance.interrupt()


async def test_a_slow_listener_does_not_hold_up_the_wire() -> None:
    """The socket is read while nobody listens, so that pings are answered."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, *[LOUD] * 100)
        await settle(200)
        assert utterance.stats.messages == 100
        assert len(await read(utterance)) == 100


async def test_messages_of_one_turn_of_the_loop_are_joined() -> None:
    """Tokens that come without a pause leave in one message, with the stop right behind."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak([f"token{number} " for number in range(100)], flush="never")
        await settle()
        assert kinds(service.peer) == "stS"
        utterance.interrupt()


async def test_text_that_comes_slowly_leaves_at_once() -> None:
    """No timer holds text back to join it."""
    service = Service()
    async with open_channel(service) as live, live.utterance() as utterance:
        await live.ready()
        for number in range(5):
            await utterance.send(f"{number} ")
            await settle(3)
            assert texts(service.peer)[-1] == f"{number} "
        utterance.interrupt()


async def test_long_text_is_cut_into_events() -> None:
    """No text event is longer than the limit; together they are the text."""
    from fishlive.limits import MAX_TEXT_EVENT_CHARS

    text = "Grüße. " * 10_000
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak(text, flush="never")
        await reading(utterance)
        await settle(100)
        assert "".join(texts(service.peer)) == text
        assert max(map(len, texts(service.peer))) <= MAX_TEXT_EVENT_CHARS
        utterance.interrupt()


async def test_finished_utterances_leave_nothing_behind() -> None:
    """A thousand turns on one channel: one connection, no task but the test's."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        for _ in range(1000):
            utterance = live.speak("Hello.")
            await settle(3)
            speak(service.peer, LOUD)
            assert await read(utterance) == [LOUD]
        await settle()
        assert len(service.peers) == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_socket_that_was_paused_reads_for_the_next_utterance() -> None:
    """The end may come in the batch that filled the buffer; the socket is not kept paused."""
    service = Service()
    async with open_channel(service, credit_s=None) as live:
        first = live.speak("One.")
        await settle()
        half = bytes(BUFFER_HIGH_BYTES // 2)
        for _ in range(BUFFER_HARD_BYTES // len(half)):
            service.peer.send(encode_audio(half))
        await settle()
        assert first.stats.pauses == 1
        first._turn._leg.on_message(
            encode_finish("stop")
        )  # a batch is delivered whole, paused or not
        second = live.speak("Two.")
        await settle()
        speak(service.peer, LOUD)
        assert (await read(second))[-1] == LOUD
