"""``fishlive webhook listen``: shows what arrives, and keeps nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
from pathlib import Path

import pytest

from fishlive.cli.exits import ExitCode
from fishlive.cli.webhook import _line
from fishlive.webhooks.listening import Arrival, listening
from tests.cli.command import WAIT_S, call, started

DONE = {"task_id": "t1", "audio_url": "https://cdn.example/a.mp3"}
NO = {"success": False, "task_id": "t2", "error": {"code": "api_error", "message": "no\x1b[2Jluck"}}


def post(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """Post a body; return what is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
@pytest.mark.parametrize("as_json", [False, True])
def test_callbacks_are_shown_as_they_come(*, as_json: bool, tmp_path: Path) -> None:
    """A line each; the query, which may be a secret, and control characters are not in it."""
    options = ["--json"] if as_json else []
    with started("webhook", "listen", "--port", "0", *options, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stderr.readline().decode().split(":")[3].split()[0])
        bodies = (json.dumps(DONE).encode(), json.dumps(NO).encode(), b"\xff{")
        answers = {post(port, "/hook?token=secret", body) for body in bodies}
        lines = [process.stdout.readline().decode() for _ in bodies]
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == ExitCode.DONE
    assert answers == {(200, b'{"received":true}')}
    assert not any("secret" in line or "\x1b" in line for line in lines)
    if as_json:
        said = [json.loads(line) for line in lines]
        assert [one["task_id"] for one in said] == ["t1", "t2", None]
        assert said[0]["audio_url"] == DONE["audio_url"]
        return
    assert "t1 succeeded https://cdn.example/a.mp3" in lines[0]
    assert "t2 failed" in lines[1]
    assert "unreadable" in lines[2]


@pytest.mark.skipif(os.name == "nt", reason="there are no broken pipes there")
def test_it_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """As with ``| head -1``: the sender is answered as ever, and nothing is said about it."""
    with started("webhook", "listen", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stderr.readline().decode().split(":")[3].split()[0])
        post(port, "/hook", json.dumps(DONE).encode())
        assert b"t1 succeeded" in process.stdout.readline()
        process.stdout.close()
        assert post(port, "/hook", json.dumps(NO).encode())[0] == 200
        assert process.wait(WAIT_S) == ExitCode.READER_GONE
        assert process.stderr.read() == b""


def test_a_path_cannot_forge_lines() -> None:
    """Line ends in what a stranger sent stay in its own line."""
    arrival = Arrival("POST", "/x\nPOST /y, 2 bytes: t9 succeeded\x1b[2J", 2, "t1", "failed")
    line = _line(arrival, as_json=False)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


async def test_a_taken_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the option to change."""
    async with listening("127.0.0.1", 0, lambda _: None) as url:
        port = url.rpartition(":")[2]
        assert await call("webhook", "listen", "--port", port) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("fishlive: error: --port: cannot listen on")
