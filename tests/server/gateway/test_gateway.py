"""The gateways as the local server plays them: bodies by hand, eras, callbacks that fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fishlive.server import LocalServer
from fishlive.server.gateway.eras import ERAS
from tests.server.talk import answer, asking

TTS = {"text": "Hello there.", "format": "mp3"}
BOTH = pytest.mark.parametrize("prefix", ["/fish", "/v1/fish"])
EACH = pytest.mark.parametrize("era", ERAS)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    """Yield an address on loopback, and what is posted to it."""
    posted: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        posted.put_nowait(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", posted
    finally:
        await runner.cleanup()


async def ask(server: LocalServer, path: str, body: Any, **more: Any) -> tuple[int, Any]:
    """Return status and JSON of a POST."""
    return await answer(server, "POST", path, json=body, **more)


# The guides' own bodies


@BOTH
async def test_the_guides_tts_is_answered(prefix: str) -> None:
    """A bare link, as the guide of xhuoapi shows it."""
    async with LocalServer(era="2026-05") as server:
        status, body = await ask(
            server, f"{prefix}/tts", {"text": "今天天气真好。"}, headers={"model": "s2-pro"}
        )
        assert status == 200
        assert set(body) == {"audio_url", "latency_ms"}
        async with aiohttp.ClientSession() as session, session.get(body["audio_url"]) as file:
            assert (file.status, file.content_type) == (200, "audio/mpeg")


@BOTH
@pytest.mark.parametrize("action", ["generate", "speech"])
async def test_the_guides_audios_is_answered(prefix: str, action: str) -> None:
    """An envelope with a list, under either word."""
    body = {"action": action, "prompt": "hello", "voice_id": "d" * 32, "model": "fish-tts"}
    async with LocalServer(era="2025") as server:
        status, said = await ask(server, f"{prefix}/audios", body)
    assert status == 200
    assert set(said) == {"success", "task_id", "trace_id", "data"}
    assert said["success"] is True
    assert said["data"][0]["audio_url"].endswith(".mp3")


@BOTH
@pytest.mark.parametrize("picture", ["image_url", "image_urls"])
async def test_the_guides_voices_is_answered(prefix: str, picture: str) -> None:
    """An envelope with an object; the link is recorded, and not fetched."""
    body = {"voice_url": "https://x.example/me.mp3", "title": "me", picture: "https://x.example/a"}
    async with LocalServer() as server:
        status, said = await ask(server, f"{prefix}/voices", body)
        assert (status, said["data"]["title"]) == (200, "me")
        _, found = await answer(server, "GET", f"{prefix}/model/{said['data']['_id']}")
        assert found["title"] == "me"


# Eras


@EACH
async def test_times_and_costs_are_the_eras(era: Any) -> None:
    """ISO 8601 first, Unix seconds later; costs only at last."""
    async with LocalServer(era=era) as server, listening() as (url, _):
        _, ack = await ask(server, "/fish/tts", {**TTS, "callback_url": url})
        assert isinstance(ack["started_at"], str if era < "2026-06" else float)
        _, now = await ask(server, "/fish/tts", TTS)
    assert ("cost" in now) is (era == "2026-09")


@EACH
async def test_async_is_known_from_2026_06_on(era: Any) -> None:
    """Before, it is one more field that is ignored."""
    async with LocalServer(era=era) as server:
        _, said = await ask(server, "/fish/tts", {**TTS, "async": True})
    assert ("task_id" in said) is (era >= "2026-06")
    assert ("audio_url" in said) is (era < "2026-06")


@pytest.mark.parametrize(
    ("era", "format_", "status"),
    [
        ("2025", "opus", 200), ("2026-05", None, 200), ("2026-06", None, 400),
        ("2026-06", "wav", 400), ("2026-06", "pcm", 200), ("2026-09", None, 200),
        ("2026-09", "wav", 200), ("2026-09", "opus", 400),
    ],
)  # fmt: skip
async def test_formats_are_the_eras(era: Any, format_: str | None, status: int) -> None:
    """Required in one, without opus in two."""
    body = {"text": "Hi"} if format_ is None else {"text": "Hi", "format": format_}
    async with LocalServer(era=era) as server:
        assert (await ask(server, "/fish/tts", body))[0] == status


async def test_wav_and_pcm_are_whole_wav_files() -> None:
    """A file behind a link has its true sizes."""
    async with LocalServer() as server:
        for format_ in ("wav", "pcm"):
            _, said = await ask(server, "/fish/tts", {**TTS, "format": format_})
            async with aiohttp.ClientSession() as session, session.get(said["audio_url"]) as file:
                data = await file.read()
            assert data[:4] == b"RIFF"
            assert int.from_bytes(data[4:8], "little") == len(data) - 8
            assert int.from_bytes(data[40:44], "little") == len(data) - 44


@EACH
async def test_errors_have_the_eras_form(era: Any) -> None:
    """A code in an envelope; what validation finds in Fish's own form, from 2026-06 on."""
    async with LocalServer(era=era) as server:
        status, no = await ask(server, "/fish/tts", TTS, key="wrong")
        assert (status, no["error"]["code"]) == (401, "invalid_token")
        assert ("success" in no) is (era < "2026-06")
        assert no["trace_id"]
        status, bad = await ask(server, "/fish/tts", {**TTS, "latency": ""})
        assert status == 400
        assert ("status" in bad) is (era >= "2026-06")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tts", {}), ("tts", {"text": ""}), ("tts", {"text": 1}), ("tts", []),
        ("tts", {**TTS, "callback_url": 1}), ("tts", {**TTS, "references": [{}]}),
        ("audios", {"action": "sing", "prompt": "x", "voice_id": "v"}),
        ("audios", {"action": "speech", "prompt": "x"}), ("voices", {}),
        ("voices", {"voice_url": "me.mp3"}), ("model", {"title": "x"}),
        ("model", {"title": "x", "voices": []}), ("tasks", {"action": "delete"}),
        ("tasks", {"action": "retrieve_batch", "ids": ["x"] * 51}),
        ("tasks", {"action": "retrieve_batch"}),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_a_400(path: str, body: Any) -> None:
    """In the gateways' form, never a 5xx."""
    async with LocalServer() as server:
        status, said = await ask(server, f"/fish/{path}", body)
    assert status == 400
    assert said.get("error") or said.get("message")


