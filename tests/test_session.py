"""session.py: settings that cannot be wrong in silence."""

from __future__ import annotations

import ssl
import traceback

import pytest

import fishlive
from fishlive.errors import ConfigError, StreamClosedError
from fishlive.session import Session
from tests.live.service import Service, open_channel

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


def test_the_public_surface_is_what_it_says() -> None:
    """Every public name is exported on purpose, the list is sorted, and it is short."""
    public = {
        name
        for name, value in vars(fishlive).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") != ""
        and not hasattr(value, "__path__")
    }
    submodules = {"errors", "limits", "secret", "session"}
    assert fishlive.__all__ == sorted(fishlive.__all__, key=str)
    assert public - submodules <= set(fishlive.__all__)
    assert len(fishlive.__all__) <= 30
