"""Under which conditions a benchmark ran: where, what was asked for, how this machine did.

Part of :mod:`fishlive.bench.records`, which has all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

STRICT: Final[Mapping[str, object]] = {"extra": "forbid", "allow_inf_nan": False}
"""How values are checked when they are read from a file: nothing unknown, no infinite number."""


@dataclass(frozen=True, slots=True)
class Client:
    """How this machine did while a cell ran: whether it, and not the service, was the limit.

    Attributes:
        wall_s: How long the cell took.
        cpu_s: CPU time of this process in it, all threads.
        lag_p50_s: How late the event loop woke up, in seconds: half of the time at most so much.
        lag_p99_s: And 99 % of the time at most so much.
        lag_max_s: The worst.
        lag_samples: How often it was looked at.
        limited: Why the client was the limit, in sentences; empty if it was not.
        machine_busy: Share of this machine's cores that was in use, by everybody, from 0 to 1;
            None if the system does not tell, or it was too short to say.
        server_cpu_s: CPU time of the local server in it, all threads; None if there was none here.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    wall_s: float
    cpu_s: float
    lag_p50_s: float
    lag_p99_s: float
    lag_max_s: float
    lag_samples: int
    limited: tuple[str, ...] = ()
    machine_busy: float | None = None
    server_cpu_s: float | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and when a run was made, so that a second person can make it again.

    Attributes:
        began: When, in UTC, ISO 8601.
        command: The command line, as it was typed, without the program.
        versions: Of Python and of every package that takes part.
        system: Operating system and its release.
        machine: Architecture.
        cpu: Model of the processor; empty if it cannot be told.
        cores: Logical cores this process may use.
        event_loop: Class of the event loop.
        program: What the command line began with: ``fishlive`` or ``locust``.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    began: str
    command: tuple[str, ...]
    versions: Mapping[str, str]
    system: str
    machine: str
    cpu: str
    cores: int
    event_loop: str
    program: str = "fishlive"


@dataclass(frozen=True, slots=True)
class Config:
    """What was asked for.

    Attributes:
        target: Where: a URL, ``local`` or the name of a gateway. Never with a key in it.
        profile: How fast the local server spoke; None for another target.
        seed: Of everything random: the order of texts, the cuts between tokens, arrivals.
        workload: Its name.
        workload_origin: Where its texts come from.
        workload_sha256: Of its prompts, so that two results can be told to speak the same.
        prompts: How many texts it has.
        runs: Utterances a cell; None for no limit.
        time_s: Seconds a cell; None for no limit.
        until_ci: A cell ends once the 95 % confidence interval of the p95 of ``latency_s`` is at
            most this fraction to either side; None for not.
        warmup: Utterances at the beginning of each cell that do not count; None for one for each
            that runs at once.
        budget_usd: What all of it may cost, in US dollars; None for no limit.
        arrivals: ``even`` or ``poisson``, in an open loop.
        max_in_flight: Most utterances at once in an open loop; what is over waits in line.
        prebuffers_s: Prebuffers of the simulated players, ascending, in seconds.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    target: str
    profile: str | None
    seed: int
    workload: str
    workload_origin: str
    workload_sha256: str
    prompts: int
    runs: int | None
    time_s: float | None
    until_ci: float | None
    warmup: int | None
    budget_usd: float | None
    arrivals: str
    max_in_flight: int
    prebuffers_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the tool itself adds: the same measurement against a server that does nothing.

    That server answers at once, in the same process over loopback, so that each number is an
    upper bound: the server's own work is in it.

    Attributes:
        samples: Utterances.
        connect_p50_s: Connecting, in seconds; half of them at most so much.
        connect_p99_s: And 99 %.
        first_audio_p50_s: From the first text to the first audio, in seconds; half of them.
        first_audio_p99_s: And 99 %.
        supported: Whether there were samples enough for the p99.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    samples: int
    connect_p50_s: float
    connect_p99_s: float
    first_audio_p50_s: float
    first_audio_p99_s: float
    supported: bool
