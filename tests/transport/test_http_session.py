"""http_session.py: our own connections, or those of a session that the caller shares."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest
import trustme

from fishlive.errors import WrongLoopError
from fishlive.secret import Secret
from fishlive.transport.http import Http
from fishlive.transport.http_session import open_session
from tests.transport.conftest import client_tls, server_tls
from tests.transport.http_peer import (
    GET,
    KEY,
    ONCE,
    answer,
    chunked,
    read_request,
    soon,
    talking,
    until,
)
from tests.transport.peer import Peer, serve


async def reply(peer: Peer) -> None:
    """Answer every request, and try to leave a cookie."""
    while True:
        await read_request(peer)
        peer.write(answer(b"{}", "200 OK", "Set-Cookie: theirs=1; Path=/"))


async def test_only_connections_of_a_shared_session_are_used() -> None:
    """Its headers, cookies and agent are meant for others, and the service's cookie is not its."""
    theirs = {"Authorization": "Basic abc", "X-Api-Key": "other", "model": "x", "User-Agent": "y"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(headers=theirs, cookies={"c": "1"}, cookie_jar=jar) as session:
        async with talking(reply, session=session) as (http, server):
            await soon(http.json(GET))
            got = server.peers[0].headers
        assert got["authorization"] == f"Bearer {KEY}"
        assert not {"x-api-key", "model", "cookie"} & set(got)
        assert got["user-agent"] != "y"
        assert {cookie.key for cookie in jar} == {"c"}


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
async def test_credentials_of_a_shared_session_stay_there() -> None:
    """They do not stand in the way of the key either."""
    auth = aiohttp.BasicAuth("user", "canary")
    async with (
        aiohttp.ClientSession(auth=auth) as session,
        talking(reply, session=session) as (http, server),
    ):
        await soon(http.json(GET))
        assert server.peers[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_shared_session_is_never_closed() -> None:
    """Nor are its connections: the next one to use it finds them open."""
    async with aiohttp.ClientSession() as session, serve(reply) as server:
        for _ in range(2):
            http = Http(
                base_url=f"http://127.0.0.1:{server.port}", key=Secret(KEY), session=session
            )
            await soon(http.json(GET))
            await http.aclose()
        assert not session.closed
        assert len(server.peers) == 1


async def test_closing_ends_our_streams_on_shared_connections() -> None:
    """The pool is the caller's, the answers on it are ours."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await read_request(peer)
        peer.write(chunked(b"abc", end=False))
        await peer.read_eof()
        ended.set()

    async with aiohttp.ClientSession() as session, talking(script, session=session) as (http, _):
        stream = await http.stream(GET).__aenter__()
        await soon(stream.piece())
        await http.aclose()
        await soon(ended.wait())


async def test_a_shared_connector_says_whom_to_trust(authority: trustme.CA) -> None:
    """Without a context of ours the caller's own one holds; with one ours does."""
    theirs = client_tls(authority)
    strict = ssl.create_default_context()
    async with serve(reply, tls=server_tls(authority, "127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}"
        for connectors, ours in ((theirs, None), (strict, theirs)):
            connector = aiohttp.TCPConnector(ssl=connectors)
            async with aiohttp.ClientSession(connector=connector) as session:
                http = Http(base_url=url, key=Secret(KEY), tls=ours, session=session, retry=ONCE)
                assert await soon(http.json(GET)) == {}
                await http.aclose()


async def test_a_shared_session_brings_its_proxy() -> None:
    """Asked for there, it is used: the request names the whole address."""
    async with serve(reply) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        async with aiohttp.ClientSession(proxy=address) as session:
            http = Http(base_url="http://fish.invalid", key=Secret(KEY), session=session)
            await soon(http.json(GET))
            await http.aclose()
        assert proxy.peers[0].request == "GET http://fish.invalid/v1/thing HTTP/1.1"


async def test_a_shared_session_brings_its_traces() -> None:
    """Instrumentation goes on."""
    seen = []

    async def began(_session: object, _context: object, params: object) -> None:
        seen.append(type(params).__name__)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(began)
    async with (
        aiohttp.ClientSession(trace_configs=[config]) as session,
        talking(reply, session=session) as (http, _),
    ):
        await soon(http.json(GET))
    assert seen == ["TraceRequestStartParams"]


async def test_a_shared_session_of_another_loop_is_told() -> None:
    """Its connections could not be used here."""
    made: list[aiohttp.ClientSession] = []
    finish = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def elsewhere() -> None:
        loops.append(asyncio.get_running_loop())
        async with aiohttp.ClientSession() as session:
            made.append(session)
            await finish.wait()

    thread = asyncio.ensure_future(asyncio.to_thread(asyncio.run, elsewhere()))
    await until(lambda: made)
    try:
        with pytest.raises(WrongLoopError):
            open_session(made[0])
    finally:
        loops[0].call_soon_threadsafe(finish.set)
        await thread


async def test_our_own_session_takes_nothing_from_outside() -> None:
    """No proxy of the environment, no cookies, no unpacking; as many connections as we say."""
    session = open_session()
    assert not session.trust_env
    assert not session.auto_decompress
    assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
    assert isinstance(session.connector, aiohttp.TCPConnector)
    assert session.connector.limit == 100
    await session.close()
