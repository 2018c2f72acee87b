"""How true ``fishlive.bench`` is: ``python -m benchmarks.bench_accuracy [--runs N] [--json FILE]``.

A server on loopback is late at one known place, by a known time; the report must name the place
and the size within 2 ms or 2 %, and blame nothing else. Exit code 1 if it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from fishlive.bench import Matrix, Plan, Prompt, Runner, Service, Until, Workload
from fishlive.bench.histogram import Histogram
from fishlive.bench.metrics import METRICS, PATH
from fishlive.bench.records import Result
from fishlive.secret import Secret
from tests.bench.delays import DelayServer, contexts, late_network
from tests.bench.virtual import Delays

RIGHT_S = 0.002
"""How far a report may be off, in seconds …"""

RIGHT_SHARE = 0.02
"""… or as a share of the delay, if that is more."""

SPOKEN = Workload("accuracy", "here", (Prompt("p1", "Hello, world.", "en"),))


@dataclass(frozen=True)
class Case:
    """One delay: where, how long, and what the report calls it."""

    name: str
    metric: str
    size_s: float
    delays: Delays
    secure: bool = False
    place_s: float | None = None


@dataclass(frozen=True)
class Finding:
    """What the report said of a case. Seconds."""

    name: str
    metric: str
    injected_s: float  # as it really was, the median
    reported_s: float
    elsewhere: str
    elsewhere_s: float
    place_s: float | None
    right: bool


CASES = (
    Case("resolving", "dns_s", 0.040, Delays(dns_s=0.040)),
    Case("TCP", "tcp_s", 0.035, Delays(tcp_s=0.035)),
    Case("TLS", "tls_s", 0.045, Delays(tls_s=0.045), secure=True),
    Case("upgrade", "upgrade_s", 0.080, Delays(upgrade_s=0.080)),
    Case("upgrade, long", "upgrade_s", 0.400, Delays(upgrade_s=0.400)),
    Case("first audio", "first_audio_s", 0.120, Delays(first_audio_s=0.120)),
    Case("first audio, long", "first_audio_s", 1.0, Delays(first_audio_s=1.0)),
    Case("leading silence", "leading_silence_s", 0.0631, Delays(silence_s=0.0631)),
    Case("between chunks", "gap_max_s", 0.090, Delays(chunks=6, gaps_s={4: 0.090}), place_s=0.4),
)


async def measure(case: Case, runs: int) -> tuple[Result, float]:
    """Return the report, and how late the server really was: timers of a loop are a bit late."""
    server_side, client_side = contexts() if case.secure else (None, None)
    plan = Plan(SPOKEN, Matrix(stream=("whole",)), Until(runs=runs), warmup=3)
    async with DelayServer(case.delays, server_side).running() as server:
        service = Service(server.url, Secret("key"), tls=client_side)
        with late_network(server, case.delays):
            result = await Runner(plan, service, measure_overhead=False).run()
    return result, statistics.median(server.late_s or [case.size_s])


def medians_of(result: Result) -> dict[str, float]:
    """Return the median of each step, in seconds."""
    cell = result.cells[0]
    return {
        name: Histogram.decode(cell.histograms[name]).percentile(50)
        for name in (*PATH, "gap_max_s")
        if name in cell.histograms
    }


def finding(case: Case, result: Result, late_s: float, own: dict[str, float]) -> Finding:
    """Return what the report says, by the medians of its histograms.

    What a step takes by itself (a TLS handshake: 4 ms of arithmetic) is measured without any delay,
    and belongs to what is to be reported.
    """
    medians = medians_of(result)
    late_s += own.get(case.metric, 0.0) if case.metric in PATH else 0.0
    reported_s = medians.pop(case.metric, 0.0)
    elsewhere = max(medians, key=lambda name: medians[name])
    places = [r.gap_at_s for r in result.records_of(0) if r.gap_at_s is not None]
    place_s = statistics.median(places) if case.place_s is not None else None
    most_s = max(RIGHT_S, RIGHT_SHARE * late_s)
    others_s = max(medians[name] - own.get(name, 0.0) for name in medians if name in PATH)
    right = abs(reported_s - late_s) <= most_s and others_s <= most_s
    if case.place_s is not None and place_s is not None:
        right = right and abs(place_s - case.place_s) <= most_s
    return Finding(
        case.name,
        case.metric,
        late_s,
        reported_s,
        elsewhere,
        medians[elsewhere],
        place_s,
        right,
    )


def line(found: Finding) -> str:
    off_s = found.reported_s - found.injected_s
    where = "" if found.place_s is None else f", after {found.place_s * 1000:.0f} ms of audio"
    return (
        f"{'ok ' if found.right else 'OFF'} {found.name:<18}"
        f" expected {found.injected_s * 1000:8.2f} ms"
        f"  reported {found.reported_s * 1000:8.2f} ms as {METRICS[found.metric].title}{where}"
        f"  off {off_s * 1000:+.2f} ms; next: {METRICS[found.elsewhere].title}"
        f" {found.elsewhere_s * 1000:.2f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_accuracy", description=__doc__
    )
    parser.add_argument("--runs", type=int, default=40, help="utterances a case (40)")
    parser.add_argument("--json", metavar="FILE", help="write the findings there")
    chosen = parser.parse_args()
    findings, own = [], {}
    for secure in (False, True):
        nothing = Case("nothing", "first_audio_s", 0.0, Delays(), secure=secure)
        own[secure] = medians_of(asyncio.run(measure(nothing, chosen.runs))[0])
    for case in CASES:
        measured = asyncio.run(measure(case, chosen.runs))
        findings.append(finding(case, *measured, own[case.secure]))
        print(line(findings[-1]), flush=True)
    if chosen.json:
        Path(chosen.json).write_text(json.dumps([asdict(f) for f in findings], indent=1))
    return 0 if all(found.right for found in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
