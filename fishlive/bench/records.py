"""What a benchmark found out, as data: one utterance, one combination, the whole run.

Everything here is frozen and holds only numbers, names and ids: no text that was spoken, no audio,
no key. Seconds are floats and end in ``_s``; None says that there was nothing to measure. How they
become files is in :mod:`fishlive.bench.files`, which numbers are made of them in
:mod:`fishlive.bench.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from fishlive.bench.conditions import STRICT, Client, Config, Environment, Overhead

__all__ = [
    "KIND",
    "SCHEMA",
    "Cell",
    "Client",
    "Combination",
    "Config",
    "Ending",
    "Environment",
    "Overhead",
    "PrebufferTotal",
    "Record",
    "Result",
    "SocketKind",
    "Underruns",
]

SCHEMA: Final = 2
"""Version of everything in this module as it stands in files. Any change of a field counts it up:
files of another version are refused, because comparing them would compare different things."""

KIND: Final = "fishlive.bench"
"""What a file says it is."""

Ending = Literal["finished", "failed", "cancelled"]
"""How an utterance ended: ``cancelled`` is our doing (the run was over), never the service's."""

SocketKind = Literal["cold", "standby", "reused"]
"""What an utterance found: nothing (it connects on its own path), an open connection that nobody
had used, or one that had served before."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One point of the matrix: everything that may differ between two rows of the table.

    Attributes:
        transport: ``picows`` or ``aiohttp`` (live, over WebSocket), ``rest`` (``POST /v1/tts``),
            ``sse`` (with timestamps), ``acedata`` or ``xhuo`` (a gateway's task).
        socket: What an utterance is to find; what it did find is in its record.
        model: Synthesis engine.
        latency: ``low``, ``balanced``, ``normal``; None for the service's default.
        format: ``pcm``, ``wav``, ``mp3`` or ``opus``.
        voice: Reference id; None for the service's own voice.
        chunk_length: Characters synthesised at once; None for the service's default.
        flush: ``sentence`` or ``never``.
        stream: How the text comes: ``whole``, ``30``, ``60`` … (tokens a second), ``burst``,
            ``recorded``.
        concurrency: Closed loop: utterances at once. None in an open loop.
        rate: Open loop: utterances begun a second. None in a closed loop.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    transport: str
    socket: SocketKind
    model: str
    latency: str | None
    format: str
    voice: str | None
    chunk_length: int | None
    flush: str
    stream: str
    concurrency: int | None = None
    rate: float | None = None

    @property
    def load(self) -> str:
        """How the work arrives, for people: ``10 at once``, ``5/s``."""
        return f"{self.rate:g}/s" if self.rate is not None else f"{self.concurrency} at once"


@dataclass(frozen=True, slots=True)
class Underruns:
    """How often a player would have run dry, simulated from when audio arrived.

    The player starts (and, once dry, starts again) as soon as ``prebuffer_s`` of audio is there or
    all of it is.

    Attributes:
        prebuffer_s: Audio it gathers before it plays, in seconds.
        count: How often it ran dry for at least a millisecond.
        stalled_s: How long it was silent where it should have spoken, in seconds.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    prebuffer_s: float
    count: int
    stalled_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """One utterance.

    Its path from the intended start to the first audio has no holes: ``queue_s`` + ``connect_s``
    (if it connected on its own path) + ``slot_s`` + ``text_wait_s`` + ``other_s`` +
    ``first_audio_s`` = ``response_s``.

    Attributes:
        cell: Which combination: index into :attr:`Result.cells`.
        index: Which utterance of the cell, from 0, in the order of their intended starts.
        warmup: Whether it only warms up; then no statistics count it.
        prompt: Id of its text in the workload.
        language: Of the text, as in ``en``.
        text_utf8_bytes: Text that was sent, as the service bills it.
        cost_usd: What that costs by the price list, in US dollars.
        ending: ``finished``, ``failed`` or ``cancelled``.
        failure: Class of the error (``ServerError``, …); None unless it failed.
        failure_detail: What the error says in numbers: ``status 503``, ``phase tls``. Never text
            of the caller's or the service's.
        intended_s: When it should have begun, from the beginning of its cell, in seconds.
        started_s: When it did begin, from the beginning of its cell. Not before ``intended_s``.
        queue_s: From the intended start to the real one. In a closed loop 0.
        socket: What it found, which may differ from what was asked for; None for transports
            without live sockets, and if it got no connection.
        dns_s: Resolving the name, of the connection it waited for; None if it waited for none.
        tcp_s: TCP handshake, as ``dns_s``.
        tls_s: TLS handshake, as ``dns_s``; None without TLS.
        upgrade_s: From the request for a WebSocket to its answer, as ``dns_s``.
        connect_s: All of connecting that it waited for: the four above, and what is between them.
        slot_s: Waiting for one of the account's slots.
        text_ready_s: From the start until the text source had its first words, in seconds: what
            the text's author took, whatever the connection did meanwhile.
        text_wait_s: What of that was left to wait for once there was a connection and a slot.
        other_s: What else passed before its text was on its way: our own work, and connections
            that were lost before this one.
        first_audio_s: From the first speakable text sent to the first audio received. For
            ``rest`` and ``sse`` from the call, connecting included.
        response_s: From the intended start to the first audio.
        latency_s: As ``response_s``, counted from when the first words were there had it begun as
            intended: ``response_s - text_ready_s``. It blames the service, the network and the
            queue, and not the author of the text. This is the headline.
        leading_silence_s: Silence that the audio begins with; None unless it is PCM.
        audible_s: As ``latency_s``, to the moment a player without prebuffer would have made the
            first audible sound; None unless it is PCM.
        gap_max_s: Longest time between two chunks; None with fewer than two.
        gap_at_s: How much audio had arrived before that gap, in seconds.
        rtf: Real-time factor: from the first text sent to the last audio received, divided by
            ``audio_s``. Below 1 is faster than speech.
        audio_s: Seconds of audio received: exact for PCM, WAV and Opus (whose pages say how long
            they play), by the bitrate for MP3.
        wall_s: From the start to the end. For a gateway's task: to its result.
        messages: Audio messages received.
        audio_bytes: Audio received.
        arrivals_s: When each chunk came, from the start, in seconds, rounded to microseconds.
        sizes_bytes: Size of each chunk, in the same order.
        underruns: For each simulated prebuffer, ascending; empty if it did not finish.
        source: Which of the merged runs it is of: index into :attr:`Result.environments`.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    cell: int
    index: int
    warmup: bool
    prompt: str
    language: str
    text_utf8_bytes: int
    cost_usd: float
    ending: Ending
    failure: str | None = None
    failure_detail: str | None = None
    intended_s: float = 0.0
    started_s: float = 0.0
    queue_s: float = 0.0
    socket: SocketKind | None = None
    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    upgrade_s: float | None = None
    connect_s: float | None = None
    slot_s: float = 0.0
    text_ready_s: float | None = None
    text_wait_s: float | None = None
    other_s: float | None = None
    first_audio_s: float | None = None
    response_s: float | None = None
    latency_s: float | None = None
    leading_silence_s: float | None = None
    audible_s: float | None = None
    gap_max_s: float | None = None
    gap_at_s: float | None = None
    rtf: float | None = None
    audio_s: float = 0.0
    wall_s: float = 0.0
    messages: int = 0
    audio_bytes: int = 0
    arrivals_s: tuple[float, ...] = ()
    sizes_bytes: tuple[int, ...] = ()
    underruns: tuple[Underruns, ...] = ()
    source: int = 0

    @property
    def counts(self) -> bool:
        """Whether statistics count it: it finished, and not to warm up."""
        return self.ending == "finished" and not self.warmup


@dataclass(frozen=True, slots=True)
class Cell:
    """What one combination came to.

    Attributes:
        combination: Which.
        started: Utterances begun, without those that warmed up.
        finished: Of those, how many were spoken to the end.
        cancelled: Of those, how many we stopped.
        failures: Of those, how many failed, by class of the error.
        reused: How many utterances found a connection that had served before.
        audio_s: Seconds of audio received by those that finished.
        text_utf8_bytes: Text sent by those that were begun, as the service bills it; without
            warm-up, as everything else here.
        cost_usd: What that costs, in US dollars.
        histograms: For each name in :data:`fishlive.bench.metrics.METRICS` that has values, an HDR
            histogram in the V2 format, compressed, base64: counts of millionths (microseconds,
            for seconds). Of utterances that finished and did not warm up.
        underruns: For each simulated prebuffer: in how many utterances, how often, how long.
        client: How this machine did, for each merged run.
        partial: Why it ended before it was done; None if it did not.
        warmup_utf8_bytes: Text that the warm-up sent, which is billed too.
        warmup_cost_usd: What that costs, in US dollars.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    combination: Combination
    started: int
    finished: int
    cancelled: int
    failures: Mapping[str, int]
    reused: int
    audio_s: float
    text_utf8_bytes: int
    cost_usd: float
    histograms: Mapping[str, str]
    underruns: tuple[PrebufferTotal, ...] = ()
    client: tuple[Client, ...] = ()
    partial: str | None = None
    warmup_utf8_bytes: int = 0
    warmup_cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class PrebufferTotal:
    """What a player with one prebuffer would have done over all utterances that finished.

    Attributes:
        prebuffer_s: Audio it gathers before it plays, in seconds.
        utterances: In how many it ran dry at least once.
        count: How often, together.
        stalled_s: How long, together, in seconds.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    prebuffer_s: float
    utterances: int
    count: int
    stalled_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run, or several merged.

    Attributes:
        environments: Where it ran: one, or one for each merged run.
        config: What was asked for.
        cells: What each combination came to, in the order they ran.
        records: Every utterance; empty if they were left out of the file.
        overhead: What the tool itself adds; None if it was not measured. Of merged runs, the
            worst.
        partial: Why the run ended before it was done; None if it did not.
        notes: What a reader must know besides: combinations that cannot be, sockets that were not
            reused, … in sentences.
        schema: Version of this layout.
        kind: What this is.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    environments: tuple[Environment, ...]
    config: Config
    cells: tuple[Cell, ...]
    records: tuple[Record, ...] = ()
    overhead: Overhead | None = None
    partial: str | None = None
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA
    kind: str = field(default=KIND)

    @property
    def limited(self) -> tuple[str, ...]:
        """Why this machine was the limit somewhere, without repeats; empty if it was not."""
        why = (reason for cell in self.cells for seen in cell.client for reason in seen.limited)
        return tuple(dict.fromkeys(why))

    @property
    def billed(self) -> tuple[int, float]:
        """Text that all of it sent, warm-up too, in bytes of UTF-8, and its price in US dollars."""
        return (
            sum(cell.text_utf8_bytes + cell.warmup_utf8_bytes for cell in self.cells),
            sum(cell.cost_usd + cell.warmup_cost_usd for cell in self.cells),
        )

    def records_of(self, cell: int) -> tuple[Record, ...]:
        """Return the utterances of a cell that statistics count."""
        return tuple(r for r in self.records if r.cell == cell and r.counts)
