"""What a live channel needs of a WebSocket, at the level of whole messages.

Two Protocols and the values they exchange. Adapters: ``picows.py`` (default), ``aiohttp.py``,
``memory.py``; all three pass ``tests/transport/test_contract.py``.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fishlive.errors import FishLiveError
from fishlive.limits import CONNECT_TIMEOUT_S, MAX_MESSAGE_BYTES
from fishlive.secret import KeyedHeaders


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and how.

    Attributes:
        url: ``ws://`` or ``wss://``, with path.
        headers: Sent on the upgrade, the key among them; never shown.
        tls: Context for ``wss``; None for the system's certificates, verified.
        timeout_s: For DNS, TCP, TLS and upgrade together, in seconds.
        max_message_bytes: Largest message taken, whole, in bytes.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = CONNECT_TIMEOUT_S
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def scrub(self, error: FishLiveError) -> None:
        """Put dots where an error repeats the key that the headers carry."""
        if isinstance(self.headers, KeyedHeaders):
            self.headers.scrub(error)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the connection cost and what the service said. Seconds; None where not measurable.

    Attributes:
        connect_s: From the call to an open WebSocket.
        dns_s: Resolving the name.
        tcp_s: TCP handshake.
        tls_s: TLS handshake; None without TLS.
        upgrade_s: From the request to the 101.
        headers: Response headers of the 101, names in lower case.
    """

    connect_s: float
    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    upgrade_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver(Protocol):
    """Whom a socket reports to: plain calls in the event loop, never after an abort.

    An implementation must not raise; if it does, the socket is aborted and the exception goes
    to :meth:`on_closed` as the cause of a ProtocolError.
    """

    def on_message(self, message: bytes | memoryview) -> None:
        """Take one whole binary message. A view is valid only during the call."""

    def on_closed(self, error: FishLiveError) -> None:
        """Learn that nothing more will come, and why. At most once; then the socket is dead."""

    def on_writable(self) -> None:
        """Learn that :attr:`Socket.writable` is true again."""


class Socket(Protocol):
    """An open WebSocket. Not safe for use from other threads.

    Attributes:
        receiver: Whom it reports to; may be replaced between two messages.
    """

    receiver: Receiver

    @property
    def handshake(self) -> Handshake:
        """What connecting cost, and the headers of the 101."""

    @property
    def closed(self) -> bool:
        """Whether it is dead: closed by either side, lost or aborted."""

    @property
    def writable(self) -> bool:
        """False while its write buffer is over the limit; :meth:`Receiver.on_writable` tells."""

    @property
    def ignored(self) -> int:
        """Text messages received, which the protocol says to ignore."""

    @property
    def pongs(self) -> int:
        """Pongs received."""

    def send(self, message: bytes) -> None:
        """Queue one binary message, in order; never waits. Dropped when closed.

        "Sent" is not "delivered": write buffer and kernel take some 4 MiB on the way.
        """

    def send_all(self, messages: Sequence[bytes]) -> None:
        """Queue binary messages as :meth:`send` does, in one write where that is possible."""

    def pause_reading(self) -> None:
        """Stop reading from the network; at most one batch still arrives. Idempotent."""

    def resume_reading(self) -> None:
        """Read again. Idempotent."""

    def send_ping(self) -> None:
        """Send a ping whose pong is only counted; never waits. Dropped when closed."""

    async def ping(self) -> float:
        """Return the round trip of one ping in seconds. Cancelling forgets the pong.

        Raises:
            StreamClosedError: The socket is closed, or closes while waiting.
        """

    def abort(self) -> None:
        """Cut the connection now; the receiver hears nothing more. Idempotent, never raises."""

    async def aclose(self) -> None:
        """Say goodbye (code 1000), wait CLOSE_TIMEOUT_S for the answer, cut.

        Cancelling cuts at once; nothing else is raised. The receiver hears nothing more.
        """


class Connect(Protocol):
    """An adapter's way in."""

    async def __call__(self, target: Target, receiver: Receiver) -> Socket:
        """Open a WebSocket. Cancelling leaves no file descriptor behind.

        What came together with the 101 reaches the receiver before this returns, so the socket
        may be closed already.

        Raises:
            ConfigError: The URL or a header cannot be sent as it is.
            ConnectError: No connection (its subclasses say where it failed).
            APIStatusError: The service refused the upgrade; its subclass says why.
        """
