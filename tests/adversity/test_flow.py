"""Every row of the third fault table: flow, text sources and listeners, on real sockets.

Each test is one row or a part of it, played to both endpoints over both adapters at once. F1 is
``test_backpressure.py``; F23's part file and exit code are ``tests/cli/test_say.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Final, NoReturn
from unittest.mock import patch

import pytest

from fishlive import Deadlines, LiveTTS, Session
from fishlive.errors import (
    ConcurrencyLimitError,
    ConcurrentIterationError,
    ConnectError,
    ConnectionLost,
    InvalidTextError,
    ServerClosed,
    StallTimeout,
    StreamClosedError,
    UtteranceInterrupted,
    WrongLoopError,
)
from fishlive.flow import watchdog
from fishlive.limits import MAX_TEXT_EVENT_CHARS, TEXT_QUEUE_BYTES
from fishlive.live.line import MAX_SOCKET_AGE_S
from fishlive.live.turn import Turn
from fishlive.live.utterance import Utterance
from fishlive.server import live as serving
from fishlive.server.faults.stage import Stage
from fishlive.transport import names
from tests.adversity.matrix import (
    TEXT,
    TWICE,
    WAYS,
    Ending,
    Mark,
    Way,
    everywhere,
    listen,
    marks,
    session,
    until,
)
from tests.adversity.playing import (
    Theatre,
    Verdict,
    always,
    check_all,
    give_up,
    meet,
    recover,
    theatre,
)  # fmt: skip
from tests.adversity.rows import CLIENT_SIDE, FLOWING
from tests.conftest import settle

SHORT: Final = "One two."

PATIENT: Final = Deadlines(first_audio_s=None, stall_s=None, send_s=None, ping_every_s=None)

ELSEWHERE: Final = {"F1": "test_backpressure.py"}

TRIED: Final[dict[str, list[str]]] = {}
"""The tests of each row."""


def row(name: str) -> Callable[[Any], Any]:
    """Note which row a test is of."""

    def note(test: Any) -> Any:
        TRIED.setdefault(name.split(maxsplit=1)[0], []).append(name)
        return test

    return note


def test_every_row_is_tried() -> None:
    """F1 to F23 have a test each at least, and every line of the table that the server plays."""
    assert set(TRIED) | set(ELSEWHERE) == {f"F{number}" for number in range(1, 24)}
    named = {name for of_row in TRIED.values() for name in of_row} | set(ELSEWHERE)
    assert {name for name, fault in FLOWING.items() if fault != CLIENT_SIDE} <= named


class Source:
    """A source that yields what it is told, and knows what became of it.

    Attributes:
        closed: Whether it was closed.
        pulled: Characters that were taken.
    """

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items
        self.closed = False
        self.pulled = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        item = await self._items.__anext__()
        self.pulled += len(item) if isinstance(item, str) else 0
        return item

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def channel(stage: Theatre, way: Way, **options: Any) -> AsyncIterator[LiveTTS]:
    """Open a channel in one way."""
    async with (
        session(stage.server, way, **options) as fish,
        fish.live(timestamps=way.timed) as live,
    ):
        yield live


async def in_every_way(
    act: Callable[[LiveTTS, Theatre], Awaitable[None]],
    *faults: str,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Theatre:
    """Let each of the four do something on a channel of its own, at once."""

    async def one(way: Way) -> None:
        async with channel(stage, way, **options) as live:
            await act(live, stage)

    async with theatre(**(settings or {})) as stage:
        stage.server.play(*faults)
        await asyncio.gather(*map(one, WAYS))
    return stage


def heard(chunks: list[bytes]) -> list[Mark]:
    """Return what was heard: whole events of one connection, without a gap."""
    found = marks(b"".join(chunks))
    first = found[0] if found else Mark(0, 1)
    assert found == [Mark(first.connection, first.number + at) for at in range(len(found))]
    return found


async def read(utterance: Utterance, chunks: list[bytes] | None = None) -> list[bytes]:
    """Read to the end; what came before an error is in ``chunks``."""
    chunks = [] if chunks is None else chunks
    async for chunk in utterance:
        chunks.append(chunk)
    return chunks


async def speaks(live: LiveTTS, stage: Theatre) -> int:
    """Check that the next utterance is heard whole; return over which connection."""
    utterance = live.speak(SHORT)
    found = heard(await read(utterance))
    assert str(utterance.outcome) == "finished"
    assert found[-1].number == len(stage.sent[found[0].connection])
    assert utterance.ledger.spoken == SHORT
    return found[0].connection


# F2: the service does not read text


@contextlib.contextmanager
def taking(taken: dict[int, list[str]], *, speak: bool = True) -> Iterator[None]:
    """Write down each text that a server receives, by its conversation."""
    add = serving.Conversation._add

    def note(self: serving.Conversation, turn: serving.Turn, text: str) -> None:
        taken.setdefault(id(self), []).append(text)
        add(self, turn, text.strip() if speak else "")  # the voice has enough to do

    with patch.object(serving.Conversation, "_add", note):
        yield


@row("F2")
async def test_a_service_that_reads_nothing_stops_the_source() -> None:
    """The queue's 64 KiB are all that is pulled beyond what was written; then it is a stall."""
    piece = "a" * MAX_TEXT_EVENT_CHARS
    deadlines = replace(PATIENT, send_s=0.3)

    async def endless() -> AsyncIterator[str]:
        while True:
            await settle(5)
            yield piece

    async def act(live: LiveTTS, _stage: Theatre) -> None:
        source = Source(endless())
        utterance = live.speak(source, flush="never")
        with pytest.raises(StallTimeout) as caught:
            await read(utterance)
        assert caught.value.phase == "send"
        assert caught.value.audio_bytes == 0
        ledger = caught.value.ledger
        assert ledger is not None
        assert len(ledger.unsent) <= TEXT_QUEUE_BYTES + len(piece)
        # The kernel took some of it, which is all that can be known.
        assert ledger.spoken == ""
        assert len(ledger.maybe_spoken) + len(ledger.unsent) <= source.pulled
        assert source.pulled <= len(ledger.maybe_spoken) + TEXT_QUEUE_BYTES + 2 * len(piece)
        await utterance.aclose()
        assert source.closed

    with taking({}, speak=False):
        await in_every_way(act, "deaf@start,times=always", deadlines=deadlines)


