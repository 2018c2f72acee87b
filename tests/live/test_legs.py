"""Another attempt before the first audio was heard: an utterance against a service that fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    FishLiveError,
    HostNotFoundError,
    InsufficientCreditsError,
    InvalidRequestError,
    MessageTooLarge,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerClosed,
    ServerError,
    ServerRejected,
    StallTimeout,
    StreamClosedError,
    SynthesisError,
    TLSError,
    UpgradeError,
    UtteranceInterrupted,
)
from fishlive.flow.retry import RetryPolicy
from fishlive.limits import MAX_MESSAGE_BYTES, TEXT_QUEUE_BYTES
from fishlive.live.channel import LiveTTS
from fishlive.live.plan import Attempt
from fishlive.live.stats import Outcome
from fishlive.live.utterance import Utterance
from fishlive.session import Session
from fishlive.transport.memory import MemoryPeer, MemoryRequest
from fishlive.wire.serving import Flush, Stop, Text, encode_audio, encode_error, encode_finish
from tests.conftest import settle
from tests.live.service import LOUD, Service, kinds, open_channel, read, said, speak, texts
from tests.live.virtual import clock, virtual

THRICE = RetryPolicy()
STUBBORN = RetryPolicy(attempts=10, total_s=1000)

Act = Callable[["Stage", MemoryRequest], object]
Fault = Callable[[MemoryPeer], object]


class Stage(Service):
    """A service that plays one act a connection that is spoken over; the last one again.

    A connection that is opened in advance and never spoken over uses up no act, unless its act is
    to refuse it.
    """

    def __init__(self, *acts: Act) -> None:
        super().__init__(self._next)
        self._acts = acts
        self.began: list[float] = []

    @property
    def act(self) -> Act:
        """What happens to the next attempt."""
        return self._acts[min(len(self.began), len(self._acts) - 1)]

    @property
    def spoken(self) -> list[MemoryPeer]:
        """Connections over which something was said."""
        return [peer for peer in self.peers if peer.messages]

    def _next(self, request: MemoryRequest) -> None:
        act = self.act
        if getattr(act, "refuses", False):
            self.began.append(clock().time())
            act(self, request)
        else:
            self.watch(self.accept(request), self._begin)

    def watch(self, peer: MemoryPeer, then: Callable[[MemoryPeer], object]) -> None:
        """Have ``then`` called behind every message of the client."""
        take = peer.on_message

        def on_message(message: bytes) -> None:
            take(message)
            then(peer)

        peer.on_message = on_message  # type: ignore[method-assign]

    def _begin(self, peer: MemoryPeer) -> None:
        if len(peer.messages) == 1:
            act = self.act
            self.began.append(clock().time())
            peer.act = act  # type: ignore[attr-defined]
        peer.act(self, peer)  # type: ignore[attr-defined]


def refuses(answer: Callable[[MemoryRequest], object]) -> Act:
    """Play an upgrade that fails."""

    def act(_stage: Stage, request: MemoryRequest) -> None:
        answer(request)

    act.refuses = True  # type: ignore[attr-defined]
    return act


def fails(error: type[FishLiveError] | FishLiveError) -> Act:
    """Play a network that fails to connect; a class is raised anew each time."""

    def answer(request: MemoryRequest) -> None:
        request.fail(error("no") if isinstance(error, type) else error)

    return refuses(answer)


def status(code: int, **headers: str) -> Act:
    """Play another answer than 101."""
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    return refuses(lambda request: request.refuse(code, lower))


def stumbles(fault: Fault, *chunks: bytes, after: int = 2) -> Act:
    """Play a service that fails when it has read so many messages, behind so much audio."""

    def act(_stage: Stage, peer: MemoryPeer) -> None:
        if len(peer.messages) == after:
            for chunk in chunks:
                peer.send(encode_audio(chunk))
            fault(peer)

    return act  # type: ignore[return-value]


def speaks(*chunks: bytes) -> Act:
    """Play a service that works."""

    def act(_stage: Stage, peer: MemoryPeer) -> None:
        if kinds(peer).endswith("S"):
            speak(peer, *chunks)

    return act  # type: ignore[return-value]


def closes(code: int, reason: str = "") -> Fault:
    """End with a close frame."""
    return lambda peer: peer.close(code, reason)


def says(message: bytes) -> Fault:
    """End with a message."""
    return lambda peer: peer.send(message)


def drops(peer: MemoryPeer) -> None:
    """End without a word."""
    peer.drop()


def stays(peer: MemoryPeer) -> None:
    """Fall silent."""


async def failure(utterance: Utterance) -> tuple[FishLiveError, list[bytes]]:
    """Read an utterance that fails; return how, and what was heard before."""
    heard: list[bytes] = []
    with pytest.raises(FishLiveError) as caught:
        async for chunk in utterance:
            heard.append(chunk)
    return caught.value, heard


async def until(when_s: float) -> None:
    """Wait for an instant of the virtual clock."""
    await asyncio.sleep(max(0.0, when_s - clock().time()))


def script(peer: MemoryPeer) -> tuple[str, list[int], bool]:
    """Return what was said over a connection: text, where flushes stood in it, whether stop came.

    Nothing may follow a stop.
    """
    text, flushes, stopped = "", [], False
    for event in said(peer):
        assert not stopped
        if isinstance(event, Text):
            text += event.text
        elif isinstance(event, Flush):
            flushes.append(len(text))
        elif isinstance(event, Stop):
            stopped = True
    return text, flushes, stopped


# By class


class Case(NamedTuple):
    """A fault, and what the listener would get of it if it were final."""

    act: Act
    error: type[FishLiveError]


AGAIN = {
    "refused": Case(fails(ConnectError), ConnectError),
    "resolver": Case(fails(DNSError), DNSError),
    "timeout": Case(refuses(lambda _: None), ConnectTimeout),
    "408": Case(status(408), ServerError),
    "429": Case(status(429), RateLimitError),
    "429 in time": Case(status(429, retry_after="2"), RateLimitError),
    "429 in ms": Case(status(429, retry_after_ms="250"), RateLimitError),
    "500": Case(status(500), ServerError),
    "502": Case(status(502), ServerError),
    "503": Case(status(503), ServerError),
    "503 in time": Case(status(503, retry_after="3"), ServerError),
    "504": Case(status(504), ServerError),
    "drop": Case(stumbles(drops), ConnectionLost),
    "silence": Case(stumbles(stays), StallTimeout),
    **{
        str(code): Case(stumbles(closes(code)), ServerClosed)
        for code in (1000, 1001, 1005, 1011, 1012, 1013)
    },
    "too many": Case(
        stumbles(says(encode_error("busy", max_concurrency=5))), ConcurrencyLimitError
    ),
    "too many in words": Case(
        stumbles(says(encode_error("Concurrency limit exceeded"))), ConcurrencyLimitError
    ),
    "1008 for concurrency": Case(
        stumbles(closes(1008, "concurrency limit exceeded")), ConcurrencyLimitError
    ),
    "malformed": Case(stumbles(says(b"\xc1")), ProtocolError),
}

NEVER = {
    "no such host": Case(fails(HostNotFoundError), HostNotFoundError),
    "certificate": Case(fails(TLSError), TLSError),
    "200": Case(status(200), UpgradeError),
    "302": Case(status(302), UpgradeError),
    "426": Case(status(426), UpgradeError),
    "400": Case(status(400), InvalidRequestError),
    "401": Case(status(401), AuthenticationError),
    "402": Case(status(402), InsufficientCreditsError),
    "403": Case(status(403), PermissionDeniedError),
    "404": Case(status(404), NotFoundError),
    "415": Case(status(415), InvalidRequestError),
    "422": Case(status(422), InvalidRequestError),
    "429 too late": Case(status(429, retry_after="11"), RateLimitError),
    "503 too late": Case(status(503, retry_after="11"), ServerError),
    **{
        str(code): Case(stumbles(closes(code)), ServerRejected)
        for code in (1002, 1003, 1007, 1008, 1009, 1010)
    },
    "1008 for credit": Case(stumbles(closes(1008, "no credit")), InsufficientCreditsError),
    "no such voice": Case(stumbles(says(encode_error("no such voice"))), InvalidRequestError),
    "finish(error)": Case(stumbles(says(encode_finish("error"))), SynthesisError),
    "finish(?)": Case(stumbles(says(encode_finish("?"))), SynthesisError),
    "huge": Case(stumbles(says(b"\0" * (MAX_MESSAGE_BYTES + 1))), MessageTooLarge),
}


@pytest.mark.parametrize("name", AGAIN)
@virtual
async def test_what_may_pass_is_tried_again_unheard(name: str) -> None:
    """The listener hears the second attempt, whole; nobody raises; each was told the same."""
    seen: list[Attempt] = []
    stage = Stage(AGAIN[name].act, speaks(LOUD, LOUD * 2))
    async with open_channel(stage, retry=THRICE, on_retry=seen.append) as live:
        utterance = live.speak("Hello. You there.")
        assert await read(utterance) == [LOUD, LOUD * 2]
        assert utterance.stats.attempts == 2
        assert utterance.outcome is Outcome.FINISHED
        assert [type(attempt.cause) for attempt in seen] == [AGAIN[name].error]
        text, flushes, stopped = script(stage.spoken[-1])
        assert (text, stopped) == ("Hello. You there.", True)
        for peer in stage.spoken[:-1]:
            before = script(peer)
            assert text.startswith(before[0])
            assert flushes[: len(before[1])] == before[1]
            assert peer.closed


@pytest.mark.parametrize("name", NEVER)
@virtual
async def test_what_will_end_the_same_is_raised_at_once(name: str) -> None:
    """Without a wait, without a second attempt, without asking the hook."""
    seen: list[Attempt] = []
    stage = Stage(NEVER[name].act, speaks(LOUD))
    async with open_channel(stage, retry=THRICE, on_retry=seen.append) as live:
        utterance = live.speak("Hello. You there.")
        error, heard = await failure(utterance)
        assert type(error) is NEVER[name].error
        assert (heard, seen, clock().time()) == ([], [], 0.0)
        assert error.attempts == utterance.stats.attempts == 1
        assert len(stage.began) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (drops, ConnectionLost),
        (stays, StallTimeout),
        (closes(1011), ServerClosed),
        (says(b"\xc1"), ProtocolError),
        (says(encode_error("busy", max_concurrency=5)), ConcurrencyLimitError),
    ],
)
@virtual
async def test_nothing_is_tried_again_once_audio_was_read(
    fault: Fault, kind: type[FishLiveError]
) -> None:
    """What the listener has heard cannot be taken back: all that came, and then the error."""
    stage = Stage(stumbles(stays), speaks(LOUD))
    async with open_channel(stage, retry=STUBBORN) as live:
        utterance = live.speak("Hello.")
        failed = asyncio.create_task(failure(utterance))
        await settle()
        speak(stage.peers[0], LOUD, finish=None)
        await settle()
        speak(stage.peers[0], LOUD * 2, finish=None)
        fault(stage.peers[0])
        error, heard = await failed
        assert (type(error), heard) == (kind, [LOUD, LOUD * 2])
        assert (error.attempts, error.audio_bytes) == (1, 6)
        assert len(stage.began) == 1


@virtual
async def test_a_malformed_message_is_tried_again_exactly_once() -> None:
    """Twice it is the service, however stubborn the policy."""
    stage = Stage(stumbles(says(b"\xc1")))
    async with open_channel(stage, retry=STUBBORN) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, ProtocolError)
        assert error.attempts == len(stage.began) == 2


@virtual
async def test_a_finish_before_the_end_of_the_text_is_tried_again() -> None:
    """The service gave up early, and nothing was heard."""
    stage = Stage(stumbles(says(encode_finish())), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.utterance()
        heard = asyncio.create_task(read(utterance))
        await utterance.send("Hello")
        await until(2)
        assert script(stage.spoken[1]) == ("Hello", [], False)
        await utterance.end()
        assert await heard == [LOUD]


# How often, and when


@virtual
async def test_there_are_three_attempts() -> None:
    """The last error is raised, and knows how often it was tried."""
    stage = Stage(status(500), status(502), status(503), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak("Hello.")
        error, _ = await failure(utterance)
        assert isinstance(error, ServerError)
        assert error.status == 503
        assert error.attempts == utterance.stats.attempts == len(stage.began) == 3


@virtual
async def test_connecting_ends_within_ten_seconds() -> None:
    """Two connections that time out use the time up, although three attempts were allowed."""
    stage = Stage(refuses(lambda _: None))
    async with open_channel(stage, retry=THRICE) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, ConnectTimeout)
        assert error.attempts == 2
        assert 10 <= clock().time() <= 10.1


@virtual
async def test_a_service_that_stalls_is_asked_once_more() -> None:
    """Ten seconds, a short wait, ten more: there is no third time."""
    stage = Stage(stumbles(stays))
    async with open_channel(stage, retry=THRICE) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, StallTimeout)
        assert error.attempts == 2
        assert 20 <= clock().time() <= 20.1


@virtual
async def test_the_services_time_is_waited() -> None:
    """Neither less nor much more."""
    stage = Stage(status(429, retry_after="4"), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        assert await read(live.speak("Hello.")) == [LOUD]
        assert stage.began[0] == 0
        assert 4 <= stage.began[1] <= 5


@virtual
async def test_the_time_a_refusal_asked_for_is_told() -> None:
    """An error that was not worth waiting for says how long it would have been."""
    stage = Stage(status(429, retry_after="60"))
    async with open_channel(stage, retry=THRICE) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, RateLimitError)
        assert error.retry_after_s == 60


@virtual
async def test_the_bucket_of_the_account_ends_it() -> None:
    """After four failures the fifth utterance is not tried again, nor is any other channel's."""
    stage = Stage(status(503))
    fish = Session("bucket-key", base_url="http://127.0.0.1:9", transport=stage.connect)
    async with fish:
        counts = []
        for _ in range(4):
            async with fish.live(retry=THRICE, standby=0) as live:
                error, _ = await failure(live.speak("Hello."))
                counts.append(error.attempts)
        assert counts == [3, 2, 1, 1]


