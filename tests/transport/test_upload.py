"""upload.py: forms that are sent as they are read."""

from __future__ import annotations

import asyncio
import email
import os
from collections.abc import AsyncIterator
from email.policy import HTTP
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.limits import KIB, MIB
from fishlive.transport.http import Call
from fishlive.transport.upload import Multipart, Part
from tests.transport.http_peer import client, soon, standstill, talking
from tests.transport.peer import Peer

IN_FLIGHT_BYTES = 24 * MIB
"""What a connection over loopback holds at most: both kernel buffers and ours."""


async def body(form: Multipart) -> bytes:
    """Return the whole of a form, which is as long as it said."""
    await form.prepare()
    pieces = [piece async for piece in form.pieces()]
    assert form.length_bytes in {None, sum(map(len, pieces))}
    return b"".join(pieces)


def fields(form: Multipart, sent: bytes) -> list[tuple[object, ...]]:
    """Return name, filename, media type and content of each field, as somebody else reads it."""
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + sent, policy=HTTP)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


async def test_a_form_reads_as_it_was_meant(tmp_path: Path) -> None:
    """Names, file names, media types and contents arrive as given, with the length announced."""
    path = tmp_path / "voice.wav"
    path.write_bytes(b"RIFF\r\n--\r\n")
    form = Multipart(
        [
            Part.text("title", "Zoë"),
            Part.file("voices", path, content_type="audio/wav"),
            Part.file("voices", b"\x00\xff", filename="two"),
        ]
    )
    assert fields(form, await body(form)) == [
        ("title", None, "text/plain", "Zoë".encode()),
        ("voices", "voice.wav", "audio/wav", b"RIFF\r\n--\r\n"),
        ("voices", "two", "application/octet-stream", b"\x00\xff"),
    ]
    assert form.length_bytes is not None


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.binary(min_size=1)), min_size=1))
async def test_any_bytes_come_through(parts: list[tuple[str, bytes]]) -> None:
    """Whatever a file holds, it is one field."""
    form = Multipart([Part.file(name, content) for name, content in parts])
    sent = await body(form)
    boundary = form.content_type.partition("boundary=")[2].encode()
    pieces = sent.split(b"--" + boundary)
    contents = [piece.partition(b"\r\n\r\n")[2][:-2] for piece in pieces[1:-1]]
    assert contents == [content for _, content in parts]
    assert pieces[-1] == b"--\r\n"


@given(st.text(max_size=40))
async def test_no_name_breaks_out_of_its_header(name: str) -> None:
    """Quotes, line breaks, controls and lone surrogates of a file's name stay harmless."""
    form = Multipart([Part.file("audio", b"x", filename=name)])
    head, _, _ = (await body(form)).partition(b"\r\n\r\n")
    _, disposition, media_type = head.decode().split("\r\n")
    assert disposition.startswith('Content-Disposition: form-data; name="audio"; filename="')
    assert disposition.count('"') == 4
    assert disposition.isprintable()
    assert media_type == "Content-Type: application/octet-stream"


