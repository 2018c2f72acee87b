"""The default adapter: picows, whose callbacks run once a frame.

Facts about picows in comments are of version 2.3.1; the contract test names each.
"""

from __future__ import annotations

import logging
import socket as sockets
from contextlib import suppress
from typing import Final

from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from fishlive.errors import ConnectError, FishLiveError, UpgradeError
from fishlive.transport.answer import lower_case, parse_head, refusal_body
from fishlive.transport.base import UNASKED, BaseSocket
from fishlive.transport.dial import Dial
from fishlive.transport.endings import broken, lost, too_large
from fishlive.transport.frames import Opcode
from fishlive.transport.refusal import refusal
from fishlive.transport.socket import Receiver, Socket, Target
from fishlive.transport.tap import Tap
from fishlive.wire.events import plain_text

_NO_FRAME_BYTES: Final = -1
"""A size limit that no frame meets, so that every one takes the careful way."""

_BINARY: Final = WSMsgType.BINARY
_TYPES: Final = {opcode: WSMsgType(opcode.value) for opcode in Opcode}
_OPCODES: Final = {kind: opcode for opcode, kind in _TYPES.items()}


def _silent_logger() -> logging.Logger:
    """Return a logger that nothing can turn on: picows writes the request's headers to it."""
    # Not from getLogger(): no configuration can reach one that is not registered.
    logger = logging.Logger("fishlive.transport", logging.CRITICAL + 1)  # noqa: LOG001 - see above
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger


_SILENT: Final = _silent_logger()


async def connect_picows(target: Target, receiver: Receiver) -> Socket:
    """Open a WebSocket with picows. See :class:`~fishlive.transport.socket.Connect`."""
    dial = Dial(target)
    return await dial.within(_open(dial, _PicowsSocket(target, receiver, dial)))


async def _open(dial: Dial, socket: _PicowsSocket) -> _PicowsSocket:
    tap = Tap(dial)

    async def tcp(_url: object) -> sockets.socket:
        sock = await dial.tcp()
        return sock if dial.tls else tap.tcp(sock)

    try:
        opened: tuple[WSTransport, WSListener | None] = await ws_connect(
            lambda: socket,
            socket.target.url,
            ssl_context=tap.tls(dial.tls) if dial.tls else None,
            websocket_handshake_timeout=None,
            logger_name=_SILENT,
            enable_auto_pong=False,
            max_frame_size=socket.target.max_message_bytes,
            extra_headers=dial.headers(),
            max_redirects=0,
            socket_factory=tcp,
            # Installed, it would be taken; its transports (1.2.0) complain to the loop when TLS
            # is cut, and a descriptor cut while they take it over ends as "no such file".
            use_aiofastnet=False,
        )
        ws, listener = opened
        # Before the 101 an EOF is no error to picows: it returns no listener.
        if listener is None:
            ws.disconnect(graceful=False)  # it is at its end; Python 3.10 wants to be told
            hung_up = ConnectError("the server hung up instead of answering", phase=dial.phase)
            raise tap.refusal() or hung_up
        if socket.refused:
            raise socket.refused
    except BaseException as error:
        socket.abort()
        dial.cut()
        if not isinstance(error, Exception) or isinstance(error, FishLiveError):
            raise
        if refused := tap.refusal():
            raise refused from error
        if isinstance(error, WSHandshakeError):
            raise _no_upgrade(error) from error
        raise dial.error(error) from error
    finally:
        tap.remove()
    return socket


def _no_upgrade(error: WSHandshakeError) -> FishLiveError:
    """Return what an answer means. Read anew: picows knows neither odd statuses nor chunks."""
    status, headers = parse_head(error.raw_header or b"")
    if status is None:
        return UpgradeError("something answered that does not speak HTTP")
    if status == 101:
        why = plain_text(str(error))
        # It wants "Connection: upgrade" alone, where the RFC (6455, 4.1) has a list.
        other = '; transport="aiohttp" takes lists' if "," in headers.get("connection", "") else ""
        said = f"the answer is no WebSocket upgrade: {why}{other}"
        return UpgradeError(said, status=status)
    body, _ = refusal_body(headers, error.raw_body or b"")
    return refusal(status, headers, body)


class _PicowsSocket(BaseSocket, WSListener):
    """A :class:`~fishlive.transport.socket.Socket` over picows.

    Attributes:
        refused: Why an upgrade that picows accepts is none for us; None when it is.
    """

    def __init__(self, target: Target, receiver: Receiver, dial: Dial) -> None:
        super().__init__(target, receiver)
        self.refused: UpgradeError | None = None
        self._dial: Dial | None = dial
        self._ws: WSTransport | None = None
        self._limit_bytes = target.max_message_bytes

    def send(self, message: bytes) -> None:
        """See :meth:`Socket.send`."""
        if self._ws and not self._closed:
            self._ws.send(_BINARY, message)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take the connection over, unless its 101 answers what we did not ask."""
        headers = lower_case(transport.response.headers.items())
        self._ws = transport
        self._transport = transport.underlying_transport
        dial, self._dial = self._dial, None
        if dial:
            self._handshake = dial.handshake(headers)
        if unasked := [name for name in UNASKED if name in headers]:
            self.refused = UpgradeError(f"the 101 has an unasked {unasked[0]}", status=101)
            self.abort()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a whole binary message over; everything else takes the careful way.

        Nothing may escape: picows would close on its own account, and complain later.
        """
        if (
            frame.msg_type is _BINARY
            and frame.payload_size <= self._limit_bytes
            and frame.fin
            and not frame.rsv1
            and not frame.rsv2
            and not frame.rsv3
        ):
            try:
                self.receiver.on_message(frame.get_payload_as_memoryview())
            except Exception as error:  # noqa: BLE001 - reported as the Protocol promises
                self._receiver_raised(error)
        else:
            self._on_other(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Report the end, if nobody has, and take the error that picows keeps of it."""
        self._ended(self._why(transport))
        # It is set right after this call, and complains later if nobody looks.
        self._loop.call_soon(_consume, transport)

    def _on_other(self, frame: WSFrame) -> None:
        if (frame.rsv1 or frame.rsv2 or frame.rsv3) and not self._closed:
            self._fail(broken("reserved bits are set"))
            return
        self._take(_OPCODES[frame.msg_type], frame.get_payload_as_memoryview(), fin=bool(frame.fin))
        whole = not (self._closed or self._fragments.pending)
        self._limit_bytes = self.target.max_message_bytes if whole else _NO_FRAME_BYTES

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        if not self._ws:
            return
        if opcode is Opcode.CLOSE:
            # Without a code picows would put a 0 on the wire.
            self._ws.send_close(WSCloseCode(int.from_bytes(payload, "big")))
        else:
            self._ws.send(_TYPES[opcode], payload)

    def _mute(self) -> None:
        super()._mute()
        self._limit_bytes = _NO_FRAME_BYTES

    def _why(self, transport: WSTransport) -> FishLiveError:
        """Return why the connection ended: a close frame that picows sent tells."""
        # None where no close frame was seen at all, whatever the stubs say.
        sent = getattr(transport.close_handshake, "sent", None)
        if sent is None:
            return lost()
        if sent.code is WSCloseCode.MESSAGE_TOO_BIG:
            return too_large(None, self.target.max_message_bytes)
        return broken(sent.reason)


def _consume(transport: WSTransport) -> None:
    """Look at how picows says it ended. It is done, so that one step of the coroutine is all."""
    ending = transport.wait_disconnected()
    with suppress(Exception):
        ending.send(None)
    ending.close()
