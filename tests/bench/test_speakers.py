"""Every transport against the local server: the same text, measured by the same names."""

from __future__ import annotations

import pytest

from fishlive.bench.lanes import Service
from fishlive.bench.records import Record
from fishlive.bench.runner import Runner
from fishlive.bench.workload import Prompt, Workload
from fishlive.secret import Secret
from fishlive.server import LocalServer
from tests.bench.runs import plan


async def measured(transport: str, **matrix: object) -> list[Record]:
    """Return three utterances."""
    async with LocalServer(close_after_finish=False) as server:
        service = Service(server.url, Secret("local"))
        what = plan(matrix={"transport": (transport,), **matrix})
        result = await Runner(what, service, measure_overhead=False).run()
    return list(result.records)


@pytest.mark.parametrize("transport", ["picows", "aiohttp", "rest", "sse"])
@pytest.mark.parametrize("socket", ["cold", "reused"])
async def test_audio_is_measured(transport: str, socket: str) -> None:
    """Latency, the first sound, the player and the price: over each transport."""
    *_, record = await measured(transport, socket=(socket,))
    assert record.ending == "finished"
    assert record.latency_s is not None
    assert record.first_audio_s is not None
    assert 0 < record.first_audio_s <= record.latency_s + 1e-6
    assert record.audible_s is not None
    assert record.audible_s >= record.latency_s - 1e-3
    assert record.audio_s > 0.3
    assert sum(record.sizes_bytes) == record.audio_bytes
    assert [run.prebuffer_s for run in record.underruns] == [0.0, 0.1, 0.2, 0.4]
    assert (record.text_utf8_bytes, record.cost_usd) == (13, pytest.approx(13 * 15e-6))


@pytest.mark.parametrize("audio", ["mp3", "opus", "wav"])
async def test_other_formats_have_no_first_sound(audio: str) -> None:
    """Only PCM can be looked into."""
    *_, record = await measured("picows", format=(audio,))
    assert record.leading_silence_s is None
    assert record.audible_s is None
    assert record.audio_s > 0.3


@pytest.mark.parametrize("transport", ["picows", "rest"])
async def test_opus_is_as_long_as_what_it_was_made_of(transport: str) -> None:
    """By its pages, to 20 ms, which its last packet is filled up to."""
    *_, pcm = await measured(transport)
    *_, opus = await measured(transport, format=("opus",))
    assert opus.audio_s == pytest.approx(pcm.audio_s, abs=0.02)


async def test_a_call_waits_for_the_whole_text() -> None:
    """What an author takes between first and last word is a call's own fault: in its latency."""
    tokens = (("Hello", 0.0), (", world.", 0.05))
    slow = Workload("slow", "", (Prompt("p", "Hello, world.", "en", tokens),))
    async with LocalServer() as server:
        service = Service(server.url, Secret("local"))
        what = plan(workload=slow, matrix={"transport": ("rest",), "stream": ("recorded",)})
        result = await Runner(what, service, measure_overhead=False).run()
    record = result.records[-1]
    assert record.text_wait_s is not None
    assert record.latency_s is not None
    assert record.text_wait_s >= 0.049
    assert record.latency_s >= 0.049


@pytest.mark.parametrize("transport", ["acedata", "xhuo"])
async def test_a_task_is_measured_to_its_result(transport: str) -> None:
    """No audio comes, so there is no first audio: only the time."""
    *_, record = await measured(transport, stream=("whole",))
    assert record.ending == "finished"
    assert record.latency_s is None
    assert record.wall_s > 0
    assert record.messages == 0
