"""What a local server bears: who reaches it, with which keys, how many, and how slowly."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from fishlive.errors import ConfigError
from fishlive.server.refusal import Refusal

LEAST_TOKEN_CHARS: Final = 16
"""Shortest key of a server that others can reach, in characters: 96 bits of base64."""

HTTP_IDLE_S: Final = 60.0
"""How long a connection may take to say a request's whole head, and wait between two requests, in
seconds. Twice what our own client keeps connections for."""

BODY_S: Final = 60.0
"""How long a request's body may take, in seconds: 50 MiB at 7 Mbit/s."""

_REAL: Final = re.compile(r"[0-9A-Fa-f]{32,}|[a-z]{2,8}[-_][A-Za-z0-9_-]{20,}|eyJ[\w.-]{20,}")
"""Keys of services as they look: 32 hexadecimal digits, ``sk-…``, a JSON Web Token."""

_OURS: Final = "local"
"""What our own keys begin with, however long they are."""


def looks_real(key: str) -> bool:
    """Return whether a key looks like one that costs money somewhere."""
    return not key.startswith(_OURS) and _REAL.fullmatch(key) is not None


def check_keys(keys: Sequence[str], *, any_key: bool) -> None:
    """Raise ConfigError for a key that looks real: it would stand in files and process lists.

    Args:
        keys: Keys that are accepted.
        any_key: Whether every key is accepted, so that real ones are meant.
    """
    if not any_key and any(map(looks_real, keys)):
        raise ConfigError(
            "a key looks like a real one, and a local server needs none: invent another, or say "
            "accept_any_key=True",
            argument="keys",
        )


def check_idle(idle_s: float | None) -> None:
    """Raise ConfigError for what is no time to wait."""
    if idle_s is not None and not idle_s > 0:
        raise ConfigError("idle_s is a time over 0 seconds, or None", argument="idle_s")


def check_exposure(host: str, keys: Sequence[str], *, allowed: bool, any_key: bool) -> None:
    """Raise ConfigError for an address that lets others in, unless that was said and is guarded.

    Args:
        host: Address to listen on.
        keys: Keys that are accepted.
        allowed: Whether others were let in on purpose.
        any_key: Whether every key is accepted.
    """
    if is_loopback(host):
        return
    if not allowed:
        raise ConfigError(
            f"{host or 'every address'} lets other machines in: say allow_remote=True if that is "
            "meant",
            argument="host",
        )
    if any_key or min(map(len, keys)) < LEAST_TOKEN_CHARS:
        raise ConfigError(
            f"a server that other machines reach needs keys of at least {LEAST_TOKEN_CHARS} "
            "characters, and no others",
            argument="keys",
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_crowd(runner: web.AppRunner | None, most: int) -> None:
    """Raise a 503 that ends the connection if more than ``most`` are open."""
    server = None if runner is None else runner.server
    if server is not None and len(server.connections) > most:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"this local server has {most} connections already",
            headers={"Connection": "close"},
        )


@contextlib.contextmanager
def body_in_time(request: web.Request, within_s: float = BODY_S) -> Iterator[None]:
    """Cut the connection if a request's body is not there in time."""

    def late() -> None:
        if not request.content.is_eof() and request.transport is not None:
            request.transport.abort()

    timer = asyncio.get_running_loop().call_later(within_s, late)
    try:
        yield
    finally:
        timer.cancel()
