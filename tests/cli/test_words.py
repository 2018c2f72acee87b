"""What is wrong is said in words of the command line, not in those of a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishlive.bench.files import write_result
from fishlive.cli.exits import ExitCode
from fishlive.server import LocalServer
from tests.bench.samples import result
from tests.cli.command import call

REAL = "0123456789abcdef" * 2
FAR = "http://10.1.2.3"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("serve", "--host", "0.0.0.0"),
            "--host: 0.0.0.0 lets other machines in: use --allow-remote",
        ),
        (("serve", "--key", REAL), "--key: a key looks like a real one"),
        (("serve", "--key", REAL), "or use --accept-any-key"),
        (
            ("say", "x", "-o", "x.wav", "--base-url", FAR),
            "--base-url is http:// to another machine",
        ),
        (("say", "x", "-o", "x.wav", "--base-url", FAR), "to the network; use https://\n"),
        (("task", "status", "x", "--base-url", FAR), "sees it; use https://\n"),
        (("bench", "--url", "https://u:p@h/?q"), "the key goes into FISH_API_KEY, or a --key-file"),
        (("task", "submit", "no.txt"), "pipe them: `fishlive task submit -`"),
        (("say", "no.txt", "-o", "x.wav"), "pipe them: `fishlive say -`"),
        (("task", "status", "a/b"), "error: the id is none that there can be\n"),
        (("bench", "--arrivals", "foo"), "'--arrivals': 'foo' is not one of 'even', 'poisson'"),
        (("bench", "--latency", "lo"), "--latency: lo is none of low, balanced, normal, default"),
        (("bench", "--latency", "lo"), "(did you mean low?)"),
        (("bench", "--transport", "x"), "--transport: x is none of picows, aiohttp, rest, sse\n"),
        (("bench", "show", "broken.json"), "broken.json is broken: not an HDR histogram"),
    ],
)
async def test_an_option_is_named_as_it_is_typed(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, with nothing in it that only a program could write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FISH_API_KEY", "k")
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", "t")
    made = result([0.1])
    made.cells[0].histograms["latency_s"] = "x"  # type: ignore[index]  # a dict, by us
    write_result(made, tmp_path / "broken.json")

    assert await call(*arguments) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not any(word in shown for word in ("=True", "base_url", "api_key", "--histograms"))


async def test_an_address_that_leads_nowhere_is_one_of_two_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is found, either the voice or the address can be wrong."""
    monkeypatch.setenv("FISH_API_KEY", "local")
    async with LocalServer() as server:
        where = ("--base-url", f"{server.url}/base", "-o", str(tmp_path / "x.wav"))
        assert await call("say", "x", *where) == ExitCode.USAGE
    assert capsys.readouterr().err.endswith("check --voice, and --base-url\n")
