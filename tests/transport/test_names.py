"""names.py and resolver.py: a resolver that hangs holds nobody up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn
from unittest.mock import patch

import pytest

from fishlive.errors import ConnectError, ConnectTimeout, DNSError, HostNotFoundError
from fishlive.session import Session, TransportName
from fishlive.transport import names
from fishlive.transport.http import Timeouts
from fishlive.transport.names import look_up
from fishlive.transport.resolver import SystemResolver
from tests.conftest import settle
from tests.transport.http_peer import ONCE, answer, read_request, soon, until
from tests.transport.peer import Peer, serve

NOWHERE = "http://service.invalid"

KINDS = pytest.mark.parametrize("kind", ["picows", "aiohttp", "call"])
"""Both adapters of the live path, and HTTP calls."""


class Resolver:
    """Stands in for the system's: answers a name when, and as, it is told; numbers at once.

    Attributes:
        asked: The names it was asked for.
        error: What it raises; None for the loopback address.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self._real = socket.getaddrinfo
        self._may_answer = threading.Event()

    def release(self) -> None:
        """Answer from now on."""
        self._may_answer.set()

    def __call__(self, host: str, port: int, *rest: Any, **options: Any) -> Any:
        if not host.endswith(".invalid"):
            return self._real(host, port, *rest, **options)
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        self.asked.append(host)
        self._may_answer.wait()
        if self.error is not None:
            raise self.error
        return self._real("127.0.0.1", port, *rest, **options)


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    """Replace the system's resolver; afterwards no thread is left."""
    fake = Resolver()
    with patch.object(socket, "getaddrinfo", fake):
        try:
            yield fake
        finally:
            fake.release()
            for thread in asking():
                thread.join()
            fake.error = None  # it knows the frames that it came through


def asking() -> list[threading.Thread]:
    """Return the threads that ask."""
    return [thread for thread in threading.enumerate() if thread.name == "fishlive names"]


async def reach(kind: str, url: str = NOWHERE, *, timeout_s: float = 10.0) -> None:
    """Connect, in one of the ways there are."""
    transport: TransportName = "aiohttp" if kind == "aiohttp" else "picows"
    async with Session(
        "k", base_url=url, transport=transport, retry=ONCE, standby=0, allow_insecure=True,
        timeouts=Timeouts(connect_s=timeout_s), connect_timeout_s=timeout_s,
    ) as fish:  # fmt: skip
        if kind == "call":
            await fish.wallet.credit()
            return
        async with fish.live() as live:
            await live.ready()


@KINDS
async def test_a_resolver_that_never_answers_holds_nothing_up(
    kind: str, resolver: Resolver
) -> None:
    """It is a ConnectTimeout, and asyncio.run() returns while the resolver hangs."""

    async def elsewhere() -> ConnectError:
        with pytest.raises(ConnectError) as caught:
            await reach(kind, timeout_s=0.05)
        return caught.value

    error = await asyncio.to_thread(asyncio.run, elsewhere())
    assert type(error) is ConnectTimeout
    assert error.retryable
    assert resolver.asked == ["service.invalid"]
    assert len(asking()) == 1, "it hangs still"


@pytest.mark.parametrize("kind", ["picows", "aiohttp"])
async def test_the_phase_of_a_hanging_resolver_is_dns(kind: str, resolver: Resolver) -> None:
    """The live timeout names what it waited for."""
    with pytest.raises(ConnectTimeout) as caught:
        await reach(kind, timeout_s=0.05)
    assert caught.value.phase == "dns"
    assert resolver.asked


