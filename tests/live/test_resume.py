"""Going on after a loss in the middle: what is heard, what is said again, what is told about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fishlive.errors import (
    ConfigError,
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    ServerClosed,
    ServerRejected,
    StallTimeout,
    SynthesisError,
)
from fishlive.flow.retry import RetryPolicy
from fishlive.live.channel import LiveTTS
from fishlive.live.plan import Resumed
from fishlive.live.resume import Scene, continue_aligned
from fishlive.live.stats import Outcome
from fishlive.live.utterance import Utterance
from fishlive.session import Session
from fishlive.text.budget import Budget
from fishlive.wire.serving import encode_error, encode_finish
from fishlive.wire.words import Word
from tests.conftest import settle
from tests.live.service import kinds, open_channel, texts
from tests.live.virtual import clock, virtual
from tests.live.voiced import BYTES_PER_S, WORD_S, Mouth, Voiced, heard, reading

TEXT = "The quick fox. Jumps over it. Lazy dogs sleep. All day long."
THRICE = RetryPolicy()


def said(text: str) -> list[str]:
    """Return how a text is heard, word for word."""
    return [word.text for word in reading(text)]


def options(**more: Any) -> dict[str, Any]:
    """Return what a channel needs to be resumed."""
    return {
        "timestamps": True, "resume": "aligned", "retry": THRICE, "sample_rate": 8000,
        "credit_s": None, **more,
    }  # fmt: skip


async def later() -> None:
    """Let the wait before the next attempt pass."""
    await asyncio.sleep(5)
    await settle()


async def some(chunks: Any, seconds: float) -> bytes:
    """Read so much audio, or a little more."""
    pcm = b""
    while len(pcm) < seconds * BYTES_PER_S:
        pcm += await anext(chunks)
    return pcm


async def all_of(chunks: Any) -> bytes:
    """Read to the end."""
    return b"".join([chunk async for chunk in chunks])


def words_a_message(count: int) -> Callable[[int], list[int]]:
    """Return what makes a message of so many words."""
    size = round(count * WORD_S * BYTES_PER_S)
    return lambda total: [min(size, total - at) for at in range(0, total, size)]


async def start(voiced: Voiced, live: Any, text: Any = TEXT, **more: Any) -> tuple[Utterance, Any]:
    """Begin to speak, up to where the service has been told."""
    utterance = live.speak(text, **more)
    chunks = aiter(utterance)
    await settle()
    voiced.mouth.listen()
    return utterance, chunks


# Aligned


@virtual
async def test_every_word_is_heard_once() -> None:
    """What is behind the last settled sentence is said again by another connection."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.chunk(3)
        pcm = await some(chunks, 0.1)  # one sentence is read, one waits settled, one is unsettled
        voiced.peer.drop()
        await later()
        assert voiced.mouth.told == "Lazy dogs sleep. All day long."
        voiced.mouth.finish()
        pcm += await all_of(chunks)

    assert voiced.words(pcm) == said(TEXT)
    assert utterance.outcome is Outcome.FINISHED
    (resumed,) = utterance.resumes
    assert isinstance(resumed.cause, ConnectionLost)
    assert (resumed.how, resumed.repeated_chars, resumed.skipped_chars) == ("exact", 0, 0)
    assert resumed.resent_chars == len("Lazy dogs sleep. All day long.")
    assert resumed.at_s == pytest.approx(6 * WORD_S - 0.1 + 0.02, abs=0.011)
    assert sum(len(mouth.told) for mouth in voiced.mouths) == len(TEXT) + resumed.resent_chars


@virtual
async def test_words_are_on_the_clock_of_what_is_heard() -> None:
    """Each word's times are where its sound is, also behind the seam."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.chunk(3)
        pcm = await some(chunks, 0.1)
        voiced.peer.drop()
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)

    assert [word.text for word in utterance.words] == said(TEXT)
    for word in utterance.words:
        first, last = (round(at_s * 8000) * 2 for at_s in (word.start_s, word.end_s))
        assert voiced.words(pcm[first:last]) == [word.text]


@virtual
async def test_a_drop_in_the_first_chunk_is_no_seam() -> None:
    """Its words may yet be replaced: without a fallback that is the end."""
    voiced = Voiced(cut=words_a_message(1))
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.say(2)
        pcm = await some(chunks, 0.1)
        voiced.peer.drop()
        with pytest.raises(ConnectionLost) as caught:
            await all_of(chunks)
        await later()

    assert voiced.words(pcm) == ["The"]
    assert not any(peer.messages for peer in voiced.peers[1:])
    assert utterance.resumes == ()
    assert caught.value.unheard_text is not None


@virtual
async def test_nothing_was_read_so_all_is_said_again() -> None:
    """That is another attempt and no continuation."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.chunk(3)
        await settle()
        voiced.peer.drop()
        await later()
        voiced.mouth.finish()
        pcm = await all_of(chunks)
    assert voiced.words(pcm) == said(TEXT)
    assert utterance.resumes == ()
    assert [word.text for word in utterance.words] == said(TEXT)


