"""Never run: what type checkers must see in code that uses fishlive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Literal

from typing_extensions import assert_type

import fishlive


async def tokens() -> AsyncIterator[str]:
    """Stand for an LLM."""
    yield "Hello"


def blocking() -> Iterator[str]:
    """Stand for an LLM whose client blocks."""
    yield "Hello"


async def events() -> AsyncIterator[object]:
    """Stand for an LLM whose stream events are passed on as they are."""
    yield object()


async def speak(live: fishlive.LiveTTS) -> None:
    """Speak every kind of source, and look at what comes of it."""
    live.speak("Hello")
    live.speak(["Hel", "lo"])
    live.speak(("Hel", "lo"))
    live.speak(blocking())
    live.speak(tokens(), flush="never", voice=["a" * 32, "b" * 32], temperature=0.5)
    utterance = live.speak(events(), extra={"new_field": 1})
    assert_type(utterance, fishlive.Utterance)
    async for chunk in utterance:
        assert_type(chunk, bytes)
    assert_type(utterance.outcome, fishlive.Outcome)
    assert_type(utterance.outcome is fishlive.Outcome.FINISHED, bool)
    assert_type(utterance.error, BaseException | None)
    assert_type(utterance.words, tuple[fishlive.Word, ...])
    assert_type([word.text for word in utterance.words], list[str])
    assert_type(utterance.stats, fishlive.UtteranceStats)
    assert_type(utterance.stats.first_audio_s, float | None)
    assert_type(utterance.stats.outcome, fishlive.Outcome)
    await utterance.aclose()


async def speak_by_hand(live: fishlive.LiveTTS) -> None:
    """Say when text comes, is flushed and ends."""
    async with live.utterance(voice="v" * 32) as by_hand:
        assert_type(by_hand, fishlive.Utterance)
        await by_hand.send("Hello")
        await by_hand.flush()
        await by_hand.end()
        by_hand.mark_played(0.5)
        assert_type(by_hand.text_ended, bool)
        assert_type(await anext(aiter(by_hand)), bytes)


async def speak_on_the_channel(live: fishlive.LiveTTS) -> None:
    """Leave the utterances to the channel, and interrupt."""
    await live.send("Hello")
    await live.flush()
    await live.end()
    live.mark_played(0.5)
    async for chunk in live:
        assert_type(chunk, bytes)
    what = live.interrupt(played_s=1.0)
    assert_type(what, fishlive.Interruption)
    assert_type(what.played_s, float)
    assert_type(what.heard_text, str)
    assert_type(what.basis, Literal["marked", "consumed", "unknown"])
    assert_type(live.stats, fishlive.UtteranceStats | None)


async def use() -> None:
    """Open and close, as a user would."""
    async with fishlive.Session(api_key="key", transport="aiohttp") as fish:
        assert_type(fish, fishlive.Session)
        assert_type(fish.base_url, str)
        async with fish.live(voice="v" * 32, format="pcm", timestamps=True) as live:
            assert_type(live, fishlive.LiveTTS)
            await live.ready()
            await speak(live)
            assert_type(live.speak("Hello").interrupt(), fishlive.Interruption)


def handle(error: fishlive.FishLiveError) -> bool:
    """Look at an error."""
    assert_type(error.audio_bytes, int)
    return error.retryable
