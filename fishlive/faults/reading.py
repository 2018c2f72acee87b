"""Faults from lists and files; and the table of kinds as one writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping

from fishlive.errors import ConfigError
from fishlive.faults.fault import Fault
from fishlive.faults.kinds import KINDS, Place

if sys.version_info >= (3, 11):
    import tomllib


def read_faults(given: object, *, where: str = "faults") -> tuple[Fault, ...]:
    """Return the faults of a list of lines, tables or faults.

    Raises:
        ConfigError: One cannot be; the message and ``argument`` say which, as ``faults[2]``.
    """
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise ConfigError(f"{where}: a list of faults is expected", argument=where)
    found = []
    for at, item in enumerate(given):
        place = f"{where}[{at}]"
        try:
            found.append(Fault.of(item))
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}", argument=place) from error
    return tuple(found)


def load_faults(text: str, *, name: str) -> tuple[Fault, ...]:
    """Return the faults that a file holds: a list, or a table with the list ``faults``.

    Args:
        text: What is in the file: JSON or TOML, as its name ends. TOML needs Python 3.11.
        name: The file's name, for errors.

    Raises:
        ConfigError: It cannot be read, or a fault cannot be; names the file and the fault.
    """
    try:
        document = _toml(text) if name.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: {error}", argument="faults") from error
    where = "faults"
    if isinstance(document, Mapping):
        unknown = sorted(str(key) for key in document if key != "faults")
        if unknown or "faults" not in document:
            raise ConfigError(f"{name}: one list named faults is expected", argument="faults")
        document = document["faults"]
    try:
        return read_faults(document, where=where)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}", argument=error.argument) from error


def lines() -> Iterator[tuple[str, str]]:
    """Yield each kind as one writes it, and what it does in one line."""
    for name, kind in KINDS.items():
        places = "|".join(place.value for place in Place if place in kind.places)
        amount = kind.amount
        if amount is not None and amount.names:
            for choice, does in amount.names.items():
                yield f"{name}:{choice}@{places}", does
            continue
        value = "" if amount is None else f"[:{amount.unit}]"
        default = "" if amount is None or amount.default is None else f" ({amount.default})"
        yield f"{name}{value}@{places}", f"{kind.line}{default}"


def _toml(text: str) -> object:
    if sys.version_info >= (3, 11):
        return tomllib.loads(text)
    raise ValueError("TOML needs Python 3.11: use JSON")
