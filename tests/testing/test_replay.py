from __future__ import annotations

import subprocess
import sys

import pytest

from fishlive.faults import Fault, Place
from fishlive.flow.buffer import AudioBuffer
from fishlive.testing import replay
from fishlive.testing.draw import schedule_of
from fishlive.testing.schedule import Listener, Schedule, Step, Turn
from fishlive.testing.simulate import judge, simulate


def test_a_seed_is_played_again(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it was to be, what happened, and the verdict."""
    assert replay.main(["3"]) == 0
    out = capsys.readouterr().out
    assert "seed: 3" in out
    assert "turn: Turn(way=" in out
    assert "client       connects" in out
    assert f"trace {simulate(3).digest[:16]}" in out
    assert out.endswith("all rules hold\n")


def test_a_sweep_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """How many, how many were bad, and how fast it was."""
    assert replay.main(["0", "--sweep", "20"]) == 0
    assert capsys.readouterr().out.startswith("20 schedules, 0 break a rule; ")


def test_a_broken_rule_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One, with the rule in the last lines."""
    monkeypatch.setattr(AudioBuffer, "put", lambda _self, _chunk: None)
    seed = next(seed for seed in range(50) if simulate(seed).problems)
    assert replay.main([str(seed)]) == 1
    assert "!! " in capsys.readouterr().out
    assert replay.main(["0", "--sweep", str(seed + 1)]) == 1
    assert f"seed {seed}: " in capsys.readouterr().out
    assert replay.main([str(seed), "--shrink"]) == 1


def test_shrinking_leaves_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn, one text, the one fault, and nothing else unusual."""
    usual = AudioBuffer.end
    monkeypatch.setattr(AudioBuffer, "end", lambda self, _error=None: usual(self))
    say = Step("say", "hello. ")
    turn = Turn("async", ((say, Step("wait", seconds=0.1), say),), listener=Listener(patience_s=1))
    faults = (
        Fault(kind="delay", at=Place.TEXT, n=1, value=0.1),
        Fault(kind="finish", at=Place.FINISH, value="error"),
    )
    whole = Schedule(5, (turn, turn), faults=faults, credit_s=0.2, timestamps=True)
    assert "I2" in replay.broken(judge(whole))
    small = replay.shrink(whole).schedule
    assert [len(turn.producers[0]) for turn in small.turns] == [1]
    assert [fault.kind for fault in small.faults] == ["finish"]
    assert small.turns[0].listener == Listener()
    assert (small.credit_s, small.timestamps) == (10.0, False)


def test_smaller_schedules_do_one_thing_less() -> None:
    """And are schedules that can be played."""
    schedule = next(s for s in map(schedule_of, range(100)) if len(s.turns) == 3)
    smaller = list(schedule.smaller())
    assert len(smaller) > 5
    assert schedule not in smaller
    assert not any(judge(less).problems for less in smaller[:5])


def test_it_is_a_command() -> None:
    """Of the installed package, without further extras."""
    done = subprocess.run(
        [sys.executable, "-m", "fishlive.testing.replay", "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert done.stdout.endswith("all rules hold\n")
