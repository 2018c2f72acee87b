"""How one utterance is spoken over each transport, with a stopwatch.

A speaker belongs to one combination and is an async context manager: it owns what it opens.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol

import anyio

from fishlive.bench.lanes import Channel, Door, LiveLane, Service
from fishlive.bench.metrics import GATEWAYS
from fishlive.bench.probe import Order, Sound, Trace, is_ours
from fishlive.bench.records import Combination, Record
from fishlive.bench.streams import WHOLE, write
from fishlive.flow.retry import RetryPolicy
from fishlive.models.tts import audio_bytes_per_second, speech_request
from fishlive.session import Session

PCM_RATE_HZ: Final = 24_000
"""Sample rate that is asked for with pcm and wav, over every transport, so that they compare."""

Gate = Callable[[], Awaitable[None]]
"""Waits until an utterance is to begin; what it needs is there by then."""


@dataclass(frozen=True)
class Terms:
    """What holds for every utterance of a run.

    Attributes:
        prebuffers_s: Of the simulated players, in seconds.
        timeout_s: How long an utterance may take, in seconds; then it failed.
        on_error: Told of each error, before the record of it.
    """

    prebuffers_s: Sequence[float]
    timeout_s: float
    on_error: Callable[[BaseException], None] = lambda _error: None


class Speaker(Protocol):
    """Speaks utterances of one combination; several at once."""

    async def __aenter__(self) -> Speaker:
        """Open what all utterances share."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""

    async def speak(self, order: Order, gate: Gate, done: Callable[[Record], None]) -> None:
        """Speak one utterance when ``gate`` opens, and hand over its record, whatever happens.

        Cancelling ends it at once; its record says ``cancelled``, if it had begun.
        """


def fields_of(combination: Combination) -> dict[str, Any]:
    """Return a combination's fields of a request; what is None is left to the service."""
    fields: dict[str, Any] = {
        "voice": combination.voice,
        "latency": combination.latency,
        "chunk_length": combination.chunk_length,
    }
    if combination.format in {"pcm", "wav"}:
        fields["sample_rate"] = PCM_RATE_HZ
    given = {name: value for name, value in fields.items() if value is not None}
    return given | {"format": combination.format}


def sound_of(combination: Combination) -> Sound:
    """Return what a combination's audio looks like. Raises ConfigError if it cannot be."""
    fields = fields_of(combination)
    request = speech_request(
        model=combination.model, voice=fields.pop("voice", None), extra=None, options=fields
    )
    rate_hz = request.effective_sample_rate_hz if request.is_pcm else None
    opus = request.effective_format == "opus"
    return Sound(audio_bytes_per_second(request), rate_hz, opus)


class _Base:
    """What speakers share: the measured block around an utterance."""

    def __init__(self, service: Service, combination: Combination, terms: Terms) -> None:
        self._service = service
        self._combination = combination
        self._terms = terms
        self._sound = sound_of(combination)
        self._stack = contextlib.AsyncExitStack()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def _measured(
        self, trace: Trace, work: Callable[[], Awaitable[None]], done: Callable[[Record], None]
    ) -> None:
        """Do the work and hand over its record."""
        ending = self._ending(trace, done)
        try:
            with anyio.fail_after(self._terms.timeout_s):
                await work()
        except asyncio.CancelledError:
            ending("cancelled", None)
            raise
        except Exception as error:
            if not is_ours(error):
                raise
            self._terms.on_error(error)
            ending("failed", error)
        else:
            ending("finished", None)

    def _ending(self, trace: Trace, done: Callable[[Record], None]) -> Callable[[Any, Any], None]:
        def ending(how: Any, error: BaseException | None) -> None:
            if trace.ended_s is None:
                trace.ended_s = asyncio.get_running_loop().time()
            record = trace.record(
                how,
                model=self._combination.model,
                prebuffers_s=self._terms.prebuffers_s,
                error=error,
            )
            done(record)

        return ending

    def _trace(self, order: Order) -> Trace:
        return Trace(order, self._sound, started_s=asyncio.get_running_loop().time())