@pytest.mark.parametrize("read_all", [False, True])
@virtual
async def test_all_was_spoken_but_for_the_finish(read_all: bool) -> None:
    """Every word has come, so nobody is asked for anything."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.say()
        pcm = await some(chunks, 12 * WORD_S if read_all else 0.1)
        voiced.peer.drop()
        pcm += await all_of(chunks)
        await later()

    assert voiced.words(pcm) == said(TEXT)
    assert utterance.outcome is Outcome.FINISHED
    assert [(r.how, r.resent_chars) for r in utterance.resumes] == [("exact", 0)]
    assert utterance.ledger.heard_text == TEXT
    assert not any(peer.messages for peer in voiced.peers[1:])


@virtual
async def test_the_last_word_is_not_taken_for_whole_too_early() -> None:
    """Its audio has to reach a step of the grid beyond it, else it may lack its end."""
    voiced = Voiced(cut=lambda total: [total - 1600, 1600], shows=lambda: 0)
    async with open_channel(voiced, **options(resume_fallback="repeat")) as live:
        utterance, chunks = await start(voiced, live, "One two three.")
        voiced.mouth.say(1)
        await some(chunks, 0.1)
        voiced.peer.drop()
        await later()
        assert voiced.mouth.told == "One two three."
        utterance.interrupt()
    assert [r.how for r in utterance.resumes] == ["repeat"]


@pytest.mark.parametrize(("end_s", "said"), [(0.4, False), (0.7, True)])
def test_the_last_word_is_not_taken_for_said_without_a_length(end_s: float, said: bool) -> None:
    """The aligner could not place it, so nobody knows where it ends."""
    words = [Word("One", 0.0, 0.3), Word("two", 0.4, end_s)]
    scene = Scene("One two.", 0, [], words, bytes(16_000), 0.0, 0.0, sample_rate_hz=8000)
    found = continue_aligned(scene, "raise")
    assert (found is not None) is said


LONG = "One ant. Two bees. Three cats. Four dogs. Five eels. Six frogs. Seven goats. Eight hens."
"""Eight sentences of 0.6 s."""


async def lose(
    voiced: Voiced, chunks: Any, fault: Callable[[Mouth], object] | None = None
) -> bytes:
    """Have three sentences said, hear one of them, and lose the connection."""
    voiced.mouth.chunk(3)
    await settle()
    pcm = b""
    while not pcm or voiced.mouths[-1].leg != voiced.numbers[number_of_last(pcm)][0]:
        pcm += await anext(chunks)
    (fault or drop)(voiced.mouth)
    await settle()
    return pcm


def drop(mouth: Mouth) -> None:
    """End the connection without a close frame."""
    mouth.peer.drop()


def number_of_last(pcm: bytes) -> int:
    """Return the number of the last word that is heard."""
    return heard(pcm)[-1].number


@pytest.mark.parametrize("losses", [1, 2, 3])
@virtual
async def test_two_losses_are_borne_and_no_third(losses: int) -> None:
    """Each continuation begins where the one before broke off; what came of the third is heard."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        pcm = b""
        for _ in range(losses):
            pcm += await lose(voiced, chunks)
            await later()
        if losses < 3:
            voiced.mouth.finish()
            pcm += await all_of(chunks)
            assert voiced.words(pcm) == said(LONG)
        else:
            with pytest.raises(ConnectionLost) as caught:
                while True:
                    pcm += await anext(chunks)
            words = voiced.words(pcm)
            assert words == said(LONG)[: len(words)]
            assert len(words) == 14
            assert utterance.outcome is Outcome.FAILED
            assert caught.value.attempts == 3
            assert caught.value.heard_text == LONG[: LONG.index(" Eight")]
        resent = sum(resumed.resent_chars for resumed in utterance.resumes)
        assert len(utterance.resumes) == min(losses, 2)
        assert sum(len(mouth.told) for mouth in voiced.mouths if mouth.told) == len(LONG) + resent
        ledger = utterance.ledger
        assert ledger.billed_utf8_bytes == len(LONG) + resent
        assert ledger.replayed_bytes == resent
        assert ledger.text == LONG
        assert utterance.stats.attempts == min(losses, 2) + 1
        assert utterance.stats.messages == 3 * losses + (0 if losses == 3 else 8 - 2 * losses)
        assert utterance.stats.audio_s == pytest.approx(len(pcm) / BYTES_PER_S)


