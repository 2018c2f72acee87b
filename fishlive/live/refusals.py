"""What an ``error`` event, or a close, asks of the caller."""

from __future__ import annotations

from typing import Final

from fishlive.errors import (
    ConcurrencyLimitError,
    FishLiveError,
    InvalidRequestError,
    ServerClosed,
    SynthesisError,
)
from fishlive.wire.events import Failure

RESTART_CODES: Final = frozenset({1012, 1013})
"""Closes that say "I am restarting" or "come back later" (IANA's registry of close codes):
everybody was told the same in the same moment."""


def refusal(event: Failure, *, spoken: bool) -> FishLiveError:
    """Return the error whose class says what to do.

    Args:
        event: What the service said.
        spoken: Whether audio came before it, so that the request cannot have been wrong.

    Source: OpenAPI description of live/with-timestamp, 2026-09: a request-level failure, such
    as an invalid start, a missing voice or too many requests at once.
    """
    if event.max_concurrency is not None or "concurren" in event.message.lower():
        return ConcurrencyLimitError(event.message, max_concurrency=event.max_concurrency)
    if spoken:
        return SynthesisError("error", event.message)
    return InvalidRequestError(event.message)


def restarting(error: BaseException | None) -> bool:
    """Return whether the service asked everybody to come back later, and not all at once."""
    return isinstance(error, ServerClosed) and error.close_code in RESTART_CODES
