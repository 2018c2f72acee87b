"""What is spoken: texts of several languages and lengths, and the pace at which they are written.

Everything is a function of the seed: which text comes when, and where it is cut into tokens.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from fishlive.errors import ConfigError
from fishlive.limits import MIB
from fishlive.text.speakable import has_speech

BUILT_IN: Final = "mixed"
"""The workload that is shipped: every size and language."""

SIZES: Final = ("short", "medium", "long")
"""Its parts, which are workloads too: a sentence, a paragraph, an answer of many sentences."""

MAX_FILE_BYTES: Final = 16 * MIB
"""Largest workload file that is read, in bytes: ten thousand pages."""

MAX_PROMPT_BYTES: Final = 1 * MIB
"""Longest text, in bytes of UTF-8: what the service's compatible endpoints take (2026-08)."""

Token = tuple[str, float]
"""A piece of text, and when it was written, in seconds from the beginning."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text.

    Attributes:
        id: What records call it.
        text: What is said.
        language: As in ``en``; ``und`` if nobody said.
        tokens: As a model really wrote it, if that was recorded; else empty.
    """

    id: str
    text: str = field(repr=False)
    language: str = "und"
    tokens: tuple[Token, ...] = field(default=(), repr=False)

    @property
    def utf8_bytes(self) -> int:
        """Its size, as the service bills it."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Workload:
    """Texts to speak.

    Attributes:
        name: What results call it.
        origin: Where the texts come from, and under which terms.
        prompts: At least one.
    """

    name: str
    origin: str
    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        """Raise ConfigError for a workload that nothing can be measured with."""
        if not self.prompts:
            raise ConfigError(f"{self.name}: no text in it", argument="workload")
        for prompt in self.prompts:
            if not has_speech(prompt.text):
                raise ConfigError(
                    f"{self.name}: {prompt.id} has nothing to say", argument="workload"
                )
            if prompt.utf8_bytes > MAX_PROMPT_BYTES:
                raise ConfigError(
                    f"{self.name}: {prompt.id} is over {MAX_PROMPT_BYTES // MIB} MiB",
                    argument="workload",
                )

    @property
    def sha256(self) -> str:
        """Of the texts and their recorded times: two workloads with the same speak the same."""
        digest = hashlib.sha256()
        for prompt in self.prompts:
            digest.update(json.dumps([prompt.text, prompt.tokens]).encode())
        return digest.hexdigest()

    @property
    def recorded(self) -> bool:
        """Whether every text has the times at which it was written."""
        return all(prompt.tokens for prompt in self.prompts)

    def order(self, seed: int, *, warmup: bool = False) -> Iterator[Prompt]:
        """Yield texts without end: all of them, in an order of their own, again and again.

        Args:
            seed: The same seed gives the same order.
            warmup: Whether they only warm up: those have an order apart, so that what is measured
                is the same however many warm up.
        """
        # Not a secret, only an order.
        dice = random.Random(f"{seed} warm-up" if warmup else seed)  # noqa: S311
        while True:
            yield from dice.sample(self.prompts, len(self.prompts))

    def speaking(self, languages: Sequence[str]) -> Workload:
        """Return the part in these languages. Raises ConfigError if there is none."""
        if not languages:
            return self
        chosen = tuple(p for p in self.prompts if p.language in languages)
        if not chosen:
            known = ", ".join(sorted({p.language for p in self.prompts}))
            raise ConfigError(
                f"{self.name} has no text in {', '.join(languages)}: it has {known}",
                argument="language",
            )
        return Workload(f"{self.name}:{','.join(languages)}", self.origin, chosen)


def load(name: str) -> Workload:
    """Return a workload: ``mixed``, ``short``, ``medium``, ``long``, or a file of the user's.

    A file is JSON (``{"origin": …, "prompts": [{"text": …, "id": …, "language": …}]}``), JSON
    Lines (a prompt a line), or plain text (a text a line). Instead of ``text`` a prompt may have
    ``tokens``: pairs of a piece of text and the second it was written at.

    Raises:
        ConfigError: There is no such file, or it cannot be used; it says where and why.
    """
    if name in (BUILT_IN, *SIZES):
        return _built_in(name)
    if not name.strip():
        known = ", ".join((BUILT_IN, *SIZES))
        raise ConfigError(f"no name: one of {known}, or a file", argument="workload")
    path = Path(name)
    text = _read(path)
    if path.suffix == ".json":
        return _workload(_json(text, name), path.name)
    if path.suffix in {".jsonl", ".ndjson"}:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        rows = [_json(line, f"{name}, line {number}") for number, line in lines]
        return _workload({"prompts": rows}, path.name)
    lines_of_text = [line.strip() for line in text.splitlines() if line.strip()]
    return _workload({"prompts": [{"text": line} for line in lines_of_text]}, path.name)


def _built_in(name: str) -> Workload:
    folder = resources.files("fishlive.bench").joinpath("workloads")
    document = json.loads(folder.joinpath("mixed.json").read_text(encoding="utf-8"))
    if name != BUILT_IN:
        document["prompts"] = [row for row in document["prompts"] if row["size"] == name]
    return _workload(document, name)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        known = ", ".join((BUILT_IN, *SIZES))
        raise ConfigError(
            f"cannot read {path}: {error.strerror or error} (shipped are {known})",
            argument="workload",
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is over {MAX_FILE_BYTES // MIB} MiB", argument="workload")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 (at byte {error.start})", argument="workload"
        ) from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON", argument="workload") from error


def _workload(document: Any, name: str) -> Workload:
    rows = document.get("prompts") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise ConfigError(f"{name}: expected a list of prompts", argument="workload")
    origin = document.get("origin") if isinstance(document, dict) else None
    prompts = tuple(_prompt(row, f"{name}: prompt {n}", n) for n, row in enumerate(rows, 1))
    if len({prompt.id for prompt in prompts}) < len(prompts):
        raise ConfigError(f"{name}: two prompts have the same id", argument="workload")
    return Workload(name, origin if isinstance(origin, str) else "the user's own", prompts)


def _prompt(row: Any, where: str, number: int) -> Prompt:
    if isinstance(row, str):
        row = {"text": row}
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is no text and no object", argument="workload")
    tokens = tuple(_tokens(row.get("tokens", ()), where))
    text = row.get("text", "".join(piece for piece, _ in tokens))
    facts = (row.get("id", f"p{number}"), text, row.get("language", "und"))
    if not all(isinstance(fact, str) for fact in facts) or not _encodes(text):
        raise ConfigError(f"{where}: text, id and language are text", argument="workload")
    if tokens and text != "".join(piece for piece, _ in tokens):
        raise ConfigError(f"{where}: its tokens are not its text", argument="workload")
    return Prompt(*facts, tokens)


def _tokens(rows: Any, where: str) -> Iterator[Token]:
    last_s = 0.0
    if not isinstance(rows, (list, tuple)):
        raise ConfigError(f"{where}: tokens is a list of [text, seconds]", argument="workload")
    for row in rows:
        match row:
            case [str() as piece, int() | float() as at_s] if last_s <= at_s < float("inf"):
                last_s = float(at_s)
                yield piece, last_s
            case _:
                raise ConfigError(
                    f"{where}: each token is [text, seconds], and none is before the last",
                    argument="workload",
                )


def _encodes(text: str) -> bool:
    """Return whether text can be sent: JSON may hold half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def total_bytes(prompts: Iterable[Prompt]) -> int:
    """Return the size of several texts, in bytes of UTF-8."""
    return sum(prompt.utf8_bytes for prompt in prompts)
