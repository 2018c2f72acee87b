"""``/model``: voices are made of samples, kept, found, changed, and spoken with."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import wave
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import anyio.to_thread
import msgpack
import pytest
from fishaudio import FishAudio  # type: ignore[import-untyped]  # it ships no py.typed
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server import LocalServer
from fishlive.server.accounts import USER_ID
from fishlive.server.samples import is_audio, language_of, sound_of
from fishlive.server.voice_rows import HOUSE_ID, state_at
from tests.server.talk import answer, asking, posting, talking


def tone(hertz: float = 220.0, seconds: float = 0.1) -> bytes:
    """Return a WAV file with a tone."""
    count = int(8000 * seconds)
    wave_ = (int(8000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(count))
    with io.BytesIO() as file:
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(8000)
            writer.writeframes(struct.pack(f"<{count}h", *wave_))
        return file.getvalue()


TONE = tone()
NEW: dict[str, Any] = {"type": "tts", "title": "Mine", "train_mode": "fast"}


def form(*files: bytes, cover: bytes | None = None, **fields: Any) -> aiohttp.FormData:
    """Return a multipart body with files as ``voices``."""
    data = aiohttp.FormData()
    for at, file in enumerate(files, 1):
        data.add_field("voices", file, filename=f"take{at}.wav", content_type="audio/wav")
    if cover is not None:
        data.add_field("cover_image", cover, filename="me.png", content_type="image/png")
    for name, value in ({**NEW, "visibility": "private"} | fields).items():
        for one in value if isinstance(value, list) else [value]:
            data.add_field(name, one)
    return data


async def made(server: LocalServer, *files: bytes, **fields: Any) -> dict[str, Any]:
    """Return a new voice, of a tone unless files are given."""
    status, voice = await answer(server, "POST", "/model", data=form(*files or (TONE,), **fields))
    assert status == 201, voice
    body: dict[str, Any] = voice
    return body


async def own(server: LocalServer, query: str = "") -> list[str]:
    """Return the titles of the account's voices that a query finds, in order."""
    status, page = await answer(server, "GET", f"/model?self=true&page_size=100&{query}")
    assert status == 200
    assert page["total"] == len(page["items"])
    return [voice["title"] for voice in page["items"]]


async def spoken(server: LocalServer, voice: str, *, status: int = 200) -> bytes:
    """Return what a voice says over HTTP."""
    body = {"text": "Hello there.", "format": "pcm", "reference_id": voice}
    async with posting(server, json=body) as response:
        assert response.status == status
        return await response.read()


async def test_a_voice_is_made_of_files(server: LocalServer) -> None:
    """Multipart makes a voice: trained at once, its samples kept as they were sent."""
    voice = await made(
        server, TONE, tone(330), texts=["Un.", "Deux."], tags=["a", "b"], description="d"
    )
    assert (voice["state"], voice["visibility"], voice["type"]) == ("trained", "private", "tts")
    assert (voice["title"], voice["description"], voice["tags"]) == ("Mine", "d", ["a", "b"])
    assert voice["author"]["_id"] == USER_ID
    assert [(s["title"], s["text"]) for s in voice["samples"]] == [
        ("take1.wav", "Un."),
        ("take2.wav", "Deux."),
    ]
    assert datetime.fromisoformat(voice["created_at"]).tzinfo is not None
    async with asking(server, "GET", f"/{voice['samples'][1]['audio']}") as response:
        assert await response.read() == tone(330)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert await answer(server, "GET", f"/model/{voice['_id']}") == (200, voice)


