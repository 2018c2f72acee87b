"""``fishlive say``: from text to a file that is right, or one line that says why not."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from fishlive.cli import main
from fishlive.cli.exits import ExitCode
from fishlive.cli.output import part_of
from fishlive.server import LocalServer
from fishlive.session import Session
from tests.cli.command import call, finished, names, started, wait_for, wav_seconds

TEXT = "Good morning. The ferry leaves at eight."
LONG = "The ferry leaves at eight, and nobody has seen it leave on time. " * 60
"""Four minutes of speech: far more than any pipe holds, and still being made when it is cut."""


def decoded_seconds(file: Path) -> float:
    """Return how much audio a decoder finds."""
    with av.open(str(file)) as opened:
        frames = list(opened.decode(audio=0))
        return float(sum(frame.samples / frame.sample_rate for frame in frames))


def test_a_text_becomes_a_wav_file(tmp_path: Path) -> None:
    """The file is a WAV of a plausible length; a process that may not talk says nothing."""
    done = finished("say", TEXT, "--local", "-o", "out.wav", cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.DONE, b"", b"")
    assert 1.5 < wav_seconds(tmp_path / "out.wav") < 6
    assert names(tmp_path) == ["out.wav"]


def test_standard_output_has_nothing_but_audio(tmp_path: Path) -> None:
    """A pipe gets one streaming WAV, its length left open; numbers go to standard error."""
    done = finished("say", TEXT, "--local", "-o", "-", "--stats", cwd=tmp_path)

    assert done.returncode == ExitCode.DONE
    assert done.stdout[:4] + done.stdout[40:44] == b"RIFF\x00\xff\xff\xff"
    numbers = dict(line.split(": ") for line in done.stderr.decode().splitlines())
    assert len(done.stdout) == 44 + int(numbers["audio_bytes"])
    assert numbers["outcome"] == "finished"


async def test_standard_output_is_the_default(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Without -o the audio goes into the pipe, from standard input as from an argument."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))

    assert await call("say", "-", "--local", "--format", "pcm") == ExitCode.DONE
    assert 1.5 < len(capsysbinary.readouterr().out) / 48_000 < 6


@pytest.mark.parametrize("name", ["out.mp3", "out.opus"])
async def test_compressed_audio_can_be_decoded(name: str, tmp_path: Path) -> None:
    """The format follows the file's name, and a decoder finds all of the speech."""
    assert await call("say", TEXT, "--local", "-o", str(tmp_path / name)) == ExitCode.DONE
    assert 1.5 < decoded_seconds(tmp_path / name) < 6


async def test_raw_pcm_has_no_header(tmp_path: Path) -> None:
    """A .pcm file is samples, at the rate that was asked for."""
    out = tmp_path / "out.pcm"

    assert await call("say", TEXT, "--local", "--sample-rate", "8000", "-o", str(out)) == 0
    assert 1.5 < out.stat().st_size / 16_000 < 6
    assert not out.read_bytes().startswith(b"RIFF")


async def test_a_file_is_read_aloud(tmp_path: Path) -> None:
    """The name of a text file stands for its text."""
    (tmp_path / "page.txt").write_text(TEXT * 2, encoding="utf-8")
    page, out = str(tmp_path / "page.txt"), tmp_path / "out.wav"

    assert await call("say", page, "--local", "-o", str(out)) == ExitCode.DONE
    assert wav_seconds(out) > 3


async def test_speed_changes_the_length(tmp_path: Path) -> None:
    """Prosody reaches the service: twice as fast is a good deal shorter."""
    plain, fast = tmp_path / "plain.wav", tmp_path / "fast.wav"

    assert await call("say", TEXT, "--local", "-o", str(plain)) == ExitCode.DONE
    assert await call("say", TEXT, "--local", "--speed", "2", "-o", str(fast)) == ExitCode.DONE
    assert wav_seconds(fast) < 0.8 * wav_seconds(plain)


