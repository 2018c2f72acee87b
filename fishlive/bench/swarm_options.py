"""Options of a load test with Locust, and what they come to. Pure: Locust is not imported here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fishlive.bench.cell import STANDBY_AHEAD_S
from fishlive.bench.matrix import FLUSHES, FORMATS, LATENCIES, SOCKETS, TRANSPORTS, Matrix
from fishlive.bench.plan import TIMEOUT_S, Plan
from fishlive.bench.player import PREBUFFERS_S
from fishlive.bench.records import Combination, Config
from fishlive.bench.streams import RECORDED
from fishlive.bench.workload import Workload, load
from fishlive.checks import checked_url
from fishlive.errors import ConfigError
from fishlive.limits import DEFAULT_BASE_URL, DEFAULT_MODEL

AHEAD_S: Final = 0.05
"""How long before its intended start an utterance is handed over, in seconds: what Locust's own
event loop may be late without being measured."""

DEFAULT: Final = "default"
"""In an option: leave it to the service."""

_CHOICES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "transport": ("picows", "How to speak; sse has timestamps.", TRANSPORTS),
    "socket": ("cold", "What an utterance finds.", SOCKETS),
    "latency": ("balanced", "Latency mode.", (*LATENCIES, DEFAULT)),
    "format": ("pcm", "Audio format.", FORMATS),
    "flush": ("sentence", "When text is flushed.", FLUSHES),
}
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "stream": ("60", "Pace of the text: whole, tokens a second, burst, recorded."),
    "model": (DEFAULT_MODEL, "Synthesis engine."),
    "voice": (DEFAULT, "Reference id; default for the service's own."),
    "chunk_length": ("100", "Characters, 100 to 300, or default."),
}
_NUMBERS: Final[Mapping[str, tuple[type, float, str]]] = {
    "pacing": (float, 0.0, "Seconds from one intended start of a user to its next; 0: at once."),
    "utterances": (int, 0, "Utterances of each user, after warm-up; 0 for no limit."),
    "warmup": (int, 1, "First utterances of each user, which do not count."),
    "timeout": (float, TIMEOUT_S, "Seconds an utterance may take."),
    "seed": (int, 1, "Of everything random."),
}

PINNED: Final = ("host", "fishlive_workload", "fishlive_json", "fishlive_force")
"""Options that only the command line sets: where the key goes, and files of this machine."""


def add_options(parser: Any) -> None:
    """Add the options to Locust's parser.

    On the command line they are ``--fishlive-…``, in the environment ``FISHLIVE_…``; the form of
    the web page has them too, but for files. None is for the key.
    """
    group = parser.add_argument_group("fishlive", "Utterances; the key is FISH_API_KEY's.")

    def add(name: str, *, page: bool = True, **given: Any) -> None:
        flag = name.replace("_", "-")
        group.add_argument(
            f"--fishlive-{flag}",
            env_var=f"FISHLIVE_{name.upper()}",
            **given,
        ).include_in_web_ui = page

    add("workload", page=False, default="short", help="short, medium, long, mixed, or a file.")
    for name, (value, text, choices) in _CHOICES.items():
        add(name, default=value, choices=choices, help=text)
    for name, (value, text) in _WORDS.items():
        add(name, default=value, help=text)
    for name, (kind, number, text) in _NUMBERS.items():
        add(name, type=kind, default=number, help=text)
    add("any_model", action="store_true", help="Take models this version has not heard of.")
    add("records", action="store_true", help="Have every utterance in the result, not only sums.")
    add("json", page=False, default=None, metavar="FILE", help="Write the result there.")
    add("force", page=False, action="store_true", help="Replace the file of --fishlive-json.")


def base_url(host: str | None) -> str:
    """Return where to speak to: as asked, else FISH_BASE_URL, else the service.

    Raises:
        ConfigError: It cannot be an address, or a key would travel there unencrypted.
    """
    return checked_url(
        host or os.environ.get("FISH_BASE_URL") or DEFAULT_BASE_URL, allow_insecure=False
    )


@dataclass(frozen=True)
class Settings:
    """What the options come to.

    Attributes:
        workload: What is spoken.
        values: Of the combination, by option.
        pacing_s: From one intended start of a user to its next, in seconds; 0 for at once.
        utterances: Of each user, after warm-up; 0 for no limit.
        warmup: First utterances of each user, which do not count.
        timeout_s: How long an utterance may take, in seconds.
        seed: Of everything random.
        records: Whether results have every utterance.
    """

    workload: Workload
    values: Mapping[str, Any]
    pacing_s: float
    utterances: int
    warmup: int
    timeout_s: float
    seed: int
    records: bool

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be."""
        if not 0 <= self.pacing_s < float("inf"):
            raise ConfigError("a number of seconds, from 0", argument="fishlive-pacing")
        if self.utterances < 0:
            raise ConfigError("a number of utterances, from 0", argument="fishlive-utterances")
        self.combination({})
        self._plan()

    @classmethod
    def of(cls, options: Any) -> Settings:
        """Return what Locust's parsed options come to. Raises ConfigError if they cannot be."""
        given = {name: getattr(options, f"fishlive_{name}") for name in (*_CHOICES, *_WORDS)}
        try:
            numbers = {
                n: kind(getattr(options, f"fishlive_{n}")) for n, (kind, *_) in _NUMBERS.items()
            }
        except ValueError as error:
            raise ConfigError(f"not a number: {error}", argument="fishlive") from error
        return cls(
            workload=load(options.fishlive_workload),
            values=given | {"any_model": options.fishlive_any_model},
            pacing_s=numbers["pacing"],
            utterances=numbers["utterances"],
            warmup=numbers["warmup"],
            timeout_s=numbers["timeout"],
            seed=numbers["seed"],
            records=bool(options.fishlive_records),
        )

    def combination(self, own: Mapping[str, Any]) -> Combination:
        """Return how a user speaks, without its load.

        Args:
            own: What its class has set for itself, in the options' names.

        Raises:
            ConfigError: A value that cannot be, or ones that do not go together.
        """
        unknown = set(own) - set(self.values)
        if unknown:
            raise ConfigError(f"no such option: {', '.join(sorted(unknown))}", argument="options")
        given = dict(self.values) | dict(own)
        any_model = bool(given.pop("any_model"))
        axes = {name: (_value(name, value),) for name, value in given.items()}
        found, notes = Matrix(**axes, any_model=any_model).combinations()
        if not found:
            raise ConfigError("; ".join(notes), argument="fishlive-transport")
        if found[0].stream == RECORDED and not self.workload.recorded:
            raise ConfigError(
                "recorded needs a workload whose every prompt has tokens", argument="stream"
            )
        return replace(found[0], concurrency=None, rate=None)

    @property
    def prebuffers_s(self) -> tuple[float, ...]:
        """Of the simulated players, in seconds."""
        return tuple(sorted(PREBUFFERS_S))

    def ahead_s(self, combination: Combination) -> float:
        """Return how long before its intended start an utterance is handed over, in seconds."""
        return STANDBY_AHEAD_S if combination.socket == "standby" else AHEAD_S

    def config(self, *, target: str, users: int, time_s: float | None) -> Config:
        """Return it as a result tells it.

        Args:
            target: Where it went.
            users: How many there were to be, at most.
            time_s: How long it was to run, in seconds; None for no limit.
        """
        runs = self.utterances * users or None
        config = self._plan().config()
        return replace(
            config,
            target=target,
            runs=runs,
            time_s=time_s,
            max_in_flight=max(1, users),
        )

    def _plan(self) -> Plan:
        return Plan(
            self.workload,
            warmup=self.warmup,
            seed=self.seed,
            timeout_s=self.timeout_s,
            prebuffers_s=self.prebuffers_s,
        )


def _value(name: str, value: Any) -> Any:
    """Return an option's value as the matrix has it."""
    if value == DEFAULT:
        return None
    if name != "chunk_length" or value is None:
        return value
    try:
        return int(value)
    except ValueError as error:
        raise ConfigError("a number of characters, or default", argument=name) from error


def check_writable(path: str, *, force: bool = False) -> Path:
    """Return where a result goes.

    Raises:
        ConfigError: It cannot be written there, or would replace a file without ``force``.
    """
    found = Path(path)
    if found.exists() and not found.is_file() and not found.is_dir():
        return found  # a device or a pipe has nothing to lose
    if found.is_file() and not force:
        raise ConfigError(
            f"{found} exists: choose another name, or use --fishlive-force",
            argument="fishlive-json",
        )
    if found.is_dir() or not found.parent.is_dir() or not os.access(found.parent, os.W_OK):
        raise ConfigError(f"cannot write {found}", argument="fishlive-json")
    return found