@pytest.mark.parametrize("kind", ["json", "msgpack", "urlencoded", "multipart without a name"])
async def test_other_encodings(server: LocalServer, kind: str) -> None:
    """JSON and forms carry samples as base64, MessagePack as bytes; one needs no list."""
    fields = {**NEW, "visibility": "unlist", "tags": "one", "texts": "One."}
    encoded = base64.b64encode(TONE).decode()
    request: dict[str, Any]
    if kind == "json":
        request = {"json": {**fields, "voices": [encoded], "enhance_audio_quality": False}}
    elif kind == "msgpack":
        packed = msgpack.packb({**fields, "voices": TONE, "cover_image": None})
        request = {"data": packed, "headers": {"Content-Type": "application/msgpack"}}
    elif kind == "urlencoded":
        request = {"data": {**fields, "voices": encoded, "generate_sample": "true"}}
    else:
        with aiohttp.MultipartWriter("form-data") as writer:
            for name, value in {**fields, "voices": TONE}.items():
                writer.append(value).set_content_disposition("form-data", name=name)
        request = {"data": writer}
    status, voice = await answer(server, "POST", "/model", **request)
    assert status == 201
    assert (voice["state"], voice["tags"], voice["visibility"]) == ("trained", ["one"], "unlist")
    async with asking(server, "GET", f"/{voice['samples'][0]['audio']}") as response:
        assert await response.read() == TONE


async def test_the_official_sdk_clones() -> None:
    """fish-audio-sdk creates, lists, reads, changes, speaks with and deletes a voice."""
    async with LocalServer() as server:

        def use() -> None:
            with FishAudio(api_key="local", base_url=server.url) as client:
                voice = client.voices.create(title="Sdk", voices=[TONE, tone(330)], texts=["a"])
                listed = client.voices.list(self_only=True)
                assert (voice.state, listed.total, listed.items[0].id) == ("trained", 1, voice.id)
                client.voices.update(voice.id, title="New", visibility="unlist")
                read = client.voices.get(voice.id)
                assert (read.title, read.visibility) == ("New", "unlist")
                assert client.tts.convert(text="Hello.", reference_id=voice.id)
                client.voices.delete(voice.id)
                assert client.voices.list(self_only=True).total == 0

        await anyio.to_thread.run_sync(use)


def wrong_forms() -> list[Any]:
    """Return bodies that are refused, and the fields that are named."""
    many = form(*[TONE] * 21)
    return [
        (form(TONE, type="svc"), ["type"]),
        (form(TONE, train_mode="full"), ["train_mode"]),
        (form(TONE, visibility="secret"), ["visibility"]),
        (form(TONE, enhance_audio_quality="perhaps"), ["enhance_audio_quality"]),
        (form(TONE, texts=["x"] * 21), ["texts"]),
        (form(TONE, visibility="public"), ["cover_image"]),
        (form(TONE, visibility="public", cover=b""), ["cover_image"]),
        (many, ["voices"]),
        (form(), ["voices"]),
    ]


@pytest.mark.parametrize(("at", "where"), [(at, w) for at, (_, w) in enumerate(wrong_forms())])
async def test_wrong_fields(server: LocalServer, at: int, where: list[str]) -> None:
    """Each wrong field is a 422 that names it, and no voice is made."""
    status, items = await answer(server, "POST", "/model", data=wrong_forms()[at][0])
    assert status == 422
    assert [item["loc"] for item in items] == [where]
    assert set(items[0]) == {"loc", "type", "msg", "ctx", "in"}
    assert await own(server) == []


async def test_missing_fields_are_all_named(server: LocalServer) -> None:
    """An empty object is a 422 with one item for each field it needs."""
    status, items = await answer(server, "POST", "/model", json={})
    assert status == 422
    assert [item["loc"] for item in items] == [["type"], ["title"], ["train_mode"], ["voices"]]
    assert {(item["type"], item["in"]) for item in items} == {("missing", "body")}


async def test_a_public_voice_has_a_picture(server: LocalServer) -> None:
    """Public is the default and needs a cover image, which is kept; it cannot be taken away."""
    voice = await made(server, visibility="public", cover=b"\x89PNG")
    assert voice["cover_image"] == f"coverimage/{voice['_id']}"
    async with asking(server, "GET", f"/{voice['cover_image']}") as response:
        assert await response.read() == b"\x89PNG"
    path = f"/model/{voice['_id']}"
    assert (await answer(server, "PATCH", path, json={"cover_image": None}))[0] == 422
    change = {"cover_image": None, "visibility": "unlist"}
    assert await answer(server, "PATCH", path, json=change) == (200, None)
    assert (await answer(server, "PATCH", path, json={"visibility": "public"}))[0] == 422
    assert (await answer(server, "GET", path))[1]["cover_image"] == ""
    assert (await answer(server, "GET", f"/{voice['cover_image']}"))[0] == 404


