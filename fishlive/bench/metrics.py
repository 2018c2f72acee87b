"""The numbers that tables, histograms and comparisons are made of, and what they mean."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fishlive.bench.records import Record


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of an utterance, or several.

    Attributes:
        name: In files and options.
        title: For people.
        unit: ``s`` for seconds, ``x`` for a ratio.
        meaning: One sentence.
        values: What it is for one utterance; nothing where there is nothing to measure.
    """

    name: str
    title: str
    unit: Literal["s", "x"]
    meaning: str
    values: Callable[[Record], Iterator[float]]


def gaps_s(arrivals_s: Sequence[float]) -> Iterator[float]:
    """Yield the times between neighbours, in seconds."""
    return (later - earlier for earlier, later in itertools.pairwise(arrivals_s))


def _field(name: str) -> Callable[[Record], Iterator[float]]:
    def values(record: Record) -> Iterator[float]:
        value = getattr(record, name)
        if value is not None:
            yield value

    return values


def _metric(name: str, title: str, meaning: str, unit: Literal["s", "x"] = "s") -> Metric:
    return Metric(name, title, unit, meaning, _field(name))


_ALL: Final = (
    _metric("latency_s", "latency", "first words there (as intended) to first audio"),
    _metric("audible_s", "audible", "first words there (as intended) to first audible sound"),
    _metric("response_s", "response", "intended start to first audio, the author's time included"),
    _metric("queue_s", "queue", "intended start to real start"),
    _metric("dns_s", "DNS", "resolving the name"),
    _metric("tcp_s", "TCP", "TCP handshake"),
    _metric("tls_s", "TLS", "TLS handshake"),
    _metric("upgrade_s", "upgrade", "WebSocket upgrade"),
    _metric("connect_s", "connect", "all of connecting, where an utterance waited for it"),
    _metric("slot_s", "slot", "waiting for one of the account's slots"),
    _metric("text_ready_s", "text", "start to the text source's first words"),
    _metric("text_wait_s", "wait for text", "what of that was left once connected"),
    _metric("other_s", "other", "our own work, and connections that were lost, before the text"),
    _metric("first_audio_s", "first audio", "first text sent to first audio received"),
    _metric("leading_silence_s", "leading silence", "silence that the audio begins with"),
    Metric(
        "gap_s", "gap", "s", "time between two chunks, all of them", lambda r: gaps_s(r.arrivals_s)
    ),
    _metric("gap_max_s", "longest gap", "longest time between two chunks of an utterance"),
    _metric("rtf", "real-time factor", "first text to last audio, for a second of audio", "x"),
    _metric("audio_s", "audio", "seconds of audio received"),
    _metric("wall_s", "wall", "start to end; for a gateway's task, to its result"),
)

METRICS: Final = {metric.name: metric for metric in _ALL}
"""All of them, by name, in the order of an utterance's life."""

PATH: Final = (
    "queue_s", "dns_s", "tcp_s", "tls_s", "upgrade_s", "slot_s", "text_wait_s", "other_s",
    "first_audio_s", "leading_silence_s",
)  # fmt: skip
"""The steps of an utterance up to its first sound, one behind the other: a waterfall. What
connecting takes besides its four steps is not in it."""

GATEWAYS: Final = ("acedata", "xhuo")
"""Transports whose utterances are tasks: they have a result, and no first audio."""


TASK_STEPS: Final = frozenset({"queue_s", "text_wait_s"})
"""The steps of a path that a task has: it takes no socket and no slot of ours, and hears nothing
until its result."""


def has_step(transport: str, name: str) -> bool:
    """Return whether a transport's utterances can have a step; what it cannot is 0 in records."""
    return transport not in GATEWAYS or name in TASK_STEPS


def headline(transport: str) -> Metric:
    """Return the number a transport is judged by: latency, or a task's time to its result."""
    return METRICS["wall_s" if transport in GATEWAYS else "latency_s"]