@virtual
async def test_connections_that_die_young_end_it() -> None:
    """Three in a row, without a word, and the policy's ten attempts are forgotten."""
    stage = Stage(stumbles(drops))
    async with open_channel(stage, retry=STUBBORN) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, ConnectionLost)
        assert error.attempts == len(stage.began) == 3


@virtual
async def test_a_refusal_in_words_is_no_stillborn_connection() -> None:
    """A busy service that says so, and asks nobody to go away, may be asked more than three times.

    Here it has not died without a word: it sent a valid event.
    """
    stage = Stage(*[stumbles(says(encode_error("busy", max_concurrency=5)))] * 4, speaks(LOUD))
    async with open_channel(stage, retry=STUBBORN) as live:
        assert await read(live.speak("Hello.")) == [LOUD]


@virtual
async def test_a_restarting_service_is_not_called_before_the_wait_is_over() -> None:
    """The jitter is for the connection too: a thousand clients were cut in the same moment."""
    stage = Stage(stumbles(closes(1012)), speaks(LOUD))
    seen: list[Attempt] = []
    asked_s: list[float] = []

    async def connect(target: Any, receiver: Any) -> Any:
        asked_s.append(clock().time())
        return await stage.connect(target, receiver)

    async with (
        Session("key", base_url="http://127.0.0.1:9", transport=connect) as fish,
        fish.live(retry=THRICE, standby=0, on_retry=seen.append) as live,
    ):
        assert await read(live.speak("Hello.")) == [LOUD]
        assert asked_s[1] == seen[0].delay_s