async def test_what_is_left_out_stays(server: LocalServer) -> None:
    """A change touches what was sent; null empties what may be empty and leaves the rest."""
    voice = await made(server, description="d", tags=["a"])
    path = f"/model/{voice['_id']}"
    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),
        ({"title": "声"}, {"title": "声"}),
        ({"title": None, "visibility": None}, {}),
        ({"description": None}, {"description": ""}),
        ({"tags": "b"}, {"tags": ["b"]}),
        ({"tags": []}, {"tags": []}),
        ({"visibility": "unlist", "unknown": 1}, {"visibility": "unlist"}),
    ]
    for change, expected in changes:
        assert await answer(server, "PATCH", path, json=change) == (200, None)
        voice |= expected
        _, read = await answer(server, "GET", path)
        assert read.pop("updated_at") >= voice["updated_at"]
        assert read == {name: voice[name] for name in read}
    assert await own(server, "title_language=zh") == ["声"]
    assert (await answer(server, "PATCH", path, data=aiohttp.FormData({"title": "Form"})))[0] == 200
    assert await own(server) == ["Form"]
    for wrong in ({"title": 1}, {"tags": None}, {"visibility": "x"}, {"title": "\ud800"}):
        assert (await answer(server, "PATCH", path, json=wrong))[0] == 422


async def test_a_deleted_voice_is_gone(server: LocalServer) -> None:
    """It is neither listed nor read nor spoken with, and its samples are deleted too."""
    voice = await made(server)
    await made(server, title="Other")
    assert await answer(server, "DELETE", f"/model/{voice['_id']}") == (200, None)
    assert await own(server) == ["Other"]
    for method in ("GET", "PATCH", "DELETE"):
        status, body = await answer(server, method, f"/model/{voice['_id']}", json={})
        assert (status, body["status"]) == (404, 404)
    assert (await answer(server, "GET", f"/{voice['samples'][0]['audio']}"))[0] == 404
    await spoken(server, voice["_id"], status=400)


async def test_the_engines_voices_are_somebody_elses(server: LocalServer) -> None:
    """They are public, speak, can be read, and neither be changed nor deleted."""
    status, page = await answer(server, "GET", "/model?title=english&page_size=2")
    assert (status, page["has_more"], len(page["items"])) == (200, True, 2)
    voice = page["items"][0]
    assert voice["author"]["_id"] == HOUSE_ID
    assert await spoken(server, voice["_id"])
    assert (await answer(server, "GET", f"/model/{voice['_id'].replace('+', '%2B')}"))[0] == 200
    for method in ("PATCH", "DELETE"):
        status, body = await answer(server, method, "/model/en-us", json={})
        assert (status, body["status"]) == (403, 403)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Chinois 声", "Ärger", "Alpha"]),
        ("title=ÄR", ["Ärger"]),
        ("title=a", ["Alpha"]),
        ("title=%25", []),
        ("tag=x", ["Ärger", "Alpha"]),
        ("tag=y&tag=z", ["Chinois 声", "Ärger"]),
        ("tag=X", []),
        ("language=zh", ["Chinois 声"]),
        ("language=en&language=ru", ["Ärger", "Alpha"]),
        ("title_language=zh", ["Chinois 声"]),
        ("author_id=nobody&licensed=true", ["Chinois 声", "Ärger", "Alpha"]),
        ("sort_by=created_at", ["Chinois 声", "Ärger", "Alpha"]),
        ("sort_by=task_count", ["Alpha", "Chinois 声", "Ärger"]),
        ("sort_by=score", ["Alpha", "Chinois 声", "Ärger"]),
    ],
)
async def test_filters(server: LocalServer, query: str, found: list[str]) -> None:
    """Titles match in part and in any case; of tags and languages one is enough."""
    first = await made(server, title="Alpha", tags=["x"], texts=["Hello."])
    await made(server, title="Ärger", tags=["x", "y"], texts=["Привет."])
    await made(server, title="Chinois 声", tags=["z"], texts=["你好"], visibility="unlist")
    if "sort_by" in query and "created" not in query:
        await spoken(server, first["_id"])
    assert await own(server, query) == found