@virtual
async def test_a_source_that_still_talks_goes_on_over_the_next_connection() -> None:
    """It is not asked again for what it has said."""
    voiced = Voiced()
    go_on = asyncio.Event()

    async def llm() -> AsyncIterator[str]:
        yield "One ant. Two bees. Three cats."
        await go_on.wait()
        yield " Four dogs. "
        yield "Five eels."

    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, llm())
        await asyncio.sleep(2)  # the source rests, so its last sentence is flushed as well
        pcm = await lose(voiced, chunks)
        await later()
        # All was spoken: the next connection waits for what follows.
        assert not voiced.mouth.told
        go_on.set()
        await settle()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
    assert voiced.mouth.told == " Four dogs. Five eels."
    assert voiced.words(pcm) == said("One ant. Two bees. Three cats. Four dogs. Five eels.")
    assert [r.how for r in utterance.resumes] == ["exact"]
    assert utterance.ledger.text == "One ant. Two bees. Three cats. Four dogs. Five eels."


@virtual
async def test_a_source_that_ends_before_the_next_connection_ends_it_all() -> None:
    """Everything was heard, and no timer is left behind to ask for a socket."""
    voiced = Voiced()
    utterance: Utterance
    async with open_channel(voiced, **options()) as live:
        utterance = live.utterance()
        chunks = aiter(utterance)
        await utterance.send("One ant. Two bees. Three cats.")
        await utterance.flush()
        await settle()
        pcm = await lose(voiced, chunks)
        await utterance.end()
        pcm += await all_of(chunks)
        await settle()
        assert not clock().timers
    assert utterance.outcome is Outcome.FINISHED
    assert voiced.words(pcm) == said("One ant. Two bees. Three cats.")


@virtual
async def test_flushes_of_what_is_said_again_are_said_again() -> None:
    """A source that thinks does not keep a listener waiting for a sentence that was flushed."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance = live.utterance()
        chunks = aiter(utterance)
        for text in ("One ant. Two bees. ", "Three cats. ", "Four dogs. "):
            await utterance.send(text)
            await utterance.flush()
            await settle()
        await utterance.send("Five")
        await settle()
        await lose(voiced, chunks)
        await later()
        assert kinds(voiced.peer) == "stftft"
        assert texts(voiced.peer) == ["Three cats. ", "Four dogs. ", "Five"]
        utterance.interrupt()


@virtual
async def test_a_stop_that_was_said_is_said_again() -> None:
    """Else the last words would never be spoken."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG, flush="never")
        await lose(voiced, chunks)
        await later()
        assert kinds(voiced.peer) == "stS"
        utterance.interrupt()


@pytest.mark.parametrize("fallback", ["raise", "repeat", "skip"])
@virtual
async def test_an_eager_reader_leaves_no_seam(fallback: str) -> None:
    """What was read cannot be taken back: the sentence is repeated, left out, or it is the end."""
    voiced = Voiced(cut=words_a_message(1))
    told: list[Resumed] = []
    async with open_channel(
        voiced, **options(resume_fallback=fallback, on_resume=told.append)
    ) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.say(4)  # a sentence, and one word of the next
        pcm = await some(chunks, 4 * WORD_S)
        voiced.peer.drop()
        await settle()
        if fallback == "raise":
            with pytest.raises(ConnectionLost) as caught:
                await all_of(chunks)
            assert caught.value.heard_text == "The quick fox. Jumps"
            assert told == []
            return
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        ledger = utterance.ledger
    assert utterance.resumes == tuple(told)
    (resumed,) = told
    assert resumed.how == fallback
    if fallback == "repeat":
        assert voiced.mouth.told == " Jumps over it. Lazy dogs sleep. All day long."
        assert voiced.words(pcm) == ["The", "quick", "fox", "Jumps", *said(TEXT)[3:]]
        assert (resumed.repeated_chars, resumed.skipped_chars) == (len(" Jumps"), 0)
        assert resumed.resent_chars == len(TEXT) - len("The quick fox.")
    else:
        assert voiced.mouth.told == " Lazy dogs sleep. All day long."
        assert voiced.words(pcm) == ["The", "quick", "fox", "Jumps", *said(TEXT)[6:]]
        assert (resumed.repeated_chars, resumed.skipped_chars) == (0, len(" over it."))
    assert [word.text for word in utterance.words] == voiced.words(pcm)
    assert (ledger.heard_text, ledger.unheard_text) == (TEXT, "")


