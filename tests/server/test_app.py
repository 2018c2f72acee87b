"""A server's life: it starts, serves, stops, and keeps strangers out."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import threading
from typing import Any

import aiohttp
import anyio.to_thread
import pytest

from fishlive.errors import ConfigError, UsageError
from fishlive.server import LocalServer, Settings
from fishlive.server.voice.encode import Encoder
from fishlive.server.voice.espeak import Espeak
from fishlive.session import Session
from tests.server.talk import HOURS, LIVE, TIMED, answer, asking, posting, talking, until


async def test_it_listens_on_loopback(server: LocalServer) -> None:
    """The default address is loopback's, on a free port, and the key is ``local``."""
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.ws_url == f"ws://127.0.0.1:{server.port}"
    assert server.key == "local"


async def test_a_port_of_ones_own(unused_port: int) -> None:
    """A port that is asked for is taken; one that is taken is a ConfigError."""
    async with LocalServer(port=unused_port) as server:
        assert server.port == unused_port
        with pytest.raises(ConfigError, match="cannot listen") as refused:
            await LocalServer(port=unused_port).start()
        assert refused.value.argument == "port"


async def test_several_at_once_and_again() -> None:
    """Servers do not share anything that shows, and one can be started again."""
    one, two = LocalServer(keys=("one",)), LocalServer(keys=("two",))
    async with one, two:
        assert one.port != two.port
        async with posting(one, key="two", json={"text": ""}) as response:
            assert response.status == 401
    async with one, posting(one, key="one", json={"text": "Again."}) as response:
        assert await response.read()


async def test_in_another_thread() -> None:
    """A server runs in any thread's loop, beside one in this loop."""

    async def serve() -> bytes:
        async with LocalServer() as server, talking(server) as talk:
            await talk.say("Hello.")
            return await talk.audio()

    async with LocalServer() as server, talking(server) as talk:
        await talk.say("Hello.")
        there = await anyio.to_thread.run_sync(lambda: asyncio.run(serve()))
        assert there
        assert await talk.audio()


async def test_serve_forever() -> None:
    """It serves until it is cancelled, and is closed then."""
    server = LocalServer()
    serving = asyncio.ensure_future(server.serve_forever())
    await until(lambda: server.listening)
    url = server.url
    async with talking(server) as talk:
        await talk.say("Hello.")
        assert await talk.audio()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


async def test_wrong_use() -> None:
    """No address before it runs, no second start, no settings that do not exist."""
    server = LocalServer()
    with pytest.raises(UsageError):
        _ = server.url
    async with server:
        with pytest.raises(UsageError):
            await server.start()
    await server.aclose()
    with pytest.raises(ConfigError, match="no such setting"):
        LocalServer(colour="red")


@pytest.mark.parametrize("path", [LIVE, TIMED])
async def test_leaving_with_open_utterances(path: str) -> None:
    """Leaving ends what is being said, with 1001, and waits for nobody."""
    async with LocalServer(**HOURS) as server:
        async with talking(server, path) as talk, talking(server, path) as idle:
            await talk.say("Hello.")
            await until(lambda: server.running == 1)
            _, *last = await asyncio.gather(server.aclose(), talk.next(), idle.next())
            assert last == [{}, {}]
            assert [each.socket.close_code for each in (talk, idle)] == [1001, 1001]
        assert server.running == 0


