"""Every answer of the local server, at every endpoint: success, and each documented failure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from io import BytesIO
from itertools import groupby
from typing import Any, Final
from wave import open as open_wave

import aiohttp
import msgpack
import pytest

from fishlive.server import LocalServer, hearing
from fishlive.server.studio import Studio
from tests.contract.checking import Exchange, check_answer, template_of
from tests.contract.merged import openapi
from tests.server.talk import HOURS, headers, talking, until

TTS: Final = "/v1/tts"
SSE: Final = "/v1/tts/stream/with-timestamp"
ASR: Final = "/v1/asr"
DESIGN: Final = "/v1/voice-design"
BOOKS: Final = "/v1/pronunciation-dictionaries"
LIVE: Final = "/v1/tts/live"

SAY: Final[dict[str, Any]] = {"json": {"text": "Good morning to you.", "format": "pcm"}}
INSTRUCT: Final[dict[str, Any]] = {
    "json": {"instruction": "a deep voice", "n": 1, "seed": 7},
    "headers": {"model": "voice-design-1"},
}
RULES: Final[dict[str, Any]] = {"json": {"rules": [{"key": "SQL", "value": "S IY1 K W AH0 L"}]}}
HOUSE: Final = "/model/{house}"
SPEECH: Final = "{speech}"
LONG: Final[dict[str, Any]] = {"data": b"x" * 100_000}
SMALL: Final = (("max_body_bytes", 60_000),)
POOR: Final = (("credit", 0.0),)
BUSY: Final = (("concurrency", 1), *HOURS.items())
UNSEEN: Final = frozenset({"101", "503"})
"""Described statuses that need not be seen here: a socket's is in test_live.py, and only a voice
that breaks makes this server say 503."""

FOREIGN: Final = ("get", "/model/{id}")
"""Its 403 is for somebody else's private voice; a local server has one account."""