@virtual
async def test_a_sentence_that_was_said_whole_takes_no_other_with_it() -> None:
    """What was lost behind its last word is nothing, so nothing is left out."""
    voiced = Voiced(cut=words_a_message(1))
    async with open_channel(voiced, **options(resume_fallback="skip")) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.say(3)
        pcm = await some(chunks, 3 * WORD_S)
        voiced.peer.drop()
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
    assert voiced.words(pcm) == said(TEXT)
    assert [resumed.skipped_chars for resumed in utterance.resumes] == [0]


@virtual
async def test_the_ledger_of_a_repeated_sentence_is_exact_again_behind_it() -> None:
    """The words that were heard in vain are no reason to doubt the rest."""
    voiced = Voiced(cut=words_a_message(1))
    async with open_channel(voiced, **options(resume_fallback="repeat")) as live:
        utterance, chunks = await start(voiced, live, "Go on. Go on and on. Then stop it now.")
        voiced.mouth.say(4)
        await some(chunks, 4 * WORD_S)
        voiced.peer.drop()
        await later()
        voiced.mouth.say(5)
        await some(chunks, 5 * WORD_S)
        ledger = utterance.ledger
        assert ledger.heard_text == "Go on. Go on and on. Then"
        assert (ledger.basis, ledger.spoken) == ("aligned", ledger.heard_text)
        utterance.interrupt()


@virtual
async def test_a_loss_without_any_alignment_is_repeated_from_the_beginning() -> None:
    """Nothing is known, so nothing is left out."""
    voiced = Voiced(cut=words_a_message(1), settles=lambda _seq: False)
    async with open_channel(voiced, **options(resume_fallback="repeat")) as live:
        utterance, chunks = await start(voiced, live)
        voiced.mouth.say(4)
        await some(chunks, 4 * WORD_S)
        voiced.peer.drop()
        await later()
        assert voiced.mouth.told == TEXT
        assert utterance.resumes[0].repeated_chars >= len("The quick fox. Jumps")
        utterance.interrupt()


FAULTS: dict[str, tuple[Callable[[Mouth], object], type[FishLiveError], bool]] = {
    "drop": (drop, ConnectionLost, True),
    "1000": (lambda m: m.peer.close(1000), ServerClosed, True),
    "1001": (lambda m: m.peer.close(1001), ServerClosed, True),
    "1011": (lambda m: m.peer.close(1011), ServerClosed, True),
    "1012": (lambda m: m.peer.close(1012), ServerClosed, True),
    "1008": (lambda m: m.peer.close(1008), ServerRejected, False),
    "1009": (lambda m: m.peer.close(1009), ServerRejected, False),
    "garbage": (lambda m: m.peer.send(b"\xff\x00"), ProtocolError, True),
    "finish error": (lambda m: m.peer.send(encode_finish("error")), SynthesisError, False),
    "error": (lambda m: m.peer.send(encode_error("gone wrong")), FishLiveError, False),
}


@pytest.mark.parametrize("fault", FAULTS)
@virtual
async def test_what_may_pass_is_gone_on_from(fault: str) -> None:
    """The same classes as before the first audio; another failure is final, and all is heard."""
    break_it, kind, passing = FAULTS[fault]
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        pcm = await lose(voiced, chunks, break_it)
        await later()
        if passing:
            voiced.mouth.finish()
            pcm += await all_of(chunks)
            assert voiced.words(pcm) == said(LONG)
            assert isinstance(utterance.resumes[0].cause, kind)
        else:
            with pytest.raises(kind):
                while True:
                    pcm += await anext(chunks)
            assert voiced.words(pcm) == said(LONG)[:6]
            assert not utterance.resumes


@virtual
async def test_a_stall_is_gone_on_from() -> None:
    """Audio was owed for ten seconds."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        pcm = await lose(voiced, chunks, lambda _mouth: None)
        await asyncio.sleep(11)
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        assert isinstance(utterance.resumes[0].cause, StallTimeout)
        assert voiced.words(pcm) == said(LONG)


@virtual
async def test_a_continuation_is_tried_again_before_its_first_audio_is_heard() -> None:
    """Attempts count anew for it; nothing of the dead attempt is heard, or it is all there is."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        pcm = await lose(voiced, chunks)
        await later()
        voiced.mouth.chunk(3)
        await settle()
        drop(voiced.mouth)  # unheard
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        assert voiced.words(pcm) == said(LONG)
        assert len(utterance.resumes) == 1
        resent = utterance.resumes[0].resent_chars
        assert utterance.ledger.replayed_bytes == 2 * resent
        assert utterance.stats.attempts == 3


