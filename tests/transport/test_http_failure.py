"""http_failure.py: the HTTP library's errors in our words, as far as no real network makes them."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from fishlive.errors import (
    ConnectError,
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    StallTimeout,
    TLSError,
    UpgradeError,
)
from fishlive.transport.http_failure import broken_off, failed, unexpected

WHERE = ConnectionKey("fish.invalid", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("cause", "cls", "retryable"),
    [
        (ssl.SSLEOFError(8, "EOF occurred"), ConnectError, True),
        (ssl.SSLZeroReturnError(6, "closed"), ConnectError, True),
        (ssl.SSLError(1, "no protocols available"), TLSError, False),
    ],
)
def test_a_tls_failure_is_tried_again_only_if_it_was_cut_short(
    cause: ssl.SSLError, cls: type[FishLiveError], *, retryable: bool
) -> None:
    """Two that have no TLS version in common will not have one a second later."""
    error = failed(aiohttp.ClientConnectorSSLError(WHERE, cause), sent=False)
    assert type(error) is cls
    assert error.retryable is retryable
    assert error.__cause__ is cause


@pytest.mark.parametrize(
    "cause", [aiohttp.ServerDisconnectedError(), OSError(), asyncio.TimeoutError()]
)
def test_where_it_broke_depends_on_what_was_sent(cause: Exception) -> None:
    """Before the first byte there was no connection; after it an answer may be lost."""
    assert type(failed(cause, sent=False)) is ConnectError
    assert type(failed(cause, sent=True)) is ConnectionLost


def test_what_is_no_failure_of_the_network_is_not_repeated() -> None:
    """Its text, which may quote the request, stays where it is."""
    error = failed(ValueError("canary"), sent=False)
    assert type(error) is ProtocolError
    assert not error.retryable
    assert "canary" not in str(error)


def test_errors_of_ours_pass() -> None:
    """As the same object."""
    ours = StallTimeout("", phase="send")
    assert failed(ours, sent=True) is ours
    assert broken_off(ours) is ours


@pytest.mark.parametrize("status", [101, 302, 426, 600])
def test_a_status_that_is_no_answer_is_told(status: int) -> None:
    """By its number."""
    error = unexpected(status)
    assert isinstance(error, UpgradeError)
    assert error.status == status
    assert str(status) in str(error)
