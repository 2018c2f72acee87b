"""fishlive next to its peers: ``python -m benchmarks.peers [suite ...] [--json FILE] [--quick]``.

The same conversations, and the same load, through every SDK that is installed, each in a process
of its own, in turns, against the same services (``peer_services.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
from pathlib import Path
from typing import Any

from benchmarks.affinity import cores
from benchmarks.peer_plans import PROFILE, TOKENS_HZ
from benchmarks.peer_suites import SUITES, Peers
from benchmarks.processes import Bench, Process, core
from benchmarks.report import report
from benchmarks.results import Suite, middle

CLIENTS = ("ours", "official_sdk", "livekit_plugin", "pipecat_service")
"""Modules of ``benchmarks.peer_clients``, in the order of the tables."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    names = [*SUITES, "all"]
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"one or more of {names}")
    parser.add_argument("--json", metavar="FILE", help="write everything there")
    parser.add_argument("--quick", action="store_true", help="does it run? proves nothing")
    parser.add_argument("--rounds", type=int, default=20, help="conversations of each kind (20)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="which, separated by commas")
    chosen = parser.parse_args()
    if not chosen.suites or "all" in chosen.suites:
        chosen.suites = list(SUITES)
    if unknown := set(chosen.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    if unknown := set(chosen.clients.split(",")) - set(CLIENTS):
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    chosen.rounds = 1 if chosen.quick else chosen.rounds
    return chosen


async def run(chosen: argparse.Namespace) -> str:
    """Run the chosen suites; return the report, and write the JSON file after each."""
    found: dict[str, Suite] = {}
    async with Process("benchmarks.peer_services", *core(0)) as services:
        if error := services.hello.get("error"):
            return f"the local services did not start: {error}"
        names = tuple(chosen.clients.split(","))
        peers = Peers(services, names, quick=chosen.quick, rounds=chosen.rounds)
        for name in chosen.suites:
            found[name] = await SUITES[name](peers)
            save(chosen, peers, found)
        Bench.say("")
    return f"{_conditions(peers)}\n\n{report(found, peers.failures)}"


def save(chosen: argparse.Namespace, peers: Peers, found: dict[str, Suite]) -> None:
    """Write the JSON file, if one is wanted."""
    if chosen.json:
        text = json.dumps(_everything(chosen, peers, found), indent=1)
        Path(chosen.json).write_text(text, encoding="utf-8")


def _everything(
    chosen: argparse.Namespace, peers: Peers, found: dict[str, Suite]
) -> dict[str, Any]:
    return {
        "quick": chosen.quick,
        "rounds": chosen.rounds,
        "conditions": _conditions(peers),
        "versions": peers.versions,
        "suites": {name: suite.as_dict() for name, suite in found.items()},
        "failures": peers.failures,
    }


def _conditions(peers: Peers) -> str:
    """Return where and with what this was measured, in a paragraph."""
    versions = ", ".join(f"{peers.titles[n]} {v}" for n, v in peers.versions.items())
    starved = max(peers.starved, default=0.0)
    middle_starved = middle(peers.starved) or 0.0
    return (
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, cores "
        f"{cores()}; {versions}. Local server, profile {PROFILE}; {TOKENS_HZ:.0f} tokens a "
        f"second. Another process had the client's core for {middle_starved:.1%} of the time "
        f"(median; worst {starved:.1%})."
    )


def main() -> None:
    print(asyncio.run(run(arguments())))


if __name__ == "__main__":
    main()
