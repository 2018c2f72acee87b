"""Where HTTP connections come from: our own pool, or one that the caller shares."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp

from fishlive.errors import ConfigError, StreamClosedError, WrongLoopError
from fishlive.limits import HAPPY_EYEBALLS_DELAY_S
from fishlive.transport.patience import trace
from fishlive.transport.resolver import SystemResolver

CONNECTIONS: Final = 100
"""Connections at once, aiohttp's own default: twice the largest tier's concurrency."""

KEEP_ALIVE_S: Final = 30.0
"""How long an idle connection is kept, in seconds. The service keeps them for over 90 (observed,
api notes, 2026); a connection that it closes first costs a paid call that cannot be repeated."""


def open_session(given: aiohttp.ClientSession | None = None) -> aiohttp.ClientSession:
    """Return a session without cookies, redirects, compression or repeats of its own.

    Args:
        given: Whose connections, TLS settings, proxy and trace configurations to use. Its default
            headers, cookies and credentials stay where they are: they are meant for others.

    Raises:
        StreamClosedError: ``given`` is closed.
        WrongLoopError: ``given`` belongs to another event loop.
        ConfigError: ``given`` is no ClientSession.
    """
    session = _own() if given is None else _on(given)
    # Repeats are counted, paced and reported by us. Nothing public switches them off.
    session._retry_connection = False  # as aiohttp's own test client does
    return session


def _own() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=SystemResolver(),
        limit=CONNECTIONS,
        keepalive_timeout=KEEP_ALIVE_S,
        happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S,
    )
    return _session(connector=connector)


def _on(given: aiohttp.ClientSession) -> aiohttp.ClientSession:
    if not isinstance(given, aiohttp.ClientSession):
        raise ConfigError("http_session is an aiohttp.ClientSession", argument="http_session")
    if given.closed:
        raise StreamClosedError("the http_session is closed")
    here = asyncio.get_running_loop()
    if getattr(given.connector, "_loop", here) is not here:  # nothing public tells it
        raise WrongLoopError("the http_session belongs to another event loop")
    return _session(
        connector=given.connector,
        connector_owner=False,
        trust_env=given.trust_env,
        traces=given.trace_configs,
        # Nothing public tells them either.
        proxy=getattr(given, "_default_proxy", None),
        proxy_auth=getattr(given, "_default_proxy_auth", None),
    )


def _session(
    *, traces: list[aiohttp.TraceConfig] | None = None, **facts: Any
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=[trace(), *(traces or ())],
        **facts,
    )