def test_an_interpreter_ends_while_its_resolver_hangs() -> None:
    """Neither asyncio.run() nor the exit of the process waits for it."""
    code = (
        "import asyncio, socket, threading\n"
        "from fishlive.transport.names import look_up\n"
        "socket.getaddrinfo = lambda *_: threading.Event().wait()\n"
        "async def main():\n"
        "    await asyncio.wait([asyncio.ensure_future(look_up('a.invalid', 1))], timeout=0.05)\n"
        "asyncio.run(main())\n"
        "print('over')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("over\n", "")


@KINDS
async def test_cancelling_does_not_wait_for_the_resolver(kind: str, resolver: Resolver) -> None:
    """Who cancels goes on at once; the answer that comes later goes nowhere."""
    reaching = asyncio.ensure_future(reach(kind))
    await until(lambda: resolver.asked)
    reaching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(reaching)
    resolver.release()
    await until(lambda: not asking())
    await settle()


@pytest.mark.parametrize("error", [None, socket.gaierror(socket.EAI_AGAIN, "later")])
async def test_an_answer_to_a_loop_that_is_closed_is_dropped(
    resolver: Resolver, error: Exception | None
) -> None:
    """Nothing is raised in the thread, whatever the answer is."""
    resolver.error = error

    async def elsewhere() -> None:
        question = asyncio.ensure_future(look_up("a.invalid", 1))
        await until(lambda: resolver.asked)
        question.cancel()

    await asyncio.to_thread(asyncio.run, elsewhere())
    (thread,) = asking()
    resolver.release()
    thread.join()  # pytest fails on exceptions in threads


@KINDS
@pytest.mark.parametrize(
    ("error", "details", "expected"),
    [
        (socket.gaierror, (socket.EAI_NONAME, "no such name"), HostNotFoundError),
        (socket.gaierror, (socket.EAI_AGAIN, "try again"), DNSError),
        (socket.gaierror, (socket.EAI_FAIL, "servfail"), DNSError),
        (OSError, (24, "too many files"), DNSError),
        (UnicodeError, ("label too long",), HostNotFoundError),
    ],
    ids=lambda value: str(value[-1]) if isinstance(value, tuple) else value.__name__,
)
async def test_what_the_resolver_raises_is_typed(
    kind: str,
    error: type[Exception],
    details: tuple[object, ...],
    expected: type[DNSError],
    resolver: Resolver,
) -> None:
    """A name that is none is final; all else may be tried again."""
    # Made here, because one that outlives the test keeps its session.
    resolver.error = error(*details)
    resolver.release()
    with pytest.raises(DNSError) as caught:
        await soon(reach(kind))
    assert type(caught.value) is expected
    assert caught.value.retryable is (expected is DNSError)
    assert caught.value.phase == "dns"
    assert "service.invalid" in str(caught.value)


@KINDS
async def test_an_answer_is_connected_to(kind: str, resolver: Resolver) -> None:
    """A name leads to where the resolver says."""

    async def script(peer: Peer) -> None:
        if kind == "call":
            await read_request(peer)
            peer.write(answer(b'{"credit": "1"}'))
        else:
            await peer.upgrade()

    resolver.release()
    async with serve(script) as server:
        with contextlib.suppress(ConnectError):
            await soon(reach(kind, f"{NOWHERE}:{server.port}"))
        assert len(server.peers) == 1
    assert resolver.asked == ["service.invalid"]


@pytest.mark.parametrize("kind", ["picows", "aiohttp"])
@pytest.mark.parametrize("literal", ["127.0.0.1", "[::1]"])
async def test_a_literal_is_nobodys_question(kind: str, literal: str, unused_port: int) -> None:
    """An address goes to no resolver and to no thread."""

    async def never(*_: object) -> NoReturn:
        raise AssertionError("it was asked")

    with patch.object(names, "look_up", never), pytest.raises(ConnectError) as caught:
        await soon(reach(kind, f"http://{literal}:{unused_port}"))
    assert caught.value.phase == "tcp"


async def test_so_many_threads_ask_at_once(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More wait for one of them; what is cancelled meanwhile is not asked, the rest in order."""
    monkeypatch.setattr(names, "MOST_THREADS", 2)
    asked = [asyncio.ensure_future(look_up(f"{n}.invalid", n)) for n in range(6)]
    await until(lambda: len(resolver.asked) == 2)
    assert len(asking()) == 2
    asked[3].cancel()
    await settle()
    resolver.release()
    found = await soon(asyncio.gather(*asked, return_exceptions=True))
    assert isinstance(found.pop(3), asyncio.CancelledError)
    assert [each[0][4] for each in found if not isinstance(each, BaseException)] == [
        ("127.0.0.1", n) for n in (0, 1, 2, 4, 5)
    ]
    assert "3.invalid" not in resolver.asked
    await until(lambda: not asking())
    assert await soon(look_up("again.invalid", 1)), "an idle desk begins anew"


async def test_without_a_thread_it_is_an_error_and_no_place_is_lost(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that has no thread left is a resolver that fails for now, and only for now."""
    monkeypatch.setattr(names, "MOST_THREADS", 1)
    resolver.release()

    def no_thread(_thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    with patch.object(threading.Thread, "start", no_thread):
        for _ in range(2):
            with pytest.raises(DNSError) as caught:
                await soon(reach("picows"))
            assert caught.value.retryable
    assert await soon(look_up("a.invalid", 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
async def test_a_child_of_a_fork_has_threads_of_its_own(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs in the parent, the lock among it, is not there."""
    monkeypatch.setattr(names, "MOST_THREADS", 1)
    parents = names._desk
    hanging = asyncio.ensure_future(look_up("a.invalid", 1))
    await until(lambda: resolver.asked)
    with parents._lock:
        names._begin_anew()  # what the fork calls in the child
        second = asyncio.ensure_future(look_up("b.invalid", 1))
        await until(lambda: len(resolver.asked) == 2)
    resolver.release()
    await soon(asyncio.gather(hanging, second))


async def test_two_loops_ask_at_once(resolver: Resolver) -> None:
    """Each gets its own answer, in its own thread."""
    resolver.release()

    async def elsewhere() -> Any:
        return await look_up("b.invalid", 2)

    there, here = await soon(
        asyncio.gather(asyncio.to_thread(asyncio.run, elsewhere()), look_up("a.invalid", 1))
    )
    assert (here[0][4], there[0][4]) == (("127.0.0.1", 1), ("127.0.0.1", 2))


def found(*addresses: tuple[int, tuple[Any, ...]]) -> Any:
    """Return a look-up that finds addresses."""

    async def look(host: str, port: int, family: int = 0) -> list[names.Address]:
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(family, *kind, name) for family, name in addresses]

    return look


@pytest.mark.parametrize(
    ("family", "name", "host"),
    [
        (socket.AF_INET, ("192.0.2.1", 80), "192.0.2.1"),
        (socket.AF_INET6, ("2001:db8::1", 80, 0, 0), "2001:db8::1"),
        (socket.AF_INET6, ("fe80::1", 80, 0, 3), "fe80::1%3"),
        (socket.AF_INET6, ("fe80::1%eth0", 80, 0, 3), "fe80::1%3"),
    ],
)
async def test_addresses_are_told_to_aiohttp_as_numbers(
    family: int, name: tuple[Any, ...], host: str
) -> None:
    """A link-local address keeps its zone, without which nothing is there."""
    with patch.object(names, "look_up", found((family, name))):
        (result,) = await SystemResolver().resolve("a.invalid", 80)
    assert result == {
        "hostname": "a.invalid", "host": host, "port": 80, "family": int(family),
        "proto": socket.IPPROTO_TCP, "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }  # fmt: skip


async def test_only_the_family_that_is_wanted_is_asked_for() -> None:
    """The connector of aiohttp may want one of the two."""
    asked: list[tuple[Any, ...]] = []

    async def look(*question: Any) -> list[names.Address]:
        asked.append(question)
        return []

    with patch.object(names, "look_up", look):
        await SystemResolver().resolve("a.invalid", 80, socket.AF_INET6)
    assert asked == [("a.invalid", 80, socket.AF_INET6)]
    assert all(address[0] == socket.AF_INET for address in await look_up(
        "localhost", 1, socket.AF_INET
    ))  # fmt: skip
