"""live/sender.py: the flush policy at work, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from fishlive.errors import InvalidTextError, StreamClosedError
from fishlive.flow.retry import RetryPolicy
from fishlive.limits import FIRST_FLUSH_S, TEXT_QUEUE_BYTES
from fishlive.live.sender import BATCH_MESSAGES, BURST_S, TOKEN_CHARS
from fishlive.live.source import STEP_TOKENS
from fishlive.transport.memory import WRITE_HIGH_BYTES, MemorySocket
from fishlive.wire.events import FLUSH, encode
from tests.conftest import settle
from tests.live.service import SECOND, Service, kinds, open_channel, read, speak, texts
from tests.live.virtual import clock, virtual


@pytest.fixture
async def advance(monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that moves the loop's clock forward and runs what is due then."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])

    async def move(seconds: float) -> None:
        ahead[0] += seconds
        await settle()

    return move


async def test_the_first_sentence_is_flushed_at_its_end() -> None:
    """As soon as a sentence has ended, in front of what follows it."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(["Hello", " there.", " How", " are"])
        await settle()
        assert kinds(service.peer) == "stftS"
        assert texts(service.peer) == ["Hello there.", " How are"]
        utterance.interrupt()


async def test_never_switches_it_off() -> None:
    """Without a policy only the stop pushes text through."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak("One. Two. Three.", flush="never")
        await settle()
        assert kinds(service.peer) == "stS"
        utterance.interrupt()


@pytest.mark.parametrize(
    "text", ["It costs $3.50 today", "Ask Dr. Smith", "[laughing. loudly] ha", "so e.g. this"]
)
async def test_it_never_flushes_inside(text: str) -> None:
    """Numbers, abbreviations and cues are not cut."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(list(text))
        await settle()
        assert "f" not in kinds(service.peer)
        assert "".join(texts(service.peer)) == text
        utterance.interrupt()


async def silent(*words: str) -> AsyncIterator[str]:
    """Yield words, then nothing for ever."""
    for word in words:
        yield word
    await asyncio.Event().wait()


async def test_a_long_beginning_without_a_sentence_is_flushed_when_it_is_late(
    advance: object,
) -> None:
    """At the last word border, once 120 characters wait and 0.6 s have passed."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(silent(*["word "] * 30))
        await settle()
        assert "f" not in kinds(service.peer)
        await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        assert kinds(service.peer).endswith("f")
        utterance.interrupt()


async def test_a_sentence_before_a_silence_is_spoken(advance: object) -> None:
    """An LLM that calls a tool says "Let me check." before it goes quiet, and it is heard."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(silent("Let me", " check."))
        await settle()
        assert "f" not in kinds(service.peer)
        await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        assert kinds(service.peer) == "stf"
        await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        assert kinds(service.peer) == "stf"
        utterance.interrupt()


async def test_so_is_a_later_one_that_came_token_by_token(advance: object) -> None:
    """A token that goes straight to the socket is unflushed as any other text."""
    service = Service()

    async def tokens() -> AsyncIterator[str]:
        for token in ("Let me", " check. ", "One", " moment."):
            await asyncio.sleep(0)
            yield token
        await asyncio.Event().wait()

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(tokens())
        await settle()
        assert kinds(service.peer) == "sttftt"
        await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        assert kinds(service.peer) == "sttfttf"
        assert texts(service.peer) == ["Let me", " check.", " One", " moment."]
        utterance.interrupt()


