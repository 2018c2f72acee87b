"""What the server shall do with an utterance, as the ``reference_id`` that every client can send.

``sink`` and ``busy`` count the text, and ``busy`` does so without ever sleeping: a sender then does
not pay for waking the server, which in a virtual machine is dearer than the sending.
``flood-<messages>-<bytes>`` sends that much audio after ``stop`` as fast as the socket takes it.
``talk-<bytes>-<milliseconds>`` sends stamped audio at that interval from ``start`` to ``stop`` and
notes how long each stamped token travelled; it does not sleep either.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

Take = Callable[[bytes], object]
"""Called with each chunk in the caller's hands."""

SAMPLE_RATE_HZ = 24_000
"""What ``fishlive`` asks for by default; everybody asks for the same."""

SINK = "sink"
BUSY = "busy"

STAMP_BYTES = 8
"""Nanoseconds of the shared monotonic clock, little endian, in front of ``talk`` audio."""


def flood(messages: int, message_bytes: int) -> str:
    return f"flood-{messages}-{message_bytes}"


def talk(message_bytes: int, interval_ms: int) -> str:
    return f"talk-{message_bytes}-{interval_ms}"


def quantile(ordered: list[int], share: float) -> float:
    """Return the value below which ``share`` of the sorted values lie (nearest rank)."""
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def summary_ms(nanoseconds: list[int]) -> dict[str, float]:
    """Describe durations: how many, p50, p99 and the worst, in milliseconds."""
    if not nanoseconds:
        return {"count": 0}
    ordered = sorted(nanoseconds)
    return {
        "count": len(ordered),
        "p50_ms": quantile(ordered, 0.50) / 1e6,
        "p99_ms": quantile(ordered, 0.99) / 1e6,
        "max_ms": ordered[-1] / 1e6,
    }


@dataclass(frozen=True)
class Server:
    """Where the server listens. ``ca_file`` None means without TLS."""

    port: int
    ca_file: str | None = None

    @property
    def http_url(self) -> str:
        """What an SDK takes as its base URL."""
        return f"http{'s' if self.ca_file else ''}://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """What a bare WebSocket client connects to."""
        return f"ws{'s' if self.ca_file else ''}://127.0.0.1:{self.port}/v1/tts/live"

    def tls(self) -> ssl.SSLContext | None:
        """Return a context that trusts the server and nobody else; None without TLS."""
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
