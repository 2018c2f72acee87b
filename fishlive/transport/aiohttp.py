"""The second adapter: for those who must share an aiohttp connector, or its proxy set-up.

aiohttp makes the connection and the upgrade. Its own WebSocket is not used: that follows
redirects, with the key (3.14), queues 512 KiB of its own and hides pongs. Once upgraded, the
transport is ours, and frames are read as they arrive; the connection stays aiohttp's to count.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.connector import Connection

from fishlive.errors import ConnectError, FishLiveError, ProtocolError, TLSError, UpgradeError
from fishlive.limits import HAPPY_EYEBALLS_DELAY_S
from fishlive.transport.answer import lower_case
from fishlive.transport.base import UNASKED, BaseSocket
from fishlive.transport.dial import Dial, dns_error, new_socket
from fishlive.transport.endings import lost
from fishlive.transport.frames import FrameReader, Opcode, encode_frame
from fishlive.transport.http_stream import start_of_body
from fishlive.transport.refusal import refusal
from fishlive.transport.resolver import SystemResolver
from fishlive.transport.socket import Handshake, Receiver, Socket, Target

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What the server mixes into our key to show that it speaks WebSocket (RFC 6455, section 1.3)."""

BINARY: Final = Opcode.BINARY


async def connect_aiohttp(
    target: Target, receiver: Receiver, *, session: aiohttp.ClientSession | None = None
) -> Socket:
    """Open a WebSocket over aiohttp. See :class:`~fishlive.transport.socket.Connect`.

    Args:
        session: Whose connector, proxy, cookies and default headers to use; it must outlive the
            socket. Its connections keep the kernel's receive buffer, so that more still arrives
            after a pause, and a timeout cannot tell how far it came: its phase is ``tcp``. None
            for a connector of the socket's own, without proxy and cookies.
    """
    dial = Dial(target)
    return await dial.within(_open(dial, target, receiver, session))


async def _open(
    dial: Dial, target: Target, receiver: Receiver, session: aiohttp.ClientSession | None
) -> AiohttpSocket:
    if session:
        dial.phase = "tcp"
        return await _upgrade(dial, target, receiver, session)
    own = _own_session(dial)
    try:
        opened = await _upgrade(dial, target, receiver, own)
    except BaseException:
        await own.close()
        raise
    # The connector lives as long as its one connection, and the session is not needed.
    own.detach()
    return opened


def _own_session(dial: Dial) -> aiohttp.ClientSession:
    """Return a session for one connection that tells the dial how far it is."""

    def watched_socket(address: AddrInfoType) -> socket.socket:
        dial.phase = "tcp"
        dial.watched = new_socket(address)
        return dial.watched

    async def on_resolved(*_: object) -> None:
        dial.dns_s = dial.elapsed_s()

    async def on_connected(*_: object) -> None:
        dial.phase, dial.watched = "upgrade", None
        dial.asked_s = dial.elapsed_s()
        if dial.tls is None:  # else TCP and TLS come as one
            dial.tcp_s = dial.asked_s - (dial.dns_s or 0.0)

    trace = aiohttp.TraceConfig()
    trace.on_dns_resolvehost_end.append(on_resolved)
    trace.on_connection_create_end.append(on_connected)
    connector = aiohttp.TCPConnector(
        resolver=SystemResolver(),
        use_dns_cache=False,
        happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S,
        socket_factory=watched_socket,
    )
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace]
    )
    # It would ask a second time, unseen by whoever counts attempts, where the server hung up.
    session._retry_connection = False
    return session


async def _upgrade(
    dial: Dial, target: Target, receiver: Receiver, session: aiohttp.ClientSession
) -> AiohttpSocket:
    key = base64.b64encode(os.urandom(16))
    response = await _get(dial, target, session, key.decode())
    try:
        headers = lower_case(response.headers.items())
        if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            body = await start_of_body(response.content, dial.error_body_s())
            raise refusal(response.status, headers, body)
        if why := _why_no_upgrade(headers, key):
            raise UpgradeError(f"the answer is no WebSocket upgrade: {why}", status=101)
        opened = AiohttpSocket(target, receiver, response)
        opened.attach(dial.handshake(headers))
    except BaseException:
        response.close()
        raise
    return opened


