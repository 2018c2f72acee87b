"""Fixtures for tests of *your* bot: a service on this machine that breaks when it is told to.

Named in a ``conftest.py`` at the top of a suite, so that others pay nothing for it; needs the extra
``local``. No key, no network, no particular asyncio plugin::

    pytest_plugins = ["fishlive.testing.plugin"]    # conftest.py

    @pytest.mark.fish_fault("rst@audio:3")
    async def test_a_lost_connection_is_no_lost_caller(fish_session):
        async with fish_session as fish, fish.live() as live:
            with pytest.raises(fishlive.errors.ConnectionLost):
                async for chunk in live.speak("Hello, and welcome."):
                    ...

    def test_my_bot_says_sorry(fish_environment, fish_server):    # FISH_API_KEY, FISH_BASE_URL
        fish_server.play("error@start,max-concurrency=5,times=always")
        assert my_bot.answer("Hi").startswith("Sorry")
        assert fish_server.played["error@start,max-concurrency=5,times=always"] == 3
        fish_server.heal()

Fixtures:
    fish_server: A :class:`~fishlive.testing.background.BackgroundServer` on loopback, in a thread
        of its own, that speaks as fast as it can: ``url``, ``key``, ``play``, ``heal``, ``played``.
    fish_session: A ``fishlive.Session`` that speaks to it; use it with ``async with``.
    fish_environment: The same for whoever reads the environment; the value is the server.
    fish_server_settings: Override it to set what :class:`~fishlive.server.LocalServer` takes, such
        as ``{"profile": "fish-balanced", "concurrency": 5}``.

Marker:
    fish_fault(*specs): What goes wrong in this test, as ``fishlive serve --list-faults`` shows it.
        Markers of a class or module come before those of the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fishlive.session import Session
    from fishlive.testing.background import BackgroundServer

_MARKER = "fish_fault"


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(*specs): what goes wrong on fish_server, such as 'rst@audio:3'"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test with no faults, or that nobody would play: it would pass without meaning it."""
    names = getattr(item, "fixturenames", ())
    if not all(mark.args for mark in item.iter_markers(_MARKER)):
        pytest.fail(f"{_MARKER} without a fault: name one, as in 'rst@audio:3'", pytrace=False)
    if item.get_closest_marker(_MARKER) is not None and "fish_server" not in names:
        pytest.fail(f"{_MARKER} needs fish_server, fish_session or fish_environment", pytrace=False)


@pytest.fixture
def fish_server_settings() -> dict[str, Any]:
    """Return settings of ``fish_server``; override it."""
    return {}


@pytest.fixture
def fish_server(
    request: pytest.FixtureRequest, fish_server_settings: dict[str, Any]
) -> Iterator[BackgroundServer]:
    """Return a server that runs, and plays the faults of the test's markers."""
    from fishlive.testing.background import BackgroundServer

    marked = [spec for mark in request.node.iter_markers(_MARKER) for spec in reversed(mark.args)]
    faults = [*fish_server_settings.get("faults", ()), *reversed(marked)]
    with BackgroundServer(**{**fish_server_settings, "faults": faults}) as server:
        yield server


@pytest.fixture
def fish_session(fish_server: BackgroundServer) -> Session:
    """Return a session with ``fish_server``, not entered."""
    from fishlive.session import Session

    return Session(fish_server.key, base_url=fish_server.url)


@pytest.fixture
def fish_environment(
    fish_server: BackgroundServer, monkeypatch: pytest.MonkeyPatch
) -> BackgroundServer:
    """Return ``fish_server`` after telling the environment of it."""
    monkeypatch.setenv("FISH_API_KEY", fish_server.key)
    monkeypatch.setenv("FISH_BASE_URL", fish_server.url)
    return fish_server
