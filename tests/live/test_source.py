"""live/source.py: text sources that raise, stall, yield rubbish, block, or are interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from fishlive.errors import ConfigError, InvalidTextError, UsageError
from fishlive.limits import TEXT_QUEUE_BYTES
from fishlive.transport.memory import WRITE_HIGH_BYTES, MemorySocket
from tests.conftest import settle, threads
from tests.live.service import LOUD, Service, kinds, open_channel, read, reading, speak, texts


class Boom(Exception):
    """What a text source raises here."""


async def tokens(*words: str) -> AsyncIterator[str]:
    """Yield words, each in a turn of the loop of its own."""
    for word in words:
        await asyncio.sleep(0)
        yield word


@pytest.mark.parametrize(
    "source",
    [
        "Hello, world.",
        ["Hello, ", "world."],
        ("Hello, ", "world."),
        tokens("Hello, ", "world."),
        iter(["Hello, ", "world."]),
    ],
    ids=["str", "list", "tuple", "async", "iterator"],
)
async def test_every_kind_of_source_is_spoken(source: object) -> None:
    """Text, sequences, iterators and async iterators all end in the same text, then stop."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak(source)  # type: ignore[arg-type]  # one of each
        listener = await reading(utterance)
        while "S" not in kinds(service.peer):
            await asyncio.sleep(0)
        speak(service.peer, LOUD)

        assert await listener == [LOUD]
        assert "".join(texts(service.peer)) == "Hello, world."


async def test_the_sources_own_exception_is_raised_behind_the_audio() -> None:
    """What arrived is heard; then the very object the source raised comes out."""
    service = Service()
    boom = Boom()
    go = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "Hello. And"
        await go.wait()
        raise boom

    async with open_channel(service) as live:
        utterance = live.speak(source())
        await settle()
        speak(service.peer, LOUD, finish=None)
        await settle()
        peer = service.peer
        go.set()
        await settle()
        assert utterance.error is boom
        assert peer.closed
        heard = []
        with pytest.raises(Boom) as caught:
            async for chunk in utterance:
                heard.append(chunk)
        assert caught.value is boom
        assert heard == [LOUD]
        assert utterance.outcome == "failed"


@pytest.mark.parametrize("after", [0, 1])
async def test_a_blocking_source_that_raises_is_the_same(after: int) -> None:
    """An exception from the thread is the same object in the listener."""
    service = Service()
    boom = Boom()

    def source() -> Iterator[str]:
        for _ in range(after):
            yield "Hello. "
        raise boom

    async with open_channel(service) as live:
        with pytest.raises(Boom) as caught:
            await read(live.speak(source()))
        assert caught.value is boom


async def test_a_source_that_cancels_itself_is_an_error() -> None:
    """A cancellation of the source is not taken for one of ours."""

    async def source() -> AsyncIterator[str]:
        yield "Hello."
        raise asyncio.CancelledError

    async with open_channel(Service()) as live:
        with pytest.raises(UsageError, match="cancelled"):
            await read(live.speak(source()))


@pytest.mark.parametrize("rubbish", [1, None, b"bytes", object()])
async def test_rubbish_is_refused_with_its_index(rubbish: object) -> None:
    """The error says which item it was and what it was, not what it said."""

    async def source() -> AsyncIterator[object]:
        yield "Hello."
        yield " "
        yield rubbish

    async with open_channel(Service()) as live:
        with pytest.raises(InvalidTextError, match="item 2 of the text source") as caught:
            await read(live.speak(source()))
        assert caught.value.index == 2


async def test_a_stalled_source_is_not_a_fault() -> None:
    """While the source is silent the channel just waits, and an interruption closes it."""
    closed = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "Hello. "
            await asyncio.Event().wait()
        finally:
            closed.append("source")

    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak(source())
        listener = await reading(utterance)
        await settle(200)
        assert utterance.outcome == "running"
        live.interrupt()
        assert await listener == []
        await settle()
        assert closed == ["source"]


@pytest.mark.parametrize("way", ["interrupt", "aclose", "next", "leave", "break"])
async def test_every_way_to_stop_closes_the_source(way: str) -> None:
    """Interrupting, closing, speaking on, leaving and breaking all close the text source."""
    closed = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            while True:
                yield "Hello. "
                await asyncio.sleep(0)
        finally:
            closed.set()

    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak(source())
        await settle()
        if way == "interrupt":
            live.interrupt()
        elif way == "aclose":
            await utterance.aclose()
            assert closed.is_set()
        elif way == "next":
            live.speak("Next.").interrupt()
        elif way == "break":
            speak(service.peer, LOUD, LOUD, finish=None)
            async for _ in utterance:
                break
        if way != "leave":
            await closed.wait()
    assert closed.is_set()


