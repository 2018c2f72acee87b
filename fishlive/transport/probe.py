"""One connection, step by step, with a stopwatch: for diagnosis, never for speech."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import anyio

from fishlive.errors import ConnectError, ConnectTimeout, FishLiveError, UpgradeError
from fishlive.limits import KIB, MAX_ERROR_BODY_BYTES
from fishlive.transport.answer import parse_head, refusal_body
from fishlive.transport.dial import Dial, dns_error
from fishlive.transport.refusal import refusal
from fishlive.transport.socket import Target

MAX_HEAD_BYTES: Final = 64 * KIB
"""Largest head of an answer that is read: eight times what common servers send at most."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_GOODBYE: Final = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
"""A close frame with code 1000, masked with zeros."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How far a connection came, and what each step took. None where a step was not finished.

    Attributes:
        dns_s: Resolving the name.
        tcp_s: TCP handshake.
        tls_s: TLS handshake; None without TLS.
        upgrade_s: From the request for a WebSocket to its answer.
        peer: Address that answered.
        tls: Version of TLS.
        headers: Of the answer, names in lower case.
        error: Why it went no further; None if it went all the way.
        phase: The step that ``error`` belongs to: ``dns``, ``tcp``, ``tls`` or ``upgrade``.
    """

    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    upgrade_s: float | None = None
    peer: str | None = None
    tls: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    error: FishLiveError | None = None
    phase: str | None = None


async def probe(target: Target, *, upgrade: bool = True) -> Steps:
    """Return what each step of a fresh connection takes; then close it.

    Cancelling closes the connection at once.

    Args:
        target: Where to; its time holds for all steps together.
        upgrade: Whether to ask for a WebSocket, or stop before that.

    Raises:
        ConfigError: The URL or a header cannot be sent as it is.
    """
    attempt = _Attempt(target)
    try:
        with anyio.fail_after(target.timeout_s):
            await attempt.run(upgrade=upgrade)
    except TimeoutError:
        late = f"no answer within {target.timeout_s:g} s (waited in {attempt.phase})"
        return attempt.steps(ConnectTimeout(late, phase=attempt.phase))
    except (FishLiveError, OSError, EOFError, UnicodeError) as error:
        return attempt.steps(attempt.explained(error))
    return attempt.steps(None)


class _Attempt:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._dial = Dial(target)
        self._tls_s: float | None = None
        self._upgrade_s: float | None = None
        self._peer: str | None = None
        self._tls: str | None = None
        self._headers: Mapping[str, str] = {}

    @property
    def phase(self) -> str:
        return self._dial.phase

    def explained(self, error: Exception) -> FishLiveError:
        if isinstance(error, EOFError):
            doing = "finishing TLS" if self.phase == "tls" else "answering"
            return ConnectError(f"the server hung up instead of {doing}", phase=self.phase)
        if isinstance(error, UnicodeError):  # no name at all, like one with two dots in a row
            return dns_error(self._dial.host, error)
        return self._dial.error(error)

    def steps(self, error: FishLiveError | None) -> Steps:
        return Steps(
            dns_s=self._dial.dns_s,
            tcp_s=self._dial.tcp_s,
            tls_s=self._tls_s,
            upgrade_s=self._upgrade_s,
            peer=self._peer,
            tls=self._tls,
            headers=self._headers,
            error=error,
            phase=None if error is None else self.phase,
        )

    async def run(self, *, upgrade: bool) -> None:
        sock = await self._dial.tcp()
        self._peer = str(sock.getpeername()[0])
        began_s = self._dial.elapsed_s()
        context = self._dial.tls
        reader, writer = await asyncio.open_connection(
            sock=sock,
            ssl=context,
            server_hostname=self._dial.host if context else None,
            limit=MAX_HEAD_BYTES,
        )
        try:
            self._took_tls(writer, self._dial.elapsed_s() - began_s)
            if upgrade:
                self._dial.phase = "upgrade"
                await self._upgrade(reader, writer)
        finally:
            await _closed(writer)

    def _took_tls(self, writer: asyncio.StreamWriter, took_s: float) -> None:
        session: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        if session is not None:
            self._tls_s, self._tls = took_s, session.version()

    async def _upgrade(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began_s = self._dial.elapsed_s()
        writer.write(_request(self._target))
        try:
            head = await reader.readuntil(_END_OF_HEAD)
        except asyncio.LimitOverrunError as error:
            raise UpgradeError("the answer has an endless head") from error
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise UpgradeError("something answered that does not speak HTTP") from error
            raise
        self._upgrade_s = self._dial.elapsed_s() - began_s
        status, self._headers = parse_head(head)
        if status is None:
            raise UpgradeError("something answered that does not speak HTTP")
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            wait_s = self._dial.error_body_s()
            raise refusal(status, self._headers, await _body(reader, self._headers, wait_s))
        writer.write(_GOODBYE)


def _request(target: Target) -> bytes:
    url = urlsplit(target.url)
    lines = [
        f"GET {url.path or '/'} HTTP/1.1",
        f"Host: {url.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in target.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str], wait_s: float) -> bytes:
    """Return what a refusal says, as far as it comes in time."""
    raw = b""
    with anyio.move_on_after(wait_s), contextlib.suppress(OSError):
        while not refusal_body(headers, raw)[1]:
            piece = await reader.read(MAX_ERROR_BODY_BYTES)
            if not piece:
                break
            raw += piece
    return refusal_body(headers, raw)[0]


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close without waiting for the peer, who may never answer a TLS goodbye."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
