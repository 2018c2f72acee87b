"""The gateways' clients, against canned answers and against the local server in every era."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest

from fishlive.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionLost,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    ServerError,
    SynthesisError,
    TaskTimeout,
    UsageError,
)
from fishlive.gateways import AceData, AudioLink, MadeVoice, Task, TaskState, Xhuo, tasks
from fishlive.gateways.gateway import Gateway
from fishlive.server import LocalServer
from fishlive.server.gateway.eras import ERAS
from tests.rest.canned import Asked, answering

URL = "https://cdn.example/a.mp3"
VOICE: dict[str, Any] = {"_id": "a" * 32, "type": "tts", "title": "me", "state": "trained"}
GATEWAYS = pytest.mark.parametrize("kind", [AceData, Xhuo])


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at tasks without the pauses that a real gateway asks for."""
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(tasks, "LEAST_POLL_S", 0.001)


@contextlib.asynccontextmanager
async def calling(
    answer: Callable[[Asked], tuple[int, object]], kind: type[Gateway] = AceData, **options: Any
) -> AsyncIterator[tuple[Gateway, list[Asked]]]:
    """Yield a client of a gateway that answers by a function, and what it was asked."""
    async with (
        answering(answer) as (url, asked),
        kind("sesame", base_url=url, **options) as gateway,
    ):
        yield gateway, asked


# What is sent


async def sent(
    call: Callable[[Gateway], Any], answer: object, kind: type[Gateway] = AceData
) -> Asked:
    """Return what a call sent to a gateway that answers with one document."""
    async with calling(lambda _: (200, answer), kind) as (gateway, asked):
        await call(gateway)
    return asked[0]


async def test_paths_have_their_prefix() -> None:
    """Ace has none, xhuoapi has /v1, and both may be told otherwise."""
    ace = await sent(lambda g: g.tts.create("x"), {"audio_url": URL})
    xhuo = await sent(lambda g: g.tts.create("x"), {"audio_url": URL}, Xhuo)
    assert (ace.path, xhuo.path) == ("/fish/tts", "/v1/fish/tts")
    async with calling(lambda _: (200, {"audio_url": URL}), prefix="/mirror/") as (gateway, asked):
        await gateway.tts.create("x")
    assert asked[0].path == "/mirror/fish/tts"


@pytest.mark.parametrize(
    ("kind", "path", "options", "asked_path"),
    [
        (Xhuo, "/v1", {}, "/v1/fish/tts"),  # as its pages print the address
        (Xhuo, "/v1/", {}, "/v1/fish/tts"),
        (Xhuo, "/mirror", {}, "/mirror/v1/fish/tts"),
        (Xhuo, "/mirror/v1", {"prefix": ""}, "/mirror/v1/fish/tts"),
        (AceData, "/mirror", {}, "/mirror/fish/tts"),
        (AceData, "/mirror", {"prefix": "/ace"}, "/mirror/ace/fish/tts"),
    ],
)
async def test_an_address_may_have_a_path(
    kind: type[Gateway], path: str, options: dict[str, Any], asked_path: str
) -> None:
    """A gateway behind a proxy; its own prefix is there once."""
    async with (
        answering(lambda _: (200, {"audio_url": URL})) as (url, asked),
        kind("sesame", base_url=url + path, **options) as gateway,
    ):
        await gateway.tts.create("x")
    assert asked[0].path == asked_path


async def test_tts_sends_what_was_set() -> None:
    """The model is a header; the format is always there, for the era that requires it."""
    asked = await sent(
        lambda g: g.tts.create(
            "Hello", voice="v", model="s2.1-pro", temperature=0.5, prosody={"speed": 1.5},
            extra={"new": 1},
        ),
        {"audio_url": URL},
    )  # fmt: skip
    assert asked.json == {
        "text": "Hello", "reference_id": "v", "format": "mp3", "temperature": 0.5,
        "prosody": {"speed": 1.5}, "new": 1,
    }  # fmt: skip
    assert asked.headers["model"] == "s2.1-pro"
    assert asked.headers["authorization"] == "Bearer sesame"


