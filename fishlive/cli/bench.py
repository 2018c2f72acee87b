"""``fishlive bench``: where every millisecond goes, and whether today is worse than yesterday."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fishlive.cli import options
from fishlive.cli.bench_options import LATENCIES, TRANSPORTS, limits, optional, precision, several
from fishlive.cli.exits import usage
from fishlive.cli.files import check_can_be
from fishlive.cli.service import Service as Account

RUNS: Final = 20
"""Utterances a combination unless told: a first look, of half a minute and under a cent."""

MOST_RUNS: Final = 2000
"""Utterances a combination at most with ``--until-ci`` and no other limit: a p95 that so many do
not tell to some per cent has no such value, and a short text so often costs a dollar."""


class Profile(str, enum.Enum):
    """How fast the local server speaks."""

    instant = "instant"
    fish_low = "fish-low"
    fish_balanced = "fish-balanced"
    fish_normal = "fish-normal"


class Gateway(str, enum.Enum):
    """The gateways, whose tasks are measured to their result."""

    acedata = "acedata"
    xhuo = "xhuo"


class Spacing(str, enum.Enum):
    """How arrivals of an open loop are spaced."""

    even = "even"
    poisson = "poisson"


app: Final[typer.Typer] = typer.Typer(
    name="bench",
    help="Measure latency: where every millisecond goes, and whether it got worse.",
    invoke_without_command=True,
)

_List = list[str] | None
_TARGET, _WORK, _LOAD, _MATRIX, _OUT = (
    "Where",
    "What is spoken",
    "How it arrives",
    "Matrix",
    "Output",
)


def _lists(help_text: str, *names: str, metavar: str = "A,B", panel: str = _MATRIX) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=panel)


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    local: Annotated[
        bool,
        typer.Option("--local", help="Use a local server: no key needed.", rich_help_panel=_TARGET),
    ] = False,
    profile: Annotated[
        Profile,
        typer.Option(help="How fast the local server speaks.", rich_help_panel=_TARGET),
    ] = Profile.fish_balanced,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            "--base-url",
            help="The service; FISH_BASE_URL unless given.",
            metavar="URL",
            rich_help_panel=_TARGET,
        ),
    ] = None,
    key_file: options.KeyFile = None,
    gateway: Annotated[
        Gateway | None,
        typer.Option(help="A gateway: time to a task's result.", rich_help_panel=_TARGET),
    ] = None,
    workload: Annotated[
        str,
        typer.Option(
            help="short, medium, long, mixed, or a file: text, JSON or JSON Lines.",
            metavar="NAME|FILE",
            rich_help_panel=_WORK,
        ),
    ] = "short",
    language: Annotated[
        _List, _lists("Only texts in these languages, such as en,de.", panel=_WORK)
    ] = None,
    stream: Annotated[
        _List,
        _lists(
            "Pace of the text: whole, tokens a second (60 unless given), burst, recorded.",
            panel=_WORK,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel=_WORK)] = 1,
    concurrency: Annotated[
        _List, _lists("Utterances at once, such as 1,10,50.", panel=_LOAD)
    ] = None,
    rate: Annotated[
        _List,
        _lists("Utterances begun a second, whatever the ones before do: 2,5.", panel=_LOAD),
    ] = None,
    arrivals: Annotated[
        Spacing, typer.Option(help="How --rate spaces them.", rich_help_panel=_LOAD)
    ] = Spacing.even,
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            help="Most at once with --rate; the others wait in line.", rich_help_panel=_LOAD
        ),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(
            help="First utterances, which do not count; one for each at once unless given.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            help=f"Utterances a combination; {RUNS} unless --time or --until-ci is given.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    time_s: Annotated[
        float | None,
        typer.Option("--time", help="Seconds a combination.", metavar="S", rich_help_panel=_LOAD),
    ] = None,
    until_ci: Annotated[
        str | None,
        typer.Option(
            help="Stop a combination once its p95 is known to so much, such as 5%; "
            f"after {MOST_RUNS} utterances at the latest, unless told.",
            metavar="PERCENT",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds an utterance may take.", metavar="S", rich_help_panel=_LOAD),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="US dollars all of it may cost; it stops before.",
            metavar="USD",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    model: Annotated[_List, _lists("Synthesis engines.")] = None,
    any_model: Annotated[
        bool,
        typer.Option(
            "--any-model",
            help="Take models this version has not heard of.",
            rich_help_panel=_MATRIX,
        ),
    ] = False,
    latency: Annotated[_List, _lists(f"{', '.join(LATENCIES)}.")] = None,
    audio_format: Annotated[_List, _lists("pcm, wav, mp3, opus.", "--format")] = None,
    voice: Annotated[_List, _lists("Reference ids; default for the service's own.")] = None,
    chunk_length: Annotated[_List, _lists("Characters, 100 to 300, or default.")] = None,
    flush: Annotated[_List, _lists("sentence, never.")] = None,
    transport: Annotated[_List, _lists(f"{', '.join(TRANSPORTS)}.")] = None,
    socket: Annotated[_List, _lists("cold, standby, reused.")] = None,
    prebuffer: Annotated[
        _List, _lists("Prebuffers of the simulated players, in ms.", panel=_OUT)
    ] = None,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            help="Write the result there; - is standard output.",
            metavar="FILE|-",
            rich_help_panel=_OUT,
        ),
    ] = None,
    jsonl: Annotated[
        Path | None,
        typer.Option(
            help="Write every utterance there, while it runs.",
            metavar="FILE",
            rich_help_panel=_OUT,
        ),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            help="Write every utterance there (needs pyarrow).",
            metavar="FILE",
            rich_help_panel=_OUT,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a report there.", metavar="FILE", rich_help_panel=_OUT),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Compare with a result that --json wrote.",
            metavar="BASE",
            rich_help_panel=_OUT,
        ),
    ] = None,
    fail_over: Annotated[
        _List,
        _lists(
            "With --compare: exit code 6 if worse by more than p95=10%.",
            metavar="P=PERCENT",
            panel=_OUT,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=_OUT)
    ] = False,
    force: options.Force = False,
) -> None:
    """Measure latency: where every millisecond goes, and whether it got worse.

    Without a key: `fishlive bench --local`. Every option in Matrix takes a list, and all
    combinations are measured, one after the other, into one table. Ctrl-C writes what there is.
    """
    if context.invoked_subcommand is not None:
        return
    from fishlive.bench.arrivals import Until
    from fishlive.bench.plan import MAX_IN_FLIGHT, TIMEOUT_S, Plan
    from fishlive.bench.player import PREBUFFERS_S
    from fishlive.bench.workload import load
    from fishlive.cli.bench_run import Outputs, Where, measure

    outputs = Outputs(json_file, jsonl, parquet, html, compare, limits(fail_over), quiet)
    outputs.check(force=force)
    where = Where(
        Account(url, key_file, local), None if gateway is None else gateway.value, profile.value
    )
    matrix = _matrix(
        gateway,
        model=several(model, "model", str),
        latency=several(latency, "latency", optional(str), LATENCIES),
        format=several(audio_format, "format", str),
        voice=several(voice, "voice", optional(str)),
        chunk_length=several(chunk_length, "chunk-length", optional(int)),
        flush=several(flush, "flush", str),
        transport=several(transport, "transport", str, TRANSPORTS),
        socket=several(socket, "socket", str),
        stream=several(stream, "stream", str),
        concurrency=several(concurrency, "concurrency", int),
        rate=several(rate, "rate", float),
        any_model=any_model,
    )
    milliseconds = several(prebuffer, "prebuffer", float)
    plan = Plan(
        workload=load(workload).speaking(several(language, "language", str)),
        matrix=matrix,
        until=Until(_runs(runs, time_s, until_ci), time_s, precision(until_ci)),
        warmup=warmup,
        seed=seed,
        spacing=arrivals.value,
        budget_usd=budget,
        timeout_s=TIMEOUT_S if timeout is None else timeout,
        max_in_flight=MAX_IN_FLIGHT if max_in_flight is None else max_in_flight,
        prebuffers_s=tuple(ms / 1000 for ms in milliseconds) or PREBUFFERS_S,
        target=where.name,
        profile=profile.value if local else None,
        command=sys.argv[1:],
    )
    measure(plan, where, outputs)


def _runs(runs: int | None, time_s: float | None, until_ci: str | None) -> int | None:
    """Return how many utterances end a combination; None if time does."""
    if runs is not None or time_s is not None:
        return runs
    return RUNS if until_ci is None else MOST_RUNS


def _matrix(gateway: Gateway | None, **given: Any) -> Any:
    from fishlive.bench.matrix import Matrix

    chosen = {name: value for name, value in given.items() if value != ()}
    if gateway is not None:
        if "transport" in chosen:
            raise usage("--gateway is a transport of its own: leave --transport out")
        chosen["transport"] = (gateway.value,)
        chosen.setdefault("stream", ("whole",))
    return Matrix(**chosen)


@app.command("compare")
def compare_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="BASE NEW…", help="What --json wrote: two or more.")
    ],
    fail_over: Annotated[
        _List,
        typer.Option(help="Exit code 6 if worse by more than p95=10%.", metavar="P=PERCENT"),
    ] = None,
) -> None:
    """Compare results with the first: how each percentile moved, and whether that is chance."""
    from fishlive.cli import bench_run

    bench_run.compare_files(files, limits(fail_over))


@app.command("show")
def show_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="What --json wrote.")],
    html: Annotated[
        Path | None, typer.Option(help="Write a report there too.", metavar="FILE")
    ] = None,
    force: options.Force = False,
) -> None:
    """Show the table of a result again; several of the same plan are merged into one."""
    from fishlive.cli import bench_run

    if html is not None:
        check_can_be(html, force=force, in_place=True)
    bench_run.show_files(files, html)