async def test_only_public_voices_are_for_everybody(server: LocalServer) -> None:
    """Without ``self`` private and unlisted voices are not listed; one's own come first."""
    for visibility in ("public", "unlist", "private"):
        await made(server, title=visibility, visibility=visibility, cover=b"x")
    _, page = await answer(server, "GET", "/model")
    assert [v["title"] for v in page["items"]][:1] == ["public"]
    assert len(page["items"]) == 10
    assert {v["visibility"] for v in page["items"]} == {"public"}
    _, mine = await answer(server, "GET", f"/model?author_id={USER_ID}")
    assert [v["title"] for v in mine["items"]] == ["public"]
    assert (await answer(server, "GET", "/model?licensed=true"))[1]["total"] == 0


async def test_pages_are_complete(server: LocalServer) -> None:
    """All pages together hold every voice once; behind the last there is nothing."""
    _, everything = await answer(server, "GET", "/model?page_size=100")
    total, seen, number = everything["total"], [], 1
    while number < 100:
        _, page = await answer(server, "GET", f"/model?page_size=37&page_number={number}")
        seen += [voice["_id"] for voice in page["items"]]
        assert page["has_more"] == (len(seen) < total)
        if not page["has_more"]:
            break
        number += 1
    assert len(seen) == len(set(seen)) == total
    _, beyond = await answer(server, "GET", f"/model?page_number={10**30}")
    assert (beyond["items"], beyond["total"], beyond["has_more"]) == ([], total, False)


@pytest.mark.parametrize(
    "query", ["page_size=0", "page_size=101", "page_number=0", "self=2", "sort_by=x", "page_size="]
)
async def test_queries_out_of_range(server: LocalServer, query: str) -> None:
    """They are a 422 that names the parameter."""
    status, items = await answer(server, "GET", f"/model?{query}")
    assert (status, items[0]["loc"], items[0]["in"]) == (422, [query.partition("=")[0]], "query")


@pytest.mark.parametrize(
    ("now_s", "state"), [(0, "created"), (24, "created"), (25, "training"), (100, "trained")]
)
def test_training_is_a_function_of_the_clock(now_s: float, state: str) -> None:
    """A voice is created, then training, then trained, or failed if it is no sound."""
    assert state_at(now_s, created_s=0, trained_s=100) == state
    failed = state_at(now_s, created_s=0, trained_s=100, audible=False)
    assert failed == ("failed" if state == "trained" else state)


async def test_training_takes_its_time() -> None:
    """Until it is trained a voice is shown as created, and cannot speak."""
    async with LocalServer(training_s=3600) as server:
        voice = await made(server)
        assert voice["state"] == "created"
        await spoken(server, voice["_id"], status=400)
        server._desk.shelf._clock = lambda: 4e9  # type: ignore[union-attr]  # it runs
        assert (await answer(server, "GET", f"/model/{voice['_id']}"))[1]["state"] == "trained"
        assert await spoken(server, voice["_id"])


@pytest.mark.parametrize(
    "sample",
    [b"", b"no sound", TONE[:44], b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "text", "header", "playlist", "picture"],
)
async def test_what_is_no_sound_fails(server: LocalServer, sample: bytes) -> None:
    """A voice with a sample that is no sound fails its training, and cannot speak."""
    assert not is_audio(sample)
    voice = await made(server, TONE, sample)
    assert voice["state"] == "failed"
    await spoken(server, voice["_id"], status=400)


