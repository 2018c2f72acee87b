"""live/utterance.py: what a listener and a producer see of one utterance."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import warnings

import pytest

from fishlive.errors import (
    ConcurrentIterationError,
    ConfigError,
    ConnectionLost,
    FishLiveError,
    InvalidTextError,
    StreamClosedError,
    UsageError,
    UtteranceInterrupted,
)
from fishlive.limits import TEXT_QUEUE_BYTES
from fishlive.live.stats import Outcome
from fishlive.transport.memory import MemoryPeer, MemoryRequest
from fishlive.wire.serving import encode_audio, encode_error, encode_finish
from tests.conftest import settle
from tests.live.service import (
    KEY,
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


async def test_audio_comes_in_order_and_once() -> None:
    """Chunks are handed out as they came, then the iterator ends, finished."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD, LOUD * 2, LOUD * 3)

        assert await read(utterance) == [LOUD, LOUD * 2, LOUD * 3]
        assert utterance.outcome == "finished"
        assert utterance.error is None


async def test_by_hand_from_two_tasks() -> None:
    """One task sends, flushes and ends while another one reads."""
    service = Service()
    async with open_channel(service) as live, live.utterance() as u:
        reader = await reading(u)
        await u.send("Hello, ")
        await u.flush()
        await settle()
        assert kinds(service.peer) == "stf"
        service.peer.send(encode_audio(LOUD))
        await u.send("world.")
        await u.end()
        await settle()
        assert kinds(service.peer) == "stftS"
        speak(service.peer, LOUD)

        assert await reader == [LOUD, LOUD]


async def test_it_is_running_until_its_audio_was_read() -> None:
    """Finish on the wire is not the end for a listener who has not heard it."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD)
        await settle()
        assert utterance.outcome == Outcome.RUNNING
        await read(utterance)
        assert utterance.outcome == Outcome.FINISHED


async def test_interrupting_ends_the_iterator_without_an_error() -> None:
    """The listener's loop just ends; what was queued is gone."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        reader = await reading(utterance)
        service.peer.send(encode_audio(LOUD))
        await settle()
        utterance.interrupt()

        assert await reader == [LOUD]
        assert utterance.outcome == "interrupted"


async def test_interrupting_a_fully_received_utterance_drops_what_was_not_read() -> None:
    """Synthesis is faster than speech, so that most interruptions come after `finish`."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, SECOND, SECOND, SECOND)
        await settle()
        listener = aiter(utterance)
        await anext(listener)
        what = utterance.interrupt()

        assert (what.played_s, what.basis, what.confidence) == (1.0, "consumed", 0.5 * 0.7)
        assert (what.read_bytes, what.dropped_bytes) == (len(SECOND), 2 * len(SECOND))
        assert what.heard_text + what.unheard_text == "Hello."
        with pytest.raises(StopAsyncIteration):
            await anext(listener)
        assert utterance.outcome == "interrupted"


async def test_interrupting_twice_gives_the_same_answer() -> None:
    """The second interruption changes nothing."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        first = utterance.interrupt(played_s=0.25)

        assert (first.played_s, first.basis, first.confidence) == (0.25, "marked", 1.0)
        assert utterance.interrupt(played_s=9.0) is first


async def test_interrupting_never_raises() -> None:
    """Nonsense for the playing time is ignored, as is an utterance that is over."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        assert utterance.interrupt(played_s=10**400).basis == "consumed"
        assert utterance.interrupt(played_s=-3.0).basis == "consumed"
        finished = live.speak("")
        await read(finished)
        assert finished.interrupt().read_bytes == 0
        assert finished.outcome == "finished"


@pytest.mark.parametrize("call", ["send", "flush", "end"])
async def test_text_after_an_interruption_is_refused(call: str) -> None:
    """A producer learns that it should stop."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.send("Hello")
        utterance.interrupt()
        with pytest.raises(UtteranceInterrupted):
            await getattr(utterance, call)(*(["more"] if call == "send" else []))


@pytest.mark.parametrize("call", ["send", "flush", "end"])
async def test_text_after_a_failure_is_refused_with_its_cause(call: str) -> None:
    """A producer learns that the utterance failed, and why."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.send("Hello")
        await settle()
        service.peer.drop()
        await settle()
        with pytest.raises(StreamClosedError) as caught:
            await getattr(utterance, call)(*(["more"] if call == "send" else []))
        assert caught.value.__cause__ is utterance.error


async def test_text_after_the_end_of_the_text_is_a_usage_error() -> None:
    """The text ends once."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.send("Hello")
        await utterance.end()
        with pytest.raises(UsageError, match="ended"):
            await utterance.send("more")
        utterance.interrupt()