# F3: the source raises


class Halt(BaseException):
    """Not an Exception."""


def sync_items(error: BaseException | None, begun: threading.Event, first: int) -> Iterator[str]:
    """Say something, unless it is to fail at once, and fail when that was heard."""
    if first:
        yield TEXT
        begun.wait()
    if error is not None:
        raise error


async def async_items(
    error: BaseException | None, begun: threading.Event, first: int
) -> AsyncIterator[str]:
    """Do the same, in the loop."""
    if first:
        yield TEXT
        await until(begun.is_set)
    if error is not None:
        raise error


@row("F3")
@pytest.mark.parametrize("items", [sync_items, async_items])
@pytest.mark.parametrize("first", [0, 1])
async def test_a_source_that_raises_ends_it_with_its_own_error(items: Any, first: int) -> None:
    """What has arrived is heard, then the very object is raised; its socket is gone."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        begun = threading.Event()
        error = LookupError("its own")
        utterance = live.speak(items(error, begun, first))
        chunks: list[bytes] = []
        with pytest.raises(LookupError) as caught:
            async for chunk in utterance:
                chunks.append(chunk)
                begun.set()
        assert caught.value is error
        assert utterance.error is error
        assert str(utterance.outcome) == "failed"
        assert bool(heard(chunks)) is bool(first)
        await speaks(live, stage)

    await in_every_way(act)


@row("F3")
async def test_stop_iteration_out_of_a_source_is_no_end() -> None:
    """Raised where no generator turns it into something else, it is an error like any other."""

    class Stops(Source):
        async def __anext__(self) -> NoReturn:
            raise StopIteration("by mistake")

    async def act(live: LiveTTS, stage: Theatre) -> None:
        source = Stops(async_items(None, threading.Event(), 0))
        with pytest.raises(RuntimeError) as caught:  # what Python makes of it in a coroutine
            await read(live.speak(source))
        assert isinstance(caught.value.__cause__, StopIteration)
        assert source.closed
        await speaks(live, stage)

    await in_every_way(act)


@row("F3")
async def test_what_is_no_exception_is_raised_too() -> None:
    """A BaseException of the source ends the utterance with itself."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        halt = Halt()
        utterance = live.speak(async_items(halt, threading.Event(), 0))
        with pytest.raises(Halt) as caught:
            await read(utterance)
        assert caught.value is halt
        task = utterance._feeder and utterance._feeder.task
        assert task
        assert task.exception() is None  # nor does the loop complain that nobody looked
        await speaks(live, stage)

    await in_every_way(act)


