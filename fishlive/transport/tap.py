"""Reads along while an upgrade is answered, and keeps a refusal back until its body is here.

picows (2.3.1) ends the connection as soon as the head of a refusal is whole. Of services that send
head and body apart the sentence that says why would be lost, and with it what a 429 means. The tap
sits where the event loop takes bytes from the socket, or from TLS; once the answer is an upgrade
it steps aside, and the loop calls what it would have called without it. A loop that reads in
another way (uvloop without TLS, Windows' proactor without TLS) is not tapped, and takes what came
with the head.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from fishlive.errors import FishLiveError
from fishlive.limits import KIB
from fishlive.transport.answer import parse_head, refusal_body
from fishlive.transport.dial import Dial
from fishlive.transport.refusal import is_refusal, refusal

_END_OF_HEAD: Final = b"\r\n\r\n"

_MOST_HEAD_BYTES: Final = 16 * KIB
"""Longest head that picows (2.3.1) takes. With the bytes behind it, it would complain to the loop
over TLS, that it has failed already."""


class Tap:
    """One answer, read along. Who gives up the connection removes it."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._head = bytearray()
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body: bytearray | None = None
        self._tapped: Any = None
        self._method = ""
        self._over = False  # whether nothing that follows may be read: picows chokes on it
        self._late: asyncio.TimerHandle | None = None

    def tcp(self, sock: socket.socket) -> socket.socket:
        """Read along on a TCPSocket without TLS. Returns it."""

        def recv_into(buffer: memoryview) -> int:
            return _fill(buffer, self._read(sock.recv, len(buffer)))

        self._put(sock, "recv_into", recv_into)
        return sock

    def tls(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Return a context whose connection is read along."""
        return cast("ssl.SSLContext", _TappedContext(context, self._tls))

    def refusal(self) -> FishLiveError | None:
        """Return the error that the answer stands for; None if it is no refusal, or not here."""
        if self._body is None:
            return None
        body, _ = refusal_body(self._headers, bytes(self._body))
        return refusal(self._status, self._headers, body)

    def remove(self) -> None:
        """Step aside. Idempotent."""
        tapped, self._tapped = self._tapped, None
        if tapped is not None:
            vars(tapped).pop(self._method, None)
        if self._late is not None:
            self._late.cancel()

    def _put(self, tapped: object, method: str, instead: Callable[..., Any]) -> None:
        methods: dict[str, Any] | None = getattr(tapped, "__dict__", None)
        if methods is not None:  # a TLS session of somebody's own may have slots only
            self._tapped, self._method = tapped, method
            methods[method] = instead

    def _tls(self, session: ssl.SSLObject) -> ssl.SSLObject:
        def read(size: int = 1024, buffer: Any = None) -> Any:
            if self._tapped is None:  # uvloop keeps the method it found
                return plainly(size, buffer)
            data = self._read(plainly, size)
            return data if buffer is None else _fill(buffer, data)

        plainly: Callable[..., Any] = session.read
        self._put(session, "read", read)
        return session

    def _read(self, read: Callable[[int], bytes], size: int) -> bytes:
        """Return what came; once a refusal is all here, nothing, as if the peer had ended.

        Raises:
            OSError: As ``read`` does, above all when nothing more has come.
        """
        while not self._over and (data := read(size)):
            if self._body is not None:
                self._body += data
            elif passed := self._passed(data):
                return passed
            self._over = self._whole()
        if self._over:
            self._dial.cut()
        return b""

    def _passed(self, data: bytes) -> bytes:
        """Return what picows may have of the head, or nothing: it is a refusal's last part."""
        before = len(self._head)
        self._head += data
        most = _MOST_HEAD_BYTES - before
        head, end, body = self._head.partition(_END_OF_HEAD)
        if not end:
            self._over = len(head) >= _MOST_HEAD_BYTES
            return data[:most]
        status, self._headers = parse_head(bytes(head))
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            self.remove()
            return data
        if status is None or not is_refusal(status):
            self._over = True
            return data[: min(most, len(head) + len(end) - before)]
        self._status, self._body = status, body
        # Cut, the socket is at its end: the loop reads once more, and the connection ends.
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(self._dial.error_body_s(), self._dial.cut)
        return b""

    def _whole(self) -> bool:
        _, whole = refusal_body(self._headers, bytes(self._body or b""))
        return whole


class _TappedContext:
    """A TLS context in all that event loops ask of one."""

    def __init__(
        self, context: ssl.SSLContext, tap: Callable[[ssl.SSLObject], ssl.SSLObject]
    ) -> None:
        self._context = context
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._tap(self._context.wrap_bio(*args, **kwargs))


def _fill(buffer: memoryview, data: bytes) -> int:
    buffer[: len(data)] = data
    return len(data)
