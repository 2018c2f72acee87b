"""Results as files: whole, strict, and of one version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fishlive.bench.files import (
    RecordLog,
    parse_result,
    read_records,
    read_result,
    result_text,
    write_parquet,
    write_result,
)
from fishlive.bench.records import Underruns
from fishlive.errors import ConfigError
from tests.bench.samples import record, result

RICH = record(
    0.25, arrivals_s=(0.1, 0.2), sizes_bytes=(10, 20), underruns=(Underruns(0.0, 1, 0.1),)
)


def changed(**changes: Any) -> str:
    """Return a result's text with other values in its outermost object."""
    return json.dumps(json.loads(result_text(result([0.1]))) | changes)


def test_a_result_comes_back(tmp_path: Path) -> None:
    """What was written is what is read, to the last digit."""
    written = result([0.1, 1 / 3])
    write_result(written, tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == written
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """It names the file; nothing is left."""
    with pytest.raises(ConfigError, match=r"no/a\.json"):
        write_result(result([0.1]), tmp_path / "no" / "a.json")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "is no fishlive.bench file"),
        ('{"kind": "other"}', "is no fishlive.bench file"),
        (changed(schema=1), "is of version 1, and this fishlive reads version 2"),
        (changed(schema="1"), "is of version '1'"),
        (changed(more=1), "more: Unexpected keyword"),
        (changed(cells=None), "cells: Input should be a valid"),
        (changed(records=[{"cell": 0}]), "and 4 more"),
        (changed(cells=[]), "a record of a cell or run that is not there"),
        (changed(notes=[1]), "notes.0: Input should be a valid string"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, why: str) -> None:
    """Nothing is guessed, and nothing of ours is in the message but its name."""
    with pytest.raises(ConfigError, match=r"file\.json") as caught:
        parse_result(text, name="file.json")
    assert why in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """It is named, with the system's reason."""
    with pytest.raises(ConfigError, match="No such file"):
        read_result(tmp_path / "none.json")


def test_raw_events_are_there_at_once(tmp_path: Path) -> None:
    """Each line can be read as soon as its utterance is over, before the log is closed."""
    path = tmp_path / "a.jsonl"
    with RecordLog(path) as log:
        log.add(RICH)
        assert list(read_records(path)) == [RICH]
        log.add(record(0.5))
    assert list(read_records(path)) == [RICH, record(0.5)]


@pytest.mark.parametrize("text", ["", '{"kind": "fishlive.bench.records", "schema": 9}\n', "{}\n"])
def test_raw_events_of_another_kind_are_refused(tmp_path: Path, text: str) -> None:
    """The first line says what it is; without it nothing is read."""
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(ConfigError):
        list(read_records(tmp_path / "a.jsonl"))


def test_a_broken_line_is_numbered(tmp_path: Path) -> None:
    """As it happens to files whose disk was full."""
    path = tmp_path / "a.jsonl"
    with RecordLog(path) as log:
        log.add(RICH)
    path.write_text(path.read_text() + '{"cell": 0')
    with pytest.raises(ConfigError, match="line 3"):
        list(read_records(path))


def test_parquet_has_a_column_a_field(tmp_path: Path) -> None:
    """Types are the same whatever was measured: a column of nothing but None keeps its own."""
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet([RICH, record(0.5)], tmp_path / "a.parquet")
    rows = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert rows[0]["arrivals_s"] == [0.1, 0.2]
    assert rows[0]["underruns"] == [{"prebuffer_s": 0.0, "count": 1, "stalled_s": 0.1}]
    assert [row["latency_s"] for row in rows] == [0.25, 0.5]
    empty = tmp_path / "empty.parquet"
    write_parquet([], empty)
    assert parquet.read_schema(empty) == parquet.read_schema(tmp_path / "a.parquet")