# F4: the source is silent


@row("F4")
async def test_a_source_that_thinks_is_no_fault() -> None:
    """Nothing is owed meanwhile: pings go to and fro, and the rest is spoken as if at once."""

    async def act(live: LiveTTS, _stage: Theatre) -> None:
        async def thinks() -> AsyncIterator[str]:
            yield SHORT + " "
            await until(lambda: turn._leg.pongs >= 3)
            yield SHORT

        utterance = live.speak(thinks())
        turn = utterance._turn
        assert heard(await read(utterance))
        assert utterance.stats.attempts == 1
        assert utterance.ledger.spoken == f"{SHORT} {SHORT}"

    await in_every_way(act, deadlines=Deadlines(ping_every_s=0.02))


@row("F4 closed while idle")
async def test_a_close_at_the_first_text_is_tried_again() -> None:
    """Before any audio it costs one attempt; if there is none left, it is what it was."""
    closed = Verdict(ServerClosed, {"close_code": 1000}, heard=0)
    await meet(FLOWING["F4 closed while idle"], closed)
    await recover(FLOWING["F4 closed while idle"], closed)


@row("F4")
async def test_a_channel_that_was_closed_while_idle_opens_another() -> None:
    """Nothing was outstanding, so nobody notices: no error, no attempt, no audio lost."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        await live.ready()
        idle.append(live)
        await until(lambda: len(open_to) >= len(WAYS) <= len(idle))
        if live is idle[-1]:
            for conversation in tuple(open_to):
                await conversation._socket.close()
        await until(lambda: len(over) >= len(WAYS))
        for _ in range(2):
            await speaks(live, stage)
            assert live.stats is not None
            assert live.stats.attempts == 1

    async def run_noted(self: serving.Conversation) -> None:
        open_to.append(self)
        await run(self)
        over.append(self)

    open_to: list[serving.Conversation] = []
    over: list[serving.Conversation] = []
    idle: list[LiveTTS] = []
    run = serving.Conversation.run
    with patch.object(serving.Conversation, "run", run_noted):
        await in_every_way(act)


# F5: what a source may yield


@row("F5")
@pytest.mark.parametrize("wrong", [b"bytes", 5, None, "a lone \ud800 surrogate"])
async def test_what_is_not_text_is_refused_with_its_index(wrong: object) -> None:
    """The items before it count from 0; it never reaches the wire, nor does what follows it."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        utterance = live.speak(["One ", "", wrong, "never"])
        with pytest.raises(InvalidTextError) as caught:
            await read(utterance)
        assert isinstance(caught.value, TypeError)
        assert caught.value.index == 2
        assert "never" not in utterance.ledger.spoken + utterance.ledger.maybe_spoken
        await speaks(live, stage)

    await in_every_way(act)


@row("F5")
@pytest.mark.parametrize("items", [[], [""], ["", ""], [" "], ["\n\t", "  "], ["..."]])
async def test_what_cannot_be_spoken_ends_well(items: list[str]) -> None:
    """Nothing, white space and bare points are no fault, and owe no audio."""
    async with theatre() as stage:
        for ending in await everywhere(stage.server, text=items):
            assert ending.error is None, ending
            assert ending.stats.text_utf8_bytes == len("".join(items))


@row("F5")
async def test_nul_is_text_like_any_other() -> None:
    """It goes to the wire and back into the ledger."""
    async with theatre() as stage:
        for ending in await everywhere(stage.server, text=["One\0", "two."]):
            assert ending.error is None, ending
            assert ending.ledger.spoken == "One\0two."


@row("F5")
async def test_three_megabytes_in_one_string_arrive_in_pieces() -> None:
    """Each is a message of its own, cut between characters; all of them together are the text."""
    text = SHORT + "\u3000" * 1_000_000  # white space, which is quickly spoken
    taken: dict[int, list[str]] = {}
    with taking(taken):
        async with theatre() as stage:
            for ending in await everywhere(stage.server, text=text):
                assert ending.error is None, ending
                assert ending.heard
    for pieces in taken.values():
        assert max(map(len, pieces)) <= MAX_TEXT_EVENT_CHARS
        assert "".join(pieces) == text