def sound() -> bytes:
    """Return a second of a square wave, which no recogniser takes for a word."""
    file = BytesIO()
    with open_wave(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((b"\x00\x20" * 40 + b"\x00\xe0" * 40) * 200)
    return file.getvalue()


def form(**fields: Any) -> dict[str, Any]:
    """Return a multipart request; bytes are files, and so is SPEECH."""
    return {"form": fields}


def voice(**fields: Any) -> dict[str, Any]:
    """Return a request for a new voice."""
    given = {"type": "tts", "train_mode": "fast", "title": "Mine", "visibility": "private"}
    return form(**{**given, "voices": sound(), **fields})


def packed(**fields: Any) -> dict[str, Any]:
    """Return a request in MessagePack."""
    return {"data": msgpack.packb(fields), "headers": {"Content-Type": "application/msgpack"}}


@dataclass(frozen=True)
class Ask:
    """One request, and the status it must get.

    Attributes:
        path: With slots for what a :class:`Scene` has made.
        settings: Of the server.
        key: None shows none.
        mood: ``deaf`` has no recogniser, ``broken`` no voice, ``full`` no slot.
    """

    status: int
    method: str
    path: str
    request: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[tuple[str, Any], ...] = ()
    key: str | None = "local"
    mood: str = ""


def paid(path: str, request: Mapping[str, Any]) -> Iterator[Ask]:
    """Yield what every endpoint that costs money refuses alike."""
    yield Ask(401, "POST", path, request, key=None)
    yield Ask(401, "POST", path, request, key="wrong")
    yield Ask(402, "POST", path, request, settings=POOR)
    yield Ask(402, "POST", path, {"data": b"rubbish"}, settings=POOR)
    long = form(audio=LONG["data"]) if "form" in request else {**LONG, "headers": _headers(request)}
    yield Ask(413, "POST", path, long, settings=SMALL)
    yield Ask(429, "POST", path, request, settings=BUSY, mood="full")
    yield Ask(429, "POST", path, request, settings=(*BUSY, ("retry_after_s", 2.0)), mood="full")


def _headers(request: Mapping[str, Any]) -> dict[str, str]:
    return dict(request.get("headers", {}))


def spoken(path: str) -> Iterator[Ask]:
    """Yield what is asked of an endpoint that speaks."""
    yield from paid(path, SAY)
    for name in ("wav", "pcm", "mp3", "opus"):
        yield Ask(200, "POST", path, {"json": {"text": "Good morning.", "format": name}})
    yield Ask(200, "POST", path, {"json": {"text": ""}})
    yield Ask(200, "POST", path, packed(text="Hi.", references=[{"audio": sound(), "text": "a"}]))
    yield Ask(200, "POST", path, {**SAY, "headers": {"model": "no-such-model"}})
    wrongs: tuple[dict[str, Any], ...] = (
        {"data": b"{"},
        {"json": []},
        {"json": {}},
        {"json": {"text": "a", "format": "flac"}},
        {"json": {"text": "a", "sample_rate": 1}},
        {"json": {"text": "a", "prosody": {"speed": 3}}},
        {"json": {"text": "a", "reference_id": "nobody"}},
        {"json": {"text": "a", "references": [{"text": "b"}]}},
    )
    for wrong in wrongs:
        yield Ask(400, "POST", path, wrong)
    yield Ask(400, "POST", path, {"json": {"text": "a", "top_p": 2}}, settings=(("strict", True),))
    yield Ask(503, "POST", path, SAY, mood="broken")


def recognised() -> Iterator[Ask]:
    """Yield what is asked of the recogniser; without one, what can be asked all the same."""
    refused = paid(ASR, form(audio=sound()))
    yield from (ask for ask in refused if hearing.is_installed() or ask.mood != "full")
    if hearing.is_installed():
        for model in ("transcribe-1", "transcribe-1-pro"):
            given = form(audio=SPEECH, ignore_timestamps="false")
            yield Ask(200, "POST", ASR, {**given, "headers": {"model": model}})
        yield Ask(200, "POST", ASR, packed(audio=sound(), language="en", ignore_timestamps=True))
        yield Ask(400, "POST", ASR, form(audio=b"no sound"))
    yield Ask(400, "POST", ASR, {"json": {"audio": "UklGRg=="}})
    yield Ask(400, "POST", ASR, form(language="en"))
    yield Ask(501, "POST", ASR, form(audio=sound()), mood="deaf")


def designed() -> Iterator[Ask]:
    """Yield what is asked of voice design."""
    yield from paid(DESIGN, INSTRUCT)
    yield Ask(200, "POST", DESIGN, INSTRUCT)
    yield Ask(400, "POST", DESIGN, {"json": INSTRUCT["json"]})
    yield Ask(400, "POST", DESIGN, {**INSTRUCT, "json": {"instruction": "a", "n": 9}})
    yield Ask(400, "POST", DESIGN, {"headers": INSTRUCT["headers"], "data": b"{"})


def voiced() -> Iterator[Ask]:
    """Yield what is asked about voices."""
    for own in ({}, {"self": "true"}, {"page_size": "1", "language": ["en", "de"], "tag": "male"}):
        yield Ask(200, "GET", "/model", {"params": own})
    yield Ask(422, "GET", "/model", {"params": {"page_size": "0"}})
    yield Ask(201, "POST", "/model", voice())
    yield Ask(201, "POST", "/model", voice(visibility="public", cover_image=b"P6 1 1 1 abc"))
    yield Ask(201, "POST", "/model", voice(voices=b"no sound", tags=["a", "b"], texts="Hello"))
    yield Ask(
        201, "POST", "/model", voice(generate_sample="true"), settings=(("training_s", 60.0),)
    )
    yield Ask(400, "POST", "/model", {"data": b"{"})
    yield Ask(413, "POST", "/model", LONG, settings=SMALL)
    yield Ask(422, "POST", "/model", {"json": {}})
    yield Ask(422, "POST", "/model", voice(visibility="public"))
    yield Ask(422, "POST", "/model", voice(voices=[sound()] * 21))
    for path in ("/model/{voice}", HOUSE):
        yield Ask(200, "GET", path)
    yield Ask(200, "PATCH", "/model/{voice}", {"json": {"title": "Other", "tags": []}})
    yield Ask(200, "PATCH", "/model/{voice}", form(cover_image=b"P6 1 1 1 abc"))
    yield Ask(400, "PATCH", "/model/{voice}", {"data": b"{"})
    yield Ask(413, "PATCH", "/model/{voice}", LONG, settings=SMALL)
    yield Ask(422, "PATCH", "/model/{voice}", {"json": {"visibility": "secret"}})
    yield Ask(200, "DELETE", "/model/{voice}")
    for method in ("PATCH", "DELETE"):
        yield Ask(403, method, HOUSE, {"json": {"title": "Mine"}})
    for method in ("GET", "PATCH", "DELETE"):
        yield Ask(404, method, "/model/nobody", {"json": {}})
        yield Ask(401, method, "/model/nobody", key=None)
    for method in ("GET", "POST"):
        yield Ask(401, method, "/model", key=None)


def kept() -> Iterator[Ask]:
    """Yield what is asked about uploads, the wallet, and the server itself."""
    for path, slot in (("/coverimage/", "{voice}"), ("/task/", "{task}")):
        yield Ask(200, "GET", path + slot)
        yield Ask(404, "GET", f"{path}nobody")
        yield Ask(401, "GET", f"{path}nobody", key=None)
    for path in ("/wallet/self/package", "/wallet/self/api-credit"):
        yield Ask(200, "GET", path)
        yield Ask(401, "GET", path, key="wrong")
        yield Ask(401, "GET", path.replace("self", "nobody"))
    yield Ask(200, "GET", "/wallet/self/api-credit", {"params": {"check_free_credit": "true"}})
    yield Ask(200, "GET", "/wallet/self/api-credit", settings=(("credit", 1e-7),))
    yield Ask(422, "GET", "/wallet/self/api-credit", {"params": {"check_free_credit": "maybe"}})
    yield Ask(200, "GET", "/", key=None)


def listed() -> Iterator[Ask]:
    """Yield what is asked about dictionaries."""
    book, versions = f"{BOOKS}/{{book}}", f"{BOOKS}/{{book}}/versions"
    yield Ask(201, "POST", BOOKS, {"json": {"name": "Names", "colour": {"hue": [1, None]}}})
    yield Ask(200, "GET", book)
    yield Ask(201, "POST", versions.replace("book", "blank"), RULES)
    own = {"items": [{"any": 1}], "note": "x"}
    yield Ask(201, "POST", versions.replace("book", "fresh"), {"json": own})
    yield Ask(409, "POST", versions, {"json": {"rules": [], "expected_latest_version_id": "old"}})
    yield Ask(200, "GET", f"{versions}/{{version}}")
    for path in (BOOKS, versions):
        yield Ask(400, "POST", path, {"data": b"{"})
        yield Ask(413, "POST", path, LONG, settings=SMALL)
        yield Ask(422, "POST", path, {"json": {}})
        yield Ask(401, "POST", path, {"json": {}}, key=None)
    yield Ask(404, "POST", f"{BOOKS}/none/versions", RULES)
    for path in (f"{BOOKS}/none", f"{versions}/none"):
        yield Ask(404, "GET", path)
        yield Ask(401, "GET", path, key=None)


def knocked(path: str) -> Iterator[Ask]:
    """Yield what is asked of a socket's address."""
    yield Ask(400, "GET", path)
    yield Ask(401, "GET", path, key=None)
    yield Ask(402, "GET", path, settings=POOR)
    at_the_door = (("concurrency_refusal", "upgrade"),)
    yield Ask(429, "GET", path, settings=(*BUSY, *at_the_door), mood="full")


ASKED: Final[dict[str, list[Ask]]] = {
    "speech": list(spoken(TTS)),
    "events": list(spoken(SSE)),
    "recognition": list(recognised()),
    "design": list(designed()),
    "voices": list(voiced()),
    "what is kept": list(kept()),
    "dictionaries": list(listed()),
    "sockets": [*knocked(LIVE), *knocked(f"{LIVE}/with-timestamp")],
}


class Scene:
    """A server, and what was made on it before it is asked."""

    def __init__(self, server: LocalServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self._made: dict[str, Any] = {"house": "en-us"}

    async def furnish(self) -> None:
        """Make a voice, a dictionary and a recording."""
        made = await self._make("/model", voice(visibility="public", cover_image=b"P6 1 1 1 abc"))
        self._made |= {"voice": made["_id"], "task": made["samples"][0]["task_id"]}
        for book in ("book", "blank", "fresh"):
            self._made[book] = (await self._make(BOOKS, {"json": {"name": book}}))["id"]
        path = f"{BOOKS}/{self._made['book']}/versions"
        self._made["version"] = (await self._make(path, RULES))["id"]
        said = await self.ask(Ask(200, "POST", TTS, {"json": {"text": "Hello.", "format": "wav"}}))
        self._made["speech"] = said.answer

    async def _make(self, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        made = await self.ask(Ask(201, "POST", path, request))
        fields: dict[str, Any] = json.loads(made.answer)
        return fields

    async def ask(self, ask: Ask) -> Exchange:
        """Return what passed."""
        request = dict(ask.request)
        given = {**(headers(ask.key) if ask.key else {}), **request.pop("headers", {})}
        if fields := request.pop("form", None):
            request["data"] = self._form(fields)
        path = ask.path.format_map(self._made)
        async with self._session.request(
            ask.method, self._server.url + path, headers=given, **request
        ) as response:
            answered = {name.lower(): value for name, value in response.headers.items()}
            return Exchange(
                ask.method, path, (), {}, b"", response.status, answered, await response.read()
            )

    def _form(self, fields: Mapping[str, Any]) -> aiohttp.FormData:
        data = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                content = self._made["speech"] if one == SPEECH else one
                named = "a.wav" if isinstance(content, bytes) else None
                data.add_field(name, content, filename=named)
        return data


async def answers(asks: list[Ask], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Ask, Exchange]]:
    """Return what passed, asked of one server for every mood and setting."""
    passed = []
    kinds = groupby(sorted(asks, key=_kind), key=_kind)
    for _, group in kinds:
        alike = list(group)
        async with AsyncExitStack() as held:
            server = await held.enter_async_context(LocalServer(**dict(alike[0].settings)))
            session = await held.enter_async_context(aiohttp.ClientSession())
            scene = Scene(server, session)
            with monkeypatch.context() as patch:
                if alike[0].settings in {(), SMALL}:
                    await scene.furnish()
                await _set_mood(alike[0].mood, server, held, patch)
                passed += [(ask, await scene.ask(ask)) for ask in alike]
    return passed


def _kind(ask: Ask) -> str:
    return f"{ask.mood} {ask.settings}"


async def _set_mood(
    mood: str, server: LocalServer, held: AsyncExitStack, patch: pytest.MonkeyPatch
) -> None:
    if mood == "deaf":
        patch.setattr(hearing, "is_installed", lambda: False)
    elif mood == "broken":

        async def say(*_args: object, **_options: object) -> None:
            raise RuntimeError("no voice today")

        patch.setattr(Studio, "say", say)
    elif mood == "full":
        talk = await held.enter_async_context(talking(server))
        await talk.say("Hello.")
        await until(lambda: server.running == 1)


@pytest.mark.parametrize("about", ASKED)
async def test_every_answer_is_described(about: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, headers, media type and body are as the service describes them, and nothing else."""
    for ask, exchange in await answers(ASKED[about], monkeypatch):
        assert exchange.status == ask.status, f"{ask}: {exchange} {exchange.answer[:300]!r}"
        check_answer(exchange)
        assert exchange.answer_headers["x-fish-trace-id"]
        assert exchange.answer_headers["ratelimit-limit-concurrency"]
        assert exchange.answer_headers["ratelimit-current-concurrency"]


def test_every_described_status_is_asked_for() -> None:
    """No status of any endpoint is described and never seen."""
    asked: dict[tuple[str, str], set[str]] = {}
    for ask in (ask for asks in ASKED.values() for ask in asks):
        path = template_of(ask.method, ask.path)
        asked.setdefault((ask.method.lower(), path), set()).add(str(ask.status))
    for path, item in openapi()["paths"].items():
        for method, operation in item.items():
            if path != ASR or hearing.is_installed():
                unseen = set(operation["responses"]) - asked[method, path]
                others = {"403"} if (method, path) == FOREIGN else set()
                assert unseen <= UNSEEN | others, f"{method} {path}"
