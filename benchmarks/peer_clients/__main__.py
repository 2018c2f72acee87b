"""A peer's own process: ``python -m benchmarks.peer_clients <module> [core]``.

Imports one peer, then answers every JSON line on stdin (``{"do": scenario, ...}``) with one.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any

from benchmarks import peer_scenarios
from benchmarks.affinity import pin

SCENARIOS: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    "conversations": peer_scenarios.conversations,
    "load": peer_scenarios.load,
    "weight": peer_scenarios.weight,
}


async def perform(client: Any, do: str, **details: Any) -> dict[str, Any]:
    try:
        return await SCENARIOS[do](client, **details)
    finally:
        await client.leave()


def answer(client: Any, ask: dict[str, Any]) -> dict[str, Any]:
    try:
        return asyncio.run(perform(client, **ask))
    except Exception:  # a client that fails is a result: the others are still measured
        return {"error": traceback.format_exc(limit=-4)}


def main() -> None:
    pin(sys.argv[2:])
    # Only answers belong on the pipe, whatever a library prints.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=pipe, flush=True)

    try:
        client = importlib.import_module(f"benchmarks.peer_clients.{sys.argv[1]}")
        say({"title": client.TITLE, "version": version(client.PACKAGE), "way": client.OWN_WAY})
    except ImportError as error:
        say({"error": f"not installed ({error})"})
        return
    for line in sys.stdin:
        say(answer(client, json.loads(line)))


if __name__ == "__main__":
    main()