@virtual
async def test_a_connection_that_lived_for_two_seconds_was_not_stillborn() -> None:
    """It begins the count anew."""

    def later(peer: MemoryPeer) -> None:
        clock().call_later(2.0, peer.drop)

    stage = Stage(stumbles(later), stumbles(drops), stumbles(drops), speaks(LOUD))
    async with open_channel(stage, retry=STUBBORN) as live:
        assert await read(live.speak("Hello.")) == [LOUD]


@virtual
async def test_a_connection_that_brought_audio_was_not_stillborn() -> None:
    """Audio is a word, also if nobody read it."""
    stage = Stage(*[stumbles(drops, LOUD)] * 4, speaks(LOUD * 3))
    async with open_channel(stage, retry=STUBBORN) as live:
        utterance = live.speak("Hello.")
        await asyncio.sleep(60)
        assert await read(utterance) == [LOUD * 3]


# The text


@virtual
async def test_the_source_is_read_once_and_goes_on() -> None:
    """What was said is our own copy; text that comes during the wait follows it."""
    taken: list[int] = []

    async def llm() -> AsyncIterator[str]:
        for number in range(8):
            taken.append(number)
            yield f"Sentence {number} is here. "
            await asyncio.sleep(0.5)

    stage = Stage(
        stumbles(closes(1011), after=4), status(429, retry_after="1.2"), speaks(LOUD, LOUD)
    )
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak(llm())
        assert await read(utterance) == [LOUD, LOUD]
        assert taken == list(range(8))
        whole = "".join(f"Sentence {number} is here. " for number in range(8))
        text, flushes, stopped = script(stage.spoken[-1])
        assert (text, stopped) == (whole, True)
        first = script(stage.spoken[0])
        assert whole.startswith(first[0])
        assert flushes[: len(first[1])] == first[1]
        assert utterance.stats.text_utf8_bytes == len(whole)


