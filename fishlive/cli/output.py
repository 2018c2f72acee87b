"""Where audio goes: a file that is whole or says that it is not, or a stream."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from pathlib import Path
from typing import Final, cast

from fishlive.cli.exits import ExitCode, Failure, about_file, usage
from fishlive.cli.wav import HEADER_BYTES, header
from fishlive.cli.writer import ThreadedWriter

STDOUT: Final = "-"

PART_SUFFIX: Final = ".part"
"""Behind the name of a file that is not complete."""


class Output:
    """Takes audio, chunk by chunk. With nothing written it leaves nothing behind.

    Args:
        raw: An unbuffered file.
        name: What to call it in messages.
        target: The file it becomes at the end; None for a stream, which only flows.
        ours: Whether to close ``raw`` at the end.
        force: Whether that may replace a file.
        wav_rate_hz: Sample rate of the WAV header it writes in front; None for none.
    """

    def __init__(
        self,
        raw: io.RawIOBase,
        *,
        name: str,
        target: Path | None,
        ours: bool,
        force: bool,
        wav_rate_hz: int | None,
    ) -> None:
        self._raw = raw
        self._name = name
        self._target = target
        self._ours = ours
        self._force = force
        self._wav_rate_hz = wav_rate_hz
        self._writer = ThreadedWriter(raw)

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self._name

    @property
    def written_bytes(self) -> int:
        """What was written so far, with the header."""
        return self._writer.written_bytes

    async def write(self, chunk: bytes) -> None:
        """Write a chunk, behind the header if it is the first. Raises Failure."""
        if self._wav_rate_hz is not None and not self.written_bytes:
            chunk = header(self._wav_rate_hz) + chunk
        try:
            await self._writer.write(chunk)
        except BrokenPipeError as error:
            raise Failure(ExitCode.READER_GONE, "") from error
        except OSError as error:
            raise usage(f"cannot write {self._name}: {about_file(error)}") from error

    def finish(self) -> None:
        """Give the file its name. Raises Failure, and then the part is still there."""
        self._close()
        if self._target is None:
            return
        try:
            _rename(part_of(self._target), self._target, force=self._force)
        except OSError as error:
            raise usage(
                f"cannot name it {self._target} ({error.strerror}); "
                f"the audio is complete in {part_of(self._target)}"
            ) from error

    def abandon(self) -> Path | None:
        """Close it as it is; return the partial file that is kept, if there is audio in it."""
        if self._target is None:
            self._writer.stop(wait=False)  # its reader may never read on
            return None
        with contextlib.suppress(OSError):  # a full disk: the sizes stay unknown
            self._close()
        part = part_of(self._target)
        if self.written_bytes:
            return part
        part.unlink(missing_ok=True)
        return None

    def _close(self) -> None:
        self._writer.stop(wait=True)
        if not self._ours:
            return
        with self._raw:
            if self._target is not None and self._wav_rate_hz is not None and self.written_bytes:
                self._raw.seek(0)
                self._raw.write(header(self._wav_rate_hz, self.written_bytes - HEADER_BYTES))


def open_output(path: str, *, force: bool, wav_rate_hz: int | None) -> Output:
    """Open a file for audio, or standard output for ``-``.

    A file is written under its name with ``.part``, which nobody else can have made. What is no
    regular file (a device, a named pipe) is written to as it is.

    Raises:
        Failure: It exists and ``force`` is not set, it cannot be made, or it is a terminal.
    """
    if path == STDOUT:
        return Output(
            _stdout(),
            name="standard output",
            target=None,
            ours=False,
            force=False,
            wav_rate_hz=wav_rate_hz,
        )
    target = Path(path)
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            raw, end = _open_device(target), None
        else:
            raw, end = _open_part(target, force=force), target
    except OSError as error:
        raise usage(f"cannot write {path}: {error.strerror or error}") from error
    return Output(raw, name=path, target=end, ours=True, force=force, wav_rate_hz=wav_rate_hz)


def check_free(path: Path, *, force: bool) -> None:
    """Raise Failure if a file would be overwritten without ``force``, or cannot be."""
    if path.is_dir():
        raise usage(f"{path} is a folder: name a file in it")
    if path.exists() and not force:
        raise usage(f"{path} exists: choose another name, or use --force")


def part_of(path: Path) -> Path:
    """Return the name of a file while it is not complete."""
    return path.with_name(path.name + PART_SUFFIX)


def _open_device(target: Path) -> io.FileIO:
    """Open what is no regular file, and make none.

    Between the look and this somebody may have put another thing there.
    """
    raw = io.FileIO(os.open(target, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), "wb")
    if stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        raw.close()
        raise FileExistsError(errno.EEXIST, "it has become a file", str(target))
    return raw


def _open_part(target: Path, *, force: bool) -> io.FileIO:
    check_free(target, force=force)
    part = part_of(target)
    if force:
        part.unlink(missing_ok=True)
    try:
        return part.open("xb", buffering=0)  # fails for anything that exists, links too
    except FileExistsError as error:
        raise usage(
            f"{part} exists, from a run that did not end: move it away, or use --force"
        ) from error


def _rename(part: Path, target: Path, *, force: bool) -> None:
    """Give a file its name; without ``force`` fail if there is one, whenever it came."""
    if force:
        part.replace(target)
        return
    if os.name == "nt":
        part.rename(target)  # refuses to replace there
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(errno.EEXIST, "File exists") from None
        part.rename(target)
    else:
        part.unlink()


def _stdout() -> io.RawIOBase:
    """Return standard output without its buffer. Raises Failure for a terminal, or if closed."""
    stream = sys.stdout
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        raise usage("standard output is closed: use -o FILE, or pipe it into a player")
    if stream.isatty():
        raise usage("audio does not go to a terminal: use -o FILE, or pipe it into a player")
    stream.flush()
    return cast("io.RawIOBase", getattr(buffer, "raw", buffer))
