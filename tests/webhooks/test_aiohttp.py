"""A receiver behind aiohttp.web."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from fishlive.stores import Heard
from fishlive.webhooks import aiohttp as adapter
from fishlive.webhooks import bodies
from fishlive.webhooks.bodies import MAX_BODY_BYTES, Headers
from fishlive.webhooks.events import NOT_POST, RECEIVED, Event
from tests.webhooks.standin import Seen, receiving, submit


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, list[tuple[str, str]], str]] = []

    async def handle(self, raw_body: bytes, headers: Headers, query: str) -> Event:
        """Hear."""
        pairs = list(headers.items()) if hasattr(headers, "items") else list(headers)
        self.heard.append((raw_body, pairs, query))
        return Event(Heard.NEW)


@asynccontextmanager
async def serving(receiver: adapter.Hears) -> AsyncIterator[tuple[aiohttp.ClientSession, str, int]]:
    """Yield a client, the address and the port of a server."""
    app = web.Application()
    app.router.add_route("*", "/hook", adapter.handler(receiver))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as client:
            yield client, f"http://127.0.0.1:{port}/hook", port
    finally:
        await runner.cleanup()


async def test_a_callback_arrives_as_it_was_sent() -> None:
    """The raw body, every header line and the raw query."""
    ear = Ear()
    async with serving(ear) as (client, url, _):
        headers = [("X-Twice", "1"), ("X-Twice", "2")]
        async with client.post(f"{url}?token=a%2Eb&token=c", data=b"\xff{", headers=headers) as got:
            assert (got.status, await got.read()) == (RECEIVED.status, RECEIVED.body)
    [(raw_body, pairs, query)] = ear.heard
    assert raw_body == b"\xff{"
    assert [value for name, value in pairs if name == "X-Twice"] == ["1", "2"]
    assert query in {"token=a%2Eb&token=c", "token=a.b&token=c"}


@pytest.mark.usefixtures("hurry")
async def test_a_whole_way(tmp_path: Path) -> None:
    """From the submission to the handler, through a real server."""
    seen = Seen()
    async with (
        receiving(tmp_path, seen, overdue_s=1000) as (receiver, client, gateway),
        serving(receiver) as (http, url, _),
    ):
        task_id = await submit(receiver, client)
        gateway.finish(task_id)
        body = {"task_id": task_id}
        async with http.post(f"{url}?{gateway.query(task_id)}", json=body) as answer:
            assert answer.status == 200
        [done] = await seen.wait(1)
    assert done.task_id == task_id


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_posts_are_heard(method: str) -> None:
    """Others get one answer, and nobody hears them."""
    ear = Ear()
    async with serving(ear) as (client, url, _), client.request(method, url) as answer:
        assert answer.status == NOT_POST.status
    assert ear.heard == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_not_kept(*, chunked: bool) -> None:
    """Declared or not, it is answered alike, and only its beginning is kept."""
    ear = Ear()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield bytes(64 * 1024)

    async with serving(ear) as (client, url, _):
        data = chunks() if chunked else io.BytesIO(bytes(10_000_000))
        try:
            async with client.post(url, data=data) as answer:
                assert answer.status == RECEIVED.status
        except aiohttp.ClientConnectionError:
            pass  # the rest was not wanted
    [(raw_body, _, _)] = ear.heard
    assert len(raw_body) == MAX_BODY_BYTES + 1


async def test_an_endless_body_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than MOST_READ_BYTES are not read; the connection is closed."""
    monkeypatch.setattr(bodies, "MOST_READ_BYTES", 1_500_000)
    ear = Ear()

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(64 * 1024)

    async with serving(ear) as (client, url, _):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with client.post(url, data=chunks()) as answer:
                assert answer.status == RECEIVED.status
    [(raw_body, _, _)] = ear.heard
    assert len(raw_body) == MAX_BODY_BYTES + 1


async def test_a_slow_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After READ_S it is worth nothing."""
    monkeypatch.setattr(bodies, "READ_S", 0.02)
    ear = Ear()
    async with serving(ear) as (_, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200")
    assert [raw_body for raw_body, _, _ in ear.heard] == [b""]


@pytest.mark.parametrize("rest", [b"", b"5\r\n{", b"nonsense\r\n"])
async def test_a_broken_request_harms_nobody(rest: bytes) -> None:
    """Cut off in the middle, or not HTTP; the next one is heard."""
    ear = Ear()
    async with serving(ear) as (client, url, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + rest)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with client.post(url, data=b"{}") as answer:
            assert answer.status == 200
    assert ear.heard[-1][0] == b"{}"
