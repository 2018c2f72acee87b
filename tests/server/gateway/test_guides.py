"""The guides' own commands, word for word, against the local server.

Replaced are only the host, the key, the files behind ``@`` and the ids in angles.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from fishlive.server import LocalServer
from fishlive.server.gateway.eras import ERAS
from tests.server.gateway.test_gateway import listening
from tests.server.talk import answer

EACH = pytest.mark.parametrize("era", ERAS)
GUIDES: dict[str, str] = {
    "acedata voices": r"""
curl -X POST 'https://api.acedata.cloud/fish/voices' \
-H 'accept: application/json' \
-H 'authorization: Bearer {token}' \
-H 'content-type: application/json' \
-d '{
  "voice_url": "https://platform.r2.fish.audio/task/604133d7b3c7430385382470f67770e8.mp3",
  "title": "test",
  "description": "test"
}'
""",
    "xhuoapi tts": r"""
curl -X POST 'https://api.xhuoapi.ai/v1/fish/tts' \
  -H 'accept: application/json' \
  -H 'authorization: Bearer {token}' \
  -H 'content-type: application/json' \
  -H 'model: s2-pro' \
  -d '{
    "text": "今天天气真好,我们一起出去散散步吧。"
  }'
""",
    "xhuoapi tts with a voice": r"""
curl -X POST 'https://api.xhuoapi.ai/v1/fish/tts' \
  -H 'accept: application/json' \
  -H 'authorization: Bearer {token}' \
  -H 'content-type: application/json' \
  -H 'model: s2-pro' \
  -d '{
    "text": "今天天气真好,我们一起出去散散步吧。",
    "reference_id": "d7900c21663f485ab63ebdb7e5905036",
    "format": "mp3",
    "sample_rate": 44100
  }'
""",
    "xhuoapi tts with a callback": r"""
curl -X POST 'https://api.xhuoapi.ai/v1/fish/tts' \
  -H 'accept: application/json' \
  -H 'authorization: Bearer {token}' \
  -H 'content-type: application/json' \
  -H 'model: s2-pro' \
  -d '{
    "text": "今天天气真好,我们一起出去散散步吧。",
    "callback_url": "https://webhook.site/4815f79f-a40f-4078-ac85-1cc126b6bb34"
  }'
""",
    "fish tts, one speaker": r"""
curl --request POST https://api.fish.audio/v1/tts \
--header "Authorization: Bearer $FISH_API_KEY" \
--header "Content-Type: application/json" \
--header "model: s2-pro" \
--data '{
"text": "Hello! Welcome to Fish Audio.",
"reference_id": "<voice-model-id>",
"format": "mp3",
"mp3_bitrate": 128,
"latency": "normal"
}' \
--output out.mp3
""",
    "fish tts, several speakers": r"""
curl --request POST https://api.fish.audio/v1/tts \
--header "Authorization: Bearer $FISH_API_KEY" \
--header "Content-Type: application/json" \
--header "model: s2-pro" \
--data '{
"text": "<|speaker:0|>Good morning!<|speaker:1|>Good morning! How are you?",
"reference_id": ["<speaker-0-id>", "<speaker-1-id>"],
"format": "mp3"
}' \
--output dialogue.mp3
""",
    "fish asr": r"""
curl --request POST https://api.fish.audio/v1/asr \
--header "Authorization: Bearer $FISH_API_KEY" \
--form "audio=@input.wav" \
--form "language=en" \
--form "ignore_timestamps=false"
""",
    "fish model": r"""
curl --request POST https://api.fish.audio/model \
--header "Authorization: Bearer $FISH_API_KEY" \
--form "type=tts" \
--form "train_mode=fast" \
--form "title=My Voice" \
--form "visibility=private" \
--form "voices=@sample1.wav" \
--form "voices=@sample2.wav" \
--form "texts=Transcript of sample 1." \
--form "texts=Transcript of sample 2." \
--form "tags=en" \
--form "tags=narration"
""",
    "fish model, renamed": r"""
