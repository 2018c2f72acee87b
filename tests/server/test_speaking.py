"""Speaking keeps its pace, and makes no more than is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server import PROFILES, Profile
from fishlive.server.request import read_order
from fishlive.server.speaking import Emit, Inbox, Pacer, Piece, Speaking, Spoken
from fishlive.server.studio import Studio
from tests.server.talk import until

SENTENCE = "This sentence is spoken aloud. "


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    """Return a voice that runs."""
    studio = Studio()
    await studio.start()
    yield studio
    await studio.aclose()


def speaking(studio: Studio, emit: Emit, *, name: str = "pcm") -> Speaking:
    """Return a speaker of one instant utterance."""
    request = {"text": "", "format": name}
    order = read_order(request, model="s2-pro", find=studio.find, strict=True)
    return Speaking(order, studio=studio, profile=PROFILES["instant"], emit=emit, timed=True)


def inbox(*texts: str, stop: bool = True) -> Inbox:
    """Return an inbox with these pieces."""
    box: Inbox = asyncio.Queue()
    for text in texts:
        box.put_nowait(Piece(text, 0.0))
    if stop:
        box.put_nowait(None)
    return box


def test_the_first_event_waits_for_first_audio() -> None:
    """The first event is due first_audio_s after its text, the others at the real-time factor."""
    pacer = Pacer(Profile(first_audio_s=0.5, real_time_factor=0.25, event_s=0.4))
    pacer.begin(arrived_s=10.0)
    assert pacer.delay_s(10.1, 0.4) == pytest.approx(0.4)
    assert pacer.delay_s(10.5, 0.4) == pytest.approx(0.1)
    assert pacer.delay_s(10.7, 0.4) == 0.0


def test_text_that_waited_has_waited() -> None:
    """Text that arrived while other text was spoken follows without another first delay."""
    pacer = Pacer(Profile(first_audio_s=0.5, real_time_factor=0.1, event_s=1.0))
    pacer.begin(arrived_s=0.0)
    assert pacer.delay_s(0.0, 10.0) == 0.5
    pacer.begin(arrived_s=0.2)
    assert pacer.delay_s(1.4, 1.0) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=30))
def test_instant_never_waits(steps: list[tuple[float, float]]) -> None:
    """At factor 0 and without a first delay nothing ever waits."""
    pacer, now_s = Pacer(PROFILES["instant"]), 0.0
    for elapsed_s, audio_s in steps:
        now_s += elapsed_s
        pacer.begin(arrived_s=now_s)
        assert pacer.delay_s(now_s, audio_s) == 0.0


async def test_a_listener_that_takes_nothing(studio: Studio) -> None:
    """While an event is not taken, no further text is touched."""
    taken: list[Spoken] = []

    async def take(spoken: Spoken) -> None:
        taken.append(spoken)
        await asyncio.Event().wait()

    box = inbox(*[SENTENCE] * 50)
    task = asyncio.ensure_future(speaking(studio, take).run(box))
    await until(lambda: bool(taken))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert (len(taken), box.qsize()) == (1, 50)
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("name", ["wav", "pcm", "mp3", "opus"])
async def test_the_end_rides_with_the_last_audio(studio: Studio, name: str) -> None:
    """Text that ends at once ends in one full event, then its alignment; no crumb follows."""
    events: list[Spoken] = []

    async def take(spoken: Spoken) -> None:
        events.append(spoken)

    await speaking(studio, take, name=name).run(inbox(SENTENCE * 2))
    *audio, last = events
    assert last.audio == b""
    assert all(len(event.audio) > 1024 for event in audio[:-1])
    assert last.alignment is not None
    assert [segment.text for segment in last.alignment[0]] == SENTENCE.replace(".", "").split() * 2


async def test_silent_text_has_no_number(studio: Studio) -> None:
    """Chunks are numbered by what is heard: text without sound gives no event and no gap."""
    events: list[Spoken] = []

    async def take(spoken: Spoken) -> None:
        events.append(spoken)

    await speaking(studio, take).run(inbox("...", SENTENCE, "[laughing]", SENTENCE))
    assert dict.fromkeys(event.chunk_seq for event in events) == {0: None, 1: None}
    ends = [event.alignment[1] for event in events if not event.audio and event.alignment]
    offsets = sorted({event.chunk_audio_offset_s for event in events})
    assert offsets == pytest.approx([0.0, ends[0]], abs=0.001)


async def test_cancelling_stops_the_voice(studio: Studio) -> None:
    """A cancelled utterance leaves the voice free for the next one."""

    async def drop(spoken: Spoken) -> None:
        """Take anything."""

    task = asyncio.ensure_future(speaking(studio, drop).run(inbox(*[SENTENCE] * 1000)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await speaking(studio, drop).run(inbox(SENTENCE))
