"""W3C trace context, for the service's own traces."""

from __future__ import annotations

import re
from typing import Final

from fishlive.errors import ConfigError

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
"""Version ff, and ids of nothing but zeros, are invalid."""


def checked_traceparent(traceparent: object) -> dict[str, str]:
    """Return the header for a trace context; none for None.

    Raises:
        ConfigError: No W3C trace context (Trace Context, section 3.2.2).
    """
    if traceparent is None:
        return {}
    if not isinstance(traceparent, str) or not _TRACEPARENT.fullmatch(traceparent):
        raise ConfigError("not a W3C trace context", argument="traceparent")
    return {"traceparent": traceparent}
