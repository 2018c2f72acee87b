"""What ``fishlive bench`` does: where it measures, what it writes, how it compares."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fishlive.bench import compare as comparing
from fishlive.bench.files import RecordLog, read_result, result_text, write_parquet, write_result
from fishlive.bench.histogram import Histogram
from fishlive.bench.html import write_html
from fishlive.bench.lanes import Service
from fishlive.bench.local import local_server
from fishlive.bench.plan import Plan
from fishlive.bench.records import Record, Result
from fishlive.bench.runner import Runner
from fishlive.bench.summary import merge
from fishlive.cli.answers import write_text
from fishlive.cli.bench_view import show, watching
from fishlive.cli.exits import STOPPED, ExitCode, Failure, explain, usage
from fishlive.cli.files import check_can_be
from fishlive.cli.notes import note
from fishlive.cli.output import STDOUT
from fishlive.cli.service import Service as Account
from fishlive.cli.service import read_key
from fishlive.cli.signals import run
from fishlive.errors import ConfigError
from fishlive.limits import DEFAULT_BASE_URL


@dataclass(frozen=True)
class Outputs:
    """Where the results go.

    Attributes:
        json: The whole result; ``-`` for standard output, which then has nothing else.
        jsonl: Raw events, written while it runs.
        parquet: Raw events.
        html: The report.
        base: A result to compare with.
        limits: How much worse than that it may be: fractions, by percentile.
        quiet: Whether to show no progress.
    """

    json: str | None = None
    jsonl: Path | None = None
    parquet: Path | None = None
    html: Path | None = None
    base: Path | None = None
    limits: dict[str, float] = field(default_factory=dict)
    quiet: bool = False

    def check(self, *, force: bool) -> None:
        """Raise Failure for a file that could not be written, before anything is paid for."""
        files = {"jsonl": self.jsonl, "parquet": self.parquet, "html": self.html}
        for name, path in files.items():
            if path is not None and str(path) == STDOUT:
                raise usage(f"--{name}: only --json writes to standard output; name a file")
        if self.json not in {None, STDOUT}:
            files["json"] = Path(self.json or "")
        taken: dict[str, str] = {}
        for name, path in files.items():
            if path is None:
                continue
            real = os.path.realpath(path)
            if real in taken and not _is_special(path):
                raise usage(f"--{taken[real]} and --{name} are the same file: {path}")
            taken[real] = name
            check_can_be(path, force=force, in_place=True)
        if self.limits and self.base is None:
            raise usage("--fail-over needs --compare BASE")
        if self.parquet is not None and importlib.util.find_spec("pyarrow") is None:
            raise usage("--parquet needs pyarrow: run `pip install pyarrow`, or use --jsonl")


@dataclass(frozen=True)
class Where:
    """Which service is measured.

    Attributes:
        account: Of the service, or which file has a gateway's token.
        gateway: Name of a gateway; None for the service itself.
        profile: How fast the local server speaks.
    """

    account: Account
    gateway: str | None
    profile: str

    @property
    def name(self) -> str:
        """What the result calls it."""
        if self.account.local:
            return "local"
        given = self.account.base_url
        if self.gateway is not None:
            return given or self.gateway
        return given or os.environ.get("FISH_BASE_URL") or DEFAULT_BASE_URL

    def check(self) -> None:
        """Raise Failure for what can be seen to be wrong before anything is sent."""
        if self.gateway is None or self.account.local:
            self.account.check()
            return
        from fishlive.gateways import AceData, Xhuo

        kind = {"acedata": AceData, "xhuo": Xhuo}[self.gateway]
        if self.account.key_file is None and not os.environ.get(kind.token_env):
            raise usage(f"no token: set {kind.token_env}, or use --key-file FILE")

    @contextlib.asynccontextmanager
    async def open(self, plan: Plan) -> AsyncIterator[Service]:
        """Yield the service; the local one ends behind the block."""
        if not self.account.local:
            file = self.account.key_file
            key = None if file is None else read_key(file)
            yield Service(base_url=self.account.base_url, key=key)
            return
        # As documented it closes a socket behind an utterance, and then there are no reused ones.
        stay = {"close_after_finish": False} if "reused" in plan.matrix.socket else {}
        async with local_server({"profile": self.profile, **stay}) as service:
            yield service


def measure(plan: Plan, where: Where, outputs: Outputs) -> None:
    """Carry a plan out; show and write what came out, whatever ended it.

    Raises:
        Failure: It stopped early, or it is worse than allowed.
    """
    base = _base(plan, outputs)
    where.check()
    _say_price(plan, where)
    runners: list[Runner] = []
    failure = _failure_of(lambda: run(lambda: _work(plan, where, outputs, runners)), plan)
    if not runners:
        raise failure or usage("nothing was measured")
    result = runners[0].result()
    measured = any(cell.finished for cell in result.cells)
    undelivered = None
    if measured or failure is None or failure.code in STOPPED:
        undelivered = _deliver(result, outputs)
    failure = failure or _failure_of(lambda: _raise(runners[0].error), plan)
    if failure is not None:
        raise (
            failure.adding("what was measured until then is marked partial")
            if measured
            else failure
        )
    if base is not None:
        compare(base, result, outputs.limits, shown=outputs.json != STDOUT)
    if undelivered is not None:
        raise undelivered


def _base(plan: Plan, outputs: Outputs) -> Result | None:
    """Return what is compared with, if it can be: seen before anything is measured."""
    if outputs.base is None:
        return None
    base = _read(outputs.base)
    try:
        comparing.check(base, plan.config(), plan.matrix.combinations()[0])
        comparing.check_limits(outputs.limits)
        comparing.check_counts(base, plan.until.runs, plan.matrix.combinations()[0], outputs.limits)
    except ConfigError as error:
        raise usage(f"--compare {outputs.base}: {error}") from error
    return base


def _say_price(plan: Plan, where: Where) -> None:
    """Say what it may cost, before it does."""
    combinations, _ = plan.matrix.combinations()
    most_usd = plan.most_usd(combinations)
    if where.account.local or most_usd == 0:
        return
    many = f"{len(combinations)} combination{'s' if len(combinations) > 1 else ''} of options"
    most = "its cost has no limit: --budget sets one"
    if most_usd is not None:
        most = f"${most_usd:.4f} at most by the price list"
    note(f"{many}; {most}")


async def _work(plan: Plan, where: Where, outputs: Outputs, runners: list[Runner]) -> None:
    async with where.open(plan) as service:
        with _raw_events(outputs.jsonl) as add, watching(wanted=not outputs.quiet) as watch:
            runner = Runner(plan, service, on_record=add, on_progress=watch)
            runners.append(runner)
            await runner.run()


def _failure_of(work: Callable[[], object], plan: Plan | None = None) -> Failure | None:
    """Return the failure that something ends with; a bug keeps its traceback.

    Args:
        work: What to do.
        plan: Whose utterances it speaks, if it does.
    """
    try:
        work()
    except Exception as error:
        if plan is not None and isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            late = f"utterances take longer than {plan.timeout_s:g} s: use a longer --timeout"
            return Failure(ExitCode.FAILED, late)
        failure = explain(error)
        if failure is None:
            raise
        return failure
    return None


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


@contextlib.contextmanager
def _raw_events(path: Path | None) -> Iterator[Callable[[Record], None]]:
    if path is None:
        yield lambda _record: None
        return
    with RecordLog(path) as log:
        yield log.add


def _deliver(result: Result, outputs: Outputs) -> Failure | None:
    """Write every file that is wanted, then show the tables; return the first failure of these.

    The files come first: a run may have cost money, and whoever reads the tables may be gone.
    """
    steps: list[Callable[[], object]] = []
    if outputs.json not in {None, STDOUT}:
        steps.append(lambda: _write_json(result, Path(outputs.json or "")))
    if (parquet := outputs.parquet) is not None:
        steps.append(lambda: _write_parquet(result, parquet))
    if (html := outputs.html) is not None:
        steps.append(lambda: write_report(result, html))
    if outputs.json == STDOUT:
        steps.append(lambda: sys.stdout.write(result_text(result)))
    else:
        steps.append(lambda: show(result))
    failures = [failure for step in steps if (failure := _failure_of(step)) is not None]
    return failures[0] if failures else None


def _write_json(result: Result, path: Path) -> None:
    write_result(result, path)
    note(f"the result is in {path}")


def _write_parquet(result: Result, path: Path) -> None:
    write_parquet(result.records, path)
    note(f"every utterance is in {path}")


def write_report(result: Result, path: Path) -> None:
    """Write the page."""
    write_html(result, path)
    note(f"the report is in {path}")


def compare(
    base: Result, new: Result, limits: dict[str, float], *, title: str = "", shown: bool = True
) -> None:
    """Show how a result differs from its base, if somebody reads it.

    Raises:
        Failure: It is worse than allowed, which counts most; or it could not be shown.
    """
    comparison = comparing.compare(base, new, seed=new.config.seed)
    unshown = None
    if shown:
        text = f"{title}\n{comparing.describe(comparison)}\n"
        unshown = _failure_of(lambda: write_text(text))
    for warning in comparing.blind(comparison, limits):
        note(warning)
    if worse := comparing.fails(comparison, limits):
        raise Failure(ExitCode.WORSE, "worse than allowed: " + "; ".join(worse))
    if unshown is not None:
        raise unshown


def compare_files(files: Sequence[Path], limits: dict[str, float]) -> None:
    """Compare each file with the first.

    Raises:
        Failure: Behind the last of them: the first that is worse than allowed, else the first.
    """
    if len(files) < 2:
        raise usage("compare needs a base and at least one more file")
    base, *others = [_read(path) for path in files]
    failures = []
    for path, other in zip(files[1:], others, strict=True):
        title = f"{path} against {files[0]}:\n"
        failure = _failure_of(partial(compare, base, other, limits, title=title))
        if failure is not None:
            failures.append(failure.adding(f"in {path}"))
    if failures:
        raise min(failures, key=lambda failure: failure.code is not ExitCode.WORSE)


def _read(path: Path) -> Result:
    """Return the result that is in a file. Raises ConfigError, which names the file."""
    result = read_result(path)
    try:
        for cell in result.cells:
            for encoded in cell.histograms.values():
                Histogram.decode(encoded)
    except ConfigError as error:
        raise ConfigError(f"{path} is broken: {error}") from error
    return result


def show_files(files: Sequence[Path], html: Path | None) -> None:
    """Show results as one. Raises Failure for a file that is given twice."""
    for index, path in enumerate(files):
        if any(_same_file(path, before) for before in files[:index]):
            raise usage(f"{path} is given twice: its utterances would count double")
    result = merge([_read(path) for path in files])
    if html is not None:  # first: whoever reads the table may go away
        write_report(result, html)
    show(result)


def _is_special(path: Path) -> bool:
    """Return whether several may write there: a device or a pipe."""
    return path.exists() and not path.is_file()


def _same_file(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
