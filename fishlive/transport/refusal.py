"""What a refusal means: HTTP answers to the upgrade, and WebSocket close codes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    ConcurrencyLimitError,
    ConflictError,
    FishLiveError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerClosed,
    ServerError,
    ServerRejected,
    UpgradeError,
)
from fishlive.flow.capacity import limit_of
from fishlive.limits import MAX_ERROR_BODY_BYTES
from fishlive.wire.events import plain_text

MAX_RETRY_AFTER_S: Final = 86_400.0
"""Longest wait we repeat, in seconds: a day. More is a mistake or a joke, and nobody waits it."""

MAX_FIELD_ERRORS: Final = 8
"""How many of a validation error's fields are shown. More is noise, and the text is capped."""

BY_STATUS: Final[Mapping[int, type[APIStatusError]]] = {
    401: AuthenticationError,
    402: InsufficientCreditsError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ConflictError,
    425: ServerError,  # RFC 8470: too early, and so later
    429: RateLimitError,
}
"""Statuses with a class of their own; the rest goes by hundreds."""

FINAL_CODES: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010})
"""Close codes that blame what we sent: sending it again ends the same way."""

POLICY_CODE: Final = 1008
"""The code under which services close for reasons of their own (RFC 6455: policy violation)."""

BY_REASON: Final = (
    (re.compile(r"(?i)concurren"), ConcurrencyLimitError),
    (re.compile(r"(?i)credit|balance|payment"), InsufficientCreditsError),
    (re.compile(r"(?i)unauthori[sz]ed|authenticat|invalid token|api.?key"), AuthenticationError),
)
"""What words in a policy close mean. The service documents no reasons; these are the words of
its HTTP refusals (observed 2026: "Invalid Token", "this route requires an api-key", "Insufficient
API credit", "Concurrency limit exceeded")."""

_MOST_NESTED: Final = 4
"""How deep a sentence may hide in a body's objects. The deepest seen is two."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
_TITLE = re.compile(r"(?i)<title")
_TITLE_END = re.compile(r"(?i)</title")
_MARKUP = re.compile(r"(?i)\s*<(!doctype|html|head|body|\?xml|!--)")


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> FishLiveError:
    """Return the error that an HTTP answer other than a good 101 stands for.

    Args:
        status: Of the answer. 4xx and 5xx become an APIStatusError; everything else did not come
            from a live endpoint, and is an UpgradeError.
        headers: Of the answer, names in lower case.
        body: As much of it as arrived; only the first MAX_ERROR_BODY_BYTES count.
    """
    if not is_refusal(status):
        return UpgradeError(_not_an_endpoint(status), status=status)
    said = _parse(body[:MAX_ERROR_BODY_BYTES])
    message = plain_text(_sentence(said)) or _phrase(status)
    reason = (plain_text(said.get("reason")) or None) if isinstance(said, dict) else None
    cls = BY_STATUS.get(status) or (ServerError if status >= 500 else InvalidRequestError)
    facts: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "retry_after_s": retry_after_s(headers),
        "trace_id": trace_id(headers),
    }
    if cls is RateLimitError and _names_concurrency(f"{reason} {message}"):
        limit = _limit(said) or limit_of(headers)
        return ConcurrencyLimitError(message, max_concurrency=limit, **facts)
    return cls(message, **facts)


def is_refusal(status: int) -> bool:
    """Return whether a status is a live endpoint's no: others come from something else."""
    return 400 <= status <= 599 and status != HTTPStatus.UPGRADE_REQUIRED


def server_closed(code: int, reason: str = "") -> FishLiveError:
    """Return the error that a close frame before ``finish`` stands for.

    Args:
        code: The close code; 1005 if the frame had none.
        reason: As the peer wrote it.

    Returns:
        ServerRejected for a code that blames us, otherwise ServerClosed. A policy violation whose
        reason names the key, the credit or the concurrency is the APIStatusError of that kind.
    """
    text = plain_text(reason)
    if code == POLICY_CODE:
        for words, cls in BY_REASON:
            if words.search(text):
                return cls(text)
    return (ServerRejected if code in FINAL_CODES else ServerClosed)(code, text)


def trace_id(headers: Mapping[str, str]) -> str | None:
    """Return what the service calls the request (``x-fish-trace-id``, ``x-generation-id``)."""
    for name in ("x-fish-trace-id", "x-generation-id"):
        if found := plain_text(headers.get(name)):
            return found
    return None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the service asks to wait, from 0 to MAX_RETRY_AFTER_S seconds.

    Reads ``retry-after-ms`` first, then ``retry-after``: seconds, or a date, which counts from
    the answer's own ``date`` (the wall clock only without one). Only ASCII digits are numbers;
    signs, exponents and everything else unreadable are None. A date in the past is 0.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return min(float(milliseconds) / 1000, MAX_RETRY_AFTER_S)
    text = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_S)
    then = _timestamp(text)
    if then is None:
        return None
    now = _timestamp(headers.get("date", "").strip())
    return min(max(then - (_wall_clock_s() if now is None else now), 0.0), MAX_RETRY_AFTER_S)


def _timestamp(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        # A naive date was written with "-0000", which is UTC too.
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _wall_clock_s() -> float:
    return datetime.now(timezone.utc).timestamp()


def _not_an_endpoint(status: int) -> str:
    if 300 <= status <= 399:
        return f"the server redirects ({status}); redirects are not followed: correct the URL"
    return f"expected a WebSocket upgrade, got {status} {_phrase(status)}".rstrip()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given" if status >= 400 else ""


def _parse(body: bytes) -> Any:
    """Return the body's JSON, or its text where it is not JSON."""
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _sentence(said: Any, depth: int = _MOST_NESTED) -> str:
    """Return what a body says, readable for people, whatever its form."""
    if isinstance(said, str):
        return _without_markup(said)
    if isinstance(said, list):
        return "; ".join(_field_errors(said))
    if isinstance(said, dict) and depth:
        for name in ("message", "detail", "error", "reason"):
            if sentence := _sentence(said.get(name), depth - 1):
                return sentence
    return ""


def _without_markup(text: str) -> str:
    if not _MARKUP.match(text):
        return text
    title = _title(text)
    return f"HTML page {' '.join(title.split())!r}" if title else "HTML page"


def _title(page: str) -> str:
    """Return the title of a page; by three searches, each of which looks at it once."""
    tag = _TITLE.search(page)
    start = page.find(">", tag.end()) + 1 if tag else 0
    end = _TITLE_END.search(page, start) if start else None
    return page[start : end.start()] if end else ""


def _field_errors(rows: list[Any]) -> Iterator[str]:
    """Yield ``field: message`` for each row of a validation error, in either of its spellings."""
    for row in rows[:MAX_FIELD_ERRORS]:
        if not isinstance(row, dict):
            continue
        yield ": ".join(
            filter(None, (place(row.get("loc")), _word(row.get("msg") or row.get("message"))))
        )


def place(where: object) -> str:
    """Return where a validation error is, as ``body.text``; empty if that is no place."""
    return ".".join(map(_word, where)) if isinstance(where, list) else _word(where)


def _word(value: object) -> str:
    """Return text and numbers as text, and nothing of what may be nested without end."""
    return str(value) if isinstance(value, (str, int, float)) else ""


def _names_concurrency(text: str) -> bool:
    return BY_REASON[0][0].search(text) is not None


def _limit(said: Any) -> int | None:
    limit = said.get("max_concurrency") if isinstance(said, dict) else None
    return limit if type(limit) is int and limit > 0 else None