async def test_two_tasks_cannot_read_one_utterance() -> None:
    """The second is refused; the first hears everything."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        first = await reading(utterance)
        with pytest.raises(ConcurrentIterationError):
            await read(utterance)
        speak(service.peer, LOUD)

        assert await first == [LOUD]


async def test_the_second_reader_is_refused_although_chunks_are_ready() -> None:
    """It is refused where it begins, not only where it would wait."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD, LOUD)
        await settle()
        first = aiter(utterance)
        with pytest.raises(ConcurrentIterationError):
            aiter(utterance)

        assert await anext(first) == LOUD
        utterance.interrupt()


async def test_an_utterance_is_read_once() -> None:
    """Reading it again is a mistake that is told, not an empty stream."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD)
        await read(utterance)
        with pytest.raises(UsageError, match="read once"):
            await read(utterance)


async def test_break_interrupts_at_once() -> None:
    """Leaving the loop is an interruption: the socket is cut, another one is opened."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD, LOUD, finish=None)
        async for _ in utterance:
            break

        assert utterance.outcome == "interrupted"
        await settle()
        assert service.peers[0].closed
        assert len(service.peers) == 2


async def test_a_thousand_breaks_leave_nothing() -> None:
    """After a break, a thousand times: no task, no open connection, no cancellation."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        tasks = asyncio.all_tasks()
        for _ in range(1000):
            utterance = live.speak("Hello.")
            await settle(3)
            speak(service.peer, LOUD, LOUD, finish=None)
            async for _ in utterance:
                break
            await settle(3)
        await settle()
        current = asyncio.current_task()

        assert current is not None
        assert getattr(current, "cancelling", lambda: 0)() == 0
        assert asyncio.all_tasks() == tasks
        assert [peer.closed for peer in service.peers].count(False) <= 1


async def test_a_dropped_utterance_is_interrupted() -> None:
    """Nobody holds it, so nobody wants it."""
    service = Service()
    async with open_channel(service) as live:
        live.utterance()  # dropped at once
        utterance = live.utterance()
        await utterance.send("Hello")
        await settle()
        peer = service.peer
        del utterance
        gc.collect()
        await settle()

        assert peer.closed


async def test_an_utterance_dropped_in_another_thread_is_interrupted_in_its_loop() -> None:
    """A finaliser may run anywhere; the socket is only touched in the loop."""
    service = Service()
    async with open_channel(service) as live:
        held = [live.utterance()]
        await held[0].send("Hello")
        await settle()
        peer = service.peer
        thread = threading.Thread(target=held.clear)
        thread.start()
        await asyncio.to_thread(thread.join)
        await settle()

        assert peer.closed


async def test_closing_it_interrupts_it() -> None:
    """aclose() ends an unfinished utterance, and leaves a finished one alone."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await utterance.aclose()
        assert utterance.outcome == "interrupted"
        finished = live.speak("")
        await read(finished)
        await finished.aclose()
        assert finished.outcome == "finished"


async def test_leaving_its_block_unread_is_told() -> None:
    """The text was paid for, so that dropping its audio is worth a warning."""
    service = Service()
    async with open_channel(service) as live:
        with pytest.warns(ResourceWarning, match="not read"):
            async with live.utterance() as utterance:
                await utterance.send("Hello")
                await utterance.end()
        assert utterance.outcome == "abandoned"


async def test_leaving_its_block_in_the_middle_of_the_text_is_an_interruption() -> None:
    """Text that had not ended was not abandoned: it was interrupted."""
    service = Service()
    async with open_channel(service) as live:
        async with live.utterance() as utterance:
            await utterance.send("Hello")
        assert utterance.outcome == "interrupted"


async def test_an_error_in_its_block_is_not_masked() -> None:
    """The warning about unread audio never replaces what went wrong."""
    service = Service()
    async with open_channel(service) as live:
        with pytest.raises(ZeroDivisionError), warnings.catch_warnings():
            warnings.simplefilter("error")
            async with live.utterance() as utterance:
                await utterance.send("Hello")
                await utterance.end()
                raise ZeroDivisionError


async def test_what_arrived_is_heard_before_the_failure() -> None:
    """The error is known at once, and raised behind the audio that came before it."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        speak(service.peer, LOUD, LOUD, finish=None)
        service.peer.drop()
        await settle()
        assert isinstance(utterance.error, ConnectionLost)
        assert utterance.outcome == "failed"
        heard = []
        with pytest.raises(ConnectionLost) as caught:
            async for chunk in utterance:
                heard.append(chunk)

        assert heard == [LOUD, LOUD]
        assert (caught.value.audio_bytes, caught.value.trace_id) == (4, "trace-1")


@pytest.mark.parametrize("raw", ["\udce9", "a\x1b[31mb", "x" * 8000])
async def test_a_trace_id_that_cannot_be_shown_hides_no_failure(raw: str) -> None:
    """A header holds any byte: what is no text becomes a space, and the utterance still ends."""
    service = Service(answer=lambda request: service.peers.append(accepted(request, raw)))
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        service.peer.drop()
        with pytest.raises(ConnectionLost) as caught:
            await read(utterance)
        trace_id = caught.value.trace_id
        assert trace_id is None or (trace_id.isprintable() and len(trace_id) <= 512)
        assert live._line is not None
        assert live._line._lent is None


def accepted(request: MemoryRequest, trace_id: str) -> MemoryPeer:
    """Open the WebSocket that was asked for, with a trace id."""
    return request.accept({"X-Fish-Trace-Id": trace_id})


async def test_cancelling_a_read_loses_nothing() -> None:
    """A reader that timed out reads on."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        await settle()
        listener = aiter(utterance)
        waiting = asyncio.ensure_future(anext(listener))
        await settle()
        waiting.cancel()
        await settle()
        speak(service.peer, LOUD)

        assert [chunk async for chunk in listener] == [LOUD]


