"""Tables for people, JSON for scripts, and nothing that could steer a terminal."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from fishlive.cli.answers import show_facts, show_json, show_table, shown, write_text

ID = "802e3bc2b27e49c2995d23ef70e6ac89"


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """However long a value is, a row is one line, without spaces behind it."""
    show_table(("id", "title"), [(ID, "long " * 100), (ID, None)])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("long long")
    assert lines[2] == f"{ID}  -"
    assert lines == [line.rstrip() for line in lines]


def test_a_narrow_terminal_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that does not fit goes on in the next line."""
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_table(("id",), [(ID,)])

    assert ID in "".join(terminal.getvalue().split())


def test_markup_in_a_cell_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like markup, or steers a terminal, is shown as what it is."""
    show_table(("title",), [("[bold]x[/bold] \x1b[2J\u202e",)])
    assert capsys.readouterr().out.splitlines()[1] == r"[bold]x[/bold] \x1b[2J\u202e"


def test_facts_that_are_not_known_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The names are aligned; no, 0 and false are known."""
    show_facts({"a": 0, "longer": False, "none": None, "empty": "", "list": ()})
    assert capsys.readouterr().out == "a       0\nlonger  no\n"


def test_json_keeps_amounts_and_dates(capsys: pytest.CaptureFixture[str]) -> None:
    """Decimals are strings with every digit, dates are ISO 8601, and all of it is ASCII."""
    when = datetime(2026, 9, 1, tzinfo=timezone.utc)
    show_json({"amount": Decimal("1E-10"), "when": when, "name": "日本"})

    written = capsys.readouterr().out
    assert written.isascii()
    assert json.loads(written) == {
        "amount": "0.0000000001",
        "when": "2026-09-01T00:00:00+00:00",
        "name": "日本",
    }


def test_an_encoding_that_lacks_a_character_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal of another age cannot show is escaped."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1", newline="\n"))
    write_text("é 日\n")
    sys.stdout.flush()

    assert raw.getvalue() == b"\xe9 \\u65e5\n"


def test_text_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal control characters are escaped; lines stay lines."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    write_text("one\n\x1b[2Jtwo\n")

    assert terminal.getvalue() == "one\n\\x1b[2Jtwo\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (["a", None], "a, -"), ([], "-"), (" a\nb ", "a b"), (0, "0")],
)
def test_values_for_people(value: object, text: str) -> None:
    """Each is one line."""
    assert shown(value) == text
