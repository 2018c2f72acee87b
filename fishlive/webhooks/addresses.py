"""Callback addresses: a receiver's own one, with a token in its query. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from fishlive.errors import ConfigError

TOKEN: Final = "token"  # noqa: S105 - a name, not a token
"""Name of the token in the address's query."""

Query = str | Mapping[str, str]
"""Of an address: as text, or taken apart."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_FIELDS: Final = 16
"""Fields of a query that are looked at; real ones have one or two."""


def with_token(url: str, token: str) -> str:
    """Return an address with a token; what its query has stays."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (TOKEN, token)])
    return urlunsplit(parts._replace(query=query))


def token_in(query: Query) -> str:
    """Return the token in a query; empty if there is none, or several."""
    if not isinstance(query, str):
        return query.get(TOKEN, "")
    try:
        found = parse_qs(query, max_num_fields=_MOST_FIELDS).get(TOKEN, [])
    except ValueError:  # too many fields
        return ""
    return found[0] if len(found) == 1 else ""


def check_url(url: str, *, allow_insecure: bool) -> None:
    """Raise ConfigError for a receiver's address that cannot be right."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("url cannot be right", argument="url") from None
    if parts.scheme not in {"http", "https"} or not host or parts.fragment:
        raise ConfigError("url begins with https:// and has no fragment", argument="url")
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_insecure:
        raise ConfigError(
            "url is not encrypted: tokens in it could be read; use https, or allow_insecure=True",
            argument="url",
        )
    if TOKEN in parse_qs(parts.query, keep_blank_values=True):
        raise ConfigError(f"url has a {TOKEN} already", argument="url")