async def test_words_and_their_times_are_written(tmp_path: Path) -> None:
    """Each line is one word, in order, within the audio."""
    out, words = tmp_path / "out.wav", tmp_path / "words.jsonl"
    code = await call("say", TEXT, "--local", "-o", str(out), "--timestamps", str(words))

    assert code == ExitCode.DONE
    found = [json.loads(line) for line in words.read_text(encoding="utf-8").splitlines()]
    assert [word["text"] for word in found][:4] == ["Good", "morning", "The", "ferry"]
    times = [time for word in found for time in (word["start_s"], word["end_s"])]
    assert times == sorted(times)
    assert times[-1] <= wav_seconds(out)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["say", "hello"], "no API key: set FISH_API_KEY"),
        (["say", "hello", "--local", "--base-url", "http://127.0.0.1"], "leave one side out"),
        (["say", "hello", "--local", "-o", "x.flac"], "add --format"),
        (["say", "notes.txt", "--local", "-o", "x.wav"], "notes.txt: no such file"),
        (["say", "", "--local", "-o", "x.wav"], "nothing to say"),
        (["say", "hello", "--local", "-o", "taken.wav"], "taken.wav exists"),
        (["say", "hello", "--local", "-o", "x.wav", "--timestamps", "taken.wav"], "exists"),
        (["say", "hello", "--local", "-o", "."], "is a folder"),
        (["say", "old.txt", "--local", "-o", "x.wav"], "old.txt is not UTF-8 text (byte 3)"),
        (["say", "hello", "--local", "-o", "x.wav", "--sample-rate", "22050"], "--sample-rate"),
        (["say", "hello", "--local", "-o", "x.wav", "--voice", "nobody"], "check --voice"),
        (["say", "hello", "--key-file", "none", "-o", "x.wav"], "cannot read the key: none"),
        (["say", "hello", "--key-file", "open", "-o", "x.wav"], "chmod 600"),
    ],
)
async def test_what_has_to_be_changed_is_said_in_one_line(
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one line with what to do, and no file is made or changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.wav").write_bytes(b"precious")
    (tmp_path / "old.txt").write_bytes(b"caf\xe9")
    (tmp_path / "open").write_text("local")
    (tmp_path / "open").chmod(0o644)
    before = names(tmp_path)

    assert await call(*arguments) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert what in shown.err
    assert names(tmp_path) == before
    assert (tmp_path / "taken.wav").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("settings", "key", "code", "what"),
    [
        ({}, "wrong", ExitCode.DENIED, "set FISH_API_KEY"),
        ({"credit": 0.0}, "local", ExitCode.DENIED, "top up"),
        ({"concurrency": 1, "idle_sockets_count": True}, "local", ExitCode.BUSY, "try again"),
    ],
)
async def test_a_refusal_has_a_code_of_its_own(
    settings: dict[str, Any],
    key: str,
    code: ExitCode,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Key, credit and limits are told apart, in one line, without the key in it."""
    monkeypatch.setenv("FISH_API_KEY", key)
    async with LocalServer(**settings) as server:
        monkeypatch.setenv("FISH_BASE_URL", server.url)
        if code is ExitCode.BUSY:
            async with Session() as other, other.live() as line:
                await line.ready()
                ended = await call("say", "hello", "-o", str(tmp_path / "x.wav"))
        else:
            ended = await call("say", "hello", "-o", str(tmp_path / "x.wav"))

    shown = capsys.readouterr().err
    assert ended == code, shown
    assert shown.count("\n") == 1
    assert what in shown
    assert "wrong" not in shown
    assert names(tmp_path) == []


async def test_no_connection_has_a_code_of_its_own(
    tmp_path: Path,
    unused_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where nobody listens: exit code 4, and what to check."""
    monkeypatch.setenv("FISH_API_KEY", "local")
    url = f"http://127.0.0.1:{unused_port}"

    assert await call("say", "hello", "--base-url", url, "-o", str(tmp_path / "x.wav")) == 4
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "check the network, or try --local" in shown
    assert names(tmp_path) == []


async def test_text_without_a_word_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no audio comes there is no file, and the exit code says so."""
    assert await call("say", "...", "--local", "-o", str(tmp_path / "x.wav")) == ExitCode.FAILED
    assert "sent no audio" in capsys.readouterr().err
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
async def test_a_key_comes_from_a_file_that_is_ours_alone(tmp_path: Path) -> None:
    """White space around it, such as the line's end, is not the key."""
    file, out = tmp_path / "key", tmp_path / "out.wav"
    file.write_text(" sesame\n")
    file.chmod(0o600)
    async with LocalServer(keys=("sesame",)) as server:
        where = ("--base-url", server.url, "--key-file", str(file))

        assert await call("say", "hello", *where, "-o", str(out)) == ExitCode.DONE
    assert wav_seconds(out) > 0.2


async def test_a_server_that_goes_away_leaves_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Speech that is cut off is a failure; what came before is kept, named and playable."""
    out = tmp_path / "out.wav"
    monkeypatch.setenv("FISH_API_KEY", "local")
    async with LocalServer(profile="fish-balanced") as server:
        running = asyncio.create_task(call("say", LONG, "--base-url", server.url, "-o", str(out)))
        while not running.done():
            part = part_of(out)
            if part.exists() and part.stat().st_size > 44:
                break
            await asyncio.sleep(0.01)
    code = await running

    assert code in {ExitCode.FAILED, ExitCode.NETWORK}
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert f"the audio so far is in {part_of(out)}" in shown
    assert wav_seconds(part_of(out)) > 0
    assert not out.exists()


@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, b"interrupted"),
        (signal.SIGTERM, ExitCode.TERMINATED, b"terminated"),
    ],
)
def test_a_signal_keeps_the_part(
    number: signal.Signals, code: ExitCode, word: bytes, tmp_path: Path
) -> None:
    """Ctrl-C in the middle: one line, the shell's own code, and the audio so far is kept."""
    part = tmp_path / "out.wav.part"
    with started("live", "--local", "-o", "out.wav", cwd=tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write(TEXT.encode())
        process.stdin.flush()
        wait_for(lambda: part.exists() and part.stat().st_size > 44, process)
        process.send_signal(number)
        _, error = process.communicate(timeout=30)

    assert process.returncode == code
    assert error == b"fishlive: " + word + b"; the audio so far is in out.wav.part\n"
    assert wav_seconds(part) > 0
    assert names(tmp_path) == ["out.wav.part"]


@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE there")
def test_a_reader_that_had_enough_ends_it_quietly(tmp_path: Path) -> None:
    """As with ``| head``: no traceback, nothing said, and the code a shell gives SIGPIPE."""
    with started("say", LONG, "--local", "-o", "-", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"RIFF"
        process.stdout.close()
        error = process.stderr.read()

    assert process.returncode == ExitCode.READER_GONE
    assert error == b""


def test_audio_does_not_go_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody's terminal is filled with samples."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    assert main(["say", "hello", "--local"]) == ExitCode.USAGE
    assert "use -o FILE" in capsys.readouterr().err
