"""What the client sends, to whom, and what it bears from there."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import re
import ssl
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConfigError,
    ConnectError,
    FishLiveError,
    ProtocolError,
    TLSError,
    UpgradeError,
)
from fishlive.flow.retry import RetryPolicy
from fishlive.limits import MAX_ERROR_TEXT_CHARS
from fishlive.models.trace import checked_traceparent
from fishlive.models.warning import RequestWarning
from fishlive.rest.voices import Voices
from fishlive.secret import Secret
from fishlive.session import Session, TransportName
from fishlive.transport import names
from fishlive.transport.aiohttp import connect_aiohttp
from fishlive.transport.call import Call, quote_id
from fishlive.transport.control import BURST, PER_S, ControlBudget
from fishlive.transport.dial import system_tls
from fishlive.transport.http import Http
from fishlive.transport.picows import connect_picows
from fishlive.transport.refusal import refusal, server_closed
from fishlive.transport.socket import Connect, Target
from fishlive.wire.events import decode, encode
from tests.security.canary import knows_nobody
from tests.security.test_canary import converse, says
from tests.transport.conftest import Recorder, soon
from tests.transport.peer import BINARY, PING, PONG, Peer, frame, serve

BOTH = pytest.mark.parametrize("connect", [connect_picows, connect_aiohttp])
TRANSPORTS = pytest.mark.parametrize("transport", ["picows", "aiohttp"])
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe \u2028 \x00 \x9b31m \u200b" + "A" * 5000
"""Clears a screen, names its window, turns writing round, breaks a line; and is long."""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FISH_API_KEY", "FISH_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def safe(text: str | None) -> bool:
    """Return whether a terminal can show it without being steered, and it is short."""
    return text is None or (text.isprintable() and len(text) <= MAX_ERROR_TEXT_CHARS + 200)


# Header injection


@given(st.text(alphabet=st.characters(), max_size=30))
def test_a_key_is_refused_or_stands_in_one_header(text: str) -> None:
    """Whatever the text: no line break, no NUL, nothing but ASCII reaches a request."""
    try:
        key = Secret(text)
    except ConfigError as error:
        assert error.argument == "api_key"  # noqa: PT017 - it may also be fine
        return
    assert re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", key.reveal())


BAD = ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0", "a\x7f", "é\u0100", "\ud800", "a\x85b", "a\u2028b"]


@pytest.mark.parametrize("value", BAD)
async def test_what_would_break_a_request_is_refused_and_named(value: str) -> None:
    """Key, model, trace context, ids of all nouns, queries: each error names its argument."""
    http = Http(base_url="http://127.0.0.1:9", key=Secret("k"))
    async with Session("k", base_url="http://127.0.0.1:9") as fish:
        attempts: dict[str, Any] = {
            "api_key": lambda: Session(value),
            "base_url": lambda: Session("k", base_url=f"http://127.0.0.1/{value}"),
            "model": lambda: fish.live(model=value),
            "traceparent": lambda: fish.live(traceparent=value),
            "headers": lambda: Call(method="GET", path="/", headers={"X": value}),
        }
        if not value.isprintable():  # letters of any language are encoded there
            attempts["voice_id"] = lambda: fish.voices.get(value)
            attempts["tag"] = lambda: Call(method="GET", path="/", query=(("tag", value),))
        for argument, attempt in attempts.items():
            with pytest.raises(ConfigError) as caught:
                made = attempt()
                if asyncio.iscoroutine(made):
                    await made
            assert caught.value.argument in {argument, argument.removesuffix("_id")}
            assert value not in str(caught.value)
    await http.aclose()


@BOTH
@pytest.mark.parametrize("value", BAD)
async def test_no_adapter_sends_a_header_that_breaks(connect: Connect, value: str) -> None:
    """Not even if somebody calls it by hand: nothing is connected."""
    async with serve(Peer.upgrade) as server:
        for headers in ({"X": value}, {value: "x"}):
            with pytest.raises(ConfigError):
                await soon(connect(Target(server.url, headers), Recorder()))
        assert server.peers == []


@given(st.text(max_size=60))
def test_an_id_is_one_segment_of_a_path(text: str) -> None:
    """It leads nowhere else: no slash, no dots, no query, and it comes back as it was."""
    try:
        quoted = quote_id(text, argument="voice_id")
    except ConfigError as error:
        assert error.argument == "voice_id"  # noqa: PT017 - it may also be fine
        return
    assert re.fullmatch(r"[A-Za-z0-9._~%-]+", quoted)
    assert quoted not in {".", ".."}
    assert unquote(quoted) == text


@pytest.mark.parametrize("value", ["../wallet", "..", ".", "a/b", "a\\b", "", "%2e%2e/x", " a"])
async def test_an_id_that_climbs_is_refused(value: str) -> None:
    """Before anything is sent."""
    async with Session("k", base_url="http://127.0.0.1:9") as fish:
        with pytest.raises(ConfigError):
            await fish.voices.get(value)
    assert isinstance(fish._nouns["Voices"], Voices)


async def test_an_id_that_looks_encoded_is_encoded_again() -> None:
    """``%2e%2e`` stays two letters and a number to the service."""
    async with serve(says("200 OK", b"{}")) as server:
        async with Session("k", base_url=f"http://127.0.0.1:{server.port}") as fish:
            with pytest.raises(FishLiveError):
                await fish.voices.get("%2e%2e%2fwallet?x#y")
        assert server.peers[0].request == "GET /model/%252e%252e%252fwallet%3Fx%23y HTTP/1.1"


# Whom it speaks to


@TRANSPORTS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(transport: TransportName, status: int) -> None:
    """Neither live nor in calls; the place it points to hears nothing."""
    async with serve(says("200 OK", b"{}")) as elsewhere:
        answer = says(f"{status} Go\r\nLocation: http://127.0.0.1:{elsewhere.port}/", b"")
        async with serve(answer) as server:
            url = f"http://127.0.0.1:{server.port}"
            async with Session("k", base_url=url, transport=transport) as fish:
                for what in (converse(fish), fish.wallet.credit(), fish.tts.create("Hello")):
                    with pytest.raises(UpgradeError) as caught:
                        await soon(what)
                    assert caught.value.status == status
                    assert not caught.value.retryable
        assert elsewhere.peers == []


@TRANSPORTS
async def test_no_proxy_of_the_environment_is_used(
    transport: TransportName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither live nor in calls, neither to loopback nor elsewhere."""
    async with serve(says("200 OK", b"{}")) as proxy, serve(says("401 No")) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://user:secret@127.0.0.1:{proxy.port}")
        monkeypatch.setattr(names, "look_up", knows_nobody)
        for url in (f"http://127.0.0.1:{server.port}", "https://no.such.host.invalid"):
            async with Session(
                "k", base_url=url, transport=transport, retry=RetryPolicy(attempts=1)
            ) as fish:
                for what in (converse(fish), fish.wallet.credit()):
                    with pytest.raises(FishLiveError) as caught:
                        await soon(what)
                    assert "secret" not in str(caught.value)
        assert proxy.peers == []