@row("F5")
async def test_ten_thousand_tokens_of_a_character_are_coalesced() -> None:
    """What a source yields without waiting leaves in few messages, in order."""
    text = SHORT + " " * 10_000
    taken: dict[int, list[str]] = {}
    with taking(taken):
        async with theatre() as stage:
            for ending in await everywhere(stage.server, text=list(text)):
                assert ending.error is None, ending
    for pieces in taken.values():
        assert "".join(pieces) == text
        assert len(pieces) < len(text) / 10


# F6, F7, F10: listeners


@row("F6")
async def test_breaking_out_interrupts_it() -> None:
    """Without a word more the utterance is over, its socket cut, and the next one is whole."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        source = Source(async_items(None, threading.Event(), 1))  # which goes on for ever
        utterance = live.speak(source)
        async for _ in utterance:
            break
        assert str(utterance.outcome) == "interrupted"
        await speaks(live, stage)
        await utterance.aclose()
        assert source.closed

    await in_every_way(act)


@row("F7")
async def test_a_read_that_is_cancelled_loses_nothing() -> None:
    """However often and whenever: the chunk stays queued, and the next read returns it."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        reader, chunks = aiter(live.speak(TEXT)), []
        for turn in range(100_000):
            reading = asyncio.ensure_future(reader.__anext__())
            await settle(turn % 4)
            reading.cancel()
            try:
                chunks.append(await reading)
            except asyncio.CancelledError:
                await settle(1)
            except StopAsyncIteration:
                break
        found = heard(chunks)
        assert found[0].number == 1
        assert len(found) == len(stage.sent[found[0].connection])

    await in_every_way(act)


@row("F7")
async def test_a_cancelled_task_ends_its_channel() -> None:
    """The cancellation passes through unchanged, and what it held is gone."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        utterance = live.speak(async_items(None, threading.Event(), 1))

        async def user() -> None:
            async with utterance:
                async for _ in utterance:
                    reached.set()

        reached = asyncio.Event()
        using = asyncio.ensure_future(user())
        await reached.wait()
        using.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await using
        assert str(utterance.outcome) == "interrupted"
        await speaks(live, stage)

    await in_every_way(act)


@row("F8")
async def test_a_send_that_is_cancelled_counts_as_sent() -> None:
    """Text that waited for room is spoken once, in its place."""

    async def act(live: LiveTTS, _stage: Theatre) -> None:
        utterance = live.utterance()
        reading = asyncio.ensure_future(read(utterance))
        await settle(1)
        sending = asyncio.ensure_future(utterance.send(" " * (TEXT_QUEUE_BYTES + 1)))
        await settle(1)
        assert not sending.done()  # there is no socket yet
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await utterance.flush()
        await utterance.send(SHORT)
        flushing = asyncio.ensure_future(utterance.flush())
        flushing.cancel()
        await utterance.end()
        assert heard(await reading)
        assert utterance.ledger.spoken == " " * (TEXT_QUEUE_BYTES + 1) + SHORT

    await in_every_way(act)


@row("F10")
async def test_a_second_reader_is_refused_and_the_first_not_disturbed() -> None:
    """ConcurrentIterationError at once, whether it iterates or reads with the first's reader."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        utterance = live.speak(TEXT)
        reading = asyncio.ensure_future(read(utterance))
        await settle(2)
        for _ in range(2):
            with pytest.raises(ConcurrentIterationError):
                aiter(utterance)
            with pytest.raises(ConcurrentIterationError):
                await anext(aiter(live))
        found = heard(await reading)
        assert len(found) == len(stage.sent[found[0].connection])

    await in_every_way(act)


@row("F10")
async def test_two_producers_interleave_whole_texts() -> None:
    """Not an error, unlike the row: each send is atomic, so that nothing can be torn or lost."""

    async def act(live: LiveTTS, _stage: Theatre) -> None:
        utterance = live.utterance()

        async def say(word: str) -> None:
            for _ in range(5):
                await utterance.send(f"{word} ")
                await settle(1)

        reading = asyncio.ensure_future(read(utterance))
        await asyncio.gather(say("one"), say("two"))
        await utterance.end()
        assert heard(await reading)
        assert sorted(utterance.ledger.spoken.split()) == ["one"] * 5 + ["two"] * 5

    await in_every_way(act)


# F9: barge-in


async def unconnected(live: LiveTTS, _turn: Turn) -> None:
    """Before anything happened."""


async def connecting(live: LiveTTS, _turn: Turn) -> None:
    """While the connection is being opened."""
    await settle(3)


async def connected(live: LiveTTS, _turn: Turn) -> None:
    """On an open connection, perhaps before its start."""
    await live.ready()