# Tasks


@EACH
async def test_a_task_is_recorded(era: Any) -> None:
    """Without an end while it works; then with one, and the answer."""
    async with (
        LocalServer(era=era, allow_local_webhooks=True) as server,
        listening() as (url, posted),
    ):
        _, ack = await ask(server, "/fish/tts", {**TTS, "callback_url": url})
        callback = json.loads(await posted.get())
        _, record = await ask(server, "/fish/tasks", {"id": ack["task_id"]})
        question = {"action": "retrieve_batch", "ids": [ack["task_id"], "x"]}
        _, batch = await ask(server, "/fish/tasks", question)
    assert callback["task_id"] == ack["task_id"]
    assert callback["audio_url"] == record["response"]["audio_url"]
    assert (record["type"], record["request"]["text"]) == ("fish_tts", "Hello there.")
    assert record["elapsed"] >= 0
    assert batch == {"items": [record], "count": 1}


async def test_a_task_that_works_has_no_end() -> None:
    """No ``finished_at``, no ``response``."""
    async with LocalServer(task_s=3600.0) as server:
        _, ack = await ask(server, "/fish/tts", {**TTS, "async": True})
        _, record = await ask(server, "/fish/tasks", {"action": "retrieve", "id": ack["task_id"]})
    assert not {"finished_at", "response", "elapsed"} & set(record)


@pytest.mark.parametrize(("era", "status", "body"), [("2026-09", 200, {}), ("2026-06", 200, None)])
async def test_an_unknown_task_is_nothing(era: Any, status: int, body: Any) -> None:
    """An empty object, or null."""
    async with LocalServer(era=era) as server:
        assert await ask(server, "/fish/tasks", {"id": "x"}) == (status, body)


async def test_once_an_unknown_task_was_a_404() -> None:
    """With a code of its own."""
    async with LocalServer(era="2025") as server:
        status, said = await ask(server, "/fish/tasks", {"id": "x"})
    assert (status, said["error"]["code"]) == (404, "task_not_found")


async def test_tasks_are_listed_by_time() -> None:
    """A page of the newest, as the API of a sibling service has it."""
    async with LocalServer(task_s=3600.0) as server:
        ids: list[str] = []
        for _ in range(3):
            _, ack = await ask(server, "/fish/tts", {**TTS, "async": True})
            ids.insert(0, ack["task_id"])
        question = {"action": "retrieve_batch", "created_at_min": 0, "offset": 1, "limit": 50}
        _, page = await ask(server, "/fish/tasks", question)
        _, none = await ask(server, "/fish/tasks", {**question, "created_at_max": 1})
        bad = [{**question, "offset": "1"}, {**question, "created_at_min": "x"}]
        statuses = [(await ask(server, "/fish/tasks", one))[0] for one in bad]
    assert [record["id"] for record in page["items"]] == ids[1:]
    assert none == {"items": [], "count": 0}
    assert statuses == [400, 400]


# Callbacks, and how they fail


async def told(callbacks: Any, tasks: int = 1) -> tuple[list[str], list[bytes]]:
    """Return the ids of tasks, and everything that was posted by the time all were over."""
    settings = {"callbacks": callbacks, "allow_local_webhooks": True, "era": "2025"}
    async with LocalServer(**settings) as server, listening() as (url, posted):
        ids = []
        for _ in range(tasks):
            _, ack = await ask(server, "/fish/tts", {**TTS, "callback_url": url})
            ids.append(ack["task_id"])
        desk = server._desk
        assert desk is not None
        while desk.jobs._working:
            await asyncio.wait(desk.jobs._working)
        return ids, [posted.get_nowait() for _ in range(posted.qsize())]