class Opened:
    """An LLM stream: open as soon as it is made."""

    def __init__(self) -> None:
        self.closed = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        await asyncio.Event().wait()
        return "never"

    async def aclose(self) -> None:
        self.closed = True


async def test_a_source_stopped_before_it_was_begun_is_closed() -> None:
    """A stream holds its connection from the start, so that it is closed even unread."""
    async with open_channel(Service()) as live:
        source = Opened()
        utterance = live.speak(source)
        live.interrupt()
        await utterance.aclose()
        assert source.closed


async def test_a_source_for_which_there_is_no_connection_is_closed() -> None:
    """An utterance that fails as it begins leaves no stream behind, and closing it returns."""
    async with open_channel(Service(lambda request: request.refuse(401))) as live:
        await settle()
        source = Opened()
        utterance = live.speak(source)
        assert utterance.outcome == "failed"
        await utterance.aclose()
        assert source.closed


async def test_a_blocking_source_stopped_before_it_was_begun_is_closed_in_a_thread() -> None:
    """Closing may block too, so that the loop does not do it."""
    closed, where = threading.Event(), []

    class Stream:
        def __iter__(self) -> Iterator[str]:
            return iter(["never"])

        def close(self) -> None:
            where.append(threading.current_thread())
            closed.set()

    async with open_channel(Service()) as live:
        utterance = live.speak(Stream())
        live.interrupt()
        await utterance.aclose()
        await asyncio.to_thread(closed.wait)
        assert where != [threading.current_thread()]


async def test_a_source_that_fails_to_close_hurts_nobody() -> None:
    """What a source says while it is being closed interests nobody any more."""

    async def source() -> AsyncIterator[str]:
        try:
            yield "Hello. "
            await asyncio.Event().wait()
        finally:
            raise Boom

    async with open_channel(Service()) as live:
        utterance = live.speak(source())
        await settle()
        await utterance.aclose()
        assert utterance.outcome == "interrupted"


async def test_the_original_stream_is_closed_too() -> None:
    """LLM streams hold a connection behind their iterator: both are closed."""

    class Stream:
        closed = False

        def __aiter__(self) -> AsyncIterator[str]:
            return self._items()

        async def _items(self) -> AsyncIterator[str]:
            yield "Hello. "
            await asyncio.Event().wait()

        async def close(self) -> None:
            self.closed = True

    stream = Stream()
    async with open_channel(Service()) as live:
        utterance = live.speak(stream)
        await settle()
        await utterance.aclose()
        assert stream.closed


async def test_the_loop_never_calls_a_blocking_sources_next() -> None:
    """A blocking iterable is read in one thread of its own, from beginning to end."""
    threads = []

    def source() -> Iterator[str]:
        for word in ("Hello, ", "world."):
            threads.append(threading.current_thread())
            yield word

    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(source())
        while "S" not in kinds(service.peer):
            await asyncio.sleep(0)
        utterance.interrupt()

    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_blocking_source_is_read_one_item_ahead() -> None:
    """While nobody takes an item, the thread has read no further than the next."""
    read_so_far = []
    second = threading.Event()

    def source() -> Iterator[str]:
        for number in range(10):
            read_so_far.append(number)
            if number == 1:
                second.set()
            yield f"{number} "

    from fishlive.live.source import Pull

    pull = Pull(iter, source())
    assert await anext(pull) == "0 "
    await asyncio.to_thread(second.wait)
    await settle()
    assert read_so_far == [0, 1]
    pull.close()


async def test_a_file_that_was_read_to_its_end_stays_open() -> None:
    """Only what is left early is closed; the rest is its owner's."""
    file = io.StringIO("Hello.\nBye.\n")
    before = threads()
    async with open_channel(Service()) as live:
        utterance = live.speak(file)
        await asyncio.sleep(0)
        (reader,) = threads() - before
        while not utterance.text_ended:
            await asyncio.sleep(0)
        await asyncio.to_thread(reader.join)
        assert not file.closed
        utterance.interrupt()