async def test_a_reference_is_a_link() -> None:
    """These gateways take no audio, and not both a voice and a reference."""
    reference = {"audio": "https://x.example/me.mp3", "text": "Hi"}
    asked = await sent(lambda g: g.tts.create("x", references=[reference]), {"audio_url": URL})
    assert asked.json["references"] == [reference]
    with pytest.raises(ConfigError) as caught:
        await sent(lambda g: g.tts.create("x", voice="v", references=[reference]), {})
    assert caught.value.argument == "references"


async def test_audios_and_voices_send_the_guides_words() -> None:
    """``generate``, ``fish-tts`` and ``image_url``."""
    audios = {"success": True, "task_id": "t", "data": [{"audio_url": URL}]}
    asked = await sent(lambda g: g.audios.create("Hello", voice_id="v"), audios)
    assert asked.json == {
        "action": "generate", "model": "fish-tts", "prompt": "Hello", "voice_id": "v",
    }  # fmt: skip
    voices = {"success": True, "task_id": "t", "data": VOICE}
    link = "https://x.example/me.mp3"
    asked = await sent(
        lambda g: g.voices.create(link, title="me", image=link, description="d"), voices
    )
    assert asked.json == {"voice_url": link, "title": "me", "image_url": link, "description": "d"}


async def test_a_lone_recording_is_text_on_ace_and_a_list_on_xhuoapi() -> None:
    """As the newest contract of the one and the guide of the other want it."""
    link = "https://x.example/me.mp3"
    for kind, expected in ((AceData, link), (Xhuo, [link])):
        asked = await sent(lambda g: g.model.create(title="me", voices=link), VOICE, kind)
        assert asked.json == {"title": "me", "voices": expected}
    asked = await sent(lambda g: g.model.create(title="me", voices=[link, link]), VOICE)
    assert asked.json["voices"] == [link, link]


async def test_later_is_async_or_a_callback() -> None:
    """With a callback the guides' form is enough, which every era knows."""
    ack = {"task_id": "t", "started_at": 1.5}
    asked = await sent(lambda g: g.tts.submit("x"), ack)
    assert asked.json["async"] is True
    asked = await sent(lambda g: g.tts.submit("x", callback_url="https://me.example/h"), ack)
    assert asked.json["callback_url"] == "https://me.example/h"
    assert "async" not in asked.json


async def test_the_other_word_for_speech_is_tried_once_and_remembered() -> None:
    """A 400 to ``generate`` is repeated with ``speech``; from then on that is said at once."""

    def answer(asked: Asked) -> tuple[int, object]:
        if asked.json["action"] == "generate":
            return 400, {"error": {"code": "bad_request", "message": "action is invalid."}}
        return 200, {"success": True, "task_id": "t", "data": [{"audio_url": URL}]}

    async with calling(answer) as (gateway, asked):
        for _ in range(2):
            assert (await gateway.audios.create("x", voice_id="v")).audio_url == URL
    assert [one.json["action"] for one in asked] == ["generate", "speech", "speech"]


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_other_refusals_are_not_taken_for_the_word(status: int) -> None:
    """Only a 400 is."""
    async with calling(lambda _: (status, {"error": {"message": "no"}})) as (gateway, asked):
        with pytest.raises(Exception, match="no"):
            await gateway.audios.create("x", voice_id="v")
    assert {one.json["action"] for one in asked} == {"generate"}


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda g: g.tts.create(""), "text"),
        (lambda g: g.tts.create("x", format="flac"), "format"),
        (lambda g: g.tts.create("x", temperature=2.0), "temperature"),
        (lambda g: g.tts.create("x", model="a\r\nb"), "model"),
        (lambda g: g.tts.create("x", speed=1), "speed"),
        (lambda g: g.tts.submit("x", callback_url="ftp://x"), "callback_url"),
        (lambda g: g.audios.create("", voice_id="v"), "prompt"),
        (lambda g: g.audios.create("x", voice_id=""), "voice_id"),
        (lambda g: g.voices.create("me.mp3"), "voice_url"),
        (lambda g: g.model.create(title="", voices="https://x.example/a"), "title"),
        (lambda g: g.model.create(title="x", voices=[]), "voices"),
        (lambda g: g.model.get("../x"), "voice_id"),
        (lambda g: g.tasks.get("a/b"), "task_id"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    call: Callable[[Gateway], Any], argument: str
) -> None:
    """With the name that the caller used."""
    async with calling(lambda _: (200, {})) as (gateway, asked):
        with pytest.raises(ConfigError) as caught:
            await call(gateway)
        assert caught.value.argument == argument
        assert asked == []


