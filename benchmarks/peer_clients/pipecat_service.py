"""Pipecat's Fish service: one pipeline a voice session, of the service and a loudspeaker."""

# ruff: noqa: D101, D102  # what a speaker owes is said once, in benchmarks/peer_clients/__init__.py

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.fish.tts import FishAudioTTSService
from pipecat.workers.runner import WorkerRunner

from benchmarks.peer_plans import CHUNK_LENGTH, KEY, LATENCY, SAMPLE_RATE_HZ, Take

TITLE = "Pipecat service"
PACKAGE = "pipecat-ai"
OWN_WAY = "sends whole sentences, each when the next one begins, and flushes each"

logger.remove()
logger.add(sys.stderr, level="ERROR")  # its default writes every frame's story


class Loudspeaker(FrameProcessor):
    """What stands at the end of a pipeline: takes audio, and says when the bot speaks.

    That is what an output transport does, which also paces, mixes and sends; here it is the
    service that is compared.
    """

    def __init__(self) -> None:
        super().__init__()
        self.take: Take | None = None
        self.started = asyncio.Event()
        self.interrupted = asyncio.Event()
        self._speaking = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            if self.take is not None:
                self.take(frame.audio)
            if not self._speaking:
                self._speaking = True
                await self.push_frame(BotStartedSpeakingFrame(), FrameDirection.UPSTREAM)
        elif isinstance(frame, StartFrame):
            self.started.set()
        elif isinstance(frame, InterruptionFrame):
            await self.rest()
            self.interrupted.set()
        await self.push_frame(frame, direction)

    async def rest(self) -> None:
        """Say that the bot speaks no more."""
        if self._speaking:
            self._speaking = False
            await self.push_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)


class Speaker:
    def __init__(self, worker: PipelineWorker, loudspeaker: Loudspeaker) -> None:
        self._worker = worker
        self._loudspeaker = loudspeaker

    async def speak(self, stream: AsyncIterator[str], take: Take) -> None:
        self._loudspeaker.take = take
        await self._worker.queue_frame(LLMFullResponseStartFrame())
        async for token in stream:
            await self._worker.queue_frame(LLMTextFrame(token))
        await self._worker.queue_frame(LLMFullResponseEndFrame())

    async def heard(self) -> None:
        """Let the bot have spoken, and the user begin to speak: which interrupts, as it does."""
        await self._loudspeaker.rest()
        await asyncio.sleep(0.01)
        await self.interrupt()

    async def interrupt(self) -> None:
        self._loudspeaker.take = None
        await self._worker.queue_frame(InterruptionFrame())


def service(port: int, voice: str | None) -> FishAudioTTSService:
    """Return the service, turned to a local port: it takes no other address by its arguments."""
    settings: dict[str, Any] = {"latency": LATENCY, "chunk_length": CHUNK_LENGTH}
    tts = FishAudioTTSService(
        api_key=KEY,
        sample_rate=SAMPLE_RATE_HZ,
        settings=FishAudioTTSService.Settings(voice=voice, **settings),
    )
    tts._base_url = f"ws://127.0.0.1:{port}/v1/tts/live"
    return tts


@asynccontextmanager
async def session(port: int, voice: str | None) -> AsyncIterator[Speaker]:
    loudspeaker = Loudspeaker()
    worker = PipelineWorker(
        Pipeline([service(port, voice), loudspeaker]),
        params=PipelineParams(audio_out_sample_rate=SAMPLE_RATE_HZ),
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.ensure_future(runner.run())
    await asyncio.wait_for(loudspeaker.started.wait(), 30)
    try:
        yield Speaker(worker, loudspeaker)
    finally:
        await runner.cancel()
        await asyncio.wait([running])


async def leave() -> None:
    pass