curl --request PATCH https://api.fish.audio/model/<id> \
--header "Authorization: Bearer $FISH_API_KEY" \
--header "Content-Type: application/json" \
--data '{"title": "Renamed", "visibility": "unlist"}'
""",
}
AUDIOS = {"action": "generate", "model": "fish-tts", "prompt": "hello", "voice_id": "d" * 32}
"""The guide of audios shows pictures instead of commands; its words name these fields."""

HOOK = "https://webhook.site/4815f79f-a40f-4078-ac85-1cc126b6bb34"

ENTITY = {
    "_id", "type", "title", "description", "cover_image", "train_mode", "state", "tags", "samples",
    "created_at", "updated_at", "languages", "visibility", "lock_visibility", "default_text",
    "like_count", "mark_count", "shared_count", "task_count", "unliked", "liked", "marked",
    "author",
}  # fmt: skip
"""A voice, as the guides print it."""

CODES = {"token_mismatched", "api_not_implemented", "invalid_token", "too_many_requests"}


@dataclass(frozen=True)
class Curl:
    """A command."""

    method: str
    path: str
    headers: dict[str, str]
    data: str | None
    form: tuple[tuple[str, str], ...]


def read(command: str) -> Curl:
    """Return what a command does."""
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    method, path, headers, data, form = "GET", "", {}, None, []
    while words:
        word = words.pop(0)
        if word.startswith("http"):
            path = urlsplit(word).path
            continue
        value = words.pop(0)
        if word in {"-X", "--request"}:
            method = value
        elif word in {"-H", "--header"}:
            name, _, said = value.partition(": ")
            headers[name.lower()] = said.replace("{token}", "local").replace(
                "$FISH_API_KEY", "local"
            )
        elif word in {"-d", "--data"}:
            data = value
        elif word == "--form":
            name, _, said = value.partition("=")
            form.append((name, said))
        else:
            assert word == "--output"
    return Curl(method, path, headers, data, tuple(form))


async def replay(
    server: LocalServer, guide: str, *, sound: bytes = b"", **names: str
) -> tuple[int, bytes]:
    """Do what a command of a guide does; return status and body."""
    curl = read(GUIDES[guide])
    path = curl.path
    for name, value in names.items():
        path = path.replace(f"<{name}>", value)
    data = re.sub(r"<[a-z0-9-]+-id>", "d" * 32, curl.data or "")
    body: Any = data.encode() or None
    if curl.form:
        body = aiohttp.FormData()
        for field, said in curl.form:
            if said.startswith("@"):
                body.add_field(field, sound, filename=said[1:], content_type="audio/wav")
            else:
                body.add_field(field, said)
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            curl.method, server.url + path, headers=curl.headers, data=body
        ) as response,
    ):
        return response.status, await response.read()


async def spoken(server: LocalServer) -> bytes:
    """Return a recording of speech, as WAV."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer local"}) as session,
        session.post(f"{server.url}/v1/tts", json={"text": "Hello.", "format": "wav"}) as response,
    ):
        return await response.read()


@EACH
@pytest.mark.parametrize("guide", ["xhuoapi tts", "xhuoapi tts with a voice"])
async def test_the_guides_speech_is_a_link(era: Any, guide: str) -> None:
    """In every era but the one whose contract wants a format, which the first leaves out."""
    async with LocalServer(era=era) as server:
        status, raw = await replay(server, guide)
        said = json.loads(raw)
        if era == "2026-06" and guide == "xhuoapi tts":
            assert (status, said["status"]) == (400, 400)
            return
        assert status == 200
        assert {"audio_url"} <= set(said) <= {"audio_url", "latency_ms", "cost"}
        async with aiohttp.ClientSession() as session, session.get(said["audio_url"]) as file:
            assert (file.status, file.content_type) == (200, "audio/mpeg")


async def test_the_guides_callback_is_acknowledged() -> None:
    """With a task's id and a time, in ISO 8601 as the guide prints it."""
    async with LocalServer(era="2026-05", callbacks="never") as server:
        status, raw = await replay(server, "xhuoapi tts with a callback")
    said = json.loads(raw)
    assert (status, set(said)) == (200, {"task_id", "started_at"})
    assert said["started_at"].endswith("Z")


async def test_the_guides_callback_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same command with an address on loopback: the task's id and the link."""
    async with (
        LocalServer(era="2026-05", allow_local_webhooks=True) as server,
        listening() as (url, posted),
    ):
        here = GUIDES["xhuoapi tts with a callback"].replace(HOOK, url)
        monkeypatch.setitem(GUIDES, "xhuoapi tts with a callback", here)
        _, raw = await replay(server, "xhuoapi tts with a callback")
        told = json.loads(await posted.get())
    assert told["task_id"] == json.loads(raw)["task_id"]
    assert set(told) - {"latency_ms"} == {"task_id", "audio_url"}


