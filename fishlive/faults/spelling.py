"""How a fault is written: one line of text, or a table of its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from fishlive.errors import ConfigError
from fishlive.faults.kinds import COUNTED, KINDS, Place, Value

if TYPE_CHECKING:
    from fishlive.faults.fault import Fault

_COMMON: Final = ("times", "every", "connection", "on")
OWN: Final = ("reason", "body", "headers", "max_concurrency", "held")
SPELLED: Final = {"headers": "header", "max_concurrency": "max-concurrency"}
_FIELDS: Final = {SPELLED.get(name, name): name for name in (*_COMMON, *OWN)}
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_SPECIAL: Final = re.compile(r"[%,@\x00-\x1f\x7f]")


def split_line(text: str) -> dict[str, Any]:
    """Return the parts of a line. Raises ConfigError."""
    head, _, rest = text.partition("@")
    place, *options = rest.split(",")
    kind, colon, value = head.partition(":")
    found: dict[str, Any] = {"kind": kind, **_placed(place)}
    if colon:
        found["value"] = _typed(kind, unquote(value))
    headers = []
    for option in options:
        name, _, raw = option.partition("=")
        if name == "header":
            headers.append(_header(unquote(raw)))
            continue
        if name not in _FIELDS or _FIELDS[name] in found:
            raise wrong(name, f"no option {name!r}, or not twice: {', '.join(_FIELDS)}")
        found[_FIELDS[name]] = _option(name, raw, given="=" in option)
    return {**found, "headers": tuple(headers)} if headers else found


def _placed(place: str) -> dict[str, Any]:
    name, colon, number = place.partition(":")
    try:
        at = Place(name)
    except ValueError:
        known = ", ".join(place.value for place in Place)
        raise wrong("at", f"no place {name!r}: one of {known}") from None
    return {"at": at, "n": _whole("at", number)} if colon else {"at": at}


def _typed(kind: str, raw: str) -> Value:
    amount = KINDS[kind].amount if kind in KINDS else None
    if amount is None or amount.type is str:
        return raw
    return _whole("value", raw) if amount.type is int else _real(raw)


def _option(name: str, raw: str, *, given: bool) -> object:
    if name == "held":
        if given:
            raise wrong(name, "held has no value")
        return True
    if name == "times" and raw == "always":
        return None
    if name in {"times", "every", "connection"}:
        return _whole(name, raw)
    if name == "max-concurrency":
        return int(raw) if _INTEGER.fullmatch(raw) else unquote(raw)
    return unquote(raw)


def _header(raw: str) -> tuple[str, str]:
    name, _, value = raw.partition(":")
    return name, value.strip(" ")


def split_table(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a table. Raises ConfigError."""
    found: dict[str, Any] = {}
    names = {**_FIELDS, "kind": "kind", "value": "value", "at": "at", "headers": "headers"}
    for key, value in given.items():
        if key not in names or key == "header":
            raise wrong(str(key), f"no option {key!r}: {', '.join(sorted(names))}")
        found[names[key]] = value
    for name in ("kind", "at"):
        if not isinstance(found.get(name), str):
            raise wrong(name, f"{name} is missing, or no text")
    found |= _placed(found["at"])
    if found.get("times", 1) == "always":
        found["times"] = None
    if "headers" in found:
        if not isinstance(found["headers"], Mapping):
            raise wrong("headers", "headers is a table")
        found["headers"] = tuple(found["headers"].items())
    return found


def spelled(fault: Fault) -> str:
    """Return the line of a fault, as short as it can be."""
    value = "" if fault.value is None else f":{_written(fault.value)}"
    number = f":{fault.number}" if fault.at in COUNTED else ""
    return f"{fault.kind}{value}@{fault.at.value}{number}{''.join(_suffixes(fault))}"


def _suffixes(fault: Fault) -> Iterator[str]:
    defaults = {each.name: each.default for each in fields(fault)}
    for option, name in _FIELDS.items():
        value = getattr(fault, name)
        if name == "headers":
            yield from (f",header={_quoted(f'{key}:{text}')}" for key, text in value)
        elif name == "held":
            yield ",held" if value else ""
        elif value != defaults[name]:
            yield f",{option}={'always' if value is None else _exact(value)}"


def _written(value: Value) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return _quoted(str(value))


def _exact(value: Value) -> str:
    """Write an option; a text that looks like a number shows that it is none."""
    text = _written(value)
    return f"%{ord(text[0]):02X}{text[1:]}" if value == text and _INTEGER.fullmatch(text) else text


def _quoted(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", text)


def wrong(argument: str, message: str) -> ConfigError:
    """Return the error of one part."""
    return ConfigError(message, argument=argument)


def _whole(argument: str, raw: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", raw):
        raise wrong(argument, f"a whole number is expected, not {raw!r}")
    return int(raw)


def _real(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise wrong("value", f"a number is expected, not {raw!r}") from None