async def test_interrupting_abandons_the_thread_and_closes_the_source_there() -> None:
    """Nobody waits for a blocked `next`; the source is closed where it runs, behind that item."""
    blocked, release, closed = threading.Event(), threading.Event(), threading.Event()
    where = []

    def source() -> Iterator[str]:
        try:
            yield "Hello. "
            blocked.set()
            release.wait()
            yield "never spoken"
        finally:
            where.append(threading.current_thread().name)
            closed.set()

    service = Service()
    async with open_channel(service) as live:
        utterance = live.speak(source())
        await asyncio.to_thread(blocked.wait)
        utterance.interrupt()
    assert not closed.is_set()  # the channel was left, the thread is still blocked
    release.set()
    await asyncio.to_thread(closed.wait)
    assert where == ["fishlive text"]
    assert "never spoken" not in "".join(texts(service.peers[0]))


@pytest.mark.parametrize("source", [1, None, b"bytes", {"a": 1}, object()])
async def test_what_cannot_be_read_as_text_is_refused(source: object) -> None:
    """The error names the argument and the type, before anything happens."""
    async with open_channel(Service()) as live:
        with pytest.raises(ConfigError, match=type(source).__name__) as caught:
            live.speak(source)  # type: ignore[arg-type]  # wrong on purpose
        assert caught.value.argument == "source"


async def test_an_unawaited_stream_is_explained() -> None:
    """The usual mistakes with LLM clients are named: not awaited, not entered."""

    async def create() -> None: ...

    class Manager:
        async def __aenter__(self) -> None: ...
        async def __aexit__(self, *args: object) -> None: ...

    coroutine = create()
    async with open_channel(Service()) as live:
        with pytest.raises(ConfigError, match="awaited first"):
            live.speak(coroutine)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(ConfigError, match="async with"):
            live.speak(Manager())  # type: ignore[arg-type]  # wrong on purpose
    coroutine.close()


async def test_a_slow_service_slows_the_source_down() -> None:
    """While text has no room, the source is not pulled."""
    pulled = 0

    async def source() -> AsyncIterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            yield "x" * 1024

    service = Service(answer=lambda request: None)
    async with open_channel(service) as live:
        utterance = live.speak(source())
        await settle(200)
        assert pulled == 64
        utterance.interrupt()


@pytest.mark.parametrize("pause", [True, False], ids=["suspends", "runs through"])
async def test_half_a_surrogate_pair_is_refused_with_its_index(*, pause: bool) -> None:
    """Whether tokens leave one by one or joined, the error names the one that is no text."""

    async def source() -> AsyncIterator[str]:
        for item in ("Hello", ",", "\ud83d", " world"):
            if pause:
                await asyncio.sleep(0)
            yield item

    async with open_channel(Service()) as live:
        with pytest.raises(InvalidTextError, match="surrogate") as caught:
            await read(live.speak(source()))
        assert caught.value.index == 2


async def test_what_a_source_says_by_hand_keeps_its_place() -> None:
    """A source may flush and send on its own channel: behind what it has yielded so far."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()

        async def source() -> AsyncIterator[str]:
            yield "One"
            await live.flush()
            yield "Two"
            await live.send("Three")
            yield "Four"

        utterance = live.speak(source(), flush="never")
        await settle()
        assert texts(service.peer) == ["One", "TwoThreeFour"]
        assert kinds(service.peer) == "stftS"
        utterance.interrupt()


class Dictated:
    """A source that yields a word whenever the test says one, and never ends."""

    def __init__(self) -> None:
        self._words: asyncio.Queue[object] = asyncio.Queue()

    async def say(self, word: object) -> None:
        """Have one more word yielded."""
        self._words.put_nowait(word)
        await settle()

    async def __aiter__(self) -> AsyncIterator[object]:
        while True:
            yield await self._words.get()


async def test_a_lone_token_waits_while_too_much_is_unread() -> None:
    """A token that comes alone is held back by the buffer's mark like all text."""
    service, source = Service(), Dictated()
    async with open_channel(service, credit_s=1.0) as live:
        utterance = live.speak(source)
        for word in ("One", " two", " three"):
            await source.say(word)
        assert "".join(texts(service.peer)) == "One two three"
        speak(service.peer, LOUD * 48_000, finish=None)
        await settle()
        await source.say(" four")
        assert "".join(texts(service.peer)) == "One two three"
        listener = aiter(utterance)
        await anext(listener)
        await settle()
        assert "".join(texts(service.peer)) == "One two three four"
        utterance.interrupt()


