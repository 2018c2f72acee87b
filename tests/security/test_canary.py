"""A key of this run goes through everything that can fail, and shows nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import fishlive
from fishlive.flow.retry import RetryPolicy
from fishlive.gateways import AceData
from fishlive.secret import KeyedHeaders, Secret
from fishlive.server import LocalServer
from fishlive.session import Session, TransportName
from fishlive.transport import names
from fishlive.transport.call import Timeouts
from fishlive.transport.socket import Target
from fishlive.webhooks.tokens import Tokens
from fishlive.wire.serving import encode_error
from tests.cli.command import call, environment, finished
from tests.security.canary import KEY, Watch, hits, knows_nobody
from tests.transport.peer import BINARY, WAIT_S, Peer, close_frame, frame, serve

ROOT = Path(fishlive.__file__).parent.parent
SHORT_S = 0.3
"""How long a call may take that a silent service will not answer."""

Script = Callable[[Peer], Awaitable[None]]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Listen to everything; fail if the key was seen, and where."""
    watching = Watch()
    with watching.everything():
        asyncio.get_event_loop_policy()  # whoever configures asyncio logs
        yield watching
    assert not watching.found, "\n".join(watching.found)


async def failing(watch: Watch, what: Awaitable[object]) -> BaseException | None:
    """Run something that fails, and look at how."""
    try:
        await asyncio.wait_for(what, WAIT_S)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is printed somewhere
        watch.error(error)
        return error
    return None


# What services do to a live connection.


async def hangs_up(peer: Peer) -> None:
    """Close instead of answering."""
    await peer.read_request()
    peer.hang_up()


async def resets(peer: Peer) -> None:
    """Reset instead of answering."""
    await peer.read_request()
    peer.reset()


async def is_silent(peer: Peer) -> None:
    """Never answer."""
    await peer.read_request()
    await asyncio.Event().wait()


async def talks_garbage(peer: Peer) -> None:
    """Answer in another protocol."""
    await peer.read_request()
    peer.write(b"220 smtp.example ready\r\n\r\n")
    peer.hang_up()


async def redirects(peer: Peer) -> None:
    """Send the client elsewhere."""
    await peer.read_request()
    peer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
    await peer.read_eof()


