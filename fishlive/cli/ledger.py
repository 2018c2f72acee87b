"""Which tasks were submitted from this machine: ids only, no texts."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fishlive.cli.exits import about_file, usage

MAX_BYTES: Final = 1024 * 1024
"""How much of the file's end is read, in bytes: some ten thousand tasks."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """One task.

    Attributes:
        id: What the gateway calls it.
        kind: What it makes.
        gateway: Which gateway.
        started_at: When, if it was told.
    """

    id: str
    kind: str
    gateway: str
    started_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        """Return it as scripts see it."""
        at = None if self.started_at is None else self.started_at.isoformat()
        return {"id": self.id, "kind": self.kind, "gateway": self.gateway, "started_at": at}


class Ledger:
    """A file of tasks, one JSON line each, in ``$XDG_STATE_HOME/fishlive``, for your eyes only."""

    def __init__(self) -> None:
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        self.path: Path = Path(state).expanduser() / "fishlive" / "tasks.jsonl"

    def add(self, entry: Submitted) -> None:
        """Note a task. Raises Failure, with the task's id, if that cannot be written."""
        line = json.dumps(entry.document()) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise usage(f"task {entry.id} was submitted; {about_file(error)}") from error

    def newest(self, limit: int) -> list[Submitted]:
        """Return the newest tasks, the newest first. Lines that cannot be read are left out."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - MAX_BYTES))
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise usage(about_file(error)) from error
        found = (_read(line) for line in reversed(lines))
        return [entry for entry in found if entry is not None][:limit]


def _read(line: bytes) -> Submitted | None:
    try:
        said = json.loads(line)
        at = said["started_at"]
        started = None if at is None else datetime.fromisoformat(at)
        return Submitted(str(said["id"]), str(said["kind"]), str(said["gateway"]), started)
    except (ValueError, KeyError, TypeError):
        return None
