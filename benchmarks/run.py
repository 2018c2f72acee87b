"""Runs the benchmarks: ``python -m benchmarks.run [suite ...] [--json FILE] [--quick] [--tls]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.affinity import cores
from benchmarks.processes import CLIENTS, Bench, server
from benchmarks.report import report
from benchmarks.results import Suite
from benchmarks.suites import SUITES

PACKAGES = ("fishlive", "picows", "msgpack", "aiohttp", "websockets", "fish-audio-sdk", "httpx-ws")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    names = [*SUITES, "all"]
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"one or more of {names}")
    parser.add_argument("--json", metavar="FILE", help="write everything there; - for stdout")
    parser.add_argument("--quick", action="store_true", help="seconds, not minutes; proves nothing")
    parser.add_argument("--tls", action="store_true", help="over TLS as well, where that differs")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions, interleaved (5)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="which, separated by commas")
    chosen = parser.parse_args()
    if not chosen.suites or "all" in chosen.suites:
        chosen.suites = list(SUITES)
    if unknown := set(chosen.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    if unknown := set(chosen.clients.split(",")) - set(CLIENTS):
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    return chosen


def machine() -> dict[str, Any]:
    """Return where these numbers come from."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": cores(),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


async def run(chosen: argparse.Namespace) -> tuple[dict[str, Suite], dict[str, str]]:
    """Run the chosen suites one after the other against one server; save after each."""
    names = tuple(chosen.clients.split(","))
    found = {}
    async with server() as flood:
        bench = Bench(flood, names, quick=chosen.quick, tls=chosen.tls, rounds=chosen.rounds)
        for name in chosen.suites:
            found[name] = await SUITES[name](bench)
            save(chosen, found, bench.failures)
        bench.say("")
    return found, bench.failures


def as_json(chosen: argparse.Namespace, suites: dict[str, Suite], failures: dict[str, str]) -> str:
    """Return everything that was found, and where."""
    everything = {
        "quick": chosen.quick,
        "machine": machine(),
        "suites": {name: suite.as_dict() for name, suite in suites.items()},
        "failures": failures,
    }
    return json.dumps(everything, indent=1)


def save(chosen: argparse.Namespace, suites: dict[str, Suite], failures: dict[str, str]) -> None:
    """Write the JSON file, if one is wanted."""
    if chosen.json and chosen.json != "-":
        Path(chosen.json).write_text(as_json(chosen, suites, failures), encoding="utf-8")


def main() -> None:
    chosen = arguments()
    suites, failures = asyncio.run(run(chosen))
    if chosen.json == "-":
        print(as_json(chosen, suites, failures))
    else:
        print(report(suites, failures))


if __name__ == "__main__":
    main()
