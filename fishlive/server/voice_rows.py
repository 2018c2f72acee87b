"""Voices as rows of a table, as questions to it, and as the service shows them. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from fishlive.server.accounts import USER_ID
from fishlive.server.samples import language_of, sound_of
from fishlive.server.store import dumps, loads, timestamp
from fishlive.server.voice.catalogue import Voice

State: TypeAlias = Literal["created", "training", "trained", "failed"]
Row: TypeAlias = Mapping[str, Any]

HOUSE_ID: Final = "e59ea4000000000000000000000000e0"
"""Author of the engine's own voices."""

NAMES: Final = {USER_ID: "local", HOUSE_ID: "espeak-ng"}

CREATED_SHARE: Final = 0.25
"""Part of the training time in which a voice is ``created`` and not yet ``training``."""

ORDERS: Final = {
    # What the service's score counts is not documented: here, one's own come first.
    "score": f"author_id = '{USER_ID}' DESC, task_count DESC, created_s DESC, id",
    "task_count": "task_count DESC, created_s DESC, id",
    "created_at": "created_s DESC, id",
}
"""What ``sort_by`` means, from the first to the last."""

COLUMNS: Final = (
    "id", "author_id", "title", "title_language", "description", "visibility", "tags",
    "languages", "default_text", "sound", "audible", "created_s", "updated_s", "trained_s",
    "task_count",
)  # fmt: skip
"""Columns of the table ``voices``, in its order."""


class Sample(NamedTuple):
    """A sample of a voice as it was sent."""

    title: str
    text: str
    audio: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVoice:
    """A voice to make.

    Attributes:
        audible: Whether every sample is sound; otherwise training fails.
        cover: Its picture; empty for none.
    """

    title: str
    description: str
    visibility: str
    tags: list[str]
    samples: list[Sample]
    audible: bool
    cover: bytes
    default_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which voices are wanted. Empty tuples and None ask for nothing.

    Attributes:
        own: Those of the account, of every visibility, whoever ``author_id`` and ``licensed`` name;
            else the public ones, of everybody.
        title: Part of the title, in any case.
        tags: At least one of them; so ``languages`` and ``title_languages``.
        order: A key of ORDERS.
    """

    own: bool = False
    author_id: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    title_languages: tuple[str, ...] = ()
    licensed: bool = False
    order: str = "score"
    limit: int = 10
    offset: int = 0

    @property
    def where(self) -> tuple[str, list[str]]:
        """The condition, and the values of its question marks."""
        terms, values = ["author_id = ?"], [USER_ID]
        if not self.own:
            terms, values = self._of_everybody()
        if self.title is not None:
            terms.append("instr(fold(title), ?)")
            values.append(self.title.casefold())
        for term, wanted in (
            ("EXISTS (SELECT 1 FROM json_each(tags) WHERE value IN ({}))", self.tags),
            ("EXISTS (SELECT 1 FROM json_each(languages) WHERE value IN ({}))", self.languages),
            ("title_language IN ({})", self.title_languages),
        ):
            if wanted:
                terms.append(term.format(", ".join("?" * len(wanted))))
                values += wanted
        return " AND ".join(terms), values

    def _of_everybody(self) -> tuple[list[str], list[str]]:
        terms, values = ["visibility = 'public'"], []
        if self.licensed:
            terms.append("0")  # no voice here is licensed
        if self.author_id is not None:
            terms.append("author_id = ?")
            values.append(self.author_id)
        return terms, values


def state_at(now_s: float, *, created_s: float, trained_s: float, audible: bool = True) -> State:
    """Return where a voice's training stands: a function of the clock, so it survives a restart."""
    if now_s >= trained_s:
        return "trained" if audible else "failed"
    begins_s = created_s + CREATED_SHARE * (trained_s - created_s)
    return "training" if now_s >= begins_s else "created"


def new_row(new: NewVoice, *, now_s: float, training_s: float) -> dict[str, Any]:
    """Return the row of a voice that is made now."""
    spoken = next((sample.text for sample in new.samples if sample.text.strip()), new.title)
    return {
        "id": uuid.uuid4().hex,
        "author_id": USER_ID,
        "title": new.title,
        "title_language": language_of(new.title),
        "description": new.description,
        "visibility": new.visibility,
        "tags": dumps(new.tags),
        "languages": dumps([language_of(spoken)]),
        "default_text": new.default_text,
        "sound": sound_of(sample.audio for sample in new.samples),
        "audible": new.audible,
        "created_s": now_s,
        "updated_s": now_s,
        "trained_s": now_s + training_s,
        "task_count": 0,
    }


def house_row(voice: Voice, *, created_s: float) -> dict[str, Any]:
    """Return the row of one of the engine's own voices."""
    return {
        "id": voice.id,
        "author_id": HOUSE_ID,
        "title": voice.name,
        "title_language": "en",
        "description": "A voice of the local engine.",
        "visibility": "public",
        "tags": dumps([voice.gender] if voice.gender else []),
        "languages": dumps([voice.language.partition("-")[0]]),
        "default_text": "",
        "sound": "",
        "audible": True,
        "created_s": created_s,
        "updated_s": created_s,
        "trained_s": created_s,
        "task_count": 0,
    }


def changed(changes: Mapping[str, Any], *, now_s: float) -> dict[str, Any]:
    """Return the columns that new values of ``title``, ``tags`` and others change."""
    row = {**changes, "updated_s": now_s}
    if "tags" in row:
        row["tags"] = dumps(row["tags"])
    if "title" in row:
        row["title_language"] = language_of(row["title"])
    return row


def entity(
    row: Row, *, samples: Iterable[tuple[str, str, str]], covered: bool, now_s: float
) -> dict[str, Any]:
    """Return a voice as the service shows it (ModelEntity, OpenAPI description, 2026-09).

    Args:
        row: Its row.
        samples: Id, title and text of each.
        covered: Whether it has a picture.
    """
    return {
        **_UNUSED,
        "_id": row["id"],
        "title": row["title"],
        "description": row["description"],
        "cover_image": f"coverimage/{row['id']}" if covered else "",
        "state": state_at(
            now_s,
            created_s=row["created_s"],
            trained_s=row["trained_s"],
            audible=bool(row["audible"]),
        ),
        "tags": loads(row["tags"]),
        "samples": [
            {"title": title, "text": text, "task_id": task_id, "audio": f"task/{task_id}"}
            for task_id, title, text in samples
        ],
        "created_at": timestamp(row["created_s"]),
        "updated_at": timestamp(row["updated_s"]),
        "languages": loads(row["languages"]),
        "visibility": row["visibility"],
        "default_text": row["default_text"],
        "task_count": row["task_count"],
        "author": {"_id": row["author_id"], "nickname": NAMES[row["author_id"]], "avatar": ""},
    }


_UNUSED: Final[dict[str, Any]] = {
    "type": "tts",
    "train_mode": "fast",
    "lock_visibility": False,
    "dmca_taken_down": False,
    "source": None,
    "licensed": False,
    "pvc_release_state": None,
    "pvc_notice_period_months": None,
    "pvc_released_at": None,
    "pvc_retire_requested_at": None,
    "pvc_retire_effective_at": None,
    "quality": None,
    "like_count": 0,
    "mark_count": 0,
    "shared_count": 0,
    "unliked": False,
    "liked": False,
    "marked": False,
}
"""What every local voice shows alike."""