def test_tags_are_in_any_encoding() -> None:
    """A sample whose title is no UTF-8 is sound all the same."""
    title = b"LIST" + struct.pack("<I", 14) + b"INFOINAM" + struct.pack("<I", 2) + b"\xe9\x00"
    tagged = (
        b"RIFF" + struct.pack("<I", len(TONE) - 8 + len(title)) + TONE[8:36] + title + TONE[36:]
    )
    assert is_audio(tagged)


def test_samples_name_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A playlist of files of this machine is not opened, which FFmpeg would do of itself."""
    import av

    (tmp_path / "mine.wav").write_bytes(TONE)
    playlist = f"ffconcat version 1.0\nfile '{tmp_path}/mine.wav'\n".encode()
    opened = av.open

    def unsafe(file: Any, *, options: dict[str, str], **more: Any) -> Any:
        return opened(file, options={**options, "safe": "0"}, **more)

    monkeypatch.setattr(av, "open", unsafe)
    with unsafe(io.BytesIO(playlist), options={}) as container:
        assert container.format.name == "concat"
    assert not is_audio(playlist)
    assert is_audio(TONE)


async def test_a_clone_speaks_everywhere(server: LocalServer) -> None:
    """It speaks over HTTP and both sockets, alone and with others; each request is counted."""
    voice = (await made(server))["_id"]
    assert await spoken(server, voice)
    for path in ("/v1/tts/live", "/v1/tts/live/with-timestamp"):
        async with talking(server, path) as talk:
            await talk.say("Hello.", reference_id=[voice, "en-us"])
            assert await talk.audio()
    for _ in range(2):
        assert (await answer(server, "GET", f"/model/{voice}"))[1]["task_count"] == 3


async def test_it_sounds_steadily_of_its_samples(server: LocalServer) -> None:
    """The same samples give the same sound under another id; so do samples in a request."""
    one, two, other = [await made(server, tone(f)) for f in (220, 220, 330)]
    find = server._desk.studio.find  # type: ignore[union-attr]  # it runs

    def sound(voice_id: str) -> Any:
        voice = find(voice_id)
        assert voice is not None
        return voice.path, voice.variant, voice.pitch

    assert sound(one["_id"]) == sound(two["_id"]) == sound(sound_of([tone(220)]))
    assert sound(one["_id"]) != sound(other["_id"])


async def test_strictly_only_what_was_made_speaks() -> None:
    """Strict servers know the ids of their own voices, and no other hexadecimal ones."""
    async with LocalServer(strict=True) as server:
        voice = await made(server)
        assert await spoken(server, voice["_id"])
        await spoken(server, "0" * 32, status=400)


async def test_voices_survive_a_restart(tmp_path: Path) -> None:
    """With a folder, voices, samples, pictures and counts are there again, and speak."""
    async with LocalServer(data=tmp_path) as server:
        voice = await made(server, cover=b"\x89PNG")
        assert await spoken(server, voice["_id"])
    async with LocalServer(data=tmp_path, training_s=3600, strict=True) as server:
        _, again = await answer(server, "GET", f"/model/{voice['_id']}")
        assert again == voice | {"task_count": 1}
        assert await spoken(server, voice["_id"])
        async with asking(server, "GET", f"/{voice['samples'][0]['audio']}") as response:
            assert await response.read() == TONE
        assert (await answer(server, "DELETE", f"/model/{voice['_id']}"))[0] == 200
    async with LocalServer(data=tmp_path) as server:
        assert await own(server) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_keys(server: LocalServer, method: str) -> None:
    """Without a key nothing is read and nothing is made."""
    status, body = await answer(server, method, "/model", key="other", json={})
    assert (status, body) == (401, {"status": 401, "message": "Invalid Token"})


async def test_too_large() -> None:
    """A body over the limit is a 413 in plain text, however it is encoded."""
    async with LocalServer(max_body_bytes=1000) as server:
        long = {**NEW, "voices": "x" * 2000}
        for request in ({"data": form(TONE)}, {"json": long}, {"data": long}):
            async with asking(server, "POST", "/model", **request) as response:
                assert (response.status, await response.text()) == (413, "Payload too large")


async def test_too_many_parts(server: LocalServer) -> None:
    """A form of a thousand parts and one is a 400, whatever they are."""
    data = aiohttp.FormData([("x", "y")] * 1001, default_to_multipart=True)
    async with asking(server, "POST", "/model", data=data) as response:
        assert (response.status, response.content_type) == (400, "text/plain")


async def test_a_file_needs_no_name(server: LocalServer) -> None:
    """A sample without ``filename`` (RFC 7578, section 4.2) is one; what is no text is no title."""
    fields = {**NEW, "visibility": "private", "voices": TONE}

    def body() -> bytes:
        parts = [
            HEAD + f'{name}"\r\n\r\n'.encode() + (v if isinstance(v, bytes) else v.encode())
            for name, v in fields.items()
        ]
        return b"\r\n".join([*parts, b"--b--\r\n"])

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    status, voice = await answer(server, "POST", "/model", data=body(), headers=kind)
    assert (status, voice["state"]) == (201, "trained")
    fields["title"] = b"\xff"
    status, errors = await answer(server, "POST", "/model", data=body(), headers=kind)
    assert (status, errors[0]["loc"]) == (422, ["title"])


KINDS = [
    "application/json",
    "application/msgpack",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=b",
    "text/plain; charset=nonsense",
    "application/x-www-form-urlencoded; charset=nonsense",
]
HEAD = b'--b\r\nContent-Disposition: form-data; name="'


async def test_no_body_is_a_server_error(server: LocalServer) -> None:
    """Whatever is sent in whatever encoding, the answer is a 400 or 422."""
    bodies = [
        b"", b"null", b"{", b"\xff\xfe", b'{"title": "\\ud800"}', b"\x81\xa1a", b"%ff=%", b"--b",
        b"--b--\r\n", HEAD, HEAD + b'title"\r\n\r\n\xff\r\n--b--\r\n',
        HEAD + b'title"\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nx\r\n--b--\r\n',
        HEAD + b'a"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--',
        b"--b\r\n\r\nno name\r\n--b--\r\n", b"--b\r\nbad header\r\n\r\nx\r\n--b--\r\n",
        (HEAD + b'a"\r\n\r\nx\r\n') * 1001 + b"--b--\r\n", msgpack.packb({1: 2}),
        HEAD + b'voices"; filename="\xff\xfe"\r\n\r\nx\r\n--b--\r\n',
    ]  # fmt: skip
    for kind in KINDS:
        for body in bodies:
            request: dict[str, Any] = {"data": body, "headers": {"Content-Type": kind}}
            async with asking(server, "POST", "/model", **request) as response:
                assert response.status in (400, 422), (kind, body)
                assert await response.text()


@given(body=st.binary(max_size=200), kind=st.sampled_from(KINDS), head=st.booleans())
async def test_no_rubbish_is_a_server_error(body: bytes, kind: str, *, head: bool) -> None:
    """Random bytes are a 400 or 422 in every encoding."""
    async with LocalServer() as server:
        request: dict[str, Any] = {
            "data": HEAD + body if head else body,
            "headers": {"Content-Type": kind},
        }
        async with asking(server, "POST", "/model", **request) as response:
            assert response.status in (400, 422)


def test_languages_are_guessed_by_script() -> None:
    """Kana decide before Chinese characters; everything else counts as English."""
    guesses = {
        "Привет": "ru",
        "日本語の": "ja",
        "你好": "zh",
        "안녕": "ko",
        "Hello": "en",
        "": "en",
    }
    assert {text: language_of(text) for text in guesses} == guesses


async def test_answers_have_every_documented_field(server: LocalServer) -> None:
    """A voice shows all 32 fields of the description, and a page all of its seven."""
    voice = await made(server)
    assert len(voice) == 32
    _, page = await answer(server, "GET", "/model?self=true")
    assert set(page) == {
        "total", "items", "has_more", "max_offset", "accessible_upper_bound", "window_limited",
        "total_is_exact",
    }  # fmt: skip
    assert json.dumps(page["items"]) == json.dumps([voice])