async def test_half_a_sentence_before_a_silence_waits(advance: object) -> None:
    """Nothing is flushed that would sound final and is not."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(silent("Let me", " check the"))
        await settle()
        for _ in range(4):
            await advance(FIRST_FLUSH_S)  # type: ignore[operator]  # a function
        assert "f" not in kinds(service.peer)
        utterance.interrupt()


async def test_white_space_behind_a_flush_waits_for_the_next_word() -> None:
    """It goes out in one message with that, or with the end."""
    service = Service()
    async with open_channel(service) as live, live.utterance(flush="sentence") as utterance:
        await live.ready()
        await utterance.send("One. ")
        await settle()
        assert texts(service.peer) == ["One."]
        await utterance.send("Two.")
        await settle()
        assert texts(service.peer) == ["One.", " Two."]
        utterance.interrupt()


async def test_sentences_and_their_flushes_leave_in_one_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of what is longer than a token, and with the text behind them."""
    service, written = Service(), list[int]()
    send_all = MemorySocket.send_all

    def write(socket: MemorySocket, messages: Sequence[bytes]) -> None:
        written.append(len(messages))
        send_all(socket, messages)

    monkeypatch.setattr(MemorySocket, "send_all", write)
    async with open_channel(service) as live:
        await live.ready()
        many = "many " * (TOKEN_CHARS // 5)
        utterance = live.speak(silent(f"It is {many}words. It is. And"))
        await settle()
        assert texts(service.peer) == [f"It is {many}words.", " It is.", " And"]
        assert kinds(service.peer) == "stftft"
        assert written == [len("stftft")]
        utterance.interrupt()


@virtual
async def test_a_source_asks_no_more_once_there_is_room() -> None:
    """Room that was short once costs later tokens nothing."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        reading = asyncio.ensure_future(read(utterance))
        await settle(1)
        await utterance.send(" " * (TEXT_QUEUE_BYTES + 1))  # waits for the socket
        sender = utterance._turn.sender
        assert (sender.full, sender.look) == (False, False)
        utterance.interrupt()
        await reading


@virtual
async def test_no_token_passes_a_credit_that_is_spent() -> None:
    """Neither the first behind a mark nor the next one, which would go the short way."""
    service, more = Service(), asyncio.Semaphore(0)

    async def tokens() -> AsyncIterator[str]:
        for token in ("one ", "two ", "three ", "four "):
            yield token
            await more.acquire()

    async with open_channel(service) as live:
        utterance = live.speak(tokens(), flush="never")
        await settle()
        utterance.mark_played(0.0)
        more.release()
        await settle()
        assert texts(service.peer) == ["one ", "two "]
        speak(service.peer, *[SECOND] * 11, finish=None)
        await settle()
        more.release()
        await settle()
        assert texts(service.peer) == ["one ", "two "]
        utterance.mark_played(2.0)
        await settle()
        assert texts(service.peer) == ["one ", "two ", "three "]
        utterance.interrupt()


def in_turns(
    tokens: Sequence[str], each: Callable[[], object] | None = None, *, endless: bool = True
) -> AsyncIterator[str]:
    """Yield tokens, each in a turn of the loop of its own, and then nothing, without an end."""

    async def bring() -> AsyncIterator[str]:
        for token in tokens:
            await asyncio.sleep(0)
            if each is not None:
                each()
            yield token
        if endless:
            await asyncio.Event().wait()

    return bring()


WORDS = [f"word{n} " for n in range(30)]


@virtual
async def test_a_burst_leaves_in_one_message() -> None:
    """Tokens on the heels of one that was written go out together, once the source pauses."""
    service = Service()

    async def bursts() -> AsyncIterator[str]:
        for _ in range(2):
            async for word in in_turns(WORDS, endless=False):
                yield word
            await asyncio.sleep(BURST_S)
        await asyncio.Event().wait()

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(bursts(), flush="never")
        await settle(len(WORDS) + 10)
        first = [*WORDS[:2], "".join(WORDS[2:])]
        assert texts(service.peer) == first
        await asyncio.sleep(BURST_S)
        await settle(len(WORDS) + 10)
        assert texts(service.peer) == [*first, WORDS[0], "".join(WORDS[1:])]
        utterance.interrupt()


@virtual
async def test_a_burst_waits_for_no_timer() -> None:
    """A token that joins is written two turns after it came, and the clock stands still."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(WORDS[:3]))
        began_s = clock().time()
        await settle(12)
        assert texts(service.peer) == WORDS[:3]
        assert clock().time() == began_s
        utterance.interrupt()


@virtual
async def test_a_burst_is_bounded_when_time_stands_still() -> None:
    """What has come is looked at after STEP_TOKENS at the latest, whatever the clock says."""
    service, many = Service(), WORDS * 10
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(many))
        await settle(len(many) + 10)
        sent = texts(service.peer)
        assert "".join(sent) == "".join(many)
        assert max(text.count(" ") for text in sent) <= STEP_TOKENS + 1
        utterance.interrupt()


@virtual
async def test_what_a_model_writes_is_never_joined() -> None:
    """Tokens BURST_S apart leave one by one, in the turn in which they came."""
    service, waiting = Service(), list[int]()

    def look() -> None:
        waiting.append(len(utterance._turn.sender.outbox.fresh))

    async def tokens() -> AsyncIterator[str]:
        for token in WORDS:
            # Called before anything that this token may have called.
            asyncio.get_running_loop().call_soon(look)
            yield token
            await asyncio.sleep(BURST_S)

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(tokens(), flush="never")
        await asyncio.sleep(BURST_S * (len(WORDS) - 0.5))
        assert texts(service.peer) == WORDS
        assert waiting == [0] * len(WORDS)
        utterance.interrupt()


