"""gateways/download.py: what is behind a link, whole."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web

from fishlive.errors import ConfigError, ConnectionLost, NotFoundError, ProtocolError
from fishlive.gateways import download as module
from fishlive.gateways.download import download, sniffed

FILE = b"ID3" + bytes(range(256)) * 2000


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a broken download up again at once."""
    monkeypatch.setattr(module, "RESUME_S", 0.001)


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """Yield a link to what a handler answers with."""
    app = web.Application()
    app.router.add_get("/a.mp3", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/a.mp3?sig=1"
    finally:
        await runner.cleanup()


class Flaky:
    """Sends a file, breaking off after so many bytes each time; keeps what it was asked."""

    def __init__(self, *breaks: int, ranges: bool = True, etag: str = '"v1"') -> None:
        self.headers: list[dict[str, str]] = []
        self._breaks = list(breaks)
        self._ranges = ranges
        self._etag = etag

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        start = 0
        if self._ranges and (asked := request.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers = {"ETag": self._etag, "Content-Length": str(len(FILE) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        stop = start + self._breaks.pop(0) if self._breaks else len(FILE)
        await response.write(FILE[start:stop])
        if stop < len(FILE) and request.transport is not None:
            request.transport.close()
        return response


async def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """No token goes to another origin; the type is what the bytes say."""
    flaky, told = Flaky(), []
    async with serving(flaky.serve) as url:
        done = await download(url, tmp_path / "a", on_progress=lambda *now: told.append(now))
    assert (tmp_path / "a").read_bytes() == FILE
    assert (done.path, done.size_bytes, done.media_type) == (
        tmp_path / "a", len(FILE), "audio/mpeg",
    )  # fmt: skip
    assert told[-1] == (len(FILE), len(FILE))
    assert "authorization" not in flaky.headers[0]
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


async def test_what_broke_off_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    """With the range that is missing, of the same version."""
    flaky = Flaky(100_000, 200_000)
    async with serving(flaky.serve) as url:
        await download(url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == FILE
    assert next(one.get("range") for one in flaky.headers) is None
    assert all(one["if-range"] == '"v1"' for one in flaky.headers[1:])
    assert len(flaky.headers) == 3


async def test_without_ranges_a_file_begins_anew(tmp_path: Path) -> None:
    """And is still whole."""
    async with serving(Flaky(100_000, ranges=False).serve) as url:
        await download(url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == FILE


async def test_a_writer_gets_every_byte_once() -> None:
    """Resumed where the server can; where it cannot, the error says so."""
    out = BytesIO()
    async with serving(Flaky(100_000).serve) as url:
        await download(url, out)
    assert out.getvalue() == FILE
    async with serving(Flaky(100_000, ranges=False).serve) as url:
        with pytest.raises(ProtocolError, match="cannot resume"):
            await download(url, BytesIO())


async def test_a_writer_may_be_awaited() -> None:
    """Each piece is waited for."""
    got = bytearray()

    class Slow:
        async def write(self, data: bytes) -> None:
            got.extend(data)

    async with serving(Flaky().serve) as url:
        await download(url, Slow())
    assert bytes(got) == FILE


async def test_a_link_that_always_breaks_is_given_up(tmp_path: Path) -> None:
    """What came stays under the other name."""
    async with serving(Flaky(*[1000] * 9).serve) as url:
        with pytest.raises(ConnectionLost):
            await download(url, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.part").read_bytes() == FILE[:6000]


async def test_a_file_that_changed_is_not_patched_together(tmp_path: Path) -> None:
    """Another part than was asked for is refused."""

    async def shifted(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await Flaky(1000).serve(request)
        headers = {"Content-Range": f"bytes 5-{len(FILE) - 1}/{len(FILE)}"}
        return web.Response(status=206, body=FILE[5:], headers=headers)

    async with serving(shifted) as url:
        with pytest.raises(ProtocolError, match="another part"):
            await download(url, tmp_path / "a")


async def test_a_giant_is_refused(tmp_path: Path) -> None:
    """By its length, or when it has grown too long."""
    async with serving(Flaky().serve) as url:
        with pytest.raises(ProtocolError, match="at most 1000"):
            await download(url, tmp_path / "a", max_bytes=1000)


async def test_a_dead_link_says_so(tmp_path: Path) -> None:
    """Links die; 404 has its class."""

    async def gone(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    async with serving(gone) as url:
        with pytest.raises(NotFoundError):
            await download(url, tmp_path / "a")


async def test_files_are_not_replaced_unless_told(tmp_path: Path) -> None:
    """Nor written where nothing can be."""
    (tmp_path / "a").write_bytes(b"mine")
    async with serving(Flaky().serve) as url:
        with pytest.raises(ConfigError, match="exists"):
            await download(url, tmp_path / "a")
        with pytest.raises(ConfigError, match="cannot write"):
            await download(url, tmp_path / "no" / "a")
        await download(url, tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_bytes() == FILE


@pytest.mark.parametrize(
    "url", ["ftp://x/a", "file:///etc/passwd", "x", "http://u:p@x/a", "http:///a"]
)
async def test_only_web_links_are_followed(url: str, tmp_path: Path) -> None:
    """A gateway's answer is not trusted with more."""
    with pytest.raises(ConfigError) as caught:
        await download(url, tmp_path / "a")
    assert caught.value.argument == "url"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"ID3\4", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"OggS\0", "audio/ogg"),
        (b"<html>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_type_is_what_the_bytes_say(head: bytes, kind: str) -> None:
    """In one era every link ended in .mp3."""
    assert sniffed(head) == kind