async def wrong_accept(peer: Peer) -> None:
    """Upgrade with another's proof."""
    await peer.read_request()
    peer.write(peer.head(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
    await peer.read_eof()


async def endless_head(peer: Peer) -> None:
    """Begin an answer that never ends."""
    await peer.read_request()
    peer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: y\r\n" * 40_000)
    await peer.read_eof()


async def then_resets(peer: Peer) -> None:
    """Upgrade, and reset."""
    await peer.upgrade()
    await peer.read_frame()
    peer.reset()


async def then_closes(peer: Peer) -> None:
    """Upgrade, and close with a reason."""
    await peer.upgrade()
    await peer.read_frame()
    peer.write(close_frame(1008, "invalid token"))
    await peer.read_eof()


async def then_garbage(peer: Peer) -> None:
    """Upgrade, and send what is no message."""
    await peer.upgrade()
    await peer.read_frame()
    peer.write(frame(BINARY, b"\xc1\xc1\xc1"))
    await peer.read_eof()


async def then_error(peer: Peer) -> None:
    """Upgrade, and say what is wrong."""
    await peer.upgrade()
    await peer.read_frame()
    peer.write(frame(BINARY, encode_error("Invalid Token")))
    await peer.read_eof()


async def then_silent(peer: Peer) -> None:
    """Upgrade, and say nothing."""
    await peer.upgrade()
    await peer.read_eof()


def says(status: str, body: bytes = b"") -> Script:
    """Return a service that answers every request alike."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        peer.write(head.encode() + body)
        peer.hang_up()

    return script


LIVE: dict[str, Script] = {
    **{s.__name__: s for s in (hangs_up, resets, is_silent, talks_garbage, redirects)},
    **{s.__name__: s for s in (wrong_accept, endless_head, then_resets, then_closes)},
    **{s.__name__: s for s in (then_garbage, then_error, then_silent)},
    "401": says("401 Unauthorized", b'{"message":"Invalid Token"}'),
    "429": says("429 Too Many Requests", b'{"message":"concurrency"}'),
    "503": says("503 Service Unavailable", b"<html>"),
}

CALLS: dict[str, Script] = {
    **{s.__name__: s for s in (hangs_up, resets, is_silent, talks_garbage, redirects)},
    **{s.__name__: s for s in (endless_head,)},
    "401": says("401 Unauthorized", b'{"message":"Invalid Token"}'),
    "404": says("404 Not Found", b'{"message":"no"}'),
    "422": says("422 No", b'[{"loc":["body"],"msg":"no"}]'),
    "500": says("500 No", b""),
    "not JSON": says("200 OK", b"<html>"),
    "wrong JSON": says("200 OK", b'{"items": 5}'),
}


async def converse(fish: Session) -> None:
    """Speak, and read to the end."""
    async with fish.live() as live:
        async for _ in live.speak("Hello there. "):
            pass


@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
@pytest.mark.parametrize("name", LIVE)
async def test_a_live_failure_shows_no_key(
    watch: Watch, name: str, transport: TransportName
) -> None:
    """Whatever a service does, no error, log or object of ours has it."""
    async with serve(LIVE[name]) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with Session(
            KEY.reveal(), base_url=url, transport=transport, connect_timeout_s=SHORT_S
        ) as fish:
            with contextlib.suppress(AttributeError):
                watch.object(fish)
            if name in {"is_silent", "then_silent"}:  # cancelled from outside, too
                await failing(watch, asyncio.wait_for(converse(fish), SHORT_S))
            if name != "then_silent":
                assert await failing(watch, converse(fish))
            live = fish.live()
            watch.object(live)
            async with live:
                watch.object(live.utterance())
                watch.object(live)
            watch.object(fish)
    assert watch.errors


@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
async def test_a_live_success_and_a_refusal_show_no_key(
    watch: Watch, transport: TransportName
) -> None:
    """Loops in debug mode write more than others: nor do they."""
    asyncio.get_running_loop().set_debug(True)
    async with LocalServer(keys=(KEY.reveal(),), accept_any_key=True) as server:
        async with Session(KEY.reveal(), base_url=server.url, transport=transport) as fish:
            async with fish.live(timestamps=True) as live:
                utterance = live.speak("Hello.")
                async for _ in utterance:
                    watch.object(utterance)
                for thing in (live, utterance, utterance.stats, utterance.words, fish.governor):
                    watch.object(thing)
            for task in asyncio.all_tasks():
                watch.look("task", repr(task))
                watch.look("stack", repr([frame_.f_locals for frame_ in task.get_stack()]))
        watch.look("server", repr(server) + repr(server.settings))
    async with (
        LocalServer() as server,
        Session(KEY.reveal(), base_url=server.url, transport=transport) as fish,
    ):
        assert await failing(watch, converse(fish))
    asyncio.get_running_loop().set_debug(False)


@pytest.mark.parametrize("name", CALLS)
async def test_a_failing_call_shows_no_key(watch: Watch, name: str) -> None:
    """Nor does any noun, whatever it is answered."""
    async with (
        serve(CALLS[name]) as server,
        Session(
            KEY.reveal(),
            base_url=f"http://127.0.0.1:{server.port}",
            timeouts=Timeouts(connect_s=1, first_byte_s=SHORT_S, between_s=SHORT_S),
            retry=RetryPolicy(attempts=1),
        ) as fish,
    ):
        nouns: list[tuple[object, Callable[[], Awaitable[object]]]] = [
            (fish.wallet, fish.wallet.credit),
            (fish.voices, lambda: fish.voices.get("abc")),
            (fish.tts, lambda: fish.tts.create("Hello")),
            (fish.asr, lambda: fish.asr.transcribe(b"RIFF")),
        ]
        for noun, ask in nouns:
            watch.object(noun)
            await failing(watch, ask())
            if name == "is_silent":
                await failing(watch, asyncio.wait_for(ask(), SHORT_S / 3))
            watch.object(noun)
    assert watch.errors >= len(nouns) - 1  # speech may be anything, also <html>


async def test_a_service_that_repeats_the_key_is_not_repeated(watch: Watch) -> None:
    """Some say "invalid key sk-…": dots stand there instead."""

    async def echoes(peer: Peer) -> None:
        await peer.read_request()
        body = json.dumps({"message": f"bad key {peer.headers['authorization'][7:]}"}).encode()
        await says("401 Unauthorized", body)(_Read(peer))

    async with (
        serve(echoes) as server,
        Session(KEY.reveal(), base_url=f"http://127.0.0.1:{server.port}") as fish,
    ):
        error = await failing(watch, fish.wallet.credit())
    assert "bad key •••" in str(error)


class _Read(Peer):
    """A peer whose request was read."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.reader, peer.writer)

    async def read_request(self) -> None:
        """There is nothing more to read."""


async def test_no_network_shows_no_key(
    watch: Watch, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, no such host, no common TLS."""
    monkeypatch.setattr(names, "look_up", knows_nobody)
    for url in (f"http://127.0.0.1:{unused_port}", "https://no.such.host.invalid"):
        for transport in ("picows", "aiohttp"):
            async with Session(
                KEY.reveal(), base_url=url, transport=transport, retry=RetryPolicy(attempts=1)
            ) as fish:
                assert await failing(watch, converse(fish))
                assert await failing(watch, fish.wallet.credit())
    async with (
        serve(talks_garbage) as server,
        Session(
            KEY.reveal(),
            base_url=f"https://127.0.0.1:{server.port}",
            connect_timeout_s=SHORT_S,
            retry=RetryPolicy(attempts=1),
        ) as fish,
    ):
        assert await failing(watch, converse(fish))
        assert await failing(watch, fish.wallet.credit())


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "http://api.example"},
        {"base_url": "nonsense"},
        {"transport": "carrier pigeon"},
        {"connect_timeout_s": 0},
        {"concurrency": 0},
        {"timeouts": 5},
        {"retry": 5},
    ],
)
async def test_a_wrong_argument_shows_no_key(
    watch: Watch, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame that was given the key is in the traceback; the key is not in the frame."""

    async def make() -> None:
        Session(KEY.reveal(), **arguments).wallet  # noqa: B018 - looking is enough

    async def make_from_environment() -> None:
        Session(**arguments).wallet  # noqa: B018

    monkeypatch.setenv("FISH_API_KEY", KEY.reveal())
    for attempt in (make(), make_from_environment()):
        assert await failing(watch, attempt)


@pytest.mark.parametrize("ruin", ["{}\r\nX-Evil: 1", " {}", "{}\0", "é{}", "{}\n"])
async def test_a_key_that_is_none_shows_nowhere(
    watch: Watch, ruin: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key with a line break behind it is refused, and is a key all the same."""

    async def make() -> None:
        Session(ruin.format(KEY.reveal()))

    async def make_from_environment() -> None:
        Session()

    async def make_secret() -> None:
        Secret(ruin.format(KEY.reveal()))

    assert await failing(watch, make())
    assert await failing(watch, make_secret())
    if "\0" not in ruin:
        monkeypatch.setenv("FISH_API_KEY", ruin.format(KEY.reveal()))
        assert await failing(watch, make_from_environment())


def test_the_headers_that_carry_it_do_not_show_it(watch: Watch) -> None:
    """They go wherever locals are printed; only looking one up gives it."""
    headers = KeyedHeaders(KEY, {"model": "s2-pro"})
    for thing in (headers, headers.items(), Target("ws://127.0.0.1", headers=headers)):
        watch.object(thing)
    assert headers["Authorization"] == f"Bearer {KEY.reveal()}"
    assert dict(headers) == {"Authorization": headers["Authorization"], "model": "s2-pro"}
    assert len(headers) == 2
    with pytest.raises(KeyError):
        headers["X"]


async def test_gateways_show_no_token(watch: Watch) -> None:
    """Theirs is another secret, and kept as well."""
    for script in (CALLS["401"], CALLS["resets"], CALLS["not JSON"]):
        async with (
            serve(script) as server,
            AceData(
                KEY.reveal(), base_url=f"http://127.0.0.1:{server.port}", allow_insecure=True
            ) as client,
        ):
            watch.object(client)
            assert await failing(watch, client.tasks.get("abc"))
            assert await failing(watch, client.tts.create("Hello"))
            watch.object(client)


def test_secrets_of_callbacks_do_not_show(watch: Watch) -> None:
    """What makes tokens is a Secret too."""
    tokens = Tokens([KEY.reveal()], purpose="test")
    watch.object(tokens)
    assert tokens.ticket(tokens.mint()[1])


async def test_a_command_with_a_wrong_key_shows_none(
    watch: Watch, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither output nor the process's own traces have it, wherever it came from."""
    async with LocalServer() as server:
        monkeypatch.setenv("FISH_API_KEY", KEY.reveal())
        monkeypatch.setenv("FISH_BASE_URL", server.url)
        for arguments in (["wallet"], ["voices", "list"], ["doctor"], ["doctor", "--json"]):
            assert await call(*arguments) == 3
        assert await call("say", "Hello.", "-o", str(tmp_path / "a.wav")) == 3
        monkeypatch.delenv("FISH_API_KEY")
        file = tmp_path / "key"
        file.write_text(KEY.reveal())
        file.chmod(0o644)
        assert await call("wallet", "--key-file", str(file)) == 2
        file.chmod(0o600)
        assert await call("wallet", "--key-file", str(file)) == 3
    out, err = capfd.readouterr()
    watch.look("stdout", out)
    watch.look("stderr", err)
    assert "error" in err


def test_a_command_in_development_mode_shows_none(watch: Watch, tmp_path: Path) -> None:
    """``-X dev`` and a debugging loop are what people turn on when something is wrong."""
    env = environment(
        FISH_API_KEY=KEY.reveal(),
        FISH_BASE_URL="http://127.0.0.1:9",
        PYTHONDEVMODE="1",
        PYTHONASYNCIODEBUG="1",
    )
    done = finished("say", "Hello.", "-o", "a.wav", cwd=tmp_path, env=env)
    assert done.returncode == 4
    watch.look("stdout", done.stdout.decode())
    watch.look("stderr", done.stderr.decode())
    assert not [file for file in tmp_path.iterdir() if hits(file.read_text("latin-1"))]


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_wheel_has_no_key(watch: Watch, tmp_path: Path) -> None:
    """One that was built by somebody whose environment has it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "FISH_API_KEY": KEY.reveal()}, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            watch.look(name, opened.read(name).decode("latin-1"))
            assert name.startswith(("fishlive/", "fishlive-")), name


def test_the_watch_sees_what_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local variable, a log, an attribute and a dict inside one are each a hit."""
    import logging

    seen = Watch()

    def careless() -> None:
        headers = {"Authorization": f"Bearer {KEY.reveal()}"}
        raise ValueError(len(headers))

    try:
        careless()
    except ValueError as error:
        seen.error(error)
    ways = {found.split(":")[0] for found in seen.found}
    assert len(ways) == 3, ways
    with seen.everything():
        logging.getLogger("picows").debug("GET / %s", KEY.reveal())
    assert len(seen.found) == 4
    seen.object(Target("ws://x", headers={"a": KEY.reveal()}))
    assert len(seen.found) == 6  # the pickle, and the attribute
