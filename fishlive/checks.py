"""Whether a session's arguments can be right: found out before anything is opened."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

from fishlive.errors import ConfigError
from fishlive.flow.capacity import MAX_LIMIT
from fishlive.limits import DEFAULT_BASE_URL
from fishlive.models.warning import warn
from fishlive.secret import Secret
from fishlive.transport.socket import Connect

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def checked_key(given: str | Secret | None) -> Secret:
    """Return the key, from FISH_API_KEY if None. Raises ConfigError if it cannot be one."""
    if isinstance(given, Secret):
        return given
    if given is None:
        given = os.environ.get("FISH_API_KEY")
    if not given:
        raise ConfigError(
            "no API key: pass api_key, or set FISH_API_KEY "
            "(the local server takes the key `local`)",
            argument="api_key",
        )
    try:
        return Secret(given)
    finally:
        del given


def checked_url(url: str, *, allow_insecure: bool) -> str:
    """Return the address without a slash at its end. Raises ConfigError if it cannot be one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"base_url is no URL: {error}", argument="base_url") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in {"http", "https"} or not host or not plain:
        raise ConfigError(
            "base_url is ASCII, starts with https:// and names a host", argument="base_url"
        )
    if parts.username or parts.query or parts.fragment:
        raise ConfigError(
            "base_url has no user, query or fragment; the key goes into api_key",
            argument="base_url",
        )
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_insecure:
        raise ConfigError(
            "base_url is http:// to another machine, which would show the key to the network; "
            "use https://, or allow_insecure=True",
            argument="base_url",
        )
    return url.rstrip("/")


def check_kind(value: object, kind: type, argument: str) -> None:
    """Raise ConfigError unless the value is of its kind, or None."""
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"{argument} is a {kind.__name__}, or None", argument=argument)


def check_standby(standby: object) -> None:
    """Raise ConfigError unless so many sockets can be kept."""
    if not (type(standby) is int and 0 <= standby <= MAX_LIMIT):
        raise ConfigError(f"standby is a whole number from 0 to {MAX_LIMIT}", argument="standby")


def check_concurrency(concurrency: object) -> None:
    """Raise ConfigError unless so many requests can be allowed, or None."""
    # Asked here, and not where it is used first: the key is a local variable there.
    if concurrency is not None and not (type(concurrency) is int and 1 <= concurrency <= MAX_LIMIT):
        raise ConfigError(
            f"concurrency is a whole number from 1 to {MAX_LIMIT}, or None", argument="concurrency"
        )


def connector(transport: object) -> Connect:
    """Return a transport's way in, by its name. Raises ConfigError for an unknown one."""
    if transport == "picows":
        from fishlive.transport.picows import connect_picows

        return connect_picows
    if transport == "aiohttp":
        from fishlive.transport.aiohttp import connect_aiohttp

        return connect_aiohttp
    if callable(transport):
        return transport
    raise ConfigError("transport is picows, aiohttp or a function", argument="transport")


def check_function(value: object, argument: str) -> None:
    """Raise ConfigError unless it can be called, or is None."""
    if value is not None and not callable(value):
        raise ConfigError(f"{argument} is a function, or None", argument=argument)


def check_resume(resume: object, fallback: object, *, timestamps: bool, form: object) -> None:
    """Raise ConfigError unless an utterance can go on so after a loss in the middle."""
    if resume not in {None, "aligned", "segment"}:
        raise ConfigError("resume is aligned, segment or None", argument="resume")
    if fallback not in {"raise", "repeat", "skip"}:
        raise ConfigError("resume_fallback is raise, repeat or skip", argument="resume_fallback")
    if resume == "aligned" and not timestamps:
        raise ConfigError("resume=aligned needs timestamps=True", argument="timestamps")
    if resume is not None and form not in {None, "pcm"}:
        raise ConfigError("only PCM can be joined: resume needs format=pcm", argument="format")


def warn_of_stranger(base_url: str) -> None:
    """Warn that a key nobody passed for this address goes there."""
    host = urlsplit(base_url).hostname
    if host not in _LOOPBACK and host != urlsplit(DEFAULT_BASE_URL).hostname:
        warn(
            f"the key of FISH_API_KEY goes to {host}: if that is meant, name the key itself "
            "(api_key, or --key-file)"
        )