async def test_send_waits_for_room_only() -> None:
    """A full text queue lets a producer wait while somebody reads."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live, live.utterance() as u:
        reader = await reading(u)
        await u.send("x" * (TEXT_QUEUE_BYTES - 1))
        waiting = asyncio.create_task(u.send("y"))
        await settle()
        assert not waiting.done()
        service.accept(service.requests[0])
        await waiting
        await settle()
        assert "".join(texts(service.peer)) == "x" * (TEXT_QUEUE_BYTES - 1) + "y"
        u.interrupt()
        await reader


async def test_send_refuses_to_wait_for_ever() -> None:
    """If nobody reads, waiting would never end; the error says what to do, and adds nothing."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.send("x" * TEXT_QUEUE_BYTES)
        with pytest.raises(UsageError, match="read the audio in another task"):
            await utterance.send("y")
        await settle()
        service.accept(service.requests[0])
        await settle()
        assert "".join(texts(service.peer)) == "x" * TEXT_QUEUE_BYTES
        utterance.interrupt()


async def test_a_cancelled_send_counts_as_sent() -> None:
    """Its text stays queued, in order."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live, live.utterance() as u:
        reader = await reading(u)
        waiting = asyncio.create_task(u.send("x" * TEXT_QUEUE_BYTES))
        await settle()
        waiting.cancel()
        await settle()
        service.accept(service.requests[0])
        await u.send("y")
        await settle()
        assert "".join(texts(service.peer)) == "x" * TEXT_QUEUE_BYTES + "y"
        u.interrupt()
        await reader


async def test_an_interruption_wakes_a_waiting_producer() -> None:
    """A producer that waits for room goes on, and is told with its next text."""
    service = Service(answer=lambda request: None)
    async with open_channel(service) as live, live.utterance() as u:
        reader = await reading(u)
        waiting = asyncio.create_task(u.send("x" * TEXT_QUEUE_BYTES))
        await settle()
        u.interrupt()
        await waiting
        with pytest.raises(UtteranceInterrupted):
            await u.send("y")
        assert await reader == []


@pytest.mark.parametrize("item", [1, None, b"bytes", ["list"]])
async def test_what_is_not_text_is_refused(item: object) -> None:
    """The error is a TypeError and a ConfigError; nothing was sent."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        with pytest.raises(InvalidTextError) as caught:
            await utterance.send(item)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, ConfigError)
        await settle()
        assert service.peer.messages == []


async def test_half_a_surrogate_pair_is_refused() -> None:
    """UTF-8 cannot hold it, and so neither can the wire."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        with pytest.raises(InvalidTextError, match="surrogate"):
            await utterance.send("\ud83d")


async def test_the_empty_string_is_nothing() -> None:
    """Empty text is never sent, and begins nothing."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.send("")
        await settle()
        assert service.peer.messages == []


async def test_a_bare_flush_is_never_sent() -> None:
    """A flush without text since the last one is nothing, before the start and after it."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        await utterance.flush()
        await utterance.send("Hello")
        await utterance.flush()
        await utterance.flush()
        await settle()
        assert kinds(service.peer) == "stf"


async def test_an_utterance_without_text_finishes_by_itself() -> None:
    """There is nothing to ask the service for, so nothing is asked."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak("")
        assert await read(utterance) == []
        assert utterance.outcome == "finished"
        await settle()
        assert service.peer.messages == []


@pytest.mark.parametrize("where", ["upgrade", "event", "finish", "close"])
async def test_a_key_that_the_service_repeats_is_not_repeated(where: str) -> None:
    """Some services quote what they did not like, and errors are printed."""
    sentence = f"no such key: {KEY}"

    def answer(request: MemoryRequest) -> None:
        if where == "upgrade":
            request.refuse(401, body=json.dumps({"message": sentence}).encode())
            return
        peer = service.accept(request)
        if where == "event":
            peer.send(encode_error(sentence))
        elif where == "close":
            peer.close(1008, sentence)

    service = Service(answer)
    async with open_channel(service) as live:
        utterance = live.speak("Hello.")
        task = asyncio.create_task(read(utterance))
        await settle()
        if where == "finish":
            service.peer.send(encode_finish("error", message=sentence))
        with pytest.raises(FishLiveError) as caught:
            await task
    assert KEY not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert "•••" in str(caught.value)