async def test_a_token_waits_no_longer_than_a_burst_may_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BURST_S after the last write the next token takes along all that waits."""
    service, loop, now_s = Service(), asyncio.get_running_loop(), [1000.0]
    monkeypatch.setattr(loop, "time", lambda: now_s[0])

    def tick() -> None:
        now_s[0] += BURST_S / 4

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(WORDS, tick))
        await settle(len(WORDS) + 10)
        sent = texts(service.peer)
        assert "".join(sent) == "".join(WORDS)
        assert {text.count(" ") for text in sent[2:-1]} == {4}
        utterance.interrupt()
        monkeypatch.undo()


async def test_a_long_turn_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """BURST_S after the last write, what waits is written before the source is asked again."""
    service, loop, now_s = Service(), asyncio.get_running_loop(), [1000.0]
    monkeypatch.setattr(loop, "time", lambda: now_s[0])

    def sleep_over() -> None:
        now_s[0] += 0.6 * BURST_S

    def before_the_next_look() -> None:
        loop.call_soon(sleep_over)

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(WORDS, before_the_next_look))
        await settle(len(WORDS) + 10)
        assert texts(service.peer)[:3] == WORDS[:3]
        assert "".join(texts(service.peer)) == "".join(WORDS)
        utterance.interrupt()
        monkeypatch.undo()


@virtual
async def test_sentences_of_a_burst_are_flushed_where_they_end() -> None:
    """Joined or not, a flush stands between two sentences, and the stop behind the last."""
    service = Service()

    async def tokens() -> AsyncIterator[str]:
        for token in ("Hello", " there.", " How", " are", " you?", " Fine", " I", " hope."):
            await asyncio.sleep(0)
            yield token

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(tokens())
        await settle(30)
        assert kinds(service.peer).replace("tt", "t").replace("tt", "t") == "stftftS"
        assert "".join(texts(service.peer)) == "Hello there. How are you? Fine I hope."
        utterance.interrupt()


@virtual
async def test_an_interruption_finds_what_waits_in_a_burst() -> None:
    """It was never sent, and the ledger says so."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(WORDS))
        while len(utterance._turn.sender.outbox.fresh) < 5:
            await asyncio.sleep(0)
        peer, waiting = service.peer, "".join(utterance._turn.sender.outbox.fresh)
        utterance.interrupt()
        await settle()
        assert texts(peer) == WORDS[:2]
        assert utterance._turn.sender.unsent == waiting


@virtual
@pytest.mark.parametrize("bad", ["\ud800", 5])
async def test_a_burst_that_is_no_text_fails_at_its_item(bad: object) -> None:
    """What came before it is sent or accounted for, and the index is that of the item."""
    service, tokens = Service(), ["a ", "b ", "c ", bad, "d "]
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(tokens))  # type: ignore[arg-type]  # that is the point
        await settle(20)
        assert isinstance(utterance.error, InvalidTextError)
        assert utterance.error.index == 3
        found = utterance.interrupt()
        assert found.unheard_text == "a b c "


@virtual
@pytest.mark.parametrize("several", [False, True])
async def test_nobody_else_meets_what_is_no_text(several: bool) -> None:
    """It never waits in a burst, where another task that adds text would fail for it."""
    service = Service()

    async def tokens() -> AsyncIterator[str]:
        for token in ("a ", "b ", "c "):
            yield token
            await asyncio.sleep(0)
        yield "\ud800"
        if several:
            yield "d "
        await asyncio.sleep(0)
        yield "e "

    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(tokens())
        while utterance.error is None:
            for waiting in utterance._turn.sender.outbox.fresh:
                waiting.encode()
            await asyncio.sleep(0)
        with pytest.raises(StreamClosedError):
            await utterance.send("X")
        utterance.interrupt()


@virtual
async def test_text_of_another_task_stands_behind_a_burst_that_waits() -> None:
    """Text, flush and end come in the order in which they were added."""
    service = Service()
    async with open_channel(service) as live:
        await live.ready()
        utterance = live.speak(in_turns(WORDS[:4]), flush="never")
        while len(utterance._turn.sender.outbox.fresh) < 2:
            await asyncio.sleep(0)
        await utterance.send("X")
        await utterance.flush()
        await settle()
        assert "".join(texts(service.peer)) == "".join([*WORDS[:4], "X"])
        assert kinds(service.peer)[-1] == "f"
        utterance.interrupt()


@virtual
async def test_a_burst_survives_its_socket() -> None:
    """What waited when the connection was lost is said over the next one, behind what was sent."""
    service = Service()
    async with open_channel(service, retry=RetryPolicy()) as live:
        await live.ready()
        utterance = live.speak(in_turns(WORDS))
        reading = asyncio.ensure_future(read(utterance))
        while len(utterance._turn.sender.outbox.fresh) < 5:
            await asyncio.sleep(0)
        service.peer.drop()
        await asyncio.sleep(2)
        assert len(service.peers) == 2
        assert "".join(texts(service.peer)) == "".join(WORDS)
        utterance.interrupt()
        await reading


async def test_sentences_wait_for_a_socket_that_is_full() -> None:
    """Of a long text hardly more is written than fits; the rest follows in order."""
    service, sentences = Service(), [f" So {n}." for n in range(100, 1900)]
    sentence_bytes = min(len(encode("text", text=text) + FLUSH) for text in sentences)
    async with open_channel(service) as live:
        await live.ready()
        service.peer.pause_reading()
        utterance = live.speak("".join(sentences))
        await settle()
        sent = utterance._turn.sender.text_bytes
        most = WRITE_HIGH_BYTES // sentence_bytes + BATCH_MESSAGES // 2
        assert 0 < sent <= most * len(sentences[-1])
        assert sent < sum(map(len, sentences))
        service.peer.resume_reading()
        await settle()
        assert texts(service.peer) == sentences
        utterance.interrupt()
