"""The suites. Each asks every client the same, in turns, and returns a table and its checks."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.callbacks import callbacks
from benchmarks.kills import kills
from benchmarks.processes import ROOT, Bench, Process, local_server
from benchmarks.results import Samples, Suite, middle, ratio

KIB = 1024
MIB = 1024 * KIB

OURS, BARE, AIOHTTP, OFFICIAL = "ours", "bare_picows", "aiohttp_loop", "official_sdk"

FRAME_LENGTHS = {640: (10_000, 90_000), 4 * KIB: (10_000, 90_000), 32 * KIB: (2_000, 22_000)}
"""Messages of the short and the long run by message size in bytes. 20 ms of 16 kHz PCM, the size
the service is seen to send, and the largest that the official SDK takes without being told."""

TOKEN_LENGTHS = (2_000, 22_000)
"""Tokens of the short and the long run."""

FEWER = {OFFICIAL: 10}
"""Who gets how many times shorter runs: at 30 times the cost, a tenth of the messages is as exact,
and the whole run takes a quarter of the time."""

IDLE_CHANNELS = 200

OFFERED_BYTES = 300 * MIB
"""What a napping listener is offered: more than any buffer, so that whoever keeps all shows it."""

BUFFER_HARD_BYTES = 8 * MIB
"""Where fishlive pauses the socket (``limits.py``); one read batch of 1 MiB may come on top."""

CHANNELS = {1: 10.0, 50: 5.0, 200: 5.0}
"""Seconds of talk by concurrent channels."""

TOKENS_HZ = 30.0
"""Pace of the text, in tokens a second: an ordinary LLM."""

AUDIO: dict[str, Any] = {"message_bytes": 4 * KIB, "interval_ms": 85}
"""Pace of the audio: 4 KiB of 24 kHz PCM last 85 ms."""

LLM: dict[str, Any] = {"tokens": 90, "tokens_hz": TOKENS_HZ}
"""Three seconds of an LLM's answer: six short sentences."""

SUSTAINED_SHARE = 0.9
"""A client that used more of its core than this did not keep up; its latencies are a queue's."""


STARVED_SHARE = 0.02
"""Share of the time in which a client was ready and another process had its core. Over this the
tail of its latencies is a scheduler's, and no bar is held to it."""


@asynccontextmanager
async def together(bench: Bench) -> AsyncIterator[dict[str, Process]]:
    """Start every client that can be started; imports happen here, outside of any number."""
    async with AsyncExitStack() as stack:
        clients = {}
        for name in bench.names:
            client = await stack.enter_async_context(bench.client(name))
            if not bench.failed(name, client.hello):
                clients[name] = client
        yield clients


def marginal_us(answer: dict[str, Any], short: int, long: int, prefix: str = "") -> float:
    """Return the CPU microseconds that one more message or token costs."""
    spent_s = answer[f"{prefix}long"]["cpu_s"] - answer[f"{prefix}short"]["cpu_s"]
    return float(spent_s / (long - short) * 1e6)


async def frames(bench: Bench) -> Suite:
    """CPU per audio message, from the socket to the caller's hands."""
    suite = Suite(
        "frames: marginal CPU per audio message, µs",
        ("bytes", "tls", "client", "us", "us_min", "by_bare", "client_busy", "server_busy"),
    )
    sizes = {4 * KIB: (500, 2_500)} if bench.quick else FRAME_LENGTHS
    async with together(bench) as clients:
        for message_bytes, lengths in sizes.items():
            for tls in bench.tls:
                samples, busy = await _frames(bench, clients, message_bytes, lengths, tls=tls)
                _frame_rows(suite, samples, busy, message_bytes, tls=tls)
                if message_bytes == 4 * KIB:
                    _frame_checks(suite, samples, tls=tls)
    return suite


