"""Every row of the second fault table: what a listener meets in the middle of speech.

``VERDICTS`` is the table; where a row ends otherwise than one might expect, the reason is beside
it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

import pytest

from fishlive import RetryPolicy
from fishlive.errors import (
    AuthenticationError,
    ConcurrencyLimitError,
    ConnectError,
    ConnectionLost,
    InvalidRequestError,
    MessageTooLarge,
    ProtocolError,
    ServerClosed,
    ServerRejected,
    StallTimeout,
    StreamInterrupted,
    SynthesisError,
    UpgradeError,
)
from fishlive.faults import Fault
from fishlive.live import attempts
from fishlive.live.plan import Attempt
from tests.adversity.matrix import HASTY, TEXT, TWICE, WAYS, Way, everywhere, marks, session, until
from tests.adversity.playing import (
    ALL,
    Theatre,
    Verdict,
    always,
    check,
    check_all,
    give_up,
    meet,
    recover,
    rounds,
    theatre,
)
from tests.adversity.rows import STREAMING

PATIENT_AT_FIRST: Final = replace(HASTY, first_audio_s=10.0)
"""For silence behind audio, which must have come before it, however busy the machine is."""

PATIENT_IN_BETWEEN: Final = replace(PATIENT_AT_FIRST, stall_s=1.0)
"""For silence behind all of the audio."""

ONLY_PONGS: Final = replace(HASTY, first_audio_s=None, stall_s=None)
"""For who would wait for audio for ever, but not for a dead peer."""

UNNOTICED: Final = Verdict()
LOST: Final = Verdict(ConnectionLost, {"retryable": True}, heard=1, again=True)
MALFORMED: Final = Verdict(ProtocolError, {"retryable": False}, heard=1, again=True)
"""Tried again, once: it may be damage on the way. The error itself says what was malformed, so that
the caller need not try the same for ever. The socket is cut, and not closed with 1007: who sends
such a thing reads no close codes."""

TOO_LARGE: Final = Verdict(MessageTooLarge, {"retryable": False}, heard=1, again=False)


def closed(code: int, reason: str = "", *, heard: int = 1) -> Verdict:
    """Return the verdict on a close that another connection may not meet."""
    facts = {"close_code": code, "reason": reason, "retryable": True}
    return Verdict(ServerClosed, facts, heard=heard, again=True, said=f"code {code}")


def rejected(code: int) -> Verdict:
    """Return the verdict on a close that blames us."""
    facts = {"close_code": code, "reason": "", "retryable": False}
    return Verdict(ServerRejected, facts, heard=1, again=False)


def stalled(phase: str = "audio", **changes: Any) -> Verdict:
    """Return the verdict on silence."""
    facts = {"phase": phase, "retryable": True}
    options = {"deadlines": PATIENT_AT_FIRST}
    verdict = Verdict(StallTimeout, facts, heard=1, again=True, options=options)
    return replace(verdict, **changes)


def failed(
    reason: str, message: str = "", *, again: bool | None = False, heard: int = 1
) -> Verdict:
    """Return the verdict on a service that gave up."""
    facts = {"reason": reason, "message": message, "retryable": False}
    return Verdict(SynthesisError, facts, heard=heard, again=again)


def crowded(limit: int | None) -> Verdict:
    """Return the verdict on a service that is at its limit."""
    facts = {
        "max_concurrency": limit, "message": "Concurrency limit exceeded", "status": None,
        "retry_after_s": None,
    }  # fmt: skip
    return Verdict(ConcurrencyLimitError, facts, heard=0, again=True)


VERDICTS: Final[dict[str, Verdict]] = {
    "M1": stalled(),
    "M1 nothing": stalled("first_audio", heard=0, options={"deadlines": HASTY}),
    "M1 no finish": stalled(heard=ALL, again=None, options={"deadlines": PATIENT_IN_BETWEEN}),
    # Audio is owed, so that the stall (10 s) is noticed before the missing pong (15 s); where
    # nothing is owed, see `test_a_dead_peer_is_found_by_its_pongs`.
    "M2": stalled(),
    "M2 at a byte": stalled(),
    # A loss has no close code: nobody closed, and 1006 is never on the wire.
    "M3": LOST,
    "M3 mid-frame": LOST,
    "M3 at a byte": LOST,
    "M3 behind the head": replace(LOST, heard=0),
    "M4": LOST,
    "M4 mid-frame": LOST,
    "M4 at a byte": LOST,
    "M5": closed(1000),
    "M5 no code": closed(1005),
    "M5 no audio": closed(1000, heard=0),
    "M6 1001": closed(1001, "going away"),
    "M6 1011": closed(1011, "internal error"),
    "M6 1012": closed(1012, "restart"),
    "M6 1013": closed(1013, "try again later"),
    "M6 at once": closed(1013, heard=0),
    "M7 1002": rejected(1002),
    "M7 1003": rejected(1003),
    "M7 1007": rejected(1007),
    "M7 1008": Verdict(
        AuthenticationError, {"status": None, "message": "Invalid Token"}, heard=1, again=False
    ),
    "M7 1009": rejected(1009),
    "M7 1010": rejected(1010),
    # Codes of the service's own are not documented: as a restart, since none is known to blame us.
    "M7 4000": closed(4000, "its own"),
    "M8 1000": closed(1000),
    "M8 1008": rejected(1008),
    "M8 1011": closed(1011),
    "M9": failed("error", "the voice failed"),
    "M9 no audio": failed("error", heard=0),
    "M9 last": failed("error", heard=ALL, again=None),
    "M10 unknown": failed("tired"),
    # With all text sent, `stop` is the service's word that this is all: nobody else can know.
    # Before that it is an error: `test_a_finish_before_all_text_was_sent`.
    "M10 early": Verdict(heard=1),
    "M10 missing": failed("no reason given"),
    "M10 number": failed("unreadable reason of type int"),
    # Before any audio it may be the request that is wrong: `test_an_error_before_any_audio`.
    "M11": failed("error", "Internal error", again=None),
    "M11 open": failed("error", "Internal error", again=None),
    "M11 concurrency": crowded(8),
    "M11 concurrency open": crowded(8),
    "M11 claim of wrong type": crowded(None),
    "M11 number": failed("error", "the service gave no reason", again=None),
    "M11 missing": failed("error", "the service gave no reason", again=None),
    "M12 audio": UNNOTICED,
    "M12 finish": UNNOTICED,
    "M13 truncated": replace(MALFORMED, said=" bytes, starting 8"),
    "M13 trailing": replace(MALFORMED, said=" bytes, starting 8"),
    "M13 deep": replace(MALFORMED, said="5001 bytes, starting 91 91 91"),
    "M13 bomb": replace(MALFORMED, said="too many or too deeply nested values, at byte 5"),
    "M13 empty": replace(MALFORMED, said="0 bytes"),
    "M13 extension": replace(MALFORMED, said="ExtType"),
    "M14 event": UNNOTICED,
    "M14 field": UNNOTICED,
    "M15 not-map": replace(MALFORMED, said="got list"),
    "M15 no-event": replace(MALFORMED, said="event: expected text"),
    "M15 event-number": replace(MALFORMED, said="event: expected text, got int"),
    "M15 audio-missing": replace(MALFORMED, said="audio.audio: expected binary"),
    "M15 audio-text": replace(MALFORMED, said="audio.audio: expected binary, got str"),
    "M15 audio-number": replace(MALFORMED, said="audio.audio: expected binary, got int"),
    "M15 audio-null": replace(MALFORMED, said="audio.audio: expected binary"),
    "M15 audio-list": replace(MALFORMED, said="audio.audio: expected binary, got list"),
    "M15 audio-empty": UNNOTICED,
    "M15 time-text": UNNOTICED,
    "M15 time-nan": UNNOTICED,
    # MessagePack does not forbid it: the last one counts, as with every reader of JSON.
    "M15 keys-twice": UNNOTICED,
    "M15 keys-numbers": replace(MALFORMED, said="not allowed for map key"),
    "M15 alignment-null": UNNOTICED,
    "M15 alignment-missing": UNNOTICED,
    "M15 alignment-text": UNNOTICED,
    "M15 alignment-backwards": UNNOTICED,
    "M15 alignment-nan": UNNOTICED,
    "M15 seq-negative": UNNOTICED,
    "M15 seq-huge": UNNOTICED,
    "M15 seq-repeated": UNNOTICED,
    "M15 offset-text": UNNOTICED,
    # The service's description says to ignore text frames (with-timestamp, 2026-09): counted.
    "M16 text": UNNOTICED,
    "M16 pings": replace(MALFORMED, said="a flood of control frames"),
    "M16 long ping": MALFORMED,
    "M16 pong": UNNOTICED,
    "M16 reserved bit": replace(MALFORMED, said="reserved bits"),
    "M16 reserved opcode": MALFORMED,
    "M16 masked": MALFORMED,
    # Per RFC as long as the fragments are at most 1,024, which these are not.
    "M16 one byte": replace(TOO_LARGE, said="fragments"),
    "M16 kilobytes": UNNOTICED,
    "M16 empty fragments": replace(TOO_LARGE, said="fragments"),
    "M16 continuation": replace(MALFORMED, said="a continuation of nothing"),
    "M17 17 MiB": TOO_LARGE,
    "M17 40 MiB": TOO_LARGE,
    # Progress is a whole event: a frame of 4 KiB takes no 10 s on any network that carries speech.
    "M17 drip": stalled(),
    "M18": replace(MALFORMED, said="reserved bits"),
    "M18 unasked": Verdict(
        UpgradeError, {"status": 101, "phase": "upgrade"}, heard=0, again=False, said="unasked"
    ),
    "M19": replace(MALFORMED, heard=0),
    "M19 later": MALFORMED,
    "cadence odd": UNNOTICED,
    "cadence burst": UNNOTICED,
    "cadence gap": UNNOTICED,
    "cadence late": UNNOTICED,
    "cadence far": UNNOTICED,
}

ELSEWHERE: Final = {
    "M17 2^63": "test_a_length_that_cannot_be",
    "M20": "test_a_restart_before_the_first_audio",
}
"""Rows that need a test of their own."""


def test_no_row_is_forgotten() -> None:
    """The table has M1 to M20, and each of its rows has a verdict or a test."""
    sections = {row.split()[0] for row in STREAMING}
    assert sections == {*(f"M{number}" for number in range(1, 21)), "cadence"}
    assert VERDICTS.keys() | ELSEWHERE.keys() == STREAMING.keys()
    assert all(callable(globals()[name]) for name in ELSEWHERE.values())


@pytest.mark.parametrize("row", VERDICTS)
async def test_a_row_ends_as_it_says(row: str) -> None:
    """The error has its class and facts, all whole events before it are heard, nothing is left."""
    await meet(STREAMING[row], VERDICTS[row])


AGAIN: Final = [row for row, verdict in VERDICTS.items() if verdict.again]


@pytest.mark.parametrize("row", [row for row in AGAIN if VERDICTS[row].error is not StallTimeout])
async def test_before_the_first_audio_it_is_tried_again(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener notices nothing: all comes from the second connection, and only from there."""
    monkeypatch.setattr(attempts, "RESTART_WAIT_S", 0.001)
    await recover(STREAMING[row], VERDICTS[row])


