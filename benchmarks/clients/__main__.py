"""A client's own process: ``python -m benchmarks.clients <module> [core]``.

Imports one client, then answers every JSON line on stdin (``{"do": scenario, ...}``) with one, so
that what is measured is the CPU time and the memory of that client alone.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks import scenarios
from benchmarks.affinity import pin
from benchmarks.plans import Server

SCENARIOS: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    "frames": scenarios.frames,
    "text": scenarios.text,
    "idle": scenarios.idle,
    "slow": scenarios.slow,
    "latency": scenarios.latency,
    "first_audio": scenarios.first_audio,
}


def answer(client: Any, ask: dict[str, Any]) -> dict[str, Any]:
    scenario, server = SCENARIOS[ask.pop("do")], Server(**ask.pop("server"))
    try:
        return asyncio.run(scenario(client, server, **ask))
    except Exception:  # a client that fails is a result: the others are still measured
        return {"error": traceback.format_exc(limit=-4)}


def main() -> None:
    pin(sys.argv[2:])
    try:
        client = importlib.import_module(f"benchmarks.clients.{sys.argv[1]}")
        hello = {"title": client.TITLE}
    except (ImportError, AttributeError) as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        return
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
