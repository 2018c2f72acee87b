"""Fields that this version does not know, on their way through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fishlive.errors import ConfigError

_MAX_DEPTH: Final = 8
"""Lists and maps inside each other. The deepest documented field has three."""

_INT_RANGE: Final = (-(2**63), 2**64 - 1)
"""What MessagePack can hold."""


def checked_extra(extra: object) -> dict[str, object]:
    """Return what goes on the wire of ``extra``; None values do not.

    Raises:
        ConfigError: A key is no string, or a value nothing that MessagePack knows.
    """
    fields: dict[str, object] = {}
    for key, value in extra.items() if isinstance(extra, Mapping) else _no_mapping(extra):
        if not isinstance(key, str) or not is_unicode(key):
            raise ConfigError("extra must have strings as keys", argument="extra")
        if value is not None:
            fields[key] = _plain(value, key)
    return fields


def _no_mapping(extra: object) -> Iterable[tuple[object, object]]:
    if extra is not None:
        raise ConfigError(f"extra must be a mapping, not {type(extra).__name__}", argument="extra")
    return ()


def _plain(value: object, key: str, depth: int = 0) -> object:
    if value is None or isinstance(value, (bool, float, bytes)):
        return value
    if isinstance(value, int) and _INT_RANGE[0] <= value <= _INT_RANGE[1]:
        return value
    if isinstance(value, str) and is_unicode(value):
        return value
    if depth < _MAX_DEPTH:
        if isinstance(value, (list, tuple)):
            return [_plain(item, key, depth + 1) for item in value]
        if isinstance(value, Mapping):
            return {
                _plain(name, key, depth + 1): _plain(item, key, depth + 1)
                for name, item in value.items()
            }
    raise ConfigError(
        f"extra holds a {type(value).__name__} under {key!r} that MessagePack cannot carry",
        argument="extra",
    )


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can hold the text: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