@pytest.mark.parametrize("row", [row for row in AGAIN if VERDICTS[row].error is StallTimeout])
async def test_silence_is_tried_again(row: str) -> None:
    """Before the first audio a silent service is asked once more."""
    verdict = replace(VERDICTS[row], facts={"phase": "first_audio"}, options={"deadlines": HASTY})
    await give_up(STREAMING[row], verdict, attempts=2)


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_the_hook_sees_the_loss(way: Way) -> None:
    """Before another attempt one learns of the last: its error, with the service's name for it."""
    seen: list[Attempt] = []
    async with theatre() as stage:
        stage.server.play("fin@audio:1")
        async with (
            session(stage.server, way, retry=TWICE) as fish,
            fish.live(timestamps=way.timed, on_retry=seen.append) as live,
        ):
            assert [chunk async for chunk in live.speak(TEXT)]
    (attempt,) = seen
    assert (attempt.number, attempt.delay_s) == (1, 0.0)
    assert type(attempt.cause) is ConnectionLost
    assert attempt.cause.trace_id


FINAL: Final = [row for row, verdict in VERDICTS.items() if verdict.again is False]


@pytest.mark.parametrize("row", FINAL)
async def test_what_would_end_the_same_way_is_not_tried_again(row: str) -> None:
    """One attempt, although two are allowed and nothing was heard."""
    await give_up(STREAMING[row], VERDICTS[row], attempts=1)


