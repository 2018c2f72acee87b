"""Request bodies that are sent as they are read, never held whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from fishlive.errors import ConfigError
from fishlive.transport.sources import (
    Source,
    can_be_read_again,
    check_source,
    empty,
    read,
    size_bytes,
)

__all__ = ["Multipart", "OnProgress", "Part", "Source", "Upload", "size_bytes"]

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes sent so far, and all there are if that is known."""

_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""In names of forms (HTML standard, multipart/form-data encoding algorithm)."""


class Upload(Protocol):
    """A body that is sent piece by piece."""

    @property
    def content_type(self) -> str:
        """The media type."""

    @property
    def replayable(self) -> bool:
        """Whether it can be sent once more."""

    async def prepare(self) -> None:
        """Look whether everything is there. Raises ConfigError."""

    @property
    def length_bytes(self) -> int | None:
        """How long it is, once prepared; None if nobody knows."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body. Closing it closes every source."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form.

    Attributes:
        name: Of the field.
        value: Text, or the bytes of a file, its path, or what yields them.
        filename: None for a plain field; of a path its last part unless given.
        content_type: Of a file.
        argument: What our caller calls it, for errors.

    Raises:
        ConfigError: A media type that no header can carry.
    """

    name: str
    value: Source = field(repr=False)
    filename: str | None = None
    content_type: str = "application/octet-stream"
    argument: str | None = None

    def __post_init__(self) -> None:
        """Refuse a media type that would break the form."""
        if not (self.content_type.isascii() and self.content_type.isprintable()):
            raise ConfigError("content_type is no media type", argument="content_type")

    @classmethod
    def text(cls, name: str, value: str) -> Part:
        """Return a plain field.

        Raises:
            ConfigError: Text with lone surrogates, which has no UTF-8.
        """
        try:
            return cls(name, value.encode())
        except UnicodeEncodeError:  # it holds the text
            raise ConfigError(f"{name} cannot be sent as UTF-8", argument=name) from None

    @classmethod
    def file(
        cls,
        name: str,
        value: Source,
        *,
        filename: str | None = None,
        content_type: str = "application/octet-stream",
        argument: str | None = None,
    ) -> Part:
        """Return a file; its name is the path's unless given.

        Raises:
            ConfigError: Neither bytes, nor a path, nor an iterable of bytes.
        """
        argument = argument or name
        check_source(value, argument)
        if filename is None:
            filename = Path(value).name if isinstance(value, (str, os.PathLike)) else name
        return cls(name, value, filename, content_type, argument)

    @property
    def known_as(self) -> str:
        """What errors call it."""
        return self.argument or self.name

    def head(self, boundary: str) -> bytes:
        """Return what stands before its content. What no header can carry is replaced."""
        disposition = f'Content-Disposition: form-data; name="{_escaped(self.name)}"'
        lines = [f"--{boundary}", disposition]
        if self.filename is not None:
            lines[-1] += f'; filename="{_escaped(self.filename)}"'
            lines.append(f"Content-Type: {self.content_type}")
        return "\r\n".join((*lines, "", "")).encode()

    async def content(self, size: int | None) -> AsyncGenerator[bytes, None]:
        """Yield its bytes, ``size`` of them unless that is None.

        Raises:
            ConfigError: There are more or fewer, or none of a file.
        """
        sent = 0
        async with aclosing(read(self.value, self.known_as)) as pieces:
            async for piece in pieces:
                sent += len(piece)
                if size is not None and sent > size:
                    break
                yield piece
        if size is not None and sent != size:
            raise ConfigError(f"{self.known_as} changed while it was sent", argument=self.known_as)
        if not sent and self.filename is not None:
            raise empty(self.known_as, self.known_as)


@dataclass(slots=True)
class Multipart:
    """A form (RFC 7578), sent as it is read.

    Attributes:
        parts: Its fields, in order.
        on_progress: Called after each piece, with the whole body's bytes.
    """

    parts: Sequence[Part]
    on_progress: OnProgress | None = field(default=None, repr=False)
    _boundary: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _sizes: list[int | None] | None = field(default=None, repr=False)

    @property
    def content_type(self) -> str:
        """The media type, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def replayable(self) -> bool:
        """Whether it can be sent once more: not if a part can only be read once."""
        return all(can_be_read_again(part.value) for part in self.parts)

    async def prepare(self) -> None:
        """Look at every file.

        Raises:
            ConfigError: One is missing, unreadable, empty or no file; it names the argument.
        """
        sizes = [await size_bytes(part.value, part.known_as) for part in self.parts]
        for part, size in zip(self.parts, sizes, strict=True):
            if part.filename is not None and size == 0:
                raise empty(part.known_as, part.known_as)
        self._sizes = sizes

    @property
    def length_bytes(self) -> int | None:
        """How long the body is, once prepared; None if a part's length is not known."""
        if self._sizes is None or None in self._sizes:
            return None
        heads = sum(len(part.head(self._boundary)) + 2 for part in self.parts)
        return heads + sum(size or 0 for size in self._sizes) + len(self._tail())

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body. What a source raises comes out as it is."""
        sent, total = 0, self.length_bytes
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                yield piece
                sent += len(piece)
                if self.on_progress is not None:
                    self.on_progress(sent, total)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        sizes = self._sizes or [None] * len(self.parts)
        waiting = b""  # frames go out with what they frame
        for part, size in zip(self.parts, sizes, strict=True):
            waiting += part.head(self._boundary)
            async with aclosing(part.content(size)) as content:
                async for piece in content:
                    waiting += piece
                    if part.filename is not None:
                        yield waiting
                        waiting = b""
            waiting += b"\r\n"
        yield waiting + self._tail()

    def _tail(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


def _escaped(name: str) -> str:
    """Return a name as forms write it, without what would break or reorder them."""
    escaped = name.translate(_ESCAPES)
    return "".join(char if char.isprintable() else "_" for char in escaped)
