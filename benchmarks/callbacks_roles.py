"""The processes of ``benchmarks.callbacks``: what hears callbacks, and what sends them.

``python -m benchmarks.callbacks_roles bare|STORE [core]`` hears, ``… load [core]`` sends and is the
gateway that a receiver asks. Each says hello in one JSON line and answers each line with one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from benchmarks.affinity import pin
from benchmarks.plans import summary_ms

SECRET = "a secret of the benchmark, and of nothing else"  # noqa: S105
ANSWER = b'{"received":true}'
AUDIO = "https://cdn.example/a.mp3"

PATIENCE_S = 120.0
"""How long handlers may take behind the last answer; they take a few seconds."""

MINTED = 100
"""Addresses made at once."""

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def listening(app: web.Application) -> int:
    """Serve an application on loopback; return its port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


async def bare(_stack: AsyncExitStack) -> tuple[int, Answer]:
    """Read each body, and nothing else: what nobody can be faster than."""

    async def hear(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    async def answer(question: dict[str, Any]) -> dict[str, Any]:
        lines = [f"?token={'x' * 68} task-{n}" for n in range(question.get("count", 0))]
        if question["do"] == "mint":
            _write(question["file"], lines)
        return {"handled": question.get("of", 0), "waited_s": 0.0}

    app = web.Application()
    app.router.add_post("/hook", hear)
    return await listening(app), answer


class Hearing:
    """A receiver whose handler only counts."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._handled = 0
        self._minted = 0

    async def start(self, stack: AsyncExitStack, gateway: str) -> int:
        """Listen; return where."""
        from fishlive.gateways import AceData
        from fishlive.stores import RedisStore
        from fishlive.webhooks import Receiver
        from fishlive.webhooks.aiohttp import handler

        store = RedisStore(self._place) if "://" in self._place else self._place
        url = "http://127.0.0.1/hook"
        self._client = await stack.enter_async_context(AceData("token", base_url=gateway))
        self._receiver = await stack.enter_async_context(
            Receiver(self._client, self._count, url=url, secret=SECRET, store=store, overdue_s=3600)
        )
        app = web.Application()
        app.router.add_route("*", "/hook", handler(self._receiver))
        return await listening(app)

    async def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Make callbacks to be, or tell how many were handled once all are."""
        if question["do"] == "mint":
            lines: list[str] = []
            while len(lines) < question["count"]:
                lines += await asyncio.gather(*(self._mint() for _ in range(MINTED)))
            _write(question["file"], lines[: question["count"]])
            self._handled = 0
            return {}
        began_s = time.monotonic()
        # Handlers run in this process, and one event for 4,000 of them would cost what is measured.
        while (  # noqa: ASYNC110
            self._handled < question["of"] and time.monotonic() - began_s < PATIENCE_S
        ):
            await asyncio.sleep(0.01)
        return {"handled": self._handled, "waited_s": time.monotonic() - began_s}

    async def _mint(self) -> str:
        self._minted += 1
        task = self._client.tasks.handle(f"task-{self._minted}")
        url = await self._receiver.callback_url()
        await self._receiver.bind(url, task)
        return f"?{urlsplit(url).query} {task.id}"

    async def _count(self, _event: object) -> None:
        self._handled += 1


async def load(_stack: AsyncExitStack) -> tuple[int, Answer]:
    """Be the gateway, and send callbacks over connections that stay open."""

    async def tasks(request: web.Request) -> web.Response:
        body = await request.json()
        items = [
            {"id": one, "request": {}, "finished_at": 1.0, "response": {"audio_url": AUDIO}}
            for one in body["ids"]
        ]
        return web.json_response({"items": items, "count": len(items)})

    async def answer(question: dict[str, Any]) -> dict[str, Any]:
        requests = iter([_request(*pair) for pair in _pairs(question["file"])])
        took_ns: list[int] = []
        statuses: Counter[bytes] = Counter()
        began_s = time.perf_counter()
        await asyncio.gather(
            *(
                _send(question["port"], requests, took_ns, statuses)
                for _ in range(question["connections"])
            )
        )
        wall_s = time.perf_counter() - began_s
        refused = sum(statuses.values()) - statuses[b"200"]
        return {**summary_ms(took_ns), "wall_s": wall_s, "refused": refused}

    app = web.Application()
    app.router.add_post("/fish/tasks", tasks)
    return await listening(app), answer


def _write(file: str, lines: Iterable[str]) -> None:
    Path(file).write_text("\n".join(lines))


def _pairs(file: str) -> list[list[str]]:
    return [line.split() for line in Path(file).read_text().splitlines()]


def _request(query: str, task_id: str) -> bytes:
    body = json.dumps({"task_id": task_id, "audio_url": AUDIO}).encode()
    head = f"POST /hook{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _send(port: int, requests: Any, took_ns: list[int], statuses: Counter[bytes]) -> None:
    """Send one request after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        began_ns = time.perf_counter_ns()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(ANSWER))
        took_ns.append(time.perf_counter_ns() - began_ns)
        statuses[head.split(None, 2)[1]] += 1
    writer.close()
    await writer.wait_closed()


async def serve(role: str, gateway: str) -> None:
    """Say hello, then answer until stdin ends."""
    async with AsyncExitStack() as stack:
        if role in {"bare", "load"}:
            port, answer = await (bare if role == "bare" else load)(stack)
        else:
            hearing = Hearing(role)
            port, answer = await hearing.start(stack, gateway), hearing.answer
        print(json.dumps({"port": port}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                said = await answer(json.loads(line))
            except Exception as error:
                said = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(said), flush=True)


def main() -> None:
    role, gateway, *rest = sys.argv[1:]
    pin(rest)
    try:
        asyncio.run(serve(role, gateway))
    except Exception as error:  # the report says why there are no numbers
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
