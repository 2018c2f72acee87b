"""Fields as forms and URLs write them: text only, and a list repeats its name."""

from __future__ import annotations

from collections.abc import Mapping

from fishlive.errors import ConfigError
from fishlive.models.extras import checked_extra


def form_fields(fields: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return names and values, in order.

    Raises:
        ConfigError: A value that is neither text, a number, a boolean, nor a list of them.
    """
    return [
        (name, _written(name, item))
        for name, value in fields.items()
        for item in (value if isinstance(value, (list, tuple)) else (value,))
    ]


def form_extra(extra: object, *, files: frozenset[str]) -> dict[str, object]:
    """Return ``extra`` as :func:`checked_extra` does, if a form can carry it.

    Args:
        extra: Fields this version does not know.
        files: Names of the form's files, which are arguments of their own.

    Raises:
        ConfigError: It cannot, or it names a file.
    """
    fields = checked_extra(extra)
    if taken := sorted(files & fields.keys()):
        raise ConfigError(f"{taken[0]} has an argument of its own", argument="extra")
    try:
        form_fields(fields)
    except ConfigError as error:
        raise ConfigError(f"extra: {error}", argument="extra") from None  # said in full
    return fields


def _written(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    kind = type(value).__name__
    raise ConfigError(f"no form can carry the {kind} in {name}", argument=name)
