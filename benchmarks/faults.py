"""How clients end when the service fails: ``python -m benchmarks.faults``. It never gates.

Every fault of ``tests/adversity/rows.py`` that a server can play, against fishlive and, where they
are installed, against fish-audio-sdk and LiveKit's plugin for Fish Audio: what the caller got, how
much audio was kept, how long the error took, and what was left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.faults_expected import Place, Row, rows
from benchmarks.faults_verdict import Result, judged, report, summary
from benchmarks.plans import SAMPLE_RATE_HZ
from benchmarks.processes import Process, core

CLIENTS = ("ours", "official_sdk", "livekit_plugin")
"""Modules of ``benchmarks.fault_clients``, in the order of the table."""

PACKAGES = (
    *("fishlive", "picows", "fish-audio-sdk", "httpx-ws"),
    *("livekit-agents", "livekit-plugins-fishaudio", "aiohttp"),
)
"""What the table depends on."""

BUDGET_S = 1.0
"""Every public deadline of every client, in seconds, where a clock may be what notices a fault.
Elsewhere each has its own defaults: a busy machine is no fault."""

GRACE_S = 5.0
"""A client of which nothing came for so long after its deadline hangs."""

PEER_PATIENCE_S = 8.0
"""The same for those that have no deadline at all, in seconds."""

ANSWER_S = 75.0
"""Longest wait for one utterance and what follows it; a process that takes longer is replaced."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--only", default="", help="rows or groups, by commas: M3,C12 drip")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="which, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="how often fishlive meets each (5)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="how often the others do (1)")
    parser.add_argument("--patience", type=float, default=PEER_PATIENCE_S, help="of peers, seconds")
    parser.add_argument("--json", metavar="FILE", help="write everything there; - for stdout")
    chosen = parser.parse_args()
    chosen.clients = chosen.clients.split(",")
    if unknown := set(chosen.clients) - set(CLIENTS):
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    chosen.rows = list(wanted(rows(), chosen.only))
    if not chosen.rows:
        parser.error(f"no such row: {chosen.only}")
    return chosen


def wanted(every: Iterable[Row], only: str) -> Iterable[Row]:
    """Yield the rows that are asked for by name or by group; all without a wish."""
    names = {name.strip() for name in only.split(",") if name.strip()}
    return (row for row in every if not names or names & {row.name, row.group})


class Meeting:
    """One client's process and a server of its own."""

    def __init__(self, name: str, patience_s: float) -> None:
        self._name = name
        self._patience_s = patience_s
        self._stack = AsyncExitStack()
        self._client: Process | None = None
        self.title = name
        self.ways: list[str] = []

    async def __aenter__(self) -> Meeting:
        self._server = Process("benchmarks.faults_server", *core(0))
        await self._stack.enter_async_context(self._server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._replace()
        await self._stack.aclose()

    async def meet(self, row: Row | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let the client meet a row, or no fault at all; return its answer, the server's notes."""
        client = await self._ready()
        faults = [str(row.fault)] if row and row.fault else []
        port = (await self._server.ask("open", faults=faults))["port"]
        scheme = "https" if row and row.tls else "http"
        budget_s = BUDGET_S if row and row.timed else None
        way = row.way if row else "listen"
        place = Place(f"{scheme}://127.0.0.1:{port}", budget_s, SAMPLE_RATE_HZ, way)
        ask = client.ask("meet", place=asdict(place), patience_s=self._patience_s)
        try:
            answer = await asyncio.wait_for(ask, ANSWER_S)
        except asyncio.TimeoutError:
            answer = {"stuck": True, "hung": True, "bytes": 0, "left": {}, "meanings": []}
        if answer.get("stuck") or "bytes" not in answer:
            await self._replace()
        return answer, await self._server.ask("close")

    async def _ready(self) -> Process:
        if self._client is None:
            client = Process("benchmarks.faults_client", self._name, *core(1))
            await client.__aenter__()
            if error := client.hello.get("error"):
                await client.__aexit__(None, None, None)
                raise ImportError(error)
            self.title, self.ways = client.hello["title"], client.hello["ways"]
            self._client = client
        return self._client

    async def _replace(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(TimeoutError, None, None)


async def measure(name: str, chosen: argparse.Namespace) -> list[Result]:
    """Let one client meet every row. Raises ImportError where it is not installed."""
    ours = name == "ours"
    results = []
    async with Meeting(name, BUDGET_S + GRACE_S if ours else chosen.patience) as meeting:
        answer, notes = await meeting.meet(None)
        if answer.get("error") or answer["bytes"] != notes["sent_bytes"]:
            raise RuntimeError(f"fails without any fault: {answer}, sent {notes['sent_bytes']}")
        whole_bytes = notes["sent_bytes"]
        for row in chosen.rows:
            if row.way not in meeting.ways:
                continue
            for _ in range(chosen.rounds if ours else chosen.peer_rounds):
                say(f"{meeting.title}: {row.name}")
                results.append(judged(name, row, *await meeting.meet(row), whole_bytes=whole_bytes))
    return results


async def run(chosen: argparse.Namespace) -> tuple[dict[str, list[Result]], dict[str, str]]:
    """Measure fishlive alone, then the others at once: their times are patience."""
    found: dict[str, list[Result]] = {}
    missing: dict[str, str] = {}

    async def one(name: str) -> None:
        try:
            found[name] = await measure(name, chosen)
        except (ImportError, RuntimeError) as error:
            missing[name] = str(error)
        save(chosen, found, missing)

    if "ours" in chosen.clients:
        await one("ours")
    await asyncio.gather(*(one(name) for name in chosen.clients if name != "ours"))
    say("")
    return {name: found[name] for name in chosen.clients if name in found}, missing


def machine() -> dict[str, Any]:
    """Return where these results come from."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def say(what: str) -> None:
    """Tell whoever watches how far it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def as_json(found: dict[str, list[Result]], missing: dict[str, str]) -> str:
    """Return everything that was found, and where."""
    everything = {
        "machine": machine(),
        "budget_s": BUDGET_S,
        "missing": missing,
        "summary": summary(found).as_dict(),
        "clients": {name: [each.as_dict() for each in found[name]] for name in found},
    }
    return json.dumps(everything, indent=1)


def save(
    chosen: argparse.Namespace, found: dict[str, list[Result]], missing: dict[str, str]
) -> None:
    """Write the JSON file, if one is wanted: after each client, so that nothing is lost."""
    if chosen.json and chosen.json != "-":
        Path(chosen.json).write_text(as_json(found, missing), encoding="utf-8")


def main() -> None:
    chosen = arguments()
    found, missing = asyncio.run(run(chosen))
    print(as_json(found, missing) if chosen.json == "-" else report(found, missing))


if __name__ == "__main__":
    main()
