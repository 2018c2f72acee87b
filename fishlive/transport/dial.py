"""From a target to a connected TCP socket, and what every failure on the way is called.

No proxy is used, whatever the environment says.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import socket
import ssl
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from fishlive.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    DNSError,
    FishLiveError,
    HostNotFoundError,
    TLSError,
)
from fishlive.limits import ERROR_BODY_S, HAPPY_EYEBALLS_DELAY_S, RECEIVE_BUFFER_BYTES
from fishlive.transport import names
from fishlive.transport.names import Address
from fishlive.transport.socket import Handshake, Socket, Target

AnySocket = TypeVar("AnySocket", bound=Socket)

CUT_TURNS: Final = 50
"""Turns of the loop to wait until the transport has seen that its socket was cut, and closed it.
Three are enough, ten with TLS; a loop that ends sooner would find the transport open."""

DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}

NO_SUCH_HOST: Final = frozenset(
    _code
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if (_code := getattr(socket, name, None)) is not None
)
"""Resolver answers that mean there is no such host. Not every platform has every name."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN = re.compile(r"[\x21-\x7e]+")
_CUT_SHORT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


@functools.cache
def system_tls() -> ssl.SSLContext:
    """Return the context that trusts the system's certificates; loaded once, it takes 10 ms.

    TLS 1.2 at least, whatever this Python or this OpenSSL was configured to.
    """
    context = ssl.create_default_context()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context


def check(target: Target) -> tuple[str, int, bool]:
    """Return host, port and whether it is TLS.

    Raises:
        ConfigError: Not a plain ``ws`` or ``wss`` URL, or a header that would break the request.
            The values of headers are not repeated.
    """
    try:
        url = urlsplit(target.url)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ConfigError("not a URL", argument="url") from error
    if url.scheme not in DEFAULT_PORTS or not host or not _PLAIN.fullmatch(target.url):
        raise ConfigError("expected an ASCII ws:// or wss:// URL with a host", argument="url")
    if url.fragment or url.username is not None or url.password is not None:
        raise ConfigError("a live URL has no fragment, user or password", argument="url")
    for name, value in target.headers.items():
        if not _TOKEN.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ConfigError(f"header {name!r} cannot be sent as it is", argument="headers")
    return host, port or DEFAULT_PORTS[url.scheme], url.scheme == "wss"


