"""Against a real server with known delays: each is at least what was injected, at its own place.

Lower bounds only, which no busy machine can break; how near they are is measured by
``python -m benchmarks.bench_accuracy``.
"""

from __future__ import annotations

import pytest

from fishlive.bench.lanes import Service
from fishlive.bench.records import Record
from fishlive.bench.runner import Runner
from fishlive.secret import Secret
from tests.bench.delays import DelayServer, contexts, late_network
from tests.bench.runs import plan
from tests.bench.virtual import Delays

CASES = {
    "dns_s": Delays(dns_s=0.05),
    "tcp_s": Delays(tcp_s=0.05),
    "upgrade_s": Delays(upgrade_s=0.05),
    "first_audio_s": Delays(first_audio_s=0.05),
    "leading_silence_s": Delays(silence_s=0.05),
    "gap_max_s": Delays(chunks=4, gaps_s={2: 0.05}),
}
EARLY_S = 0.0005
"""A timer may fire so much before its time: the clock's resolution."""


async def measured(delays: Delays, *, secure: bool = False) -> Record:
    """Return the last of three utterances."""
    server_side, client_side = contexts() if secure else (None, None)
    async with DelayServer(delays, server_side).running() as server:
        service = Service(server.url, Secret("key"), tls=client_side)
        runner = Runner(plan(), service, measure_overhead=False)
        with late_network(server, delays):
            result = await runner.run()
    assert result.cells[0].failures == {}
    return result.records[-1]


@pytest.mark.parametrize("name", CASES)
async def test_a_delay_is_found_where_it_is(name: str) -> None:
    """Its step has all of it."""
    record = await measured(CASES[name])
    assert getattr(record, name) >= 0.05 - EARLY_S
    assert record.latency_s is not None
    assert record.audible_s is not None
    if name != "gap_max_s":
        assert record.audible_s >= 0.05 - EARLY_S
    else:
        assert record.gap_at_s == pytest.approx(0.2)


async def test_tls_is_connecting() -> None:
    """A late TLS handshake is in what connecting took, and not in the first audio's time."""
    record = await measured(Delays(tls_s=0.05), secure=True)
    assert record.connect_s is not None
    assert record.connect_s >= 0.05 - EARLY_S
    assert (record.tls_s or 0.0) + (record.upgrade_s or 0.0) >= 0.05 - EARLY_S
