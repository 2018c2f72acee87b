"""``fishlive task``: speech through a gateway, from the shell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fishlive.cli.exits import ExitCode
from fishlive.cli.ledger import Ledger
from fishlive.gateways import tasks
from fishlive.server import LocalServer
from tests.cli.command import call
from tests.rest.canned import answering


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", "local")
    monkeypatch.setenv("XHUOAPI_API_TOKEN", "local")
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(tasks, "LEAST_POLL_S", 0.001)


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Return a server that plays the gateways."""
    async with LocalServer() as running:
        yield running


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return the JSON on standard output."""
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("gateway", ["acedata", "xhuo"])
async def test_a_text_becomes_a_file(
    gateway: str, server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Submitted, waited for, downloaded; its id is in the list."""
    out = tmp_path / "a.mp3"
    code = await call(
        "task", "submit", "Hello there.", "-g", gateway, "-o", str(out), "--json",
        "--base-url", server.url,
    )  # fmt: skip
    assert code == ExitCode.DONE
    found = shown(capsys)
    assert found["state"] == "succeeded"
    assert out.stat().st_size > 5000
    assert await call("task", "list", "--json") == ExitCode.DONE
    listed = shown(capsys)["tasks"]
    assert [(one["id"], one["gateway"]) for one in listed] == [(found["id"], gateway)]


async def test_a_task_is_taken_up_in_another_command(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the id goes from one to the other."""
    where = ("--base-url", server.url, "--json")
    assert await call("task", "submit", "Hello there.", *where) == ExitCode.DONE
    task_id = shown(capsys)["id"]
    assert await call("task", "wait", task_id, "-o", str(tmp_path / "a.mp3"), *where) == 0
    assert shown(capsys)["audio_url"].endswith(".mp3")
    assert await call("task", "status", task_id, *where) == ExitCode.DONE
    assert shown(capsys)["state"] == "succeeded"
    assert await call("task", "status", "nobody", *where) == ExitCode.DONE
    assert shown(capsys)["state"] == "unknown"


@pytest.mark.parametrize("more", [[], ["--wait"]])
async def test_a_gateway_that_answers_at_once_is_shown_at_once(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Older backends know no ``async``: what was paid for is shown; there is no task to list."""
    out = str(tmp_path / "a.mp3")
    async with LocalServer(era="2026-05") as server:
        where = ("--base-url", server.url, "--json")
        assert await call("task", "submit", "Hello.", *more, *where) == ExitCode.DONE
        found = shown(capsys)
        assert (found["id"], found["state"]) == (None, "succeeded")
        assert found["audio_url"].endswith(".mp3")
        assert await call("task", "submit", "Hello.", "-o", out, *where) == ExitCode.DONE
    assert Path(out).stat().st_size > 1000
    assert Ledger().newest(9) == []


async def test_advice_is_of_these_commands(
    monkeypatch: pytest.MonkeyPatch, unused_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """No option is named that they do not have."""
    async with LocalServer() as server:
        monkeypatch.setenv("XHUOAPI_API_TOKEN", "hush-hush")
        where = ("-g", "xhuo", "--base-url", server.url)
        assert await call("task", "submit", "x", *where) == ExitCode.DENIED
    assert await call("task", "status", "../x") == ExitCode.USAGE
    nobody = f"http://127.0.0.1:{unused_port}"
    assert await call("task", "status", "x", "--base-url", nobody) == ExitCode.NETWORK
    monkeypatch.setenv("XHUOAPI_API_TOKEN", "with a line end\n")
    assert await call("task", "status", "x", "-g", "xhuo") == ExitCode.USAGE
    monkeypatch.delenv("XHUOAPI_API_TOKEN")
    assert await call("task", "status", "x", "-g", "xhuo") == ExitCode.USAGE
    denied, wrong_id, network, no_token, missing = capsys.readouterr().err.splitlines()
    assert denied.endswith("set XHUOAPI_API_TOKEN, or use --token-file FILE")
    assert missing.endswith("no token: set XHUOAPI_API_TOKEN, or use --token-file FILE")
    assert wrong_id.endswith("error: the id is none that there can be")
    assert network.endswith("check the network, and --base-url")
    assert "the token: " in no_token


async def test_a_wait_that_is_too_short_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 1, and the command to take it up again."""
    async with answering(lambda _: (200, {"id": "t", "request": {}})) as (url, _):
        code = await call("task", "wait", "t", "--timeout", "0.1", "--base-url", url)
    assert code == ExitCode.FAILED
    said = capsys.readouterr().err
    assert f"it goes on: `fishlive task wait t --gateway acedata --base-url {url}`" in said


async def test_a_task_nobody_knows_is_not_said_to_go_on(
    server: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is new, or its id is wrong: exit code 1, and both are said."""
    where = ("--timeout", "0.1", "--base-url", server.url)
    assert await call("task", "wait", "nonexistent", *where) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert "acedata knows no task nonexistent after 0.1 s: check the id" in said
    assert "goes on" not in said


async def test_a_pipe_gets_the_id_alone(
    server: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a script can keep it: ``id=$(fishlive task submit …)``."""
    assert await call("task", "submit", "Hello.", "--base-url", server.url) == ExitCode.DONE
    assert capsys.readouterr().out == f"{Ledger().newest(1)[0].id}\n"


async def test_a_failed_task_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with the gateway's reason."""
    record = {"id": "t", "request": {}, "finished_at": 1.0}
    record["response"] = {"success": False, "error": {"code": "api_error", "message": "no luck"}}
    async with answering(lambda _: (200, record)) as (url, _):
        assert await call("task", "wait", "t", "--base-url", url) == ExitCode.FAILED
    said = capsys.readouterr()
    assert (said.out, "no luck" in said.err, said.err.count("\n")) == ("", True, 1)


async def test_a_wrong_token_is_one_line(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3; the token is nowhere."""
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", "hush-hush")
    code = await call("task", "submit", "x", "--base-url", server.url)
    said = capsys.readouterr()
    assert code == ExitCode.DENIED
    assert "hush" not in said.out + said.err


async def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No token, no text, a file in the way: exit code 2, before anything is sent."""
    (tmp_path / "a.mp3").touch()
    assert await call("task", "submit", "x", "-o", str(tmp_path / "a.mp3")) == ExitCode.USAGE
    assert await call("task", "submit", " ") == ExitCode.USAGE
    assert await call("task", "status", "../x") == ExitCode.USAGE
    monkeypatch.delenv("ACEDATACLOUD_API_TOKEN")
    assert await call("task", "submit", "x") == ExitCode.USAGE
    assert "ACEDATACLOUD_API_TOKEN" in capsys.readouterr().err


async def test_the_list_holds_ids_only(
    server: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """For your eyes only, and without what was said."""
    for text in ("first secret", "second secret"):
        await call("task", "submit", text, "--base-url", server.url)
    file = Ledger().path
    assert file.stat().st_mode & 0o077 == 0
    assert "secret" not in file.read_text()
    file.write_text(file.read_text() + "rubbish\n{}\n")
    capsys.readouterr()
    assert await call("task", "list") == ExitCode.DONE
    assert capsys.readouterr().out.count("acedata") == 2


async def test_an_empty_list_is_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody submitted anything yet."""
    assert await call("task", "list", "--json") == ExitCode.DONE
    assert shown(capsys) == {"tasks": []}
