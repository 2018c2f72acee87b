"""One utterance, measured: from the moment it should have begun to its last chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fishlive.audio.ogg import OpusClock
from fishlive.bench.cost import price_usd
from fishlive.bench.lanes import Opening
from fishlive.bench.metrics import gaps_s
from fishlive.bench.player import FirstSound, heard_at, underruns
from fishlive.bench.records import Ending, Record, SocketKind
from fishlive.bench.streams import Pace
from fishlive.bench.workload import Prompt, Token
from fishlive.errors import FishLiveError
from fishlive.live.stats import UtteranceStats


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be spoken, and when.

    Attributes:
        cell: Index of its combination.
        index: Which utterance of the cell.
        warmup: Whether it only warms up.
        prompt: What.
        pace: How the text comes.
        tokens: Its pieces, and when each comes.
        zero_s: When the cell began, by the loop's clock.
        intended_s: When it should begin, by the loop's clock; None for as soon as it can.
    """

    cell: int
    index: int
    warmup: bool
    prompt: Prompt
    pace: Pace
    tokens: tuple[Token, ...]
    zero_s: float
    intended_s: float | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """What audio is to look like.

    Attributes:
        bytes_per_s: Its size, in bytes a second; for Opus a guess.
        pcm_rate_hz: Its rate of samples, if it is PCM.
        opus: Whether it is Ogg Opus, whose pages say how long they play.
    """

    bytes_per_s: float
    pcm_rate_hz: int | None
    opus: bool = False


