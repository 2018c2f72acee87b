"""Options of a load test with Locust."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fishlive.bench.swarm_options import AHEAD_S, Settings, add_options, base_url, check_writable
from fishlive.errors import ConfigError


class Parser:
    """Locust's, as far as it is used."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser()
        self.actions: list[argparse.Action] = []
        self.variables: list[str] = []

    def add_argument_group(self, title: str, text: str) -> Any:
        """Return a group that takes what configargparse takes."""
        assert title
        assert text
        return self

    def add_argument(self, flag: str, *, env_var: str, **given: Any) -> argparse.Action:
        """Take an option."""
        self.variables.append(env_var)
        self.actions.append(self.parser.add_argument(flag, **given))
        return self.actions[-1]


def parsed(*arguments: str) -> argparse.Namespace:
    """Return Locust's options."""
    parser = Parser()
    add_options(parser)
    return parser.parser.parse_args(arguments)


def settings(*arguments: str) -> Settings:
    """Return what a command line comes to."""
    return Settings.of(parsed(*arguments))


def test_the_defaults_are_those_of_the_command() -> None:
    """A cold picows socket, PCM, sixty tokens a second; no load, which the master knows."""
    found = settings().combination({})

    assert (found.transport, found.socket, found.format) == ("picows", "cold", "pcm")
    assert (found.stream, found.voice, found.chunk_length) == ("60", None, 100)
    assert (found.concurrency, found.rate) == (None, None)


def test_every_option_has_a_variable_and_none_is_the_key() -> None:
    """FISHLIVE_… for each; the key is FISH_API_KEY's alone."""
    parser = Parser()
    add_options(parser)

    assert "FISHLIVE_PACING" in parser.variables
    assert not [name for name in parser.variables if "KEY" in name]
    assert all(name.startswith("FISHLIVE_") for name in parser.variables)


def test_the_page_does_not_ask_for_files() -> None:
    """What names a file of the machine is the command line's."""
    parser = Parser()
    add_options(parser)
    hidden = {a.dest for a in parser.actions if not getattr(a, "include_in_web_ui", True)}

    assert hidden == {"fishlive_workload", "fishlive_json", "fishlive_force"}


def test_a_class_may_differ() -> None:
    """Its own options go before the command line's, and are checked alike."""
    given = settings("--fishlive-latency", "low", "--fishlive-chunk-length", "default")

    found = given.combination({"format": "mp3"})
    assert (found.format, found.latency, found.chunk_length) == ("mp3", "low", None)
    with pytest.raises(ConfigError, match="no such option: fromat"):
        given.combination({"fromat": "mp3"})


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("chunk-length", "many", "a number of characters"),
        ("chunk-length", "99", "from 100 to 300"),
        ("pacing", "-1", "a number of seconds, from 0"),
        ("utterances", "-1", "a number of utterances, from 0"),
        ("warmup", "-1", "warmup is a number"),
        ("timeout", "0", "a number of seconds over 0"),
        ("stream", "slow", "is none of whole"),
        ("stream", "recorded", "every prompt has tokens"),
        ("model", "s3", "model s3 is unknown"),
        ("workload", "nowhere.txt", "cannot read nowhere.txt"),
    ],
)
def test_values_that_cannot_be_are_refused(option: str, value: str, why: str) -> None:
    """Before anything is sent, with what is wrong."""
    with pytest.raises(ConfigError, match=why):
        settings(f"--fishlive-{option}", value)


def test_what_the_page_sends_is_text() -> None:
    """Numbers from its form are read, and what is none is refused."""
    options = parsed()
    options.fishlive_pacing = "2.5"
    assert Settings.of(options).pacing_s == 2.5

    options.fishlive_pacing = "often"
    with pytest.raises(ConfigError, match="not a number"):
        Settings.of(options)


@pytest.mark.parametrize(
    ("environment", "host", "url"),
    [
        ({}, None, "https://api.fish.audio"),
        ({"FISH_BASE_URL": "https://one.example"}, None, "https://one.example"),
        ({"FISH_BASE_URL": "https://one.example"}, "https://two.example/", "https://two.example"),
    ],
)
def test_the_host_goes_before_the_environment(
    environment: Mapping[str, str], host: str | None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--host, else FISH_BASE_URL, else the service."""
    monkeypatch.delenv("FISH_BASE_URL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert base_url(host) == url


def test_a_standby_socket_is_ordered_in_time() -> None:
    """It is opened a second before it is wanted; otherwise a twentieth is enough."""
    given = settings()

    assert given.ahead_s(given.combination({})) == AHEAD_S
    assert given.ahead_s(given.combination({"socket": "standby"})) == 1.0


def test_the_result_says_what_was_asked_for() -> None:
    """Utterances of all users, and what the plan has."""
    found = settings("--fishlive-utterances", "5", "--fishlive-seed", "7").config(
        target="https://one.example", users=4, time_s=None
    )

    assert (found.target, found.runs, found.seed, found.max_in_flight) == (
        "https://one.example",
        20,
        7,
        4,
    )
    assert settings().config(target="x", users=4, time_s=60.0).runs is None


def test_a_file_that_cannot_be_written_is_refused() -> None:
    """A folder, or one that is not there."""
    for path in ("/", "no/such/folder.json"):
        with pytest.raises(ConfigError, match="cannot write"):
            check_writable(path)


def test_a_device_is_no_file_in_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written to also where nobody but root may make files."""
    monkeypatch.setattr("os.access", lambda *_: False)
    assert check_writable(os.devnull) == Path(os.devnull)


def test_a_file_is_replaced_only_if_told(tmp_path: Path) -> None:
    """As with the command."""
    path = tmp_path / "all.json"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="exists: choose another name, or use --fishlive-force"):
        check_writable(str(path))
    assert check_writable(str(path), force=True) == path
