"""The local server: whom it lets in, what it bears, and what it is made of."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import fishlive
from fishlive.errors import ConfigError
from fishlive.server import LocalServer, Settings
from fishlive.server import guard as guards
from fishlive.server.guard import body_in_time, looks_real
from tests.cli.command import call, environment, started
from tests.server.talk import LIVE, talking
from tests.transport.http_peer import until
from tests.transport.peer import WAIT_S

SOURCE = Path(fishlive.__file__).parent
REAL = "0123456789abcdef0123456789abcdef"
LONG = "local-quite-long-enough"


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("0.0.0.0", {}),
        ("::", {}),
        ("", {}),
        ("192.168.0.7", {}),
        ("tts.internal", {}),
        ("0.0.0.0", {"allow_remote": True}),
        ("0.0.0.0", {"keys": (LONG,)}),
        ("0.0.0.0", {"allow_remote": True, "keys": (LONG, "short")}),
        ("0.0.0.0", {"allow_remote": True, "keys": (LONG,), "accept_any_key": True}),
    ],
)
def test_others_are_let_in_on_purpose_and_with_a_long_key_only(
    host: str, more: dict[str, Any]
) -> None:
    """Anything but loopback takes a word for it, and a key that cannot be guessed."""
    with pytest.raises(ConfigError) as caught:
        LocalServer(host=host, **more)
    assert caught.value.argument in {"host", "keys"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_takes_neither(host: str) -> None:
    """Which is the default."""
    assert LocalServer(host=host).key == "local"


async def test_others_on_purpose() -> None:
    """With both it listens, and answers to its own address and key."""
    async with (
        LocalServer(host="0.0.0.0", allow_remote=True, keys=(LONG,)) as server,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://127.0.0.1:{server.port}/model"
        for key, status in ((LONG, 200), ("local", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get(url, headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize(
    "key",
    [REAL, REAL.upper(), "sk-" + REAL, "fish_" + "A" * 24, "eyJhbGciOiJIUzI1NiJ9.e30.abcdefgh"],
)
def test_a_key_that_looks_real_is_not_taken(key: str) -> None:
    """Nobody's real key should stand in the settings of a toy; on purpose it may."""
    assert looks_real(key)
    with pytest.raises(ConfigError) as caught:
        LocalServer(keys=(key,))
    assert key not in str(caught.value)
    assert LocalServer(keys=(key,), accept_any_key=True).key == key


@pytest.mark.parametrize("key", ["local", "test-key", "sesame", LONG, "a" * 31])
def test_a_key_that_does_not_is(key: str) -> None:
    """Short ones, words, and our own."""
    assert not looks_real(key)


async def test_whoever_sends_a_real_key_is_told() -> None:
    """It is refused, not repeated, and the sentence says where it went."""
    async with LocalServer() as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {REAL}"}
        async with session.get(f"{server.url}/model", headers=headers) as response:
            assert response.status == 401
            said = await response.text()
    assert "local server" in said
    assert REAL not in said


async def test_any_key_if_told() -> None:
    """Also one that looks real; no key at all is still a 401."""
    async with LocalServer(accept_any_key=True) as server, aiohttp.ClientSession() as session:
        for headers, status in (
            ({"Authorization": f"Bearer {REAL}"}, 200),
            ({"Authorization": "Bearer"}, 401),
            ({}, 401),
        ):
            async with session.get(f"{server.url}/model", headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
    ],
    ids=repr,
)
async def test_pages_that_say_no_origin_stay_out_too(given: dict[str, str], status: int) -> None:
    """Images and scripts of foreign pages carry no Origin; browsers say where they come from."""
    async with (
        LocalServer() as server,
        aiohttp.ClientSession() as session,
        session.get(server.url, headers=given) as response,
    ):
        assert response.status == status
        assert "Access-Control-Allow-Origin" not in response.headers