async def test_leaving_while_nobody_reads() -> None:
    """A client that reads nothing cannot hold the server up."""
    loop = asyncio.get_running_loop()
    async with LocalServer() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.setblocking(False)
            body = b'{"text": "' + b"Hello there. " * 5000 + b'", "format": "pcm"}'
            request = (
                b"POST /v1/tts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer local\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            await loop.sock_sendall(plain, request + body)
            await until(lambda: server.running == 1)
            await server.aclose()
            assert server.running == 0


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 401),
        ({"Host": "localhost"}, 401),
        ({"Host": "fish.localhost:80"}, 401),
        ({"Host": "192.168.0.7:80"}, 401),
        ({"Host": "[::1]:80"}, 401),
        ({"Host": "tts.internal"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 401),
        ({"Origin": "http://tts.internal"}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://192.168.0.7"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[bad"}, 403),
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/v1/tts", LIVE])
async def test_strangers_stay_out(given: dict[str, str], status: int, path: str) -> None:
    """Names that could be rebound and foreign web pages are a 403, before the key is looked at."""
    async with LocalServer(hosts=("tts.internal",)) as server, aiohttp.ClientSession() as session:
        ask = session.post if path == "/v1/tts" else session.get
        async with ask(server.url + path, headers=given) as response:
            assert response.status == status
            assert (await response.json())["status"] == status


async def test_every_answer_is_stamped(server: LocalServer) -> None:
    """Limit, running and a trace of its own are on every answer, wrong ones too."""
    traces = set()
    for path in ("/", "/v1/tts", LIVE, "/nowhere"):
        bad = {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}
        async with (
            aiohttp.ClientSession(headers=bad) as session,
            session.get(server.url + path) as response,
        ):
            assert response.headers["ratelimit-limit-concurrency"] == "1000"
            assert response.headers["ratelimit-current-concurrency"] == "0"
            traces.add(response.headers["x-fish-trace-id"])
            body = await response.json()
            assert body.get("status", 200) == response.status
    assert len(traces) == 4
    assert "0" * 32 not in traces


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/model/", 404),
        ("GET", "/v1/user", 404),
        ("PUT", "/model", 405),
        ("POST", "/model/en-us", 405),
        ("GET", "/v1/tts", 405),
        ("DELETE", "/wallet/self/api-credit", 405),
    ],
)
async def test_unknown_paths_and_methods(
    server: LocalServer, method: str, path: str, status: int
) -> None:
    """They are refused as JSON, a method with those that are allowed."""
    async with asking(server, method, path, key=None) as response:
        assert response.status == status
        assert (await response.json())["status"] == status
        assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/v1/tts", "/model", "/v1/pronunciation-dictionaries"])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_body_that_breaks_off(server: LocalServer, path: str, kind: str) -> None:
    """A compression that is none is the client's fault: a 400 in plain text."""
    given = {"Content-Type": kind, "Content-Encoding": "gzip"}
    async with posting(server, path=path, data=b"not gzip at all", headers=given) as response:
        assert (response.status, response.content_type) == (400, "text/plain")


async def test_the_front_page_lists_the_endpoints(server: LocalServer) -> None:
    """Whoever asks without a key learns what is here, each path once."""
    _, page = await answer(server, "GET", "/", key=None)
    assert len(page["endpoints"]) == len(set(page["endpoints"]))
    assert {"/v1/tts", LIVE, TIMED, "/model/{id}"} <= set(page["endpoints"])


async def test_the_loop_is_never_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither speaking nor encoding happens in the loop's thread."""
    seen: set[int] = set()

    def watch(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            seen.add(threading.get_ident())
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    watch(Encoder, "__init__")
    watch(Encoder, "feed")
    watch(Encoder, "finish")
    watch(Espeak, "speak")
    async with LocalServer() as server:
        for name in ("pcm", "wav", "mp3", "opus"):
            async with posting(server, json={"text": "Hello.", "format": name}) as response:
                assert await response.read()
    assert seen
    assert threading.get_ident() not in seen


def test_without_the_extra() -> None:
    """Importing needs no extra; starting without it is a ConfigError with the command to run."""
    code = """
import asyncio, sys
sys.modules[sys.argv[1]] = None
from fishlive.errors import ConfigError
from fishlive.server import LocalServer
server = LocalServer()
try:
    asyncio.run(server.start())
except ConfigError as error:
    assert 'pip install "fishlive[local]"' in str(error), error
else:
    raise SystemExit("it started")
"""
    for missing in ("av", "espeakng_loader"):
        subprocess.run([sys.executable, "-c", code, missing], check=True)


def test_importing_loads_no_extra() -> None:
    """``import fishlive.server`` loads neither PyAV nor espeak-ng."""
    code = "import sys, fishlive.server; assert not {'av', 'espeakng_loader'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_and_keywords() -> None:
    """Keywords replace single settings of those that are given."""
    server = LocalServer(Settings(concurrency=3, strict=True), concurrency=7)
    assert (server.settings.concurrency, server.settings.strict) == (7, True)


async def test_a_client_that_leaves_during_the_upgrade_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Hanging up is a client's right: nothing is logged as an error, and the server goes on."""
    upgrade = (
        b"GET /v1/tts/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer local\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with LocalServer() as server:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(upgrade)
            writer.transport.abort()
            await asyncio.sleep(0)
        async with Session("local", base_url=server.url) as fish, fish.live() as live:
            await live.ready()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
