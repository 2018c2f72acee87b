"""How long Ogg Opus plays, by what its pages say: RFC 3533 (Ogg) and RFC 7845 (Opus in it).

Opus has no bitrate that a length could be taken from: what is asked for is an average at most,
and the container comes on top.
"""

from __future__ import annotations

from typing import Final

GRANULES_HZ: Final = 48_000
"""Granule positions count samples at this rate, whatever the input had (RFC 7845, section 4)."""

_CAPTURE: Final = b"OggS"
_HEADER_BYTES: Final = 27
"""A page's header without its table of segments, in bytes (RFC 3533, section 6)."""

_BEGINS: Final = 0x02
"""Flag of the first page of a stream."""

_HEAD: Final = b"OpusHead"
_HEAD_BYTES: Final = 12
"""The identification header up to behind the pre-skip, in bytes (RFC 7845, section 5.1)."""

_MOST_A_PAGE: Final = 255 * 5760
"""Most samples that can end on a page: 255 packets of 120 ms (RFC 6716). A page that claims more
is wrong, or of a stream that was joined late."""


class OpusClock:
    """Tells how much Opus has come: seconds of whole pages, without what a decoder skips.

    Feed it chunks that are cut anywhere. It keeps a page's header at most.
    """

    __slots__ = ("_broken", "_held", "_last", "_played", "_skip", "_skipped")

    def __init__(self) -> None:
        self._held = b""  # the beginning of a page that is not known yet
        self._skip = 0  # bytes of a known page that are still to pass
        self._played = 0  # samples of streams that are over
        self._skipped = 0  # of the present one, what a decoder throws away first
        self._last = 0  # of the present one, its newest position
        self._broken = False

    @property
    def seconds(self) -> float | None:
        """Audio so far, in seconds; None if this is no Ogg Opus."""
        return None if self._broken else (self._played + self._present) / GRANULES_HZ

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        data, at = self._held + chunk, 0
        while self.seconds is not None:
            passed = min(self._skip, len(data) - at)
            self._skip -= passed
            at += passed
            head_bytes = 0 if self._skip else self._head(data, at)
            if not head_bytes:
                break
            self._page(data[at : at + head_bytes])
        self._held = b"" if self._broken else data[at:]

    @property
    def _present(self) -> int:
        return max(0, self._last - self._skipped)

    def _head(self, data: bytes, at: int) -> int:
        """Return the size of what must be known of the page that begins there; 0 until it is."""
        if not _CAPTURE.startswith(data[at : at + len(_CAPTURE)]):
            self._broken = True
            return 0
        if len(data) < at + _HEADER_BYTES:
            return 0
        size = _HEADER_BYTES + data[at + 26]
        if data[at + 5] & _BEGINS:
            size += _HEAD_BYTES
        return size if len(data) >= at + size else 0

    def _page(self, head: bytes) -> None:
        """Take a page by its head; its body is passed over."""
        body = _HEADER_BYTES + head[26]
        self._skip = sum(head[_HEADER_BYTES:body]) + body
        if head[5] & _BEGINS:
            self._broken = not head.startswith(_HEAD, body)
            self._played += self._present
            self._skipped = int.from_bytes(head[body + 10 : body + 12], "little")
            self._last = 0
            return
        position = int.from_bytes(head[6:14], "little", signed=True)
        if position > self._last:  # -1 says that no packet ends here
            self._last = min(position, self._last + _MOST_A_PAGE)
