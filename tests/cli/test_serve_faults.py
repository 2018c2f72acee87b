"""``fishlive serve --fault``: lines or a file say what goes wrong; it is told as it happens."""

from __future__ import annotations

import http.client
import os
import re
import signal
from pathlib import Path
from typing import IO

import pytest

from fishlive.cli.exits import ExitCode
from fishlive.cli.serve_faults import HOW
from fishlive.faults import Fault
from tests.cli.command import WAIT_S, call, started


def _host(stdout: IO[bytes]) -> str:
    """Return where a server says that it listens."""
    return stdout.readline().decode().split()[2].rstrip(",").removeprefix("http://")


def _status(host: str) -> int:
    """Return the status of one call."""
    connection = http.client.HTTPConnection(host, timeout=WAIT_S)
    connection.request("GET", "/model", headers={"Authorization": "Bearer local"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
def test_faults_are_played(tmp_path: Path) -> None:
    """Lines and a file are played, the file first, and each is said when it happens."""
    (tmp_path / "chaos.json").write_text('["status:503@upgrade,on=rest"]')
    options = ("--fault", "status:418@upgrade", "--faults", "chaos.json")
    with started("serve", "--port", "0", *options, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        host = _host(process.stdout)
        seen = [_status(host) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == ExitCode.DONE
        said = process.stderr.read().decode().splitlines()
    assert seen == [503, 418, 200]
    assert said == [
        "fishlive: played status:503@upgrade,on=rest",
        "fishlive: played status:418@upgrade",
        "fishlive: stopped",
    ]


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
def test_a_fault_can_be_played_every_time(tmp_path: Path) -> None:
    """It happens once unless it says ``times=always``, and only where ``on`` says."""
    options = ("--fault", "status:418@upgrade,times=always,on=rest")
    with started("serve", "--port", "0", *options, cwd=tmp_path) as process:
        assert process.stdout is not None
        host = _host(process.stdout)
        seen = [_status(host) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == ExitCode.DONE
    assert seen == [418, 418, 418]


def test_the_examples_are_faults() -> None:
    """What ``--list-faults`` shows to be copied can be played."""
    examples = re.findall(r"--fault (\S+)", HOW)

    assert [str(Fault.parse(example)).count("@") for example in examples] == [1, 1, 1]


async def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """``--list-faults`` shows one line for each kind, then what they share; it starts nothing."""
    assert await call("serve", "--list-faults") == ExitCode.DONE
    table, shared = capsys.readouterr().out.split("\n\n")
    assert all(f",{option}=" in shared for option in ("times", "every", "connection", "on"))
    shown = table.splitlines()
    assert any(line.startswith("close[:code]@upgrade|start") for line in shown)
    assert any(line.startswith("message:truncated@audio ") for line in shown)
    assert all(len(line.split("  ", 1)) == 2 for line in shown)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--fault", "rst@nowhere"), "--fault 'rst@nowhere': no place 'nowhere'"),
        (("--faults", "bad.json"), "--faults: bad.json: faults[1]: fault 'x': no place ''"),
        (("--faults", "none.json"), "none.json: No such file"),
        (("--faults", "bytes.json"), "is no text"),
    ],
)
async def test_what_cannot_be_is_said(
    options: tuple[str, str],
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line names the option, the file, the fault and the part of it."""
    (tmp_path / "bad.json").write_text('["rst@start", "x"]')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe[]")
    monkeypatch.chdir(tmp_path)
    assert await call("serve", "--port", "0", *options) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert part in shown
    assert shown.count("\n") == 1