async def test_a_lone_token_waits_while_too_much_is_unheard() -> None:
    """Once somebody marks what was heard, the marks hold it back, whatever was read."""
    service, source = Service(), Dictated()
    async with open_channel(service, credit_s=1.0) as live:
        utterance = live.speak(source)
        listener = aiter(utterance)
        for word in ("One", " two", " three"):
            await source.say(word)
        speak(service.peer, LOUD * 48_000, finish=None)
        await anext(listener)
        await source.say(" four")
        live.mark_played(0.1)
        await source.say(" five")
        assert "".join(texts(service.peer)) == "One two three four"
        live.mark_played(1.9)
        await settle()
        assert "".join(texts(service.peer)) == "One two three four five"
        utterance.interrupt()


async def test_a_lone_token_waits_while_the_socket_is_full() -> None:
    """It stays behind what the socket could not take yet."""
    service, source = Service(), Dictated()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(source, flush="never")
        await source.say("Once")
        service.peer.pause_reading()
        words = [f" {number:059}" for number in range(WRITE_HIGH_BYTES // 60)]
        for word in words:
            await source.say(word)
        assert utterance._turn.sender.outbox.queued_bytes > 0
        # Writable again, and a token comes before the socket has told anybody.
        socket = utterance._turn._leg._socket
        assert isinstance(socket, MemorySocket)
        socket._writable = True
        await source.say(" last")
        service.peer.resume_reading()
        await settle()
        assert "".join(texts(service.peer)) == "Once" + "".join(words) + " last"
        utterance.interrupt()


async def test_rubbish_among_lone_tokens_has_its_index() -> None:
    """Tokens that went straight to the socket are counted too."""
    source = Dictated()
    async with open_channel(Service()) as live:
        await live.ready()
        utterance = live.speak(source, flush="never")
        for word in ("One", " two", " three", " four"):
            await source.say(word)
        await source.say(5)
        with pytest.raises(InvalidTextError) as caught:
            await read(utterance)
        assert caught.value.index == 4


async def test_a_source_that_will_not_stop_is_told_at_its_next_token() -> None:
    """It may swallow the cancellation; what it yields then is refused, and it is closed."""
    taken: list[str] = []

    async def source() -> AsyncIterator[str]:
        with contextlib.suppress(asyncio.CancelledError):
            yield "Hello."
            await asyncio.Event().wait()
        try:
            while True:
                taken.append("more")
                yield "more"
                await asyncio.sleep(0)
        finally:
            taken.append("closed")

    async with open_channel(Service()) as live:
        utterance = live.speak(source())
        await settle()
        utterance.interrupt()
        await settle()
        assert taken == ["more", "closed"]


async def test_tokens_beyond_ascii_are_counted_in_bytes() -> None:
    """A lone token of two-byte letters is billed as the bytes it is."""
    service, source = Service(), Dictated()
    async with open_channel(service) as live:
        utterance = live.speak(source)
        for word in ("Ein", " schöner", " Tag"):
            await source.say(word)
        assert "".join(texts(service.peer)) == "Ein schöner Tag"
        assert utterance.stats.text_utf8_bytes == len("Ein schöner Tag".encode())
        utterance.interrupt()


async def test_an_empty_token_is_not_sent() -> None:
    """Streams begin and end with empty deltas; the wire never sees them."""
    service, source = Service(), Dictated()
    async with open_channel(service) as live:
        utterance = live.speak(source, flush="never")
        for word in ("One", " two", "", " three"):
            await source.say(word)
        assert texts(service.peer) == ["One", " two", " three"]
        utterance.interrupt()


async def test_a_source_that_never_pauses_waits_for_room() -> None:
    """It is held when the queue of text is full, and goes on when that has left."""
    service = Service(answer=lambda request: None)
    taken = 0

    async def source() -> AsyncIterator[str]:
        nonlocal taken
        for _ in range(2 * TEXT_QUEUE_BYTES // 16):
            taken += 1
            yield "sixteen letters "

    async with open_channel(service) as live:
        utterance = live.speak(source(), flush="never")
        await settle()
        assert taken * 16 < TEXT_QUEUE_BYTES * 1.2
        service.accept(service.requests[0])
        await settle()
        assert taken * 16 == 2 * TEXT_QUEUE_BYTES
        assert sum(map(len, texts(service.peer))) == 2 * TEXT_QUEUE_BYTES
        utterance.interrupt()