@virtual
async def test_attempts_before_the_first_audio_are_not_those_of_a_continuation() -> None:
    """Two failures before it do not forbid to go on behind it."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        for _ in range(2):
            drop(voiced.mouth)
            await later()
        pcm = await lose(voiced, chunks)
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        assert voiced.words(pcm) == said(LONG)
        assert utterance.stats.attempts == 4


@virtual
async def test_without_retries_there_is_no_continuation() -> None:
    """It is another connection, which the policy of retries does not allow."""
    voiced = Voiced()
    async with open_channel(voiced, **options(retry=RetryPolicy(attempts=1))) as live:
        _, chunks = await start(voiced, live, LONG)
        await lose(voiced, chunks)
        with pytest.raises(ConnectionLost):
            await all_of(chunks)
        await later()
        assert not any(peer.messages for peer in voiced.peers[1:])


@virtual
async def test_a_service_that_stays_away_fails_it_after_what_was_kept() -> None:
    """The listener hears up to the seam, and then the failure."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        pcm = await lose(voiced, chunks)
        voiced.away = True
        await asyncio.sleep(60)
        with pytest.raises(FishLiveError) as caught:
            while True:
                pcm += await anext(chunks)
        assert voiced.words(pcm) == said(LONG)[:4]
        assert caught.value.heard_text == "One ant. Two bees."
        assert utterance.outcome is Outcome.FAILED
        voiced.away = False


@pytest.mark.parametrize("when", ["before", "in the wait", "after"])
@virtual
async def test_an_interruption_is_final(when: str) -> None:
    """No word is said after it, and no connection opened to say one."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        mouth = voiced.mouth
        pcm = await lose(voiced, chunks, (lambda _mouth: None) if when == "before" else drop)
        if when == "after":
            await later()
        count = len(utterance.resumes)
        what = utterance.interrupt()
        mouth.peer.drop()
        await later()
        assert await all_of(chunks) == b""
        assert what.heard_text == utterance.ledger.heard_text == "One ant."
        assert what.heard_text + what.unheard_text == LONG
        assert len(utterance.resumes) == count
        assert voiced.words(pcm) == ["One", "ant"]
        assert sum(bool(peer.messages) for peer in voiced.peers) == (2 if when == "after" else 1)


@virtual
async def test_a_source_that_fails_is_final() -> None:
    """Also while a continuation is on its way."""
    voiced = Voiced()
    fail = asyncio.Event()

    async def llm() -> AsyncIterator[str]:
        yield LONG
        await fail.wait()
        raise KeyError("llm")

    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, llm())
        pcm = await lose(voiced, chunks)
        fail.set()
        await settle()
        with pytest.raises(KeyError):
            while True:
                pcm += await anext(chunks)
        await later()
        assert utterance.outcome is Outcome.FAILED
        assert voiced.words(pcm) == said(LONG)[:4]
        assert not any(peer.messages for peer in voiced.peers[1:])


@virtual
async def test_a_loss_behind_the_finish_is_none() -> None:
    """The utterance is complete, read or not."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        voiced.mouth.finish()
        pcm = await some(chunks, 0.1)
        voiced.peer.drop()
        pcm += await all_of(chunks)
        assert voiced.words(pcm) == said(LONG)
        assert not utterance.resumes


@virtual
async def test_tags_in_force_are_told_again() -> None:
    """The speaker and open pairs; they are not the caller's text a second time."""
    voiced = Voiced()
    text = (
        "<|speaker:1|>One ant. <whisper>Two bees. Three cats. Four dogs.</whisper> "
        "Five eels. Six frogs."
    )
    async with open_channel(voiced, **options()) as live:
        utterance, chunks = await start(voiced, live, text)
        pcm = await lose(voiced, chunks)
        await later()
        told = voiced.mouth.told
        assert (
            told == "<|speaker:1|><whisper>Three cats. Four dogs.</whisper> Five eels. Six frogs."
        )
        pcm += await lose(voiced, chunks)
        await later()
        assert voiced.mouth.told == "<|speaker:1|>Five eels. Six frogs."
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        assert voiced.words(pcm) == said(text)
        assert [r.resent_chars for r in utterance.resumes] == [
            len("Three cats. Four dogs.</whisper> Five eels. Six frogs."),
            len("Five eels. Six frogs."),
        ]
        ledger = utterance.ledger
        assert (ledger.text, ledger.heard_text) == (text, text)
        assert ledger.replayed_bytes == len(told) + len("<|speaker:1|>Five eels. Six frogs.")


