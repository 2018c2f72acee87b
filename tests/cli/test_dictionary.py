"""``fishlive dictionary``: rules from files, versions that follow each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fishlive.cli.dictionary import read_rules
from fishlive.cli.exits import ExitCode, Failure
from tests.cli.command import call
from tests.rest.canned import answering
from tests.rest.test_dictionaries import DICTIONARY, VERSION


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FISH_API_KEY", "sesame")


async def test_create_says_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """People read it, scripts parse it."""
    async with answering(lambda _: (201, DICTIONARY)) as (url, asked):
        assert await call("dictionary", "create", "Names", "--base-url", url) == ExitCode.DONE
        assert "id              9b2f\n" in capsys.readouterr().out
        await call("dictionary", "create", "Names", "--json", "--base-url", url)

    assert asked[0].json == {"name": "Names"}
    assert json.loads(capsys.readouterr().out) == {
        "id": "9b2f",
        "name": "Product names",
        "description": None,
        "latest_version_id": "v1",
        "created_at": "2026-09-01T10:00:00+00:00",
        "updated_at": None,
    }


async def test_show_has_the_rules_of_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Every field that a rule has is a column; in JSON they are as the service sent them."""
    async with answering(lambda _: (200, VERSION)) as (url, asked):
        where = ("--version", "v2", "--base-url", url)
        await call("dictionary", "show", "9b2f", *where)
        table = capsys.readouterr().out
        await call("dictionary", "show", "9b2f", "--json", *where)

    assert table.splitlines()[0].split() == ["key", "value", "type"]
    assert "S IY1 K W AH0 L" in table.splitlines()[1]
    assert json.loads(capsys.readouterr().out)["rules"] == VERSION["rules"]
    assert asked[0].path.endswith("/9b2f/versions/v2")


async def test_a_version_is_published_from_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line is text, a tab and phonemes; `none` stands for the first version."""
    file = tmp_path / "rules.tsv"
    file.write_text("SQL\tS IY1\n\nAWS\tEY1 D\n", encoding="utf-8")
    async with answering(lambda _: (201, VERSION)) as (url, asked):
        code = await call(
            "dictionary", "add-version", "9b2f", str(file), "--after", "none", "--base-url", url
        )

    assert code == ExitCode.DONE
    assert asked[0].json == {
        "rules": [{"key": "SQL", "value": "S IY1"}, {"key": "AWS", "value": "EY1 D"}],
        "expected_latest_version_id": None,
    }
    assert capsys.readouterr().out.splitlines()[0].split() == ["version", "v2"]


async def test_a_conflict_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody was faster: exit code 2, one line, nothing published twice."""
    file = tmp_path / "rules.json"
    file.write_text("[]")
    refusal = {"status": 409, "message": "a newer version exists"}
    async with answering(lambda _: (409, refusal)) as (url, asked):
        code = await call(
            "dictionary", "add-version", "9b2f", str(file), "--after", "v1", "--base-url", url
        )

    assert code == ExitCode.USAGE
    assert len(asked) == 1
    assert "read it again, and base the change on that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "rules"),
    [
        ("r.json", '[{"key": "a", "new": 1}]', ("rules", [{"key": "a", "new": 1}])),
        ("r.json", '{"items": [{"key": "a"}]}', ("items", [{"key": "a"}])),
        ("r.json", '{"id": "v1", "rules": []}', ("rules", [])),
        ("r.txt", "\ufeff  [1]", ("rules", [1])),
    ],
)
def test_json_is_taken_as_it_is(
    name: str, text: str, rules: tuple[str, object], tmp_path: Path
) -> None:
    """What ``show --json`` writes can be edited and published."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_rules(tmp_path / name) == rules


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("r.tsv", b"no tab in here", "line 1: expected text, a tab"),
        ("r.tsv", b"ok\tOW1\nbad\t<|x|>", r"line 2: key and value hold no"),
        ("r.json", b"{", "is no JSON"),
        ("r.json", b"{}", "holds no list of rules"),
        ("r.json", b"[" * 100_000, "is no JSON"),
        ("r.tsv", b"caf\xe9\tx", "not UTF-8 text"),
        ("missing.tsv", None, "cannot read"),
        (".", None, "cannot read"),
    ],
)
def test_a_file_that_holds_no_rules_is_said(
    name: str, data: bytes | None, what: str, tmp_path: Path
) -> None:
    """It is a usage error that names the file, and the line if there is one."""
    file = tmp_path / name
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(Failure, match=what) as caught:
        read_rules(file)
    assert caught.value.code is ExitCode.USAGE
