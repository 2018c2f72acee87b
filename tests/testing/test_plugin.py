"""The pytest plugin, as somebody else's test suite has it: in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fishlive.errors import ConfigError, UsageError
from fishlive.testing.background import BackgroundServer
from tests.cli.command import ROOT, WAIT_S, environment

SUITE = """
import asyncio
import os

import pytest

import fishlive
from fishlive.errors import APIStatusError, FishLiveError


async def spoken(session):
    async with session as fish, fish.live() as live:
        return b"".join([chunk async for chunk in live.speak("Hi there.")])


def test_it_speaks(fish_session):
    assert len(asyncio.run(spoken(fish_session))) > 1000


@pytest.mark.fish_fault("status:402@upgrade,times=always")
def test_a_fault(fish_session, fish_server):
    with pytest.raises(APIStatusError):
        asyncio.run(spoken(fish_session))
    assert fish_server.played["status:402@upgrade,times=always"] >= 1


@pytest.mark.fish_fault("pong@audio:1")
class TestOrder:
    @pytest.mark.fish_fault("text-frame@audio:1", "delay:0@audio:1")
    def test_markers_add_up(self, fish_server):
        assert [str(fault) for fault in fish_server.settings.faults] == [
            "pong@audio:1", "text-frame@audio:1", "delay:0@audio:1"
        ]


def test_at_run_time(fish_environment):
    assert os.environ["FISH_BASE_URL"] == fish_environment.url
    fish_environment.play("finish:error@audio:1,times=always")
    with pytest.raises(FishLiveError):
        asyncio.run(spoken(fishlive.Session()))
    assert fish_environment.played
    fish_environment.heal()
    assert asyncio.run(spoken(fishlive.Session()))
    assert fish_environment.running == 0


class TestSettings:
    @pytest.fixture
    def fish_server_settings(self):
        return {"keys": ("sesame",), "faults": ["pong@audio:1"]}

    @pytest.mark.fish_fault("rst@start")
    def test_settings(self, fish_server):
        assert fish_server.key == "sesame"
        assert len(fish_server.settings.faults) == 2


@pytest.mark.fish_fault("rst@start")
def test_nobody_plays_it():
    pass


@pytest.mark.fish_fault("rst@nowhere")
def test_no_fault(fish_server):
    pass


@pytest.mark.fish_fault()
def test_no_fault_at_all(fish_server):
    pass


@pytest.mark.fish_fault
def test_no_fault_named(fish_server):
    pass
"""


def suite(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a test suite that is not ours."""
    (folder / "test_bot.py").write_text(text, encoding="utf-8")
    options = ("-p", "fishlive.testing.plugin", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", *options, *arguments],
        cwd=folder,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=2 * WAIT_S,
        check=False,
    )


def test_a_suite(tmp_path: Path) -> None:
    """Fixtures and markers work without any asyncio plugin; what cannot be is said."""
    done = suite(tmp_path, SUITE, "-W", "error")
    assert "5 passed, 4 errors" in done.stdout, done.stdout
    assert "fish_fault needs fish_server, fish_session or fish_environment" in done.stdout
    # As a line of its own: where CI is set, pytest's summary repeats the message.
    told = done.stdout.splitlines()
    assert told.count("fish_fault without a fault: name one, as in 'rst@audio:3'") == 2
    assert "faults[0]: fault 'rst@nowhere': no place 'nowhere'" in done.stdout


def test_the_marker_is_told(tmp_path: Path) -> None:
    """``pytest --markers`` knows it."""
    assert "@pytest.mark.fish_fault(*specs): " in suite(tmp_path, "", "--markers").stdout


def test_it_imports_nothing_of_its_own(tmp_path: Path) -> None:
    """The plugin itself brings no server and no network library with it."""
    (tmp_path / "look.py").write_text(
        "import sys, fishlive, pytest; before = set(sys.modules)\n"
        "import fishlive.testing.plugin\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "look.py"], cwd=tmp_path, env=environment(), capture_output=True,
        text=True, timeout=WAIT_S, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "['fishlive.testing', 'fishlive.testing.plugin']"


def test_a_server_in_the_background() -> None:
    """It runs in a ``with`` block, keeps what was played, and can be entered again."""
    server = BackgroundServer(faults=["rst@upgrade"])
    for _ in range(2):
        with server:
            assert server.url.startswith("http://127.0.0.1:")
            assert server.ws_url.startswith("ws://")
            with pytest.raises(UsageError, match="running already"):
                server.__enter__()
        assert server.played == {}
    with pytest.raises(ConfigError, match="no place 'never'"):
        server.play("rst@never")


def test_a_server_that_cannot_start(unused_port: int) -> None:
    """What keeps it from starting is raised to whoever enters it."""
    with BackgroundServer(port=unused_port):
        second = BackgroundServer(port=unused_port)
        with pytest.raises(ConfigError, match="cannot listen on"), second:
            pass


def test_the_readmes_suite_is_one(tmp_path: Path) -> None:
    """Copied into a file it is collected: it imports what it uses."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(# conftest.py.*?)^```", readme, re.DOTALL | re.MULTILINE)
    done = suite(tmp_path, block, "--collect-only")

    assert "1 test collected" in done.stdout, done.stdout
