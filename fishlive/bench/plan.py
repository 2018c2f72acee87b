"""What a run is to be: everything that is decided before the first utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fishlive.bench.arrivals import Spacing, Until
from fishlive.bench.cost import Budget, price_usd
from fishlive.bench.matrix import Matrix
from fishlive.bench.player import PREBUFFERS_S
from fishlive.bench.records import Combination, Config
from fishlive.bench.streams import RECORDED
from fishlive.bench.workload import Workload
from fishlive.errors import ConfigError

TIMEOUT_S: Final = 60.0
"""How long an utterance may take unless told, in seconds: a minute of speech is made in ten."""

MAX_IN_FLIGHT: Final = 200
"""Most utterances at once in an open loop unless told; the next ones wait in line, and the time
they wait is theirs."""


@dataclass(frozen=True)
class Plan:
    """Everything about a run but the service.

    Attributes:
        workload: What is spoken.
        matrix: How.
        until: When a cell is done.
        warmup: Utterances at the beginning of a cell that do not count; None for one for each
            that runs at once.
        seed: Of everything random.
        spacing: Of arrivals in an open loop: ``even`` or ``poisson``.
        budget_usd: What all of it may cost, in US dollars; None for no limit.
        timeout_s: How long an utterance may take, in seconds.
        max_in_flight: Most utterances at once in an open loop.
        prebuffers_s: Of the simulated players, in seconds.
        target: What the result calls the service: a URL, ``local`` or a gateway.
        profile: How fast the local server speaks, if it is that.
        command: The command line, for the result.

    Raises:
        ConfigError: What does not go together, or cannot be.
    """

    workload: Workload
    matrix: Matrix = field(default_factory=Matrix)
    until: Until = field(default_factory=lambda: Until(runs=20))
    warmup: int | None = None
    seed: int = 1
    spacing: Spacing = "even"
    budget_usd: float | None = None
    timeout_s: float = TIMEOUT_S
    max_in_flight: int = MAX_IN_FLIGHT
    prebuffers_s: Sequence[float] = PREBUFFERS_S
    target: str = ""
    profile: str | None = None
    command: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be."""
        Budget(self.budget_usd)
        self._check_budget()
        if self.warmup is not None and self.warmup < 0:
            raise ConfigError("warmup is a number of utterances, from 0", argument="warmup")
        if not 0 < self.timeout_s < float("inf"):
            raise ConfigError("a number of seconds over 0", argument="timeout")
        if self.max_in_flight < 1:
            raise ConfigError("at least 1", argument="max_in_flight")
        if self.spacing not in {"even", "poisson"}:
            raise ConfigError("even or poisson", argument="arrivals")
        if any(not 0 <= prebuffer_s < 60 for prebuffer_s in self.prebuffers_s):
            raise ConfigError("seconds, from 0 to a minute", argument="prebuffer")
        if RECORDED in self.matrix.stream and not self.workload.recorded:
            raise ConfigError(
                "recorded needs a workload whose every prompt has tokens", argument="stream"
            )

    def _check_budget(self) -> None:
        """Raise ConfigError for a budget that not even one utterance fits into."""
        if self.budget_usd is None:
            return
        shortest = min(prompt.utf8_bytes for prompt in self.workload.prompts)
        least_usd = min(price_usd(shortest, model) for model in self.matrix.model)
        if least_usd > self.budget_usd:
            raise ConfigError(
                f"${self.budget_usd:g} allows no utterance: the shortest costs ${least_usd:.6f}",
                argument="budget",
            )

    def warmup_of(self, combination: Combination) -> int:
        """Return how many utterances of a cell do not count."""
        return (combination.concurrency or 1) if self.warmup is None else self.warmup

    def most_usd(self, combinations: Sequence[Combination]) -> float | None:
        """Return what it may cost at most, by the longest prompts; None if nothing says when."""
        if self.until.runs is None:
            return self.budget_usd
        longest = max(prompt.utf8_bytes for prompt in self.workload.prompts)
        each = [
            (self.until.runs + self.warmup_of(c)) * price_usd(longest, c.model)
            for c in combinations
        ]
        return sum(each) if self.budget_usd is None else min(sum(each), self.budget_usd)

    def config(self) -> Config:
        """Return it as a result tells it."""
        return Config(
            target=self.target,
            profile=self.profile,
            seed=self.seed,
            workload=self.workload.name,
            workload_origin=self.workload.origin,
            workload_sha256=self.workload.sha256,
            prompts=len(self.workload.prompts),
            runs=self.until.runs,
            time_s=self.until.time_s,
            until_ci=self.until.until_ci,
            warmup=self.warmup,
            budget_usd=self.budget_usd,
            arrivals=self.spacing,
            max_in_flight=self.max_in_flight,
            prebuffers_s=tuple(sorted(self.prebuffers_s)),
        )
