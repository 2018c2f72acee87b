"""Warnings about requests that are allowed, and yet probably not meant."""

from __future__ import annotations

import sys
import warnings
from typing import Final

_OURS: Final = frozenset({"fishlive", "pydantic", "pydantic_core"})


class RequestWarning(UserWarning):
    """The service takes this request, but will not do what it seems to ask for."""


def warn(message: str) -> None:
    """Warn at the line of the caller's own code that led here."""
    depth, frame = 1, sys._getframe(1)  # skip_file_prefixes is 3.12's
    while frame.f_back is not None and _package(frame.f_globals) in _OURS:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, RequestWarning, stacklevel=depth + 1)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