@TRANSPORTS
@pytest.mark.parametrize("old", [True, False])
async def test_old_tls_is_refused(
    transport: TransportName, old: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service that knows 1.1 at most gets no key; the same one of today does."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    system_tls.cache_clear()
    if old:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ssl says itself that this is old
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    async with serve(says("401 No"), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        async with Session(
            "k", base_url=url, transport=transport, retry=RetryPolicy(attempts=1)
        ) as fish:
            for what in (converse(fish), fish.wallet.credit()):
                with pytest.raises(ConnectError if old else AuthenticationError):
                    await soon(what)
        assert (not server.peers) is old
    system_tls.cache_clear()


def test_tls_is_verified_and_of_today() -> None:
    """Names and chains are checked; 1.2 at least."""
    context = system_tls()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@TRANSPORTS
async def test_a_stranger_s_certificate_is_refused(transport: TransportName) -> None:
    """Whoever signed it himself gets no key, live and in calls."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(own)
    async with serve(Peer.read_request, tls=own) as server:
        url = f"https://127.0.0.1:{server.port}"
        async with Session("k", base_url=url, transport=transport) as fish:
            for what in (converse(fish), fish.wallet.credit()):
                with pytest.raises(TLSError):
                    await soon(what)
        assert server.peers == []


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("https://api.fish.audio", False),
        ("http://localhost:9", False),
        ("http://[::1]:9", False),
        ("https://api.fish.audio.evil.example", True),
        ("https://proxy.example", True),
    ],
)
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_a_key_of_the_environment_that_goes_elsewhere_warns(
    url: str, warned: bool, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was meant for one service; a key that is passed was meant for this address."""
    monkeypatch.setenv("FISH_API_KEY", "k")
    if way == "environment":
        monkeypatch.setenv("FISH_BASE_URL", url)
    given_url = url if way == "argument" else None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        Session(base_url=given_url)
    assert [w.category for w in heard] == ([RequestWarning] if warned else [])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        Session("k", base_url=given_url)
    assert not heard


# What it bears


@BOTH
async def test_a_flood_of_pings_ends_the_connection(connect: Connect) -> None:
    """It can neither keep us busy nor fill the write buffer: so many are answered, no more."""
    flood = frame(PING, b"x" * 125) * 500
    answered = 0

    async def script(peer: Peer) -> None:
        nonlocal answered
        await peer.upgrade()
        for _ in range(40):
            peer.write(flood)
        while (got := await peer.read_frame()).opcode == PONG:
            answered += 1
        assert int.from_bytes(got.payload[:2], "big") == 1002

    recorder = Recorder()
    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        ending = await recorder.ended()
        await soon(opened.aclose())
    assert isinstance(ending, ProtocolError)
    assert "flood" in str(ending)
    assert answered <= BURST + 200


@BOTH
async def test_unasked_pongs_are_counted_too(connect: Connect) -> None:
    """They are allowed (RFC 6455, 5.5.3), and a flood of them is a flood."""

    async def script(peer: Peer) -> None:
        await peer.upgrade()
        peer.write(frame(PONG, b"") * 5 + frame(BINARY, b"alive") + frame(PONG, b"") * 20_000)
        await peer.read_eof()

    recorder = Recorder()
    async with serve(script) as server:
        opened = await soon(connect(Target(server.url), recorder))
        ending = await recorder.ended()
        await soon(opened.aclose())
    assert recorder.messages == [b"alive"]
    assert isinstance(ending, ProtocolError)


@given(st.lists(st.floats(0, 30, allow_nan=False), max_size=200))
def test_no_keepalive_is_a_flood(waits_s: list[float]) -> None:
    """One frame a tenth of a second for ever, and BURST at once, are fine at any time."""
    budget, now_s = ControlBudget(), 0.0
    for wait_s in waits_s:
        now_s += max(wait_s, 1 / PER_S)
        assert budget.spend(now_s) is None
    fresh = ControlBudget()
    assert not any(fresh.spend(5.0) for _ in range(BURST))
    assert isinstance(fresh.spend(5.0), ProtocolError)
    assert isinstance(fresh.spend(4.0), ProtocolError)  # a clock that goes back gives nothing
    assert fresh.spend(4.0 + 2 / PER_S) is None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 418, 422, 429, 500, 503])
