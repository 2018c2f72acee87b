"""How busy a machine is, as its system tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fishlive.bench import machine
from fishlive.bench.machine import Gauge, Usage, process_s, processors_s

HZ = 100


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of three processors, of which we may use two."""
    monkeypatch.setattr(machine, "_ours", lambda: {0, 2})
    monkeypatch.setattr(machine, "_ticks_hz", lambda: HZ)
    return tmp_path


def test_only_our_processors_count(proc: Path) -> None:
    """User to steal is work, idle and waiting for a disk is not, guests are in user already."""
    (proc / "stat").write_text(
        "cpu  9 9 9 9 9 9 9 9 9 9\n"
        "cpu0 100 10 20 300 50 1 2 17 99 99\n"
        "cpu1 9999 0 0 0 0 0 0 0 0 0\n"
        "cpu2 50 0 0 450 0 0 0 0 0 0\n"
        "intr 1 2 3\n"
    )
    assert processors_s(proc) == (2.0, 10.0)


def test_a_process_has_worked_in_user_and_system(proc: Path) -> None:
    """Whatever its name is."""
    (proc / "7").mkdir()
    (proc / "7" / "stat").write_text("7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 1\n")
    assert process_s(7, proc) == 4.0


@pytest.mark.parametrize("text", [None, "", "cpu0 1 2\n", "cpu0 x y z\n"])
def test_what_is_not_told_is_none(proc: Path, text: str | None) -> None:
    """Another system, or another form: nothing is raised."""
    if text is not None:
        (proc / "stat").write_text(text)
    assert processors_s(proc) is None
    assert process_s(7, proc) is None


def test_a_gauge_tells_what_was_used_since(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all our processors together; of the server, its own time."""
    now = {"all": (10.0, 20.0), "server": 3.0, "clock": 50.0}
    monkeypatch.setattr(machine, "processors_s", lambda: now["all"])
    monkeypatch.setattr(machine, "process_s", lambda _pid: now["server"])
    monkeypatch.setattr("time.monotonic", lambda: now["clock"])
    gauge = Gauge(7)
    now |= {"all": (13.0, 24.0), "server": 4.5, "clock": 52.0}
    assert gauge.usage() == Usage(0.75, 1.5)
    now["clock"] = 50.1
    assert gauge.usage() == Usage(None, 1.5), "too short to say"


def test_this_machine_tells() -> None:
    """Where there is a /proc; elsewhere nothing breaks."""
    assert (processors_s() is None) == (not Path("/proc/stat").exists())
    assert (process_s(os.getpid()) is None) == (not Path("/proc/self/stat").exists())
