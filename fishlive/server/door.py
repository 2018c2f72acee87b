"""Keeps foreign names and web pages out, and stamps what every answer carries."""

from __future__ import annotations

import ipaddress
import re
import secrets
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from fishlive.server.accounts import Account
from fishlive.server.refusal import Refusal

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C trace context; the service starts its own trace if it is missing or invalid
(observability page, 2026-08)."""


_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
"""What browsers say of requests that another origin's page makes (Fetch Metadata, W3C)."""


class Door:
    """Checks where a request is addressed to and which page sent it.

    A web page may resolve its own name to 127.0.0.1 and so reach a loopback server from any
    browser; it cannot forge ``Host`` and ``Origin``. Programs send no ``Origin``.

    Args:
        names: Host names besides loopback's.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = frozenset(name.lower() for name in names)

    def check(self, request: web.Request) -> None:
        """Raise a 403 for a foreign name or page."""
        if not self._addressed_here(_host_of(f"//{request.host}")):
            raise Refusal(
                HTTPStatus.FORBIDDEN, "this local server does not answer to that Host: see `hosts`"
            )
        origin = request.headers.get("Origin")
        foreign = (
            _is_fetched_elsewhere(request)
            if origin is None
            else not self._at_home(_host_of(origin))
        )
        if foreign:
            raise Refusal(
                HTTPStatus.FORBIDDEN, "this local server is not for foreign web pages: see `hosts`"
            )

    def _addressed_here(self, host: str) -> bool:
        # An address cannot be rebound to another machine, only a name can.
        return self._at_home(host) or _address(host) is not None

    def _at_home(self, host: str) -> bool:
        address = _address(host)
        local = address is not None and address.is_loopback
        return local or host == "localhost" or host.endswith(".localhost") or host in self._names


def trace_id(request: web.BaseRequest) -> str:
    """Return the caller's trace, or a new one."""
    match = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return match[1] if match else secrets.token_hex(16)


def stamp(request: web.BaseRequest, response: web.StreamResponse, account: Account) -> None:
    """Add the headers that every answer of the service carries, the 101 too (observed)."""
    response.headers["ratelimit-limit-concurrency"] = str(account.limit)
    response.headers["ratelimit-current-concurrency"] = str(account.running)
    response.headers["x-fish-trace-id"] = trace_id(request)


def _is_fetched_elsewhere(request: web.Request) -> bool:
    """Return whether a foreign page fetches this without saying its origin, as images are.

    A link that somebody follows is no such thing: the page it is on sees nothing of the answer.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    return site in _ELSEWHERE and request.headers.get("Sec-Fetch-Mode") != "navigate"


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