async def flushed(live: LiveTTS, turn: Turn) -> None:
    """After a flush."""
    await until(lambda: turn.sender.text_bytes or not turn.running)
    turn.add_flush()


async def mid_audio(live: LiveTTS, turn: Turn) -> None:
    """In the middle of the audio."""
    turn.add_flush()
    await until(lambda: turn.buffer.received_chunks)


async def stopped(live: LiveTTS, turn: Turn) -> None:
    """When all text was sent."""
    turn.end_text()
    await until(lambda: turn._leg._protocol.stop_sent)


async def finished(live: LiveTTS, turn: Turn) -> None:
    """When all audio is here, and unread."""
    turn.end_text()
    await until(lambda: turn._complete)


async def twice(live: LiveTTS, turn: Turn) -> None:
    """Twice, and a third time then."""
    await mid_audio(live, turn)
    assert live.interrupt() == live.interrupt()


MOMENTS: Final = (
    unconnected, connecting, connected, flushed, mid_audio, stopped, finished, twice,
)  # fmt: skip


@row("F9")
async def test_barge_in_is_silence_whatever_goes_on() -> None:
    """The iterator ends without an error; nothing of the old turn is heard in the new one."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        for moment in MOMENTS:
            utterance = live.utterance()
            await utterance.send(TEXT)
            reader = aiter(utterance)
            await moment(live, utterance._turn)
            before = live.interrupt()
            assert live.interrupt() == before
            assert [chunk async for chunk in reader] == []
            assert str(utterance.outcome) == "interrupted"
            assert before.heard_text == ""
            assert before.unheard_text == TEXT
            with pytest.raises(UtteranceInterrupted):
                await live.send("too late")
            said = [len(sizes) for sizes in stage.sent]
            following = live.speak(SHORT)
            found = heard(await read(following))
            assert following.ledger.spoken == SHORT
            # On a connection of its own, or behind all that an old one has said.
            heard_over = found[0].connection
            before_it = said[heard_over] if heard_over < len(said) else 0
            assert found[0].number == before_it + 1
            assert found[-1].number == len(stage.sent[heard_over])

    await in_every_way(act)


@row("F9")
async def test_barge_in_from_another_task_ends_the_reader() -> None:
    """It ends where it waits, with what it read; the ledger knows what that was."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        utterance = live.speak(async_items(None, threading.Event(), 1))
        chunks: list[bytes] = []
        reading = asyncio.ensure_future(read(utterance, chunks))
        await until(lambda: chunks)
        told = live.interrupt()
        await reading
        assert told.heard_text + told.unheard_text == TEXT
        assert told.read_bytes == sum(map(len, chunks))
        await speaks(live, stage)

    await in_every_way(act)


# F11 to F15: misuse, and the end of things


@row("F11")
async def test_what_is_closed_says_so() -> None:
    """StreamClosedError, however it is used; closing again is nothing, from several tasks too."""

    async def act(live: LiveTTS, _stage: Theatre) -> None:
        utterance = live.speak(SHORT)
        assert heard(await read(utterance))
        await asyncio.gather(live.aclose(), live.aclose(), utterance.aclose())
        await live.aclose()
        for use in (live.send("a"), live.flush(), live.end(), live.ready(), anext(aiter(live))):
            with pytest.raises(StreamClosedError):
                await use
        with pytest.raises(StreamClosedError):
            live.speak("a")
        assert live.interrupt().unheard_text == ""

    await in_every_way(act)


@row("F11")
@pytest.mark.parametrize("turns", [0, 1, 3, 10])
async def test_closing_while_connecting_leaves_nothing(turns: int) -> None:
    """Whoever waits is told, from whichever task it is closed."""

    async def act(live: LiveTTS, _stage: Theatre) -> None:
        reading = asyncio.ensure_future(read(live.speak(SHORT)))
        await settle(turns)
        await live.aclose()
        with contextlib.suppress(StreamClosedError):
            await reading

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it is not read, and that is meant
        await in_every_way(act)


PROGRAM: Final = """
import asyncio, gc, os, signal, sys
from fishlive import Session

held = []

async def begin(transport, timed):
    fish = await Session("local", base_url=sys.argv[1], transport=transport).__aenter__()
    live = await fish.live(timestamps=timed).__aenter__()
    reader = aiter(live.speak("One two three four five six."))
    await anext(reader)
    held.append((fish, live, reader))
    return fish, live, reader

ways = [(name, timed) for name in ("picows", "aiohttp") for timed in (False, True)]
"""

