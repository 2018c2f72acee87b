"""HTTP calls: the same faults where they mean something, on audio and on server-sent events."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.faults.raw import Raw, connected, served

CALLS = ("/v1/tts", "/v1/tts/stream/with-timestamp")
each = pytest.mark.parametrize("path", CALLS)


async def body(raw: Raw) -> list[bytes]:
    """Return the pieces of a body up to its end."""
    pieces = []
    while piece := await raw.chunk():
        pieces.append(piece)
    return pieces


@each
@pytest.mark.parametrize("kind", ["rst", "fin"])
async def test_ended(path: str, kind: str) -> None:
    """The body ends before its end, which shows; the next call is served."""
    async with served(f"{kind}@audio:2") as server:
        async with connected(server) as raw:
            await raw.post(path)
            assert (await raw.head()).startswith("HTTP/1.1 200 ")
            assert await raw.chunk()
            assert await raw.end() == (kind, b"")
        async with connected(server) as raw:
            await raw.post(path)
            await raw.head()
            assert len(await body(raw)) > 2


@each
async def test_cut(path: str) -> None:
    """A piece, or the end of the body, is cut."""
    async with served("cut-fin:10@audio:2", "cut-rst:2@finish,connection=2") as server:
        async with connected(server) as raw:
            await raw.post(path)
            await raw.head()
            await raw.chunk()
            end, seen = await raw.end()
            assert (end, len(seen)) == ("fin", 10)
        async with connected(server) as raw:
            await raw.post(path)
            await raw.head()
            end, seen = await raw.end()
            assert (end, seen[-4:]) == ("rst", b"\r\n0\r")


@each
@pytest.mark.parametrize("kind", ["rst", "fin"])
async def test_at_a_byte(path: str, kind: str) -> None:
    """Exactly so many bytes come behind the head of each answer."""
    async with served(f"{kind}@byte:5000,times=2") as server:
        for _ in range(2):
            async with connected(server) as raw:
                await raw.post(path)
                await raw.head()
                end, seen = await raw.end()
                assert (end, len(seen)) == (kind, 5000)


@each
@pytest.mark.parametrize("spec", ["stall@audio:2", "half-open@audio:2", "stall@finish"])
async def test_nothing_more(path: str, spec: str) -> None:
    """Nothing more comes, and TCP stays."""
    async with served(spec) as server, connected(server) as raw:
        await raw.post(path)
        await raw.head()
        while not server.played[spec]:
            await asyncio.sleep(0)
        before = await raw.arrived(server)
        assert not before.endswith(b"\r\n0\r\n\r\n")
        assert await raw.nothing(server)


@each
async def test_stall_before_the_answer(path: str) -> None:
    """The request is read, and not even a head comes."""
    async with served("stall@start") as server, connected(server) as raw:
        await raw.post(path)
        assert await raw.nothing(server)


@each
async def test_garbage(path: str) -> None:
    """In the middle of the body comes what is no chunk."""
    async with served("garbage@audio:2") as server, connected(server) as raw:
        await raw.post(path)
        await raw.head()
        await raw.chunk()
        with pytest.raises(ValueError, match="invalid literal"):
            await raw.chunk()


@each
async def test_cadence(path: str) -> None:
    """Odd pieces, late ones, bursts and drips carry the whole body."""
    async with served() as server:
        for spec in ("odd@audio:1", "burst:0.01@audio:1", "delay:0.01@audio:2"):
            server.play(spec)
            async with connected(server) as raw:
                await raw.post(path, "Hi.")
                await raw.head()
                sizes = [len(piece) for piece in await body(raw)]
            assert sum(sizes) > 1000
            assert (sizes[:3] == [1, 3, 5]) is (spec == "odd@audio:1")


async def test_flood() -> None:
    """Silence comes without end of the text."""
    async with served("flood:1000000@audio:1") as server, connected(server) as raw:
        await raw.post(text="Hi.")
        await raw.head()
        assert (await body(raw)).count(bytes(4096)) >= 1_000_000 // 4096


async def test_live_kinds_leave_calls_alone() -> None:
    """What needs a socket waits for one."""
    async with served("close@audio:1", "message:deep@audio:1") as server:
        async with connected(server) as raw:
            await raw.post()
            await raw.head()
            await body(raw)
        assert server.played == {}
