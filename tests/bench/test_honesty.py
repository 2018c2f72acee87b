"""Whether numbers can be trusted."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, replace

import pytest

from fishlive.bench.honesty import Watch, environment, limits, overhead
from fishlive.bench.lanes import Service
from fishlive.bench.local import local_server
from fishlive.bench.null import NullServer
from fishlive.bench.records import Client
from fishlive.bench.runner import Runner
from fishlive.errors import ConfigError
from fishlive.secret import Secret
from tests.bench.runs import measured, plan
from tests.bench.virtual import Delays

IDLE = Client(10.0, 0.5, 0.0001, 0.001, 0.002, 1000)


def test_an_idle_machine_is_no_limit() -> None:
    """Little lag, little work: nothing to say."""
    assert limits(IDLE) == ()


@pytest.mark.parametrize(
    ("client", "why"),
    [
        (replace(IDLE, lag_p99_s=0.05), "50 ms late"),
        (replace(IDLE, cpu_s=9.7), "97% of a core"),
    ],
)
def test_a_busy_machine_says_so(client: Client, why: str) -> None:
    """A late loop or a full core is named as the limit, with its number."""
    (said,) = limits(client)
    assert "this machine was the limit" in said
    assert why in said


def test_a_late_loop_bounds_nothing() -> None:
    """How late latencies may be cannot be told from how late one process is."""
    (said,) = limits(replace(IDLE, lag_p99_s=0.013))
    assert "at times by more than that" in said


def test_a_full_machine_is_no_service() -> None:
    """With the local server on the same cores the latencies are the machine's, and that is said."""
    (said,) = limits(replace(IDLE, machine_busy=0.97, server_cpu_s=3.0))
    assert said == (
        "this machine was full: 97% of its cores' time was used, by this tool, the local server "
        "and others; latencies are those of a full machine, not of a service"
    )
    (said,) = limits(replace(IDLE, machine_busy=0.97))
    assert "by this tool and others" in said, "somebody else's work counts too"
    assert limits(replace(IDLE, machine_busy=0.8, server_cpu_s=3.0)) == ()


def test_a_local_server_that_works_all_the_time_is_the_limit() -> None:
    """Also where other cores are idle."""
    (said,) = limits(replace(IDLE, machine_busy=0.3, server_cpu_s=9.5))
    assert "the local server was the limit: it used 95% of a core" in said


def test_a_machine_may_be_full_in_a_moment() -> None:
    """A loop that is starved is looked at rarely: that is no reason to say nothing."""
    (said,) = limits(replace(IDLE, wall_s=0.9, lag_samples=12, machine_busy=1.0))
    assert "this machine was full" in said


def test_a_moment_says_nothing() -> None:
    """The first second imports and compiles: no judgement by that."""
    assert limits(Client(0.1, 0.1, 0.09, 0.09, 0.09, 10)) == ()


async def test_a_watch_can_be_read_afterwards() -> None:
    """What was seen stays, outside of the loop too."""
    async with Watch() as watch:
        pass
    assert watch.client() is watch.client()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_watch_looks_at_the_server_too() -> None:
    """The CPU time of a process that is named; without one there is none."""
    async with Watch(os.getpid()) as watch:
        pass
    assert watch.client().server_cpu_s is not None
    async with Watch() as watch:
        pass
    assert watch.client().server_cpu_s is None


async def test_the_tool_is_measured() -> None:
    """With a server that does nothing: every utterance, connecting and the first audio."""
    found = await overhead(runs=3)
    assert found.samples == 3
    assert 0 < found.connect_p50_s <= found.connect_p99_s
    assert 0 < found.first_audio_p50_s <= found.first_audio_p99_s
    assert not found.supported, "three are not enough for a p99"


@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
async def test_the_null_server_speaks_the_protocol(transport: str) -> None:
    """Over either adapter, on a socket that serves again."""
    async with NullServer() as server:
        service = Service(server.url, Secret("key"))
        what = plan(runs=3, matrix={"transport": (transport,), "socket": ("reused",)})
        result = await Runner(what, service, measure_overhead=False).run()
    assert result.cells[0].finished == 3
    assert result.cells[0].reused == 2


def test_the_environment_names_nobody() -> None:
    """Versions, system and machine, and the command; no user, no host."""
    import getpass
    import platform

    found = json.dumps(asdict(environment(["bench", "--local"])))
    assert '"fishlive"' in found
    assert '"--local"' in found
    assert platform.node() not in found or len(platform.node()) < 3
    assert f'"{getpass.getuser()}"' not in found


def test_a_result_says_who_measured_what() -> None:
    """Command, seed, workload and its hash: enough for a second person."""
    result = measured(Delays(), plan(seed=7, command=("bench", "--seed", "7")))
    assert result.environments[0].command == ("bench", "--seed", "7")
    assert (result.config.seed, result.config.workload) == (7, "hello")
    assert len(result.config.workload_sha256) == 64


async def test_the_local_server_is_another_process() -> None:
    """It speaks, and is gone behind the block."""
    async with local_server({"profile": "instant"}) as service:
        assert service.process not in {None, os.getpid()}
        result = await Runner(plan(runs=2), service, measure_overhead=False).run()
    assert result.cells[0].finished == 2
    with pytest.raises(Exception, match="reach"):
        await Runner(plan(runs=2), service, measure_overhead=False).run()


async def test_a_setting_that_cannot_be_is_refused_first() -> None:
    """Before a process is started."""
    with pytest.raises(ConfigError):
        async with local_server({"profile": "warp"}):
            pass