@pytest.mark.parametrize("row", ["M3", "M4", "M5", "M6 1011", "M11 open", "M13 truncated"])
async def test_after_the_first_audio_nothing_is_tried_again(row: str) -> None:
    """Once audio was read, the loss is told, whatever attempts are left: speech is not repeated."""
    verdict = replace(VERDICTS[row], options={"retry": TWICE})
    async with theatre() as stage:
        # The pause begins when the first audio is on its way, so that it is read in between.
        stage.server.play(always("delay:0.05@audio:2"), always(STREAMING[row]))
        check_all(stage, await everywhere(stage.server, **verdict.options), verdict)


@pytest.mark.parametrize(
    "row", ["M3", "M4 mid-frame", "M5", "M8 1011", "M9", "M11 open", "M13 deep"]
)
async def test_what_has_arrived_is_heard_before_the_error(row: str) -> None:
    """A listener who begins late finds all whole events, in order, and then the error."""

    async def late(stage: Theatre, way: Way) -> None:
        async with session(stage.server, way) as fish, fish.live(timestamps=way.timed) as live:
            utterance = live.speak(TEXT)
            await until(lambda: utterance.error is not None)
            chunks = []
            with pytest.raises(VERDICTS[row].error or Exception) as caught:
                async for chunk in utterance:
                    chunks.append(chunk)
            assert caught.value is utterance.error
        assert [mark.number for mark in marks(b"".join(chunks))] == [1, 2]

    async with theatre() as stage:
        stage.server.play(always(STREAMING[row].replace("@audio:2", "@audio:3")))
        await asyncio.gather(*(late(stage, way) for way in WAYS))


