"""The voices a server keeps: those that were made here, and the engine's own beside them."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from fishlive.errors import ConfigError
from fishlive.server.refusal import Refusal
from fishlive.server.store import Store
from fishlive.server.voice.catalogue import Catalogue, Voice
from fishlive.server.voice_rows import (
    COLUMNS,
    ORDERS,
    NewVoice,
    Question,
    Row,
    changed,
    entity,
    house_row,
    new_row,
)

_MARKS: Final = ", ".join(f":{name}" for name in COLUMNS)
_INSERT: Final = f"INSERT INTO voices VALUES ({_MARKS})"  # noqa: S608 - of constants
_INSERT_HOUSE: Final = f"INSERT INTO house VALUES ({_MARKS})"  # noqa: S608 - of constants
_HOUSE: Final = (
    "CREATE TEMP TABLE house AS SELECT * FROM voices WHERE 0",
    "CREATE TEMP VIEW every_voice AS SELECT * FROM voices UNION ALL SELECT * FROM house",
)


@dataclass(slots=True)
class _Clone:
    """What speaking needs to know of a voice that was made here."""

    voice: Voice
    trained_s: float
    audible: bool
    uses: int = 0
    written: int = 0  # of the uses


class Shelf:
    """Keeps voices in the store, and the few facts that speaking needs in memory.

    A voice that was made here does not sound like its samples: it is one of the engine's own,
    chosen by their hash, so the same samples always sound the same, on every machine.

    Args:
        training_s: Seconds until a new voice is trained.
        clock: Seconds since 1970.
    """

    def __init__(
        self, store: Store, *, training_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._training_s = training_s
        self._clock = clock
        self._catalogue = Catalogue()
        self._clones: dict[str, _Clone] = {}
        self._gone: set[str] = set()

    async def start(self) -> None:
        """Lay out the engine's voices, and remember those that were made before.

        Raises:
            ConfigError: The store holds something else than it says.
        """
        try:
            await self._store.run(self._lay_out)
        except Refusal as refusal:
            raise ConfigError(refusal.message, argument="data") from refusal

    def __contains__(self, voice_id: object) -> bool:
        """Return whether a voice is or was made here under an id, since the server runs."""
        return voice_id in self._clones or voice_id in self._gone

    def find(self, voice_id: str) -> Voice | None:
        """Return the voice that was made here under an id, once it is trained; count its use."""
        clone = self._clones.get(voice_id)
        if clone is None or not clone.audible or self._clock() < clone.trained_s:
            return None
        clone.uses += 1
        return clone.voice

    async def page(self, question: Question) -> tuple[int, list[dict[str, Any]]]:
        """Return how many voices there are, and one page of them, as the service shows them."""
        return await self._store.run(partial(self._page, question))

    async def get(self, voice_id: str) -> dict[str, Any] | None:
        """Return a voice as the service shows it, or None."""
        return await self._store.run(partial(self._get, voice_id))

    async def create(self, new: NewVoice) -> dict[str, Any]:
        """Keep a new voice and its samples; return it as the service shows it."""
        return await self._store.run(partial(self._create, new))

    async def update(
        self, voice_id: str, changes: Mapping[str, Any], *, cover: bytes | None
    ) -> bool:
        """Change a voice that was made here; return whether there still is one.

        Args:
            changes: New ``title``, ``description``, ``visibility`` and ``tags``.
            cover: A new picture; empty to have none, None to leave it.
        """
        return await self._store.run(partial(self._update, voice_id, changes, cover))

    async def delete(self, voice_id: str) -> None:
        """Forget a voice that was made here, and its samples."""
        await self._store.run(partial(self._delete, voice_id))

    async def cover(self, voice_id: str) -> bytes | None:
        """Return a voice's picture, or None."""
        return await self._blob("SELECT image FROM covers WHERE voice_id = ?", voice_id)

    async def sample(self, sample_id: str) -> bytes | None:
        """Return a sample as it was sent, or None."""
        return await self._blob("SELECT audio FROM samples WHERE id = ?", sample_id)

    async def aclose(self) -> None:
        """Write down what was counted, if it can be."""
        with contextlib.suppress(Refusal):
            await self._store.run(self._write_uses)

    async def _blob(self, query: str, key: str) -> bytes | None:
        row = await self._store.run(lambda connection: connection.execute(query, (key,)).fetchone())
        return None if row is None else bytes(row[0])

    # What follows runs in the store's thread.

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        connection.create_function("fold", 1, str.casefold, deterministic=True)
        for statement in _HOUSE:
            connection.execute(statement)
        created_s = self._store.created_s
        rows = [house_row(voice, created_s=created_s) for voice in self._catalogue.all()]
        connection.executemany(_INSERT_HOUSE, rows)
        for row in _rows(connection, "SELECT * FROM voices"):
            self._remember(row)

    def _remember(self, row: Row) -> None:
        like = self._catalogue.find(row["sound"]) or self._catalogue.default
        voice = replace(like, id=row["id"], name=row["title"], invented=False)
        self._clones[row["id"]] = _Clone(voice, row["trained_s"], bool(row["audible"]))

    def _page(
        self, question: Question, connection: sqlite3.Connection
    ) -> tuple[int, list[dict[str, Any]]]:
        self._write_uses(connection)
        where, values = question.where
        # The condition and the order are of voice_rows' own words; what was asked is in values.
        count = f"SELECT count(*) FROM every_voice WHERE {where}"  # noqa: S608 - as said
        counted = connection.execute(count, values)
        total: int = counted.fetchone()[0]
        if question.offset >= total:  # which may be more than a column holds
            return total, []
        page = f"SELECT * FROM every_voice WHERE {where}"  # noqa: S608 - as said
        page += f" ORDER BY {ORDERS[question.order]} LIMIT ? OFFSET ?"
        rows = _rows(connection, page, (*values, question.limit, question.offset))
        return total, [self._entity(connection, row) for row in rows]

    def _get(self, voice_id: str, connection: sqlite3.Connection) -> dict[str, Any] | None:
        self._write_uses(connection)
        rows = _rows(connection, "SELECT * FROM every_voice WHERE id = ?", (voice_id,))
        return self._entity(connection, rows[0]) if rows else None

    def _create(self, new: NewVoice, connection: sqlite3.Connection) -> dict[str, Any]:
        row = new_row(new, now_s=self._clock(), training_s=self._training_s)
        connection.execute(_INSERT, row)
        connection.executemany(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)",
            [(uuid.uuid4().hex, row["id"], at, *each) for at, each in enumerate(new.samples)],
        )
        _set_cover(connection, row["id"], new.cover)
        self._remember(row)
        return self._entity(connection, row)

    def _update(
        self,
        voice_id: str,
        changes: Mapping[str, Any],
        cover: bytes | None,
        connection: sqlite3.Connection,
    ) -> bool:
        row = changed(changes, now_s=self._clock())
        columns = ", ".join(f"{name} = :{name}" for name in row)
        update = f"UPDATE voices SET {columns} WHERE id = :id"  # noqa: S608 - of column names
        found = connection.execute(update, {**row, "id": voice_id}).rowcount > 0
        if found and cover is not None:
            _set_cover(connection, voice_id, cover)
        return found

    def _delete(self, voice_id: str, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM voices WHERE id = ?", (voice_id,))
        self._gone.add(voice_id)
        self._clones.pop(voice_id, None)

    def _write_uses(self, connection: sqlite3.Connection) -> None:
        for voice_id, clone in tuple(self._clones.items()):
            if new := clone.uses - clone.written:
                clone.written += new
                connection.execute(
                    "UPDATE voices SET task_count = task_count + ? WHERE id = ?", (new, voice_id)
                )

    def _entity(self, connection: sqlite3.Connection, row: Row) -> dict[str, Any]:
        samples = connection.execute(
            "SELECT id, title, text FROM samples WHERE voice_id = ? ORDER BY position", (row["id"],)
        )
        cover = connection.execute("SELECT 1 FROM covers WHERE voice_id = ?", (row["id"],))
        covered = cover.fetchone() is not None
        return entity(row, samples=samples, covered=covered, now_s=self._clock())


def _rows(
    connection: sqlite3.Connection, query: str, values: Iterable[object] = ()
) -> list[dict[str, Any]]:
    cursor = connection.execute(query, tuple(values))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _set_cover(connection: sqlite3.Connection, voice_id: str, image: bytes) -> None:
    connection.execute("DELETE FROM covers WHERE voice_id = ?", (voice_id,))
    if image:
        connection.execute("INSERT INTO covers VALUES (?, ?)", (voice_id, image))
