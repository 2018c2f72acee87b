"""The thread: what it does with failures, and with a process that forks."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from fishlive.errors import ConfigError, SynthesisError
from fishlive.server.voice import owner as owner_module
from fishlive.server.voice.catalogue import Catalogue
from fishlive.server.voice.engine import Engine
from fishlive.server.voice.owner import PROCESS, Job, Owner
from fishlive.server.voice.speaker import Speaker
from fishlive.server.voice.speech import Speech

FORKER = """
import asyncio, os
from fishlive.errors import ForkedProcessError
from fishlive.server.voice.catalogue import Catalogue
from fishlive.server.voice.engine import Engine

VOICE = Catalogue().default

async def speak():
    async with Engine() as engine:
        assert (await engine.say("Hello there.", voice=VOICE)).pcm

async def misuse(engine):
    try:
        await engine.say("Hello", voice=VOICE)
    except ForkedProcessError:
        await engine.aclose()
    else:
        raise AssertionError("a child spoke through its parent's engine")

loop = asyncio.new_event_loop()
engine = Engine()
loop.run_until_complete(engine.start())
if child := os.fork():
    loop.run_until_complete(engine.say("Hello", voice=VOICE))
    loop.run_until_complete(engine.aclose())
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
asyncio.run(asyncio.wait_for(speak(), 20))
asyncio.run(asyncio.wait_for(misuse(engine), 20))
"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Let engines of this test share an owner that has not loaded anything."""
    monkeypatch.setattr(PROCESS, "owner", Owner())
    return PROCESS.owner


async def test_what_does_not_load_ends_the_start(
    fresh: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without espeak-ng fails when it starts, not at its first text."""

    def missing() -> Speaker:
        raise ConfigError("no espeak-ng")

    monkeypatch.setattr(owner_module, "Speaker", missing)
    with pytest.raises(ConfigError, match="no espeak-ng"):
        await Engine().start()
    assert not fresh.warm


async def test_a_start_that_is_cancelled_leaves_no_user(
    fresh: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends with it, and another engine starts as usual."""

    class Mute:
        """Says nothing, at once."""

        def say(self, *_text: object, **_manner: object) -> None:
            """Say nothing."""

    monkeypatch.setattr(owner_module, "Speaker", Mute)
    starting = asyncio.ensure_future(Engine().start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not fresh.users


async def test_a_bug_ends_one_text_and_not_the_voice(
    fresh: Owner, monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    """Whatever fails inside is a SynthesisError to the one who asked."""

    class Clumsy:
        """Fails on one text only."""

        def say(self, text: str, **_manner: object) -> None:
            """Say nothing, or fail."""
            if text == "Stumble":
                raise ZeroDivisionError

    monkeypatch.setattr(owner_module, "Speaker", Clumsy)
    monkeypatch.setattr(owner_module, "join", lambda said: said)
    async with Engine() as engine:
        with pytest.raises(SynthesisError) as caught:
            await engine.say("Stumble", voice=catalogue.default)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        await engine.say("Go on", voice=catalogue.default)
    assert fresh.warm


class Impatient(Job):
    """Lets its text be stopped at the second question, and counts what happens."""

    asked = 0
    turns_taken = 0

    def take_turn(self, speaker: Speaker) -> bool:
        """Say a minute of text."""
        self.turns_taken += 1
        speech = speaker.say(
            "A minute of it. " * 60, voice=Catalogue().default, speed=1.0, stopped=self.stopped
        )
        self.done.get_loop().call_soon_threadsafe(self.done.set_result, speech)
        return False

    def stopped(self) -> bool:
        """Say yes from the second time on."""
        self.asked += 1
        return self.asked > 1


async def test_espeak_stops_within_its_text(engine: Engine, catalogue: Catalogue) -> None:
    """A stopped text is asked about twice and dropped, not spoken to its end."""
    job = Impatient("any")
    PROCESS.owner.put(job)
    assert await job.done == Speech()
    assert job.asked <= 4
    assert (await engine.say("And on.", voice=catalogue.default)).pcm


async def test_a_dropped_text_takes_no_turn(engine: Engine, catalogue: Catalogue) -> None:
    """What nobody waits for any more is passed over in the queue."""
    job = Impatient("any")
    job.dropped = True
    PROCESS.owner.put(job)
    await engine.say("Next, please.", voice=catalogue.default)
    assert not job.turns_taken


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_forked_child_has_a_voice_of_its_own() -> None:
    """Forking while the thread runs neither hangs the child nor harms the parent.

    An engine stays its parent's: the child gets ForkedProcessError and opens one itself.
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKER]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