@virtual
async def test_tags_in_force_wait_for_text_that_is_still_to_come() -> None:
    """All was said when it broke off; the speaker is the same when the source goes on."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        utterance = live.utterance()
        chunks = aiter(utterance)
        await utterance.send("<|speaker:1|>One ant. Two bees.")
        await utterance.flush()
        await settle()
        voiced.mouth.say()
        pcm = await some(chunks, 0.1)
        voiced.peer.drop()
        await later()
        assert not voiced.mouth.told
        await utterance.send(" Three cats.")
        await utterance.end()
        await settle()
        assert voiced.mouth.told == "<|speaker:1|> Three cats."
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        assert voiced.words(pcm) == said("One ant. Two bees. Three cats.")
        assert utterance.ledger.text == "<|speaker:1|>One ant. Two bees. Three cats."
        assert utterance.ledger.replayed_bytes == len("<|speaker:1|>")


@virtual
async def test_marks_count_as_well_as_reading() -> None:
    """A playhead behind what was read takes nothing back; one ahead of it is believed."""
    for played_s, kept in ((0.0, 4), (0.85, 4), (1.1, None)):
        voiced = Voiced()
        async with open_channel(voiced, **options()) as live:
            utterance, chunks = await start(voiced, live, LONG)
            voiced.mouth.chunk(3)
            pcm = await some(chunks, 0.1)
            utterance.mark_played(played_s)
            voiced.peer.drop()
            await later()
            if kept is None:
                with pytest.raises(ConnectionLost):
                    await all_of(chunks)
                continue
            voiced.mouth.finish()
            pcm += await all_of(chunks)
            assert voiced.words(pcm) == said(LONG)
            assert voiced.mouth.told == LONG[LONG.index("Three") :]


@pytest.mark.parametrize(("room", "goes_on"), [(0, False), (50, True), (49, False)])
@virtual
async def test_a_continuation_is_paid_from_the_budget(room: int, goes_on: bool) -> None:
    """Its own text and no more; too little left is the failure as it was."""
    rest = LONG[LONG.index("Three") :]
    budget = Budget(utf8_bytes=len(LONG) + len(rest) - 50 + room)
    voiced = Voiced()
    async with open_channel(voiced, **options(budget=budget)) as live:
        utterance, chunks = await start(voiced, live, LONG)
        await lose(voiced, chunks)
        await later()
        if goes_on:
            assert voiced.mouth.told == rest
            assert budget.spent_bytes == len(LONG) + len(rest)
            utterance.interrupt()
        else:
            with pytest.raises(ConnectionLost) as caught:
                await all_of(chunks)
            assert caught.value.heard_text == "One ant. Two bees. Three cats."
            assert budget.spent_bytes == len(LONG)


@virtual
async def test_a_hook_that_raises_is_reported_and_no_more() -> None:
    """Speech goes on."""
    complaints: list[Any] = []
    clock().set_exception_handler(lambda _loop, context: complaints.append(context["exception"]))

    def hook(_resumed: Resumed) -> None:
        raise KeyError("hook")

    voiced = Voiced()
    async with open_channel(voiced, **options(on_resume=hook)) as live:
        _, chunks = await start(voiced, live, LONG)
        pcm = await lose(voiced, chunks)
        await later()
        voiced.mouth.finish()
        pcm += await all_of(chunks)
        assert voiced.words(pcm) == said(LONG)
        assert [type(error) for error in complaints] == [KeyError]


@virtual
async def test_a_hook_may_interrupt() -> None:
    """Then nothing goes on."""
    voiced = Voiced()
    channel: LiveTTS

    def hook(_resumed: Resumed) -> None:
        channel.interrupt()

    async with open_channel(voiced, **options(on_resume=hook)) as live:
        channel = live
        utterance, chunks = await start(voiced, live, LONG)
        await lose(voiced, chunks)
        await later()
        assert utterance.outcome is Outcome.INTERRUPTED
        assert await all_of(chunks) == b""
        assert not any(peer.messages for peer in voiced.peers[1:])


@virtual
async def test_off_by_default() -> None:
    """What was heard is not said again unless somebody asked for it."""
    voiced = Voiced()
    async with open_channel(voiced, **options(resume=None)) as live:
        _, chunks = await start(voiced, live, LONG)
        await lose(voiced, chunks)
        with pytest.raises(ConnectionLost):
            await all_of(chunks)


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"timestamps": False}, "timestamps"), ({"resume": "other"}, "resume"),
        ({"resume_fallback": "guess"}, "resume_fallback"), ({"format": "mp3"}, "format"),
        ({"resume": "segment", "format": "opus", "sample_rate": None}, "format"),
        ({"on_resume": 3}, "on_resume"), ({"budget": 3}, "budget"),
    ],
)  # fmt: skip
async def test_what_cannot_be_gone_on_from_is_refused(wrong: dict[str, Any], argument: str) -> None:
    """Before anything is opened."""
    async with Session("k", base_url="http://127.0.0.1:9") as fish:
        with pytest.raises(ConfigError) as caught:
            fish.live(**options(**wrong))
    assert caught.value.argument == argument


@virtual
async def test_an_utterance_of_another_format_is_refused() -> None:
    """Nothing is sent, and the channel is as good as before."""
    voiced = Voiced()
    async with open_channel(voiced, **options()) as live:
        with pytest.raises(ConfigError) as caught:
            live.speak("Hello.", format="mp3", sample_rate=32000)
        assert caught.value.argument == "format"
        _, chunks = await start(voiced, live, "Hello.")
        voiced.mouth.finish()
        assert voiced.words(await all_of(chunks)) == ["Hello"]


# Segment by segment


def segments(**more: Any) -> dict[str, Any]:
    """Return what a channel needs to speak segment by segment, with the usual reserve."""
    return options(**{"resume": "segment", "timestamps": False, "standby": 1, **more})


def spoken(voiced: Voiced) -> list[str]:
    """Return what each connection was told that was told anything."""
    return [mouth.told for mouth in voiced.mouths if mouth.told]


async def speak_on(voiced: Voiced) -> Mouth:
    """Have the newest connection that was told something say it, and no more."""
    await settle()
    mouth = speaking(voiced).say()
    await settle()
    return mouth


def speaking(voiced: Voiced) -> Mouth:
    """Return the newest connection that was told something."""
    return [mouth for mouth in voiced.mouths if mouth.told][-1]


async def finish_on(voiced: Voiced) -> None:
    """The same, with the finish, and its close behind that, as the service does."""
    mouth = await speak_on(voiced)
    mouth.finish().peer.close()
    await settle()


@virtual
async def test_each_sentence_has_a_connection_of_its_own() -> None:
    """In order, each started and stopped; one that is closed behind the finish is replaced."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        utterance, chunks = await start(voiced, live)
        for _ in range(4):
            await finish_on(voiced)
        pcm = await all_of(chunks)
    assert voiced.words(pcm) == said(TEXT)
    assert spoken(voiced) == [
        "The quick fox.",
        " Jumps over it.",
        " Lazy dogs sleep.",
        " All day long.",
    ]
    assert [kinds(peer) for peer in voiced.peers if peer.messages] == ["stS"] * 4
    assert utterance.outcome is Outcome.FINISHED
    stats = utterance.stats
    assert (stats.attempts, stats.messages, stats.text_utf8_bytes) == (4, 4, len(TEXT))
    assert stats.first_audio_s == 0.0
    assert utterance.ledger.text == TEXT
    assert utterance.ledger.replayed_bytes == 0


