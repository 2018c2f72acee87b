"""Recordings become words, in a process of their own."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest

from fishlive.server import hearing, recogniser
from fishlive.server.hearing import Deaf, NoRecogniser, NoSound, hear
from fishlive.server.recogniser import BYTES_A_SECOND, Listener
from fishlive.server.voice.speech import SPEECH_RATE_HZ
from tests.server.recording import WORDS, speech, wav
from tests.server.talk import until

needs_recogniser = pytest.mark.skipif(
    not hearing.is_installed(), reason="the extra asr is not installed"
)

SECOND = wav(bytes(BYTES_A_SECOND))
FOREVER = "import threading; threading.Event().wait()"
"""A recogniser that never answers."""


def spoken() -> bytes:
    """Return the sentence as the recogniser takes it."""
    return b"".join(hearing._decoded(wav(speech().pcm, rate_hz=SPEECH_RATE_HZ)))


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return every process that is started."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return started


@needs_recogniser
async def test_pieces_may_be_cut_anywhere() -> None:
    """The same recording has the same words, whatever the pieces it comes in."""
    pcm = spoken()
    heard = []
    for size in (len(pcm), 1002):
        listener = Listener()
        for at in range(0, len(pcm), size):
            listener.feed(pcm[at : at + size])
        heard.append(listener.finish())
    assert heard[0] == heard[1]
    assert {word for word, _, _ in heard[0]} >= WORDS


@needs_recogniser
async def test_speech_without_a_pause_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long for one go is heard in several, whose times go on."""
    monkeypatch.setattr(recogniser, "MAX_UTTERANCE_S", 0.9)
    pcm = spoken()
    listener = Listener()
    listener.feed(pcm)
    words = listener.finish()
    times = [time for _, start_s, end_s in words for time in (start_s, end_s)]
    assert times == sorted(times)
    assert len(words) > 4
    assert 1.8 < times[-1] <= len(pcm) / BYTES_A_SECOND + 0.1


@needs_recogniser
async def test_cancelling_ends_the_process(
    children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a transcript no longer leaves nothing running."""
    monkeypatch.setattr(hearing, "_RUN", FOREVER)
    hearing_ = asyncio.ensure_future(hear(SECOND))
    await until(lambda: bool(children))
    hearing_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing_
    await until(lambda: children[0].poll() is not None)
    assert children[0].returncode != 0


@needs_recogniser
async def test_waiting_for_a_turn_can_be_cancelled(
    children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What did not begin never does, and the next is heard."""
    with monkeypatch.context() as patched:
        patched.setattr(hearing, "_RUN", FOREVER)
        tasks = [asyncio.ensure_future(hear(SECOND)) for _ in range(hearing.AT_ONCE + 2)]
        await until(lambda: len(children) == hearing.AT_ONCE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: all(child.poll() is not None for child in children))
    assert (await hear(SECOND)).duration_s == 1.0
    assert len(children) == hearing.AT_ONCE + 1


def test_who_was_stopped_starts_no_process(children: list[subprocess.Popen[bytes]]) -> None:
    """A request that ends while its thread begins leaves nothing behind either."""
    ear = hearing._Ear(SECOND)
    ear.stop()
    ear.stop()
    with pytest.raises(Deaf):
        ear.hear()
    assert not children


@needs_recogniser
@pytest.mark.parametrize(("code", "error"), [(recogniser.MISSING, NoRecogniser), (1, Deaf)])
async def test_a_process_that_fails(
    monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    """Its exit code tells a recogniser that does not load from one that broke."""
    monkeypatch.setattr(hearing, "_RUN", f"raise SystemExit({code})")
    with pytest.raises(error):
        await hear(SECOND)


@needs_recogniser
@pytest.mark.parametrize("rubbish", [b"RIFF", b"text", wav(b""), b"\0" * 10_000])
async def test_no_process_is_started_for_no_sound(
    children: list[subprocess.Popen[bytes]], rubbish: bytes
) -> None:
    """What cannot be decoded is told first."""
    with pytest.raises(NoSound):
        await hear(rubbish)
    assert not children


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decoded for nobody."""
    monkeypatch.setattr(hearing, "is_installed", lambda: False)
    with pytest.raises(NoRecogniser):
        await hear(b"")
