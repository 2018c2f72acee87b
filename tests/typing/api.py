"""Never run: what type checkers must see in code that uses fishlive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type

import fishlive


async def tokens() -> AsyncIterator[str]:
    """Stand for an LLM."""
    yield "Hello"


def blocking() -> Iterator[str]:
    """Stand for an LLM whose client blocks."""
    yield "Hello"


async def use() -> None:
    """Use every public name as a user would."""
    async with fishlive.Session(api_key="key") as fish:
        assert_type(fish, fishlive.Session)
        async with fish.live(voice="v" * 32, format="pcm", timestamps=True) as live:
            assert_type(live, fishlive.LiveTTS)
            await live.ready()
            for source in ("text", ["a", "b"], tokens(), blocking()):
                utterance = live.speak(source, flush="never", temperature=0.5)
                assert_type(utterance, fishlive.Utterance)
                async for chunk in utterance:
                    assert_type(chunk, bytes)
                assert_type(utterance.outcome, fishlive.Outcome)
                assert_type(utterance.error, BaseException | None)
                assert_type(utterance.words, tuple[fishlive.Word, ...])
                assert_type(utterance.stats, fishlive.UtteranceStats)
                assert_type(utterance.stats.first_audio_s, float | None)
            async with live.utterance() as by_hand:
                assert_type(by_hand, fishlive.Utterance)
                await by_hand.send("Hello")
                await by_hand.flush()
                await by_hand.end()
                by_hand.mark_played(0.5)
            async for chunk in live:
                assert_type(chunk, bytes)
            what = live.interrupt(played_s=1.0)
            assert_type(what, fishlive.Interruption)
            assert_type(what.played_s, float)
            assert_type(live.stats, fishlive.UtteranceStats | None)


def handle(error: fishlive.FishLiveError) -> bool:
    """Look at an error."""
    assert_type(error.audio_bytes, int)
    return error.retryable