@virtual
async def test_a_connection_is_warm_for_the_next_segment() -> None:
    """With the usual reserve of one, before the first has finished."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        utterance, _chunks = await start(voiced, live)
        await settle()
        assert len(voiced.peers) == 2
        voiced.mouths[0].finish()
        voiced.mouths[0].peer.close()
        await settle()
        assert len(spoken(voiced)) == 2
        utterance.interrupt()


@virtual
async def test_a_lost_segment_that_was_not_heard_is_said_again() -> None:
    """Exactly, without a word of it said to the listener, who is still in the one before."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        utterance, chunks = await start(voiced, live, LONG)
        await finish_on(voiced)
        (await speak_on(voiced)).peer.drop()
        await later()
        pcm = b""
        while len(spoken(voiced)) < 7:  # those that are ahead of the listener are joined
            await finish_on(voiced)
        await finish_on(voiced)
        pcm += await all_of(chunks)
    assert voiced.words(pcm) == said(LONG)
    assert spoken(voiced)[1] == spoken(voiced)[2] == " Two bees."
    assert utterance.resumes == ()
    assert utterance.stats.attempts == 7
    assert utterance.ledger.replayed_bytes == len(" Two bees.")


@pytest.mark.parametrize("fallback", ["raise", "repeat", "skip"])
@virtual
async def test_a_lost_segment_that_was_heard_in_part(fallback: str) -> None:
    """It is the end, it is said again whole, or what is missing of it is left out."""
    voiced = Voiced(timed=False, cut=words_a_message(1))
    async with open_channel(voiced, **segments(resume_fallback=fallback)) as live:
        utterance, chunks = await start(voiced, live, "<|speaker:1|>One ant. Two bees. Three cats.")
        await finish_on(voiced)
        mouth = speaking(voiced).say(1)
        await settle()
        pcm = await some(chunks, 3 * WORD_S)
        mouth.peer.drop()
        if fallback == "raise":
            with pytest.raises(ConnectionLost) as caught:
                await all_of(chunks)
            assert caught.value.heard_text is not None
            return
        await later()
        for _ in range({"repeat": 2, "skip": 1}[fallback]):
            await finish_on(voiced)
        pcm += await all_of(chunks)
        (resumed,) = utterance.resumes
        ledger = utterance.ledger
    assert (resumed.how, resumed.at_s) == (fallback, pytest.approx(0.9))
    if fallback == "repeat":
        assert voiced.words(pcm) == ["One", "ant", "Two", "Two", "bees", "Three", "cats"]
        assert (resumed.resent_chars, resumed.repeated_chars) == (10, 10)
        assert ledger.replayed_bytes == 3 * len("<|speaker:1|>") + 10
    else:
        assert voiced.words(pcm) == ["One", "ant", "Two", "Three", "cats"]
        assert (resumed.resent_chars, resumed.skipped_chars) == (0, 10)
    assert ledger.text == ledger.heard_text == "<|speaker:1|>One ant. Two bees. Three cats."


