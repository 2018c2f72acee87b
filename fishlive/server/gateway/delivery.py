"""Callbacks, really posted, and never to where they could do harm.

A callback's address is whatever a client says, so that posting to it could reach what only this
machine can: its name is resolved once, every address is looked at, and the connection goes to what
was looked at. No redirects, no proxy, no cookies; ports 80 and 443. Loopback only if allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from fishlive.limits import KIB
from fishlive.transport import names

_log: Final = logging.getLogger("fishlive.server")

TIMEOUT_S: Final = 10.0
"""How long a receiver may take, in seconds: what the gateways once promised (pages of 2025)."""

MOST_ANSWER_BYTES: Final = 64 * KIB
"""How much of a receiver's answer is read. Nobody looks at it."""

PORTS: Final = frozenset({80, 443})

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNICAST6: Final = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is handed out (RFC 4291, section 2.4). The rest is local, reserved, or stands
for an address of IPv4 that could be anybody's."""

_NEVER4: Final = tuple(
    map(ipaddress.IPv4Network, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24"))
)
_NEVER6: Final = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
"""Carrier-grade NAT, tunnels and their relays (6to4, Teredo), documentation: in the tables of some
Python versions, not of all (IANA special-purpose registries, 2024-10)."""

_NETLOC: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""Hosts that every parser of URLs reads alike: no user, no zone, nothing that is not ASCII."""

_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
"""A host that ends in a number is an address, in whichever spelling (WHATWG URL, host parsing):
``127.1``, ``0177.0.0.1``, ``2130706433``. HTTP libraries ask no resolver about some of these."""


class Forbidden(OSError):
    """An address that callbacks do not go to."""


def check_address(text: str, *, local: bool) -> None:
    """Raise Forbidden for an address that is not on the public internet.

    Args:
        text: An IP address.
        local: Whether loopback is allowed.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.is_loopback and local:
        return
    if not address.is_global or address.is_multicast or _is_special(address):
        raise Forbidden(f"{text} is no public address")


def _is_special(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _NEVER4)
    return address not in _UNICAST6 or any(address in network for network in _NEVER6)


def check_url(url: str, *, local: bool) -> None:
    """Raise Forbidden for a URL that callbacks are not posted to, as far as it shows."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Forbidden("no URL") from error
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise Forbidden("no plain http(s) URL")
    if not _NETLOC.fullmatch(parts.netloc):
        raise Forbidden("a host that is not plain")
    literal = _literal(host)
    if literal is None and _NUMBER.fullmatch(host):
        raise Forbidden("an address in another spelling")
    loopback = literal is not None and literal.is_loopback
    usual = 443 if parts.scheme == "https" else 80
    if (port or usual) not in PORTS and not (local and (loopback or host == "localhost")):
        raise Forbidden(f"port {port} is neither 80 nor 443")
    if literal is not None:
        check_address(host, local=local)


def _host_of(url: str) -> str:
    """Return the host for a log, where nothing in it may steer a terminal."""
    try:
        return ascii(urlsplit(url).hostname or "nowhere")[1:-1]
    except ValueError:
        return "nowhere"


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


class _Checked(AbstractResolver):
    """Resolves a name once, and gives only addresses that were all looked at."""

    def __init__(self, *, local: bool) -> None:
        self._local = local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await names.look_up(host, port, family)
        for row in found:
            check_address(str(row[4][0]), local=self._local)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Postman:
    """Posts callbacks. Close it when the server closes.

    Args:
        local: Whether loopback is allowed, on any port.
    """

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes) -> int | None:
        """Post once; return the status, or None if it could not be delivered, which is logged.

        The log has the host and the reason, never the path: that may be a secret.
        """
        try:
            check_url(url, local=self._local)
            return await self._post(url, body)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            cause = getattr(error, "os_error", error)
            why = str(cause) if isinstance(cause, Forbidden) else type(error).__name__
            _log.warning("a callback to %s was not delivered: %s", _host_of(url), why)
            return None

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, url: str, body: bytes) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=_Checked(local=self._local), use_dns_cache=False, force_close=True
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                trust_env=False,
            )
        headers = {"Content-Type": "application/json", "User-Agent": "fishlive-local-server"}
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            await response.content.read(MOST_ANSWER_BYTES)
            return response.status


def written(body: Mapping[str, Any]) -> bytes:
    """Return a callback's body."""
    return json.dumps(body, ensure_ascii=False).encode()