async def test_audio_that_nobody_has_read_is_heard_once() -> None:
    """Audio commits to nothing before it is read: another attempt begins anew, and replaces it."""

    async def late(stage: Theatre, way: Way) -> None:
        async with (
            session(stage.server, way, retry=TWICE) as fish,
            fish.live(timestamps=way.timed) as live,
        ):
            utterance = live.speak(TEXT)
            await until(lambda: utterance.stats.attempts == 2)
            found = marks(b"".join([chunk async for chunk in utterance]))
        assert len({mark.connection for mark in found}) == 1
        sizes = stage.sent[found[0].connection]
        assert [mark.number for mark in found] == [*range(1, len(sizes) + 1)]

    async with theatre() as stage:
        for ways in rounds(stage.server, Fault.parse("rst@audio:3")):
            await asyncio.gather(*(late(stage, way) for way in ways))


async def test_audio_of_a_lost_attempt_is_kept_for_an_attempt_without_any() -> None:
    """If no other attempt brings audio, what the lost one brought is heard before the error."""

    async def late(stage: Theatre, way: Way) -> None:
        async with (
            session(stage.server, way, retry=TWICE) as fish,
            fish.live(timestamps=way.timed) as live,
        ):
            utterance = live.speak(TEXT)
            await until(lambda: utterance.error is not None)
            chunks = []
            with pytest.raises(AuthenticationError) as caught:
                async for chunk in utterance:
                    chunks.append(chunk)
        assert caught.value.attempts == 2
        assert [mark.number for mark in marks(b"".join(chunks))] == [1, 2]

    async with theatre() as stage:
        lost, refused = Fault.parse("rst@audio:3"), Fault.parse("status:401@upgrade,connection=2")
        for ways in rounds(stage.server, lost, refused):
            await asyncio.gather(*(late(stage, way) for way in ways))


@pytest.mark.parametrize("row", ["M2", "M2 at a byte"])
async def test_a_dead_peer_is_found_by_its_pongs(row: str) -> None:
    """Whoever would wait for audio for ever learns that nobody is there."""
    verdict = replace(LOST, said="no pong", options={"deadlines": ONLY_PONGS})
    await meet(STREAMING[row], verdict)


async def test_a_silent_peer_that_answers_pings_is_not_dead() -> None:
    """Pongs alone are a sign of life: the deadline that passes is the one on audio."""
    patient = replace(PATIENT_AT_FIRST, stall_s=1.5)
    await meet(STREAMING["M1"], stalled(options={"deadlines": patient}))


async def test_a_length_that_cannot_be() -> None:
    """A length of 2^63 is refused from its head, and so is the largest that may be.

    RFC 6455 (5.2) forbids the first bit of a length: to picows such a frame is malformed, to our
    own reader it is too large. Both are a ProtocolError.
    """
    async with theatre() as stage:
        stage.server.play(always(STREAMING["M17 2^63"]))
        for ending in await everywhere(stage.server):
            large = ending.way.transport == "aiohttp"
            check(ending, Verdict(MessageTooLarge if large else ProtocolError, heard=1))
    await meet("length:9223372036854775807@audio:2", TOO_LARGE)


async def test_a_limit_says_what_words_do_not() -> None:
    """An event that names a limit is about concurrency, whatever else it says."""
    verdict = replace(crowded(3), facts={"max_concurrency": 3, "message": "Later"})
    await meet("error:Later@start,max-concurrency=3", verdict)


