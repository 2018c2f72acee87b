"""Text from an argument, a file, or standard input while it is still being written."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from fishlive.cli.exits import Failure, about_file, usage
from fishlive.limits import KIB

STDIN: Final = "-"

READ_BYTES: Final = 64 * KIB
"""Most that one read takes: what a pipe holds on Linux. A read returns what is there already."""

_TEXT_SUFFIXES: Final = frozenset({".txt", ".md", ".rst", ".text"})
"""An argument of one word that ends like this is the name of a file, not something to say."""

_NOTHING: Final = "there is nothing to say: the text is empty"


def read_text(argument: str, *, command: str = "fishlive say") -> str:
    """Return the text that an argument stands for: standard input, a file's, or itself.

    Args:
        argument: What was given.
        command: Which command it was given to, for advice.

    Raises:
        Failure: A file is missing or is not UTF-8, or there is no text.
    """
    if argument == STDIN:
        text = decode(_stdin().read(), "standard input")
    elif (file := _as_file(argument, command)) is not None:
        text = _read(file)
    else:
        text = argument
    if not text.strip():
        raise usage(_NOTHING)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise usage(f"the text is not UTF-8 as this terminal gives it: pipe it into `{command} -`")
    return text


def pieces(raw: io.RawIOBase | None = None) -> Iterator[str]:
    """Yield text from standard input as it comes; blocks while there is none.

    Args:
        raw: What to read instead.

    Raises:
        Failure: It is not UTF-8 (what came before was yielded), or it ended without text.
    """
    source = raw if raw is not None else _unbuffered(_stdin())
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    read_bytes, spoken = 0, False
    while True:
        data = source.read(READ_BYTES) or b""
        try:
            piece = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            if before := error.object[: error.start].decode():
                yield before
            raise _not_utf8("standard input", _offset(error, read_bytes + len(data))) from error
        read_bytes += len(data)
        spoken = spoken or bool(piece.strip())
        if piece:
            yield piece
        if not data:
            break
    if not spoken:
        raise usage(_NOTHING)


def decode(data: bytes, name: str) -> str:
    """Return UTF-8 as text, without a byte order mark. Raises Failure."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(name, _offset(error, len(data))) from error


def _read(file: Path) -> str:
    try:
        return decode(file.read_bytes(), str(file))
    except OSError as error:
        raise usage(f"cannot read {about_file(error)}") from error


def _as_file(argument: str, command: str) -> Path | None:
    """Return the file that an argument names, or None if it is something to say."""
    path = Path(argument)
    try:
        if path.is_file():
            return path
        folder = path.is_dir() and ("/" in argument or "\\" in argument)
    except (OSError, ValueError):  # too long, or impossible, for a name
        return None
    looks = path.is_absolute() or argument.startswith(("./", "../", "~"))
    if argument.split() != [argument] or not (looks or path.suffix.lower() in _TEXT_SUFFIXES):
        return None
    what = "is a folder" if folder else "no such file"
    raise usage(f"{argument}: {what}; to speak these words, pipe them: `{command} -`")


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise usage("there is no standard input to read")
    return sys.stdin.buffer


def _unbuffered(stream: BinaryIO) -> io.RawIOBase:
    """Return what a stream reads from.

    A read that waits with the buffer's lock held would bring down an interpreter that exits.
    """
    return cast("io.RawIOBase", getattr(stream, "raw", stream))


def _offset(error: UnicodeDecodeError, end: int) -> int:
    """Return where in the whole text the error is, from where its last byte is.

    The codec's own count begins where its last call did, behind a byte order mark.
    """
    return end - len(error.object) + error.start


def _not_utf8(name: str, offset: int) -> Failure:
    return usage(f"{name} is not UTF-8 text (byte {offset}): convert it, as with `iconv -t UTF-8`")
