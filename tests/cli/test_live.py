"""``fishlive live``: speech while the text is still being written."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from typing import IO

import pytest

from fishlive.cli.exits import ExitCode
from fishlive.cli.output import part_of
from tests.cli.command import WAIT_S, call, names, started, wait_for, wav_seconds

PIPE_BYTES = 4096
"""The smallest pipe on most machines: less than a chunk, so that whoever fills it waits."""


def is_full(pipe: IO[bytes]) -> bool:
    """Return whether PIPE_BYTES were written to a pipe and not read."""
    import fcntl
    import termios

    count = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder) == PIPE_BYTES


def test_audio_comes_while_the_text_is_open(tmp_path: Path) -> None:
    """The first audio is read before a newline or the end of the text was ever written."""
    with started("live", "--local", "-o", "-", cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for piece in (b"The fer", b"ry leaves at eight. ", b"It "):
            process.stdin.write(piece)
            process.stdin.flush()
        head = process.stdout.read(44 + 4800)  # returns with a tenth of a second of speech

        assert process.poll() is None
        process.stdin.write(b"is late.")
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(WAIT_S) == ExitCode.DONE

    assert head[:4] + head[40:44] == b"RIFF\x00\xff\xff\xff"
    assert 1.5 < len(rest) / 48_000 < 6


def test_the_file_grows_while_the_text_is_open(tmp_path: Path) -> None:
    """A part is there with audio in it; at the end of the text it becomes the file."""
    out = tmp_path / "out.wav"
    with started("live", "--local", "-o", "out.wav", cwd=tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write("Grüße aus Wien. ".encode())
        process.stdin.flush()
        part = part_of(out)
        wait_for(lambda: part.exists() and part.stat().st_size > 44, process)

        assert not out.exists()
        process.stdin.close()
        assert process.wait(WAIT_S) == ExitCode.DONE
    assert wav_seconds(out) > 0.5
    assert not part.exists()


def test_text_that_breaks_off_in_another_encoding_keeps_the_part(tmp_path: Path) -> None:
    """The message names the byte and the part; what was said before is in it."""
    with started("live", "--local", "-o", "out.wav", cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"Good morning. Good night. ")
        process.stdin.flush()
        part = tmp_path / "out.wav.part"
        wait_for(lambda: part.exists() and part.stat().st_size > 44, process)
        process.stdin.write(b"caf\xe9 au lait")
        process.stdin.close()
        error = process.stderr.read().decode()

    assert process.returncode == ExitCode.USAGE
    assert error.count("\n") == 1
    assert "standard input is not UTF-8 text (byte 29)" in error
    assert error.endswith("the audio so far is in out.wav.part\n")
    assert wav_seconds(part) > 0


async def test_an_llm_that_wrote_nothing_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty pipe is no success, and leaves no file."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))

    assert await call("live", "--local", "-o", str(tmp_path / "out.wav")) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "fishlive: error: there is nothing to say: the text is empty\n"
    )
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="how much a pipe holds is known there")
def test_a_stuck_player_does_not_hold_the_command(tmp_path: Path) -> None:
    """Ctrl-C ends it also while nobody reads the audio and nobody writes the text."""
    import fcntl

    with started("live", "--local", "-o", "-", cwd=tmp_path) as process:
        assert process.stdin is not None
        audio = process.stdout
        assert audio is not None
        if fcntl.fcntl(audio, fcntl.F_SETPIPE_SZ, PIPE_BYTES) != PIPE_BYTES:
            process.kill()
            pytest.skip("memory has larger pages here")
        process.stdin.write(b"The ferry leaves at eight, as it never does. ")
        process.stdin.flush()
        wait_for(lambda: is_full(audio), process)
        process.send_signal(signal.SIGINT)

        assert process.wait(WAIT_S) == ExitCode.INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == b"fishlive: interrupted\n"
