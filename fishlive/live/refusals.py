"""What an ``error`` event asks of the caller."""

from __future__ import annotations

from fishlive.errors import (
    ConcurrencyLimitError,
    FishLiveError,
    InvalidRequestError,
    SynthesisError,
)
from fishlive.wire.events import Failure


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