async def test_a_callback_comes_once() -> None:
    """With the task's id and its answer."""
    ids, posted = await told("once")
    assert [json.loads(body)["task_id"] for body in posted] == ids


async def test_a_callback_may_never_come() -> None:
    """The record is all there is."""
    assert (await told("never"))[1] == []


async def test_a_callback_may_come_twice() -> None:
    """Word for word."""
    _, posted = await told("twice")
    assert len(posted) == 2
    assert posted[0] == posted[1]


async def test_a_callback_may_come_before_the_acknowledgement() -> None:
    """Before anybody could know the id."""
    settings: dict[str, Any] = {"callbacks": "early", "allow_local_webhooks": True}
    async with LocalServer(**settings) as server, listening() as (url, posted):
        _, ack = await ask(server, "/fish/tts", {**TTS, "callback_url": url})
        assert json.loads(posted.get_nowait())["task_id"] == ack["task_id"]


async def test_callbacks_may_come_out_of_order() -> None:
    """Each goes behind the next one."""
    ids, posted = await told("out-of-order", tasks=2)
    assert sorted(json.loads(body)["task_id"] for body in posted) == sorted(ids)


async def test_a_callback_may_lie_first() -> None:
    """A failure, and then the truth."""
    _, posted = await told("failure-first")
    assert json.loads(posted[0])["success"] is False
    assert json.loads(posted[1])["audio_url"]


async def test_under_failure_first_the_first_question_fails_too() -> None:
    """With the guides' 500; the second is answered, for one task and for several."""
    async with LocalServer(callbacks="failure-first") as server:
        ids = []
        for _ in range(2):
            _, ack = await ask(server, "/fish/tts", {**TTS, "async": True})
            ids.append(ack["task_id"])
        for question in ({"id": ids[0]}, {"action": "retrieve_batch", "ids": ids}):
            status, said = await ask(server, "/fish/tasks", question)
            assert (status, said["error"]["code"]) == (500, "api_error")
            assert (await ask(server, "/fish/tasks", question))[0] == 200


async def test_a_callback_may_be_garbage() -> None:
    """Nothing in it is the answer."""
    ids, posted = await told("garbage")
    assert len(posted) > 2
    for body in posted:
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            continue
        assert not isinstance(said, dict) or said.get("task_id") not in ids


async def test_a_forbidden_address_is_acknowledged_and_never_reached() -> None:
    """As the gateways do: the refusal is a line in a log."""
    async with LocalServer() as server, listening() as (url, posted):
        status, ack = await ask(server, "/fish/tts", {**TTS, "callback_url": url})
        assert (status, bool(ack["task_id"])) == (200, True)
        desk = server._desk
        assert desk is not None
        while desk.jobs._working:
            await asyncio.wait(desk.jobs._working)
        assert posted.empty()


# Links


async def test_a_link_serves_ranges() -> None:
    """So that a download can be taken up again."""
    async with LocalServer() as server:
        _, said = await ask(server, "/fish/tts", TTS)
        path = said["audio_url"].removeprefix(server.url)
        async with asking(server, "GET", path, key=None) as whole:
            data = await whole.read()
        ranged = {"Range": "bytes=100-"}
        async with asking(server, "GET", path, key=None, headers=ranged) as rest:
            assert rest.status == 206
            assert rest.headers["Content-Range"] == f"bytes 100-{len(data) - 1}/{len(data)}"
            assert await rest.read() == data[100:]
        beyond = {"Range": f"bytes={len(data)}-"}
        async with asking(server, "GET", path, key=None, headers=beyond) as none:
            assert none.status == 416
        async with asking(server, "GET", "/gateway/audio/x.mp3", key=None) as missing:
            assert missing.status == 404


async def test_recordings_are_fetched_only_from_here_and_only_if_allowed() -> None:
    """A voice made of a real recording on loopback is trained; of rubbish it is not."""
    fetched = []

    async def serve(request: web.Request) -> web.Response:
        fetched.append(request.path)
        return web.Response(body=b"rubbish")

    app = web.Application()
    app.router.add_get("/me.mp3", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    link = f"http://127.0.0.1:{runner.addresses[0][1]}/me.mp3"
    body = {"title": "me", "voices": link}
    try:
        async with LocalServer() as server:
            assert (await ask(server, "/fish/model", body))[0] == 200
            assert fetched == []
        async with LocalServer(allow_local_links=True) as server:
            _, made = await ask(server, "/fish/model", body)
            assert (fetched, made["state"]) == (["/me.mp3"], "failed")
            dead = {**body, "voices": "http://127.0.0.1:9/x"}
            assert (await ask(server, "/fish/model", dead))[0] == 400
    finally:
        await runner.cleanup()
