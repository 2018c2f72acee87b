"""session.py: settings that cannot be wrong in silence."""

from __future__ import annotations

import ssl
import subprocess
import sys
import traceback

import aiohttp
import pytest

import fishlive
from fishlive.errors import ConfigError, ConnectError, StreamClosedError
from fishlive.flow.governor import Governor
from fishlive.flow.retry import RetryPolicy
from fishlive.session import Session
from fishlive.transport.http import Timeouts
from tests.live.service import Service, open_channel
from tests.transport.http_peer import answer, read_request, soon
from tests.transport.peer import Peer, serve

KEY = "canary-4b1d"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's machine plays a part."""
    monkeypatch.delenv("FISH_API_KEY", raising=False)
    monkeypatch.delenv("FISH_BASE_URL", raising=False)


def test_no_key_is_told() -> None:
    """The error says where a key may come from."""
    with pytest.raises(ConfigError, match="FISH_API_KEY") as caught:
        Session()
    assert caught.value.argument == "api_key"


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address come from the environment when the session is made, and never again."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    monkeypatch.setenv("FISH_BASE_URL", "http://127.0.0.1:1/")
    session = Session()
    monkeypatch.setenv("FISH_BASE_URL", "http://127.0.0.1:2")
    assert session.base_url == "http://127.0.0.1:1"


def test_without_an_address_it_is_the_service() -> None:
    """The default is Fish Audio itself, encrypted."""
    assert Session(KEY).base_url == "https://api.fish.audio"


@pytest.mark.parametrize(
    "url",
    [
        "api.fish.audio",
        "ftp://api.fish.audio",
        "https://",
        "https://user:pass@api.fish.audio",
        "https://api.fish.audio?key=1",
        "https://api.fish.audio#x",
        "http://api.fish.audio",
        "http://10.0.0.1",
        "https://api.fish.audio:99999",
        "https://[::1",
        "https://api.fish.audio/\r\n",
    ],
)
def test_addresses_that_cannot_be_right_are_refused(url: str) -> None:
    """Bad URLs, and keys in the clear to another machine, are refused by name."""
    with pytest.raises(ConfigError) as caught:
        Session(KEY, base_url=url)
    assert caught.value.argument == "base_url"


@pytest.mark.parametrize(
    "url",
    ["http://localhost:1", "http://127.0.0.1", "http://[::1]:8", "https://proxy.example/fish/"],
)
def test_addresses_that_can_be_right_are_taken(url: str) -> None:
    """Loopback may be plain; a path in front of the API is kept."""
    assert Session(KEY, base_url=url).base_url == url.rstrip("/")


def test_insecure_is_a_decision() -> None:
    """Plain HTTP to another machine needs to be said."""
    assert Session(KEY, base_url="http://10.0.0.1", allow_insecure=True).base_url


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"transport": "carrier pigeon"}, "transport"),
        ({"connect_timeout_s": 0}, "connect_timeout_s"),
        ({"connect_timeout_s": float("nan")}, "connect_timeout_s"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(
    options: dict[str, object], argument: str
) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigError) as caught:
        Session(KEY, **options)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"traceparent": "nonsense"}, "traceparent"),
        ({"traceparent": "00-" + "A" * 32 + "-" + "b" * 16 + "-01"}, "traceparent"),
        ({"credit_s": 0}, "credit_s"),
        ({"credit_s": float("inf")}, "credit_s"),
        ({"deadlines": 5}, "deadlines"),
        ({"retry": 5}, "retry"),
        ({"on_retry": 5}, "on_retry"),
        ({"format": "ogg"}, "format"),
        ({"chunk_length": 50}, "chunk_length"),
        ({"voice": "a\nb"}, "voice"),
        ({"model": "s1\r\nX: 1"}, "model"),
    ],
)
def test_channel_options_are_checked_before_anything_is_sent(
    options: dict[str, object], argument: str
) -> None:
    """A wrong option is an error where it is written, not where it is used."""
    with pytest.raises(ConfigError) as caught:
        Session(KEY).live(**options)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.argument == argument


async def test_the_address_becomes_a_websocket_with_its_path() -> None:
    """Encrypted HTTP becomes wss, plain HTTP becomes ws, and the path of a proxy stays in front."""
    for base, wanted in [
        ("https://a.example/fish", "wss://a.example/fish/v1/tts/live"),
        ("http://127.0.0.1:5", "ws://127.0.0.1:5/v1/tts/live"),
    ]:
        service = Service()
        async with (
            Session(KEY, base_url=base, transport=service.connect) as fish,
            fish.live() as live,
        ):
            await live.ready()
            assert service.requests[0].target.url == wanted


async def test_the_tls_context_is_handed_on() -> None:
    """A context of one's own, as for a private CA, reaches the transport."""
    context = ssl.create_default_context()
    service = Service()
    async with (
        Session(KEY, base_url="https://a.example", transport=service.connect, tls=context) as fish,
        fish.live() as live,
    ):
        await live.ready()
        assert service.requests[0].target.tls is context


async def test_a_closed_session_opens_nothing() -> None:
    """After its block a session is closed for good."""
    async with Session(KEY) as fish:
        pass
    with pytest.raises(StreamClosedError):
        fish.live()
    with pytest.raises(StreamClosedError):
        async with fish:
            pass


