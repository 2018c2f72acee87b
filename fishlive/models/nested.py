"""Answers inside answers, read as the outer one is: nulls are left out, and each keeps its raw."""

from __future__ import annotations

from pydantic import BeforeValidator

from fishlive.models.answer import Answer


def one(kind: type[Answer]) -> BeforeValidator:
    """Return what reads a field that holds one answer."""
    return BeforeValidator(lambda value: _read(kind, value))


def each(kind: type[Answer]) -> BeforeValidator:
    """Return what reads a field that holds a list of them."""
    return BeforeValidator(
        lambda value: [_read(kind, item) for item in value] if isinstance(value, list) else value
    )


def _read(kind: type[Answer], value: object) -> Answer:
    return value if isinstance(value, Answer) else kind.read(value)