ENDING: Final = """
async def leave(how, *way):
    await begin(*way)
    if how == "exit":
        raise SystemExit(3)
    if how == "interrupt":
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)
    if how == "stop":
        asyncio.get_running_loop().stop()
        await asyncio.sleep(60)

for way in ways:
    if way[0] != sys.argv[2]:
        continue
    for how in ("return", "exit", "interrupt", "stop"):
        try:
            asyncio.run(leave(how, *way))
        except BaseException as error:
            print(how, type(error).__name__)
held.clear()
gc.collect()
"""

FORKING: Final = """
async def fork(transport, timed):
    fish, live, reader = await begin(transport, timed)
    child = os.fork()
    if not child:
        try:
            live.speak("No.")
        except BaseException as error:
            print(type(error).__name__, flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    async for _ in reader:
        pass
    print(live.stats.outcome.value, flush=True)
    await live.aclose()
    await fish.aclose()

for way in ways:
    asyncio.run(fork(*way))
"""


async def in_a_process(code: str, *arguments: str) -> list[str]:
    """Run a program that speaks to a server of ours; return its lines. It has no other words."""
    async with theatre() as stage:
        ended = await asyncio.to_thread(
            subprocess.run,
            [
                *(sys.executable, "-W", "ignore", "-c", code + "print('over')"),
                *(stage.server.url, *arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@row("F12")
@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
async def test_a_loop_may_end_with_a_stream_open(transport: str) -> None:
    """However it ends: no hang, no traceback, then or at the exit, and the sockets are gone."""
    each = ["exit SystemExit", "interrupt KeyboardInterrupt", "stop RuntimeError"]
    assert await in_a_process(PROGRAM + ENDING, transport) == [*each * 2, "over"]


@row("F14")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
async def test_a_child_of_a_fork_is_refused_and_the_parent_not_disturbed() -> None:
    """ForkedProcessError there, and all of the audio here."""
    each = ["ForkedProcessError", "finished"]
    assert await in_a_process(PROGRAM + FORKING) == [*each * len(WAYS), "over"]


@row("F13")
async def test_another_loop_is_refused() -> None:
    """WrongLoopError at once, and the channel goes on where it belongs."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        async def elsewhere() -> None:
            for use in (live.send("a"), live.flush(), live.end()):
                with pytest.raises(WrongLoopError):
                    await use
            with pytest.raises(WrongLoopError):
                live.speak("a")

        await live.ready()
        await asyncio.to_thread(asyncio.run, elsewhere())
        await speaks(live, stage)

    await in_every_way(act)


@row("F15")
async def test_an_utterance_that_is_dropped_is_interrupted() -> None:
    """Its socket is cut with the last reference, and the next turn is whole."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        utterance = live.speak(async_items(None, threading.Event(), 1))
        turn = utterance._turn
        await until(lambda: turn.buffer.received_bytes)
        del utterance
        gc.collect()
        assert str(turn.outcome) == "interrupted"
        await speaks(live, stage)

    await in_every_way(act)


@row("F15")
async def test_a_channel_that_is_dropped_is_cut() -> None:
    """One ResourceWarning each, and its socket is gone with it."""
    async with theatre() as stage:
        for way in WAYS:
            async with session(stage.server, way) as fish:
                live = await fish.live(timestamps=way.timed).__aenter__()
                await live.ready()
                assert live._line
                idle = live._line._idle
                assert idle
                with pytest.warns(ResourceWarning, match="LiveTTS was dropped open"):
                    del live
                    await settle()
                    gc.collect()
                await settle()
                cut = idle.closed
                idle.abort()
                assert cut


# F16 to F19: clocks


@contextlib.contextmanager
def jumping(step_s: float) -> Iterator[Callable[[], None]]:
    """Let the loop's clock be made to jump, as it does for whoever was blocked."""
    loop = asyncio.get_running_loop()
    time, ahead_s = loop.time, 0.0

    def jump() -> None:
        nonlocal ahead_s
        ahead_s += step_s

    with patch.object(loop, "time", lambda: time() + ahead_s):
        yield jump


@contextlib.contextmanager
def behind_each_audio(act: Callable[[], None]) -> Iterator[None]:
    """Have something happen while an event waits in the kernel, sent and not read."""
    audio = Stage.audio

    async def then(self: Stage, message: bytes) -> None:
        await audio(self, message)
        act()

    with patch.object(Stage, "audio", then):
        yield


@row("F16")
@pytest.mark.parametrize("step_s", [86_400.0, -86_400.0])
async def test_the_wall_clock_may_jump(step_s: float) -> None:
    """A day to and fro in the middle of speech: nothing looks at that clock."""
    import time

    now, ahead_s = time.time, 0.0

    def jump() -> None:
        nonlocal ahead_s
        ahead_s = 0.0 if ahead_s else step_s

    async with theatre() as stage:
        with patch.object(time, "time", lambda: now() + ahead_s), behind_each_audio(jump):
            endings = await everywhere(stage.server)
        whole(stage, endings)


@row("F17")
async def test_a_sleep_is_no_stall() -> None:
    """Eight hours between any two events cost a ping each at most; all is heard."""
    slept_s = 0.0

    def sleep() -> None:
        nonlocal slept_s
        slept_s += 8 * 3600.0

    async with theatre() as stage:
        with patch.object(watchdog, "asleep_s", lambda: slept_s), behind_each_audio(sleep):
            endings = await everywhere(stage.server)
        whole(stage, endings)


@row("F17 half-open")
async def test_a_connection_that_died_in_its_sleep_is_found_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One ping with little patience decides, while all other deadlines have hours left."""
    monkeypatch.setattr(watchdog, "WAKE_PONG_S", 0.3)
    fault = always(FLOWING["F17 half-open"])
    async with theatre() as stage:
        server = stage.server
        monkeypatch.setattr(
            watchdog, "asleep_s", lambda: 8 * 3600.0 * (server.played[str(fault)] == len(WAYS))
        )
        stage.server.play(fault)
        endings = await everywhere(stage.server, deadlines=PATIENT)
        check_all(stage, endings, Verdict(ConnectionLost, heard=0, said="no pong within 0.3 s"))


@row("F18 half-open")
async def test_a_network_that_went_away_is_a_lost_connection() -> None:
    """Nothing comes back any more, not even a pong."""
    deadlines = replace(PATIENT, ping_every_s=0.3, pong_s=0.2)
    dead = Verdict(ConnectionLost, heard=0, said="no pong", options={"deadlines": deadlines})
    await meet(FLOWING["F18 half-open"], dead)
    await give_up(FLOWING["F18 half-open"], dead, attempts=2)


@row("F18")
async def test_each_connection_asks_for_the_address_anew() -> None:
    """Another network has other addresses: none is remembered."""
    asked: list[str] = []

    async def look_up(host: str, port: int, *_: object) -> Any:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("127.0.0.1", port))]

    async with theatre() as stage:
        with patch.object(names, "look_up", look_up):
            for way in WAYS:
                fish = Session(
                    "local", base_url=f"http://localhost:{stage.server.port}",
                    transport=way.transport,  # type: ignore[arg-type]
                    standby=0, retry=TWICE,
                )  # fmt: skip
                asked.clear()
                stage.server.play("rst@start")
                async with fish, fish.live(timestamps=way.timed) as live:
                    await read(live.speak(SHORT))
                    assert live.stats is not None
                    assert len(asked) >= live.stats.attempts == 2


@row("F19")
async def test_a_blocked_loop_judges_nobody_before_it_has_listened() -> None:
    """Thirty seconds behind each event, three times the usual deadlines: nothing is lost."""
    async with theatre() as stage:
        for way in WAYS:  # one at a time: who blocks the loop blocks the service of the others
            with jumping(30.0) as jump, behind_each_audio(jump):
                ending = await listen(stage.server, way)
            whole(stage, [ending])


def whole(stage: Theatre, endings: list[Ending]) -> None:
    """Check that each heard all, over its first connection."""
    for ending in endings:
        assert ending.error is None, ending
        assert ending.heard == stage.whole(ending)
        assert ending.stats.attempts == 1


# F20 to F23: limits


@row("F20 closed")
async def test_a_service_that_closes_for_age_is_tried_again() -> None:
    """In the middle of a turn it is what any going away is."""
    closed = Verdict(ServerClosed, {"close_code": 1001, "retryable": True}, heard=0)
    await meet(FLOWING["F20 closed"], closed)
    await recover(FLOWING["F20 closed"], closed)


@row("F20")
async def test_no_turn_begins_on_a_connection_of_fifty_minutes() -> None:
    """It is replaced before the turn, so that the service's hour does not end one."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        seen = set()
        for _ in range(2):
            await live.ready()
            old.append(live)
            await until(lambda: len(old) % len(WAYS) == 0)
            if old[-1] is live:
                jump()
            await settle()
            seen.add(await speaks(live, stage))
            assert live.stats is not None
            assert live.stats.attempts == 1
            assert not live.stats.socket_reused
        assert len(seen) == 2

    old: list[LiveTTS] = []
    with jumping(MAX_SOCKET_AGE_S + 1) as jump:
        await in_every_way(act, deadlines=PATIENT)


class Exhausted:
    """A system without room for another socket; counts who asks for one."""

    def __init__(self, code: int) -> None:
        self._code = code
        self.asked = 0

    def __call__(self, *_: object) -> NoReturn:
        self.asked += 1
        raise OSError(self._code, "no more")


@row("F21")
@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_a_system_without_descriptors_is_a_connect_error(code: int) -> None:
    """As many tries as the policy allows, no busy loop; and with room again all is well."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        with pytest.raises(ConnectError) as caught:
            await read(live.speak(SHORT))
        assert type(caught.value) is ConnectError
        assert caught.value.retryable
        assert caught.value.attempts == 2
        assert isinstance(caught.value.__cause__, OSError)
        done.append(live)
        await until(lambda: len(done) == len(WAYS))
        again.close()
        await speaks(live, stage)

    done: list[LiveTTS] = []
    exhausted = Exhausted(code)
    with contextlib.ExitStack() as again:
        for adapter in ("dial", "aiohttp"):
            again.enter_context(patch(f"fishlive.transport.{adapter}.new_socket", exhausted))
        await in_every_way(act, retry=TWICE)
    assert exhausted.asked <= 3 * len(WAYS), "one when entering, two when speaking"


@row("F21")
async def test_without_a_port_of_ones_own_it_is_a_connect_error() -> None:
    """As it is where all are in use."""
    loop = asyncio.get_running_loop()

    async def none_left(*_: object) -> NoReturn:
        raise OSError(errno.EADDRNOTAVAIL, "none left")

    async with theatre() as stage:
        with patch.object(loop, "sock_connect", none_left):
            endings = await everywhere(stage.server, retry=TWICE)
        for ending in endings:
            assert type(ending.error) is ConnectError
            assert ending.error.retryable
            assert ending.stats.attempts == 2


@row("F22")
async def test_six_streams_on_a_key_for_five_take_turns() -> None:
    """The sixth waits for a slot of ours, and the service never has to refuse one."""
    async with theatre(concurrency=5) as stage:
        for way in WAYS:
            async with session(stage.server, way, concurrency=5) as fish:

                async def one(fish: Session = fish, way: Way = way) -> int:
                    async with fish.live(timestamps=way.timed) as live:
                        found = heard(await read(live.speak(SHORT)))
                        assert live.stats is not None
                        assert live.stats.attempts == 1
                    return found[0].connection

                assert len(set(await asyncio.gather(*(one() for _ in range(6))))) == 6


@row("F22")
async def test_others_on_the_same_key_are_a_concurrency_limit() -> None:
    """The service's refusal is raised with its limit where there are no attempts left."""
    async with theatre(concurrency=1) as stage:
        begun, over = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            fish = Session("another", base_url=stage.server.url, standby=0)
            async with fish, fish.live() as live:
                utterance = live.utterance()
                await utterance.send(SHORT)
                await utterance.flush()
                async for _ in utterance:
                    begun.set()
                    await over.wait()
                    break

        holding = asyncio.ensure_future(other())
        await begun.wait()
        for ending in await everywhere(stage.server):
            assert type(ending.error) is ConcurrencyLimitError
            assert ending.error.max_concurrency == 1
            assert ending.audio == b""
        over.set()
        await holding


@row("F23")
async def test_what_the_listener_raises_comes_out_as_it_is() -> None:
    """The very object, out of every block; the utterance is interrupted."""

    async def act(live: LiveTTS, stage: Theatre) -> None:
        full = OSError(errno.ENOSPC, "disk full")
        utterance = live.speak(TEXT)
        with pytest.raises(OSError, match="disk full") as caught:
            async with utterance:
                async for _ in utterance:
                    raise full
        assert caught.value is full
        assert full.__context__ is None
        assert str(utterance.outcome) in {"interrupted", "abandoned"}
        await speaks(live, stage)

    await in_every_way(act)
