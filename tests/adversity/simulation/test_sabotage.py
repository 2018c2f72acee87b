"""The rules would notice: a client that is broken on purpose is found out within few schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from fishlive.errors import ConnectionLost
from fishlive.faults import Fault, Place
from fishlive.flow.buffer import AudioBuffer
from fishlive.flow.retry import RetryPolicy, TokenBucket
from fishlive.flow.slots import Slot
from fishlive.live import attempts
from fishlive.live.sender import Sender
from fishlive.secret import Secret
from fishlive.testing.desk import Manner
from fishlive.testing.invariants import MAX_ATTEMPTS
from fishlive.testing.program import CANARY
from fishlive.testing.replay import broken
from fishlive.testing.schedule import Listener, Schedule, Step, Turn
from fishlive.testing.simulate import judge, simulate, sweep
from fishlive.transport import memory
from fishlive.transport.memory import MemorySocket

MOST: Final = 400
"""Schedules within which it must show."""


def every(count: int, odd: Callable[..., Any], usual: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that is odd every so-manieth time."""
    calls = 0

    def method(*given: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return (usual if calls % count else odd)(*given, **options)

    return method


def nothing(*_given: Any, **_options: Any) -> None:
    """Do nothing."""


def found() -> set[str]:
    """Return the rules that the first schedule in trouble breaks."""
    for verdict in sweep(range(MOST)):
        return broken(verdict)
    return set()


def test_lost_audio_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk in forty does not reach the queue."""
    monkeypatch.setattr(AudioBuffer, "put", every(40, nothing, AudioBuffer.put))
    assert "I3" in found()


def test_repeated_audio_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk in forty is queued twice."""
    usual = AudioBuffer.put

    def twice(self: AudioBuffer, chunk: bytes) -> None:
        usual(self, chunk)
        usual(self, chunk)

    monkeypatch.setattr(AudioBuffer, "put", every(40, twice, usual))
    assert "I3" in found()


def test_audio_in_another_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk in forty passes the one before it."""
    usual = AudioBuffer.put

    def passing(self: AudioBuffer, chunk: bytes) -> None:
        usual(self, chunk)
        self._chunks.rotate(1)

    monkeypatch.setattr(AudioBuffer, "put", every(40, passing, usual))
    assert "I3" in found()


def test_late_audio_that_cannot_be_told_apart_is_no_trouble() -> None:
    """It is nobody's, and comes while the next utterance speaks: only what follows it counts."""
    verdict = simulate(49084)
    read = [what for _, who, what in verdict.trace if who == "turn 2"]
    assert "reads 2 bytes" in read, "another seed is needed: the schedules are drawn anew"
    assert not verdict.problems


def test_a_service_that_is_done_before_it_has_read_all_is_no_trouble() -> None:
    """Our stop was on its way when it said so: nobody can tell that from the true end."""
    verdict = simulate(83256)
    did = [what for _, who, what in verdict.trace if who.startswith("service")]
    assert any(what.startswith("fault finish:stop") for what in did), "another seed is needed"
    assert not verdict.problems


def test_lost_text_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message in forty is not sent."""
    monkeypatch.setattr(MemorySocket, "send", every(40, nothing, MemorySocket.send))
    assert found() & {"I7", "other", "I1"}


def test_a_swallowed_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener takes a failure for the end."""
    usual = AudioBuffer.end
    monkeypatch.setattr(AudioBuffer, "end", lambda self, _error=None: usual(self))
    assert "I2" in found()


def test_a_slot_that_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gives back what was lent."""
    monkeypatch.setattr(Slot, "release", nothing)
    assert found() & {"I4"}


def test_a_timer_that_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender goes on looking at the clock."""
    monkeypatch.setattr(Sender, "_stop_timer", nothing)
    assert "I4" in found()


def test_a_socket_that_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cuts what failed."""
    monkeypatch.setattr(MemorySocket, "abort", nothing)
    assert "I4" in found()


def test_trying_again_what_is_final_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is no good is tried once more."""
    monkeypatch.setattr(attempts, "_passing", lambda _error, _malformed: True)
    assert "I6" in found()


def test_trying_too_often_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody counts wrong."""

    def delay_s(_self: RetryPolicy, _error: object, *, attempt: int, **_options: object) -> Any:
        return 0.0 if attempt < 2 * MAX_ATTEMPTS else None

    schedule = Schedule(
        20,
        (Turn("text", ((Step("say", "hello"),),)),),
        faults=(Fault(kind="rst", at=Place.TEXT, n=1, times=None),),
    )
    assert not judge(schedule).problems
    monkeypatch.setattr(RetryPolicy, "delay_s", delay_s)
    monkeypatch.setattr(TokenBucket, "fail", lambda _self: True)
    monkeypatch.setattr(attempts, "MAX_STILLBORN", 2 * MAX_ATTEMPTS)
    assert "I6" in broken(judge(schedule))


def test_saying_again_what_was_heard_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody remembers that the listener has begun to read."""
    monkeypatch.setattr(AudioBuffer, "read_bytes", property(lambda _self: 0))
    assert "I6" in found()


def test_waiting_for_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener is not woken at the end."""
    monkeypatch.setattr(AudioBuffer, "_wake", nothing)
    assert "I1" in found()


def test_a_key_in_an_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transport tells with which key it was lost, and nobody puts dots there."""
    monkeypatch.setattr(Secret, "scrub", lambda _self, text: text)
    monkeypatch.setattr(memory, "lost", lambda: ConnectionLost(f"lost, with {CANARY}-7"))
    assert "I8" in found()


def test_an_unbounded_queue_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is read on while a listener naps through a flood."""
    schedule = Schedule(
        7,
        (Turn("text", ((Step("say", "hello"),),), listener=Listener(naps=((1, 1.0),))),),
        manner=Manner(every_s=0.01, message_bytes=32),
        faults=(Fault(kind="flood", at=Place.AUDIO, n=2, value=12_000_000),),
    )
    assert not judge(schedule).problems
    monkeypatch.setattr(MemorySocket, "pause_reading", nothing)
    assert "I5" in broken(judge(schedule))


def test_a_key_in_a_local_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which tools that report errors would send away."""

    async def get(_self: AudioBuffer) -> bytes:
        header = f"Bearer {CANARY}-7"
        raise ConnectionLost("lost" if header else "")

    monkeypatch.setattr(AudioBuffer, "get", get)
    schedule = Schedule(20, (Turn("text", ((Step("say", "hello"),),)),))
    assert "I8" in broken(judge(schedule))
    assert "I8" not in broken(judge(replace(schedule, seed=21)))
