"""``fishlive transcribe``: text, subtitles or JSON, and files that are whole."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fishlive.cli.exits import ExitCode
from fishlive.limits import MIB
from tests.cli.command import WAIT_S, call, command, environment, names
from tests.rest.canned import answering

WORDS = ["The", "ferry", "leaves", "at", "eight.", "Nobody", "knows."]
ANSWER: dict[str, Any] = {
    "text": "The ferry leaves at eight. Nobody knows.",
    "duration": 3.5,
    "segments": [
        {"text": word, "start": at * 0.5, "end": at * 0.5 + 0.5} for at, word in enumerate(WORDS)
    ],
    "language": "English",
    "language_code": "en",
}
SRT = (
    "1\n00:00:00,000 --> 00:00:02,500\nThe ferry leaves at eight.\n\n"
    "2\n00:00:02,500 --> 00:00:03,500\nNobody knows.\n\n"
)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a file; we are somebody with a key."""
    monkeypatch.setenv("FISH_API_KEY", "sesame")
    file = tmp_path / "in.wav"
    file.write_bytes(b"RIFF-the-recording" * 1000)
    return str(file)


async def test_text_is_the_default(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but what was said is on standard output, and no times are asked for."""
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        code = await call("transcribe", recording, "--language", "en", "--base-url", url)

    shown = capsys.readouterr()
    assert (code, shown.err) == (ExitCode.DONE, "")
    assert shown.out == "The ferry leaves at eight. Nobody knows.\n"
    assert asked[0].path == "/v1/asr"
    assert b"RIFF-the-recording" in asked[0].body
    assert asked[0].headers["model"] == "transcribe-1"


async def test_subtitles_go_where_the_name_says(recording: str, tmp_path: Path) -> None:
    """A name that ends in .srt or .vtt is enough."""
    async with answering(lambda _: (200, ANSWER)) as (url, _):
        for name in ("out.srt", "out.vtt"):
            out = str(tmp_path / name)
            assert await call("transcribe", recording, "-o", out, "--base-url", url) == 0

    assert (tmp_path / "out.srt").read_text(encoding="utf-8") == SRT
    assert (tmp_path / "out.vtt").read_text(encoding="utf-8").startswith("WEBVTT\n\n00:00:00.000")
    assert names(tmp_path) == ["in.wav", "out.srt", "out.vtt"]


async def test_json_has_the_same_keys_always(
    recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times are seconds; nothing else is on standard output."""
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        await call(
            "transcribe", recording, "--json", "--model", "transcribe-1-pro", "--base-url", url
        )

    found = json.loads(capsys.readouterr().out)
    keys = ["text", "duration_s", "language", "language_code", "segments", "speaker_turns"]
    assert list(found) == keys
    assert found["duration_s"] == 3.5
    assert found["segments"][0] == {"text": "The", "start_s": 0.0, "end_s": 0.5}
    assert asked[0].headers["model"] == "transcribe-1-pro"


async def test_silence_is_no_failure(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is said, the subtitles are empty."""
    silence = {"text": "", "duration": 5.0, "segments": []}
    async with answering(lambda _: (200, silence)) as (url, _):
        assert await call("transcribe", recording, "--vtt", "--base-url", url) == ExitCode.DONE
    assert capsys.readouterr().out == "WEBVTT\n\n"


async def test_words_without_times_make_no_subtitles(
    recording: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times are never invented: exit code 1, one line, and no file."""
    untimed = {"text": "Hello.", "duration": 5.0, "segments": []}
    async with answering(lambda _: (200, untimed)) as (url, _):
        out = str(tmp_path / "out.srt")
        assert await call("transcribe", recording, "-o", out, "--base-url", url) == 1
    assert "no times for the words" in capsys.readouterr().err
    assert names(tmp_path) == ["in.wav"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["missing.wav"], "missing.wav"),
        (["."], "the file: "),
        (["empty.wav"], "the file: "),
        (["in.wav", "--srt", "--json"], "leave all but one out"),
        (["in.wav", "-o", "taken.srt"], "taken.srt exists"),
        (["in.wav", "-o", "no/folder.srt"], "no/folder.srt"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    recording: str,
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, exit code 2, no request, and no file is made or changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "taken.srt").write_text("precious")
    before = names(tmp_path)
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        assert await call("transcribe", *arguments, "--base-url", url) == ExitCode.USAGE

    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert what in shown.err
    assert (asked, names(tmp_path)) == ([], before)
    assert (tmp_path / "taken.srt").read_text() == "precious"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
async def test_a_file_we_may_not_read_is_said(
    recording: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a usage error, and nothing is sent."""
    (tmp_path / "in.wav").chmod(0)
    async with answering(lambda _: (200, ANSWER)) as (url, asked):
        assert await call("transcribe", recording, "--base-url", url) == ExitCode.USAGE
    assert asked == []
    assert "the file: " in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="no pseudo terminals there")
async def test_a_terminal_sees_a_large_upload_and_a_pipe_only_text(
    recording: str, tmp_path: Path
) -> None:
    """The bar is on standard error; standard output is the transcript alone."""
    (tmp_path / "in.wav").write_bytes(bytes(2 * MIB))
    async with answering(lambda _: (200, ANSWER)) as (url, _):
        ours, theirs = os.openpty()
        try:
            process = await asyncio.create_subprocess_exec(
                *command("transcribe", recording, "--base-url", url),
                cwd=tmp_path,
                env=environment(FISH_API_KEY="sesame", TERM="xterm"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=theirs,
            )
            out, _ = await asyncio.wait_for(process.communicate(), WAIT_S)
            shown = os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    assert "uploading" in shown
    assert (process.returncode, out.decode()) == (0, ANSWER["text"] + "\n")