@dataclass(slots=True)
class Trace:
    """What happened to one utterance, while it happens. Times are of the loop's clock.

    Attributes:
        order: What was asked for.
        sound: What the audio looks like.
        started_s: When it began.
        words_s: When the text source had its first words; None before.
        needed_s: When there was text enough to begin, where that takes more than words: an HTTP
            call needs all of it.
        sent_s: When the first text was sent; None before, and where it cannot be told.
        first_s: When the first audio was received; None before.
        ended_s: When it was over.
        arrivals_s: When each chunk was in hand.
        sizes_bytes: Its size.
        text_utf8_bytes: Text sent.
        slot_s: Waiting for a slot, in seconds.
        opening: The connection it spoke over, if it is known.
        reused: Whether that had served before.
    """

    order: Order
    sound: Sound
    started_s: float
    words_s: float | None = None
    needed_s: float | None = None
    sent_s: float | None = None
    first_s: float | None = None
    ended_s: float | None = None
    arrivals_s: list[float] = field(default_factory=list)
    sizes_bytes: list[int] = field(default_factory=list)
    text_utf8_bytes: int = 0
    slot_s: float = 0.0
    opening: Opening | None = None
    reused: bool = False
    _first_sound: FirstSound | None = None
    _clock: OpusClock | None = None
    _plays_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look for the first sound, if the format lets us."""
        rate_hz = self.sound.pcm_rate_hz
        self._first_sound = None if rate_hz is None else FirstSound(rate_hz)
        self._clock = OpusClock() if self.sound.opus else None

    def on_words(self) -> None:
        """Note that the source has its first words."""
        self.words_s = asyncio.get_running_loop().time()

    def on_chunk(self, chunk: bytes) -> None:
        """Note a chunk."""
        self.arrivals_s.append(asyncio.get_running_loop().time())
        self.sizes_bytes.append(len(chunk))
        if self._first_sound is not None:
            self._first_sound.feed(chunk)
        if self._clock is not None:
            before_s = self._clock.seconds or 0.0
            self._clock.feed(chunk)
            self._plays_s.append((self._clock.seconds or 0.0) - before_s)

    def _audio_s(self) -> list[float]:
        """Return how long each chunk plays: what ends in it."""
        if self._clock is not None and self._clock.seconds is not None:
            return list(self._plays_s)
        return [size / self.sound.bytes_per_s for size in self.sizes_bytes]

    def take_stats(self, stats: UtteranceStats, began_s: float, opening: Opening | None) -> None:
        """Take what a live utterance says of itself.

        Args:
            stats: Its numbers.
            began_s: When it was begun, which its seconds count from.
            opening: The connection it spoke over.
        """
        self.text_utf8_bytes = stats.text_utf8_bytes
        self.slot_s = stats.slot_wait_s
        self.opening, self.reused = opening, stats.socket_reused
        if stats.first_text_s is not None:
            self.sent_s = began_s + stats.first_text_s
            if stats.first_audio_s is not None:
                self.first_s = self.sent_s + stats.first_audio_s

    def record(
        self,
        ending: Ending,
        *,
        model: str,
        prebuffers_s: Sequence[float],
        error: BaseException | None = None,
    ) -> Record:
        """Return all of it as data."""
        order, finished = self.order, ending == "finished"
        intended_s = self.started_s if order.intended_s is None else order.intended_s
        ended_s = self.started_s if self.ended_s is None else self.ended_s
        audio_s = self._audio_s()
        arrivals_s = [round(at_s - self.started_s, 6) for at_s in self.arrivals_s]
        silence_s = None if self._first_sound is None else self._first_sound.at_s
        path = self._path(max(0.0, self.started_s - intended_s))
        path |= _sound(path, arrivals_s, audio_s, silence_s)
        return Record(
            cell=order.cell,
            index=order.index,
            warmup=order.warmup,
            prompt=order.prompt.id,
            language=order.prompt.language,
            text_utf8_bytes=self.text_utf8_bytes,
            cost_usd=price_usd(self.text_utf8_bytes, model),
            ending=ending,
            failure=None if error is None else type(error).__name__,
            failure_detail=None if error is None else detail(error),
            intended_s=max(0.0, intended_s - order.zero_s),
            started_s=max(0.0, self.started_s - order.zero_s),
            **path,
            leading_silence_s=silence_s,
            rtf=self._rtf(sum(audio_s)) if finished else None,
            audio_s=sum(audio_s),
            wall_s=ended_s - self.started_s,
            messages=len(arrivals_s),
            audio_bytes=sum(self.sizes_bytes),
            arrivals_s=tuple(arrivals_s),
            sizes_bytes=tuple(self.sizes_bytes),
            underruns=underruns(arrivals_s, audio_s, prebuffers_s)
            if finished and arrivals_s
            else (),
        )

    def _path(self, queue_s: float) -> dict[str, Any]:
        """Return the steps from the intended start to the first audio, without holes."""
        steps: dict[str, Any] = {"queue_s": queue_s}
        ready_s = None if self.words_s is None else self.words_s - self.started_s
        steps["text_ready_s"] = ready_s
        left_s = None if self.sent_s is None else self.sent_s - self.started_s
        steps |= connecting(self.opening, self.started_s, reused=self.reused)
        if left_s is None:
            return steps
        left_s -= steps.get("connect_s", 0.0)
        steps["slot_s"] = _within(self.slot_s, left_s)
        left_s -= steps["slot_s"]
        before_s = self.sent_s - self.started_s - left_s if self.sent_s is not None else 0.0
        needed_s = ready_s if self.needed_s is None else self.needed_s - self.started_s
        steps["text_wait_s"] = _within((needed_s or 0.0) - before_s, left_s)
        steps["other_s"] = max(0.0, left_s - steps["text_wait_s"])
        if self.first_s is not None and self.sent_s is not None:
            steps["first_audio_s"] = self.first_s - self.sent_s
            steps["response_s"] = queue_s + self.first_s - self.started_s
            steps["latency_s"] = max(0.0, steps["response_s"] - (ready_s or 0.0))
        return steps

    def _rtf(self, audio_s: float) -> float | None:
        if not audio_s or self.sent_s is None or not self.arrivals_s:
            return None
        return max(0.0, self.arrivals_s[-1] - self.sent_s) / audio_s


def _sound(
    path: dict[str, Any], arrivals_s: list[float], audio_s: list[float], silence_s: float | None
) -> dict[str, Any]:
    """Return what a listener notices: the first sound, the longest gap and where it is."""
    found: dict[str, Any] = {}
    if silence_s is not None:
        heard_s = heard_at(arrivals_s, audio_s, silence_s)
        ready_s = path["text_ready_s"] or 0.0
        found["audible_s"] = max(0.0, path["queue_s"] + heard_s - ready_s)
    gaps = list(gaps_s(arrivals_s))
    if gaps:
        longest = gaps.index(max(gaps))
        found |= {"gap_max_s": gaps[longest], "gap_at_s": sum(audio_s[: longest + 1])}
    return found


def connecting(opening: Opening | None, started_s: float, *, reused: bool) -> dict[str, Any]:
    """Return what of a connection's opening an utterance waited for.

    What was done before it began is left out, from the front: an utterance that begins while the
    socket is being opened waits for the end of that only.
    """
    if opening is None:
        return {"socket": "reused"} if reused else {}
    left_s = opening.open_s - max(opening.began_s, started_s)
    if reused or left_s <= 0:
        kind: SocketKind = "reused" if reused else "standby"
        return {"socket": kind}
    waited: dict[str, Any] = {"socket": "cold", "connect_s": left_s}
    for name, took_s in reversed(phases(opening)):
        waited[name] = _within(took_s, left_s)
        left_s -= waited[name]
    return waited


def phases(opening: Opening) -> list[tuple[str, float]]:
    """Return the steps of a connection that are known, in order."""
    shake = opening.handshake
    dns_s, tcp_s = shake.dns_s, shake.tcp_s
    tls_s: float | None = getattr(shake, "tls_s", None)
    upgrade_s: float | None = getattr(shake, "upgrade_s", None)
    if upgrade_s is None and tcp_s is not None:
        upgrade_s = shake.connect_s - (dns_s or 0.0) - tcp_s - (tls_s or 0.0)
    steps = [("dns_s", dns_s), ("tcp_s", tcp_s), ("tls_s", tls_s), ("upgrade_s", upgrade_s)]
    return [(name, took_s) for name, took_s in steps if took_s is not None]


def detail(error: BaseException) -> str | None:
    """Return an error's facts without anybody's text: status, close code, phase."""
    facts = ("status", "close_code", "phase")
    known = [(n.replace("_", " "), getattr(error, n, None)) for n in facts]
    return ", ".join(f"{name} {value}" for name, value in known if value is not None) or None


def _within(value_s: float, most_s: float) -> float:
    return max(0.0, min(value_s, most_s))


def is_ours(error: BaseException) -> bool:
    """Return whether an error is the service's or network's doing, as a record tells it."""
    return isinstance(error, (FishLiveError, asyncio.TimeoutError, TimeoutError))