@virtual
async def test_texts_flushes_and_stop_keep_their_order() -> None:
    """By hand: what stood where stands there again, in as few messages as can be."""
    stage = Stage(stumbles(closes(1011), after=8), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        await live.ready()
        utterance = live.utterance()
        heard = asyncio.create_task(read(utterance))
        for word in ("a", "b"):
            await utterance.send(word)
            await settle()
        await utterance.flush()
        for word in ("c", "d"):
            await utterance.send(word)
            await settle()
        await utterance.flush()
        await utterance.end()
        assert await heard == [LOUD]
        assert kinds(stage.spoken[0]) == "sttfttfS"
        assert kinds(stage.spoken[1]) == "stftfS"
        assert texts(stage.spoken[1]) == ["ab", "cd"]


@pytest.mark.parametrize(("extra", "attempts"), [(0, 2), (1, 1)])
@virtual
async def test_text_over_64_kib_is_never_said_again(extra: int, attempts: int) -> None:
    """To the byte of UTF-8; the error of the first attempt is the last."""
    half = "é" * (TEXT_QUEUE_BYTES // 4)
    stage = Stage(stumbles(stays), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        await live.ready()
        utterance = live.utterance()
        result = asyncio.create_task(asyncio.wait_for(_any(utterance), 60))
        await settle()
        for text in (half, half, "x" * extra):
            await utterance.send(text)
            await settle()
        stage.peers[0].drop()
        await asyncio.sleep(1)
        if attempts == 2:
            assert script(stage.spoken[1])[0] == half * 2
            await utterance.end()
            assert await result == [LOUD]
        else:
            error = await result
            assert isinstance(error, ConnectionLost)
            assert error.attempts == 1
            assert len(stage.spoken) == 1


async def _any(utterance: Utterance) -> object:
    try:
        return await read(utterance)
    except FishLiveError as error:
        return error


@virtual
async def test_text_that_waits_does_not_count() -> None:
    """Only what was sent would have to be sent again."""
    stage = Stage(status(503), speaks(LOUD))
    text = "x" * (2 * TEXT_QUEUE_BYTES)
    async with open_channel(stage, retry=THRICE) as live:
        assert await read(live.speak(text)) == [LOUD]
        assert script(stage.spoken[0])[0] == text


@virtual
async def test_sending_goes_on_while_it_waits() -> None:
    """A producer by hand learns nothing of the failure."""
    stage = Stage(stumbles(says(encode_error("busy", max_concurrency=1))), speaks(LOUD))
    async with open_channel(stage, retry=RetryPolicy(throttle_base_s=5)) as live:
        utterance = live.utterance()
        heard = asyncio.create_task(read(utterance))
        await utterance.send("One. ")
        await settle()
        await utterance.flush()
        await utterance.send("Two.")
        await utterance.flush()
        await utterance.end()
        assert await heard == [LOUD]
        assert script(stage.spoken[1]) == ("One. Two.", [5, 9], True)


@virtual
async def test_text_that_comes_in_the_wait_does_not_end_it() -> None:
    """The time that the service asked for holds for what was still to come as well."""
    stage = Stage(status(429, retry_after="5"), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.utterance()
        await utterance.send("One. ")
        await until(1)
        await utterance.send("Two.")
        await utterance.end()
        assert await read(utterance) == [LOUD]
        assert stage.began[1] >= 5


# Audio that nobody read


@virtual
async def test_unread_audio_of_a_failed_attempt_is_not_heard_beside_the_next() -> None:
    """Two syntheses differ: the listener hears one of them."""
    stage = Stage(stumbles(drops, LOUD, LOUD * 2), speaks(LOUD * 3))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak("Hello.")
        await asyncio.sleep(5)
        assert utterance.outcome is Outcome.RUNNING
        assert await read(utterance) == [LOUD * 3]
        assert utterance.stats.audio_bytes == 6


@virtual
async def test_unread_audio_is_heard_if_no_later_attempt_brings_any() -> None:
    """Better the beginning of a sentence than nothing: then the error."""
    stage = Stage(stumbles(drops, LOUD, LOUD * 2), status(503))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak("Hello.")
        await asyncio.sleep(5)
        error, heard = await failure(utterance)
        assert isinstance(error, ServerError)
        assert b"".join(heard) == LOUD * 3
        assert (error.attempts, error.audio_bytes) == (3, 6)


@virtual
async def test_of_several_failed_attempts_the_newest_audio_is_heard() -> None:
    """Never two of them."""
    stage = Stage(stumbles(drops, LOUD), stumbles(drops, LOUD * 2), status(401))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak("Hello.")
        await asyncio.sleep(5)
        error, heard = await failure(utterance)
        assert isinstance(error, AuthenticationError)
        assert heard == [LOUD * 2]
        assert error.audio_bytes == 4


@virtual
async def test_the_last_attempts_audio_replaces_the_first_ones() -> None:
    """The last one failed behind audio: that is what is heard, once."""
    stage = Stage(stumbles(drops, LOUD), stumbles(says(encode_finish("error")), LOUD * 2))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak("Hello.")
        await asyncio.sleep(5)
        error, heard = await failure(utterance)
        assert isinstance(error, SynthesisError)
        assert heard == [LOUD * 2]


@virtual
async def test_a_reader_that_waits_does_not_hear_what_was_lost_in_the_same_moment() -> None:
    """Audio and the loss come together: nothing was read, so it is said again."""
    stage = Stage(stumbles(drops, LOUD), speaks(LOUD * 3))
    async with open_channel(stage, retry=THRICE) as live:
        assert await read(live.speak("Hello.")) == [LOUD * 3]


@virtual
async def test_an_interruption_forgets_unread_audio() -> None:
    """During the wait there is none to drop."""
    stage = Stage(stumbles(drops, LOUD), status(503, retry_after="5"))
    async with open_channel(stage, retry=THRICE) as live:
        utterance = live.speak("Hello.")
        await asyncio.sleep(1)
        utterance.interrupt()
        assert await read(utterance) == []


# The hook


@virtual
async def test_the_hook_sees_each_failure_with_number_cause_and_delay() -> None:
    """And the delay is the one that is waited."""
    seen: list[tuple[float, Attempt]] = []
    stage = Stage(status(503, retry_after="2"), stumbles(stays), speaks(LOUD))
    async with open_channel(
        stage, retry=STUBBORN, on_retry=lambda a: seen.append((clock().time(), a))
    ) as live:
        utterance = live.speak("Hello.")
        assert await read(utterance) == [LOUD]
        assert utterance.stats.attempts == 3
        (first_s, first), (second_s, second) = seen
        assert (first.number, type(first.cause), first_s) == (1, ServerError, 0.0)
        assert (second.number, type(second.cause)) == (2, StallTimeout)
        assert stage.began[1:] == [first_s + first.delay_s, second_s + second.delay_s]


@virtual
async def test_the_hook_may_forbid() -> None:
    """False, and the cause is raised; nothing was waited for."""
    stage = Stage(status(503), speaks(LOUD))
    async with open_channel(stage, retry=THRICE, on_retry=lambda _: False) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, ServerError)
        assert error.attempts == 1
        assert clock().time() == 0


@virtual
async def test_a_hook_that_raises_forbids_and_the_loop_hears_of_it() -> None:
    """The listener gets the service's error, not the hook's."""
    bug = ZeroDivisionError("a bug of the caller")

    def hook(_attempt: Attempt) -> None:
        raise bug

    stage = Stage(status(503), speaks(LOUD))
    async with open_channel(stage, retry=THRICE, on_retry=hook) as live:
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, ServerError)
    assert [context["exception"] for context in clock().complaints] == [bug]
    clock().complaints.clear()


@pytest.mark.parametrize("by", ["utterance", "channel", "next"])
@virtual
async def test_a_hook_may_interrupt(by: str) -> None:
    """That is an end as any other: no error, no wait, no timer."""
    stage = Stage(stumbles(drops), speaks(LOUD))
    made: list[Utterance] = []

    def hook(_attempt: Attempt) -> None:
        if by == "utterance":
            made[0].interrupt()
        elif by == "channel":
            live.interrupt()
        else:
            made.append(live.speak("Next."))

    async with open_channel(stage, retry=THRICE, on_retry=hook) as live:
        made.append(live.speak("Hello."))
        assert await read(made[0]) == []
        assert made[0].outcome is Outcome.INTERRUPTED
        if by == "next":
            assert await read(made[1]) == [LOUD]
            assert script(stage.spoken[-1])[0] == "Next."
        else:
            await settle()
            assert not clock().timers
            assert len(stage.spoken) == 1


# Leaving during the wait

BUSY = status(429, retry_after="5")


@contextlib.asynccontextmanager
async def waiting(**options: Any) -> AsyncIterator[tuple[Stage, LiveTTS, Utterance]]:
    """Have an utterance wait for its second attempt, with four seconds to go."""
    stage = Stage(BUSY, speaks(LOUD))
    async with open_channel(stage, retry=THRICE, **options) as live:
        utterance = live.speak("Hello.")
        await until(1)
        assert (len(stage.began), utterance.outcome) == (1, Outcome.RUNNING)
        yield stage, live, utterance


@virtual
async def test_interrupting_the_wait_ends_it_at_once() -> None:
    """No timer is left, and nothing is ever said."""
    async with waiting() as (stage, live, utterance):
        reader = asyncio.create_task(read(utterance))
        await settle()
        utterance.interrupt()
        assert await reader == []
        assert not clock().timers
        await until(60)
        assert not stage.spoken
        with pytest.raises(UtteranceInterrupted):
            await utterance.send("more")
        assert await read(live.speak("Next.")) == [LOUD]


@virtual
async def test_cancelling_the_listener_in_the_wait_loses_nothing() -> None:
    """The utterance goes on; leaving its block ends it."""
    async with waiting() as (_, _, utterance):
        async with utterance:
            chunks = aiter(utterance)
            reader = asyncio.ensure_future(anext(chunks))
            await settle()
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            assert await anext(chunks) == LOUD
            assert [chunk async for chunk in chunks] == []
        assert utterance.outcome is Outcome.FINISHED


@virtual
async def test_a_cancelled_block_in_the_wait_leaves_nothing() -> None:
    """As a timeout around the whole turn does it."""
    async with waiting() as (stage, _, utterance):

        async def turn() -> None:
            async with utterance:
                await read(utterance)

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(turn(), 0.5)
        assert not clock().timers
        await until(60)
        assert not stage.spoken


@pytest.mark.parametrize("how", ["aclose", "drop", "next"])
@virtual
async def test_closing_dropping_or_replacing_it_in_the_wait_leaves_nothing(how: str) -> None:
    """Each is an interruption."""
    stage = Stage(BUSY, speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        utterance: Utterance | None = live.speak("Hello.")
        await until(1)
        assert utterance is not None
        if how == "aclose":
            await utterance.aclose()
        elif how == "drop":
            del utterance
            gc.collect()
        else:
            assert await read(live.speak("Next.")) == [LOUD]
            assert clock().time() == 1.0
        await settle()
        assert not clock().timers
        await until(60)
        assert [script(peer)[0] for peer in stage.spoken] == (["Next."] if how == "next" else [])


@virtual
async def test_break_in_the_wait_leaves_nothing() -> None:
    """It cannot be reached within a loop body, but a generator around it can be closed there."""
    stage = Stage(BUSY, speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        async for chunk in _first_or_nothing(live.speak("Hello."), 1.0):
            assert chunk == b"nothing"
            break
        await settle()
        assert not clock().timers
        assert not stage.spoken


async def _first_or_nothing(utterance: Utterance, within_s: float) -> AsyncIterator[bytes]:
    async with utterance:
        chunks = aiter(utterance)
        try:
            yield await asyncio.wait_for(anext(chunks), within_s)
        except asyncio.TimeoutError:
            utterance.interrupt()
            yield b"nothing"


@virtual
async def test_leaving_the_channel_in_the_wait_leaves_nothing() -> None:
    """A listener in another task is told."""
    with pytest.warns(ResourceWarning):
        async with waiting() as (_, _, utterance):
            reader = asyncio.create_task(_any(utterance))
            await settle()
    assert isinstance(await reader, StreamClosedError)
    assert clock().time() == 1.0
    assert not clock().timers


@virtual
async def test_leaving_the_session_in_the_wait_leaves_nothing() -> None:
    """An exception that passes through is not masked."""
    with pytest.raises(ZeroDivisionError):
        async with waiting():
            raise ZeroDivisionError
    assert not clock().timers


@virtual
async def test_a_slot_is_given_back_while_it_waits() -> None:
    """Another channel of the account speaks meanwhile."""
    stage = Stage(stumbles(says(encode_error("concurrency limit"))), speaks(LOUD))
    policy = RetryPolicy(throttle_base_s=5)
    async with (
        Session(
            "slot-key", base_url="http://127.0.0.1:9", transport=stage.connect, concurrency=1
        ) as fish,
        fish.live(retry=policy, standby=0) as one,
        fish.live(retry=policy, standby=0) as two,
    ):
        first = asyncio.create_task(read(one.speak("One.")))
        await settle(50)
        assert len(stage.began) == 1
        assert clock().time() == 0
        assert await read(two.speak("Two.")) == [LOUD]
        assert clock().time() == 0
        assert not first.done()
        assert await first == [LOUD]


# Connecting in advance


@virtual
async def test_ready_after_a_failed_first_connection() -> None:
    """It tells of it once; the next call connects, and speaking works."""
    stage = Stage(fails(ConnectError("no")), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        with pytest.raises(ConnectError):
            await live.ready()
        await live.ready()
        utterance = live.speak("Hello.")
        assert await read(utterance) == [LOUD]
        assert utterance.stats.attempts == 1


@virtual
async def test_a_connection_that_failed_in_advance_is_tried_again_by_the_first_utterance() -> None:
    """Nobody waited for it: the utterance counts it as its first attempt."""
    stage = Stage(status(503), speaks(LOUD))
    async with open_channel(stage, retry=THRICE) as live:
        await until(30)
        utterance = live.speak("Hello.")
        assert await read(utterance) == [LOUD]
        assert utterance.stats.attempts == 2


@virtual
async def test_a_connection_that_is_refused_in_advance_is_not_tried_again() -> None:
    """A wrong key is told to the first utterance."""
    stage = Stage(status(401))
    async with open_channel(stage, retry=THRICE) as live:
        await until(30)
        error, _ = await failure(live.speak("Hello."))
        assert isinstance(error, AuthenticationError)
        assert error.attempts == 1


# Anything


def sample(attempt: int, number: int) -> bytes:
    """Return audio that says whose it is."""
    return struct.pack("<2H", 0x4000 + attempt, number)


KEYS = itertools.count()

FAULTS: dict[str, Fault] = {
    "drop": drops,
    "stall": stays,
    "1011": closes(1011),
    "1012": closes(1012),
    "1008": closes(1008),
    "malformed": says(b"\xc1"),
    "finish(error)": says(encode_finish("error")),
    "too many": says(encode_error("busy", max_concurrency=5)),
}
REFUSALS: dict[str, Callable[[MemoryRequest], object]] = {
    "refused": lambda request: request.fail(ConnectError("no")),
    "503": lambda request: request.refuse(503),
    "429": lambda request: request.refuse(429, {"retry-after": "1"}),
    "401": lambda request: request.refuse(401),
}

STREAM_FAULTS = st.tuples(
    st.sampled_from(sorted(FAULTS)),
    st.integers(1, 9),  # messages it reads before it fails
    st.integers(0, 3),  # audio messages that it sends before
    st.sampled_from([0.0, 0.05, 3.0]),  # seconds between those and the failure
)
FAILURES = st.lists(STREAM_FAULTS | st.sampled_from(sorted(REFUSALS)), max_size=5)
TEXTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "Hello. ", "über ", "Wait", "...", "x" * 120]),
        st.booleans(),
        st.sampled_from([0.0, 0.0, 0.3, 4.0]),
    ),
    min_size=1,
    max_size=6,
)


def acts(failures: list[Any], said_by: dict[int, list[bytes]]) -> Iterator[Act]:
    """Yield the acts of a plot; ``said_by`` fills with the audio that each attempt sends."""
    for attempt, failing in enumerate(failures):
        if isinstance(failing, str):
            yield refuses(REFUSALS[failing])
            continue
        kind, after, audio, delay_s = failing
        chunks = [sample(attempt, number) for number in range(audio)]

        def fault(
            peer: MemoryPeer,
            kind: str = kind,
            attempt: int = attempt,
            chunks: list[bytes] = chunks,
            delay_s: float = delay_s,
        ) -> None:
            said_by[attempt] = chunks
            if delay_s:
                clock().call_later(delay_s, FAULTS[kind], peer)
            else:
                FAULTS[kind](peer)

        yield stumbles(fault, *chunks, after=after)
    whole = [sample(len(failures), number) for number in range(3)]
    said_by[len(failures)] = whole
    yield speaks(*whole)


@settings(max_examples=200)
@given(FAILURES, TEXTS, st.booleans(), st.booleans())
def test_whatever_fails_the_listener_hears_one_attempt(
    failures: list[Any],
    words: list[tuple[str, bool, float]],
    eager: bool,
    by_hand: bool,
) -> None:
    """Whole, or to where it failed; and each attempt is told a beginning of the same text."""
    said_by: dict[int, list[bytes]] = {}
    stage = Stage(*acts(failures, said_by))
    text = "".join(word for word, _, _ in words)

    async def llm() -> AsyncIterator[str]:
        for word, _, pause_s in words:
            yield word
            await asyncio.sleep(pause_s)

    async def write(utterance: Utterance) -> None:
        with contextlib.suppress(StreamClosedError):
            for word, flush, pause_s in words:
                await utterance.send(word)
                if flush:
                    await utterance.flush()
                await asyncio.sleep(pause_s)
            await utterance.end()

    @virtual
    async def main() -> None:
        # A key of its own: accounts share a bucket of retries.
        key = f"key-{next(KEYS)}"
        fish = Session(key, base_url="http://127.0.0.1:9", transport=stage.connect)
        retry = RetryPolicy(attempts=6, total_s=60)
        async with fish, fish.live(retry=retry, standby=0) as live:
            utterance = live.utterance() if by_hand else live.speak(llm())
            writer = asyncio.create_task(write(utterance)) if by_hand else None
            if not eager:
                await asyncio.sleep(200)
            heard, error = await _listen(utterance)
            if writer is not None:
                await writer
            _judge(said_by, heard, error)
            _judge_text(stage, text, whole=error is None)
            if error is not None:
                assert isinstance(error, FishLiveError)
                assert error.audio_bytes == len(heard)
            assert utterance.stats.attempts <= len(stage.began)

        await asyncio.sleep(5)  # faults that were still to come

    main()


async def _listen(utterance: Utterance) -> tuple[bytes, BaseException | None]:
    heard = b""
    try:
        async for chunk in utterance:
            heard += chunk
    except FishLiveError as error:
        return heard, error
    return heard, None


def _judge(said_by: dict[int, list[bytes]], heard: bytes, error: BaseException | None) -> None:
    """Compare what was heard with the attempt that worked, or the newest that brought audio."""
    works = max(said_by)
    if error is None:
        assert heard == b"".join(said_by[works])
        return
    brought = [attempt for attempt, audio in said_by.items() if audio and attempt != works]
    assert heard == (b"".join(said_by[max(brought)]) if brought else b"")


def _judge_text(stage: Stage, text: str, *, whole: bool) -> None:
    scripts = [script(peer) for peer in stage.spoken]
    longest = max((flushes for _, flushes, _ in scripts), key=len, default=[])
    for said_text, flushes, stopped in scripts:
        assert text.startswith(said_text)
        assert flushes == longest[: len(flushes)]
        assert not stopped or said_text == text
    if whole and scripts:
        assert scripts[-1][0] == text
        assert scripts[-1][2]