async def _get(
    dial: Dial, target: Target, session: aiohttp.ClientSession, key: str
) -> aiohttp.ClientResponse:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }
    try:
        return await session.get(
            target.url,
            headers={**target.headers, **upgrade},
            skip_auto_headers=("Accept-Encoding",),
            allow_redirects=False,
            raise_for_status=False,
            ssl=dial.tls or True,
            timeout=aiohttp.ClientTimeout(),
        )
    except Exception as error:  # noqa: BLE001 - nothing foreign escapes
        failure = _failure(error, dial)
    # Out here it has no context: aiohttp's errors carry the request's headers.
    raise failure


def _failure(error: Exception, dial: Dial) -> FishLiveError:
    """Return our error for one of aiohttp's, with the bare network error as its cause."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _caused(dns_error(dial.host, error.os_error), error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return _caused(dial.error(cause), cause)
    if isinstance(error, aiohttp.ClientConnectorError):
        if dial.tls and isinstance(error.os_error, (ConnectionResetError, ssl.SSLError)):
            # Nobody resets what is not connected: TCP stood, TLS did not.
            dial.phase, dial.watched = "tls", None
        return _caused(dial.error(error.os_error), error.os_error)
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return TLSError(f"the certificate of {dial.host} has another fingerprint")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UpgradeError(f"the proxy refused ({error.status})", status=error.status)
    if isinstance(error, aiohttp.ClientResponseError):
        return UpgradeError("something answered that does not speak HTTP")
    dial.phase = "upgrade"
    return ConnectError(f"the server hung up ({type(error).__name__})", phase="upgrade")


def _caused(error: FishLiveError, cause: Exception) -> FishLiveError:
    error.__cause__ = cause
    return error


def _why_no_upgrade(headers: Mapping[str, str], key: bytes) -> str | None:
    """Return what is wrong with a 101, if anything."""
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - RFC 6455
    if headers.get("upgrade", "").lower() != "websocket":
        return "no Upgrade header"
    if "upgrade" not in headers.get("connection", "").lower():
        return "no Connection header"
    if headers.get("sec-websocket-accept") != accept.decode():
        return "wrong Sec-WebSocket-Accept"
    unasked = [name for name in UNASKED if name in headers]
    return f"an unasked {unasked[0]}" if unasked else None


class AiohttpSocket(BaseSocket, asyncio.Protocol):
    """A :class:`~fishlive.transport.socket.Socket` on a connection that aiohttp upgraded."""

    def __init__(
        self, target: Target, receiver: Receiver, response: aiohttp.ClientResponse
    ) -> None:
        super().__init__(target, receiver)
        self._response = response
        self._frames: FrameReader | None = FrameReader(target.max_message_bytes)
        self._before: asyncio.BaseProtocol | None = None
        self._connection: Connection | None = None

    def attach(self, handshake: Handshake) -> None:
        """Take over the transport, and what came with the 101.

        Raises:
            ConnectError: The connection has ended in the meantime.
        """
        connection = self._response.connection
        before = None if connection is None else connection.protocol
        # It is a queue too, and false while empty.
        transport = None if before is None else before.transport
        if before is None or transport is None:
            raise ConnectError("the server hung up after the upgrade", phase="upgrade")
        self._handshake = handshake
        self._transport = transport
        self._before = before
        # Dropped behind its loop, the response would give the connection back to a loop that is
        # closed, and complain; the connection itself knows better.
        self._connection, self._response._connection = connection, None
        transport.set_protocol(self)
        before.set_parser(_Rest(self), None)

    def data_received(self, data: bytes) -> None:
        """Act on every frame that is complete."""
        if self._frames is None:
            return
        try:
            for opcode, fin, payload in self._frames.feed(data):
                if opcode is BINARY and fin and not self._closed and not self._fragments.pending:
                    self._deliver(payload)
                else:
                    self._take(opcode, payload, fin=fin)
        except ProtocolError as error:
            self._frames = None
            if not self._closed:
                self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the connection back to aiohttp, and report the end, if nobody has."""
        if self._before is not None:
            self._before.connection_lost(exc)
        if self._connection is not None:
            self._connection.close()
        self._response.close()
        self._ended(lost())

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(encode_frame(opcode, payload))


class _Rest:
    """What aiohttp calls a payload parser: gets what it had read beyond the 101."""

    def __init__(self, socket: AiohttpSocket) -> None:
        self._socket = socket

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass it on, and say that there may be more."""
        self._socket.data_received(data)
        return False, b""

    def feed_eof(self) -> None:
        """Ignore it: the socket hears of the end itself."""