@EACH
async def test_the_guides_voice_is_made(era: Any) -> None:
    """In the guide's envelope, with every field that it prints."""
    async with LocalServer(era=era) as server:
        status, raw = await replay(server, "acedata voices")
    said = json.loads(raw)
    assert (status, set(said)) == (200, {"success", "task_id", "trace_id", "data"})
    assert set(said["data"]) >= ENTITY
    assert (said["data"]["title"], said["data"]["description"]) == ("test", "test")


@EACH
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/fish/audios", AUDIOS),
        ("/fish/voices", {"voice_url": "https://x.example/a.mp3", "title": "test"}),
    ],
)
async def test_the_older_guides_callbacks_are_envelopes(
    path: str, body: dict[str, Any], era: Any
) -> None:
    """Acknowledged by an id alone, until there are trace ids; then told as an answer would be."""
    async with (
        LocalServer(era=era, allow_local_webhooks=True) as server,
        listening() as (url, posted),
    ):
        _, ack = await answer(server, "POST", path, json={**body, "callback_url": url})
        told = json.loads(await posted.get())
        _, now = await answer(server, "POST", path, json=body)
    assert set(ack) == {"task_id"} | ({"trace_id"} if era == "2026-09" else set())
    assert set(told) == set(now) == {"success", "task_id", "trace_id", "data"}
    assert told["task_id"] == ack["task_id"]
    assert isinstance(told["data"], list if path == "/fish/audios" else dict)


@pytest.mark.parametrize("prefix", ["/fish", "/v1/fish"])
async def test_the_guides_queries_are_answered(prefix: str) -> None:
    """Every parameter of the guide of model; a page is as the service has it."""
    query = "page_size=10&page_number=1&title=te&tag=x&self=true&author_id=a&language=en"
    async with LocalServer() as server:
        await replay(server, "acedata voices")
        status, page = await answer(server, "GET", f"{prefix}/model?{query}&title_language=en")
        _, mine = await answer(server, "GET", f"{prefix}/model?self=true&title=te")
    assert (status, page["items"]) == (200, [])
    assert {"total", "items"} <= set(mine)
    assert [item["title"] for item in mine["items"]] == ["test"]


@pytest.mark.parametrize("era", ["2025", "2026-05"])
async def test_the_guides_errors_have_their_form_and_codes(era: Any) -> None:
    """``success``, ``error`` and ``trace_id``; 400 is token_mismatched, 401 is invalid_token."""
    async with LocalServer(era=era) as server:
        status, said = await answer(server, "POST", "/fish/voices", json={})
        refused, no = await answer(server, "POST", "/fish/voices", json={}, key="wrong")
    assert (status, refused) == (400, 401)
    for body, code in ((said, "token_mismatched"), (no, "invalid_token")):
        assert set(body) == {"success", "error", "trace_id"}
        assert (body["success"], body["error"]["code"]) == (False, code)
        assert body["error"]["code"] in CODES


@pytest.mark.parametrize("guide", ["fish tts, one speaker", "fish tts, several speakers"])
async def test_the_services_own_speech_is_audio(guide: str) -> None:
    """The fifth guide is of the service itself: bytes, and no JSON."""
    async with LocalServer() as server:
        status, raw = await replay(server, guide)
    assert status == 200
    assert raw[:3] == b"ID3" or raw[0] == 0xFF


async def test_the_services_own_voices_are_made_and_renamed() -> None:
    """With two recordings, their transcripts and two tags; then under another name."""
    async with LocalServer() as server:
        sound = await spoken(server)
        status, raw = await replay(server, "fish model", sound=sound)
        made = json.loads(raw)
        assert (status, made["tags"], len(made["samples"])) == (201, ["en", "narration"], 2)
        assert (await replay(server, "fish model, renamed", id=made["_id"]))[0] == 200
        _, found = await answer(server, "GET", f"/model/{made['_id']}")
    assert (found["title"], found["visibility"]) == ("Renamed", "unlist")


async def test_the_services_own_recogniser_is_asked() -> None:
    """It hears, or says which extra would."""
    async with LocalServer() as server:
        status, raw = await replay(server, "fish asr", sound=await spoken(server))
    said = json.loads(raw)
    assert status in {200, 501, 503}
    assert set(said) >= ({"text", "duration", "segments"} if status == 200 else {"message"})


def test_every_command_is_here() -> None:
    """As many as the guides have; their bodies are JSON."""
    assert len(GUIDES) == 9
    for command in GUIDES.values():
        curl = read(command)
        assert curl.path
        assert curl.data is None or json.loads(curl.data)
