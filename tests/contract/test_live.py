"""Every message on the live sockets, of the client and of the local server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from fishlive import Session
from fishlive.errors import FishLiveError
from fishlive.server import LocalServer
from fishlive.server.routes import LIVE, LIVE_TIMED
from tests.contract.checking import Frame, check_event, event_names
from tests.contract.relay import Tape, recorded
from tests.contract.test_client import OPTIONS, OTHER_OPTIONS, SAMPLE, TRACE
from tests.server.talk import HOURS, Talk, talking, until

TEXT: Final = "This is a sentence. And here comes another one, which is longer."
SOCKETS: Final = {LIVE: False, LIVE_TIMED: True}


@asynccontextmanager
async def taped(**settings: Any) -> AsyncIterator[tuple[Session, Tape]]:
    """Yield a session that speaks to a server, and the tape of what passes between."""
    async with (
        LocalServer(**settings) as server,
        recorded(server) as tape,
        Session(server.key, base_url=tape.url) as fish,
    ):
        yield fish, tape


@pytest.mark.parametrize("path", SOCKETS)
async def test_every_message_is_described(path: str) -> None:
    """Whatever client and server say is an event that its sender may send, with its fields.

    All that the client may say is said, and each field of a request is sent at least once.
    """
    async with taped(strict=True) as (fish, tape):
        timestamps = SOCKETS[path]
        for options in ({}, OPTIONS, OTHER_OPTIONS, {"references": [SAMPLE]}):
            live = fish.live(voice="en-us", timestamps=timestamps, traceparent=TRACE, **options)
            async with live:
                assert [chunk async for chunk in live.speak(TEXT)]
        async with fish.live(timestamps=timestamps) as live, live.utterance() as by_hand:
            await by_hand.send("Hello, ")
            await by_hand.flush()
            await by_hand.send("you.")
            await by_hand.end()
            assert [chunk async for chunk in by_hand]
    events = [(frame.from_client, check_event(frame)) for frame in tape.frames]
    assert {frame.address for frame in tape.frames} == {path}
    said = {event["event"] for from_client, event in events if from_client}
    assert said == {"start", "text", "flush", "stop"}
    heard = {event["event"] for from_client, event in events if not from_client}
    assert heard == {"audio", "finish"}
    starts = [event["request"] for _, event in events if event["event"] == "start"]
    assert event_names(path, "start") <= {name for request in starts for name in request}


@pytest.mark.parametrize("path", SOCKETS)
async def test_an_interrupted_turn_says_nothing_that_is_not_described(path: str) -> None:
    """Half an utterance is described messages, too."""
    async with taped() as (fish, tape), fish.live(timestamps=SOCKETS[path]) as live:
        async for _ in live.speak(TEXT * 10):
            live.interrupt()
        async for _ in live.speak(TEXT):
            pass
    assert tape.frames
    for frame in tape.frames:
        check_event(frame)


async def say_nothing_that_is_known(talk: Talk) -> None:
    """Start with a format that nobody has."""
    await talk.start(format="flac")


async def say_rubbish(talk: Talk) -> None:
    """Send what is no message."""
    await talk.socket.send_bytes(b"\xc1")


async def say_too_much(talk: Talk) -> None:
    """Send a text that is longer than allowed."""
    await talk.say("much too long a text")


async def say_it_in_the_wrong_order(talk: Talk) -> None:
    """Send text before the start."""
    await talk.send("text", text="Hello")


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (say_nothing_that_is_known, {}),
        (say_rubbish, {}),
        (say_too_much, {"max_text_bytes": 5}),
        (say_it_in_the_wrong_order, {"strict": True}),
    ],
)
async def test_a_refusal_is_described(path: str, step: Any, settings: dict[str, Any]) -> None:
    """Whatever the server refuses, it says so in an ``error`` event."""
    async with LocalServer(**settings) as server, talking(server, path) as talk:
        await step(talk)
        message = await talk.socket.receive_bytes()
        assert check_event(Frame(path, False, message))["event"] == "error"


@pytest.mark.parametrize("path", SOCKETS)
async def test_a_refusal_for_concurrency_names_the_limit(path: str) -> None:
    """``max_concurrency`` is described, and sent."""
    async with (
        LocalServer(concurrency=1, **HOURS) as server,
        talking(server, path) as first,
        talking(server, path) as second,
    ):
        await first.say(TEXT)
        await until(lambda: server.running == 1)
        await second.say(TEXT)
        error = check_event(Frame(path, False, await second.socket.receive_bytes()))
    assert (error["event"], error["max_concurrency"]) == ("error", 1)


@pytest.mark.parametrize("path", SOCKETS)
async def test_a_broken_voice_is_described(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``finish`` with its reason ``error`` has a message, and the client raises it."""

    async def say(*_args: object, **_options: object) -> None:
        raise RuntimeError("no voice today")

    monkeypatch.setattr("fishlive.server.studio.Studio.say", say)
    async with taped() as (fish, tape), fish.live(timestamps=SOCKETS[path]) as live:
        with pytest.raises(FishLiveError):
            async for _ in live.speak(TEXT):
                pass
    finish = [check_event(frame) for frame in tape.frames if not frame.from_client][-1]
    assert finish["reason"] == "error"
    assert finish["message"]
