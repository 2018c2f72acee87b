"""The event classes of LLM libraries, imported with their warnings put aside."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from fishlive.text.llm import text_of


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings: those that others give of themselves are no errors of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def library(name: str) -> Any:
    """Import a module of somebody else's, which may warn of its own deprecations.

    The hundreds of thousands of objects it brings are kept from the garbage collector, which
    runs after every test and would take half a second for each one from here on.
    """
    if name in sys.modules:
        return sys.modules[name]
    with quiet():
        module = importlib.import_module(name)
    gc.collect()
    gc.freeze()
    return module


def speech(events: Iterable[object]) -> str:
    """Return what a whole stream says."""
    return "".join(map(text_of, events))


def as_dicts(events: Iterable[Any]) -> list[dict[str, Any]]:
    """Return pydantic events as the dicts that their JSON would be."""
    with quiet():
        return [event.model_dump(exclude_none=True) for event in events]
