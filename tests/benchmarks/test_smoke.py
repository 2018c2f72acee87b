"""The benchmarks run, and say what they measured. Never how fast: that is for people to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("picows")
pytest.importorskip("psutil")
pytest.importorskip("trustme")

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 50


def run(*arguments: str) -> dict[str, Any]:
    """Run the benchmarks as a user does, with the two clients that fishlive depends on anyway."""
    command = [sys.executable, "-m", "benchmarks.run", *arguments, "--quick", "--json", "-"]
    done = subprocess.run(
        [*command, "--clients", "bare_picows,aiohttp_loop"],
        cwd=ROOT,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_quick_run_fills_every_row_and_fails_nowhere() -> None:
    """Every chosen suite has a row for every chosen client, and every token got there, alone."""
    found = run("frames", "text")

    assert found["failures"] == {}
    frames, text = (found["suites"][name]["rows"] for name in ("frames", "text"))
    assert [row["client"] for row in frames] == ["bare_picows", "aiohttp_loop"]
    assert [row["source"] for row in text] == ["suspending"] * 2 + ["ready"] * 2
    assert {type(row["us"]) for row in frames + text} == {float}
    assert {row["messages_per_token"] for row in text} == {1.0}


def test_a_bar_whose_client_was_not_run_is_not_called_met() -> None:
    """Without fishlive among the clients every check is there, and none has passed or failed."""
    found = run("frames")

    checks = found["suites"]["frames"]["checks"]
    assert [check["bar"] for check in checks] == [2.0, 18.0, 1.0]
    assert {check["passed"] for check in checks} == {None}


def test_an_unknown_suite_is_refused() -> None:
    """A suite that nobody knows is refused before anything is started."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run("speed")

    assert b"no such suite: speed" in caught.value.stderr