class Dial:
    """One attempt to connect: where it stands, what it took so far, and whose socket it is.

    Attributes:
        host: Without brackets.
        port: Given, or the scheme's.
        tls: The context to use; None for plain TCP.
        phase: ``dns``, ``tcp``, ``tls`` or ``upgrade``: what goes on, or went wrong.
        dns_s: Seconds spent resolving; None before.
        tcp_s: Seconds spent on the TCP handshake; None before.
        asked_s: Seconds until the upgrade was asked for; None before, and where it is not known.
        watched: A socket that somebody else connects, only to see how far it is.
    """

    def __init__(self, target: Target) -> None:
        host, port, secure = check(target)
        self.host: str = host
        self.port: int = port
        self.tls: ssl.SSLContext | None = (target.tls or system_tls()) if secure else None
        self.phase: str = "dns"
        self.dns_s: float | None = None
        self.tcp_s: float | None = None
        self.asked_s: float | None = None
        self.watched: socket.socket | None = None
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._sock: socket.socket | None = None

    def elapsed_s(self) -> float:
        """Return the seconds since the attempt began."""
        return self._loop.time() - self._started

    def handshake(self, headers: Mapping[str, str]) -> Handshake:
        """Return what it took so far: all of it, once the 101 is here."""
        took_s, asked_s, tcp_s = self.elapsed_s(), self.asked_s, self.tcp_s
        upgrade_s = None if asked_s is None else took_s - asked_s
        tls_s = None
        if self.tls is not None and asked_s is not None and tcp_s is not None:
            tls_s = asked_s - (self.dns_s or 0.0) - tcp_s
        return Handshake(took_s, self.dns_s, self.tcp_s, tls_s, upgrade_s, headers)

    def error_body_s(self) -> float:
        """Return how long to wait for a refusal's body: at most half of the time that is left.

        So that a refusal is one, and no timeout, whenever its head comes in time.
        """
        left_s = self._target.timeout_s - self.elapsed_s()
        return max(min(ERROR_BODY_S, left_s / 2), 0.0)

    def stage(self) -> str:
        """Return the phase, looking at the watched socket to tell TCP from what follows it."""
        if self.watched and connected(self.watched):
            return "tls" if self.tls else "upgrade"
        return self.phase

    def headers(self) -> Iterator[tuple[str, str]]:
        """Yield the request's headers. Asked for the first one, it knows that TLS stands."""
        self.phase = "upgrade"
        self.asked_s = self.elapsed_s()
        yield from self._target.headers.items()

    async def within(self, opening: Coroutine[Any, Any, AnySocket]) -> AnySocket:
        """Return what ``opening`` opens, within the target's time, or leave nothing behind.

        Raises:
            ConnectTimeout: Not open in time; it says in which phase.
            FishLiveError: Whatever ``opening`` raises.
        """
        task = asyncio.ensure_future(opening)
        try:
            await asyncio.wait((task,), timeout=self._target.timeout_s)
        except asyncio.CancelledError:
            await self._give_up(task)
            raise
        if task.done():
            return task.result()
        phase = self.stage()
        await self._give_up(task)
        raise ConnectTimeout(
            f"no WebSocket at {self.host}:{self.port} within {self._target.timeout_s:g} s"
            f" (waited in {phase})",
            phase=phase,
        )

    async def tcp(self) -> socket.socket:
        """Resolve and connect; the caller's transport owns the socket from here on.

        Raises:
            DNSError: The name does not resolve.
            ConnectError: No address answers.
        """
        addresses = await self._resolve()
        self.dns_s = self.elapsed_s()
        self.phase = "tcp"
        try:
            self._sock = await start_connection(
                addresses,
                happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S,
                loop=self._loop,
                socket_factory=new_socket,
            )
            # One that was reset already must not reach a transport that would connect it again.
            self._sock.getpeername()
        except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError
            self.cut()
            raise self.error(error) from error
        self.tcp_s = self.elapsed_s() - self.dns_s
        self.phase = "tls" if self.tls else "upgrade"
        return self._sock

    def cut(self) -> None:
        """End the TCP connection, if there is one, whoever owns its socket. Idempotent."""
        if self._sock is None:
            return
        if self.phase in {"dns", "tcp"}:
            self._sock.close()
        else:
            # The event loop watches the descriptor: end the connection, and it closes that itself.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def error(self, cause: Exception) -> FishLiveError:
        """Return our error for a foreign one, by its type and the phase it came in."""
        if isinstance(cause, FishLiveError):
            return cause
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _CUT_SHORT):
            why = getattr(cause, "verify_message", "") or cause.reason or type(cause).__name__
            return TLSError(f"TLS with {self.host} failed: {why}")
        code = getattr(cause, "errno", None)
        why = os.strerror(code) if code else type(cause).__name__
        phase = self.stage()
        doing = "reach" if phase == "tcp" else f"finish {phase} with"
        return ConnectError(f"cannot {doing} {self.host}:{self.port}: {why}", phase=phase)

    async def _resolve(self) -> Sequence[Address]:
        try:
            return resolve_numeric(self.host, self.port)
        except socket.gaierror:
            pass  # a name, then
        try:
            found = await names.look_up(self.host, self.port)
        except (OSError, UnicodeError) as error:
            raise dns_error(self.host, error) from error
        if not found:
            raise HostNotFoundError(f"{self.host} has no address")
        return found

    async def _give_up(self, task: asyncio.Task[AnySocket]) -> None:
        task.add_done_callback(_discard)
        task.cancel()
        self.cut()
        await asyncio.wait((task,))
        for _ in range(CUT_TURNS):
            if self._sock is None or self._sock.fileno() < 0:
                return
            await asyncio.sleep(0)


class TCPSocket(socket.socket):
    """A socket whose methods can be replaced: without slots, it has room for that (``tap.py``)."""


def new_socket(address: Address) -> TCPSocket:
    """Return a TCP socket with a small receive buffer, which must be set before it connects."""
    family, kind, proto, _, _ = address
    sock = TCPSocket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


def connected(sock: socket.socket) -> bool:
    """Return whether a socket has a peer."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def resolve_numeric(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of an IP literal without asking a resolver; gaierror for a name."""
    return socket.getaddrinfo(
        host,
        port,
        type=socket.SOCK_STREAM,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def dns_error(host: str, cause: Exception) -> DNSError:
    """Return the error for what a resolver raised. A name that cannot exist does not exist."""
    if isinstance(cause, UnicodeError) or getattr(cause, "errno", None) in NO_SUCH_HOST:
        return HostNotFoundError(f"there is no host {host}")
    why = getattr(cause, "strerror", None) or type(cause).__name__
    return DNSError(f"cannot resolve {host}: {why}")


def _discard(task: asyncio.Task[AnySocket]) -> None:
    """Take the result of an attempt that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
