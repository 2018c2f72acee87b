"""What a look at a service found, check by check."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from fishlive.cli.exits import ExitCode, explain, usage
from fishlive.errors import InvalidRequestError, NotFoundError

TIERS: Final[Mapping[int, str]] = {
    5: "under $100 paid in",
    15: "from $100 paid in",
    50: "from $1000 paid in",
}
"""Tiers by how many requests may run at once (pricing page, 2026-08-21). Others are contracts."""

_LIMIT: Final = "ratelimit-limit-concurrency"
_RUNNING: Final = "ratelimit-current-concurrency"


class Result(str, enum.Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: For scripts.
        result: How it ended.
        detail: What was seen.
        seconds: How long it took, where that says something.
        code: What the command returns if this is the first failure.
    """

    name: str
    result: Result
    detail: str = ""
    seconds: float | None = None
    code: ExitCode = ExitCode.DONE


@dataclass
class Report:
    """What was found so far.

    Attributes:
        base_url: Where it looked; None if that is no address.
        key_from: Where the key came from; None without one. The key itself is nowhere in here.
        checks: In the order they were made.
        limit: Requests that may run at once, if the service says so.
        running: Requests that ran, if the service says so.
        credit: US dollars left, if the service says so.
    """

    base_url: str | None = None
    key_from: str | None = None
    checks: list[Check] = field(default_factory=list)
    limit: int | None = None
    running: int | None = None
    credit: Decimal | None = None

    @property
    def code(self) -> ExitCode:
        """What the command returns: the code of the first failure."""
        return next((c.code for c in self.checks if c.result is Result.FAILED), ExitCode.DONE)

    @property
    def tier(self) -> str | None:
        """What the limit says about the account."""
        return None if self.limit is None else TIERS.get(self.limit, "by contract")

    @property
    def next(self) -> str:
        """What to do now: about the first failure, else the first warning, else nothing."""
        for result in (Result.FAILED, Result.WARNING):
            for check in self.checks:
                if check.result is result:
                    return f"{check.name}: {check.detail}"
        return "nothing: all of it works"

    @property
    def works(self) -> bool:
        """Whether nothing failed so far."""
        return self.code is ExitCode.DONE

    def add(self, name: str, detail: str = "", *, seconds: float | None = None) -> None:
        """Note that something is as it should be."""
        self.checks.append(Check(name, Result.OK, detail, seconds))

    def warn(self, name: str, detail: str) -> None:
        """Note that something works, and is probably not meant."""
        self.checks.append(Check(name, Result.WARNING, detail))

    def skip(self, name: str, detail: str) -> None:
        """Note that something could not be looked at."""
        self.checks.append(Check(name, Result.SKIPPED, detail))

    def fail(self, name: str, error: Exception) -> None:
        """Note that something does not work. Raises what is a bug."""
        failure = explain(error)
        if failure is None:
            raise error
        if isinstance(error, (NotFoundError, InvalidRequestError)):
            failure = usage(f"{error}; check --base-url")
        self.checks.append(Check(name, Result.FAILED, failure.message, None, failure.code))

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take what an answer's headers say about concurrency."""
        self.limit = _number(headers.get(_LIMIT)) or self.limit
        running = _number(headers.get(_RUNNING))
        self.running = self.running if running is None else running


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
