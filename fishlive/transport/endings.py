"""How sockets end: the errors that all adapters report in the same words, and the reporting."""

from __future__ import annotations

import asyncio
from typing import Final

from fishlive.errors import (
    ConnectionLost,
    FishLiveError,
    MessageTooLarge,
    ProtocolError,
    StreamClosedError,
)
from fishlive.transport.socket import Receiver
from fishlive.wire.events import plain_text

OK: Final = 1000
PROTOCOL_ERROR: Final = 1002
TOO_LARGE: Final = 1009
INTERNAL_ERROR: Final = 1011


def lost() -> ConnectionLost:
    """Return the error for an end without a close frame."""
    return ConnectionLost("the connection ended without a close frame")


def dead() -> StreamClosedError:
    """Return the error for a call on a closed socket."""
    return StreamClosedError("the socket is closed")


def too_large(size_bytes: int | None, limit_bytes: int) -> MessageTooLarge:
    """Return the error for a message over the limit; its size None where nobody counted."""
    size = "a message" if size_bytes is None else f"a message of at least {size_bytes} bytes"
    return MessageTooLarge(f"{size}; at most {limit_bytes} are allowed")


def broken(what: str) -> ProtocolError:
    """Return the error for a peer that broke the WebSocket protocol."""
    return ProtocolError(f"the service broke the WebSocket protocol: {plain_text(what)}")


def raised(error: Exception) -> ProtocolError:
    """Return the error for a receiver that raised, with what it raised as the cause."""
    ending = ProtocolError(f"the receiver raised {type(error).__name__}")
    ending.__cause__ = error
    return ending


def report(receiver: Receiver, ending: FishLiveError) -> None:
    """Tell the receiver how it ended. If it raises, that is a bug, and the loop hears of it."""
    try:
        receiver.on_closed(ending)
    except Exception as error:  # noqa: BLE001 - must not escape into the transport's callbacks
        complain(error)


def complain(error: Exception) -> None:
    """Tell the loop of what a receiver raised when it could not be told any more itself."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": "a receiver raised after the end of its socket", "exception": error}
    )