async def test_a_file_whose_name_is_no_unicode_can_be_sent(tmp_path: Path) -> None:
    """File systems know names that UTF-8 does not."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    await asyncio.to_thread(Path(path).write_bytes, b"x")
    form = Multipart([Part.file("audio", path)])
    assert b'filename="_.wav"' in await body(form)


@pytest.mark.parametrize("content_type", ["a/b\r\nX-Evil: 1", "a/b\0", "ä/b"])
def test_a_media_type_that_breaks_the_form_is_refused(content_type: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="media type"):
        Part.file("audio", b"x", content_type=content_type)


def test_text_without_utf_8_is_refused() -> None:
    """Its name is told, and not the text."""
    with pytest.raises(ConfigError, match="title") as caught:
        Part.text("title", "secret\ud800")
    assert caught.value.argument == "title"
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_contents_do_not_show() -> None:
    """Neither text nor audio is in the representation."""
    form = Multipart([Part.text("title", "canary"), Part.file("audio", b"canary")])
    assert "canary" not in repr(form)


async def test_an_empty_file_is_refused_and_an_empty_field_is_not() -> None:
    """No recording is silence of no length; a description may be empty."""
    with pytest.raises(ConfigError, match="samples is empty") as caught:
        await Multipart([Part.file("voices", b"", argument="samples")]).prepare()
    assert caught.value.argument == "samples"
    await Multipart([Part.text("description", "")]).prepare()


async def test_a_source_that_gives_nothing_never_makes_a_whole_form() -> None:
    """Its emptiness shows when it was read; the request is broken off then."""

    async def nothing() -> AsyncIterator[bytes]:
        return
        yield

    with pytest.raises(ConfigError, match="audio is empty"):
        await body(Multipart([Part.file("audio", nothing())]))


@pytest.mark.parametrize("size", [1, 5, 20])
async def test_a_file_that_changes_meanwhile_breaks_the_form(tmp_path: Path, size: int) -> None:
    """Shorter or longer than announced, no half of it passes as the whole."""
    path = tmp_path / "growing"
    path.write_bytes(bytes(10))
    form = Multipart([Part.file("audio", path)])
    await form.prepare()
    path.write_bytes(bytes(size))
    with pytest.raises(ConfigError, match="changed while it was sent"):
        [piece async for piece in form.pieces()]


async def test_replay_depends_on_every_part() -> None:
    """One part that is used up by reading is enough."""
    again = Part.file("a", b"x")
    assert Multipart([again, again]).replayable
    assert not Multipart([again, Part.file("b", iter([b"x"]))]).replayable


async def test_progress_tells_what_is_sent_of_how_much(tmp_path: Path) -> None:
    """Growing, to the end; without a total if a source has none."""
    path = tmp_path / "long"
    path.write_bytes(bytes(MIB))
    seen: list[tuple[int, int | None]] = []
    form = Multipart([Part.file("a", path)], lambda *told: seen.append(told))
    sent = await body(form)
    assert seen == sorted(seen)
    assert len(seen) >= 4
    assert seen[-1] == (len(sent), len(sent))
    seen.clear()
    await body(Multipart([Part.file("a", iter([b"x"]))], lambda *told: seen.append(told)))
    assert {total for _, total in seen} == {None}


async def test_what_progress_raises_ends_the_call() -> None:
    """As it is: it is the caller's."""

    def stop(_sent: int, _total: int | None) -> None:
        raise LookupError("enough")

    async with talking(lambda peer: peer.read_eof()) as (http, _):
        form = Multipart([Part.file("audio", bytes(MIB))], stop)
        with pytest.raises(LookupError, match="enough"):
            await soon(http.json(Call(method="POST", path="/", body=form)))


async def test_a_service_that_does_not_read_stops_the_source() -> None:
    """Of 200 MB only what fits the buffers on the way is read."""
    taken = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(200 * 16):
            taken += 64 * KIB
            yield bytes(64 * KIB)

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
        await peer.reader.read()

    async with talking(script) as (http, _):
        form = Multipart([Part.file("audio", source())])
        call = http.json(Call(method="POST", path="/", body=form))
        sending = asyncio.ensure_future(call)
        while not taken:
            await asyncio.sleep(0)
        assert await standstill(lambda: taken) < IN_FLIGHT_BYTES
        sending.cancel()
        await asyncio.wait([sending])


async def test_a_real_server_takes_it(tmp_path: Path) -> None:
    """With a length from files, chunked from sources: each part arrives whole."""
    path = tmp_path / "a.wav"
    path.write_bytes(os.urandom(MIB))
    got: list[tuple[str | None, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        reader = await request.multipart()
        while isinstance(part := await reader.next(), aiohttp.BodyPartReader):
            got.append((part.name, bytes(await part.read())))
        return web.json_response({"length": request.content_length})

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http = client(runner.addresses[0][1])
    try:
        for source, known in ((path, True), (iter([path.read_bytes()]), False)):
            form = Multipart([Part.text("language", "en"), Part.file("audio", source)])
            said = await soon(http.json(Call(method="POST", path="/", body=form)))
            assert (said["length"] is not None) is known
            assert got == [("language", b"en"), ("audio", path.read_bytes())]
            got.clear()
    finally:
        await http.aclose()
        await runner.cleanup()
