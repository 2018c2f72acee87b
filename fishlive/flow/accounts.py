"""One governor for each account, however many sessions speak for it."""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from typing import Final
from urllib.parse import urlsplit

from fishlive.flow.governor import Governor

_SHARED: Final[
    weakref.WeakKeyDictionary[
        asyncio.AbstractEventLoop, weakref.WeakValueDictionary[tuple[str, bytes], Governor]
    ]
] = weakref.WeakKeyDictionary()
"""Governors by account, for each loop: as long as somebody uses them."""


def shared_governor(
    base_url: str, key: str, *, limit: int | None = None, idle_sockets_count: bool = False
) -> Governor:
    """Return the governor of an account: the same one for everybody in the running event loop.

    Outside of a loop, or with ``idle_sockets_count``, it is a new one.

    Args:
        base_url: Of the service; its origin counts.
        key: The API key. Only a digest is kept.
        limit: See :class:`Governor`; of several, the smallest holds.
        idle_sockets_count: See :class:`Governor`.

    Raises:
        ConfigError: The limit is not from 1 to MAX_LIMIT.
    """
    loop = asyncio._get_running_loop()
    if loop is None or idle_sockets_count:
        return Governor(limit, idle_sockets_count=idle_sockets_count)
    accounts = _SHARED.setdefault(loop, weakref.WeakValueDictionary())
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url.lower()))
    account = (origin, hashlib.sha256(key.encode()).digest())
    governor = accounts.get(account)
    if governor is None:
        governor = accounts[account] = Governor(limit)
    elif limit is not None:
        governor.cap(limit)
    return governor