async def test_no_repr_shows_the_key() -> None:
    """Session, channel, utterance, target and a traceback with locals are clean."""
    service = Service()
    async with open_channel(service) as live:
        utterance = live.utterance()
        session = Session(KEY)
        shown = [repr(x) for x in (session, live, utterance, live._target, live._line)]
        try:
            session.live(format="ogg")
        except ConfigError as error:
            report = traceback.TracebackException.from_exception(error, capture_locals=True)
            shown.append("".join(report.format()))
        assert not [text for text in shown if KEY in text or "test-key" in text]


NOUNS = ["asr", "dictionaries", "tts", "voice_design", "voices", "wallet"]


async def credit(peer: Peer) -> None:
    """Answer every request with an empty wallet, and the account's limit."""
    while True:
        await read_request(peer)
        body = b'{"_id": "1", "user_id": "2", "credit": "0"}'
        peer.write(answer(body, "200 OK", "ratelimit-limit-concurrency: 15"))


@pytest.mark.parametrize("noun", NOUNS)
async def test_every_noun_is_there_and_stays(noun: str) -> None:
    """It is made once, of the one client that all share."""
    async with Session(KEY) as fish:
        assert getattr(fish, noun) is getattr(fish, noun)
        assert getattr(fish, noun)._http is fish.wallet._http


def test_nouns_cost_nothing_before_they_are_used() -> None:
    """Who only speaks live does not load what the other calls need."""
    code = "import sys, fishlive; print('fishlive.transport.http' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


async def test_calls_go_out_with_the_key_and_are_closed_with_the_session() -> None:
    """After its block a session makes no calls, and its connections are gone."""
    async with serve(credit) as server:
        async with Session(KEY, base_url=f"http://127.0.0.1:{server.port}") as fish:
            wallet = fish.wallet
            await soon(wallet.credit())
        assert server.peers[0].headers["authorization"] == f"Bearer {KEY}"
        with pytest.raises(StreamClosedError):
            await wallet.credit()
        with pytest.raises(StreamClosedError):
            fish.voices  # noqa: B018 - looking is enough


async def test_calls_teach_the_governor_that_live_speech_asks() -> None:
    """One account, one queue."""
    async with (
        serve(credit) as server,
        Session(KEY, base_url=f"http://127.0.0.1:{server.port}") as fish,
        fish.live() as live,
    ):
        await soon(fish.wallet.credit())
        assert live._governor is fish.governor
        assert fish.governor.limit == 15


async def test_sessions_of_one_account_share_its_slots_and_its_retries() -> None:
    """However many there are in a loop; another key has its own."""
    async with Session(KEY, concurrency=5) as one, Session(KEY) as two, Session("other") as three:
        assert isinstance(one.governor, Governor)
        assert one.governor is two.governor
        assert two.governor.limit == 5
        assert three.governor is not one.governor
        assert one.wallet._http._bucket is two.wallet._http._bucket
        assert three.wallet._http._bucket is not one.wallet._http._bucket


@pytest.mark.parametrize("limit", [0, -1, 1.5, "5", True, 10_001])
def test_a_concurrency_that_cannot_be_is_refused(limit: object) -> None:
    """Where it is written."""
    with pytest.raises(ConfigError) as caught:
        Session(KEY, concurrency=limit)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.argument == "concurrency"


@pytest.mark.parametrize("argument", ["retry", "deadlines"])
def test_policies_have_their_kind(argument: str) -> None:
    """A number is neither a policy nor deadlines, and is refused at once."""
    with pytest.raises(ConfigError) as caught:
        Session(KEY, **{argument: 5})  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.argument == argument


@pytest.mark.parametrize("argument", ["timeouts"])
async def test_settings_of_calls_have_their_kind(argument: str) -> None:
    """The first noun says which one is wrong."""
    options: dict[str, object] = {argument: 5}
    fish = Session(KEY, **options)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError) as caught:
        fish.wallet  # noqa: B018 - looking is enough
    assert caught.value.argument == argument


async def test_settings_of_calls_reach_them(unused_port: int) -> None:
    """How long, how often, and over whose connections."""
    async with aiohttp.ClientSession() as shared:
        async with Session(
            KEY,
            base_url=f"http://127.0.0.1:{unused_port}",
            timeouts=Timeouts(total_s=9),
            retry=RetryPolicy(attempts=2, base_s=0),
            http_session=shared,
        ) as fish:
            with pytest.raises(ConnectError) as caught:
                await soon(fish.wallet.credit())
        assert caught.value.attempts == 2
        assert not shared.closed


def test_the_public_surface_is_what_it_says() -> None:
    """Every public name is there on purpose, the list is sorted, and it is short."""
    assert fishlive.__all__ == sorted(fishlive.__all__, key=str)
    assert [name for name in dir(fishlive) if not name.startswith("_")] == fishlive.__all__
    assert len(fishlive.__all__) <= 30
    for name in fishlive.__all__:
        assert getattr(fishlive, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        fishlive.Sesion  # type: ignore[attr-defined]  # noqa: B018
