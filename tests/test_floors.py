"""The house has floors. A module may import from its own folder and from the floors below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fishlive

SOURCE = Path(fishlive.__file__).parent
FLOORS = {
    "errors": 0, "limits": 0,
    "secret": 1, "models": 1, "faults": 1,
    "wire": 2, "text": 2, "flow": 2, "audio": 2,
    "transport": 3,
    "checks": 4, "live": 4, "rest": 4, "gateways": 4, "stores": 4,
    "webhooks": 5, "session": 5,
    "server": 6,
    "testing": 7, "bench": 7, "integrations": 7,
    "cli": 8, "__init__": 8, "__main__": 8,
}  # fmt: skip
OUTSIDERS = {
    "aiohttp": {"transport", "server", "webhooks"},
    "picows": {"transport"},
    "aiohappyeyeballs": {"transport"},
    "msgpack": {"wire", "transport/call", "server"},
    "yarl": {"transport"},
    "pydantic": {"models", "session", "rest", "gateways", "server", "bench"},
    "espeakng_loader": {"server"},
    "av": {"server", "audio"},
    "pocketsphinx": {"server"},
    "typer": {"cli"},
    "rich": {"cli"},
    "redis": {"stores"},
    "hdrh": {"bench"},
    "psutil": {"bench"},
    "pyarrow": {"bench"},
    "locust": {"bench"},
    "gevent": {"bench"},
    "flask": {"bench"},
    "pytest": {"testing"},
}
MODULES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, wherever it does so."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            names.add(node.module or "")
    return names


def homes(path: Path) -> set[str]:
    """Return the names under which the tables above may know a module."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return {parts[0], "/".join(parts)}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    """No import goes up a floor, across to a sibling, or around a boundary."""
    home = path.relative_to(SOURCE).with_suffix("").parts[0]
    for name in imports(path):
        root, *rest = name.split(".")
        if root in OUTSIDERS:
            assert homes(path) & OUTSIDERS[root], f"{root} does not belong in {home}"
        if root == "fishlive" and home not in {"__init__", "__main__"}:
            part = rest[0] if rest else "__init__"
            assert part == home or FLOORS[part] < FLOORS[home], f"{home} may not use {name}"
