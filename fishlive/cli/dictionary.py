"""``fishlive dictionary``: how words are said, kept by the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fishlive.cli import options
from fishlive.cli.answers import ask, show_facts, show_json, show_table
from fishlive.cli.exits import about_file, usage
from fishlive.cli.service import Service
from fishlive.cli.texts import decode
from fishlive.errors import ConfigError
from fishlive.limits import MIB
from fishlive.models.dictionary import Dictionary, DictionaryVersion
from fishlive.models.pronunciation import PronunciationRule
from fishlive.session import Session

FIRST: Final = "none"
"""What ``--after`` is for a dictionary without a version."""

MAX_FILE_BYTES: Final = 16 * MIB
"""Largest file of rules that is read: 5,000 rules (the most a request takes) of the longest key
and value, four bytes a character, with as much again for JSON."""

_LISTS: Final = ("rules", "items")

app: Final[typer.Typer] = typer.Typer(
    name="dictionary",
    help="Pronunciation dictionaries: make one, look at it, publish its rules.",
    no_args_is_help=False,
)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The dictionary's id.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    description: Annotated[str | None, typer.Option(help="What it is for.", metavar="TEXT")] = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a dictionary. It has no rules until add-version."""

    async def question(fish: Session) -> Dictionary:
        return await fish.dictionaries.create(name, description=description)

    _show(ask(Service(base_url, key_file, local), question), as_json=as_json)


@app.command("show")
def show(
    dictionary_id: _Id,
    version: Annotated[
        str | None, typer.Option(help="Show the rules of this version.", metavar="ID")
    ] = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a dictionary, or the rules of one of its versions."""
    service = Service(base_url, key_file)
    if version is None:

        async def about(fish: Session) -> Dictionary:
            return await fish.dictionaries.get(dictionary_id)

        _show(ask(service, about), as_json=as_json)
        return

    async def rules(fish: Session) -> DictionaryVersion:
        return await fish.dictionaries.get_version(dictionary_id, version)

    found = ask(service, rules, about="the ids")
    if as_json:
        show_json(_version_document(found))
    else:
        show_table(*_table(found))


@app.command("add-version")
def add_version(
    dictionary_id: _Id,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="All rules: JSON (a list of objects), or lines of text, a tab, and its phonemes.",
        ),
    ],
    after: Annotated[
        str,
        typer.Option(
            help=f"The version your rules are based on; {FIRST} for the first.", metavar="ID"
        ),
    ],
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Publish rules as the newest version. It holds all of them, not only what changed.

    If another version came meanwhile, nothing is published: show it, merge, and try again.
    """
    name, rules = read_rules(file)
    given: dict[str, Any] = {name: rules}
    based_on = None if after == FIRST else after

    async def question(fish: Session) -> DictionaryVersion:
        return await fish.dictionaries.new_version(
            dictionary_id, expected_latest_version_id=based_on, **given
        )

    made = ask(Service(base_url, key_file), question)
    if as_json:
        show_json(_version_document(made))
    else:
        show_facts({"version": made.id, "dictionary": made.dictionary_id, "rules": len(rules)})


def read_rules(file: Path) -> tuple[str, list[Any]]:
    """Return the name of the list, and the rules in a file.

    JSON is a list, or an object with a list called ``rules`` or ``items``; fields this version
    does not know pass as they are. Anything else is lines: text, a tab, and its phonemes.

    Raises:
        Failure: It cannot be read, is not UTF-8, or is neither.
    """
    text = decode(_bytes(file), str(file))
    if file.suffix.lower() != ".json" and not text.lstrip().startswith(("[", "{")):
        return "rules", [_rule(file, *line) for line in enumerate(text.splitlines(), 1) if line[1]]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise usage(f"{file} is no JSON: {error}") from error
    if isinstance(document, list):
        return "rules", document
    for name in _LISTS:
        if isinstance(document, dict) and isinstance(document.get(name), list):
            return name, document[name]
    raise usage(f"{file} holds no list of rules: write [{{'key': …, 'value': …}}, …]")


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise usage(f"cannot read {about_file(error)}") from error
    if len(data) > MAX_FILE_BYTES:
        raise usage(f"{file} is too large for a file of rules")
    return data


def _rule(file: Path, number: int, line: str) -> PronunciationRule:
    key, tab, value = line.partition("\t")
    if not tab:
        raise usage(f"{file}, line {number}: expected text, a tab, and its phonemes")
    try:
        return PronunciationRule(key=key.strip(), value=value.strip())
    except ConfigError as error:
        raise usage(f"{file}, line {number}: {error}") from error


def _show(found: Dictionary, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "id": found.id,
                "name": found.name,
                "description": found.description,
                "latest_version_id": found.latest_version_id,
                "created_at": found.created_at,
                "updated_at": found.updated_at,
            }
        )
    else:
        show_facts(
            {
                "id": found.id,
                "name": found.name,
                "description": found.description,
                "latest version": found.latest_version_id or "none yet",
                "changed": found.updated_at,
            }
        )


def _version_document(found: DictionaryVersion) -> dict[str, Any]:
    return {
        "id": found.id,
        "dictionary_id": found.dictionary_id,
        "created_at": found.created_at,
        "rules": list(found.rules),
    }


def _table(found: DictionaryVersion) -> tuple[list[str], list[list[object]]]:
    """Return columns and rows: every field that any rule has, in the order they come."""
    columns = list(dict.fromkeys(name for rule in found.rules for name in rule))
    return columns or ["no rules"], [[rule.get(name) for name in columns] for rule in found.rules]
