"""``fishlive doctor``: the first thing that does not work is the exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fishlive.cli.exits import ExitCode
from fishlive.cli.report import Report
from fishlive.server import LocalServer
from tests.cli.command import call, finished
from tests.rest.canned import answering

KEY = "sesame-opens-nothing"
EVERYTHING = ["key", "address", "dns", "tcp", "tls", "websocket", "live", "account"]


def results(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what was written, with the checks' results by their names; fail if the key shows."""
    shown = capsys.readouterr()
    assert KEY not in shown.out + shown.err
    document: dict[str, Any] = json.loads(shown.out)
    document["results"] = {check["name"]: check["result"] for check in document["checks"]}
    return document


def test_the_local_server_is_in_order(tmp_path: Path) -> None:
    """Without a key and without a network, all of it works, and speaks."""
    done = finished("doctor", "--local", "--speak", cwd=tmp_path)

    shown = done.stdout.decode()
    assert (done.returncode, done.stderr) == (ExitCode.DONE, b""), shown
    assert [line.split()[0] for line in shown.splitlines()[1:10]] == [*EVERYTHING, "speech"]
    assert "failed" not in shown
    assert shown.endswith("nothing: all of it works\n")


async def test_scripts_see_every_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checks, times, tier and versions have the same keys always; the key is nowhere."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    async with LocalServer(keys=(KEY,), concurrency=15, credit=2.5) as server:
        assert await call("doctor", "--json", "--base-url", server.url) == ExitCode.DONE

    found = results(capsys)
    assert list(found["results"]) == EVERYTHING
    assert (found["ok"], found["exit_code"], found["key_from"]) == (True, 0, "FISH_API_KEY")
    assert (found["concurrency"]["limit"], found["tier"]) == (15, "from $100 paid in")
    assert float(found["credit_usd"]) == 2.5
    assert found["results"]["tls"] == "skipped"
    assert {"fishlive", "python", "picows"} <= set(found["versions"])
    times = {c["name"]: c["seconds"] for c in found["checks"] if c["seconds"] is not None}
    assert set(times) == {"dns", "tcp", "websocket"}


async def test_a_wrong_key_is_told_from_a_dead_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network is fine, the key is not: exit code 3, and no more is asked with it."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    async with LocalServer() as server:
        assert await call("doctor", "--json", "--base-url", server.url) == ExitCode.DENIED

    found = results(capsys)
    assert found["results"]["tcp"] == "ok"
    assert found["results"]["websocket"] == "failed"
    assert found["results"]["account"] == "skipped"
    assert "set FISH_API_KEY" in found["to_do"]


async def test_without_a_key_the_network_is_still_looked_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is asked for that would need one."""
    async with answering(lambda _: (500, {})) as (url, asked):
        assert await call("doctor", "--json", "--base-url", url) == ExitCode.USAGE

    found = results(capsys)
    assert found["key_from"] is None
    assert found["results"]["tcp"] == "ok"
    assert found["results"]["websocket"] == "skipped"
    assert asked == []


async def test_a_dead_host_fails_where_it_is_dead(
    unused_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A connection that is refused is exit code 4; what needs it is not tried."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    url = f"http://127.0.0.1:{unused_port}"
    assert await call("doctor", "--json", "--base-url", url) == ExitCode.NETWORK

    found = results(capsys)
    assert found["results"]["tcp"] == "failed"
    assert [found["results"][name] for name in EVERYTHING[4:]] == ["skipped"] * 4


async def test_what_is_no_service_fails_at_the_upgrade(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A web server of another kind answers, but opens no WebSocket."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    async with answering(lambda _: (200, {})) as (url, _):
        assert await call("doctor", "--json", "--base-url", url) == ExitCode.NETWORK

    assert results(capsys)["results"]["websocket"] == "failed"


async def test_an_account_without_credit_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The upgrade is refused for want of credit; the account is still asked, and says how much."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    async with LocalServer(keys=(KEY,), credit=0.0) as server:
        assert await call("doctor", "--json", "--base-url", server.url) == ExitCode.DENIED

    found = results(capsys)
    assert found["results"]["websocket"] == "failed"
    assert found["results"]["account"] == "warning"
    assert float(found["credit_usd"]) == 0
    assert "top up" in found["to_do"]


@pytest.mark.parametrize("url", ["http://example.com", "ftp://x", "https://"])
async def test_an_address_that_cannot_be_one_is_said(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is opened, and above all no key is shown to the network."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    assert await call("doctor", "--json", "--base-url", url) == ExitCode.USAGE

    found = results(capsys)
    assert found["results"] == {"key": "ok", "address": "failed"}
    assert found["base_url"] is None


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
async def test_a_key_file_is_read_as_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that others may read is refused; a good one works, and is named as the source."""
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    async with LocalServer(keys=(KEY,)) as server:
        where = ("doctor", "--json", "--key-file", str(file), "--base-url", server.url)
        assert await call(*where) == ExitCode.USAGE
        assert "chmod 600" in results(capsys)["to_do"]
        file.chmod(0o600)
        assert await call(*where) == ExitCode.DONE
    assert results(capsys)["key_from"] == "--key-file"


async def test_another_host_and_a_proxy_are_pointed_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A look-alike address and a proxy that is not used are warnings, and no failures."""
    monkeypatch.setenv("FISH_API_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    await call("doctor", "--json", "--base-url", "https://a..invalid")

    found = results(capsys)
    assert found["results"]["address"] == found["results"]["proxy"] == "warning"
    assert found["results"]["dns"] == "failed"


async def test_local_excludes_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    """Two services at once are a usage error."""
    assert await call("doctor", "--local", "--base-url", "http://127.0.0.1") == ExitCode.USAGE
    assert "leave one side out" in capsys.readouterr().err


LIMIT, RUNNING = "ratelimit-limit-concurrency", "ratelimit-current-concurrency"


@pytest.mark.parametrize(
    ("headers", "limit", "running", "tier"),
    [
        ({}, None, None, None),
        ({LIMIT: "5"}, 5, None, "under $100 paid in"),
        ({LIMIT: "50", RUNNING: "3"}, 50, 3, "from $1000 paid in"),
        ({LIMIT: "120"}, 120, None, "by contract"),
        ({LIMIT: "many"}, None, None, None),
        ({LIMIT: "-5"}, None, None, None),
    ],
)
def test_the_tier_is_what_the_limit_says(
    headers: dict[str, str], limit: int | None, running: int | None, tier: str | None
) -> None:
    """Headers that are no numbers say nothing."""
    report = Report()
    report.hear(headers)

    assert (report.limit, report.running, report.tier) == (limit, running, tier)