@contextlib.asynccontextmanager
async def connected(server: LocalServer) -> AsyncIterator[tuple[asyncio.StreamReader, Any]]:
    """Yield a raw connection to a server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_one_connection_too_many_is_refused() -> None:
    """Also when the others have said nothing; and room is room again."""
    async with LocalServer(max_connections=2) as server, aiohttp.ClientSession() as session:
        async with connected(server), connected(server):
            await until(lambda: len(_handlers(server)) == 2)
            async with session.get(server.url) as response:
                assert response.status == 503
                assert response.headers["Connection"] == "close"
        await until(lambda: not _handlers(server))
        async with session.get(server.url) as response:
            assert response.status == 200


def _handlers(server: LocalServer) -> list[Any]:
    runner = server._runner
    assert runner is not None
    assert runner.server is not None
    return runner.server.connections


async def test_a_head_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not keep a connection open."""
    monkeypatch.setattr("fishlive.server.app.HTTP_IDLE_S", 0.1)
    async with LocalServer() as server, connected(server) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""


async def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends, and nothing is left of it."""
    monkeypatch.setattr(
        "fishlive.server.app.body_in_time", lambda request: body_in_time(request, 0.1)
    )
    async with LocalServer() as server, connected(server) as (reader, writer):
        writer.write(
            b"POST /v1/tts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer local\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        )
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        await until(lambda: not _handlers(server))
    assert guards.BODY_S >= 30


async def test_a_socket_that_says_nothing_is_closed() -> None:
    """With 1001; not while something is still spoken."""
    async with LocalServer(idle_s=0.2, real_time_factor=0.3) as server, talking(server) as talk:
        await talk.say(
            "This takes longer to say than a socket may be idle, by a good deal, I hope."
        )
        assert await talk.audio()
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": "Bearer local"}
            async with session.ws_connect(server.url + LIVE, headers=headers) as socket:
                message = await socket.receive(WAIT_S)
                assert message.type is aiohttp.WSMsgType.CLOSE
                assert message.data == aiohttp.WSCloseCode.GOING_AWAY


@pytest.mark.parametrize("setting", ["max_connections", "max_text_bytes", "idle_s"])
def test_limits_are_limits(setting: str) -> None:
    """None of them is nothing at all."""
    with pytest.raises(ConfigError) as caught:
        Settings(**{setting: 0})  # type: ignore[arg-type]  # any of them
    assert caught.value.argument == setting


async def test_the_command_lets_others_in_on_purpose_only(capsys: Any) -> None:
    """And says what to add."""
    assert await call("serve", "--host", "0.0.0.0") == 2
    assert "allow" in capsys.readouterr().err
    assert await call("serve", "--key", REAL) == 2
    assert REAL not in capsys.readouterr().err


def test_the_command_invents_a_long_key_for_others(tmp_path: Path) -> None:
    """And warns."""
    arguments = ("serve", "--host", "0.0.0.0", "--allow-remote", "--port", "0")
    with started(*arguments, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline().decode()
        process.kill()
        warning = process.stderr.read().decode()
    key = line.split("key ")[1].split()[0]
    assert len(key) >= guards.LEAST_TOKEN_CHARS
    assert not looks_real(key)
    assert "warning" in warning


DANGEROUS = {"pickle", "marshal", "shelve", "dill", "code", "codeop", "runpy", "ctypes", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}
"""What turns data into code."""


@pytest.mark.parametrize("part", ["server", "faults", "testing", "faults.py", "transport", "wire"])
def test_data_never_becomes_code(part: str) -> None:
    """Fault scripts, settings and messages are read, and never run."""
    here = SOURCE / part
    for path in [here] if here.is_file() else sorted(here.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = set()
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]}
            voice = path.name == "espeak.py"  # a C library, through ctypes
            assert not names & (DANGEROUS - ({"ctypes"} if voice else set())), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in CALLS, f"{path}:{node.lineno}"


def test_the_server_is_not_in_the_default_import_path() -> None:
    """Importing the SDK, and speaking with it, imports none of it, nor of its extras."""
    code = (
        "import sys, fishlive\n"
        "fish = fishlive.Session('k'); fish.tts, fish.voices, fish.live()\n"
        "bad = [m for m in sys.modules if m.startswith(('fishlive.server', 'fishlive.faults',\n"
        "       'fishlive.testing', 'fishlive.cli', 'espeakng_loader', 'av.', 'typer'))]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment(), timeout=WAIT_S)
