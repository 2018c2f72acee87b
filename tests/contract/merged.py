"""The service's descriptions with their overlays applied: what everything is held to."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # its stubs are a package that nothing else needs

SPEC: Final = Path(__file__).parent / "spec"

_SELECTOR: Final = re.compile(
    r"""
    \.(?P<name>[A-Za-z_$][\w$]*)           # .name
    | \.(?P<any>\*)                        # .*
    | \[(?P<index>\d+)\]                   # [0]
    | \[(?P<names>'[^']*'(?:,'[^']*')*)\]  # ['a','b']
    """,
    re.VERBOSE,
)
"""The part of JSONPath (RFC 9535) that the overlays use."""


@cache
def openapi() -> dict[str, Any]:
    """Return openapi.json with its overlay. Nobody may change it."""
    document = json.loads((SPEC / "openapi.json").read_text(encoding="utf-8"))
    return overlaid(document, _read("openapi.overlay.yml"))


@cache
def asyncapi() -> dict[str, Any]:
    """Return asyncapi.yml with its overlay. Nobody may change it."""
    return overlaid(_read("asyncapi.yml"), _read("asyncapi.overlay.yml"))


def overlaid(document: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Return a document with an overlay's actions done, in order (Overlay 1.0.0, section 4.4).

    Raises:
        ValueError: An action has no source, or its target is not in the document.
    """
    document = copy.deepcopy(document)
    for action in overlay["actions"]:
        if not action.get("x-source"):
            raise ValueError(f"no source: {action['target']}")
        targets = list(selected(document, action["target"]))
        if not targets:
            raise ValueError(f"no such target: {action['target']}")
        for target in targets:
            _update(target, copy.deepcopy(action["update"]))
    return document


def selected(document: Any, path: str) -> Iterator[Any]:
    """Yield what a JSONPath selects. Raises ValueError for a path that is not understood."""
    found, at = [document], 1
    if not path.startswith("$"):
        raise ValueError(f"not a path: {path}")
    while at < len(path):
        step = _SELECTOR.match(path, at)
        if step is None:
            raise ValueError(f"not understood: {path[at:]}")
        found = [inner for outer in found for inner in _inner(outer, step)]
        at = step.end()
    yield from found


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a description in which objects have the described fields, and no others.

    Objects that say what else they take, or are marked ``x-open``, are left as they are.
    """

    def close(node: Any) -> Any:
        if isinstance(node, list):
            return [close(item) for item in node]
        if not isinstance(node, dict):
            return node
        shut = {name: close(value) for name, value in node.items()}
        if isinstance(node.get("properties"), dict) and not node.get("x-open"):
            shut.setdefault("additionalProperties", False)
        return shut

    result: dict[str, Any] = close(document)
    return result


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((SPEC / name).read_text(encoding="utf-8"))
    return document


def _inner(node: Any, step: re.Match[str]) -> Iterator[Any]:
    if step["any"]:
        yield from node.values() if isinstance(node, dict) else node
    elif step["index"]:
        yield from node[int(step["index"]) :][:1]
    else:
        names = [step["name"]] if step["name"] else step["names"][1:-1].split("','")
        yield from (node[name] for name in names if name in node)


def _update(target: Any, update: Any) -> None:
    if isinstance(target, list):
        target.append(update)
        return
    for name, value in update.items():
        old = target.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            _update(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            old.extend(value)
        else:
            target[name] = value