class LiveSpeaker(_Base):
    """Speaks over live sockets."""

    async def __aenter__(self) -> LiveSpeaker:
        fields = fields_of(self._combination) | {"model": self._combination.model}
        lane = LiveLane(self._service, self._combination, fields)
        self._lane = await self._stack.enter_async_context(lane)
        return self

    async def speak(self, order: Order, gate: Gate, done: Callable[[Record], None]) -> None:
        """See :meth:`Speaker.speak`."""
        async with contextlib.AsyncExitStack() as stack:
            door: Door | None = None
            failure: BaseException | None = None
            try:
                door = await stack.enter_async_context(self._lane.prepared())
            except Exception as error:
                if not is_ours(error):
                    raise
                failure = error
            await gate()
            trace = self._trace(order)

            async def work() -> None:
                if door is None:
                    assert failure is not None  # noqa: S101  # one of the two is there
                    raise failure
                channel = await stack.enter_async_context(door())
                await self._utter(channel, trace)

            await self._measured(trace, work, done)

    async def _utter(self, channel: Channel, trace: Trace) -> None:
        order = trace.order
        loop = asyncio.get_running_loop()
        if order.pace.name == WHOLE:
            trace.words_s = trace.started_s
            source: str | AsyncIterator[str] = order.prompt.text
        else:
            source = write(order.tokens, trace.on_words)
        began_s = loop.time()
        flush: Any = self._combination.flush
        utterance = channel.live.speak(source, flush=flush)
        try:
            async for chunk in utterance:
                trace.on_chunk(chunk)
            trace.ended_s = loop.time()
        finally:
            stats = utterance.stats
            trace.take_stats(stats, began_s, channel.tap.of(stats.connect_s))
            utterance.interrupt()


class RestSpeaker(_Base):
    """Speaks by one HTTP call an utterance; the text must be whole before it."""

    async def __aenter__(self) -> RestSpeaker:
        self._shared: Session | None = None
        if self._combination.socket == "reused":
            self._shared = await self._stack.enter_async_context(self._service.session())
        return self

    async def speak(self, order: Order, gate: Gate, done: Callable[[Record], None]) -> None:
        """See :meth:`Speaker.speak`."""
        async with contextlib.AsyncExitStack() as stack:
            session = self._shared
            if session is None:
                session = await stack.enter_async_context(self._service.session())
            opened = session  # that is no None in the block below either
            await gate()
            trace = self._trace(order)
            await self._measured(trace, lambda: self._call(opened, trace), done)

    async def _call(self, session: Session, trace: Trace) -> None:
        loop = asyncio.get_running_loop()
        text = await _whole(trace)
        options = fields_of(self._combination)
        trace.sent_s = loop.time()
        trace.text_utf8_bytes = trace.order.prompt.utf8_bytes
        timed_too = self._combination.transport == "sse"
        stream: Any = session.tts.stream_timestamps if timed_too else session.tts.stream
        async with stream(text, model=self._combination.model, **options) as chunks:
            async for chunk in chunks:
                trace.on_chunk(chunk)
                trace.first_s = trace.arrivals_s[0]
        trace.ended_s = loop.time()


class TaskSpeaker(_Base):
    """Has a gateway make speech; what counts is the time to its result."""

    async def __aenter__(self) -> TaskSpeaker:
        from fishlive.gateways import AceData, Xhuo

        kind = {"acedata": AceData, "xhuo": Xhuo}[self._combination.transport]
        key = self._service.key
        client: Any = kind(
            None if key is None else key.reveal(),
            base_url=self._service.base_url,
            tls=self._service.tls,
            retry=RetryPolicy(attempts=1),
            allow_insecure=self._service.allow_insecure,
        )
        self._client: Any = await self._stack.enter_async_context(client)
        return self

    async def speak(self, order: Order, gate: Gate, done: Callable[[Record], None]) -> None:
        """See :meth:`Speaker.speak`."""
        await gate()
        trace = self._trace(order)
        await self._measured(trace, lambda: self._call(trace), done)

    async def _call(self, trace: Trace) -> None:
        text = await _whole(trace)
        options = fields_of(self._combination)
        trace.sent_s = asyncio.get_running_loop().time()
        trace.text_utf8_bytes = trace.order.prompt.utf8_bytes
        await self._client.tts.create(text, model=self._combination.model, **options)


async def _whole(trace: Trace) -> str:
    """Return the text once all of it is written: a call cannot begin before."""
    order = trace.order
    async for _ in write(order.tokens, trace.on_words):
        pass
    trace.needed_s = asyncio.get_running_loop().time()
    return order.prompt.text


def speaker(service: Service, combination: Combination, terms: Terms) -> Speaker:
    """Return who speaks a combination. Raises ConfigError if it cannot be."""
    if combination.transport in GATEWAYS:
        return TaskSpeaker(service, combination, terms)
    if combination.transport in {"rest", "sse"}:
        return RestSpeaker(service, combination, terms)
    return LiveSpeaker(service, combination, terms)
