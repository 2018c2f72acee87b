"""What went wrong in an HTTP exchange, in our words.

The HTTP library's errors hold the request's headers, the key among them, so that none of them is
ever a cause or a context of ours: only the bare network error beneath is.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import Final

import aiohttp

from fishlive.errors import (
    ConnectError,
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    TLSError,
    UpgradeError,
)
from fishlive.transport.dial import dns_error

_NETWORK: Final = (aiohttp.ClientError, OSError, EOFError, asyncio.TimeoutError)
"""What the network causes. Everything else is a request that could not be made."""

_CUT_SHORT: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors that are the network's, so that the next attempt may be luckier."""


def failed(error: Exception, *, sent: bool) -> FishLiveError:
    """Return our error for an exchange that failed before its answer.

    Args:
        error: What the HTTP library raised.
        sent: Whether any of the request may have reached the service.
    """
    if isinstance(error, FishLiveError):
        return error
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unconnected(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        why = getattr(cause, "verify_message", "") or type(cause).__name__
        return _caused(TLSError(f"TLS with {error.host} failed: {why}"), cause)
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return TLSError(f"the certificate of {error.host} has another fingerprint")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UpgradeError(f"the proxy refused ({error.status})", status=error.status)
    if isinstance(error, aiohttp.ClientResponseError):
        return UpgradeError("something answered that does not speak HTTP")
    if not isinstance(error, _NETWORK):
        return ProtocolError(f"the request could not be made ({type(error).__name__})")
    if sent:
        return ConnectionLost("the connection was lost before the answer came")
    return ConnectError(f"no connection ({type(error).__name__})", phase="tcp")


def broken_off(error: Exception) -> FishLiveError:
    """Return our error for an answer that ended before its end."""
    if isinstance(error, FishLiveError):
        return error
    return ConnectionLost(f"the answer broke off ({type(error).__name__})")


def unexpected(status: int) -> FishLiveError:
    """Return our error for an answer that is neither a success nor a refusal."""
    if 300 <= status <= 399:
        return UpgradeError(
            f"the server redirects ({status}); redirects are not followed: correct base_url",
            status=status,
        )
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return UpgradeError(f"unexpected answer {status} {phrase}".rstrip(), status=status)


def _unconnected(error: aiohttp.ClientConnectorError) -> FishLiveError:
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _caused(dns_error(error.host, cause), cause)
    where = f"{error.host}:{error.port}"
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, "reason", None) or type(cause).__name__
        if isinstance(cause, _CUT_SHORT):
            return _caused(
                ConnectError(f"cannot finish tls with {where}: {why}", phase="tls"), cause
            )
        return _caused(TLSError(f"TLS with {error.host} failed: {why}"), cause)
    why = cause.strerror or type(cause).__name__
    return _caused(ConnectError(f"cannot reach {where}: {why}", phase="tcp"), cause)


def _caused(error: FishLiveError, cause: BaseException) -> FishLiveError:
    error.__cause__ = cause
    return error
