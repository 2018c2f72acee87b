"""The comparison with the peers: when a player runs dry, how a ramp ends, who is left out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.peer_plans import BYTES_A_SECOND, TOKENS, Source, underruns
from benchmarks.peer_ramp import BEGIN, DISTURBED, FULL, LATE_SERVER_S, MOST, STEP, Ramp, Step

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 55

TENTH = BYTES_A_SECOND // 10
"""Bytes of a tenth of a second."""


def steps(capacity: int, *, busy: float = 0.0, late_s: float = 0.0) -> Ramp:
    """Run a ramp against a client that carries so many."""
    ramp = Ramp()
    for _ in range(100):
        count = ramp.next()
        if count is None:
            return ramp
        ramp.note(Step(count, max(0, count - capacity), busy or count / 1000, 0.5, late_s))
    raise AssertionError("the ramp does not end")


def test_audio_in_time_is_no_underrun() -> None:
    """Chunks that come as fast as they are played, or faster, never let the player run dry."""
    assert underruns([(0.1 * n, TENTH) for n in range(50)], 0.0001) == 0
    assert underruns([(0.0, TENTH)] * 50, 0.0) == 0
    assert underruns([]) == 0


def test_a_gap_longer_than_what_is_in_hand_is_one_underrun() -> None:
    """A gap of one prebuffer and one chunk is endured; a longer one counts once, and no more."""
    endured = [(0.0, TENTH), (0.19, TENTH), (0.29, TENTH)]
    late = [(0.0, TENTH), (0.21, TENTH), (0.31, TENTH), (0.41, TENTH)]

    assert underruns(endured, 0.1) == 0
    assert underruns(late, 0.1) == 1


@given(
    gaps=st.lists(st.floats(min_value=0.0, max_value=0.5), max_size=30),
    prebuffer_s=st.floats(min_value=0.0, max_value=0.3),
)
def test_only_a_gap_lets_a_player_run_dry(gaps: list[float], prebuffer_s: float) -> None:
    """There are no more underruns than gaps, and none if all of them are prebuffered."""
    arrivals, now_s = [(0.0, TENTH)], 0.0
    for gap in gaps:
        now_s += gap
        arrivals.append((now_s, TENTH))
    found = underruns(arrivals, prebuffer_s)

    assert underruns(arrivals, prebuffer_s + sum(gaps)) == 0
    assert found <= sum(gap > 0.1 for gap in gaps)


@given(capacity=st.integers(min_value=0, max_value=2 * MOST))
def test_a_ramp_ends_near_the_capacity(capacity: int) -> None:
    """It ends, below what the client carries and within one step of it, and the next one fails."""
    ramp = steps(capacity)
    found = ramp.passed.count if ramp.passed else 0

    assert found <= capacity
    if capacity < MOST:
        assert ramp.failed is not None
        assert ramp.failed.count > capacity
        assert ramp.failed.count <= found * STEP + 1
    else:
        assert found == MOST
        assert ramp.limit == "none found"


def test_a_step_that_was_disturbed_blames_nobody_here() -> None:
    """Where another process had the client's core, the limit is not called the client's."""
    ramp = Ramp()
    ramp.note(Step(BEGIN, 1, 0.99, 0.1, 0.0, starved=2 * DISTURBED))

    assert ramp.limit == "other processes"


def test_a_ramp_begins_small() -> None:
    """The first step is one that every client should pass."""
    assert Ramp().next() == BEGIN


@pytest.mark.parametrize(
    ("busy", "late_s", "limit"),
    [
        (FULL + 0.1, 0.0, "the client's core"),
        (0.4, 0.0, "stalls of the client"),
        (0.4, 2 * LATE_SERVER_S, "the server"),
        (FULL + 0.1, 2 * LATE_SERVER_S, "the client's core"),
    ],
)
def test_the_limit_is_whoever_was_busier(busy: float, late_s: float, limit: str) -> None:
    """A late server is the limit only where it worked harder than the client."""
    assert steps(100, busy=busy, late_s=late_s).limit == limit


async def test_a_model_does_not_wait_for_its_reader() -> None:
    """Tokens that were due before they were asked for are there at once, and in order."""
    source = Source(-60.0)
    began_s = time.perf_counter()
    said = [token async for token in source.stream()]

    assert said == TOKENS
    assert source.over
    assert source.began_s < began_s


def test_a_peer_that_is_not_there_is_left_out_and_named(tmp_path: Path) -> None:
    """Every chosen client has a row or a reason, and fishlive holds every conversation."""
    pytest.importorskip("psutil")
    pytest.importorskip("espeakng_loader")
    out = tmp_path / "peers.json"
    command = [sys.executable, "-m", "benchmarks.peers", "turns", "--quick", "--json", str(out)]
    subprocess.run(
        [*command, "--clients", "ours,livekit_plugin"],
        cwd=ROOT,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    found = json.loads(out.read_text(encoding="utf-8"))

    rows = {row["client"]: row for row in found["suites"]["turns"]["rows"]}
    assert rows["fishlive"]["lost"] == 0
    assert rows["fishlive"]["after interruption"] != "-"
    assert len(rows) + len(found["failures"]) == 2