@pytest.mark.parametrize("place", ["start", "audio:1"])
async def test_an_error_before_any_audio(place: str) -> None:
    """Without audio before it, it may be the request that is wrong: it is not tried again."""
    facts = {"message": "Internal error", "status": None}
    verdict = Verdict(InvalidRequestError, facts, heard=0)
    await give_up(f"error:Internal error@{place},held", verdict, attempts=1)


@pytest.mark.parametrize(
    "row", ["M11 concurrency", "M11 concurrency open", "M11 claim of wrong type"]
)
async def test_a_refusal_for_concurrency_lowers_the_limit(row: str) -> None:
    """Who was refused while nothing else of ours ran shares the account: one at a time, for now.

    That is less than the number in the event, which is the account's.
    """
    async with theatre() as stage:
        stage.server.play(always(STREAMING[row]))
        for way in WAYS:
            async with session(stage.server, way) as fish:
                assert fish.governor.limit is None
                async with fish.live(timestamps=way.timed) as live:
                    with pytest.raises(ConcurrencyLimitError):
                        [chunk async for chunk in live.speak(TEXT)]
                assert fish.governor.limit == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_a_finish_before_all_text_was_sent(way: Way) -> None:
    """While text may follow, even `stop` is no success: what was not sent is in the error."""
    async with theatre() as stage:
        stage.server.play("finish:stop@audio:2")
        async with session(stage.server, way) as fish, fish.live(timestamps=way.timed) as live:
            utterance = live.utterance()
            await utterance.send(TEXT)
            await utterance.flush()
            chunks = []
            with pytest.raises(StreamInterrupted, match="before all text was sent") as caught:
                async for chunk in utterance:
                    chunks.append(chunk)
        assert type(caught.value) is StreamInterrupted
        assert [mark.number for mark in marks(b"".join(chunks))] == [1]


@pytest.mark.parametrize("row", ["M12 audio", "M12 finish"])
@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_what_comes_behind_the_end_is_counted(way: Way, row: str) -> None:
    """Whatever follows `finish` is nobody's: counted, and not heard in the next utterance."""
    async with theatre() as stage:
        stage.server.play(STREAMING[row])
        async with session(stage.server, way) as fish, fish.live(timestamps=way.timed) as live:
            first = b"".join([chunk async for chunk in live.speak(TEXT)])
            await until(lambda: live._line is not None and live._line.stray == 1)
            second = b"".join([chunk async for chunk in live.speak(TEXT)])
        for audio in (first, second):
            numbers = [mark.number for mark in marks(audio)]
            assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        assert len(marks(first + second)) == sum(map(len, stage.sent))


@pytest.mark.parametrize(
    "name",
    [
        "alignment-backwards", "alignment-nan", "alignment-text", "alignment-null",
        "alignment-missing", "seq-negative", "seq-repeated", "offset-text",
    ],
)  # fmt: skip
async def test_bad_times_of_words_are_dropped(name: str) -> None:
    """Audio is kept, and the words are what was said, each once, in order, at its time."""
    async with theatre() as stage:
        # Several, because not every event has words; the last one has them all.
        stage.server.play(*(always(f"message:{name}@audio:{at}") for at in range(2, 12)))
        for ending in await everywhere(stage.server):
            words = ending.utterance.words
            said = TEXT.removesuffix(".").split() if ending.way.timed else []
            assert [word.text for word in words] == said
            times = [at_s for word in words for at_s in (word.start_s, word.end_s)]
            assert times == sorted(times)


async def test_a_restart_before_the_first_audio() -> None:
    """Everybody is reset, and refused for a while: all come back, and hear everything, once."""
    stubborn = RetryPolicy(attempts=5, base_s=0.2)
    async with theatre() as stage:
        stage.server.play("restart:0.05@start")  # the first to come: nobody has heard anything
        endings = await everywhere(stage.server, retry=stubborn)
        assert stage.server.played["restart:0.05@start"] == 1
        check_all(stage, endings, replace(UNNOTICED, attempts=frozenset(range(1, 6))))
        assert max(ending.stats.attempts for ending in endings) > 1


async def test_a_restart_in_the_middle() -> None:
    """Everybody keeps what was whole, and learns of the loss."""
    async with theatre() as stage:
        stage.server.play(STREAMING["M20"])
        endings = await everywhere(stage.server)
        for ending in endings:
            assert type(ending.error) in {ConnectionLost, ConnectError}
            check(ending, Verdict(type(ending.error), heard=ending.heard))  # type: ignore[arg-type]
        assert sum(ending.heard for ending in endings) >= 1
