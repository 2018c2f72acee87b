"""Processes that answer JSON lines: the one server, and one process for each client."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from benchmarks.affinity import cores
from benchmarks.plans import Server

ROOT = Path(__file__).parent.parent

ANSWER_TIMEOUT_S = 300.0
"""Longest wait for one answer: the slowest client needs half a minute for the longest question."""

CLIENTS = ("ours", "bare_picows", "aiohttp_loop", "websockets_loop", "official_sdk")
"""Modules of ``benchmarks.clients``, in the order of the tables."""


def core(which: int) -> list[str]:
    """Return the argument that pins a child: 0 is the server's core, 1 the client's."""
    chosen = cores()
    return [str(chosen[which])] if chosen else []


def server() -> Process:
    """Return the server's process, not yet started."""
    return Process("benchmarks.flood", *core(0))


def local_server() -> Process:
    """Return the process of fishlive's own server, not yet started."""
    return Process("benchmarks.local_voice", *core(0))


class Process:
    """A child that says hello in one JSON line and then answers each line with one."""

    hello: dict[str, Any]

    def __init__(self, *arguments: str) -> None:
        self.name = arguments[1] if arguments[1:] else arguments[0]
        self._arguments = arguments

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self._arguments),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,  # what counts is in the answer's ``error``
            cwd=ROOT,
        )
        self.hello = await self._answer()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._child.returncode is None:
            assert self._child.stdin is not None
            self._child.stdin.close()
        try:
            await asyncio.wait_for(self._child.wait(), ANSWER_TIMEOUT_S if not _kind else 1.0)
        except asyncio.TimeoutError:
            self._child.kill()
            await self._child.wait()

    async def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Ask one question. An answer with ``error`` means that the client failed at it."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
            await self._child.stdin.drain()
        except ConnectionError:
            return {"error": "the process ended"}
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        try:
            line = await asyncio.wait_for(self._child.stdout.readline(), ANSWER_TIMEOUT_S)
        except asyncio.TimeoutError:
            self._child.kill()
            return {"error": f"no answer within {ANSWER_TIMEOUT_S:.0f} s"}
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        return answer


class Bench:
    """The server, and a way to have a client do something against it."""

    def __init__(
        self, flood: Process, names: tuple[str, ...], *, quick: bool, tls: bool, rounds: int
    ) -> None:
        self._flood = flood
        self.names = names
        self.quick = quick
        self.tls = (False, True) if tls else (False,)
        self.rounds = 1 if quick else rounds
        self.failures: dict[str, str] = {}
        self._cores = cores()

    def client(self, name: str) -> Process:
        """Return a client's process, not yet started."""
        return Process("benchmarks.clients", name, *core(1))

    async def measure(
        self, client: Process, do: str, *, tls: bool = False, **details: Any
    ) -> dict[str, Any]:
        """Have a client do something; its answer, what the server noted and what it cost it."""
        hello = self._flood.hello
        secure = Server(hello["tls_port"], hello["ca_file"])
        where = asdict(secure if tls else Server(hello["port"]))
        self.say(f"{do} {client.name}{' over TLS' if tls else ''} {details}")
        before = await self._flood.ask("cpu")
        answer = await client.ask(do, server=where, **details)
        after = await self._flood.ask("cpu")
        answer["server_cpu_s"] = after["cpu_s"] - before["cpu_s"]
        answer["server"] = await self._flood.ask("notes")
        return answer

    def turns(self, clients: dict[str, Process]) -> Iterator[tuple[str, Process]]:
        """Yield every client once a round; who comes first changes with the round."""
        order = list(clients.items())
        for turn in range(self.rounds):
            first = turn % max(1, len(order))
            yield from order[first:] + order[:first]

    @staticmethod
    def say(what: str) -> None:
        """Tell whoever watches how far it is."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)

    def failed(self, name: str, answer: dict[str, Any]) -> bool:
        """Say whether this was a failure; keep the first of each client for the report."""
        if error := answer.get("error"):
            self.failures.setdefault(name, error)
        return bool(error)
