"""Results as files: JSON for a whole run, JSON Lines or Parquet for its raw events.

Reading is strict: a file of another version, an unknown field or a value of another type is a
ConfigError that names the file and the field. Nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from fishlive.bench.records import KIND, SCHEMA, Record, Result
from fishlive.bench.whole import write_whole
from fishlive.errors import ConfigError
from fishlive.limits import MIB

MAX_FILE_BYTES: Final = 1024 * MIB
"""Largest file that is read, in bytes: a million utterances, of a KiB each."""

MOST_ERRORS: Final = 3
"""Errors of one file that are told; the rest is counted."""

RECORDS_KIND: Final = KIND + ".records"
"""What the first line of a JSON Lines file says it is."""

_T = TypeVar("_T")


def result_text(result: Result) -> str:
    """Return a result as JSON, one record a line, so that two files can be compared by eye."""
    document = dataclasses.asdict(result)
    records = document.pop("records")
    head = json.dumps(document, indent=1, allow_nan=False)
    lines = ",\n  ".join(json.dumps(record, allow_nan=False) for record in records)
    body = f"[\n  {lines}\n ]" if lines else "[]"
    return f'{head[:-2]},\n "records": {body}\n}}\n'


def write_result(result: Result, path: Path) -> None:
    """Write a result as JSON, as :func:`~fishlive.bench.whole.write_whole` does.

    Raises:
        ConfigError: It cannot be written.
    """
    write_whole(path, result_text(result), argument="json")


def read_result(path: Path) -> Result:
    """Return the result that is in a file.

    Raises:
        ConfigError: It cannot be read, is no result, or one of another version.
    """
    return parse_result(_read(path), name=str(path))


def parse_result(text: str | bytes, *, name: str = "the result") -> Result:
    """Return the result that a text holds. Raises ConfigError as :func:`read_result`."""
    document = _json(text, name)
    _check_version(document, KIND, name)
    result = _valid(Result, text, name)
    for record in result.records:
        if not (
            0 <= record.cell < len(result.cells) and 0 <= record.source < len(result.environments)
        ):
            raise ConfigError(f"{name}: a record of a cell or run that is not there")
    return result


class RecordLog:
    """Raw events while they happen: one JSON object a line, behind a line that says what it is.

    Every line is handed to the system at once, so that what was measured survives whatever ends
    the process. A context manager.

    Args:
        path: Where; what is there is replaced.

    Raises:
        ConfigError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise self._failed(error) from error
        self._line({"kind": RECORDS_KIND, "schema": SCHEMA})

    def add(self, record: Record) -> None:
        """Write one utterance. Raises ConfigError if the disk is full."""
        self._line(dataclasses.asdict(record))

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __enter__(self) -> RecordLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _line(self, document: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(document, allow_nan=False) + "\n")
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"cannot write {self._path}: {error.strerror or error}", argument="jsonl"
        )


def read_records(path: Path) -> Iterator[Record]:
    """Yield the utterances of a JSON Lines file. Raises ConfigError as :func:`read_result`."""
    lines = _read(path).splitlines()
    if not lines:
        raise ConfigError(f"{path} is empty")
    _check_version(_json(lines[0], str(path)), RECORDS_KIND, str(path))
    for number, line in enumerate(lines[1:], start=2):
        yield _valid(Record, line, f"{path}, line {number}")


def write_parquet(records: Iterable[Record], path: Path) -> None:
    """Write raw events as Parquet: a column a field, lists for chunks and prebuffers.

    Raises:
        ConfigError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Parquet needs pyarrow: run `pip install pyarrow`, or use --jsonl", argument="parquet"
        ) from error
    rows = [dataclasses.asdict(record) for record in records]
    table = pa.Table.from_pylist(rows, schema=_parquet_schema(pa))
    try:
        pq.write_table(table, str(path))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error}", argument="parquet") from error


def _parquet_schema(pa: Any) -> Any:
    """Return the columns: always the same, even where nothing was measured."""
    columns: dict[str, Any] = {
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float": pa.float64(),
        "float | None": pa.float64(),
        "tuple[float, ...]": pa.list_(pa.float64()),
        "tuple[int, ...]": pa.list_(pa.int64()),
        "tuple[Underruns, ...]": pa.list_(
            pa.struct(
                [("prebuffer_s", pa.float64()), ("count", pa.int64()), ("stalled_s", pa.float64())]
            )
        ),
    }
    schema = [
        (field.name, columns.get(str(field.type), pa.string()))
        for field in dataclasses.fields(Record)
    ]
    return pa.schema(schema, metadata={"kind": RECORDS_KIND, "schema": str(SCHEMA)})


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is over {MAX_FILE_BYTES // MIB} MiB")
    return data


def _json(text: str | bytes, name: str) -> object:
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not JSON") from error
    return document


def _check_version(document: object, kind: str, name: str) -> None:
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise ConfigError(f"{name} is no {kind} file")
    version = document.get("schema")
    if version != SCHEMA:
        raise ConfigError(
            f"{name} is of version {version!r}, and this fishlive reads version {SCHEMA}: "
            "measure again, or use the version that wrote it"
        )


def _valid(kind: type[_T], text: str | bytes, name: str) -> _T:
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found[:MOST_ERRORS])
        more = f" (and {len(found) - MOST_ERRORS} more)" if len(found) > MOST_ERRORS else ""
        raise ConfigError(f"{name} is broken: {what}{more}") from error
