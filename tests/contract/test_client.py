"""Every request that the client sends, with every option, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from fishlive import Session
from fishlive.errors import APIStatusError
from fishlive.models.pronunciation import DictionaryRef, InlineDictionary, PronunciationRule
from fishlive.models.tts import Prosody, ReferenceAudio
from fishlive.models.warning import RequestWarning
from fishlive.server import LocalServer, hearing
from tests.contract.checking import check_answer, check_request, request_names, template_of
from tests.contract.merged import openapi
from tests.contract.relay import Tape, recorded
from tests.contract.test_server import sound

Use: TypeAlias = Callable[[Session, Path], Awaitable[None]]

TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RULE: Final = PronunciationRule(key="SQL", value="S IY1 K W AH0 L", case_sensitive=True)
SAMPLE: Final = ReferenceAudio(audio=sound(), text="Nothing")
OPTIONS: Final[dict[str, Any]] = {
    "temperature": 0.5,
    "top_p": 1.0,
    "prosody": Prosody(speed=1.5, volume=-3.0, normalize_loudness=False),
    "chunk_length": 100,
    "min_chunk_length": 0,
    "normalize": False,
    "format": "mp3",
    "sample_rate": 32_000,
    "mp3_bitrate": 64,
    "latency": "low",
    "max_new_tokens": 512,
    "repetition_penalty": 1.1,
    "condition_on_previous_chunks": False,
    "early_stop_threshold": 0.5,
    "features": ["quality-guard"],
    "pronunciation_dictionary": [DictionaryRef(id="a", version="b")],
}
OTHER_OPTIONS: Final[dict[str, Any]] = {
    "format": "opus",
    "opus_bitrate": 48_000,
    "sample_rate": 48_000,
    "pronunciation_dictionary": InlineDictionary(items=(RULE,)),
}


@asynccontextmanager
async def taped() -> AsyncIterator[tuple[Session, Tape]]:
    """Yield a session that speaks to a server, and the tape of what passes between."""
    async with (
        LocalServer() as server,
        recorded(server) as tape,
        Session(server.key, base_url=tape.url) as fish,
    ):
        yield fish, tape


async def pieces() -> AsyncIterator[bytes]:
    """Yield a recording bit by bit."""
    audio = sound()
    for at in range(0, len(audio), 10_000):
        yield audio[at : at + 10_000]


async def hear(stream: Any) -> None:
    """Read a stream to its end."""
    async with stream as chunks:
        async for _ in chunks:
            pass


async def speak(fish: Session, _folder: Path) -> None:
    """Use all of speech."""
    for options in ({}, OPTIONS, OTHER_OPTIONS):
        await fish.tts.create("Hello.", **options)
    await hear(fish.tts.stream("Hello.", voice="en-us", model="s2.1-pro", traceparent=TRACE))
    await hear(fish.tts.stream_timestamps("Hello.", **OPTIONS, traceparent=TRACE))
    await hear(fish.tts.stream_timestamps("Hello.", **OTHER_OPTIONS, voice="en-us"))
    await fish.tts.create("Hello.", voice=["en-us", "de"], model="s2.1-pro-free")
    await fish.tts.create("Hello.", references=[SAMPLE], traceparent=TRACE)
    await fish.tts.create("Hello.", references=[[SAMPLE], [SAMPLE]], voice=["a", "b"])
    await hear(fish.tts.stream_timestamps("Hello.", references=[SAMPLE], model="drama-3-preview"))


async def transcribe(fish: Session, folder: Path) -> None:
    """Use all of recognition."""
    path = folder / "recording.wav"
    path.write_bytes(sound())
    asks: list[dict[str, Any]] = [
        {"audio": path, "language": "zh-TW", "timestamps": True, "model": "transcribe-1-pro"},
        {"audio": sound(), "filename": "a.wav", "traceparent": TRACE},
        {"audio": pieces(), "on_progress": lambda _sent, _all: None},
        {"audio": sound(), "encoding": "msgpack", "language": "en", "timestamps": True},
    ]
    for ask in asks:
        with nullcontext() if hearing.is_installed() else pytest.raises(APIStatusError):
            await fish.asr.transcribe(**ask)


async def keep_voices(fish: Session, folder: Path) -> None:
    """Use all of voices."""
    path = folder / "cover.ppm"
    path.write_bytes(b"P6 1 1 1 abc")
    samples: list[bytes | AsyncIterator[bytes]] = [sound(), pieces()]
    voice = await fish.voices.create(
        title="Mine",
        samples=samples,
        texts=["One", "Two"],
        tags=["a", "b"],
        description="Nobody's",
        cover_image=path,
        visibility="public",
        enhance_audio_quality=False,
        generate_sample=True,
    )
    await fish.voices.create(title="Other", samples=sound(), texts="One", tags="a")
    await fish.voices.list()
    await fish.voices.list(
        page_size=100,
        page_number=2,
        title="Mine",
        tag=["a", "b"],
        mine=True,
        author_id="nobody",
        language="en",
        title_language=["en", "de"],
        licensed=True,
        sort_by="created_at",
    )
    assert [each.id async for each in fish.voices.iter(mine=True, page_size=1)]
    await fish.voices.get(voice.id)
    await fish.voices.wait_until_trained(voice.id)
    await fish.voices.update(voice.id, title="New", description="Mine", visibility="unlist")
    await fish.voices.update(voice.id, tags=["c", "d"])
    await fish.voices.update(voice.id, description=None, tags=None)
    await fish.voices.update(voice.id, title="N", tags="a", cover_image=b"P6 1 1 1 abd")
    await fish.voices.update(voice.id, description="Hers", tags=["a", "b"], cover_image=path)
    await fish.voices.delete(voice.id)


async def design(fish: Session, _folder: Path) -> None:
    """Use all of voice design."""
    await fish.voice_design.create("a deep voice", n=None)
    await fish.voice_design.create(
        "a deep voice",
        reference_text="Hello",
        language="en",
        n=1,
        speed=1.5,
        num_step=16,
        guidance_scale=1.0,
        instruct_guidance_scale=0.5,
        seed=7,
    )


async def look_into_the_wallet(fish: Session, _folder: Path) -> None:
    """Use all of the wallet."""
    await fish.wallet.credit()
    await fish.wallet.credit("self", check_free_credit=True, team_id="a team")
    await fish.wallet.package("self")


async def write_dictionaries(fish: Session, _folder: Path) -> None:
    """Use all of dictionaries."""
    book = await fish.dictionaries.create("Names", description="Of people")
    one = await fish.dictionaries.new_version(book.id, [RULE], expected_latest_version_id=None)
    two = await fish.dictionaries.new_version(
        book.id, items=[{"key": "a", "type": "x"}], expected_latest_version_id=one.id
    )
    await fish.dictionaries.get_version(book.id, two.id)
    await fish.dictionaries.get(book.id)


NOUNS: Final[dict[str, Use]] = {
    "/v1/tts": speak,
    "/v1/asr": transcribe,
    "/model": keep_voices,
    "/v1/voice-design": design,
    "/wallet": look_into_the_wallet,
    "/v1/pronunciation-dictionaries": write_dictionaries,
}
"""What uses everything there is, by the beginning of the paths."""

UNUSED: Final = frozenset({"/v1/tts/live", "/v1/tts/live/with-timestamp"})
"""WebSockets, in test_live.py."""


@pytest.mark.parametrize("prefix", NOUNS)
async def test_every_request_is_described(prefix: str, tmp_path: Path) -> None:
    """What the client sends is as the service describes it; so is what it gets.

    All described operations are used, and each of their fields, parameters and headers is sent at
    least once.
    """
    async with taped() as (fish, tape):
        await NOUNS[prefix](fish, tmp_path)
    sent: dict[tuple[str, str], set[str]] = {}
    for exchange in tape.exchanges:
        path = template_of(exchange.method, exchange.path)
        sent.setdefault((exchange.method.lower(), path), set()).update(check_request(exchange))
        check_answer(exchange)
    for operation in operations(prefix):
        assert request_names(*operation) <= sent.get(operation, set()), operation


async def test_fields_this_version_does_not_know_are_sent_as_they_are() -> None:
    """``extra`` adds its fields to the body, and nothing else changes."""
    extra = {"new_field": {"a": [1, None]}}
    async with taped() as (fish, tape):
        await fish.tts.create("Hello.", extra=extra)
        await hear(fish.tts.stream_timestamps("Hello.", references=[SAMPLE], extra=extra))
    for exchange in tape.exchanges:
        check_request(exchange, extra=extra)


async def test_an_unknown_model_is_the_only_header_that_may_be_new() -> None:
    """A model of tomorrow is sent, with a warning; the rest of the request is described."""
    async with taped() as (fish, tape):
        with pytest.warns(RequestWarning):
            await fish.tts.create("Hello.", model="s9-pro")
    (exchange,) = tape.exchanges
    assert exchange.headers["model"] == "s9-pro"
    check_request(replace(exchange, headers={**exchange.headers, "model": "s1"}))


def operations(prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the described methods and paths below a beginning."""
    for path, item in openapi()["paths"].items():
        if path.startswith(prefix) and path not in UNUSED:
            yield from ((method, path) for method in item)
