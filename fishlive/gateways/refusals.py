"""What the gateways mean when they say no: by their code first, by status second. Pure.

Codes and statuses contradict each other between documents (400 ``token_mismatched`` is a missing
parameter in the guides, 401 a token for another service in the newer pages), so neither is enough
alone. Source: the gateways' guides and pages (2025-05 to 2026-09).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConcurrencyLimitError,
    FishLiveError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from fishlive.transport.refusal import BY_STATUS, place, refusal, retry_after_s
from fishlive.wire.events import plain_text

BY_CODE: Final[Mapping[str, type[APIStatusError]]] = {
    "no_token": AuthenticationError,
    "invalid_token": AuthenticationError,
    "token_expired": AuthenticationError,
    "unauthorized": AuthenticationError,
    "used_up": InsufficientCreditsError,
    "insufficient_balance": InsufficientCreditsError,
    "disabled": PermissionDeniedError,
    "forbidden": PermissionDeniedError,
    "content_moderation": PermissionDeniedError,
    "not_applied": PermissionDeniedError,
    "no_api": NotFoundError,
    "not_found": NotFoundError,
    "task_not_found": NotFoundError,
    "bad_request": InvalidRequestError,
    "invalid_request": InvalidRequestError,
    "api_not_implemented": InvalidRequestError,
    "content_too_large": InvalidRequestError,
    "duplication": InvalidRequestError,
    "too_many_requests": RateLimitError,
    "rate_limited": ConcurrencyLimitError,
    "busy": ServerError,
    "api_error": ServerError,
    "timeout": ServerError,
    "upstream_error": ServerError,
    "upstream_timeout": ServerError,
}
"""What a code means, whatever the status (responses pages, 2026; older pages, 2025)."""

_MISMATCHED: Final = "token_mismatched"
_NO_SUCH_VOICE: Final = re.compile(r"(?i)\bmodel not found\b")
"""How a voice that does not exist is reported: as a 400 (measured by others, 2026)."""

_MOST_NESTED: Final = 4
"""How deep a message may hide in messages. The deepest seen is two."""


def gateway_refusal(status: int, headers: Mapping[str, str], body: bytes) -> FishLiveError:
    """Return the error that an HTTP answer stands for.

    Args:
        status: Of the answer.
        headers: Of the answer, names in lower case.
        body: As much of it as arrived.
    """
    said = _document(body)
    if not isinstance(said, dict) or not 400 <= status <= 599:
        return refusal(status, headers, body)
    error = refusal_in(said, status=status)
    if error is None:
        return refusal(status, headers, body)
    error.trace_id = error.trace_id or plain_text(headers.get("x-trace-id")) or None
    error.retry_after_s = retry_after_s(headers)
    return error


def refusal_in(said: Mapping[str, Any], *, status: int | None = None) -> APIStatusError | None:
    """Return the error that a body stands for; None if it reports none.

    A body may report one under status 200, and a task's record or a callback has no status.

    Args:
        said: The JSON of an answer, of a task's ``response``, or of a callback.
        status: Of the HTTP answer; None if there was none, or if it was a success.
    """
    native = _native_status(said)
    code = code_of(said)
    failed = said.get("success") is False or said.get("error") or native is not None
    if not (failed or status is not None):
        return None
    message = message_of(said) or code or "no reason given"
    shown = status if status is not None else native
    return _class(code, shown, message)(
        message, status=shown, reason=code, trace_id=plain_text(said.get("trace_id")) or None
    )


def code_of(said: Mapping[str, Any]) -> str | None:
    """Return the machine-readable code of a failure, if there is one."""
    error = said.get("error")
    for value in (error.get("code") if isinstance(error, dict) else None, said.get("code")):
        if isinstance(value, str) and value:
            return plain_text(value)
    return None


def message_of(said: object, *, depth: int = _MOST_NESTED) -> str:
    """Return the sentence of a failure, whichever way it is wrapped; empty if there is none.

    An ``error`` may be a string, or an object with a ``message``; that may be JSON again: a list
    of fields that are wrong, or another ``{status, message}``.
    """
    if depth and isinstance(said, dict):
        for name in ("error", "message", "detail", "msg"):
            if said.get(name) and (sentence := message_of(said[name], depth=depth - 1)):
                return sentence
        return ""
    if depth and isinstance(said, list):
        rows = (_row(row) for row in said[:8])
        return "; ".join(row for row in rows if row)
    if not isinstance(said, str):
        return ""
    inner = _document(said.encode("utf-8", "replace")) if said[:1] in ("{", "[") else None
    nested = message_of(inner, depth=depth - 1) if inner is not None and depth else ""
    return nested or plain_text(said)


def _row(row: object) -> str:
    """Return ``field: message`` of one row of a validation error."""
    if not isinstance(row, dict):
        return ""
    return ": ".join(filter(None, (plain_text(place(row.get("loc"))), plain_text(row.get("msg")))))


def _native_status(said: Mapping[str, Any]) -> int | None:
    """Return the status of a failure in Fish's own form, where ``status`` is a number."""
    status = said.get("status")
    return status if type(status) is int and 400 <= status <= 599 else None


def _class(code: str | None, status: int | None, message: str) -> type[APIStatusError]:
    if code == _MISMATCHED:
        bad = status == HTTPStatus.BAD_REQUEST
        return InvalidRequestError if bad else AuthenticationError
    if code is not None and code in BY_CODE:
        return BY_CODE[code]
    if status == HTTPStatus.BAD_REQUEST and _NO_SUCH_VOICE.search(message):
        return NotFoundError
    if status is None:
        return ServerError
    return BY_STATUS.get(status) or (ServerError if status >= 500 else InvalidRequestError)


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
