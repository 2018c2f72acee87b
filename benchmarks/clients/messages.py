"""The messages of the hand-written clients."""

from __future__ import annotations

import msgpack

from benchmarks.plans import SAMPLE_RATE_HZ

HEADERS = {"Authorization": "Bearer local", "model": "s2-pro"}
STOP: bytes = msgpack.packb({"event": "stop"})


def start(plan: str) -> bytes:
    request = {"text": "", "format": "pcm", "sample_rate": SAMPLE_RATE_HZ, "reference_id": plan}
    message: bytes = msgpack.packb({"event": "start", "request": request})
    return message


def text(token: str) -> bytes:
    message: bytes = msgpack.packb({"event": "text", "text": token})
    return message