@pytest.mark.parametrize("form", ["json", "list", "text", "html", "reason", "deep"])
def test_what_a_service_says_cannot_steer_a_terminal(status: int, form: str) -> None:
    """However it says it: short, printable, on one line."""
    import json

    bodies = {
        "json": json.dumps({"message": HOSTILE, "reason": HOSTILE}),
        "list": json.dumps([{"loc": ["body", HOSTILE], "msg": HOSTILE}] * 20),
        "text": HOSTILE,
        "html": f"<html><title>{HOSTILE}</title>",
        "reason": json.dumps({"reason": HOSTILE}),
        "deep": "[" * 100_000,
    }
    headers = {"x-fish-trace-id": HOSTILE, "retry-after": HOSTILE}
    error = refusal(status, headers, bodies[form].encode())
    assert safe(str(error)), str(error)
    assert safe(error.trace_id)
    if isinstance(error, APIStatusError):
        assert safe(error.message)
        assert safe(error.reason)


def test_what_a_socket_says_cannot_either() -> None:
    """Close reasons, error events and finish reasons alike."""
    assert safe(str(server_closed(1011, HOSTILE)))
    for event in (
        encode("error", error=HOSTILE),
        encode("finish", reason=HOSTILE, message=HOSTILE),
    ):
        said = decode(event)
        assert safe(getattr(said, "message", ""))
        assert safe(getattr(said, "reason", ""))
    for rubbish in (HOSTILE.encode(), encode(HOSTILE)[:-1]):
        with pytest.raises(ProtocolError) as caught:
            decode(rubbish)
        assert safe(str(caught.value))


