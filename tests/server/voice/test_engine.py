"""The voice speaks: one thread behind any number of engines, and a loop that goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fishlive.errors import ConfigError, StreamClosedError, UsageError
from fishlive.server.voice.catalogue import Catalogue, Voice
from fishlive.server.voice.engine import SPEECH_RATE_HZ, Engine, Speech
from fishlive.server.voice.owner import TURN_CHARS, turns
from tests.server.voice.conftest import rms

STORY = (
    "The quick brown fox jumps over the lazy dog, and then it goes home for a long sleep. "
    "In the morning it wakes up and starts all over again. Nobody knows why."
)


@pytest.fixture
def voice(catalogue: Catalogue) -> Voice:
    """Return the default voice."""
    return catalogue.default


def texts(speech: Speech) -> list[str]:
    """Return the words of a speech."""
    return [word.text for word in speech.words]


async def test_duration_grows_with_the_text(engine: Engine, voice: Voice) -> None:
    """A word takes less than a second, a story of 30 words some ten."""
    word = await engine.say("Hello.", voice=voice)
    story = await engine.say(STORY, voice=voice)
    assert 0.3 < word.duration_s < 1.5
    assert 8 < story.duration_s < 16
    assert story.duration_s == len(story.pcm) / 2 / SPEECH_RATE_HZ


async def test_duration_falls_with_speed(engine: Engine, voice: Voice) -> None:
    """Twice the speed takes about half the time, half the speed about twice."""
    normal = (await engine.say(STORY, voice=voice)).duration_s
    fast = (await engine.say(STORY, voice=voice, speed=2.0)).duration_s
    slow = (await engine.say(STORY, voice=voice, speed=0.5)).duration_s
    assert 0.35 < fast / normal < 0.65
    assert 1.6 < slow / normal < 2.4


@pytest.mark.parametrize("speed", [0.49, 2.01, 0.0, -1.0, float("nan"), float("inf")])
async def test_speed_out_of_range_is_refused(engine: Engine, voice: Voice, speed: float) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigError) as caught:
        await engine.say("Hello", voice=voice, speed=speed)
    assert caught.value.argument == "speed"


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        (
            "en-us",
            "Hello there, Dr. Smith's 42 dogs at 3 o'clock.",
            ["Hello", "there", "Dr", "Smith's", "42", "dogs", "at", "3", "o'clock"],
        ),
        (
            "en-us",
            "one of the best in the world",
            ["one", "of", "the", "best", "in", "the", "world"],
        ),
        ("de", "Grüße aus „München“!", ["Grüße", "aus", "München"]),
        ("cmn", "今天天气很好。", list("今天天气很好")),
        ("ar", "مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        (
            "en-us",
            "it cost $1,234.50 on 2024-05-06",
            ["it", "cost", "$1,234.50", "on", "2024-05-06"],
        ),
        ("en-us", "a\0b c\0 d", ["ab", "c", "d"]),
        ("en-us", "hi 👩‍👩‍👧 there 👍🏻", ["hi", "there"]),
        ("en-us", "x \udc80 y", ["x", "y"]),
    ],
)
async def test_words_are_those_of_the_text(
    engine: Engine, catalogue: Catalogue, language: str, text: str, words: list[str]
) -> None:
    """Every word of the text is there, once, in order."""
    voice = catalogue.find(language)
    assert voice is not None
    assert texts(await engine.say(text, voice=voice)) == words


async def test_japanese_keeps_every_character(engine: Engine, catalogue: Catalogue) -> None:
    """However espeak-ng cuts a text without spaces, nothing of it is lost."""
    voice = catalogue.find("ja")
    assert voice is not None
    speech = await engine.say("東京は日本の首都です。", voice=voice)
    assert "".join(texts(speech)) == "東京は日本の首都です"


async def test_word_times_rise_inside_the_sound(engine: Engine, voice: Voice) -> None:
    """Words follow each other without overlap, the last ends before the pause does."""
    speech = await engine.say(STORY, voice=voice)
    edges = [edge for word in speech.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[0] < 0.1
    assert speech.duration_s - 1 < edges[-1] < speech.duration_s


async def test_a_word_is_heard_when_it_is_said_to_be(engine: Engine, voice: Voice) -> None:
    """A word alone takes about the time that its place in a sentence says."""
    speech = await engine.say("I said extraordinarily then.", voice=voice)
    alone = (await engine.say("extraordinarily", voice=voice)).duration_s
    word = speech.words[2]
    assert word.text == "extraordinarily"
    assert word.end_s - word.start_s == pytest.approx(alone, rel=0.4)


@pytest.mark.parametrize("text", ["", "   ", "... — !?", "👍🏻", "\0"])
async def test_nothing_speakable_is_silent(engine: Engine, voice: Voice, text: str) -> None:
    """Text without a letter or digit is an empty speech, not a fault."""
    assert await engine.say(text, voice=voice) == Speech()


async def test_a_voice_that_does_not_load_is_named(engine: Engine, voice: Voice) -> None:
    """The error points at the reference_id; the next text is served."""
    with pytest.raises(ConfigError) as caught:
        await engine.say("Hello", voice=Voice("no", "No", "no", "no/where"))
    assert caught.value.argument == "reference_id"
    assert (await engine.say("Hello", voice=voice)).pcm


async def test_timbres_are_about_equally_loud(engine: Engine, catalogue: Catalogue) -> None:
    """Timbres that espeak-ng makes 20 dB apart come out within a factor of two."""
    for name in ("en-us", "iven", "klatt", "jacky", "hugo"):
        voice = catalogue.find(name)
        assert voice is not None
        assert 1500 < rms((await engine.say(STORY, voice=voice)).pcm) < 6000, name


async def test_a_long_text_is_said_whole(engine: Engine, voice: Voice) -> None:
    """A text of many turns has all its words, and their times keep rising."""
    text = " ".join(f"Number {n} is next." for n in range(60))
    speech = await engine.say(text, voice=voice)
    assert len(text) > 3 * TURN_CHARS
    assert texts(speech) == text.replace(".", "").split()
    starts = [word.start_s for word in speech.words]
    assert starts == sorted(starts)
    assert starts[-1] > speech.duration_s - 3


@pytest.mark.parametrize("text", ["a" * 1000, "word " * 300, "One. " * 200, "x" * 300, "。" * 700])
def test_turns_lose_nothing(text: str) -> None:
    """Pieces are short and join to the text."""
    pieces = turns(text)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= TURN_CHARS + 1


async def test_many_at_once_through_several_engines(catalogue: Catalogue) -> None:
    """Forty texts through three engines each come back as what they are."""
    async with Engine() as one, Engine() as two, Engine() as three:
        engines = (one, two, three)
        said = await asyncio.gather(
            *(
                engines[n % 3].say(f"This is number {n}.", voice=catalogue.all()[n])
                for n in range(40)
            )
        )
    assert [texts(speech) for speech in said] == [
        ["This", "is", "number", str(n)] for n in range(40)
    ]
    assert all(speech.duration_s > 0.5 for speech in said)


async def test_one_thread_serves_all_engines_and_ends_with_the_last(voice: Voice) -> None:
    """The thread is there while somebody uses it, once, and is gone afterwards."""

    def owners() -> int:
        return sum(thread.name == "fishlive-voice" for thread in threading.enumerate())

    async with Engine() as outer:
        async with Engine() as inner:
            await asyncio.gather(outer.say("a", voice=voice), inner.say("b", voice=voice))
            assert owners() == 1
        assert (await outer.say("still here", voice=voice)).pcm
    async with Engine() as again:
        assert owners() >= 1
        assert (await again.say("and back", voice=voice)).pcm


async def test_first_come_first_served(engine: Engine, voice: Voice) -> None:
    """Texts of one turn are done in the order in which they were asked for."""
    order: list[int] = []

    async def speak(number: int) -> None:
        await engine.say(f"Text {number}.", voice=voice)
        order.append(number)

    await asyncio.gather(*(speak(number) for number in range(20)))
    assert order == list(range(20))


async def test_a_long_text_lets_others_take_turns(voice: Voice) -> None:
    """Who asks for a book first does not keep a word of another engine waiting."""
    async with Engine() as reader, Engine() as other:
        book = asyncio.ensure_future(reader.say("A page of it. " * 1000, voice=voice))
        await asyncio.sleep(0)
        assert (await other.say("Hello", voice=voice)).pcm
        assert not book.done()
        book.cancel()
        await asyncio.gather(book, return_exceptions=True)


async def test_cancelling_leaves_the_voice_usable(engine: Engine, voice: Voice) -> None:
    """Cancelled while said and while queued, the next text is whole."""
    tasks = [asyncio.ensure_future(engine.say(STORY * 20, voice=voice)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert texts(await engine.say("All is well.", voice=voice)) == ["All", "is", "well"]


async def test_cancelling_stops_a_text_that_is_being_said(engine: Engine, voice: Voice) -> None:
    """espeak-ng is told within its text, and the next one begins from scratch."""
    before = (await engine.say("Hello there.", voice=voice)).duration_s
    first = asyncio.ensure_future(engine.say("First.", voice=voice))
    task = asyncio.ensure_future(engine.say("a" * 300, voice=voice, speed=0.5))
    await first  # the thread is in the next one now
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    after = (await engine.say("Hello there.", voice=voice)).duration_s
    assert after == pytest.approx(before, rel=0.05)


async def test_the_loop_goes_on_while_texts_are_said(engine: Engine, voice: Voice) -> None:
    """A heartbeat runs many times during one synthesis."""
    beats = 0
    book = asyncio.ensure_future(engine.say(STORY * 20, voice=voice))
    while not book.done():
        await asyncio.sleep(0.001)
        beats += 1
    assert (await book).duration_s > 100
    assert beats > 10


async def test_closing_drops_what_is_unsaid(voice: Voice) -> None:
    """Waiters get an error that says so; other engines are not touched."""
    async with Engine() as other:
        closing = Engine()
        await closing.start()
        waiting = [asyncio.ensure_future(closing.say(STORY, voice=voice)) for _ in range(5)]
        await asyncio.sleep(0)
        await closing.aclose()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(outcomes[-1], StreamClosedError)
        assert (await other.say("Hello", voice=voice)).pcm
        await closing.aclose()


async def test_an_engine_that_is_not_running_says_so(voice: Voice) -> None:
    """Before start it is a mistake, after closing it is closed, for good."""
    engine = Engine()
    with pytest.raises(UsageError):
        await engine.say("Hello", voice=voice)
    async with engine:
        await engine.start()
    with pytest.raises(StreamClosedError):
        await engine.say("Hello", voice=voice)
    with pytest.raises(StreamClosedError):
        await engine.start()


def test_engines_work_in_one_loop_after_another(voice: Voice) -> None:
    """The thread outlives no loop, and the library outlives them all."""

    async def once() -> Speech:
        async with Engine() as engine:
            return await engine.say("Hello", voice=voice)

    assert all(asyncio.run(once()).pcm for _ in range(3))
