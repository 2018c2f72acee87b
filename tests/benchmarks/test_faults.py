"""Clients are judged by one table that knows every row, and by what reached their caller."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.faults_expected import Meaning, Row, of_close_code, of_status, rows
from benchmarks.faults_verdict import Outcome, Result, cell, judged, summary
from fishlive.faults import Fault

LOST = Row("M3", Fault.parse("rst@audio:2"))
HARMLESS = Row("M12 audio", Fault.parse("late-audio@finish"))

NOTES = {"played_ns": [1_000_000], "sent_bytes": 300, "before_bytes": 100, "connections": 1}


def answer(**changes: Any) -> dict[str, Any]:
    """Return what a client answers that ends as it should."""
    return {
        "began_ns": 0, "ended_ns": 3_000_000, "hung": False, "bytes": 100, "foreign": 0,
        "error": "TheirError", "own": True, "crash": False, "meanings": ["LOST"], "left": {},
        "complaints": [], **changes,
    }  # fmt: skip


def met(row: Row, answered: dict[str, Any], **notes: int) -> Result:
    """Return what came of it, of 300 bytes of speech."""
    return judged("ours", row, answered, {**NOTES, **notes}, whole_bytes=300)


def test_every_row_that_can_be_played_has_a_right_end() -> None:
    """A row that somebody adds must be judged too."""
    assert all(row.right for row in rows())
    assert len({row.name for row in rows()}) == len(rows())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Outcome.RIGHT),
        ({"meanings": ["TLS"]}, Outcome.TYPED),
        ({"meanings": [], "own": False}, Outcome.FOREIGN),
        ({"error": None, "meanings": ["FINISHED"], "own": False}, Outcome.SILENT),
        ({"crash": True, "meanings": []}, Outcome.CRASH),
        ({"hung": True, "error": None, "meanings": ["FINISHED"]}, Outcome.HANG),
    ],
)
def test_an_end_is_judged_by_what_it_says(changes: dict[str, Any], expected: Outcome) -> None:
    """Where the connection is lost, only an error of the client's own that says so is right."""
    assert met(LOST, answer(**changes)).outcome is expected


def test_an_end_that_needs_no_error_is_right_without_one() -> None:
    """What is harmless must not be an error."""
    whole = answer(error=None, meanings=["FINISHED"], bytes=300)

    assert met(HARMLESS, whole).outcome is Outcome.RIGHT
    assert met(HARMLESS, answer()).outcome is Outcome.TYPED


def test_no_error_is_recovery_leniency_or_a_lie() -> None:
    """It depends on whether the client connected again, and on whether anything is missing."""
    whole = answer(error=None, meanings=["FINISHED"], own=False, bytes=300)
    short = {**whole, "bytes": 100}

    assert met(LOST, whole, connections=2).outcome is Outcome.RIGHT
    assert met(LOST, whole).outcome is Outcome.LENIENT
    assert met(LOST, short).outcome is Outcome.SILENT
    assert met(LOST, short, sent_bytes=100, connections=2).outcome is Outcome.SILENT


def test_what_is_no_audio_is_never_right() -> None:
    """A caller that is handed text as audio was told nothing."""
    handed = answer(error=None, meanings=["FINISHED"], foreign=1)

    assert met(HARMLESS, handed).outcome is Outcome.SILENT


@pytest.mark.parametrize(
    ("changes", "lost", "added"),
    [
        ({"bytes": 60}, 40, 0),
        ({"bytes": 200}, 0, 0),
        ({"bytes": 310}, 0, 10),
        ({"error": None, "meanings": ["FINISHED"], "bytes": 100}, 200, 0),
    ],
)
def test_audio_is_owed_up_to_the_fault_and_whole_without_an_error(
    changes: dict[str, Any], lost: int, added: int
) -> None:
    """Whoever says that it was all must have delivered all."""
    result = met(LOST, answer(**changes))

    assert (result.lost_bytes, result.added_bytes) == (lost, added)


def test_the_time_of_an_error_runs_from_the_fault() -> None:
    """Both processes read the same clock."""
    assert met(LOST, answer()).error_ms == 2.0


def test_a_cell_shows_the_worst_round_and_all_that_was_left() -> None:
    """One bad round of five is what a user meets."""
    fine = met(LOST, answer())
    bad = met(LOST, answer(hung=True, bytes=60, left={"tasks": 1}))

    assert cell([fine, bad]) == "hang, -40 B, 1 tasks"
    assert summary({"ours": [fine, bad]}).rows[0] == ("right where an error is due", "0 of 1")


def test_codes_and_statuses_are_read_as_their_documents_say() -> None:
    """A class that carries a number says as much as one that is named after it."""
    assert of_status(402) == {Meaning.CREDIT}
    assert of_status(301) == {Meaning.NO_ENDPOINT}
    assert Meaning.LOST in of_close_code(1006)
    assert Meaning.LOST not in of_close_code(1000)