async def _frames(
    bench: Bench,
    clients: dict[str, Process],
    message_bytes: int,
    lengths: tuple[int, int],
    *,
    tls: bool,
) -> tuple[Samples, dict[str, tuple[float, float]]]:
    samples, busy = defaultdict(list), {}
    for name, client in bench.turns(clients):
        short, long = (n // FEWER.get(name, 1) for n in lengths)
        answer = await bench.measure(
            client, "frames", tls=tls, short=short, long=long, message_bytes=message_bytes
        )
        if bench.failed(name, answer):
            continue
        samples[name].append(marginal_us(answer, short, long))
        wall_s = answer["short"]["wall_s"] + answer["long"]["wall_s"]
        cpu_s = answer["short"]["cpu_s"] + answer["long"]["cpu_s"]
        busy[name] = (cpu_s / wall_s, answer["server_cpu_s"] / wall_s)
    return samples, busy


def _frame_rows(
    suite: Suite,
    samples: Samples,
    busy: dict[str, tuple[float, float]],
    message_bytes: int,
    *,
    tls: bool,
) -> None:
    for name, values in samples.items():
        by_bare = ratio(samples, name, BARE)
        row = (message_bytes, tls, name, middle(values), min(values), by_bare, *busy[name])
        suite.rows.append(row)
        if busy[name][1] > busy[name][0]:
            suite.notes.append(f"the server worked harder than {name} at {message_bytes} bytes")


def _frame_checks(suite: Suite, samples: Samples, *, tls: bool) -> None:
    official = ratio(samples, OFFICIAL, OURS)
    if tls:
        suite.at_least("4 KiB over TLS: official SDK by fishlive", official, 12.0)
        return
    suite.at_most("4 KiB: fishlive by bare picows", ratio(samples, OURS, BARE), 2.0)
    suite.at_least("4 KiB: official SDK by fishlive", official, 18.0)
    suite.at_most("4 KiB: fishlive by hand-written aiohttp", ratio(samples, OURS, AIOHTTP), 1.0)


async def text(bench: Bench) -> Suite:
    """CPU per token, from the source to the socket, without what the source itself costs."""
    suite = Suite(
        "text: marginal CPU per token, µs (the source's own cost taken off)",
        ("source", "client", "us", "us_min", "by_bare", "gross_us", "messages_per_token"),
    )
    lengths = (200, 1_000) if bench.quick else TOKEN_LENGTHS
    async with together(bench) as clients:
        for source in ("suspending", "ready"):
            net, gross, sent = defaultdict(list), defaultdict(list), {}
            for name, client in bench.turns(clients):
                short, long = (n // FEWER.get(name, 1) for n in lengths)
                answer = await bench.measure(client, "text", short=short, long=long, source=source)
                if bench.failed(name, answer):
                    continue
                cost = marginal_us(answer, short, long)
                gross[name].append(cost)
                net[name].append(cost - marginal_us(answer, short, long, "source_"))
                sent[name] = answer["server"]["text_messages"] / (2 * short + long)
            for name, values in net.items():
                by_bare, whole = ratio(net, name, BARE), middle(gross[name])
                row = (source, name, middle(values), min(values), by_bare, whole, sent[name])
                suite.rows.append(row)
            _text_checks(suite, source, net)
    return suite


def _text_checks(suite: Suite, source: str, net: Samples) -> None:
    by_bare = ratio(net, OURS, BARE)
    if source == "suspending":
        suite.at_most("source suspends at every token: fishlive by bare picows", by_bare, 1.5)
        official = ratio(net, OFFICIAL, OURS)
        suite.at_least("source suspends at every token: official SDK by fishlive", official, 10.0)
    else:
        # "Far less" is not a number; half of a bare send is what coalescing must at least save.
        suite.at_most("source never suspends: fishlive by bare picows", by_bare, 0.5)


async def memory(bench: Bench) -> Suite:
    """Own memory of an idle open channel, each client in a fresh process."""
    suite = Suite(
        "memory: own memory (USS) of one of 200 idle open channels, KiB",
        ("tls", "client", "kib", "over_bare_kib"),
    )
    count = 20 if bench.quick else IDLE_CHANNELS
    for tls in bench.tls:
        found: dict[str, float] = {}
        for name in bench.names:
            values = []
            for _ in range(min(bench.rounds, 3)):
                async with bench.client(name) as client:
                    answer = client.hello
                    if "error" not in answer:
                        answer = await bench.measure(client, "idle", tls=tls, count=count)
                if not bench.failed(name, answer):
                    values.append(answer["bytes"] / KIB)
            if values:
                found[name] = min(values)  # noise only ever adds memory
        bare = found.get(BARE)
        over = {name: None if bare is None else kib - bare for name, kib in found.items()}
        suite.rows += [(tls, name, kib, over[name]) for name, kib in found.items()]
        tail = " (TLS)" if tls else ""
        suite.at_most(f"idle channel over its bare socket, KiB{tail}", over.get(OURS), 40.0)
    return suite


async def slow(bench: Bench) -> Suite:
    """Growth of memory while a listener naps and the server offers far more than is wanted."""
    suite = Suite(
        "slow: growth of memory (RSS) while the listener naps, MiB",
        ("tls", "client", "grown_mib", "all_audio_arrived"),
    )
    offered, nap_s = (16 * MIB, 0.3) if bench.quick else (OFFERED_BYTES, 3.0)
    for tls in bench.tls:
        grown = {}
        for name in bench.names:
            if name == BARE:  # a callback cannot nap
                continue
            async with bench.client(name) as client:
                answer = client.hello
                if "error" not in answer:
                    sizes = {"messages": offered // (4 * KIB), "message_bytes": 4 * KIB}
                    answer = await bench.measure(client, "slow", tls=tls, nap_s=nap_s, **sizes)
            if not bench.failed(name, answer):
                grown[name] = answer["grown_bytes"] / MIB
                suite.rows.append((tls, name, grown[name], answer["whole"]))
        tail = " (TLS)" if tls else ""
        bar = (BUFFER_HARD_BYTES + MIB) / MIB
        suite.at_most(f"stalled listener, MiB{tail}", grown.get(OURS), bar)
    return suite


async def latency(bench: Bench) -> Suite:
    """What the client adds on the way out and on the way in, with many channels on one core."""
    suite = Suite(
        "latency: token to wire and wire to caller, ms",
        (
            *("channels", "client", "out_p50_ms", "out_p99_ms", "in_p50_ms", "in_p99_ms"),
            *("client_busy", "starved", "kept_up"),
        ),
    )
    levels = {1: 0.3, 5: 0.3} if bench.quick else CHANNELS
    async with together(bench) as clients:
        for count, seconds in levels.items():
            found = await _latency(bench, clients, count, seconds)
            suite.rows += [(count, name, *values) for name, values in found.items()]
            if count == max(levels):
                _latency_checks(suite, count, found)
    return suite


async def _latency(
    bench: Bench, clients: dict[str, Process], count: int, seconds: float
) -> dict[str, tuple[Any, ...]]:
    samples: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for name, client in bench.turns(clients):
        answer = await bench.measure(
            client, "latency", count=count, seconds=seconds, tokens_hz=TOKENS_HZ, **AUDIO
        )
        if bench.failed(name, answer) or not answer["server"]["token"]["count"]:
            continue
        out, heard = answer["server"]["token"], answer["heard"]
        shares = [answer[what] / answer["wall_s"] for what in ("cpu_s", "starved_s")]
        samples[name].append(
            (out["p50_ms"], out["p99_ms"], heard["p50_ms"], heard["p99_ms"], *shares)
        )
    found = {}
    for name, rounds in samples.items():
        values = [middle(column) for column in zip(*rounds, strict=True)]
        found[name] = (*values, (values[4] or 0) < SUSTAINED_SHARE)
    return found


def _latency_checks(suite: Suite, count: int, found: dict[str, tuple[Any, ...]]) -> None:
    ours, bare = found.get(OURS), found.get(BARE)
    starved = max((values[5] for values in (ours, bare) if values is not None), default=0.0)
    if starved > STARVED_SHARE:
        suite.notes.append("other processes had the client's core, so latencies prove nothing")
        ours = None
    for column, way in ((1, "token to wire"), (3, "wire to caller")):
        added = None if ours is None or bare is None else ours[column] - bare[column]
        claim = f"{count} channels, {way}: p99 over bare picows, ms"
        suite.at_most(claim, added, 1.0)


STATEMENTS = {
    "fishlive": "import fishlive; fishlive.Session",
    "aiohttp, pydantic": "import aiohttp, pydantic",
    "picows, msgpack": "import picows, msgpack",
    "websockets": "import websockets.asyncio.client",
    "fishaudio": "import fishaudio; fishaudio.AsyncFishAudio",
}


async def imports(bench: Bench) -> Suite:
    """How long an import takes in a fresh interpreter, without the interpreter's own start."""
    suite = Suite("import: milliseconds, the fastest of each", ("statement", "wall_ms", "cpu_ms"))
    best: dict[str, list[float]] = {}
    for _ in range(2 if bench.quick else 15):
        for name, statement in STATEMENTS.items():
            sample = await _import(statement)
            if sample is not None:
                old = best.get(name, sample)
                best[name] = [min(a, b) for a, b in zip(old, sample, strict=True)]
    suite.rows += [(name, *values) for name, values in best.items()]
    ours, floor = best.get("fishlive"), best.get("aiohttp, pydantic")
    added = None if ours is None or floor is None else ours[0] - floor[0]
    suite.at_most("import fishlive over import aiohttp, pydantic, ms", added, 30.0)
    return suite


async def _import(statement: str) -> list[float] | None:
    code = (
        "import time; w, c = time.perf_counter(), time.process_time()\n"
        f"{statement}\n"
        "print(time.perf_counter() - w, time.process_time() - c)"
    )
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=pipe, stderr=nowhere, cwd=ROOT
    )
    out, _ = await child.communicate()
    return None if child.returncode else [float(value) * 1e3 for value in out.split()]


async def first_audio(bench: Bench) -> Suite:
    """What the flush policy is worth: first audio at an LLM's pace, with and without it."""
    suite = Suite(
        "first_audio: first token to first audio at 30 tokens a second, local server, ms",
        ("flush", "median_ms", "min_ms", "max_ms"),
    )
    turns = 1 if bench.quick else 3
    found: Samples = defaultdict(list)
    async with local_server() as local, bench.client(OURS) as client:
        ready = not (bench.failed("local_server", local.hello) or bench.failed(OURS, client.hello))
        for flush in ("sentence", "never") * (1 if bench.quick else 3) * ready:
            answer = await client.ask(
                "first_audio", server=local.hello, flush=flush, turns=turns, **LLM
            )
            if not bench.failed(OURS, answer):
                found[flush] += [seconds * 1e3 for seconds in answer["first_s"]]
    suite.rows += [(flush, middle(ms), min(ms), max(ms)) for flush, ms in found.items()]
    sentence, never = middle(found["sentence"]), middle(found["never"])
    sooner = None if sentence is None or never is None else sentence / never
    suite.at_most('first audio with flush="sentence" by flush="never"', sooner, 1.0)
    return suite


SUITES = {
    "frames": frames,
    "text": text,
    "memory": memory,
    "slow": slow,
    "import": imports,
    "latency": latency,
    "first_audio": first_audio,
    "callbacks": callbacks,
    "kills": kills,
}
