"""How busy a machine is, as its system tells."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from fishlive.bench import machine
from fishlive.bench.machine import Gauge, Usage, process_s, processors_s

psutil = pytest.importorskip("psutil")


class Linux(NamedTuple):
    """What psutil says of a processor."""

    user: float
    system: float
    idle: float
    iowait: float
    guest: float


class MacOS(NamedTuple):
    """The same on another system."""

    user: float
    system: float
    idle: float


def test_only_our_processors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle and waiting for a disk is no work, and guests are in user already."""
    times = [Linux(1, 0.5, 3, 0.5, 0.25), Linux(9, 9, 9, 9, 9), Linux(0.5, 0, 4.5, 0, 0)]
    monkeypatch.setattr(machine, "_ours", lambda: {0, 2})
    monkeypatch.setattr(psutil, "cpu_times", lambda **_: times)
    assert processors_s() == (2.0, 10.0)


def test_all_processors_are_ours_where_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does every system know guests, or what waits for a disk."""
    monkeypatch.setattr(machine, "_ours", set)
    monkeypatch.setattr(psutil, "cpu_times", lambda **_: [MacOS(1, 1, 2)] * 2)
    assert processors_s() == (4.0, 8.0)


def test_a_process_has_worked_in_user_and_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what it waited for the system says nothing here."""
    other = SimpleNamespace(cpu_times=lambda: MacOS(2.5, 1.5, 0))
    monkeypatch.setattr(psutil, "Process", lambda _pid: other)
    assert process_s(7) == 4.0


def test_what_is_not_told_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process, another processor, or no psutil: nothing is raised."""
    assert process_s(2**22 + 1) is None  # more than Linux numbers
    monkeypatch.setattr(machine, "_ours", lambda: {4096})
    assert processors_s() is None
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert (processors_s(), process_s(os.getpid())) == (None, None)


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
    """It has worked, and so has this process."""
    found, ours_s = processors_s(), process_s(os.getpid())
    assert found is not None
    assert 0 < found[0] <= found[1]
    assert ours_s is not None
    assert ours_s > 0