@GATEWAYS
def test_a_client_needs_a_token(kind: type[Gateway], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the argument or the environment; it never shows."""
    monkeypatch.delenv(kind.token_env, raising=False)
    with pytest.raises(ConfigError, match=kind.token_env):
        kind()
    monkeypatch.setenv(kind.token_env, "hush-hush")
    assert "hush" not in repr(kind())


@pytest.mark.parametrize("url", ["http://api.acedata.cloud", "ftp://x", "https://u@x", "x"])
def test_tokens_travel_encrypted(url: str) -> None:
    """Plain http would be redirected, and lose the token on the way."""
    with pytest.raises(ConfigError) as caught:
        AceData("sesame", base_url=url)
    assert caught.value.argument == "base_url"


# What comes back


async def test_what_was_charged_is_kept() -> None:
    """Never computed."""
    answer = {
        "audio_url": URL, "latency_ms": 12, "trace_id": "x",
        "cost": {"amount": 0.5, "currency": "credit", "list_amount": 0.6},
    }  # fmt: skip
    async with calling(lambda _: (200, answer)) as (gateway, _):
        made = await gateway.tts.create("x")
    assert made.cost is not None
    assert (made.cost.amount, made.cost.currency, made.cost.list_amount) == (0.5, "credit", 0.6)
    assert (made.latency_ms, made.trace_id, made.raw) == (12, "x", answer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            {"success": False, "error": {"code": "used_up", "message": "m"}},
            InsufficientCreditsError,
        ),
        ({"status": 400, "message": "bad"}, InvalidRequestError),
        ({"status": "failed", "message": "gave up"}, SynthesisError),
        ({}, ProtocolError),
        ([], ProtocolError),
        (None, ProtocolError),
    ],
)
async def test_a_success_may_be_a_failure(answer: object, error: type[Exception]) -> None:
    """Status 200 proves nothing."""
    async with calling(lambda _: (200, answer)) as (gateway, _):
        with pytest.raises(error):
            await gateway.tts.create("x")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_paid_call_is_never_repeated(status: int) -> None:
    """It may have run, and would be charged twice."""
    async with calling(lambda _: (status, {"error": "x"})) as (gateway, asked):
        with pytest.raises(ServerError):
            await gateway.tts.create("x")
    assert len(asked) == 1


async def test_a_question_is_repeated() -> None:
    """Asking twice does no harm."""
    answers = [(500, {"error": "x"}), (200, {"id": "t", "request": {}})]
    async with calling(lambda _: answers.pop(0)) as (gateway, asked):
        assert (await gateway.tasks.get("t")).state is TaskState.PENDING
    assert len(asked) == 2


async def test_an_acknowledgement_instead_of_an_answer_is_waited_for() -> None:
    """A gateway that chose to work later does not fail a call that wanted it now."""

    def answer(asked: Asked) -> tuple[int, object]:
        if asked.path == "/fish/tts":
            return 200, {"task_id": "t"}
        return 200, {"id": "t", "request": {}, "finished_at": 1.0, "response": {"audio_url": URL}}

    async with calling(answer) as (gateway, _):
        assert (await gateway.tts.create("x")).audio_url == URL


# Tasks


def working(*states: object) -> Callable[[Asked], tuple[int, object]]:
    """Return an answer that goes through these responses, then stays at the last."""
    left = list(states)

    def answer(asked: Asked) -> tuple[int, object]:
        if asked.path.endswith("/tts"):
            return 200, {"task_id": "t", "started_at": "2026-01-02T03:04:05Z", "trace_id": "x"}
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, int):
            return now, {"error": "x"}
        return 200, now

    return answer


PENDING = {"id": "t", "request": {}}
DONE = {**PENDING, "finished_at": 1.0, "response": {"audio_url": URL, "trace_id": "y"}}
FAILED = {**PENDING, "finished_at": 1.0, "response": {"status": 400, "message": "no"}}


async def submitted(gateway: Gateway) -> Task:
    """Return a new task."""
    return await gateway.tts.submit("x")


async def test_a_handle_says_what_was_acknowledged() -> None:
    """Who, what and when; and it pickles, without its client."""
    async with calling(working(PENDING)) as (gateway, _):
        task = await submitted(gateway)
        assert (task.id, task.kind, task.gateway, task.trace_id) == ("t", "tts", "acedata", "x")
        assert task.started_at is not None
        assert task.started_at.tzinfo is timezone.utc
        copy = pickle.loads(pickle.dumps(task))
        assert copy == task
        with pytest.raises(UsageError, match="bind"):
            await copy.status()
        assert (await copy.bind(gateway).status()).state is TaskState.PENDING
        assert {task, copy} == {task}
        with pytest.raises(ConfigError):
            copy.bind(Xhuo("s"))


ELSEWHERE = """
import asyncio, pickle, sys
from fishlive.gateways import AceData

async def main():
    task = pickle.load(sys.stdin.buffer)
    async with AceData("token", base_url=sys.argv[1]) as client:
        made = await task.bind(client).wait(timeout_s=20)
        again = await client.tasks.handle(task.id).result()
    print(task.id, made.audio_url, again.audio_url)

asyncio.run(main())
"""


async def test_a_handle_is_waited_for_in_another_process() -> None:
    """Pickled, or rebuilt from nothing but its id."""
    async with calling(working(DONE, DONE)) as (gateway, _):
        task = await submitted(gateway)
        base_url = repr(gateway).rpartition(" ")[2].rstrip(">")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ELSEWHERE, base_url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate(pickle.dumps(task))
    assert said.decode().split() == ["t", URL, URL]


async def test_waiting_ends_with_the_result() -> None:
    """Through unknown, pending and failures of the network in between."""
    answers = working({}, PENDING, 500, 500, 500, PENDING, DONE)
    async with calling(answers) as (gateway, _):
        made = await (await submitted(gateway)).wait()
        assert isinstance(made, AudioLink)
        assert (made.audio_url, made.task_id) == (URL, "t")


async def test_waiting_raises_why_it_failed() -> None:
    """The error of the task, not of the question."""
    async with calling(working(PENDING, FAILED)) as (gateway, _):
        with pytest.raises(InvalidRequestError, match="no"):
            await (await submitted(gateway)).wait()


async def test_a_wait_that_is_too_short_can_be_taken_up_again() -> None:
    """The error has the id; the task goes on."""
    async with calling(working(PENDING)) as (gateway, _):
        with pytest.raises(TaskTimeout) as caught:
            await (await submitted(gateway)).wait(timeout_s=0.02)
        assert caught.value.task_id == "t"
        assert gateway.tasks.handle("t").id == "t"


async def test_a_task_nobody_knows_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a grace for the record to be written."""
    monkeypatch.setattr(tasks, "UNKNOWN_GRACE_S", 0.0)
    async with calling(working({})) as (gateway, _):
        with pytest.raises(NotFoundError):
            await (await submitted(gateway)).wait()


@pytest.mark.parametrize("answer", [{}, None, 404])
async def test_unknown_has_three_spellings(answer: object) -> None:
    """An empty object, null, and a 404."""
    async with calling(working(answer)) as (gateway, _):
        assert (await gateway.tasks.get("t")).state is TaskState.UNKNOWN


async def test_changes_are_told_once() -> None:
    """Each state when it is first seen; the last one ends it."""
    answers = working({}, {}, PENDING, PENDING, DONE)
    async with calling(answers) as (gateway, _):
        seen = [status.state.value async for status in await submitted(gateway)]
    assert seen == ["unknown", "pending", "succeeded"]


async def test_a_callback_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is asked for at once, and nothing it says is believed."""
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 3600.0)

    class Heard:
        async def arrived(self, task_id: str) -> None:
            assert task_id == "t"

    async with calling(working(PENDING, DONE)) as (gateway, _):
        assert isinstance(await (await submitted(gateway)).wait(callbacks=Heard()), AudioLink)


async def test_a_batch_is_matched_by_id() -> None:
    """Order is not promised, and unknown ones are left out."""

    def answer(asked: Asked) -> tuple[int, object]:
        ids = asked.json["ids"]
        assert len(ids) <= 50
        known = [{**DONE, "id": one} for one in reversed(ids) if one != "x"]
        return 200, {"items": known, "count": len(known)}

    ids = [f"t{number}" for number in range(70)]
    async with calling(answer) as (gateway, asked):
        found = await gateway.tasks.get_many([*ids, "x", "t0"])
    assert list(found) == [*ids, "x"]
    assert found["x"].state is TaskState.UNKNOWN
    assert all(found[one].state is TaskState.SUCCEEDED for one in ids)
    assert len(asked) == 2


# Against the local server, which plays all eras


@GATEWAYS
@pytest.mark.parametrize("era", ERAS)
async def test_every_era_is_spoken(kind: type[Gateway], era: Any, tmp_path: Path) -> None:
    """Speech in both ways, voices in both ways, tasks, and the audio behind the links."""
    async with (
        LocalServer(era=era) as server,
        kind("local", base_url=server.url) as gateway,
    ):
        for made in (
            await gateway.audios.create("Hello there.", voice_id="d" * 32),
            await gateway.tts.create("Hello there."),
            await (await gateway.tts.submit("Hello there.")).wait(),
        ):
            assert isinstance(made, AudioLink)
            assert made.trace_id
            file = await made.download(tmp_path / "a.mp3", overwrite=True)
            assert (file.media_type, file.size_bytes > 5000) == ("audio/mpeg", True)
        link = "https://recordings.example/me.mp3"
        voice = await gateway.voices.create(link, title="me")
        model = await gateway.model.create(title="you", voices=link)
        assert isinstance(model, MadeVoice)
        assert {v.id async for v in gateway.model.iter(mine=True)} == {voice.id, model.id}
        assert (await gateway.model.get(model.id)).title == "you"
        with pytest.raises(NotFoundError):
            await gateway.model.get("b" * 32)
        with pytest.raises(InvalidRequestError) as caught:
            await gateway.tts.create("x", voice="nobody")
        assert caught.value.trace_id
        assert (await gateway.tasks.get("nobody")).state is TaskState.UNKNOWN


@GATEWAYS
@pytest.mark.parametrize("era", ERAS)
async def test_every_era_refuses(kind: type[Gateway], era: Any) -> None:
    """A wrong token, and an empty account, which is a 403 here."""
    async with LocalServer(era=era, credit=0.0) as server:
        async with kind("wrong", base_url=server.url) as gateway:
            with pytest.raises(AuthenticationError):
                await gateway.tts.create("x")
        async with kind("local", base_url=server.url) as gateway:
            with pytest.raises(InsufficientCreditsError):
                await gateway.tts.create("x")


async def test_a_dead_gateway_is_a_connection_error() -> None:
    """Nothing of aiohttp comes out."""
    async with LocalServer() as server:
        url = server.url
    async with AceData("local", base_url=url) as gateway:
        with pytest.raises(ConnectionError) as caught:
            await gateway.tts.create("x")
    assert not isinstance(caught.value, ConnectionLost)