@TRANSPORTS
async def test_nor_does_any_answer_to_the_upgrade(transport: TransportName) -> None:
    """Status lines and headers are strings of a stranger, too."""
    raw = HOSTILE.encode("utf-8").replace(b"\0", b"").replace(b"\n", b"")
    answers = [
        b"HTTP/1.1 401 " + raw + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 299 " + raw + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: " + raw + b"\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + raw + b"\r\n\r\n",
        raw,
    ]
    for answer in answers:

        async def script(peer: Peer, answer: bytes = answer) -> None:
            await peer.read_request()
            peer.write(answer)
            peer.hang_up()

        async with serve(script) as server:
            url = f"http://127.0.0.1:{server.port}"
            async with Session(
                "k", base_url=url, transport=transport, retry=RetryPolicy(attempts=1)
            ) as fish:
                for what in (converse(fish), fish.wallet.credit()):
                    with pytest.raises(FishLiveError) as caught:
                        await soon(what)
                    assert safe(str(caught.value)), str(caught.value)


# The rest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_chances_of_its_own() -> None:
    """Jitter does not make parent and child try again at the same moments."""
    assert inspect.signature(RetryPolicy.delay_s).parameters["jitter"].default is random.random
    reading, writing = os.pipe()
    random.seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks with threads
        child = os.fork()
    if child == 0:
        os.write(writing, repr([random.random() for _ in range(4)]).encode())  # noqa: S311
        os._exit(0)
    os.waitpid(child, 0)
    ours = [random.random() for _ in range(4)]  # noqa: S311 - what jitter is made of
    theirs = os.read(reading, 4096).decode()
    os.close(reading)
    os.close(writing)
    assert theirs
    assert theirs != repr(ours)


@pytest.mark.parametrize(
    ("given", "good"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n", False),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
    ],
)
def test_a_trace_context_is_valid_or_refused(given: object, good: bool) -> None:
    """W3C Trace Context, section 3.2.2; digits are ASCII."""
    if good:
        assert checked_traceparent(given) == {"traceparent": given}
    else:
        with pytest.raises(ConfigError):
            checked_traceparent(given)


@TRANSPORTS
async def test_nothing_is_sent_that_was_not_asked_for(transport: TransportName) -> None:
    """No baggage, no cookies, no compression, no telemetry: the headers are these."""
    async with serve(says("401 No")) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with Session("k", base_url=url, transport=transport) as fish:
            for what in (converse(fish), fish.wallet.credit()):
                with pytest.raises(FishLiveError):
                    await soon(what)
        sent = [set(peer.headers) for peer in server.peers]
    usual = {"host", "authorization", "user-agent", "accept", "accept-encoding"}
    upgrade = {"upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "model"}
    for fields in sent:
        assert fields <= usual | upgrade, fields
    assert all(p.headers.get("accept-encoding", "identity") == "identity" for p in server.peers)
