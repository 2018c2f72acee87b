"""What ``fishlive bench`` does: where it measures, what it writes, how it compares."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fishlive.bench import compare as comparing
from fishlive.bench.files import RecordLog, read_result, result_text, write_parquet, write_result
from fishlive.bench.html import write_html
from fishlive.bench.lanes import Service
from fishlive.bench.local import local_server
from fishlive.bench.plan import Plan
from fishlive.bench.records import Record, Result
from fishlive.bench.runner import Runner
from fishlive.bench.summary import merge
from fishlive.cli.answers import write_text
from fishlive.cli.bench_view import show, watching
from fishlive.cli.exits import ExitCode, Failure, explain, usage
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
    failure = _failure_of(lambda: run(lambda: _work(plan, where, outputs, runners)))
    if not runners:
        raise failure or usage("nothing was measured")
    result = runners[0].result()
    measured = any(cell.finished for cell in result.cells)
    if measured or failure is None or failure.code >= ExitCode.INTERRUPTED:
        _deliver(result, outputs)
    failure = failure or _failure_of(lambda: _raise(runners[0].error))
    if failure is not None:
        raise (
            failure.adding("what was measured until then is marked partial")
            if measured
            else failure
        )
    if base is not None:
        compare(base, result, outputs.limits, shown=outputs.json != STDOUT)


def _base(plan: Plan, outputs: Outputs) -> Result | None:
    """Return what is compared with, if it can be: seen before anything is measured."""
    if outputs.base is None:
        return None
    base = read_result(outputs.base)
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


def _failure_of(work: Callable[[], object]) -> Failure | None:
    """Return the failure that something ends with; a bug keeps its traceback."""
    try:
        work()
    except Exception as error:
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


def _deliver(result: Result, outputs: Outputs) -> None:
    """Show the tables, and write every file that is wanted."""
    if outputs.json == STDOUT:
        sys.stdout.write(result_text(result))
    else:
        show(result)
    if outputs.json not in {None, STDOUT}:
        write_result(result, Path(outputs.json or ""))
        note(f"the result is in {outputs.json}")
    if outputs.parquet is not None:
        write_parquet(result.records, outputs.parquet)
        note(f"every utterance is in {outputs.parquet}")
    if outputs.html is not None:
        write_report(result, outputs.html)


def write_report(result: Result, path: Path) -> None:
    """Write the page."""
    write_html(result, path)
    note(f"the report is in {path}")


def compare(base: Result, new: Result, limits: dict[str, float], *, shown: bool = True) -> None:
    """Show how a result differs from its base. Raises Failure if it is worse than allowed."""
    comparison = comparing.compare(base, new, seed=new.config.seed)
    if shown:
        write_text("\n" + comparing.describe(comparison) + "\n")
    for warning in comparing.blind(comparison, limits):
        note(warning)
    if worse := comparing.fails(comparison, limits):
        raise Failure(ExitCode.WORSE, "worse than allowed: " + "; ".join(worse))


def compare_files(files: Sequence[Path], limits: dict[str, float]) -> None:
    """Compare each file with the first. Raises the first Failure behind the last of them."""
    if len(files) < 2:
        raise usage("compare needs a base and at least one more file")
    base, *others = [read_result(path) for path in files]
    failures = []
    for path, other in zip(files[1:], others, strict=True):
        write_text(f"{path} against {files[0]}:\n")
        failure = _failure_of(lambda other=other: compare(base, other, limits))  # type: ignore[misc]
        if failure is not None:
            failures.append(failure.adding(f"in {path}"))
    if failures:
        raise failures[0]


def show_files(files: Sequence[Path], html: Path | None) -> None:
    """Show results as one. Raises Failure for a file that is given twice."""
    for index, path in enumerate(files):
        if any(_same_file(path, before) for before in files[:index]):
            raise usage(f"{path} is given twice: its utterances would count double")
    result = merge([read_result(path) for path in files])
    show(result)
    if html is not None:
        write_report(result, html)


def _is_special(path: Path) -> bool:
    """Return whether several may write there: a device or a pipe."""
    return path.exists() and not path.is_file()


def _same_file(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
