"""The matrix: every combination of what may differ, and the ones that cannot be."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from fishlive.bench.lanes import LIVE, REST
from fishlive.bench.metrics import GATEWAYS
from fishlive.bench.records import Combination
from fishlive.bench.streams import pace
from fishlive.errors import ConfigError
from fishlive.limits import DEFAULT_MODEL
from fishlive.models.engine import KNOWN, safe_model

TRANSPORTS: Final = (*LIVE, *REST, *GATEWAYS)
SOCKETS: Final = ("cold", "standby", "reused")
FLUSHES: Final = ("sentence", "never")
LATENCIES: Final = ("low", "balanced", "normal")
FORMATS: Final = ("pcm", "wav", "mp3", "opus")

MOST_CELLS: Final = 500
"""Most combinations of one run: more is a slip, at a second each, and a bill."""

MOST_CONCURRENCY: Final = 1000
"""Most utterances at once: beyond some hundred one event loop measures itself."""


@dataclass(frozen=True)
class Matrix:
    """What to combine: each field has the values to try, at least one.

    Attributes:
        model: Synthesis engines.
        latency: ``low``, ``balanced``, ``normal``.
        format: Audio formats.
        voice: Reference ids; None for the service's own voice.
        chunk_length: Characters, 100 to 300; None for the service's default.
        flush: ``sentence``, ``never``.
        transport: ``picows``, ``aiohttp``, ``rest``, ``sse``, ``acedata``, ``xhuo``.
        socket: ``cold``, ``standby``, ``reused``.
        stream: Paces of the text.
        concurrency: Closed loops: utterances at once.
        rate: Open loops: utterances a second.
        any_model: Whether unknown models are meant.
    """

    model: Sequence[str] = (DEFAULT_MODEL,)
    latency: Sequence[str | None] = ("balanced",)
    format: Sequence[str] = ("pcm",)
    voice: Sequence[str | None] = (None,)
    chunk_length: Sequence[int | None] = (100,)
    flush: Sequence[str] = ("sentence",)
    transport: Sequence[str] = ("picows",)
    socket: Sequence[str] = ("cold",)
    stream: Sequence[str] = ("60",)
    concurrency: Sequence[int] = ()
    rate: Sequence[float] = ()
    any_model: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that cannot be; it names the argument."""
        for name, known in (
            ("latency", LATENCIES),
            ("format", FORMATS),
            ("flush", FLUSHES),
            ("transport", TRANSPORTS),
            ("socket", SOCKETS),
        ):
            for value in getattr(self, name):
                _check_choice(name, value, known)
        for model in self.model:
            _check_model(model, any_model=self.any_model)
        for length in self.chunk_length:
            if length is not None and not 100 <= length <= 300:
                raise ConfigError("from 100 to 300 characters", argument="chunk_length")
        for count in self.concurrency:
            if not 1 <= count <= MOST_CONCURRENCY:
                raise ConfigError(f"from 1 to {MOST_CONCURRENCY}", argument="concurrency")
        for rate in self.rate:
            if not 0 < rate < float("inf"):
                raise ConfigError("utterances a second, over 0", argument="rate")

    def combinations(self) -> tuple[tuple[Combination, ...], tuple[str, ...]]:
        """Return every combination that can be, and notes on those that cannot.

        Raises:
            ConfigError: There is none left, or there are too many.
        """
        loads: list[dict[str, Any]] = [{"concurrency": count} for count in self.concurrency]
        loads += [{"rate": rate} for rate in self.rate]
        axes = [getattr(self, name) for name in _AXES]
        found: dict[Combination, None] = {}
        notes: dict[str, None] = {}
        for load in loads or [{"concurrency": 1}]:
            for values in itertools.product(*axes):
                asked = Combination(**dict(zip(_AXES, values, strict=True)), **load)
                why = impossible(asked)
                if why is not None:
                    notes[why] = None
                else:
                    found[_plain(asked)] = None
        if not found:
            raise ConfigError("; ".join(notes), argument="transport")
        if len(found) > MOST_CELLS:
            raise ConfigError(
                f"{len(found)} combinations are too many (at most {MOST_CELLS})", argument="matrix"
            )
        return tuple(found), tuple(notes)


_AXES: Final = tuple(
    field.name for field in fields(Combination) if field.name not in {"concurrency", "rate"}
)


def impossible(asked: Combination) -> str | None:
    """Return why a combination cannot be, in a sentence; None if it can."""
    if asked.socket == "standby" and asked.transport not in LIVE:
        return f"{asked.transport} has no standby sockets: left out"
    if asked.socket == "reused" and asked.transport in GATEWAYS:
        return f"{asked.transport} is measured cold only: left out"
    return None


def _plain(asked: Combination) -> Combination:
    """Return a combination by its canonical names, so that none is measured twice."""
    values = {field.name: getattr(asked, field.name) for field in fields(asked)}
    values["stream"] = pace(asked.stream).name
    if asked.transport not in LIVE:
        values["flush"] = "never"  # there is nothing to flush in a call
    return Combination(**values)


def varied(combinations: Sequence[Combination]) -> tuple[str, ...]:
    """Return the fields in which combinations differ, for a table's columns."""
    return tuple(
        name for name in (*_AXES, "load") if len({getattr(c, name) for c in combinations}) > 1
    )


def _check_choice(name: str, value: object, known: Sequence[str]) -> None:
    if value is None and name == "latency":
        return
    if value not in known:
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"{value} is none of {', '.join(known)}{hint}", argument=name)


def _check_model(model: str, *, any_model: bool) -> None:
    safe_model(model)
    if model not in KNOWN and not any_model:
        near = difflib.get_close_matches(model, KNOWN, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(
            f"model {model} is unknown{hint}: the service would serve and bill s2.1-pro in its "
            "place; add --any-model if you mean it",
            argument="model",
        )
