"""Every voice and language espeak-ng has, read from its files.

The files are read without the library: it belongs to one thread, and a catalogue belongs to
whoever asks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from fishlive.server.voice.espeak import data_path

NORMAL_PITCH: Final = 50
"""The middle of espeak-ng's pitch range of 0 to 100."""

DEFAULT_ID: Final = "en-us"
"""The voice of a request without ``reference_id``."""

_LOWEST_PRIORITY: Final = 5
"""What espeak-ng gives a language tag that names no priority; smaller is better."""

_MODEL_ID: Final = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
"""What Fish Audio's ids look like."""

_ACCENTS: Final = ("en-us", "en", "en-gb-x-rp", "en-us", "en-gb-scotland", "en-us-nyc")
_TIMBRES: Final = (
    "", "alex", "alicia", "andy", "annie", "f2", "f3", "f4", "f5", "lee", "linda", "m1", "m3",
    "m4", "m7", "max", "michael", "reed", "steph",
)  # fmt: skip
_PITCHES: Final = (40, 45, 50, 55, 60)
"""What a 32-digit id chooses from: accents and timbres without robots, whispers and effects, and
pitches that stay natural with each. American English is there twice because it is usual."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of espeak-ng and how it is used.

    Attributes:
        id: What a ``reference_id`` says; finding it gives this voice again.
        language: Its main language tag, in lower case.
        path: Its file below ``lang/``.
        variant: The file of its timbre below ``voices/!v/``; empty for its own.
        gender: ``male``, ``female`` or empty, as its file or variant says.
        pitch: 0 to 100.
        invented: Whether nobody made a voice of this id, and a hash chose one.
    """

    id: str
    name: str
    language: str
    path: str
    variant: str = ""
    gender: str = ""
    pitch: int = NORMAL_PITCH
    invented: bool = False

    @property
    def espeak_name(self) -> str:
        """The name under which espeak-ng loads it."""
        return f"{self.path}+{self.variant}" if self.variant else self.path


class _Timbre(NamedTuple):
    file: str
    name: str
    gender: str


class _Listing(NamedTuple):
    voices: dict[str, Voice]  # by every name they have
    timbres: dict[str, _Timbre]  # likewise
    all: tuple[Voice, ...]


class Catalogue:
    """Finds voices. The files are read at the first question, once a process (some 20 ms)."""

    def find(self, reference_id: str | None) -> Voice | None:
        """Return the voice that ``reference_id`` means, or None if there is no such voice.

        None means the default one. Otherwise it is a language tag (``de``), file (``gmw/de``) or
        name (``German``) of espeak-ng, with ``+variant`` if wanted (``en-us+f3``); a variant
        alone (``f3``, ``Annie``); or 32 hexadecimal digits, which choose an English voice by
        their hash: the same on every machine. Case does not matter.

        Raises:
            ConfigError: espeak-ng is not installed.
        """
        voices, timbres, _ = _listing()
        if reference_id is None:
            return self.default
        if _MODEL_ID.fullmatch(reference_id):
            return self._cast(reference_id.lower())
        base, plus, variant = _key(reference_id).partition("+")
        if not plus and base in voices:
            return voices[base]
        base, variant = (base, variant) if plus else (DEFAULT_ID, base)
        if base in voices and variant in timbres:
            return _in_timbre(voices[base], timbres[variant])
        return None

    @property
    def default(self) -> Voice:
        """The voice of a request that names none."""
        return _listing().voices[DEFAULT_ID]

    def natural(self) -> tuple[Voice, ...]:
        """Return the default voice in every timbre that could be a person's."""
        found = (self.find(f"{DEFAULT_ID}+{timbre}") for timbre in _TIMBRES if timbre)
        return tuple(voice for voice in found if voice is not None)

    def all(self) -> tuple[Voice, ...]:
        """Return every language's voice, then the default one in every timbre."""
        return _listing().all

    def _cast(self, model_id: str) -> Voice:
        digest = hashlib.sha256(model_id.encode()).digest()
        accent = _ACCENTS[digest[0] % len(_ACCENTS)]
        timbre = _TIMBRES[digest[1] % len(_TIMBRES)]
        pitch = _PITCHES[digest[2] % len(_PITCHES)]
        voice = self.find(f"{accent}+{timbre}" if timbre else accent)
        # A later espeak-ng may drop a timbre; its accent's own is natural too.
        voice = voice or _listing().voices[accent]
        return replace(voice, id=model_id, pitch=pitch, invented=True)


@lru_cache(maxsize=1)
def _listing() -> _Listing:
    data = data_path()
    ranked = sorted(_languages(data), key=lambda entry: entry.voice.path)
    voices = {entry.voice.id: entry.voice for entry in ranked}
    tags = [(rank, tag, entry.voice) for entry in ranked for tag, rank in entry.tags]
    for _, tag, voice in sorted(tags, key=lambda row: row[0]):
        voices.setdefault(_key(tag), voice)
    for entry in ranked:
        voices.setdefault(_key(entry.voice.path), entry.voice)
        voices.setdefault(_key(entry.voice.name), entry.voice)
    timbres: dict[str, _Timbre] = {}
    for file in sorted((data / "voices" / "!v").iterdir()):
        facts = _facts(file)
        timbre = _Timbre(file.name, facts.get("name", [file.name])[0], _gender(facts))
        timbres[_key(file.name)] = timbre
        timbres.setdefault(_key(timbre.name), timbre)
    every = [entry.voice for entry in ranked]
    every += [_in_timbre(voices[DEFAULT_ID], timbre) for timbre in dict.fromkeys(timbres.values())]
    return _Listing(voices, timbres, tuple(every))


class _Entry(NamedTuple):
    voice: Voice
    tags: list[tuple[str, int]]


def _languages(data: Path) -> Iterator[_Entry]:
    """Yield what ``lang/`` holds, but not languages without a dictionary: they stay silent."""
    for file in (data / "lang").rglob("*"):
        if not file.is_file():
            continue
        facts = _facts(file)
        tags = [_tag(line) for line in facts.get("language", [file.name])]
        main = tags[0][0]
        dictionary = facts.get("dictionary", [main.partition("-")[0]])[0]
        if (data / f"{dictionary}_dict").is_file():
            path = file.relative_to(data / "lang").as_posix()
            name = facts.get("name", [main])[0]
            yield _Entry(Voice(_key(file.name), name, main, path, gender=_gender(facts)), tags)


def _in_timbre(voice: Voice, timbre: _Timbre) -> Voice:
    return replace(
        voice,
        id=f"{voice.id}+{_key(timbre.file)}",
        name=f"{voice.name}, {timbre.name}",
        variant=timbre.file,
        gender=timbre.gender or voice.gender,
    )


def _gender(facts: dict[str, list[str]]) -> str:
    return facts.get("gender", [""])[0].partition(" ")[0].lower()


def _facts(file: Path) -> dict[str, list[str]]:
    """Read a voice file: a keyword and its values a line, ``//`` begins a comment."""
    facts: dict[str, list[str]] = {}
    # Comments of two files are in an encoding of their own.
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        keyword, _, value = line.partition("//")[0].strip().partition(" ")
        if value.strip():
            facts.setdefault(keyword, []).append(value.strip())
    return facts


def _tag(line: str) -> tuple[str, int]:
    tag, *rank = line.split()
    return tag.lower(), int(rank[0]) if rank else _LOWEST_PRIORITY


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-")
