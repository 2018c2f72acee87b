"""What every fault owes: it is counted, it ends, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from fishlive.errors import ConfigError
from fishlive.faults import KINDS, Fault, Place
from fishlive.server import LocalServer
from tests.adversity.rows import CLIENT_SIDE, ROWS
from tests.conftest import open_sockets
from tests.server.faults.raw import PATHS, connected, dialled, served
from tests.server.talk import LIVE, TIMED, until

SMALL = {
    "header-flood": 100_000, "flood": 100_000, "giant": 100_000, "empty-fragments": 1000,
    "drip": 1_000_000.0, "restart": 0.0, "delay": 0.0, "burst": 0.01, "close": 1000,
}  # fmt: skip
"""Values that are quick; the kinds' own are as large as in life."""

EVERYWHERE = [
    Fault(kind=kind, at=place, value=SMALL.get(kind))
    for kind, facts in KINDS.items()
    for place in facts.places - {Place.TLS}
    if kind not in ("refuse", "restart")
]


async def one_turn(server: LocalServer, path: str, fault: Fault) -> None:
    """Do what a client does until the fault was played, and leave without a word."""
    async with connected(server) as raw:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await raw.ask(path)
            await raw.say("Hi.")
        reading = asyncio.ensure_future(raw.end())
        while not reading.done() and not server.played[str(fault)]:
            await asyncio.wait([reading], timeout=0.005)
        await asyncio.wait([reading], timeout=0.02)  # what it does, it does while we are there
        reading.cancel()
        await asyncio.wait([reading])


@pytest.mark.parametrize("path", PATHS)
async def test_everything_everywhere(path: str) -> None:
    """Each kind at each of its places is played once; then all is as before."""
    async with served() as server:
        for fault in EVERYWHERE:
            server.play(fault)
            await one_turn(server, path, fault)
            assert server.played[str(fault)] == 1, fault
            server.heal()
        await until(lambda: server.running == 0)
        async with dialled(server, path) as raw:
            await raw.say("Hi.")
            assert (await raw.events())[-1]["reason"] == "stop"


async def test_no_socket_is_left() -> None:
    """A server that closes in the middle of its faults closes every socket."""
    gc.collect()
    before = open_sockets()
    async with contextlib.AsyncExitStack() as held:
        server = await held.enter_async_context(served())
        for spec in ("half-open@byte:0", "stall@start", "hang@upgrade", "hang@connect"):
            server.play(spec)
            raw = await held.enter_async_context(connected(server))
            await raw.ask(LIVE)
            await raw.start()
            await until(lambda spec=spec: server.played[spec] == 1)  # type: ignore[misc]
        server.play("refuse@connect")
    gc.collect()
    assert open_sockets() <= before


def test_rows_are_canonical() -> None:
    """Every row of the fault tables can be played, and is written as it is counted."""
    for row, spec in ROWS.items():
        assert spec == CLIENT_SIDE or str(Fault.parse(spec)) == spec, row


def test_every_kind_has_a_row() -> None:
    """No kind is left untried by the rows."""
    tried = {Fault.parse(spec).kind for spec in ROWS.values() if spec != CLIENT_SIDE}
    assert tried == KINDS.keys()


async def test_frequency() -> None:
    """A fault happens so many times, on every nth connection, or only on one."""
    specs = ("rst@upgrade,times=2,every=2", "fin@upgrade,connection=5")
    async with served(*specs) as server:
        seen = []
        for _ in range(8):
            async with connected(server) as raw:
                await raw.ask(TIMED)
                try:
                    seen.append((await raw.reader.read(12))[-3:].decode() or "fin")
                except ConnectionResetError:
                    seen.append("rst")
        assert seen == ["101", "rst", "101", "rst", "fin", "101", "101", "101"]
        assert server.played == {specs[0]: 2, specs[1]: 1}


async def test_only_one_endpoint() -> None:
    """A fault for one endpoint leaves the other alone."""
    async with served("rst@start,on=timed") as server:
        async with dialled(server, LIVE) as raw:
            await raw.say()
            assert (await raw.events())[-1]["reason"] == "stop"
        async with dialled(server, TIMED) as raw:
            await raw.start()
            assert (await raw.end())[0] == "rst"


async def test_open_sockets_meet_what_is_played_now() -> None:
    """A socket that was open before meets the fault at its next place; heal ends it."""
    async with served() as server, dialled(server, TIMED) as raw:
        server.play("finish:error@audio:1,times=always")
        for _ in range(2):
            await raw.say("Hi.")
            assert (await raw.events())[-1]["reason"] == "error"
        server.heal()
        await raw.say("Hi.")
        assert (await raw.events())[-1]["reason"] == "stop"
        server.play("rst@byte:0")
        await raw.start()
        assert (await raw.end())[0] == "rst"


async def test_faults_follow_each_other() -> None:
    """Several at one place happen in the order in which they were given."""
    specs = ("delay:0@audio:2", "pong@audio:2", "cut-rst:7@audio:2")
    async with served(*specs) as server, dialled(server) as raw:
        await raw.say()
        await raw.next()
        assert (await raw.next()).opcode == 0xA
        end, seen = await raw.end()
        assert (end, len(seen)) == ("rst", 7)
        assert server.played == dict.fromkeys(specs, 1)


async def test_what_was_played_can_be_heard() -> None:
    """The server says each fault as it is played."""
    told: list[Fault] = []
    async with LocalServer(faults=["pong@audio:1"], on_fault=told.append) as server:
        async with dialled(server) as raw:
            await raw.say("Hi.")
            await raw.events()
        assert told == [Fault.parse("pong@audio")]


async def test_counting_knows_every_spelling() -> None:
    """A line counts however it is written; what is no fault is no silent zero."""
    async with served("pong@audio") as server, dialled(server) as raw:
        await raw.say("Hi.")
        await raw.events()
        assert server.played["pong@audio"] == server.played["pong@audio:1"] == 1
        assert server.played["rst@audio:3"] == 0
        with pytest.raises(ConfigError, match="no kind 'pnog'"):
            server.played["pnog@audio"]


def test_a_bad_fault_is_named() -> None:
    """The error says which of the list, and what of it."""
    with pytest.raises(ConfigError, match=r"faults\[1\]: fault 'rst@never': no place") as caught:
        LocalServer(faults=["rst@start", "rst@never"])
    assert caught.value.argument == "faults[1]"


async def test_a_server_that_does_not_run_is_told(unused_port: int) -> None:
    """Faults may be given before it starts, and stay when it starts again."""
    server = LocalServer(port=unused_port)
    server.play("rst@upgrade,times=2")
    for _ in range(2):
        async with server, connected(server) as raw:
            await raw.ask(LIVE)
            assert (await raw.end())[0] == "rst"