@virtual
async def test_a_segment_knows_the_speaker_of_the_one_before() -> None:
    """A connection begins with the first voice unless it is told."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        utterance, chunks = await start(
            voiced, live, "<|speaker:1|>One ant. Two bees. <|speaker:0|>Three."
        )
        for _ in range(3):
            await finish_on(voiced)
        await all_of(chunks)
        assert spoken(voiced)[0] == "<|speaker:1|>One ant."
        assert spoken(voiced)[1] == "<|speaker:1|> Two bees."
        assert utterance.ledger.text == "<|speaker:1|>One ant. Two bees. <|speaker:0|>Three."


@virtual
async def test_a_flush_by_hand_ends_a_segment() -> None:
    """Two flushes in a row end one; text behind it waits for the next connection."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        utterance = live.utterance()
        chunks = aiter(utterance)
        await utterance.send("One ant")
        await utterance.flush()
        await utterance.flush()
        await utterance.send(" Two bees")
        await settle()
        assert spoken(voiced) == ["One ant"]
        await finish_on(voiced)
        assert spoken(voiced) == ["One ant", " Two bees"]
        await utterance.end()
        await finish_on(voiced)
        assert voiced.words(await all_of(chunks)) == said("One ant Two bees")


@pytest.mark.parametrize("tail", ["", " ", "\n\n", " ..."])
@pytest.mark.parametrize("early", [True, False])
@virtual
async def test_an_end_with_nothing_left_asks_nobody(tail: str, early: bool) -> None:
    """Before the last finish or behind it; the tail is queued text all the same."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        utterance = live.utterance()
        chunks = aiter(utterance)
        await utterance.send("One ant.")
        await utterance.flush()
        await settle()
        if tail and early:
            await utterance.send(tail)
        if early:
            await utterance.end()
        await finish_on(voiced)
        if not early:
            await utterance.end()
        assert voiced.words(await all_of(chunks)) == ["One", "ant"]
        assert utterance.outcome is Outcome.FINISHED
        assert utterance.ledger.text == "One ant." + (tail if early else "")
        assert spoken(voiced) == ["One ant."]


@virtual
async def test_white_space_behind_the_last_segment_leaves_no_timer() -> None:
    """Nobody looks for places to flush once all was said."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        _, chunks = await start(voiced, live, "One ant. ")
        await finish_on(voiced)
        assert voiced.words(await all_of(chunks)) == ["One", "ant"]


@virtual
async def test_unread_audio_of_a_failed_attempt_is_forgotten_with_its_segment() -> None:
    """Another attempt was the whole of it; what fails behind it is another segment."""
    voiced = Voiced(timed=False)
    async with open_channel(voiced, **segments()) as live:
        _, chunks = await start(voiced, live, "One ant. Two bees.")
        (await speak_on(voiced)).peer.drop()
        await later()
        speaking(voiced).peer.send(encode_finish())
        await settle()
        assert spoken(voiced) == ["One ant.", "One ant.", " Two bees."]
        speaking(voiced).peer.send(encode_error("no such voice"))
        with pytest.raises(FishLiveError):
            await anext(chunks)
