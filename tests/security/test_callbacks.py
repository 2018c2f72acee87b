"""server/gateway/delivery.py: no spelling of an address leads a callback home."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server.gateway.delivery import Forbidden, Postman, check_address, check_url
from fishlive.transport import names
from tests.transport.peer import Peer, serve

HOME = [
    "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
    "127.0.0.1.", "127.0.0.01", "0", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]",
    "[::127.0.0.1]", "[::ffff:0:7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[fec0::1]", "[fe80::1%25eth0]", "[fd00::1]",
    "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1",
    "localhost", "LOCALHOST", "a@127.0.0.1",
    "1.1.1.1\\@127.0.0.1", "1.1.1.1#@127.0.0.1", "127.0.0.1%2e", "[::1", "192.0.0.8", "192.88.99.1",
    "100.127.255.255", "169.254.169.254", "[fd00:ec2::254]", "[3fff::1]", "255.255.255.255",
]  # fmt: skip


@pytest.mark.parametrize("host", HOME)
async def test_nothing_is_posted_home(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is spelled: no connection is tried to an address that is not public."""
    tried: list[Any] = []
    loop = asyncio.get_running_loop()

    async def connect(_sock: socket.socket, address: Any) -> None:
        tried.append(address)
        raise OSError("not from a test")

    monkeypatch.setattr(loop, "sock_connect", connect)
    for port in ("", ":80", ":443"):
        postman = Postman(local=False)
        assert await postman.post(f"http://{host}{port}/hook", b"{}") is None
        await postman.aclose()
    for address in tried:
        check_address(address[0], local=False)


@pytest.mark.parametrize("host", [*HOME[:9], "1.1", "0x1.1.1.1", "x.0x7f", "x.1"])
@pytest.mark.parametrize("local", [True, False])
def test_an_address_has_one_spelling(host: str, *, local: bool) -> None:
    """Others are refused as they stand: resolvers and HTTP libraries do not read them alike."""
    with pytest.raises(Forbidden):
        check_url(f"http://{host}/", local=local)


async def test_every_attempt_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was public for one callback and leads home for the next is refused then."""
    loop = asyncio.get_running_loop()
    tried: list[str] = []
    answers = [["1.1.1.1"], ["127.0.0.1"], ["1.1.1.1", "10.0.0.1"]]

    async def resolve(*_args: object, **_kwargs: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in answers.pop(0)]

    async def connect(_sock: socket.socket, address: Any) -> None:
        tried.append(address[0])
        raise OSError("not from a test")

    monkeypatch.setattr(names, "look_up", resolve)
    monkeypatch.setattr(loop, "sock_connect", connect)
    postman = Postman(local=False)
    for _ in range(3):
        assert await postman.post("http://rebound.example/hook", b"{}") is None
    await postman.aclose()
    assert tried == ["1.1.1.1"]


async def test_a_proxy_of_the_environment_gets_no_callback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy would resolve the name itself, behind every check."""
    asked: list[str] = []

    async def proxy(peer: Peer) -> None:
        await peer.read_request()
        asked.append(peer.request)

    async with serve(proxy) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
        postman = Postman(local=True)
        assert await postman.post("http://127.0.0.1:9/hook", b"{}") is None
        await postman.aclose()
    assert not asked


async def test_a_long_answer_is_not_read_to_its_end() -> None:
    """A receiver could fill the memory otherwise."""
    written = 0

    async def endless(peer: Peer) -> None:
        nonlocal written
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not peer.writer.transport.is_closing() and written < 64 * 1024 * 1024:
            peer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            written += 65536
            await peer.writer.drain()

    async with serve(endless) as server:
        postman = Postman(local=True)
        assert await postman.post(f"http://127.0.0.1:{server.port}/hook", b"{}") == 200
        await postman.aclose()
    assert written < 32 * 1024 * 1024  # kernel buffers, not memory


@given(st.integers(0, 2**32 - 1))
def test_an_address_of_ipv4_is_judged_alike_in_all_its_disguises(number: int) -> None:
    """Mapped, translated, and bare: what one says the others say."""

    def allowed(text: str) -> bool:
        try:
            check_address(text, local=False)
        except Forbidden:
            return False
        return True

    plain = ipaddress.IPv4Address(number)
    mapped = ipaddress.IPv6Address(0xFFFF_0000_0000 | number)
    translated = ipaddress.IPv6Address(0x64_FF9B << 96 | number)
    assert allowed(str(plain)) == allowed(str(mapped)) == allowed(str(translated))
    assert not allowed(str(ipaddress.IPv6Address(number)))
    assert not allowed(str(ipaddress.IPv6Address(0x2002 << 112 | number << 80)))


@given(st.text(max_size=40))
def test_any_text_as_a_url_is_judged(text: str) -> None:
    """Nothing but Forbidden comes of it."""
    for url in (text, f"http://{text}", f"https://{text}:443/"):
        with contextlib.suppress(Forbidden):
            check_url(url, local=False)
