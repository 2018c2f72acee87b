"""``fishlive design``: files that are whole, or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fishlive.cli.exits import ExitCode
from tests.cli.command import call, names
from tests.rest.canned import answering
from tests.rest.test_voice_design import ANSWER, WAV


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FISH_API_KEY", "sesame")


async def test_each_candidate_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are numbered from 1, and the table names them."""
    prefix = str(tmp_path / "voice")
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        code = await call(
            "design", "warm", "-o", prefix, "--say", "Hi.", "--seed", "7", "--base-url", url
        )

    shown = capsys.readouterr()
    assert (code, shown.err) == (ExitCode.DONE, "")
    assert names(tmp_path) == ["voice-1.wav", "voice-2.wav"]
    assert (tmp_path / "voice-1.wav").read_bytes() == WAV
    assert f"{prefix}-2.wav" in shown.out
    assert asked[0].json == {"instruction": "warm", "reference_text": "Hi.", "n": 2, "seed": 7}


async def test_json_names_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts learn where each is; nobody's words or sound are in it."""
    async with answering(lambda _: (200, ANSWER)) as (url, _):
        await call("design", "warm", "-o", str(tmp_path / "v"), "--json", "--base-url", url)

    first = json.loads(capsys.readouterr().out)["candidates"][0]
    assert first == {
        "file": str(tmp_path / "v-1.wav"),
        "id": "c0",
        "index": 0,
        "sample_rate_hz": 44100,
        "duration_s": 2.5,
        "text": "Welcome.",
        "language": None,
    }


@pytest.mark.parametrize("taken", ["voice-2.wav", "voice-2.wav.part"])
async def test_nothing_is_paid_for_files_that_cannot_be(
    taken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the way is seen before anything is asked, and stays as it is."""
    (tmp_path / taken).write_bytes(b"precious")
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        code = await call("design", "warm", "-o", str(tmp_path / "voice"), "--base-url", url)

    assert code == ExitCode.USAGE
    assert asked == []
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / taken).read_bytes() == b"precious"


async def test_force_replaces(tmp_path: Path) -> None:
    """With --force the new files take the place of the old."""
    (tmp_path / "voice-1.wav").write_bytes(b"old")
    async with answering(lambda _: (200, ANSWER)) as (url, _):
        code = await call("design", "warm", "-o", str(tmp_path / "voice"), "-f", "--base-url", url)

    assert code == ExitCode.DONE
    assert (tmp_path / "voice-1.wav").read_bytes() == WAV


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["design", "", "-o", "v"], "the description must be"),
        (["design", "warm", "-o", "v", "--say", "x" * 151], "--say must be"),
        (["design", "warm", "-o", "v", "--speed", "9"], "--speed must be"),
        (["design", "warm", "-o", "v", "-n", "9"], "'--count'"),
        (["design", "warm", "-o", "no/v"], "there is no folder no"),
        (["design", "warm", "-o", "v", "--language", "Klingon, please"], "--language must be"),
    ],
)
async def test_what_is_wrong_names_the_option(
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line with the option, exit code 2, and no file."""
    monkeypatch.chdir(tmp_path)
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        assert await call(*arguments, "--base-url", url) == ExitCode.USAGE

    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert what in shown.err
    assert asked == []
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "document", "code"),
    [
        (402, {"status": 402, "message": "no credit"}, ExitCode.DENIED),
        (200, {"candidates": []}, ExitCode.FAILED),
        (200, {"candidates": [{"id": "c"}]}, ExitCode.FAILED),
    ],
)
async def test_without_voices_there_is_no_file(
    status: int, document: object, code: ExitCode, tmp_path: Path
) -> None:
    """A refusal, or an answer without sound, leaves nothing behind."""
    async with answering(lambda _: (status, document)) as (url, _):
        assert await call("design", "warm", "-o", str(tmp_path / "v"), "--base-url", url) == code
    assert names(tmp_path) == []
